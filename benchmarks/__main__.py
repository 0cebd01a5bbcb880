"""`python -m benchmarks [NAME …]`: run benchmarks, print a table, write build/bench/NAME.json."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

NAMES = (
    "ledger",
    "authorize",
    "shell",
    "hooks",
    "web",
    "approvals",
    "exec",
    "drift",
    "instructions",
    "linking",
    "redaction",
    "analytics",
    "limits",
    "reconcile",
    "evidence",
)
OUT = Path(__file__).parent.parent / "build" / "bench"


def main(names: list[str]) -> int:
    """Run the named ones (all by default); 1 if a budget is missed."""
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        print(f"no benchmark is called {', '.join(unknown)}; there are: {', '.join(NAMES)}", file=sys.stderr)
        return 2
    OUT.mkdir(parents=True, exist_ok=True)
    missed = 0
    for name in names or NAMES:
        rows = import_module(f"benchmarks.bench_{name}").run()
        (OUT / f"{name}.json").write_text(json.dumps(rows, indent=2) + "\n")
        missed += sum(not row["within"] for row in rows)
        show(name, rows)
    return 1 if missed else 0


def show(name: str, rows: list[dict[str, Any]]) -> None:
    """One table."""
    print(f"\n{name}")
    print(f"  {'what':<66} {'value':>12} {'floor':>12} {'budget':>12} unit")
    for row in rows:
        if row.get("skipped"):
            print(f"  {row['name']:<66} skipped: {row['skipped']}")
            continue
        mark = " " if row["within"] else "✗"
        print(
            f"{mark} {row['name']:<66} {number(row['value']):>12} {number(row['floor']):>12} {number(row['budget']):>12} {row['unit']}"
        )


def number(value: float | None) -> str:
    """Four significant digits."""
    return "-" if value is None else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
