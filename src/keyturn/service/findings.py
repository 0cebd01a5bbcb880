"""Findings: what was observed that should not be. Each is opened once; people see to what becomes of it (`finding_moves`).

Opening one begins what policy says follows from it, in the same commit (`service.responses`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct, to_builtins
from msgspec.structs import replace

from keyturn import canonical
from keyturn.drift import finding_life
from keyturn.drift.finding import MOST_ENTRIES, UNEXPLAINED, Drift, Explanation, Magnitude, Since
from keyturn.drift.kinds import KINDS
from keyturn.errors import ExitCode, KeyturnError
from keyturn.identity import Person
from keyturn.ledger.entries import Draft, Rows
from keyturn.service import finding_people, responses
from keyturn.service.core import Core
from keyturn.service.finding_rows import pair
from keyturn.service.model import Opener
from keyturn.service.responses import ResponseView

Row = dict[str, Any]

MOST_ABOUT = 16
"""Agents, definitions and sessions that one finding is counted for."""
MOST_LISTED = 5_000
"""Findings that are looked through for one list."""


class UnknownFinding(KeyturnError):
    """No finding has that id."""

    code = "finding.unknown"
    status = 404
    exit_code = ExitCode.USAGE
    not_done = "Nothing was changed."
    next_step = "`keyturn findings --all` lists them."


class Step(Struct, frozen=True):
    """One step of a finding's life. `by` is empty where time did it."""

    verb: str
    time: int
    entry: int
    by: str = ""
    reason: str = ""
    until: int | None = None
    change: str = ""
    outcome: str = ""


class Exposure(Struct, frozen=True):
    """What ran between the onset and the first look: `actions` of what the finding is about; not `complete`: at least so many."""

    actions: int
    complete: bool = True


class Seen(Struct, frozen=True):
    """The first look by somebody who has no part in it."""

    by: str
    time: int
    entry: int
    exposure: Exposure | None = None


class FindingView(Struct, frozen=True):
    """A finding as it is shown. `subject` is what it is about (ids, addresses), `words` what was seen. Times in milliseconds.

    `own` says why the viewer can't explain, accept or close it; empty when they can.
    """

    id: str
    kind: str
    words: str
    subject: dict[str, Any]
    opened: int
    entry: int
    session: str | None = None
    state: str = "open"
    area: str = ""
    severity: str = ""
    observed: str = ""
    expected: str = ""
    since: Since | None = None
    magnitude: Magnitude | None = None
    entries: tuple[int, ...] = ()
    cause: str = ""
    explanation: Explanation = UNEXPLAINED
    until: int | None = None
    change: str = ""
    life: tuple[Step, ...] = ()
    viewed: Seen | None = None
    delivered: int | None = None
    responses: tuple[ResponseView, ...] = ()
    own: str = ""


class Wanted(Struct, frozen=True):
    """Which findings are listed: empty members take all. `state` may also be `unresolved` (open and acknowledged)."""

    state: str = ""
    area: str = ""
    severity: str = ""
    agent: str = ""
    kind: str = ""

    def takes(self, row: Row) -> bool:
        """Whether the row of a finding is one of them."""
        states = finding_life.UNRESOLVED if self.state == "unresolved" else (self.state,)
        return (
            (not self.state or row["state"] in states)
            and self.area in ("", row.get("area"))
            and self.severity in ("", row.get("severity"))
            and self.kind in ("", row["kind"])
            and (not self.agent or list(pair("agent", self.agent)) in row.get("about", ()))
        )


EVERY = Wanted()


# --- opening -------------------------------------------------------------------------------------------------------


def drafts(
    core: Core, rows: Rows, found: Drift, session: str | None = None, seen: int | None = None
) -> list[Draft]:
    """The entries that open *found* and begin what follows from it; none while the same (kind, key) is open.

    One that an approved change explains hides nothing: the same without such an explanation is a finding of its own. *seen* is the
    entry that shows it, where it may be read again: what was there when people closed the finding does not open it anew.
    """
    name = canonical.digest({"kind": found.kind, "key": list(found.key)})
    known = rows.row("finding-key", name)
    state = finding_life.first_state(found.explanation.grade)
    sure = state == "explained"
    if known is not None and known.get("open", True) and (sure or not known.get("sure", False)):
        return []
    if known is not None and seen is not None and seen < _closing(rows, known):
        return []
    kind = KINDS[found.kind]
    severity = found.severity or kind.severity
    about = about_of(found.subject, session)
    fields = {
        "id": core.id("f"),
        "kind": found.kind,
        "key": name,
        "words": found.words,
        "subject": found.subject,
        "area": kind.area,
        "severity": severity,
        "observed": found.observed,
        "expected": found.expected,
        "since": to_builtins(found.since),
        "magnitude": to_builtins(found.magnitude),
        "entries": list(found.entries[:MOST_ENTRIES]),
        "cause": found.cause,
        "explanation": to_builtins(found.explanation),
        "state": state,
        "about": [list(pair) for pair in about],
    }
    if found.explanation.change:
        fields["change"] = found.explanation.change
    if found.kind == "lag.unseen":
        fields["about_finding"] = found.subject["finding"]
    times = known["times"] if known else 0
    opened = Draft("finding.opened", fields, session=session, once=f"finding.opened:{name}:{times}")
    if sure:
        return [opened]
    return [opened, *responses.drafts(core, fields["id"], found.kind, severity, about)]


def _closing(rows: Rows, known: Row) -> int:
    """The entry that closed what was found last, -1 where none did."""
    row = rows.row("finding", known["finding"]) or {"state": ""}
    return int(row["life"][-1]["entry"]) if row["state"] == "closed" and row["life"] else -1


