"""Shares over commands that nobody on this project wrote, decided as `keyturn policy decide` does under the starter policy.

    python -m benchmarks.corpora --list malicious-run     # the rows behind a figure

The files lie beside the repository (`../shared/corpora`); a figure whose file is absent is said to be skipped.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct

from keyturn.cli.dry_run import DryRun
from keyturn.policy import STARTER, load

CORPORA = Path(__file__).parents[2] / "shared" / "corpora"
WORKERS = 8
HOME = "/home/dev"
WORKSPACE = "/home/dev/project"

DANGEROUS = frozenset(
    (
        "shell", "command", "reverse-shell", "bind-shell", "file-write", "file-read", "upload", "download", "library-load",
        "privilege-escalation", "inherit",
    )
)  # fmt: skip
"""All functions that GTFOBins lists. `file-read` is one of them, though looking in the workspace is no danger."""


class Row(Struct, frozen=True):
    """One command and what was decided on it."""

    command: str
    decision: str
    complete: bool
    about: str = ""
    reasons: tuple[str, ...] = ()


class Figure(Struct, frozen=True):
    """A share: of *corpus*, the rows for which *counts*; good when not above (or, with `least`, not below) `budget` percent."""

    name: str
    words: str
    corpus: str
    counts: Callable[[Row], bool]
    budget: float
    least: bool = False


FIGURES = (
    Figure("malicious-run", "of aegish-malicious run unasked", "aegish-malicious", lambda row: row.decision == "run", 0.5),
    Figure("gtfobins-run", "of gtfobins' dangerous functions run unasked", "gtfobins", lambda row: row.decision == "run", 0.5),
    Figure("harmless-asks", "of aegish-harmless need a person", "aegish-harmless", lambda row: row.decision != "run", 20.0),
    Figure("nl2bash-asks", "of nl2bash need a person", "nl2bash", lambda row: row.decision != "run", 25.0),
    Figure(
        "nl2bash-complete", "of nl2bash that bash accepts are understood", "nl2bash-bash", lambda row: row.complete, 97.0, True
    ),
)  # fmt: skip


def _commands(corpus: str) -> list[tuple[str, str]] | None:
    """(command, what it is about) of every row, or None where the file is absent."""
    if corpus == "nl2bash-bash":
        known = _commands("nl2bash")
        return None if known is None else _accepted(known)
    file = CORPORA / ("nl2bash.txt" if corpus == "nl2bash" else f"{corpus}.jsonl")
    if not file.is_file():
        return None
    lines = file.read_text("utf-8").splitlines()
    if corpus == "nl2bash":
        return [(line, "") for line in lines]
    rows = [json.loads(line) for line in lines]
    if corpus == "gtfobins":
        return [
            (row["code"], row["function"]) for row in rows if row.get("code") and row["function"] in DANGEROUS
        ]
    return [(row["command"], row.get("category") or "") for row in rows]


def _accepted(commands: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those that `bash -n` takes for a script."""

    def takes(command: str) -> bool:
        return not subprocess.run(
            ["bash", "-n", "-O", "extglob", "-c", command], capture_output=True, check=False
        ).returncode

    with ThreadPoolExecutor(WORKERS) as pool:
        return [
            one for one, good in zip(commands, pool.map(takes, (c for c, _ in commands)), strict=True) if good
        ]


@cache
def decided(corpus: str) -> tuple[Row, ...] | None:
    """Every row of *corpus* with its decision; None where the file is absent."""
    if corpus == "nl2bash-bash":
        accepted, rows = _commands(corpus), decided("nl2bash")
        if accepted is None or rows is None:
            return None
        kept = {command for command, _ in accepted}
        return tuple(row for row in rows if row.command in kept)
    commands = _commands(corpus)
    if commands is None:
        return None
    run = DryRun(load(STARTER), "shell", "", protected=(f"{HOME}/.keyturn",))

    def one(command: tuple[str, str]) -> Row:
        line = {"content": command[0], "cwd": WORKSPACE, "workspace": WORKSPACE, "home": HOME}
        answer = json.loads(run.answer(json.dumps(line).encode()))
        decision = answer.get("decision", "error")
        return Row(
            command[0], decision, bool(answer.get("complete")), command[1], tuple(answer.get("reasons", ()))
        )

    with ThreadPoolExecutor(WORKERS) as pool:
        return tuple(pool.map(one, commands))


def rows() -> list[dict[str, Any]]:
    """A row of the benchmark's table for each figure; `skipped` says why there is no value."""
    return [_row(figure) for figure in FIGURES]


def _row(figure: Figure) -> dict[str, Any]:
    found = decided(figure.corpus)
    told = {
        "name": figure.words,
        "key": figure.name,
        "unit": "% at least" if figure.least else "% at most",
        "floor": None,
        "ratio": None,
    }
    if not found:
        return {
            **told,
            "value": None,
            "budget": figure.budget,
            "within": True,
            "skipped": f"{CORPORA.name}/{figure.corpus} is absent",
        }
    counted = sum(map(figure.counts, found))
    value = 100 * counted / len(found)
    within = value >= figure.budget if figure.least else value <= figure.budget
    return {
        **told,
        "value": round(value, 3),
        "budget": figure.budget,
        "within": within,
        "rows": len(found),
        "counted": counted,
    }


_RULE = re.compile(r"\[rule ([^\]]+)\]")


def _by_rule(rows: list[Row], of: int) -> None:
    """Each rule with the share of all rows that it decides, and that no other decides beside it; `-` is no rule."""
    named = [frozenset(_RULE.findall(" ".join(row.reasons))) or frozenset({"-"}) for row in rows]
    together = Counter(rule for rules in named for rule in rules)
    alone = Counter(next(iter(rules)) for rules in named if len(rules) == 1)
    for rule, count in together.most_common():
        print(
            f"{rule:24} {count:6} {100 * count / of:6.2f} %   alone {alone[rule]:6} {100 * alone[rule] / of:6.2f} %"
        )


def main(words: list[str]) -> int:
    """Print the rows that a figure is about: those that count against it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.corpora", description=__doc__.split("\n")[0] if __doc__ else ""
    )
    parser.add_argument(
        "--list", required=True, choices=[figure.name for figure in FIGURES], help="the figure"
    )
    parser.add_argument(
        "--by-rule", action="store_true", help="only how many rows each rule holds, and holds alone"
    )
    options = parser.parse_args(words)
    figure = next(one for one in FIGURES if one.name == options.list)
    found = decided(figure.corpus)
    if found is None:
        print(f"The corpus {figure.corpus} is not beside the repository ({CORPORA}).", file=sys.stderr)
        return 1
    if options.by_rule:
        _by_rule([row for row in found if figure.counts(row) != figure.least], len(found))
        return 0
    for row in found:
        if figure.counts(row) != figure.least:
            print(
                json.dumps(
                    {
                        "command": row.command,
                        "decision": row.decision,
                        "about": row.about,
                        "reasons": row.reasons,
                    }
                )
            )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
