"""What follows from the log, as the files of a pack: tables, results, exceptions with their proofs, reports, and other tools' formats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from zlib import crc32

from msgspec import Struct

from keyturn import __version__
from keyturn.evidence import grc, ocsf_findings, oscal, pack_files, verifier
from keyturn.evidence.controls import Framework
from keyturn.evidence.pack_tree import PackTree
from keyturn.evidence.pack_writing import Writing
from keyturn.evidence.program.rows import TABLES
from keyturn.evidence.program.tables import Tables
from keyturn.evidence.report.html import html
from keyturn.evidence.report.limits import limits
from keyturn.evidence.report.model import Frame, Report
from keyturn.evidence.report.pdf import NoPrinter, pdf
from keyturn.evidence.testing import ControlResult, Test, TestResult
from keyturn.ledger.proof import Proof

PROGRAM = f"keyturn {__version__}"


class Contents(Struct, frozen=True):
    """All that is told of the log: `tests` are the queries that were run, `results` those of all tests by rising id."""

    frame: Frame
    framework: Framework
    tests: tuple[Test, ...]
    results: tuple[TestResult, ...]
    controls: tuple[ControlResult, ...]
    report: Report


def write(writing: Writing, made: Contents, tree: PackTree, signed: str, by_the_log: bool) -> None:
    """Every file but the log's own and the tables."""
    frame = made.frame
    proofs, unproven = pack_files.proven(made.results)
    begin, end = (
        datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M") for at in (frame.since, frame.until)
    )
    writing.add("README.txt", pack_files.readme(frame, by_the_log, begin, end, unproven))
    writing.add("LIMITS.md", limits(made.report).encode())
    writing.add("controls.json", pack_files.controls(made.framework, made.tests))
    writing.add("results.json", pack_files.results(frame, PROGRAM, made.results, made.controls))
    writing.add("exceptions.csv", pack_files.exceptions(made.results, proofs))
    for index in proofs:
        writing.add(pack_files.proof_name(index), Proof(index, tree.path(index), signed).text.encode())
    for test in made.tests:
        writing.add(f"queries/{test.id}.sql", test.text.encode())
    values = {name: value for one in made.results for name, value in one.settings.items()}
    writing.add("tables/period.csv", pack_files.period(frame))
    writing.add("tables/setting.csv", pack_files.settings(values))
    writing.add("tables/load.sql", pack_files.load_sql())
    writing.add(verifier.NAME, verifier.text())
    _for_tools(writing, made, proofs)
    page = html(made.report)
    writing.add("report.html", page)
    try:
        writing.add("report.pdf", pdf(page))
    except NoPrinter:
        return  # the page prints the same; whether a pack has one is in its manifest


def _for_tools(writing: Writing, made: Contents, proofs: Sequence[int]) -> None:
    """The same results for programs that audits are managed with."""
    report, framework = made.report, made.framework
    writing.add("oscal/assessment-results.json", oscal.assessment_results(report, framework, proofs))
    writing.add("oscal/component-definition.json", oscal.component_definition(made.frame, framework))
    writing.add("ocsf/compliance-findings.jsonl", ocsf_findings.findings(report, framework))
    writing.add("grc/controls.csv", grc.controls(report, framework))
    writing.add("grc/exceptions.csv", grc.exceptions(report, framework, proofs))
    writing.add("grc/vanta.jsonl", grc.vanta(report, framework))


Summed = Iterator[tuple[int, int, str]]
"""Size, checksum and SHA-256 of each table's file, in the order of `TABLES`."""


def written(pool: Executor | None, path: str, work: Path) -> Summed:
    """Have every table written to a file of *work*; those who read the log do it, while this process does something else."""
    names = list(TABLES)
    arguments: tuple[Iterable[str], ...] = ([path] * len(names), names, [str(work)] * len(names))
    return map(sheet, *arguments) if pool is None else pool.map(sheet, *arguments)


def sheets(writing: Writing, found: Summed, work: Path) -> None:
    """`tables/*.csv`."""
    for name, (size, crc, digest) in zip(TABLES, found, strict=True):
        writing.copied(f"tables/{name}.csv", work / f"{name}.csv", size, crc, digest)
        (work / f"{name}.csv").unlink()


def sheet(path: str, table: str, folder: str) -> tuple[int, int, str]:
    """Write a table to a file of *folder*: its size, checksum and SHA-256."""
    size, crc, digest = 0, 0, sha256()
    tables = Tables(path)
    try:
        with (Path(folder) / f"{table}.csv").open("xb") as out:
            for part in tables.csv(table):
                out.write(part)
                size, crc = size + len(part), crc32(part, crc)
                digest.update(part)
    finally:
        tables.close()
    return size, crc, digest.hexdigest()


__all__ = ["Contents", "sheet", "sheets", "write", "written"]
