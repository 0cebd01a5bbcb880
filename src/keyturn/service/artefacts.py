"""Files that agents made of labelled data: their clocks, what is overdue, and who says that one is gone.

The rules are `keyturn.drift.retention`'s. What is written and deleted is seen in the log: when an action's permit is used, and when
its receipt says that it was done.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from msgspec import Struct

from keyturn import canonical
from keyturn.actions import Action, Reading
from keyturn.drift import retention
from keyturn.drift.finding import Drift
from keyturn.drift.retention import Artefact
from keyturn.errors import ExitCode, KeyturnError, Malformed, NotFound
from keyturn.identity import Person
from keyturn.ledger.entries import MAX_FIELD_BYTES, Draft, Entry, Rows
from keyturn.policy.drift.retention import Retention
from keyturn.service import legal_holds
from keyturn.service.core import Core, NoPolicy
from keyturn.service.following import Follower, Noted
from keyturn.service.starting import reading_of

MOST_KEPT = 5_000
"""Artefacts that are looked at when one action deletes a folder."""
MOST_DUE = 500
"""Artefacts whose end is looked at in one turn; the next turn takes the others."""
MAX_WHY = 2_000
MOST_ONCE = 200
"""Characters of a path that names what is recorded once; a longer one, or one that can't be printed, does by its digest."""

State = Literal["kept", "overdue", "gone"]


class UnknownArtefact(NotFound):
    """There is no such artefact."""

    code = "artefact.unknown"


class ArtefactGone(KeyturnError):
    """The artefact is gone already."""

    code = "artefact.gone"
    status = 409
    exit_code = ExitCode.USAGE
    not_done = "Nothing was recorded."
    next_step = "`keyturn artefact list --all` shows when and how it went."


class Unexplained(Malformed):
    """Saying that an artefact is gone needs a reason."""

    code = "artefact.unexplained"
    not_done = "Nothing was recorded."
    next_step = "Say how you know: `--why 'deleted with the build folder'`."


class ArtefactView(Struct, frozen=True):
    """One file made of labelled data. Times in milliseconds since 1970. `ended` is how it went: `action`, `attested` or `scan`."""

    id: str
    state: State
    path: str
    rule: str
    labels: tuple[str, ...]
    agent: str
    session: str | None
    action: str
    written: int
    due: int
    entry: int
    source: str = ""
    gone: int | None = None
    ended: str = ""
    by: str = ""
    why: str = ""
    finding: str = ""
    on_hold: bool = False


class Retaining(Follower):
    """Starts clocks, stops them, and says what is overdue."""

    name = "retention"
    reads = frozenset(("permit.consumed", "action.receipt"))

    def landed(self, entry: Entry) -> Sequence[Noted]:
        """An action began, or was done."""
        rules = rules_of(self.core)
        if entry.type == "permit.consumed" and rules:
            return list(_began(self.core, rules, entry.fields["action"], entry))
        if entry.type == "action.receipt" and entry.fields["outcome"] == "done":
            return list(_done(self.core, entry))
        return ()

    def tick(self, now: int) -> Sequence[Noted]:
        """What is overdue."""
        holds = legal_holds.standing(self.core)
        late: list[Drift] = []
        before: tuple[int, str] | None = None
        while len(late) < MOST_DUE:  # whatever a hold covers is passed by, so that it hides nothing behind it
            page = self.core.ledger.rows(
                "artefact", state="kept", newest_first=False, limit=MOST_DUE, before=before
            )
            ended = [row for row in page if row["due"] <= now]
            free = [
                row for row in ended if retention.is_overdue(row["due"], now, legal_holds.cover(holds, row))
            ]
            late += [_overdue(self.core, row) for row in free]
            if len(ended) < len(page) or not page:
                break
            before = (page[-1]["due"], page[-1]["id"])
        return late[:MOST_DUE]


def rules_of(core: Core) -> dict[str, Retention]:
    """The policy's retention rules; none without a policy."""
    try:
        return dict(core.policy.drift.retention)
    except NoPolicy:
        return {}


def _began(core: Core, rules: dict[str, Retention], action: str, entry: Entry) -> Iterator[Noted]:
    row = core.ledger.row("action", action)
    if row is None or row["session"] is None:
        return
    reading = reading_of(core, action)
    session = row["session"]
    before = (core.ledger.row("session-labels", session) or {"labels": []})["labels"]
    sources = [one for path in retention.paths(reading, "reads") for one in _kept_at(core, path)]
    for artefact in retention.made(reading, rules, sources, before, entry.time):
        fields = {
            "id": core.id("x"),
            "path": _named(artefact.path),
            "rule": artefact.rule,
            "labels": list(artefact.labels),
            "made": entry.time,
            "due": artefact.due,
            "source": artefact.of,
            "action": action,
            "agent": _agent_of(core, session),
        }
        path = artefact.path
        known = path if len(path) <= MOST_ONCE and path.isprintable() else canonical.digest(path)
        once = f"artefact.written:{action}:{artefact.rule}:{known}"
        yield Draft("artefact.written", fields, session=session, once=once)
    relevant = {label for rule in rules.values() if rule.after == "session" for label in rule.labels}
    new = retention.labels_read(reading).intersection(relevant).difference(before)
    if new:
        yield Draft(
            "session.labelled",
            {"labels": sorted(new), "action": action},
            session=session,
            once=f"session.labelled:{action}",
        )


