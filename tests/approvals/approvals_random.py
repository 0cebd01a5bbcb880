"""Random histories by the thousand: `python tests/approvals/approvals_random.py [HISTORIES] [SEED]`.

Prints how many histories and steps were judged, how they ended, every violation with the seed that repeats it, and after how
many histories each seeded bug is found. Exit code 1 when a promise was broken or a bug was not found.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from approvals_mutants import MUTANTS, Mutant
from approvals_world import Violation, history

FIND_WITHIN = 20_000
"""Histories after which a seeded bug counts as not found."""


def found_after(mutant: Mutant, seed: str, within: int = FIND_WITHIN) -> tuple[int, str] | None:
    """After how many histories the oracle finds *mutant*, and its words; None when it does not."""
    with mutant():
        for number in range(within):
            try:
                history(random.Random(f"{seed}:{number}"))
            except Violation as violation:
                return number + 1, str(violation)
    return None


def main(histories: int, seed: str) -> int:
    """Judge *histories*, then look for every seeded bug."""
    began, steps, violations = time.perf_counter(), 0, 0
    ends: Counter[str] = Counter()
    shapes: Counter[str] = Counter()
    for number in range(histories):
        try:
            world = history(random.Random(f"{seed}:{number}"))
        except Violation as violation:
            violations += 1
            print(f"VIOLATION in history {seed}:{number}: {violation}")
            continue
        steps += world.steps
        for book in world.books:
            ends[book.state.state] += 1
            stood_in = any(given.chain for given in book.state.approvals)
            shapes["decided for somebody else"] += stood_in
            shapes["approved with somebody standing in"] += stood_in and book.state.state == "approved"
            shapes["escalated"] += bool(book.state.escalated)
    took = time.perf_counter() - began
    print(
        f"{histories:,} histories (seed {seed}), {steps:,} judged steps, {violations} violations, {took:.0f} s"
    )
    print("requests: " + ", ".join(f"{ends[end]:,} {end}" for end in sorted(ends)))
    print("          " + ", ".join(f"{count:,} {words}" for words, count in sorted(shapes.items())))
    missed = 0
    for name, mutant in MUTANTS.items():
        found = found_after(mutant, seed)
        missed += found is None
        said = (
            f"found in history {found[0]}: {found[1]}" if found else f"NOT FOUND in {FIND_WITHIN:,} histories"
        )
        print(f"  {name.replace('_', ' ')}: {said}")
    print(f"{len(MUTANTS)} seeded bugs, {len(MUTANTS) - missed} found")
    return 1 if violations or missed else 0


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(main(int(given[0]) if given else 100_000, given[1] if len(given) > 1 else "1"))
