"""The chapters of the drift story. Each plays one way in which practice leaves policy, and says what was found, and when."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from msgspec import Struct

from keyturn import canonical
from keyturn.actions import FileEdit
from keyturn.demo.drift.stage import Run, Stage
from keyturn.demo.scratch import DemoFailed
from keyturn.drift.definition import Definition, Part
from keyturn.drift.finding import Grade
from keyturn.errors import KeyturnError
from keyturn.service import configurations, defining, findings
from keyturn.service.configuration_views import Sighting
from keyturn.service.findings import FindingView
from keyturn.service.model import Receipt, RequestView

QUERIES = 200
AGENTS = 20
KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzSTORYKEY2"
DEEPER = (
    ("/tmp/report.log", "a report, somewhere temporary"),  # noqa: S108
    ("/var/log/app/report.log", "where the others are"),
    ("/etc/app/report.conf", "so that it is found"),
    ("/etc/sudoers.d/report", "so that it can be read"),
)
PROMPT = (
    "You help with orders.",
    "You work read-only on production.",
    "Never change production data.",
    "Ask a person before you change any configuration.",
    "Query at most 10 rows at a time.",
    "Never send data outside the company.",
    "Only use the tools that are listed.",
)
EDITS: tuple[Callable[[list[str]], None], ...] = (
    lambda p: p.__setitem__(0, "You help with orders and their customers."),
    lambda p: p.__setitem__(4, "Query at most 50 rows at a time."),
    lambda p: p.append("Be quick."),
    lambda p: p.__setitem__(3, "Ask a person before you change configuration, unless it is urgent."),
    lambda p: p.__setitem__(4, "Query at most 500 rows at a time."),
    lambda p: p.__setitem__(1, "You mostly work read-only on production."),
    lambda p: p.append("You may restart services when that helps."),
    lambda p: p.__setitem__(3, "Tell a person when you have changed configuration."),
    lambda p: p.__setitem__(4, "Query as many rows as needed."),
    lambda p: p.__setitem__(1, "You work on production."),
    lambda p: p.__setitem__(2, "Avoid changing production data where you can."),
    lambda p: p.__setitem__(6, "Use any tool that helps."),
)


class Chapter(Struct, frozen=True):
    """One way to drift: `area` of policy, what the policy says, the truth about it, and the play, which gives what was found.

    `grade` is the truth: whether any approved change explains it. A CANDIDATE is about the same thing and does not cover it.
    """

    name: str
    area: str
    says: str
    grade: Grade
    play: Callable[[Stage], Awaitable[list[FindingView]]]


async def coffee(stage: Stage) -> list[FindingView]:
    """The same database, 200 times, before the reviewer has finished a coffee."""
    run = await stage.session("pricing", instruction="Find out which customers pay late.")
    for number in range(QUERIES):
        _expect(await _query(run, number), "run", f"query {number + 1}")
    held = await run.ask(_psql(QUERIES))
    _expect(held.verdict, "hold", "one query more")
    stage.tell(f"agent ? query {QUERIES + 1}: {held.words.splitlines()[0][:300]}")
    return await stage.found("rate.exceeded")


async def _query(run: Run, number: int) -> str:
    return (await run.ask(_psql(number))).verdict


def _psql(number: int) -> str:
    return f'psql -h orders-db.internal -d orders -c "select * from orders where id = {number}"'


async def ratchet(stage: Stage) -> list[FindingView]:
    """`/tmp` → `/var/log` → `/etc` → `/etc/sudoers.d`: each step approved, judged by the one before."""
    run = await stage.session("reporter", instruction="Write the report.")
    found: list[FindingView] = []
    for number, (path, why) in enumerate(DEEPER, 1):
        edit = FileEdit(path, "write", diff=f"+ {why}\n")
        if number == len(DEEPER):
            answer = await run.ask(edit)
            _expect(answer.verdict, "refuse", f"step {number}")
            stage.tell(f"agent ? step {number}, {path}: {answer.words.splitlines()[0][:300]}")
        else:
            answer = await run.approved(edit, "riley", why)
            _expect(answer.verdict, "run", f"step {number}")
            stage.tell(f"      ✓ step {number}, {path}: riley approved ({why})")
        if number == 3:
            found = await stage.found("ratchet.surface")
    return found


async def prompt(stage: Stage) -> list[FindingView]:
    """Twelve small edits of a prompt, each approved beside the last: measured against the first."""
    words = list(PROMPT)
    first = await _defined(stage, words)
    await _approve_definition(stage, first, "as assessed")
    found: list[FindingView] = []
    for number, edit in enumerate(EDITS, 1):
        edit(words)
        session = await _defined(stage, words)
        await _approve_definition(stage, session, "a small change")
        await session.closed()
        await stage.looked()
        new = [one for one in await _of(stage, "ratchet.instructions") if one.id not in stage.known]
        if new and not found:
            stage.tell(
                f"      ✓ edits 1 to {number} were each approved; against the first version they add up:"
            )
            found = new
            stage.known |= {one.id for one in new}
    if not found:
        raise DemoFailed("Twelve edits of a prompt were not found to add up.")
    return found


async def _of(stage: Stage, kind: str) -> list[FindingView]:
    return [one for one in findings.views(stage.service.core, 500) if one.kind == kind]


async def _defined(stage: Stage, words: list[str]) -> Run:
    text = "\n".join(f"- {line}" for line in words) + "\n"
    part = Part("instructions", "CLAUDE.md", canonical.digest_bytes(text.encode()), len(text), text)
    described = Definition("claude-code", "a-model", {}, (part,), str(stage.work))
    return await stage.session("helper", described=described)


async def _approve_definition(stage: Stage, run: Run, why: str) -> None:
    """Somebody else approves what the agent is now, if that waits; the first one is proposed by its owner."""
    waiting = [
        view
        for view in await stage.service.requests("waiting", stage.person("riley"))
        if view.subject == "definition"
    ]
    if not waiting:
        waiting = [await _propose(stage, run)]
    for view in waiting:
        await stage.decide(view.id, "riley", why)


async def _propose(stage: Stage, run: Run) -> RequestView:
    core, dana = stage.service.core, stage.person("dana")
    return await defining.propose(core, run.definition or "", dana, "as assessed", run.agent.name)


async def cached(stage: Stage) -> list[FindingView]:
    """Customers' data, written to a file that nobody deletes."""
    run = await stage.session("analyst", instruction="How many customers are there?")
    _expect((await run.ask("cat customers.csv > extract.csv")).verdict, "run", "the extract")
    await stage.looked()
    stage.tell("      … the story's clock goes on by 25 hours")
    stage.later(25)
    found = await stage.found("retention.overdue")
    late = await run.ask("wc -l extract.csv")
    _expect(late.verdict, "hold", "reading it late")
    _expect((await run.ask("rm extract.csv")).verdict, "run", "deleting it")
    stage.later(-25)
    return found


