"""What is asked of people, in the words that policies, requests and pages share. Pure."""

from keyturn.requirement.assurance import ASSURANCES, assured, strength
from keyturn.requirement.errors import InvalidRequirement, TooManyPeople
from keyturn.requirement.matching import place
from keyturn.requirement.merging import merge, one_more, strictest
from keyturn.requirement.text import (
    MAX_NEED,
    MAX_STAGES,
    Requirement,
    Stage,
    any_of,
    parse_requirement,
)

__all__ = [
    "ASSURANCES", "MAX_NEED", "MAX_STAGES", "InvalidRequirement", "Requirement", "Stage", "TooManyPeople", "any_of",
    "assured", "merge", "one_more", "parse_requirement", "place", "strength", "strictest",
]  # fmt: skip
