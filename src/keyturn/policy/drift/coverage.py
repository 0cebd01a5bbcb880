"""`[coverage.NAME]`: a target whose own log is compared with the ledger.

    [coverage.db-prod]
    source = "pgaudit"                  # whose log: pgaudit, auditd, cloudtrail, kubernetes, github, jsonl
    target = "db-prod"                  # as actions name it; NAME without it
    principals = ["agent_rw"]           # the credentials of agents there; without it those that are seen with tags
    tagging = "required"                # auto: as soon as one tag is right; none: only counts are compared
    quiet = "30m"                       # this long after an action its line has to be known

Rules kept here:

- What is said here holds for every reconciliation of the target, and can't be said otherwise on a command line: who reconciles
  must not be able to leave out whom they like.
"""

from __future__ import annotations

from typing import Literal, cast

from msgspec import Struct

from keyturn.policy.requirements.part import Part

Tagging = Literal["auto", "required", "none"]
"""Whether agents tag on a target. `auto`: they do as soon as one tag of theirs is right."""

SOURCES = ("pgaudit", "auditd", "cloudtrail", "kubernetes", "github", "jsonl")
TAGGING = ("auto", "required", "none")
QUIET_SECONDS = 3600


class Covered(Struct, frozen=True):
    """One target under comparison. `quiet` is in seconds."""

    name: str
    source: str
    target: str
    principals: tuple[str, ...] = ()
    tagging: Tagging = "auto"
    quiet: int = QUIET_SECONDS


def read_coverage(part: Part) -> tuple[Covered, ...]:
    """All `[coverage.NAME]`."""
    found: dict[tuple[str, str], Covered] = {}
    for one in part.named():
        one.known("source", "target", "principals", "tagging", "quiet")
        covered = Covered(
            name=one.name,
            source=one.choice("source", SOURCES, ""),
            target=one.text("target", one.name),
            principals=one.texts("principals"),
            tagging=cast("Tagging", one.choice("tagging", TAGGING, "auto")),
            quiet=one.seconds("quiet", QUIET_SECONDS),
        )
        if (covered.source, covered.target) in found:
            one.wrong(one.name, f"{covered.target} is covered by {covered.source} twice")
        found[covered.source, covered.target] = covered
    return tuple(found.values())


__all__ = ["SOURCES", "TAGGING", "Covered", "Tagging", "read_coverage"]
