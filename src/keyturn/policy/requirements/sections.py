"""The sections of requirements.toml and who reads them. A new section is one module, one line here, one field of the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keyturn.policy.asking import Names
from keyturn.policy.folder import Table
from keyturn.policy.problems import Problem
from keyturn.policy.requirements.breakglass import read_breakglass
from keyturn.policy.requirements.default import read_default, read_escalations
from keyturn.policy.requirements.disclosure import read_disclosure
from keyturn.policy.requirements.drills import read_drills
from keyturn.policy.requirements.freezes import read_freezes
from keyturn.policy.requirements.model import Requirements
from keyturn.policy.requirements.oncall import read_oncall
from keyturn.policy.requirements.part import Part
from keyturn.policy.requirements.tickets import read_tickets
from keyturn.policy.requirements.tiers import read_tiers
from keyturn.policy.requirements.windows import read_windows

FILE = "requirements.toml"

DEFINING: dict[str, tuple[str, Callable[[Part], Any]]] = {
    "window": ("windows", read_windows),
    "drills": ("drills", read_drills),
    "freeze": ("freezes", read_freezes),
    "tickets": ("tickets", read_tickets),
    "oncall": ("oncall", read_oncall),
    "escalation": ("escalations", read_escalations),
    "breakglass": ("breakglass", read_breakglass),
    "disclosure": ("disclosure", read_disclosure),
}
"""Heading → (field of `Requirements`, reader): sections that stand by themselves."""

ASKING: dict[str, tuple[str, Callable[[Part, Names], Any]]] = {
    "default": ("default", read_default),
    "tier": ("tiers", read_tiers),
}
"""The same, of sections that ask for something and so may name what the others define."""

SECTIONS = (*ASKING, *DEFINING)
"""Every heading."""


def read_requirements(data: bytes) -> tuple[Requirements, list[Problem]]:
    """requirements.toml as values, and every mistake in it."""
    table = Table(FILE, data)
    table.known_keys(table.body, SECTIONS)
    parts = {
        heading: Part(table, heading, table.body[heading]) for heading in SECTIONS if heading in table.body
    }
    fields = {DEFINING[h][0]: DEFINING[h][1](part) for h, part in parts.items() if h in DEFINING}
    names = Requirements(**fields).names
    fields |= {ASKING[h][0]: ASKING[h][1](part, names) for h, part in parts.items() if h in ASKING}
    return Requirements(**fields), table.problems
