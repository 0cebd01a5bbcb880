"""What a change of the roster gives somebody. Pure: a person before and after in, sentences out.

Rules kept here:

- Whoever gives somebody the power to decide could decide through them (promise 6). So a change that gives a group, a role that writes, an
  account to act or sign in with, or takes a tie between two accounts away, *gains*; another administrator has to approve it.
- Taking power away never gains: stopping is never harder than letting go. The role `auditor` takes power away.
  Source: NIST SP 800-53r5 AC-5 (separation of duties), AC-6(7) (review of privileges), AC-3(2) (dual authorization).
"""

from __future__ import annotations

from collections.abc import Iterator

from keyturn.identity.people import Person

_ROLES = {"admin": "is an administrator", "author": "may propose policies"}


def gains(before: Person | None, after: Person) -> tuple[str, ...]:
    """What *after* has that *before* (None: nobody yet) had not, in words for who approves it. Empty when nothing."""
    return tuple(_gains(before or Person(after.id, roles=()), after))


def _gains(old: Person, new: Person) -> Iterator[str]:
    for group in sorted(set(new.groups) - set(old.groups)):
        yield f"counts for {group}"
    for role in sorted(set(new.roles) - set(old.roles)):
        if role in _ROLES:
            yield _ROLES[role]
    if "auditor" in old.roles and "auditor" not in new.roles:
        yield "is no longer an auditor, who only reads"
    if set(new.os_uids) != set(old.os_uids):
        named = ", ".join(map(str, sorted(new.os_uids))) or "none"
        yield f"acts as the operating-system accounts {named} (before: {', '.join(map(str, sorted(old.os_uids))) or 'none'})"
    for account in sorted(set(new.accounts) - set(old.accounts)):
        yield f"signs in as {account}"
    for account in sorted(set(old.accounts) - set(new.accounts)):
        yield f"no longer signs in as {account}"
    for account in sorted(set(old.former) - set(new.former) - set(new.accounts)):
        yield f"does not count as the same person any more as whoever has {account}: that was a mistake"
    if old.removed and not new.removed:
        yield "is back on the roster"
