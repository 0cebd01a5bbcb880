"""What follows from the log, as the files of a pack: tables, results, exceptions with their proofs, reports, and other tools' formats."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from zlib import crc32

from msgspec import Struct

from keyturn import __version__
from keyturn.evidence import grc, ocsf_findings, oscal, pack_files, verifier
from keyturn.evidence.archive_writing import PART
from keyturn.evidence.controls import Framework
from keyturn.evidence.pack_tree import PackTree
from keyturn.evidence.pack_writing import Summed, Writing, place
from keyturn.evidence.program.rows import TABLES
from keyturn.evidence.program.sheets import sheet_path, table_head
from keyturn.evidence.report.html import html
from keyturn.evidence.report.limits import limits
from keyturn.evidence.report.model import Frame, Report
from keyturn.evidence.report.pdf import NoPrinter, load, pdf
from keyturn.evidence.testing import ControlResult, Test, TestResult
from keyturn.evidence.workers import Workers
from keyturn.ledger.proof import Proof

PROGRAM = f"keyturn {__version__}"
SELDOM = 5_000
"""Things made until circles are looked for while a report is printed: it makes many, and few are in one."""


class Contents(Struct, frozen=True):
    """All that is told of the log: `tests` are the queries that were run, `results` those of all tests by rising id."""

    frame: Frame
    framework: Framework
    tests: tuple[Test, ...]
    results: tuple[TestResult, ...]
    controls: tuple[ControlResult, ...]
    report: Report


def write(
    writing: Writing,
    made: Contents,
    tree: PackTree,
    signed: str,
    by_the_log: bool,
    pool: Workers | None,
    tables: Iterator[Summed],
) -> None:
    """Every file but the log's own; *tables* were summed up. The report is printed by one of *pool* meanwhile."""
    frame = made.frame
    page = html(made.report)
    printing = pool.on(_printer(pool), printed, page) if pool is not None else None
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
    placing = _sheets(writing, pool, tables)
    writing.add("report.html", page)
    paper = printing.result() if printing is not None else printed(page)
    if paper is not None:  # the page prints the same; whether a pack has one is in its manifest
        writing.add("report.pdf", paper)
    for one in placing:
        one.result()


def ready(pool: Workers | None) -> None:
    """Who is going to print the report loads what prints, which takes half a second, once there is nothing else to do."""
    if pool is not None:
        pool.on(_printer(pool), load)


def _printer(pool: Workers) -> int:
    return pool.count - 1


def printed(page: bytes) -> bytes | None:
    """The report as PDF; None where nothing is there that prints."""
    collecting, thresholds = gc.isenabled(), gc.get_threshold()
    gc.freeze()  # unlike what reads the log, what prints makes circles: but none with what was there before
    gc.set_threshold(SELDOM, *thresholds[1:])
    gc.enable()
    try:
        return pdf(page)
    except NoPrinter:
        return None
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
        if not collecting:
            gc.disable()


def _for_tools(writing: Writing, made: Contents, proofs: Sequence[int]) -> None:
    """The same results for programs that audits are managed with."""
    report, framework = made.report, made.framework
    writing.add("oscal/assessment-results.json", oscal.assessment_results(report, framework, proofs))
    writing.add("oscal/component-definition.json", oscal.component_definition(made.frame, framework))
    writing.add("ocsf/compliance-findings.jsonl", ocsf_findings.findings(report, framework))
    writing.add("grc/controls.csv", grc.controls(report, framework))
    writing.add("grc/exceptions.csv", grc.exceptions(report, framework, proofs))
    writing.add("grc/vanta.jsonl", grc.vanta(report, framework))


def summed(pool: Executor | None, bases: Sequence[str]) -> Iterator[Summed]:
    """Each table, of the lines beside *bases*, summed up in the order of `TABLES` by those who read the log: this process does
    something else meanwhile.
    """
    paths = [
        tuple(path for base in bases if Path(path := sheet_path(base, name)).exists()) for name in TABLES
    ]
    return map(sum_up, TABLES, paths) if pool is None else pool.map(sum_up, TABLES, paths)


def _sheets(writing: Writing, pool: Executor | None, found: Iterator[Summed]) -> list[Future[None]]:
    """`tables/*.csv`. Those of *pool* put them into the pack meanwhile."""
    placing = []
    for table, one in zip(TABLES, found, strict=True):
        name = f"tables/{table}.csv"
        where = writing.sheet(name, one)
        if pool is None:
            place(name, one, *where)
        else:
            placing.append(pool.submit(place, name, one, *where))
    return placing


def sum_up(table: str, paths: tuple[str, ...]) -> Summed:
    """A table whose lines lie in *paths*."""
    head = table_head(table).encode()
    size, crc, digest = len(head), crc32(head), sha256(head)
    for path in paths:
        with Path(path).open("rb") as file:
            while part := file.read(PART):
                size, crc = size + len(part), crc32(part, crc)
                digest.update(part)
    return Summed(head, paths, size, crc, digest.hexdigest())


__all__ = ["Contents", "ready", "sum_up", "summed", "write"]
