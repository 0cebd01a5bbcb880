"""What an agent's instructions send it to, asked of policy and of what people approved that it is (taxonomy B4).

Rules kept here:

- A command, file or host counts where policy refuses it, whoever asks: a hold asks people, and is no contradiction.
- What is not understood completely is not told: policy judges it when it is asked for.
- A tool counts where neither the approved definition (its own, where none is approved) has it nor its server.
- It is looked at when a definition is seen, and for what agents are now when a policy is published. It stops nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from keyturn import readers
from keyturn.actions import FileEdit, content_kind
from keyturn.drift.definition import Definition
from keyturn.drift.finding import Drift, Magnitude, Since
from keyturn.drift.mentions import Mention, mentions, strange_tools
from keyturn.ledger.entries import Entry
from keyturn.policy import Policy
from keyturn.policy.decision import Facts
from keyturn.resources import Surroundings
from keyturn.service.core import Core, NoPolicy
from keyturn.service.definition_rows import key
from keyturn.service.definition_state import baseline, of_row, texts_of
from keyturn.service.following import Follower, Noted

Row = dict[str, Any]
KIND = "instructions.unapproved"
SHOWN = 10
MAX_NAME = 200
AGENTS = 500


class Mentioning(Follower):
    """Looks at each definition that is seen, and at those in use when the policy is another one."""

    name = "mentioning"
    apart = True
    reads = frozenset(("definition.seen", "policy.published"))

    def landed(self, entry: Entry) -> Sequence[Noted]:
        """What the instructions name and the agent may not do."""
        if entry.type == "definition.seen":
            rows = [self.core.ledger.row("definition", key(entry.fields["agent"], entry.fields["digest"]))]
        else:
            rows = [
                self.core.ledger.row("definition", key(row["name"], row["definition"]))
                for row in self.core.ledger.rows("agent", limit=AGENTS)
                if row["definition"]
            ]
        return [found for row in rows if row is not None for found in _finding(self.core, row, entry)]


class Question(Struct, frozen=True):
    """What is asked about one definition, read out of the log: its texts by file, its parts, and those that people approved."""

    agent: str
    client: str
    place: str
    texts: Mapping[str, str]
    definition: Definition
    policy: Policy | None


def question(core: Core, row: Row) -> Question:
    """The question about the definition *row*; `lines` needs nothing more, and can be asked on another thread."""
    texts, own = texts_of(core, row), of_row(core, row)
    said = {part.name: texts[part.digest] for part in own.of_kind("instructions") if part.digest in texts}
    try:
        policy: Policy | None = core.policy
    except NoPolicy:
        policy = None
    approved = _approved(core, row) or own
    return Question(row["agent"], row["client"], row["place"], said, approved, policy)


def lines(asked: Question) -> tuple[str, ...]:
    """What the instructions name and the agent may not do, a sentence each."""
    return tuple(words for _, words in judged(asked))


def refused(policy: Policy, one: Mention, agent: str, client: str, place: str) -> str:
    """The rule of *policy* that refuses what is named, empty where none does."""
    if one.content is None:
        return ""
    content = one.content
    home = "/home/agent"
    if isinstance(content, FileEdit) and content.path.startswith("~/"):
        content = replace(content, path=home + content.path[1:])
    around = Surroundings(
        place or f"{home}/work", place or f"{home}/work", home, labels=policy.labels, programs=policy.programs
    )
    reading = readers.read(content, around)
    if not reading.complete:
        return ""
    facts = Facts(
        agent=agent,
        client=client,
        human="",
        assurance="enforced",
        definition_known=True,
        definition="approved",
    )
    decision = policy.decide_afresh(content_kind(content), reading, facts)
    if decision.would != "refuse":
        return ""
    return next((hit.rule for hit in decision.rules if hit.verdict == "refuse"), "")


def judged(asked: Question) -> Iterator[tuple[Mention, str]]:
    """The same, with what is named."""
    named = mentions(asked.texts)
    for one in strange_tools(named, asked.definition):
        yield one, f"{one.file} names the tool {_cut(one.name)}, which is not in what people know it to be."
    for one in named:
        rule = refused(asked.policy, one, asked.agent, asked.client, asked.place) if asked.policy else ""
        if rule:
            yield one, f"{one.file} names the {one.kind} {_cut(one.name)}, which the rule {rule} refuses."


def _approved(core: Core, row: Row) -> Definition | None:
    digest = baseline(core.ledger, row["agent"], row["place"])
    known = core.ledger.row("definition", key(row["agent"], digest)) if digest else None
    return of_row(core, known) if known else None


def _finding(core: Core, row: Row, entry: Entry) -> Iterator[Drift]:
    found = list(judged(question(core, row)))
    if not found:
        return
    more = f" And {len(found) - SHOWN} more." if len(found) > SHOWN else ""
    count = "one thing" if len(found) == 1 else f"{len(found)} things"
    yield Drift(
        KIND,
        (row["agent"], row["digest"]),
        f"The instructions of {row['agent']} name {count} that it may not do. "
        + " ".join(words for _, words in found[:SHOWN])
        + more,
        {"agent": row["agent"], "definition": row["digest"], "place": row["place"]},
        observed=", ".join(_cut(one.name) for one, _ in found[:SHOWN]),
        expected="instructions that send the agent to nothing that policy refuses, and to no tool that nobody approved",
        since=Since(entry.time, entry.time),
        magnitude=Magnitude(float(len(found)), 0.0, "things that are named and not allowed"),
        entries=(row["entry"],) if row["entry"] == entry.index else (row["entry"], entry.index),
        cause="The instructions were written for another policy or other tools, or somebody else wrote them.",
    )


def _cut(name: str) -> str:
    return name if len(name) <= MAX_NAME else name[:MAX_NAME] + "…"


__all__ = ["KIND", "Mentioning", "Question", "judged", "lines", "question", "refused"]
