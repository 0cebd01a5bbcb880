"""Grants: how far people let one approved action go. Pure: a grant, a use of it and the clock in; covered or why not out.

Rules kept here (design §1, promises 4 and 6):

- A grant is for these bytes, this agent, this gate and this human; where an approver said so, or nobody knows who asked, for this
  session only. The digest covers policy and definition, so another version of either ends it. Source: NIST SP 800-53r5 AC-3(2).
- With several approvers it goes as far as *all* of them said: the shortest time, the fewest uses, the session if anybody said so.
  One who approved once makes it once.
- Policy's limit cuts what people say. What policy asks of people when it is used must be what these people gave then.
- Separation of duties holds when it is used, over the roster of then: whoever was removed, left the group or turned out to be the
  human who asks no longer counts, and with fewer than required it covers nothing. Source: AC-5, AC-2.
- Ended from the instant `ends_ms` on (RFC 7519 §4.1.4 draws the same boundary); revoked is revoked; nothing makes it longer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import reduce

from msgspec import Struct
from msgspec.structs import replace

from keyturn.approvals.errors import GrantTooLong, InvalidGrant
from keyturn.approvals.request import Approval, Escalated, RequestState
from keyturn.approvals.standing import complete, standing
from keyturn.identity import Roster
from keyturn.requirement import parse_requirement

MAX_SECONDS = 24 * 3600
"""No grant is longer, whatever policy and people say."""
MIN_SECONDS = 60
MAX_USES = 1_000
"""A limit of uses is at most this; without one, time is the limit."""

_TEXT = re.compile(r"([1-9][0-9]{0,6})s( session)?(?: ([1-9][0-9]{0,3}) uses)?", re.ASCII)


class Wish(Struct, frozen=True):
    """How far one person lets it go: for `seconds` (0: once), in this `session` only, at most `uses` times (0: no limit)."""

    seconds: int = 0
    session: bool = False
    uses: int = 0

    @property
    def once(self) -> bool:
        """Whether nothing but this one run is meant."""
        return self.seconds == 0

    def __str__(self) -> str:
        """The one text of this wish, as statements sign it: `once`, `600s`, `600s session`, `600s session 3 uses`."""
        if self.once:
            return "once"
        return (
            f"{self.seconds}s{' session' if self.session else ''}{f' {self.uses} uses' if self.uses else ''}"
        )


ONCE = Wish()


def parse_wish(text: str) -> Wish:
    """The wish that *text* is the text of; empty is once. Raises `InvalidGrant`."""
    if text in ("", "once"):
        return ONCE
    found = _TEXT.fullmatch(text)
    if found is None:
        raise InvalidGrant(
            f"{text[:60]!r} does not say for how long: `once`, or `600s`, `600s session`, `600s session 3 uses`."
        )
    wish = Wish(int(found[1]), found[2] is not None, int(found[3] or 0))
    if not MIN_SECONDS <= wish.seconds <= MAX_SECONDS:
        raise InvalidGrant(
            f"A grant lasts from {MIN_SECONDS} to {MAX_SECONDS:,} seconds, not {wish.seconds:,}."
        )
    if wish.uses > MAX_USES:
        raise InvalidGrant(f"A grant's limit is at most {MAX_USES:,} uses, not {wish.uses:,}.")
    return wish


def narrower(a: Wish, b: Wish) -> Wish:
    """The most that both allow."""
    if a.once or b.once:
        return ONCE
    limits = [uses for uses in (a.uses, b.uses) if uses]
    return Wish(min(a.seconds, b.seconds), a.session or b.session, min(limits, default=0))


def narrowest(wishes: Iterable[Wish]) -> Wish:
    """The most that all allow; of nobody, once."""
    given = list(wishes)
    return reduce(narrower, given) if given else ONCE


def limit(most: int, tier: str) -> int:
    """Most seconds of a grant for an action of risk *tier*, where policy says *most*; 0: once only."""
    return 0 if tier == "critical" else max(0, min(most, MAX_SECONDS))


def check_wish(wish: Wish, most: int, why_once: str = "") -> None:
    """Raises `GrantTooLong` for more than *most* seconds (0: once only): nobody is given less than they said without hearing of it."""
    if wish.once or wish.seconds <= most:
        return
    if most == 0:
        raise GrantTooLong(why_once or "Policy lets this be approved once only.", most=0)
    raise GrantTooLong(
        f"Policy lets this be granted for {most:,} seconds at most, not {wish.seconds:,}.", most=most
    )


class Grant(Struct, frozen=True):
    """An open grant. `session` is empty where it holds in any session of the same agent, gate and human.

    `requires` is the requirement's text, `approvers` who met it, in order; `asks` a digest of all that policy asked of people.
    `chains`: for whom each of the approvers stood in, none for themselves; `escalated`: groups that might fill a layer, too.
    """

    id: str
    digest: str
    policy: str
    agent: str
    gate: str
    session: str
    initiator: str | None
    initiator_uid: int | None
    owner: str | None
    requires: str
    asks: str
    approvers: tuple[str, ...]
    opened_ms: int
    ends_ms: int
    uses: int = 0
    used: int = 0
    revoked: bool = False
    chains: tuple[tuple[str, ...], ...] = ()
    escalated: tuple[tuple[str, int], ...] = ()


class Use(Struct, frozen=True):
    """An action that is asked for while a grant may be open. Fields as in `Grant`; `parties` and `party_uids` as in `RequestState`."""

    digest: str
    policy: str
    agent: str
    gate: str
    session: str
    initiator: str | None
    initiator_uid: int | None
    owner: str | None
    asks: str
    parties: tuple[str, ...] = ()
    party_uids: tuple[int, ...] = ()


def ended(grant: Grant, now_ms: int) -> str:
    """Why *grant* covers nothing any more, whatever is asked; empty while it is open."""
    if grant.revoked:
        return "it was revoked"
    if now_ms >= grant.ends_ms:
        return "its time is over"
    if grant.uses and grant.used >= grant.uses:
        return "it was used as often as it may be"
    return ""


def refusal(grant: Grant, use: Use, roster: Roster, now_ms: int) -> str:
    """Why *grant* does not cover *use* now; empty when it does."""
    over = ended(grant, now_ms)
    if over:
        return over
    for name, words in _BOUND.items():
        if getattr(grant, name) != getattr(use, name):
            return words
    if grant.session and grant.session != use.session:
        return "it is for another session"
    if not grant.session and use.initiator is None:
        return "nobody knows who asks"
    return (
        ""
        if _still_met(grant, use, roster)
        else "fewer of those who approved may still approve it than it needs"
    )


_BOUND = {
    "digest": "it is for other bytes",
    "policy": "it was given under another policy",
    "agent": "it is for another agent",
    "gate": "it is for another gate",
    "initiator": "it is for somebody else's agent",
    "initiator_uid": "it is for another account",
    "owner": "the agent has another owner",
    "asks": "policy now asks something else of people",
}
"""What must be as it was approved, and the words when it isn't."""


def _still_met(grant: Grant, use: Use, roster: Roster) -> bool:
    """Whether the approvers, as the roster is now, are still enough distinct people who had no other part in it."""
    state = RequestState(
        id=grant.id,
        digest=grant.digest,
        display="",
        requirement=parse_requirement(
            grant.requires
        ),  # as it was met: with one more for an unknown initiator already
        opened_ms=grant.opened_ms,
        expires_ms=grant.ends_ms,
        initiator=use.initiator,
        initiator_uid=use.initiator_uid,
        owner=use.owner,
        parties=use.parties,
        party_uids=use.party_uids,
        escalated=tuple(Escalated(to, order, grant.opened_ms) for to, order in grant.escalated),
    )
    chains = grant.chains or ((),) * len(grant.approvers)
    given = tuple(
        Approval(person, "approve", "", "click", grant.opened_ms, chain)
        for person, chain in zip(grant.approvers, chains, strict=True)
    )
    return complete(standing(replace(state, approvals=given), roster), state)