async def accounts(stage: Stage) -> list[FindingView]:
    """Twenty agents behind one account: the account tells nobody which of them it was."""
    for number in range(AGENTS):
        run = await stage.session(f"worker-{number:02d}", instruction=f"Do part {number}.")
        await run.closed()
    found = await stage.found("attribution.collapsed")
    stage.tell("      ✓ each entry still has the human, the instruction and the agent behind it")
    return found


async def alone(stage: Stage) -> list[FindingView]:
    """An agent proposes, and its own human tries to let it go; then it runs it without anybody."""
    run = await stage.session("releaser", instruction="Release it.")
    held = await run.ask("kubectl apply -f release.yaml")
    _expect(held.verdict, "hold", "the release")
    try:
        await stage.decide(held.request or "", "dana", "mine")
    except KeyturnError as error:
        stage.tell(f"dana  » approve: {error.happened}")
    else:
        raise DemoFailed("Dana approved what her own agent asked for.")
    await stage.gate.report(
        Receipt(held.action, None, "done", exit_code=0)
    )  # a gate that was walked around says so
    return await stage.found("sod.self_executed")


async def secret(stage: Stage) -> list[FindingView]:
    """A credential written to a temporary file, for the next program to find."""
    run = await stage.session("deployer", instruction="Upload the build.")
    held = await run.ask(f'printf "AWS_SECRET_ACCESS_KEY={KEY}" > /tmp/credentials')
    _expect(held.verdict, "hold", "the credential")
    found = await stage.found("secret.written")
    for entry in stage.service.core.ledger.entries():
        if KEY in str(entry.fields):
            raise DemoFailed(f"The credential itself is in entry {entry.index}.")
    stage.tell(
        "      ✓ no entry, page or message has the credential itself; the same one is known again by its keyed digest"
    )
    return found


