"""The sections of drift.toml and who reads them. A new section is one module, one line here, one field of the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keyturn.policy.drift.attribution import read_attribution
from keyturn.policy.drift.coverage import read_coverage
from keyturn.policy.drift.definitions import read_definitions
from keyturn.policy.drift.lag import read_lag
from keyturn.policy.drift.lexicon import read_lexicon
from keyturn.policy.drift.limits import read_limits
from keyturn.policy.drift.model import DriftRules
from keyturn.policy.drift.orders import read_orders
from keyturn.policy.drift.ratchet import read_ratchet
from keyturn.policy.drift.responses import read_responses
from keyturn.policy.drift.retention import read_retention
from keyturn.policy.drift.statistics import read_statistics
from keyturn.policy.folder import Table
from keyturn.policy.problems import Problem
from keyturn.policy.requirements.part import Part

FILE = "drift.toml"

SECTIONS: dict[str, tuple[str, Callable[[Part], Any]]] = {
    "lexicon": ("lexicon", read_lexicon),
    "retention": ("retention", read_retention),
    "limit": ("limits", read_limits),
    "response": ("responses", read_responses),
    "lag": ("lag", read_lag),
    "order": ("orders", read_orders),
    "attribution": ("attribution", read_attribution),
    "definitions": ("definitions", read_definitions),
    "statistics": ("statistics", read_statistics),
    "ratchet": ("ratchet", read_ratchet),
    "coverage": ("coverage", read_coverage),
}
"""Heading → (field of `DriftRules`, reader)."""


def read_drift(data: bytes) -> tuple[DriftRules, list[Problem]]:
    """drift.toml as values, and every mistake in it."""
    table = Table(FILE, data)
    table.known_keys(table.body, tuple(SECTIONS))
    fields = {
        SECTIONS[heading][0]: SECTIONS[heading][1](Part(table, heading, table.body[heading]))
        for heading in SECTIONS
        if heading in table.body
    }
    return DriftRules(**fields), table.problems
