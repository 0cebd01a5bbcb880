"""A policy's own tests: cases that must run, must be held or must be refused (`tests/*.toml`).

    [[must_run]]
    name = "the state of the repository"     # optional
    command = "git status"                    # or: path + operation, tool (+ server, arguments), url (+ method)
    cwd = "/home/dev/project"                 # optional, as are workspace, home, protected, rule and facts
    time = 2026-12-24T18:00:00+01:00          # optional: when it is asked; without it no freeze is looked at
    open = false                              # optional, with time: whether its windows are open then

They are read by the same readers and decided by the same engine as real actions, in enforce mode.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, get_args

from msgspec import Struct

from keyturn.actions import Assurance, Content, FileEdit, HttpRequest, Reading, Shell, ToolCall, content_kind
from keyturn.policy.decision import Decision, Definition, Facts, Verdict
from keyturn.policy.engine import Policy, enforced
from keyturn.policy.folder import Table
from keyturn.policy.obligations import windows
from keyturn.policy.problems import PolicyInvalid, Problem
from keyturn.policy.requirements.windows import closed
from keyturn.policy.vocabulary import MISSING, operations
from keyturn.resources import Surroundings

WORKSPACE = "/home/dev/project"
HOME = "/home/dev"
PROTECTED = ("/home/dev/.keyturn", "/home/dev/.claude/settings.json")
"""Where cases happen when they don't say."""

MAX_CASES = 5000
_EXPECTED: dict[str, Verdict] = {"must_run": "run", "must_hold": "hold", "must_refuse": "refuse"}
_CONTENT_KEYS = ("command", "path", "operation", "diff", "tool", "server", "arguments", "url", "method")
_DRIFT_KEYS = ("over", "broken", "first", "findings", "secrets", "overdue", "undeclared")
_FACT_KEYS = (
    "agent", "client", "human", "groups", "missing", "assurance", "target", "definition_known", "definition", *_DRIFT_KEYS,
)  # fmt: skip
_KEYS = (
    "name",
    "rule",
    "kind",
    "cwd",
    "workspace",
    "home",
    "protected",
    "time",
    "open",
    *_CONTENT_KEYS,
    *_FACT_KEYS,
)


class Case(Struct, frozen=True):
    """One case: what is proposed, where, and what must be answered. `rule` is the `@id` that must have decided.

    `at` is when it is asked (milliseconds since 1970), None at no time in particular; `open` whether the windows that it
    needs must be open then, None for either.
    """

    name: str
    expected: Verdict
    content: Content
    around: Surroundings
    facts: Facts
    file: str
    line: int
    rule: str | None = None
    at: int | None = None
    open: bool | None = None


class Result(Struct, frozen=True):
    """A case and what was answered. `words` say what is wrong, empty when it is right."""

    case: Case
    reading: Reading
    decision: Decision
    words: str = ""


class TestReport(Struct, frozen=True):
    """All results, in the order of the files."""

    __test__ = False  # pytest: this is not a test class

    results: tuple[Result, ...]

    @property
    def total(self) -> int:
        """How many cases were tried."""
        return len(self.results)

    @property
    def failures(self) -> tuple[Result, ...]:
        """Cases that got another answer than they must."""
        return tuple(result for result in self.results if result.words)

    @property
    def green(self) -> bool:
        """Whether every case got the answer it must (a policy without cases is green)."""
        return not self.failures

    @property
    def lines(self) -> tuple[str, ...]:
        """One line of words for each failure."""
        return tuple(f"{r.case.file}:{r.case.line}: {r.case.name}: {r.words}" for r in self.failures)


def run_tests(policy: Policy) -> TestReport:
    """Try every case of *policy*. Raises `PolicyInvalid` when a case can't be read."""
    tested = enforced(policy)
    return TestReport(tuple(_try(tested, case) for case in cases(policy)))


def cases(policy: Policy) -> list[Case]:
    """The cases of `tests/*.toml`. Raises `PolicyInvalid` with every mistake."""
    found: list[Case] = []
    problems: list[Problem] = []
    for path in sorted(name for name in policy.files if name.startswith("tests/")):
        table = Table(path, policy.files[path])
        table.known_keys(table.body, _EXPECTED)
        found += _cases_of(table, policy)
        problems += table.problems
    if len(found) > MAX_CASES:
        problems.append(Problem("tests/", 0, 0, f"there are more than {MAX_CASES:,} cases"))
    if problems:
        raise PolicyInvalid(problems)
    return found


def _cases_of(table: Table, policy: Policy) -> Iterator[Case]:
    for heading, expected in _EXPECTED.items():
        entries = table.body.get(heading, [])
        lines = _lines(table, f"[[{heading}]]")
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            table.wrong(heading, f"cases are written [[{heading}]]")
            continue
        for entry, line in zip(entries, [*lines, *[0] * len(entries)], strict=False):
            case = _case(table, entry, expected, line, policy)
            if case is not None:
                yield case


def _lines(table: Table, heading: str) -> list[int]:
    return [n for n, line in enumerate(table.source.text.split("\n"), 1) if line.strip().startswith(heading)]