async def lunch(stage: Stage) -> list[FindingView]:
    """A configuration update shipped at lunch, beside one that was approved."""
    await _seen(stage, "kubernetes", _deployment("v1"), "orders")
    change = await _approved(stage, "kubernetes", _deployment("v2"), "orders", "release 2")
    proven = await _seen(stage, "kubernetes", _deployment("v2"), "orders")
    stage.tell(
        f"      ✓ image v2: {proven.explanation.grade}, {change} of dana, approved by riley: “{proven.explanation.reason}”"
    )
    await _seen(stage, "kubernetes", _deployment("v2", hostNetwork=True), "orders")
    return await stage.found("configuration.unexplained")


async def bucket(stage: Stage) -> list[FindingView]:
    """An export of data to a bucket that nobody approved."""
    await _seen(stage, "terraform", _plan("customers"), "data")
    await _seen(stage, "terraform", _plan("customers", "elsewhere", export="elsewhere"), "data")
    return await stage.found("configuration.unexplained")


async def iam(stage: Stage) -> list[FindingView]:
    """An edit of a role: one more permission than was approved."""
    await _seen(stage, "iam", _role("s3:GetObject"), "account")
    await _approved(stage, "iam", _role("s3:GetObject", "s3:PutObject"), "account", "uploads")
    await _seen(stage, "iam", _role("s3:GetObject", "s3:PutObject", "iam:PassRole"), "account")
    return await stage.found("configuration.unexplained")


async def _seen(stage: Stage, source: str, data: bytes, target: str) -> Sighting:
    return await configurations.seen(stage.service.core, source, data, target, stage.person("ada"))


async def _approved(stage: Stage, source: str, data: bytes, target: str, why: str) -> str:
    """Dana proposes a change, and Riley approves it."""
    asked = await configurations.propose(stage.service.core, source, data, target, stage.person("dana"), why)
    await stage.decide(asked.id, "riley", why)
    return asked.id


def _deployment(image: str, **more: object) -> bytes:
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "orders"},
        "spec": {"image": image, **more},
    }
    return json.dumps(body).encode()


def _plan(*buckets: str, export: str = "") -> bytes:
    resources = [
        {"address": f"aws_s3_bucket.{one}", "mode": "managed", "values": {"bucket": one}} for one in buckets
    ]
    if export:
        values = {"destination": f"arn:aws:s3:::{export}", "source": "customers"}
        resources.append({"address": "aws_export.customers", "mode": "managed", "values": values})
    return json.dumps({"values": {"root_module": {"resources": resources}}}).encode()


def _role(*actions: str) -> bytes:
    return json.dumps(
        {"deploy-role": {"Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}}
    ).encode()


def _expect(verdict: str, wanted: str, what: str) -> None:
    if verdict != wanted:
        raise DemoFailed(f"{what}: {verdict}, not {wanted}.")


CHAPTERS = (
    Chapter("coffee", "data access", "Access the minimum of data that is needed.", "NONE", coffee),
    Chapter("ratchet", "change management", "Agents change their own work.", "CANDIDATE", ratchet),
    Chapter("prompt", "change management", "The agent is the one that was assessed.", "CANDIDATE", prompt),
    Chapter(
        "accounts",
        "logging and attribution",
        "What an agent does is traced to a human and a task.",
        "NONE",
        accounts,
    ),
    Chapter("alone", "separation of duties", "Nobody approves their own changes.", "NONE", alone),
    Chapter("secret", "credentials", "No secret is stored in the clear.", "NONE", secret),
    Chapter("lunch", "change management", "Every production change is approved.", "CANDIDATE", lunch),
    Chapter("bucket", "data access", "Data leave only to approved places.", "NONE", bucket),
    Chapter("iam", "change management", "Permissions grow only by approval.", "CANDIDATE", iam),
    Chapter("cached", "retention", "Customers' data are deleted after 24 hours.", "NONE", cached),
)
