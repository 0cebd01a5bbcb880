"""The policy of the drift story: what a house with a database, customers and an auditor says, on the starter policy's refusals."""

from __future__ import annotations

from collections.abc import Mapping

from keyturn.policy.folder import STARTER, read_folder

RULES = """
// The story's house: its agents query the database and write reports without asking. What they do with that is what drifts.

@id("queries")
@because("agents may query the database of orders")
permit(principal, action == Action::"shell", resource)
when { context.program == "psql" && ["connects:network", "sends:network", "executes:code"].containsAll(context.effects) };

@id("reports")
@because("agents may write reports")
permit(principal, action == Action::"file", resource)
when { ["writes:temporary", "writes:workspace"].containsAll(context.effects) && context.labels.isEmpty() };

@id("extracts")
@because("agents may read the extracts of customers")
permit(principal, action == Action::"shell", resource)
when {
  ["cat", "cp", "wc", "rm"].contains(context.program) && context.overdue.isEmpty() &&
  ["reads:workspace", "writes:workspace", "deletes:workspace"].containsAll(context.effects)
};

@id("overdue")
@because("it should have been deleted by now")
@hold
permit(principal, action, resource)
when { !context.overdue.isEmpty() };
"""

DRIFT = """
[limit.queries]
counts = "program:psql"
per = ["agent", "target"]
window = "1h"
most = 200
because = "nobody reviewed that many"

[ratchet]
alarm = 2
block = 3

[retention.customers]
labels = ["customer"]
keep = "24h"
because = "privacy notice, section 4"

[definitions]
unknown = "run"
changed = "hold"

[attribution]
agents = 12
"""

LABELS = """

[[label]]
name = "customer"
paths = ["customers.csv"]
"""


def files() -> Mapping[str, bytes]:
    """All files of it, by their paths."""
    starter = read_folder(STARTER)
    found = {name: data for name, data in starter.items() if not name.startswith(("rules/", "tests/"))}
    found["rules/10-refuse.cedar"] = starter["rules/10-refuse.cedar"]
    found["resources.toml"] += LABELS.encode()
    found["rules/50-house.cedar"] = RULES.encode()
    found["drift.toml"] = DRIFT.encode()
    return found
