"""The reference page names what the dialect tables hold: an event, tool or hole that is not in it fails here."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from keyturn.gates.hooks.dialects import DIALECTS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "hooks.md"


@pytest.mark.parametrize("client", list(DIALECTS))
def test_every_event_tool_and_hole_is_documented(client: str) -> None:
    dialect = DIALECTS[client]
    _, _, rest = PAGE.read_text().partition(f"### {dialect.title} (`{client}`)\n")
    section = rest.partition("\n### ")[0]
    for hooked in dialect.events:
        limit = hooked.timeout * (1000 if dialect.unit == "milliseconds" else 1)
        unit = "ms" if dialect.unit == "milliseconds" else "s"
        silence = "**no**" if hooked.gate else "a warning"
        assert f"| `{hooked.event}` | {silence} | {limit:,} {unit} |" in section
    for tool in import_module(dialect.parse.__module__).TOOLS:
        assert f"`{tool}`" in section, tool
    for hole in dialect.holes:
        assert hole in section, hole