def about_of(subject: Row, session: str | None) -> list[tuple[str, str]]:
    """Which agents, definitions and sessions a finding is about."""
    named = [("agent", subject.get("agent"))]
    named += [("definition", one) for one in (subject.get("definition"), *(subject.get("definitions") or ()))]
    named += [("session", one) for one in (subject.get("session"), *(subject.get("sessions") or ()), session)]
    pairs = dict.fromkeys(pair(kind, one) for kind, one in named if isinstance(one, str) and one)
    return list(pairs)[:MOST_ABOUT]


def of_use(
    core: Core, rows: Rows, opener: Opener | None, definition: str | None, session: str
) -> list[Draft]:
    """What is wrong with opening *session* with its credential: another definition, or another machine at the same time."""
    use = rows.row("credential-use", opener.credential) if opener and opener.credential else None
    if opener is None or use is None:
        return []
    found: list[Draft] = []
    who = f"The credential {opener.credential} of {opener.holder}"
    others = [known for known in use["definitions"] if known != definition] if definition else []
    for other in others[-1:]:
        pair = sorted((str(definition), other))
        words = f"{who} was used by two definitions: an agent of its own needs one of its own."
        subject = {
            "credential": opener.credential,
            "holder": opener.holder,
            "definitions": pair,
            "session": session,
        }
        found += drafts(core, rows, Drift("credential.shared", (opener.credential, *pair), words, subject))
    machines = sorted({machine for machine in use["open"].values() if machine and machine != opener.machine})
    for machine in machines[:1] if opener.machine else []:
        pair = sorted((opener.machine, machine))
        words = from_two_machines(opener.credential, opener.holder, pair)
        subject = {
            "credential": opener.credential,
            "holder": opener.holder,
            "machines": pair,
            "session": session,
        }
        found += drafts(core, rows, Drift("credential.shared", (opener.credential, *pair), words, subject))
    return found


def from_two_machines(credential: str, holder: str, pair: Sequence[str]) -> str:
    """What is said about a credential on two machines."""
    return f"The credential {credential} of {holder} is used from {pair[0]} and {pair[1]} at once: it was copied, or is shared."


async def record(core: Core, found: Drift, session: str | None = None, seen: int | None = None) -> None:
    """Open it, unless it is open already, or was closed after the entry *seen* that shows it."""
    await core.ledger.append(lambda rows: drafts(core, rows, found, session, seen))


def unseen(core: Core, row: Row, seconds: int) -> Drift:
    """What is found where nobody looked at the finding of the row `finding-unseen` for *seconds*."""
    finding = core.ledger.row("finding", row["finding"]) or {}
    words = f"Nobody looked at the finding {row['finding']} ({finding.get('kind', '')}) for more than {_time(seconds)}."
    return Drift(
        "lag.unseen",
        (row["finding"], str(row["opened"])),
        words,
        {"finding": row["finding"], "kind": finding.get("kind", ""), "area": finding.get("area", "")},
        observed="not looked at",
        expected=f"somebody looks within {_time(seconds)}",
        since=Since(row["opened"] + seconds * 1000, row["opened"] + seconds * 1000),
        entries=(finding["entry"],) if finding else (),
    )


def _time(seconds: int) -> str:
    for size, name in ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds % size == 0 and seconds >= size:
            count = seconds // size
            return f"{count} {name}" + ("" if count == 1 else "s")
    return f"{seconds} seconds"


# --- what people are shown -----------------------------------------------------------------------------------------


def required(core: Core, finding: str) -> Row:
    """Its row. Raises `UnknownFinding`."""
    row = core.ledger.row("finding", finding)
    if row is None:
        raise UnknownFinding(f"There is no finding {finding[:80]!r}.")
    return row


def view(core: Core, row: Row, viewer: Person | None = None) -> FindingView:
    """One as *viewer* is shown it."""
    full = {
        k: core.full(v)
        for k, v in row.items()
        if k in FindingView.__struct_fields__ and k not in ("life", "responses")
    }
    full["life"] = [{k: core.full(v) for k, v in step.items()} for step in row.get("life", ())]
    found = msgspec.convert({**full, "own": _own(core, row, viewer)}, FindingView)
    return replace(found, responses=responses.of_finding(core, row))


def _own(core: Core, row: Row, viewer: Person | None) -> str:
    if viewer is None:
        return ""
    if viewer.reads_only:
        return "You are an auditor: you read, and decide nothing."
    if finding_people.involved(core, row).includes(viewer.id, core.roster):
        return (
            "You have a part in what this finding is about: somebody else has to explain, accept or close it."
        )
    return ""


def views(core: Core, limit: int = 100, wanted: Wanted = EVERY) -> list[FindingView]:
    """Newest first. At most `MOST_LISTED` findings are looked through."""
    return [view(core, row) for row in listed(core, wanted, limit)]


def listed(core: Core, wanted: Wanted, limit: int) -> list[Row]:
    """The rows of `views`."""
    state = wanted.state if wanted.state in finding_life.STATES else None
    plain = wanted in (EVERY, Wanted(state=wanted.state)) and wanted.state != "unresolved"
    rows = core.ledger.rows("finding", state=state, limit=limit if plain else MOST_LISTED)
    return [row for row in rows if wanted.takes(row)][:limit]


def unresolved(core: Core) -> int:
    """How many findings ask something of people."""
    return core.ledger.count("finding-open")


def counts(core: Core) -> dict[str, int]:
    """How many findings there are in each state."""
    return {state: core.ledger.count("finding", state=state) for state in finding_life.STATES}


def unseen_count(core: Core) -> int:
    """Bad ones that nobody looked at yet."""
    return core.ledger.count("finding-unseen")
