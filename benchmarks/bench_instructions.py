"""The deontic delta over edits with known effect: how many expansions are found, and whether anything else is taken for one.

Two sets: `own` was there while the lexicon was written; `other` came later. The area under the curve is that of the signed delta.
"""

from __future__ import annotations

import time
import tomllib
from pathlib import Path
from typing import Any

from keyturn.drift.instructions import InstructionDelta, delta

DATA = Path(__file__).parent / "data" / "instruction_edits.toml"
NOTICED = 0.5


def edits() -> list[tuple[dict[str, Any], str, str]]:
    """Every edit with the text before and after it."""
    table = tomllib.loads(DATA.read_text(encoding="utf-8"))
    bases = {base["name"]: base["text"] for base in table["base"]}
    made = []
    for edit in table["edit"]:
        before = bases[edit["base"]]
        if edit["find"] and edit["find"] not in before:
            raise ValueError(f"{edit['base']} has no {edit['find']!r}")
        after = (
            before.replace(edit["find"], edit["replace"]) if edit["find"] else before + edit["replace"] + "\n"
        )
        made.append((edit, before, after))
    return made


def scored(which: str = "") -> list[tuple[dict[str, Any], InstructionDelta]]:
    """Every edit (of one set) with its delta."""
    return [
        (edit, delta({"AGENTS.md": before}, {"AGENTS.md": after}))
        for edit, before, after in edits()
        if which in ("", edit["set"])
    ]


def auc(positive: list[float], negative: list[float]) -> float:
    """The share of pairs in which the positive one is higher; ties count half."""
    wins = sum((p > n) + 0.5 * (p == n) for p in positive for n in negative)
    return wins / (len(positive) * len(negative))


def run() -> list[dict[str, Any]]:
    """One row a figure, for each set."""
    rows: list[dict[str, Any]] = []
    for which in sorted({edit["set"] for edit, _, _ in edits()}):
        began = time.process_time()
        found = scored(which)
        spent = (time.process_time() - began) / len(found) * 1000
        by_class = {
            name: [one for edit, one in found if edit["class"] == name]
            for name in ("expand", "restrict", "benign")
        }
        signed = {name: [one.delta for one in some] for name, some in by_class.items()}
        flagged = {name: sum(one.expands >= NOTICED for one in some) for name, some in by_class.items()}
        total = len(by_class["expand"])
        rows += [
            _row(
                f"{which}: expanding edits found, of {total}",
                flagged["expand"],
                "edits",
                -(-total * 20 // 24),
                least=True,
            ),
            _row(
                f"{which}: restricting flagged as expansion, of {len(by_class['restrict'])}",
                flagged["restrict"],
                "edits",
                0,
            ),
            _row(
                f"{which}: benign flagged as expansion, of {len(by_class['benign'])}",
                flagged["benign"],
                "edits",
                0,
            ),
            _row(
                f"{which}: AUC expanding against the rest",
                auc(signed["expand"], signed["restrict"] + signed["benign"]),
                "",
                0.9,
                least=True,
            ),
            _row(
                f"{which}: AUC expanding against restricting",
                auc(signed["expand"], signed["restrict"]),
                "",
                0.95,
                least=True,
            ),
            _row(f"{which}: one comparison", spent, "ms CPU", 20),
        ]
    return rows


def _row(name: str, value: float, unit: str, budget: float, least: bool = False) -> dict[str, Any]:
    within = value >= budget if least else value <= budget
    return {"name": name, "value": value, "unit": unit, "floor": None, "budget": budget, "within": within}
