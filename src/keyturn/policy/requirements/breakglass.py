"""`[breakglass]`: who may release a held request alone, in an emergency, and who reviews that.

    [breakglass]
    people = ["dana"]
    groups = ["oncall"]
    assurance = "signed"                 # or "idp", "signed+hardware"; a click is never enough
    within = "15m"                       # how long a released request may wait to run
    review_within = "24h"
    reviewers = "security"               # the group that reviews; whoever broke the glass never reviews their own
    notify = ["oncall", "security"]      # groups that are told at once; `groups` and `reviewers` always are

Without this section nobody can. What policy refuses stays refused: it is never held, so there is nothing to release.
"""

from __future__ import annotations

from msgspec import Struct

from keyturn.identity.names import is_name
from keyturn.policy.requirements.part import Part

ASSURANCES = ("idp", "signed", "signed+hardware")
MAX_WITHIN = 3600
MAX_REVIEW = 7 * 86_400


class BreakGlass(Struct, frozen=True):
    """What the section says. Times are seconds; `notify` are all groups that are told."""

    people: tuple[str, ...]
    groups: tuple[str, ...]
    assurance: str
    within: int
    review_within: int
    reviewers: str
    notify: tuple[str, ...]


def read_breakglass(part: Part) -> BreakGlass | None:
    """The section."""
    part.known("people", "groups", "assurance", "within", "review_within", "reviewers", "notify")
    people, groups, notify = part.texts("people"), part.texts("groups"), part.texts("notify")
    reviewers = part.required("reviewers", 'reviewers = "security"')
    if not people and not groups:
        part.wrong(
            "people" if "people" in part.body else part.name,
            "[breakglass] names nobody",
            'groups = ["oncall"]',
        )
    for key, names in (
        ("groups", groups),
        ("notify", notify),
        ("reviewers", (reviewers,) if reviewers else ()),
    ):
        for name in names:
            if not is_name(name):
                part.wrong(key, f"\"{name}\" can't be a group's name")
    assurance = part.choice("assurance", ASSURANCES, "signed")
    within = _most(part, "within", 900, MAX_WITHIN, "an hour")
    review = _most(part, "review_within", 86_400, MAX_REVIEW, "seven days")
    told = tuple(dict.fromkeys((*groups, *notify, reviewers)))
    return BreakGlass(people, groups, assurance, within, review, reviewers, told)


def _most(part: Part, key: str, default: int, most: int, words: str) -> int:
    found = part.seconds(key, default)
    if found > most:
        part.wrong(key, f"{key} is at most {words}")
    return found