def _named(path: str) -> str:
    """*path*, or the folder above it that can be named in an entry: under a longer name nothing would be found again."""
    while len(canonical.dumps(path)) > MAX_FIELD_BYTES:
        path = path.rpartition("/")[0]
    return path or "/"


def _kept_at(core: Core, path: str) -> Iterator[Artefact]:
    for identity in (core.ledger.row("artefact-path", path) or {"artefacts": {}})["artefacts"]:
        row = core.ledger.row("artefact", identity)
        if row is not None:
            yield Artefact(row["path"], row["rule"], tuple(row["labels"]), row["due"], row["source"])


def _agent_of(core: Core, session: str) -> str:
    agent: dict[str, Any] = core.full((core.ledger.row("session", session) or {}).get("agent") or {})
    return str(agent.get("name", ""))


def _done(core: Core, entry: Entry) -> Iterator[Noted]:
    if entry.fields.get("exit_code") not in (0, None) or not core.ledger.count("artefact"):
        return
    reading = reading_of(core, entry.fields["action"])
    if not retention.paths(reading, "deletes"):
        return
    kept = [*_listed(core, "kept"), *_listed(core, "overdue")]
    deleted = set(retention.gone(reading, (row["path"] for row in kept)))
    for row in kept:
        if row["path"] in deleted and row["written"] <= entry.time:
            fields = {"artefact": row["id"], "how": "action", "action": entry.fields["action"]}
            yield Draft(
                "artefact.deleted", fields, session=entry.session, once=f"artefact.deleted:{row['id']}"
            )


def _listed(core: Core, state: State) -> list[dict[str, Any]]:
    return core.ledger.rows("artefact", state=state, newest_first=False, limit=MOST_KEPT)


def _overdue(core: Core, row: dict[str, Any]) -> Drift:
    rule = rules_of(core).get(row["rule"])
    keep = f"deleted {(row['due'] - row['written']) // 3_600_000} hours after it was written (rule {row['rule']})"
    if rule is not None and rule.because:
        keep += f": {rule.because}"
    artefact = Artefact(row["path"], row["rule"], tuple(row["labels"]), row["due"], row["source"])
    return retention.overdue(
        row["id"], artefact, row["written"], row["agent"], row["session"] or "", row["action"], keep
    )


def overdue_paths(core: Core, action: Action, reading: Reading) -> dict[str, Any]:
    """The fact `overdue`: files that the action touches, other than by deleting them, whose time is over."""
    if not reading.steps or not core.policy.drift.retention:
        return {}
    now, found = core.now(), []
    for path in dict.fromkeys(
        e.what for e in reading.effects if e.verb != "deletes" and e.what.startswith("/")
    ):
        there = core.ledger.row("artefact-path", path)
        late = [one for one, due in there["artefacts"].items() if due <= now] if there else []
        holds = legal_holds.standing(core) if late else ()
        if any(not legal_holds.cover(holds, core.ledger.row("artefact", one) or {}) for one in late):
            found.append(path)
    return {"overdue": tuple(found)} if found else {}


async def attest(core: Core, artefact: str, person: Person, why: str, how: str = "attested") -> ArtefactView:
    """*person* says that the file is gone. Raises `UnknownArtefact`, `ArtefactGone`, `Unexplained`."""
    why = why.strip()[:MAX_WHY]
    if not why:
        raise Unexplained("Without a reason nobody can tell later how you knew.")

    def plan(rows: Rows) -> Sequence[Draft]:
        row = rows.row("artefact", artefact)
        if row is None:
            raise UnknownArtefact(f"There is no artefact {artefact[:80]}.")
        if row["state"] == "gone":
            raise ArtefactGone(f"The artefact {artefact} is gone already.")
        fields = {"artefact": artefact, "how": how, "by": person.id, "why": why}
        return [Draft("artefact.deleted", fields, once=f"artefact.deleted:{artefact}")]

    await core.ledger.append(plan)
    return view(core, artefact)


def views(core: Core, states: Iterable[State] = ("overdue", "kept"), limit: int = 1000) -> list[ArtefactView]:
    """Those in one of *states*: the next to end first."""
    holds = legal_holds.standing(core)
    rows = [
        row
        for state in states
        for row in core.ledger.rows("artefact", state=state, newest_first=state == "gone", limit=limit)
    ]
    return [_view(row, legal_holds.cover(holds, row)) for row in rows[:limit]]


def view(core: Core, artefact: str) -> ArtefactView:
    """One. Raises `UnknownArtefact`."""
    row = core.ledger.row("artefact", artefact)
    if row is None:
        raise UnknownArtefact(f"There is no artefact {artefact[:80]}.")
    return _view(row, legal_holds.cover(legal_holds.standing(core), row))


def _view(row: dict[str, Any], on_hold: bool) -> ArtefactView:
    ended = row.get("ended") or {}
    return ArtefactView(
        id=row["id"],
        state=row["state"],
        path=row["path"],
        rule=row["rule"],
        labels=tuple(row["labels"]),
        agent=row["agent"],
        session=row["session"],
        action=row["action"],
        written=row["written"],
        due=row["due"],
        entry=row["entry"],
        source=row["source"],
        gone=row.get("gone"),
        ended=ended.get("how", ""),
        by=ended.get("by", ""),
        why=ended.get("why", ""),
        finding=row.get("finding", ""),
        on_hold=on_hold,
    )


__all__ = ["ArtefactView", "Retaining", "attest", "overdue_paths", "view", "views"]
