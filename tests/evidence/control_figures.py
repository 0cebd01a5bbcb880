"""How many seeded exceptions each framework's controls find, and how many they make up. `make test-controls`.

Prints a line a framework: its rows, how many of them are tested whole and in part, the exceptions seeded for them in two logs, those that
real packs of these name, and those that are none; and how many rows pass in a log in which nothing is wrong. ARGS=rows prints a line for
each row. Exits with 1 unless all are found, nothing else is, and every row passes where it should. A log that is not intact is no line: of
such a log there is no pack (`test_evidence_controls`).
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parent))

from control_worlds import BESIDE, Figures, compared, logs, packed, wanted

from keyturn.evidence import catalogue, pack_contents
from keyturn.evidence.controls import Control

HEAD = (
    "framework",
    "rows",
    "automatic",
    "partial",
    "clean pass",
    "seeded",
    "found",
    "false",
    "precision",
    "recall",
)


def main(arguments: list[str]) -> int:
    """The exit code."""
    with patch.object(
        pack_contents, "pdf", lambda page: b"%PDF"
    ):  # what prints takes seconds, and says the same
        return _told_all(arguments)


def _told_all(arguments: list[str]) -> int:
    found = catalogue.load()
    figures, clean = _figures(tuple(found.controls()))
    print(_line(HEAD))
    for framework in found.frameworks.values():
        if arguments == ["rows"]:
            for one in framework.controls:
                print(_line(_told(f"  {one.id}", [one], figures, clean)))
        print(_line(_told(framework.id, framework.controls, figures, clean)))
    print(_line(_told("all", tuple(found.controls()), figures, clean)))
    exact = all(one.exact for one in figures.values()) and all(clean.values())
    seeded = all(
        figures[one.framework, one.id].seeded for one in found.controls() if {*one.tests} != {BESIDE}
    )
    return 0 if exact and seeded else 1


Key = tuple[str, str]


def _figures(controls: Iterable[Control]) -> tuple[dict[Key, Figures], dict[Key, bool]]:
    """(framework, control) → its figures over all logs; and whether it passes in the one in which nothing is wrong."""
    figures = {(one.framework, one.id): Figures() for one in controls}
    clean: dict[Key, bool] = {}
    with tempfile.TemporaryDirectory() as place:
        for log in logs():
            folder = Path(place) / log.name
            folder.mkdir()
            for key, row in packed(log, folder).items():
                expected = wanted(log, catalogue.load().control(*key))
                figures[key] += compared(expected, row.found)
                if not log.wrong:
                    clean[key] = row.verdict == "pass"
    return figures, clean


def _told(
    name: str, controls: Iterable[Control], figures: dict[Key, Figures], clean: dict[Key, bool]
) -> tuple[object, ...]:
    keys = [(one.framework, one.id) for one in controls]
    how = Counter(one.how for one in controls)
    total = sum((figures[key] for key in keys), Figures())
    named = total.found + total.false
    return (
        name, len(keys), how["automatic"], how["partial"], sum(clean[key] for key in keys), total.seeded, total.found, total.false,
        _share(total.found, named), _share(total.found, total.seeded),
    )  # fmt: skip


def _share(part: int, of: int) -> str:
    return f"{part / of:.4f}" if of else "-"


def _line(cells: tuple[object, ...]) -> str:
    first, *others = (str(one) for one in cells)
    return f"{first:26}" + "".join(f"{one:>11}" for one in others)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
