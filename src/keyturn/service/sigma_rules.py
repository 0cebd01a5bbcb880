"""Sigma rules that lie in the home's folder `sigma` are held against every action as it lands; a match is a finding.

The folder is read at the start and again when a file in it changed; a rule that can't be used is logged by name, the others count.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from keyturn.drift import sigma
from keyturn.drift.finding import Drift
from keyturn.ledger.entries import Entry
from keyturn.service.core import BlobMissing, Core
from keyturn.service.following import Follower, Noted

log = logging.getLogger("keyturn.drift")

MOST_BYTES = 1_000_000
"""Of one file of rules."""


def files_in(places: Sequence[Path]) -> dict[str, str]:
    """{name: text} of the rules at *places*: files, or folders with `.yml` and `.yaml` below. Raises `OSError`."""
    found: dict[str, str] = {}
    for place in places:
        paths = (
            sorted(one for one in place.rglob("*") if one.suffix in (".yml", ".yaml"))
            if place.is_dir()
            else [place]
        )
        for path in paths:
            data = path.read_bytes()
            if len(data) <= MOST_BYTES:
                found[str(path)] = data.decode("utf-8", "replace")
    return found


def drift(rule: sigma.SigmaRule, entry: Entry) -> Drift:
    """The finding of a match."""
    agent = (entry.fields.get("agent") or {}).get("name", "")
    by = f", by {rule.author}" if rule.author else ""
    return Drift(
        "sigma.match",
        (rule.id or rule.title, agent),
        f"An action of {agent} matches the Sigma rule “{rule.title}”{by}.",
        {"agent": agent, "action": entry.fields.get("id", ""), "object": rule.id or rule.title},
        observed=str(entry.fields.get("sentence", ""))[:300],
        expected=f"No action matches the rule {rule.id or rule.title} (level {rule.level}).",
        entries=(entry.index,),
        severity=sigma.LEVELS.get(rule.level.lower(), "medium"),
    )


class SigmaFollower(Follower):
    """Holds every action against the rules."""

    name = "sigma"
    reads = frozenset(("action.decided",))

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._folder = core.recordings.parent / "sigma" if core.recordings is not None else None
        self._seen: tuple[tuple[str, int], ...] = ()
        self.rules: list[sigma.SigmaRule] = []
        self._load()

    def landed(self, entry: Entry) -> Sequence[Noted]:
        """An action was decided on."""
        if entry.type != "action.decided" or not self.rules:
            return ()
        try:
            fields = {name: self.core.full(value) for name, value in entry.fields.items()}
        except BlobMissing:
            return ()
        return [drift(rule, entry) for rule in sigma.matching(self.rules, fields)]

    def tick(self, now: int) -> Sequence[Noted]:
        """The rules may have changed."""
        self._load()
        return ()

    def _load(self) -> None:
        if self._folder is None or not self._folder.is_dir():
            self.rules = []
            return
        try:
            stamps = tuple(
                sorted((str(path), path.stat().st_mtime_ns) for path in self._folder.rglob("*.y*ml"))
            )
            if stamps == self._seen:
                return
            self._seen = stamps
            self.rules, refused = sigma.read(files_in([self._folder]))
        except (OSError, sigma.NoSigma) as error:
            log.warning("Sigma rules are not used: %s", error)
            return
        for one in refused:
            log.warning("the Sigma rule %s in %s is not used: %s", one.title, one.file, one.why)


__all__ = ["SigmaFollower", "drift", "files_in"]
