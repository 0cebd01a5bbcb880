"""Every mutant of an exported log, and of proofs and receipts of its entries, before other people's verifiers. `make test-third-party`.

Prints for each verifier and class how many of those that it can see it refused. Exits with 1 if one was believed that should not be.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from log_folder import KEY, signer, small_world, write_world
from mutants import Mutant, Original, mutants
from test_evidence_verify_log import refused
from third_parties import (
    CHECKPOINT,
    ENTRIES,
    PARTIES,
    PROOFS,
    RECEIPTS,
    TILES,
    Kept,
    Missing,
    Party,
    Running,
    believed,
)

from keyturn.evidence.program import checks
from keyturn.ledger import cose, proof
from keyturn.ledger.tiles import tile_path

VERIFY = "verify.py"
NOTHING = Mutant("nothing", "nothing", lambda folder: None, frozenset({"head", "key"}))
"""The negative control: it must be believed."""


@dataclass
class House:
    """A log, what an auditor keeps of it, and a place for mutants."""

    base: Path
    log: Path = field(init=False)
    kept: Kept = field(init=False)
    original: Original = field(init=False)

    def __post_init__(self) -> None:
        self.log = write_world(self.base / "log", small_world())
        self.original = Original(self.log)
        size, head = self.original.head.size, (self.log / "checkpoint").read_text()
        kept = self.base / "kept"
        kept.mkdir()
        (kept / "checkpoint").write_text(head)
        for index in range(size):
            (kept / f"{index}.tlog-proof").write_text(proof.prove(index, head, self.tile))
        receipts = (0, size // 2, size - 1)
        for index in receipts:
            made = cose.receipt(index, head, self.tile, signer().origin, KEY)
            (kept / f"{index}.cose").write_bytes(made)
        self.kept = Kept(
            str(signer().key),
            kept / "checkpoint",
            tuple(kept / f"{index}.tlog-proof" for index in range(size)),
            tuple(kept / f"{index}.cose" for index in receipts),
        )

    def tile(self, level: int, index: int) -> bytes | None:
        """A tile, as a store gives it."""
        width = min(256, (self.original.head.size >> 8 * level) - 256 * index)
        return self.original.files.get(tile_path(level, index, width))

    @property
    def statement(self) -> list[str]:
        """What the log says."""
        return self.original.head.text.split("\n")[:3]


def altered(original: Original, folder: Path) -> frozenset[str]:
    """The kinds of files of a log that are not as they were."""
    found = set()
    for name, data in original.files.items():
        place = folder / name
        if place.is_symlink() or not place.is_file() or place.read_bytes() != data:
            kind = original.kind(name).removesuffix(" partial")
            found.add({"tile entries": ENTRIES, "checkpoint": CHECKPOINT}.get(kind, kind))
    return frozenset(TILES if kind.removeprefix("tile ").isdigit() else kind for kind in found)


def classed(mutant: Mutant, original: Original) -> str:
    """A mutant's class, with what was deleted, and told apart when the log's own key signed it."""
    if mutant.cls == "deleted":
        return f"deleted {original.kind(mutant.name.partition(':')[0])}"
    return "rollback" if mutant.name == "checkpoint: an earlier one" else mutant.cls


def damaged(files: Iterable[Path], cls: str, dice: random.Random) -> Iterator[tuple[str, str, Path, bytes]]:
    """(name, class, file, its bytes) for proofs or receipts in which a bit flipped, or that were cut."""
    for path in files:
        data = path.read_bytes()
        for at in range(0, len(data), 3):
            bit = dice.randrange(8)
            made = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
            yield f"{path.name}: bit {bit} of byte {at}", f"flip {cls}", path, made
        at = dice.randrange(1, len(data))
        for what, made in {
            "cut off": data[:at], "emptied": b"", "first byte gone": data[1:], "a byte lost": data[: at - 1] + data[at:],
            "noise": dice.randbytes(len(data)), "zeros": bytes(len(data)),
        }.items():  # fmt: skip
            yield f"{path.name}: {what}", f"cut {cls}", path, made
    for one, other in zip(files, list(files)[1:], strict=False):
        yield f"{one.name}: in place of {other.name}", f"swapped {cls}", other, one.read_bytes()


@dataclass
class Table:
    """Per verifier and class: how many it could see, refused, and believed in another form; what is wrong; seconds that others took."""

    seen: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    total: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest: float = 0.0
    waited: float = 0.0

    def judge(
        self, party: Party, mutant: str, cls: str, kinds: frozenset[str], said: dict, true: list[str]
    ) -> None:
        """Note an answer, and whether it is what has to be."""
        cell = self.seen[party.name, cls]
        intact, same = bool(said["intact"]), list(believed(said)) == true
        if not party.sees(kinds, cls):
            cell["blind"] += 1
            cell["refused blind"] += not intact
            return
        cell["seen"] += 1
        cell["refused"] += not intact
        if intact:
            cell["same"] += 1
            if not (party.lenient and same and kinds & {CHECKPOINT, PROOFS}):
                self.wrong.append(f"{party.name} believes {mutant} ({cls}): {said}")

    def text(self, names: list[str]) -> str:
        """The table: refused of those that it can see; +n beside it said the same in another form; – where it can see none."""
        lines = [f"{'class':<30}{'mutants':>8}" + "".join(f"{name:>18}" for name in names)]
        for cls in sorted(self.total):
            row = f"{cls:<30}{self.total[cls]:>8}"
            for name in names:
                cell = self.seen.get((name, cls), Counter())
                said = f"{cell['refused']}/{cell['seen']}" + (f" +{cell['same']}" if cell["same"] else "")
                if cls == NOTHING.cls:
                    said = "refused" if cell["refused blind"] else "believed"
                row += f"{said if cell['seen'] or cls == NOTHING.cls else '–':>18}"
            lines.append(row)
        row = f"{'in all':<30}{self.total.total():>8}"
        for name in names:
            cells = [cell for (party, _), cell in self.seen.items() if party == name]
            row += f"{sum(one['refused'] for one in cells)}/{sum(one['seen'] for one in cells)}".rjust(18)
        return "\n".join([*lines, row])


def run(house: House, running: list[Running], step: int = 1, *, own: bool = True) -> Table:
    """Every *step*-th mutant before everybody; *own*: before `verify.py`, too."""
    table, folder, true = Table(), house.base / "copy", house.statement
    for mutant in [NOTHING, *list(mutants(house.log))[::step]]:
        cls = classed(mutant, house.original)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(house.log, folder)
        mutant.mutate(folder)
        kinds = altered(house.original, folder)
        table.total[cls] += 1
        at = time.monotonic()
        for one in running:
            one.ask(folder)
        for one in running:
            said = one.answer()
            if mutant is NOTHING and (not said["intact"] or list(believed(said)) != true):
                table.wrong.append(f"{one.party.name} refuses a log that nothing was done to: {said}")
            table.judge(one.party, mutant.name, cls, kinds, said, true)
        took = time.monotonic() - at
        table.slowest, table.waited = max(table.slowest, took), table.waited + took
        if own:
            _own(table, house, mutant, cls)
    at = time.monotonic()
    _papers(table, house, running, step)
    table.waited += time.monotonic() - at
    return table


def _own(table: Table, house: House, mutant: Mutant, cls: str) -> None:
    words = refused(mutant, house.log, house.base / "own", house.kept.head)
    if mutant is NOTHING:
        if words != "nothing · nothing: exit 0":
            table.seen[VERIFY, cls]["refused blind"] += 1
            table.wrong.append(f"{VERIFY} refuses a log that nothing was done to: {words}")
        return
    cell = table.seen[VERIFY, cls]
    cell["seen"] += 1
    cell["refused"] += not words
    if words:
        table.wrong.append(f"{VERIFY} believes {words}")


def _papers(table: Table, house: House, running: list[Running], step: int) -> None:
    """Proofs and receipts that are not as they were given out; the log is."""
    dice, place = random.Random(5), house.base / "papers"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for kind, files in ((PROOFS, house.kept.proofs[5:300:147]), (RECEIPTS, house.kept.receipts)):
        reading = [one for one in running if kind in one.party.reads]
        for name, cls, path, data in list(damaged(files, kind.removesuffix("s"), dice))[::step]:
            table.total[cls] += 1
            (place / path.name).write_bytes(data)
            handed = replace(house.kept, **{kind: (place / path.name,)})
            for one in reading:
                one.ask(house.log, handed)
                table.judge(one.party, name, cls, frozenset({kind}), one.answer(), house.statement)


@contextlib.contextmanager
def started(kept: Kept, work: Path, parties: Iterable[Party]) -> Iterator[tuple[list[Running], list[str]]]:
    """Those that are installed, running; and words about the others."""
    running: list[Running] = []
    missing: list[str] = []
    try:
        for party in parties:
            try:
                running.append(Running(party, kept, work))
            except Missing as error:
                missing.append(f"{party.name}: {error}")
        yield running, missing
    finally:
        for one in running:
            one.end()


def main() -> int:
    """The exit code."""
    began = time.monotonic()
    checks._alone = lambda: True  # a log as small as this is not worth a second process
    with tempfile.TemporaryDirectory() as place:
        house = House(Path(place))
        with started(house.kept, house.base, PARTIES) as (running, missing):
            table = run(house, running)
    print(table.text([*(one.party.name for one in running), VERIFY]))
    whole = time.monotonic() - began
    took = f"{whole:.0f} s, {table.waited:.0f} of them without {VERIFY}; slowest answer {table.slowest:.1f} s"
    print(f"\nrefused/seen; +n said the same in another form; {took}")
    for words in missing:
        print(f"NOT RUN: {words}")
    for words in table.wrong:
        print(f"WRONG: {words}")
    return 1 if table.wrong or missing or table.total.total() < 500 else 0


if __name__ == "__main__":
    sys.exit(main())
