"""Where a secret goes after an agent wrote it to a file (taxonomy G2, lineage). Pure; secrets are their keyed digests only.

Rules kept here:

- A file holds the secrets of the action that wrote it, once that action began. What copies or moves such a file makes another one.
- It holds them until an action deletes the file, or a folder above it. Writing it again is no proof that they are gone.
- The session that wrote a secret knows it anyway: that it reads its own file is no news. News is that *another* session read or ran
  the file (a child of the first is told apart), that anybody sent it, and that the secret comes up in another session's action.
- A file is read by its name; a folder above it counts only where the folder is sent, because `ls -R` and `grep -r` are no use of it.

Source: NIST SP 800-53r5 IA-5(7) (no embedded unencrypted static authenticators), AC-4 (information flow).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct

from keyturn.actions import Reading
from keyturn.drift.finding import Drift, Since
from keyturn.drift.retention import covers, files_written, gone, paths

Secret = tuple[str, str]
"""(kind, keyed digest)."""
How = Literal["read", "sent", "came up"]

COPIERS = frozenset(
    ("cp", "mv", "install", "cat", "tee", "dd", "rsync", "scp", "ln", "tar", "zip", "gzip", "base64", "xxd", "sort", "head", "tail")
)  # fmt: skip
"""Programs that give a file's content on. Others read many files and write what they make of them."""
MOST_SECRETS = 10
"""Secrets that are known of one file."""
MOST_FILES = 20
"""Files of one action."""
MOST_PATH = 500


class Held(Struct, frozen=True):
    """A file with secrets in it: who wrote it. `entry` is the ledger's index of the action that did, `written` its time (milliseconds)."""

    path: str
    secrets: tuple[Secret, ...]
    agent: str
    session: str
    action: str
    entry: int
    written: int
    source: str = ""


class Use(Struct, frozen=True):
    """What somebody did with a held file, or with a secret that is in one."""

    how: How
    held: Held
    secret: Secret


class Actor(Struct, frozen=True):
    """Who acts: `parents` are the sessions that it was started from."""

    agent: str
    session: str
    parents: tuple[str, ...]
    action: str
    entry: int
    time: int


def written(
    reading: Reading, secrets: Sequence[Secret], sources: Iterable[Held]
) -> list[tuple[str, tuple[Secret, ...], str]]:
    """(path, its secrets, the file that it is a copy of) of what an action with this *reading* wrote. *sources* are those it reads."""
    files = [path for path in files_written(reading) if len(path) <= MOST_PATH][:MOST_FILES]
    found: dict[str, tuple[tuple[Secret, ...], str]] = {}
    for path in files:
        own, source = list(secrets), ""
        for held in sources if _copies(reading) else ():
            if held.path != path:
                own, source = [*own, *held.secrets], held.path
        kept = tuple(dict.fromkeys(own))[:MOST_SECRETS]
        if kept:
            found[path] = (kept, source)
    return [(path, kept, source) for path, (kept, source) in found.items()]


def _copies(reading: Reading) -> bool:
    return any(step.program in COPIERS for step in reading.steps)


def removed(reading: Reading, held: Iterable[str]) -> tuple[str, ...]:
    """Which of the paths *held* it deleted (or moved away)."""
    return gone(reading, held)


def touched(reading: Reading, held: Iterable[str]) -> tuple[str, ...]:
    """Which of the paths *held* it reads or runs; where it sends, also those in folders that it reads."""
    used = {*paths(reading, "reads"), *paths(reading, "executes")}
    if sends(reading):
        return tuple(path for path in held if any(covers(one, path) for one in used))
    return tuple(path for path in held if path in used)


def sends(reading: Reading) -> bool:
    """Whether something of it leaves."""
    return any(effect.verb == "sends" for effect in reading.effects)


def uses(
    reading: Reading, who: Actor, files: Iterable[Held], secrets: Sequence[Secret], known: Iterable[Held]
) -> list[Use]:
    """What *who* did with *files* (those it touched), and with *secrets* of its own text that are in the *known* files."""
    found: list[Use] = []
    for held in files:
        if sends(reading):
            found += [Use("sent", held, one) for one in held.secrets]
        elif held.session != who.session:
            found += [Use("read", held, one) for one in held.secrets]
    own = {digest for _, digest in secrets}  # the kind is what the rule was called that found it
    for held in known:
        if held.session != who.session:
            found += [Use("came up", held, one) for one in held.secrets if one[1] in own]
    return found


def drift(use: Use, who: Actor, hosts: Sequence[str] = ()) -> Drift:
    """The finding. *hosts* are those to which it was sent."""
    held, (kind, digest) = use.held, use.secret
    path = held.path[:MOST_PATH]
    whose = _whose(held, who)
    to = f" to {', '.join(hosts[:3])}" if hosts else ""
    said = {
        "read": f"{who.agent} read {path}, into which {whose} had written a secret ({kind}).",
        "sent": f"{who.agent} sent {path}{to}, into which {whose} had written a secret ({kind}).",
        "came up": f"In an action of {who.agent} stands what {whose} had written to {path}: a secret ({kind}).",
    }[use.how]
    return Drift(
        "secret.spread",
        (digest, path, who.agent, use.how),
        said,
        {
            "agent": who.agent,
            "session": who.session,
            "action": who.action,
            "secret": digest,
            "secret_kind": kind,
            "path": path,
            "of_session": held.session,
            "of_agent": held.agent,
        },
        observed=f"{use.how}{to} by {_relation(held, who)}",
        expected="a secret that was written to a file is read by nobody else, and is deleted",
        since=Since(held.written, who.time),
        entries=(held.entry, who.entry),
        cause=f"{held.agent} wrote {held.source or path} with a secret in it.",
        severity="critical" if use.how == "sent" else None,
    )


def _whose(held: Held, who: Actor) -> str:
    if held.session == who.session:
        return "it"
    return "the session above it" if held.session in who.parents else f"another session of {held.agent}"


def _relation(held: Held, who: Actor) -> str:
    if held.session == who.session:
        return "the session that wrote it"
    return "a child of the session that wrote it" if held.session in who.parents else "another session"


__all__ = ["Actor", "Held", "Secret", "Use", "drift", "removed", "sends", "touched", "uses", "written"]
