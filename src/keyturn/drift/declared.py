"""What an action touches beyond what its instruction and the agent's own words name (taxonomy A10, "minimum necessary"). Pure.

Rules kept here:

- *Named* are paths, files and hosts that stand in the words; a folder covers what lies below it, a host its subdomains. A sentence that
  forbids names nothing: "do not touch /etc/passwd" declares no use of it.
- Words that name no file say nothing of files, and words that name no host say nothing of hosts: nothing is beyond them.
- Of what is touched only what matters is looked at: files with a label, changes outside of the work folder, and hosts of the network.
  Programs, temporary files and what an agent reads of its own work are its business.
- The words are not trusted: whoever names more is allowed no more. A rule that asks for `undeclared` can only be met by saying in
  advance, where a person reads it, what will be touched.

Linear in the words, of which `MAX_WORDS` characters are read. Source: HIPAA 45 CFR 164.502(b), minimum necessary; NIST SP 800-53r5 AC-6.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from posixpath import normpath

from msgspec import Struct

from keyturn.actions import Effect
from keyturn.drift.deontic import frame
from keyturn.drift.finding import Drift, Magnitude, Since
from keyturn.drift.sentences import sentences

MAX_WORDS = 20_000
MOST_NAMED = 500
MOST_SHOWN = 10

_CHANGES = frozenset(("writes", "deletes", "grants", "configures", "sends"))
_ELSEWHERE = frozenset(("system", "home", "outside"))
_FORBIDS = frozenset(("forbid", "soft_forbid", "negation", "no"))
_TOP = frozenset(
    ("bin", "boot", "etc", "home", "lib", "media", "mnt", "opt", "proc", "root", "run", "sbin", "srv", "sys", "usr", "var", "tmp")
)  # fmt: skip
_HOST_ENDS = (
    "com|org|net|io|dev|internal|local|corp|lan|cloud|app|example|test|eu|de|uk|us|ai|gov|edu|int|info|co"
)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,20}://(?:[^\s/@]{0,200}@)?([\w.-]{1,253})", re.IGNORECASE)
_HOST = re.compile(rf"(?:[\w-]{{1,63}}\.){{1,10}}(?:{_HOST_ENDS})(?::\d{{1,5}})?", re.IGNORECASE)
_PATH = re.compile(r"(?:~|\.{1,2})?(?:/[\w.@+*-]+)+/?|[\w.@+-]+(?:/[\w.@+*-]+)*", re.ASCII)
_FILE = re.compile(r"\.?[\w@+-][\w.@+-]*\.[A-Za-z][A-Za-z0-9]{0,7}|\.[a-z][\w-]+", re.ASCII)
_EDGES = "\"'`()[]{}<>,;:!?*"


class Named(Struct, frozen=True):
    """What words name: `roots` absolute paths, `tails` the ends of relative ones (`/report.csv`), `hosts` in lower case."""

    roots: frozenset[str] = frozenset()
    tails: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()

    @property
    def count(self) -> int:
        """How many things are named."""
        return len(self.roots) + len(self.tails) + len(self.hosts)

    def covers_path(self, path: str) -> bool:
        """Whether absolute *path* is named, or lies in a folder that is."""
        whole = _plain(path)
        under = (*_above(whole), whole)
        return any(one in self.roots for one in under) or any(
            one.endswith(tail) for tail in self.tails for one in under
        )

    def covers_host(self, host: str) -> bool:
        """Whether *host* is named, or a domain that it is in."""
        labels = host.lower().rstrip(".").split(".")
        return any(".".join(labels[place:]) in self.hosts for place in range(len(labels)))


NOTHING = Named()


def named(*texts: str) -> Named:
    """What *texts* name together; the first `MAX_WORDS` characters of each."""
    found = [_named(text[:MAX_WORDS]) for text in texts if text]
    return Named(
        frozenset[str]().union(*(one.roots for one in found)),
        frozenset[str]().union(*(one.tails for one in found)),
        frozenset[str]().union(*(one.hosts for one in found)),
    )


def beyond(names: Named, effects: Iterable[Effect]) -> tuple[Effect, ...]:
    """The effects that matter and touch what is not named, in their order; none of a sort of which nothing is named."""
    return tuple(effect for effect in effects if _is_beyond(names, effect))


def watched(effects: Iterable[Effect]) -> bool:
    """Whether anything of it matters, so that it can be beyond what words name."""
    return any(_is_file(effect) or _is_host(effect) for effect in effects)


def exceeded(
    agent: str,
    session: str,
    action: str,
    names: Named,
    effects: Sequence[Effect],
    over: Sequence[Effect],
    time: int,
    entry: int,
) -> Drift:
    """The finding: *over* of *effects* are beyond *names*."""
    more = tuple(dict.fromkeys(effect.what for effect in over))
    touched = {effect.what for effect in effects if _is_file(effect) or _is_host(effect)}
    said = sorted((*names.roots, *(tail.lstrip("/") for tail in names.tails), *names.hosts))
    shown = _list(more)
    return Drift(
        "scope.exceeded",
        (agent, session),
        f"An action of {agent} touches {shown}, which neither its instruction nor its own words name.",
        {"agent": agent, "session": session, "action": action, "object": more[0][:200]},
        observed=f"{len(touched)} touched, of these not named: {shown}",
        expected=f"{names.count} named: {_list(said)}",
        since=Since(time, time),
        magnitude=Magnitude(float(len(more)), 0.0, "targets that are not named"),
        entries=(entry,),
        cause="It does more than it was asked for, or the work grew and nobody said so.",
    )


def _is_beyond(names: Named, effect: Effect) -> bool:
    if _is_host(effect):
        return bool(names.hosts) and not names.covers_host(effect.what)
    return _is_file(effect) and bool(names.roots or names.tails) and not names.covers_path(effect.what)


def _is_host(effect: Effect) -> bool:
    return effect.zone == "network" and "/" not in effect.what


def _is_file(effect: Effect) -> bool:
    if not effect.what.startswith("/") or effect.verb == "executes" or effect.zone == "device":
        return False
    return bool(effect.labels) or (effect.verb in _CHANGES and effect.zone in _ELSEWHERE)


@lru_cache(maxsize=1024)
def _named(text: str) -> Named:
    roots: set[str] = set()
    tails: set[str] = set()
    hosts: set[str] = set()
    for sentence in sentences(text):
        if _FORBIDS & set(frame(sentence).marks):
            continue
        for word in sentence.text.split():
            if len(roots) + len(tails) + len(hosts) >= MOST_NAMED:
                break
            _word(word, roots, tails, hosts)
    return Named(frozenset(roots), frozenset(tails), frozenset(hosts))


def _word(word: str, roots: set[str], tails: set[str], hosts: set[str]) -> None:
    address = _SCHEME.search(word)
    if address is not None:
        hosts.add(address[1].lower().rstrip("."))
        return
    bare = word.strip(_EDGES).rstrip(".")
    bare = bare[:-2] if bare.endswith("'s") else bare
    if _HOST.fullmatch(bare.rpartition("@")[2]):
        hosts.add(bare.rpartition("@")[2].partition(":")[0].lower())
        return
    if not _PATH.fullmatch(bare):
        return
    path, last = _plain(bare), bare.rstrip("/").rpartition("/")[2]
    if bare.startswith("/"):
        if path.count("/") > 1 or path[1:] in _TOP:
            roots.add(path)
    elif bare.startswith(("~/", "./", "../")) or _FILE.fullmatch(last):
        tail = "/" + path.lstrip("~./") if not bare.startswith(".") or "/" in bare else f"/{path}"
        tails |= {tail} if tail != "/" else set()


def _plain(path: str) -> str:
    """*path* without its pattern's end, `.`, `..` and doubled slashes."""
    bare = normpath(path)
    while bare.endswith(("/*", "/**")):
        bare = bare.rpartition("/")[0]
    return "/" + bare.lstrip("/") if path.startswith("/") else bare


def _above(path: str) -> list[str]:
    """The folders that *path* lies in, but for the root."""
    parts = path.split("/")[1:]
    return ["/" + "/".join(parts[:length]) for length in range(1, len(parts))]


def _list(words: Sequence[str]) -> str:
    rest = f" and {len(words) - MOST_SHOWN} more" if len(words) > MOST_SHOWN else ""
    return ", ".join(word[:200] for word in words[:MOST_SHOWN]) + rest


__all__ = ["MAX_WORDS", "NOTHING", "Named", "beyond", "exceeded", "named", "watched"]