def _case(
    table: Table, entry: Mapping[str, Any], expected: Verdict, line: int, policy: Policy
) -> Case | None:
    before = len(table.problems)
    table.known_keys(entry, _KEYS, f"the case at line {line}")
    content = content_of(entry)
    if content is None:
        message = "a case has a command, a path with an operation, a tool, or a url"
        lines = table.source.text.split("\n")
        table.problems.append(Problem(table.source.file, line, 1, message, lines[line - 1] if line else ""))
    rule = entry.get("rule")
    if rule is not None and policy.rule(str(rule)) is None:
        table.wrong(str(rule), f"there is no rule {rule}")
    facts = _facts(table, entry)
    at, is_open = _time(table, entry)
    if content is None or len(table.problems) > before:
        return None
    workspace = str(entry.get("workspace", WORKSPACE))
    around = Surroundings(
        cwd=str(entry.get("cwd", workspace or WORKSPACE)),
        workspace=workspace,
        home=str(entry.get("home", HOME)),
        protected=tuple(map(str, entry.get("protected", PROTECTED))),
        labels=policy.labels,
        programs=policy.programs,
        fresh=True,
    )
    name = str(
        entry.get("name")
        or entry.get("command")
        or entry.get("path")
        or entry.get("tool")
        or entry.get("url")
    )
    return Case(
        name.split("\n")[0][:100],
        expected,
        content,
        around,
        facts,
        table.source.file,
        line,
        rule,
        at,
        is_open,
    )


def _time(table: Table, entry: Mapping[str, Any]) -> tuple[int | None, bool | None]:
    at, is_open = entry.get("time"), entry.get("open")
    if at is not None and not (isinstance(at, datetime) and at.tzinfo is not None):
        table.wrong("time", "time is a date and time with its offset", "time = 2026-12-24T18:00:00+01:00")
        return None, None
    if is_open is not None and (not isinstance(is_open, bool) or at is None):
        table.wrong("open", "open is true or false, and says so for a time")
    return None if at is None else int(at.timestamp() * 1000), is_open


def content_of(entry: Mapping[str, Any]) -> Content | None:
    """The content a case (or a person at the command line) describes; None when it describes none."""
    if isinstance(entry.get("command"), str):
        return Shell(entry["command"])
    if isinstance(entry.get("path"), str) and entry.get("operation", "write") in operations():
        return FileEdit(entry["path"], entry.get("operation", "write"), diff=str(entry.get("diff", "")))
    if isinstance(entry.get("tool"), str):
        arguments = entry.get("arguments", {})
        if isinstance(arguments, dict):
            return ToolCall(entry["tool"], arguments, str(entry.get("server", "")))
    if isinstance(entry.get("url"), str):
        return HttpRequest(entry["url"], str(entry.get("method", "GET")))
    return None


def _facts(table: Table, entry: Mapping[str, Any]) -> Facts:
    missing = table.texts(entry, "missing")
    for word in missing:
        if word not in MISSING:
            table.wrong(word, f"missing is any of {', '.join(MISSING)}")
    assurance = entry.get("assurance", "cooperative")
    if assurance not in get_args(Assurance):
        table.wrong("assurance", f"assurance is one of {', '.join(get_args(Assurance))}")
    definition = entry.get("definition", "unknown")
    if definition not in get_args(Definition):
        table.wrong("definition", f"definition is one of {', '.join(get_args(Definition))}")
        definition = "unknown"
    return Facts(
        agent=str(entry.get("agent", "agent")),
        client=str(entry.get("client", "")),
        human=None if "human" in missing else str(entry.get("human", "dev")),
        human_groups=table.texts(entry, "groups"),
        missing=missing,
        assurance=str(assurance),
        target=str(entry.get("target", "local")),
        definition_known=entry.get("definition_known") is True,
        definition=definition,
        over=table.texts(entry, "over"),
        broken=table.texts(entry, "broken"),
        first=table.texts(entry, "first"),
        findings=table.texts(entry, "findings"),
        secrets=table.texts(entry, "secrets"),
        overdue=table.texts(entry, "overdue"),
        undeclared=table.texts(entry, "undeclared"),
    )


def _try(policy: Policy, case: Case) -> Result:
    from keyturn import readers  # named late: deciding needs no reader, only trying cases does

    reading = readers.read(case.content, case.around)
    decision = policy.decide(content_kind(case.content), reading, case.facts, case.at)
    return Result(case, reading, decision, _wrong(policy, case, decision))


def _wrong(policy: Policy, case: Case, decision: Decision) -> str:
    rules = ", ".join(dict.fromkeys(hit.rule for hit in decision.rules)) or "no rule"
    if decision.verdict != case.expected:
        why = decision.reasons[0] if decision.reasons else ""
        return f"must be {_DONE[case.expected]}, was {_DONE[decision.verdict]} by {rules}. {why}".rstrip()
    if case.rule is not None and case.rule not in {hit.rule for hit in decision.rules}:
        return f"must be decided by {case.rule}, was decided by {rules}"
    if case.at is not None and case.open is not None:
        shut = closed(policy.requirements.windows, windows(decision.obligations.window), case.at)
        if case.open == bool(shut):
            return f"must be {'open' if case.open else 'closed'} then, was {'closed' if shut else 'open'}"
    return ""


_DONE: dict[Verdict, str] = {"run": "run", "hold": "held", "refuse": "refused"}
