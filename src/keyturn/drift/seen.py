"""The events of a comparison as they are kept: who did each, when, and what stands behind it. No values, and no text of a statement.

Rules kept here:

- Each event is kept once, bypasses first, up to `MOST`; of further ones how many there were for each account. So a run over a large
  log stays small enough to be recorded, and every event counts.
- A statement is the digest of its form. What a tag said that was not made here is not kept: somebody else wrote it.
- Rows come back in the order in which events were kept: the same entry gives the same rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from msgspec import Struct

from keyturn.drift.matching import Outcome

MOST = 100_000
"""Events of one run that are kept one by one."""
COUNTED = "counted"
"""How those beyond `MOST` are told that something stands behind."""
_ACCOUNTED = ("tagged", "in_session", "matched")

Kept = dict[str, Any]


class Seen(Struct, frozen=True):
    """One kept event, or `count` of them. `how`: tagged, in_session, matched, counted (all four: accounted for), within; untagged,
    unknown_tag, surplus.

    `time` is in milliseconds by the target's clock; `statement` a digest, empty where the form is not known; `rows` None where the log
    does not say.
    """

    how: str
    time: int
    credential: str
    line: str = ""
    action: str = ""
    session: str = ""
    agent: str = ""
    statement: str = ""
    rows: int | None = None
    count: int = 1


class _Names:
    """Texts that come again and again, each kept once."""

    def __init__(self) -> None:
        self.texts: dict[str, int] = {}

    def place(self, text: str) -> int:
        return self.texts.setdefault(text, len(self.texts)) if text else -1


def kept(outcome: Outcome, agents: Mapping[str, str], most: int = MOST) -> Kept:
    """What is kept of *outcome*; *agents* is session → name of its agent."""
    principals, sessions, statements = _Names(), _Names(), _Names()
    events: list[list[int | str]] = []
    rest: Counter[tuple[str, int]] = Counter()
    parts = [(one.event, str(one.kind), "", "") for one in outcome.bypasses]
    parts += [(one.event, str(one.how), one.action, one.session) for one in outcome.accounts]
    for event, how, action, session in parts:
        who = principals.place(event.principal)
        if len(events) >= most:
            rest[COUNTED if how in _ACCOUNTED else how, who] += 1
            continue
        said = sha256(event.fingerprint.encode()).hexdigest()[:32] if event.fingerprint else ""
        place = sessions.place(session)
        events.append([event.time, event.index, who, how, action, place, statements.place(said), event.rows])
    last = max((one[0].time for one in parts), default=0)
    surplus = [
        [one.earliest, principals.place(one.principals[0] if len(one.principals) == 1 else ""), one.count]
        for one in outcome.surplus
    ]
    return {
        "principals": list(principals.texts),
        "sessions": [[session, agents.get(session, "")] for session in sessions.texts],
        "statements": list(statements.texts),
        "events": events,
        "surplus": surplus,
        "rest": [[last, how, who, count] for (how, who), count in sorted(rest.items())],
    }


def given_back(found: Kept) -> Iterator[Seen]:
    """The events that *found* keeps."""
    principals, statements = [*found["principals"], ""], [*found["statements"], ""]
    sessions = [*found["sessions"], ("", "")]
    for time, line, who, how, action, place, said, rows in found["events"]:
        session, agent = sessions[place]
        yield Seen(
            how,
            time,
            principals[who],
            str(line),
            action,
            session,
            agent,
            statements[said],
            rows if rows >= 0 else None,
        )
    for time, who, count in found["surplus"]:
        yield Seen("surplus", time, principals[who], count=count)
    for time, how, who, count in found["rest"]:
        yield Seen(how, time, principals[who], count=count)


__all__ = ["COUNTED", "MOST", "Kept", "Seen", "given_back", "kept"]
