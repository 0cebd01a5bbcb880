"""The verdicts: the pack against its manifest, the log against its checkpoint, approvals, and every control performed again.

What it checks of a pack, beside the log and the approvals:

 1. Every byte of the zip is content or follows from its form; every file is what `manifest.json` says; the log's key signed that.
 2. The tables are derived again from the disclosed fields, entry by entry, and are the pack's CSV files to the last byte.
 3. Every test of `queries/` is run again over these tables; figures, days, verdicts and the list of exceptions are the pack's.
 4. Each control's verdict follows from those of its tests. Each proof in `proofs/` leads from its entry to the log's root.

What it can't know: whether the log is the only one, or has a newer part (hand in checkpoints that somebody else kept, with --head);
what a withheld field says; whether what was never recorded happened; whether tests and controls ask the right questions: it tells
which of them are word for word those that came with this program; whether report.html, report.pdf, oscal/, ocsf/ and grc/ say the
same: they are as they were signed. Believe this program over them.

Exit code: 0 verified (controls may have failed: that is a result), 7 damaged, forged, or not what follows from the log, 2 not read
to the end.
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any, Dict, NamedTuple, Optional, Tuple

try:
    import sqlite3
except ImportError:  # a Python that was built without it: controls are not performed again
    sqlite3 = None  # type: ignore[assignment]

from keyturn.evidence.program.archive import Archive, Damaged, Unreadable
from keyturn.evidence.program.log import (
    TILE,
    FolderFiles,
    Head,
    Log,
    PackFiles,
    Span,
    Tree256,
    Walk,
    included,
    one_value,
    opened_fields,
    strict_base64,
)
from keyturn.evidence.program.rows import MAKERS, MAY_HIDE, NEEDED, TABLES, rows
from keyturn.evidence.program.sheets import (
    PERIOD,
    SETTING,
    Sums,
    head,
    lines,
    register,
)
from keyturn.evidence.program.tables import BadTest, Tables, opened
from keyturn.evidence.verdicts import of_control, of_test
from keyturn.evidence.verify_approvals import Checks, Entry, Withheld

USAGE = """usage: python3 -I -S verify.py PACK.zip [--key VKEY] [--head FILE]... [--unsigned] [--json]
       python3 -I -S verify.py FOLDER   [--key VKEY] [--head FILE]... [--json]     (an exported log, without controls)

--key VKEY   the log's key as you got it from somebody you trust, not from the pack: <name>+<id>+<base64>
--head FILE  a checkpoint of this log that somebody else kept, from earlier: is it a beginning of this log?
--unsigned   a pack that you made yourself of an exported log, whose list of files nobody signed, is good enough
--json       one JSON object instead of words"""

SHIPPED: dict[str, dict[str, str]] = {}
"""Tests and controls that came with this program, by name, with the SHA-256 of their text."""

HAS_SQL: bool = sqlite3 is not None

NOTE = "keyturn.dev/evidence-pack/v1"
MAX_JSON = 1 << 24
MAX_CONTENT = 1 << 26
MANIFEST_LINE = 420
"""Bytes of one file in the manifest at most: so what it takes to read it is bounded by the files that are there."""
MAX_QUERY = 1 << 20
MAX_PROGRAM = 1 << 22
MAX_PROOFS = 10_000
SHOWN = 20


Summed = Dict[str, Tuple[int, bytes]]
"""Table → bytes and SHA-256 of its lines."""

_SHAPE = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError)


# --- two processes -----------------------------------------------------------------------------------------------


def _alone() -> bool:
    """Whether there is no second process to be had: no fork here, or one processor."""
    if not hasattr(os, "fork"):
        return True
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return count < 2


def _both(folder: str, mine: Callable[[], Any], other: Callable[[], Any]) -> tuple[Any, Any]:
    """The results of both; *other* in a process of its own where that is possible."""
    if _alone():
        return mine(), other()
    place = os.path.join(folder, "other")
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if not child:
        _in_child(place, other)
    try:
        here = mine()
    finally:
        _, status = os.waitpid(child, 0)
    if status:
        raise Unreadable("The second process was ended (status %d): is there too little memory?" % status)
    with open(place, "rb") as file:
        good, there = pickle.load(file)
    if not good:
        raise there
    return here, there


class _Ready:
    """Tells the process that is forked off later that something is there, or that it never will be."""

    def __init__(self) -> None:
        self._reads, self._writes = os.pipe()

    def say(self) -> None:
        """It is there."""
        os.write(self._writes, b"1")

    def wait(self) -> bool:
        """Whether it is there: known as soon as it is, or as nobody is left who could say so."""
        self.close()
        return bool(os.read(self._reads, 1))

    def close(self) -> None:
        """This process says nothing more."""
        writes, self._writes = self._writes, -1
        if writes >= 0:
            os.close(writes)

    def end(self) -> None:
        """Nobody waits any more."""
        self.close()
        os.close(self._reads)


def _claims(folder: str, count: int) -> Any:
    """A file of the numbers from 0 to *count*, for `_claimed`."""
    place = os.path.join(folder, "claims")
    with open(place, "wb") as file:
        file.write(b"".join([number.to_bytes(4, "big") for number in range(count)]))
    return open(place, "rb", buffering=0)


def _claimed(claims: Any) -> Iterator[int]:
    """Each number goes to whichever process asks first, so that both are busy to the end.

    One that was forked off reads on where the other stopped: the file's position is theirs together (open(2)).
    """
    while True:
        number = claims.read(4)
        if not number:
            return
        yield int.from_bytes(number, "big")


def _in_child(place: str, work: Callable[[], Any]) -> None:
    status = 1
    try:
        try:
            made = (True, work())
        except Exception as error:  # whatever it is, the parent raises it
            made = (
                False,
                error if isinstance(error, (Damaged, Unreadable)) else Unreadable(_internal(error)),
            )
        with open(place, "wb") as file:
            pickle.dump(made, file, pickle.HIGHEST_PROTOCOL)
        status = 0
    finally:
        os._exit(status)


def _internal(error: BaseException) -> str:
    return "It can't be read (%s: %s)." % (type(error).__name__, ascii(str(error)[:200])[1:-1])


# --- the pack ----------------------------------------------------------------------------------------------------


class Manifest:
    """What the pack says of its own files, and who signed that."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        for name in ("manifest.json", "manifest.note"):
            if name in archive.places and archive.places[name].deflated:
                raise Damaged("It is compressed.", name)
        data = archive.read("manifest.json", 1000 + MANIFEST_LINE * len(archive.places))
        self.digest = sha256(data).hexdigest()
        value = _json(data, "manifest.json")
        try:
            self.files = {
                name: (one["size"], one["sha256"], one.get("packed")) for name, one in value["files"].items()
            }
            known = value["v"] == 1 and set(value) == {"v", "files"}
        except _SHAPE:
            known = False
        if not known:
            raise Damaged("It is no manifest of version 1.", "manifest.json")

    def signed(self, log: Log) -> bool:
        """Whether the log's key signed it. Raises `Damaged` for a signature over something else."""
        if "manifest.note" not in self.archive.places:
            return False
        said = log.key.open(self.archive.read("manifest.note", MAX_QUERY), "manifest.note")
        if said != [NOTE, log.head.origin, str(log.head.size), self.digest]:
            raise Damaged("It is signed for another manifest or another log.", "manifest.note")
        return True

    def names(self) -> list[tuple[str, str]]:
        """Files that are there and not listed, or the other way round."""
        there = set(self.archive.places) - {"manifest.json", "manifest.note"}
        found = [(name, "It is not in manifest.json.") for name in sorted(there - set(self.files))]
        return found + [(name, "It is missing.") for name in sorted(set(self.files) - there)]

    def check(self, names: list[str]) -> list[tuple[str, str]]:
        """Each file's bytes, packed and unpacked."""
        found = []
        for name in names:
            size, digest, packed = self.files[name]
            place = self.archive.places[name]
            try:
                if packed is not None if not place.deflated else packed != self.archive.packed(name):
                    raise Damaged("Its compressed bytes are not those that manifest.json says.", name)
                whole = sha256()
                for piece in self.archive.pieces(name):
                    whole.update(piece)
                if (size, digest) != (place.size, whole.hexdigest()):
                    raise Damaged("It is not what manifest.json says.", name)
            except Damaged as bad:
                found.append((bad.where, bad.words))
        return found

    def halves(self) -> tuple[list[str], list[str]]:
        """All files, in two parts of about as many bytes."""
        names = [name for name in self.archive.places if name in self.files]
        sizes = [self.archive.places[name].size + 20_000 for name in names]
        half, at, sum_ = sum(sizes) // 2, 0, 0
        while at < len(names) and sum_ < half:
            sum_, at = sum_ + sizes[at], at + 1
        return names[:at], names[at:]


def _json(data: bytes, where: str) -> Any:
    """The value of RFC 8785 bytes. Raises `Damaged`; a member that is there twice has another form."""
    try:
        value = one_value(data)
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    except _SHAPE:
        raise Damaged("It is JSON that can't be read.", where) from None
    if where == "manifest.json" and text.encode() != data:
        raise Damaged("It is not in its one canonical form.", where)
    return value


# --- the log's walk ----------------------------------------------------------------------------------------------


class _Names(dict):  # type: ignore[type-arg]
    """An entry without fields, which remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return default

    def __contains__(self, name: object) -> bool:
        self.asked.add(str(name))
        return False


def fields_of(kind: str) -> frozenset[str]:
    """Names of the fields that rows of this type are made of: others are checked, and not opened."""
    asks = _Names()
    for _ in MAKERS[kind](kind, "", asks):
        pass
    return frozenset((*asks.asked, *NEEDED.get(kind, ()), *MAY_HIDE.get(kind, ()), "proof"))


def approval_types() -> frozenset[str]:
    """Entry types that approvals are checked with."""
    return frozenset(name[3:].replace("_", ".", 1) for name in vars(Checks) if name.startswith("on_"))


class _Blobs:
    """Contents that entries name by digest."""

    def __init__(self, log: Log) -> None:
        self._log, self._there = log, frozenset(log.blobs)
        self.missing: set[str] = set()

    def data(self, digest: object) -> bytes | None:
        name = "blobs/sha256/" + str(digest).replace("sha256:", "", 1)
        if name not in self._there:
            self.missing.add(str(digest)[:80])
            return None
        data: bytes = self._log.files.read(name, MAX_CONTENT)
        if "sha256:" + sha256(data).hexdigest() != digest:
            raise Damaged("It holds something else than what its name is the digest of.", name)
        return data

    def value(self, digest: object) -> Any:
        """The JSON value, for rows; None where it is withheld."""
        data = self.data(digest)
        return None if data is None else one_value(data)

    def blob(self, digest: object) -> bytes:
        """The bytes, for approvals. Raises `Withheld`."""
        data = self.data(digest)
        if data is None:
            raise Withheld("the content %s is not in it" % digest)
        return data


class Part:
    """One run of bundles, with its rows in a database of its own and what approvals are checked with in a file or at once."""

    def __init__(self, log: Log, folder: str, name: str, *, first: bool = True) -> None:
        self.log, self.blobs, self._first = log, _Blobs(log), first
        self.base = os.path.join(folder, name + ".db")
        self.later = os.path.join(folder, name + ".entries")
        self._rows: list[Any] = []
        self._file: Any = None
        self._types = approval_types()
        self._slow = self._types - ({"permit.consumed"} if HAS_SQL else set())
        wanted = {kind: fields_of(kind) for kind in MAKERS}
        for kind in self._types - {"action.decided"}:
            wanted.setdefault(kind, frozenset(("permit",)))
        self.walk = Walk(log.files, log.head.size, wanted, self._look)

    def run(self, first: int, end: int, blobs: list[str]) -> tuple[Span, Summed]:
        """Bundles *first* to *end*, and some blobs: what was found of the log, and of its tables."""
        with open(self.later, "wb") as self._file:
            summed = self._all(first, end)
        self.walk.blobs(blobs)
        return self.walk.span, summed

    def _all(self, first: int, end: int) -> Summed:
        sums = Sums(self._first)
        if not HAS_SQL:
            for _ in self._made(first, end):
                pass
            return _found(sums)
        made = Tables(self.base)
        try:
            made.insert(self._made(first, end), sums)
        finally:
            made.close()
        return _found(sums)

    def _made(self, first: int, end: int) -> Iterator[Any]:
        for number in range(first, end):
            going_on = self.walk.bundle(number)
            yield self._rows
            self._rows = []
            if not going_on:
                return

    def _look(self, header: Any, fields: dict[str, Any], apart: bool, parts: list[bytes]) -> None:
        index, kind = header[0], header[2]
        # only the wanted fields were opened: how many are disclosed is said apart
        self._rows += rows(header, opened(fields, self.blobs.value) if apart else fields, len(parts))
        if kind in self._slow and (kind != "action.decided" or fields.get("verdict") == "hold"):
            every = opened_fields(parts, plain=self.walk.plain)[0]
            pickle.dump((index, kind, every), self._file, pickle.HIGHEST_PROTOCOL)

    def approve(self, checks: Checks) -> None:
        """Check approvals with what was kept of this part."""
        with open(self.later, "rb") as file:
            while True:
                try:
                    index, kind, fields = pickle.load(file)
                except EOFError:
                    return
                try:
                    checks.run(Entry(index, {"type": kind}, fields, self.blobs))
                except Damaged as bad:
                    checks.problems.append((index, kind, "%s: %s" % (bad.where, bad.words)))


def _found(sums: Sums) -> Summed:
    found: Summed = sums.found
    return found


class Walked:
    """The whole log walked through: what was found, its tree, and what its tables and the approvals are made of."""

    def __init__(self, log: Log, folder: str) -> None:
        self.log = log
        first, second = Part(log, folder, "first"), Part(log, folder, "second", first=False)
        self._parts = first, second
        middle = log.bundles if log.bundles < 4 else (log.bundles + 1) // 2
        half = log.blobs[::2], log.blobs[1::2]

        def other() -> tuple[Span, Summed]:
            log.files.reopen()
            return second.run(middle, log.bundles, half[1])

        here, there = _both(folder, lambda: first.run(0, middle, half[0]), other)
        self.span: Span = here[0]
        self.span.join(there[0])
        self.summed: tuple[Summed, Summed] = (here[1], there[1])
        for where, words in log.missing():
            self.span.problem(where, words)
        self.tree: Tree256 | None = log.finish(self.span)

    @property
    def base(self) -> str:
        """Where the tables lie as soon as they are joined."""
        return self._parts[0].base

    def joined(self) -> Tables | None:
        """The rows of the second part put behind those of the first, and indexes made; None without SQL."""
        if not HAS_SQL:
            return None
        made = Tables(self.base)
        made.join(self._parts[1].base)
        made.index()
        return made

    def approvals(self) -> Approvals:
        """Approvals, checked in the order of the log."""
        checks = Checks(self.log.head.origin)
        for part in self._parts:
            part.approve(checks)
        return Approvals(checks.counts, checks.problems, _unchecked(checks))


class Approvals(NamedTuple):
    """What was found of approvals: how many of which kind, what does not hold, and why some were not checked to the end."""

    counts: dict[str, int]
    problems: list[tuple[int, str, str]]
    unchecked: dict[str, int]


def _used_twice(tables: Tables, checks: Approvals) -> None:
    """Permits that were used twice: all of them at once, because there are as many as actions."""
    twice = tables.db.execute(
        "SELECT max(entry), count(*) FROM permit WHERE event = 'consumed' AND permit <> '' GROUP BY permit HAVING count(*) > 1"
    )
    for entry, count in twice:
        checks.problems.append((entry, "permit.consumed", "the permit was used %d times" % count))


# --- controls ----------------------------------------------------------------------------------------------------


class Figures(NamedTuple):
    """What a test came to when it was performed here. *why* says why it could not be; `changed`: setting → (its own value, the pack's)."""

    population: int = 0
    exceptions: int = 0
    untested: int = 0
    listed: Any = ()
    days: Any = ()
    why: str = ""
    changed: Any = {}


class Test:
    """One test of results.json, as the pack says it came out, and as it came out here."""

    __test__ = False

    def __init__(self, said: dict[str, Any], text: str | None, checks: list[tuple[str, str]]) -> None:
        self.id, self.said, self.text = said["test"], said, text
        self.settings = {name: float(value) for name, value in said["settings"].items()}
        self.came = Figures()
        self.verdict: str
        self.verdict, self.why = "not-tested", ""
        self.own = text is not None and _differs("tests", self.id, said["query"])
        self.problems = checks

    def run(self, tables: Tables, period: tuple[int, int, int]) -> Figures:
        """Perform it, in these tables."""
        about = comments(self.text or "")
        changed = {
            name: (value, self.settings[name])
            for name, value in defaults(about.get("settings", "")).items()
            if self.settings.get(name, value) != value
        }
        try:
            rests_on = about.get("rests on", "").replace(",", " ").split()
            found = tables.run(self.text or "", rests_on, period, self.settings)
        except BadTest as bad:
            return Figures(why="It can't be run: %s." % bad)
        days = [list(day) for day in found.days]
        return Figures(found.population, found.exceptions, found.untested, found.listed, days, "", changed)

    def take(self, came: Figures) -> None:
        """What it came to here."""
        self.came = came
        self.verdict, self.why = of_test(came.population, came.exceptions, came.untested, came.why)

    def compare(self) -> None:
        """Is it what the pack says? A pack may say `not-tested` of what passes here; of nothing may it say more than is so."""
        said, came = self.said, self.came
        if set(self.settings) != set(defaults(comments(self.text or "").get("settings", ""))):
            self.problems.append((self.id, "It ran with other thresholds than its text names."))
        if said["verdict"] == "not-tested" and self.verdict in ("pass", "no-population"):
            self.verdict, self.why = "not-tested", str(said["why"])[:300] or "The pack says so."
            return
        pairs: list[tuple[str, Any]] = [("verdict", self.verdict)]
        if not came.why:
            pairs += zip(("population", "exceptions", "untested"), came)
        for name, here in pairs:
            if said[name] != here:
                words = "Its %s is %s in the pack; performed again it is %s."
                self.problems.append((self.id, words % (name, ascii(said[name])[:40], here)))
        if not came.why and [list(day) for day in said["days"]] != came.days:
            self.problems.append((self.id, "Its days are not those that it gives when performed again."))


_SAYS = re.compile(r"--\s*(population|exception|rests on|settings):\s*(.*)\Z")
_DEFAULT = re.compile(r"([a-z][a-z0-9_]*)=(-?[0-9]+(?:\.[0-9]+)?)\s*\([^()]*\)")


def comments(text: str) -> dict[str, str]:
    """What a test's comments say of it: population, exception, rests on, settings."""
    said: dict[str, str] = {}
    part = ""
    for line in text.splitlines()[1:]:
        if not line.startswith("--"):
            break
        found = _SAYS.match(line)
        if found:
            part = found.group(1)
            said[part] = (said[part] + "; " if part in said else "") + found.group(2).strip()
        elif part:
            said[part] = (said[part] + " " + line[2:].strip()).strip()
    return said


def defaults(text: str) -> dict[str, float]:
    """Settings with the values that a test's own text gives them."""
    return {name: float(value) for name, value in _DEFAULT.findall(text)}


class Controls:
    """The pack's tests and controls, performed again."""

    def __init__(
        self, archive: Archive, log: Log, heads: list[tuple[str, str]], last: int, *, handed: bool
    ) -> None:
        self.archive, self.log, self.last, self.handed = archive, log, last, handed
        self.problems: list[tuple[str, str]] = []
        self.kept = heads
        self.results = _json(archive.read("results.json", MAX_JSON), "results.json")
        self.plan = _json(archive.read("controls.json", MAX_JSON), "controls.json")
        said = self.results
        self.framework = str(said["framework"])
        self.period = (int(said["since"]), int(said["until"]), int(said["size"]))
        self.tests = [self._test(one) for one in said["tests"]]
        self.verdicts: list[dict[str, Any]] = []
        self.own_controls: list[str] = []
        self.left_out: list[str] = []
        self.same_program = _same_program(archive)

    def _test(self, said: dict[str, Any]) -> Test:
        text = None
        if said["test"] not in ("log_intact", "kept_elsewhere"):
            name = "queries/%s.sql" % said["test"]
            data = self.archive.read(name, MAX_QUERY)
            if "sha256:" + sha256(data).hexdigest() != said["query"]:
                self.problems.append((name, "It is not the text whose digest results.json has."))
            text = data.decode("utf-8")
        return Test(said, text, self.problems)

    def tasks(self, walked: Walked) -> list[Callable[[Tables], Any]]:
        """What takes long, each by itself: every test, and every table. In which order and process they are done does not matter."""
        sheets = sorted(TABLES, key=lambda table: -self._size("tables/%s.csv" % table))
        return [
            *[partial(test.run, period=self.period) for test in self._queries],
            *[partial(self._compared, walked.summed, table) for table in sheets],
        ]

    @property
    def _queries(self) -> list[Test]:
        return [test for test in self.tests if test.text is not None]

    def take(self, came: list[Any], tables: Tables, tree: Tree256) -> None:
        """Everything that follows from what the tasks gave: tests, tables, exceptions, proofs, controls."""
        self._frame(tables)
        count = len(self._queries)
        for test, figures in zip(self._queries, came):
            test.take(figures)
        self.problems += [problem for compared in came[count:] for problem in compared]
        for test in self.tests:
            if test.text is None:
                self._by_verification(test)
            test.compare()
        self._exceptions(tree)
        self._controls({test.id: test.verdict for test in self.tests})

    def _size(self, name: str) -> int:
        place = self.archive.places.get(name)
        return place.size if place is not None else 0

    def _frame(self, tables: Tables) -> None:
        """Results, settings and period are of this log."""
        said, log = self.results, self.log
        if (said["origin"], said["size"], said["root"]) != (
            log.head.origin,
            log.head.size,
            log.head.root.hex(),
        ):
            self.problems.append(("results.json", "It is about another log, or another size of it."))
        asked = "SELECT pack, framework, since_ms, until_ms FROM exported WHERE entry = ?"
        last = tables.db.execute(asked, (log.head.size - 1,)).fetchone()
        if (last[0] if last else "") != said["id"]:
            self.problems.append(("results.json", "The log's last entry does not record this pack."))
        elif last and last[1:] != (self.framework, *self.period[:2]):
            words = "The log's last entry records a pack of another framework or period."
            self.problems.append(("results.json", words))
        if self.period[1] > self.last + 1:
            self.problems.append(("results.json", "Its period ends after the log does."))
        settings: dict[str, float] = {}
        for test in self.tests:
            settings.update(test.settings)
        for test in self.tests:
            if any(settings[name] != value for name, value in test.settings.items()):
                self.problems.append((test.id, "It ran with another threshold than other tests."))
        self._same("tables/period.csv", head(PERIOD) + lines([self.period]))
        self._same("tables/setting.csv", head(SETTING) + lines(sorted(settings.items())))
        queries = {"queries/%s.sql" % test.id for test in self.tests if test.text is not None}
        for name in self.archive.names("queries/"):
            if name not in queries:
                self.problems.append((name, "It is a test without a result."))
        known = {"tables/%s.csv" % table for table in TABLES} | {
            "tables/period.csv",
            "tables/setting.csv",
            "tables/load.sql",
        }
        for name in self.archive.names("tables/"):
            if name not in known:
                self.problems.append((name, "It is a table that the log does not give."))

    def _same(self, name: str, text: str) -> None:
        try:
            data = text.encode("utf-8")
            if self.archive.read(name, len(data)) != data:
                self.problems.append((name, "It is not what follows from the log and the results."))
        except Damaged as bad:
            self.problems.append((bad.where, bad.words))

    def _compared(self, summed: Sequence[Summed], table: str, _: Tables) -> list[tuple[str, str]]:
        """Why a CSV file is not what the log's entries give: (place, words)."""
        name = "tables/%s.csv" % table
        (size, first), (more, second) = (one[table] for one in summed)
        left, here, behind = size, sha256(), sha256()
        try:
            for piece in self.archive.pieces(name):
                here.update(piece[:left])
                behind.update(piece[left:])
                left = max(left - len(piece), 0)
        except Damaged as bad:
            return [(bad.where, bad.words)]
        if self._size(name) != size + more or here.digest() != first or behind.digest() != second:
            return [(name, "It is not what the log's entries give.")]
        return []

    def _by_verification(self, test: Test) -> None:
        """The two tests that are no queries: what was found by verifying."""
        days = [list(day) for day in test.said["days"]]
        if test.id == "log_intact":
            test.take(Figures(self.log.bundles, 0, days=days))
        else:
            test.take(Figures(len(self.kept), sum(1 for _, why in self.kept if why), days=days))
        if test.id == "kept_elsewhere" and not self.kept:
            test.verdict, test.why = "not-tested", "Nobody handed in a checkpoint that was kept elsewhere."

    def _doubt(self, test: Test | None) -> None:
        """Checkpoints that lie in the pack may be the operator's own: whoever verifies believes those that they hand in themselves."""
        if test is not None and test.verdict == "pass" and not self.handed:
            test.verdict = "not-tested"
            test.why = (
                "Its checkpoints lie in the pack, and the log's own key signed them: hand in one that you got from somebody else "
                "(--head)."
            )

    def _exceptions(self, tree: Tree256) -> None:
        """The register of exceptions, and the proofs of their entries."""
        listed = {test.id: test.came.listed for test in self.tests}
        proven = sorted({one[0] for found in listed.values() for one in found})[:MAX_PROOFS]
        names = {entry: "proofs/%d.tlog-proof" % entry for entry in proven}
        made = [(test, *one, names.get(one[0], "")) for test in sorted(listed) for one in listed[test]]
        self._same("exceptions.csv", register(made))
        there = set(self.archive.names("proofs/"))
        for name in sorted(there ^ set(names.values())):
            self.problems.append(
                (name, "It is missing." if name not in there else "It is the proof of no exception.")
            )
        checkpoint = self.archive.read("log/checkpoint", MAX_QUERY)
        tile, leaves = -1, []
        for entry in proven:
            if names[entry] in there:
                if entry // TILE != tile:
                    tile, leaves = entry // TILE, tree.leaves(entry // TILE)
                data = self.archive.read(names[entry], MAX_QUERY)
                if not _proves(data, entry, leaves[entry % TILE], self.log.head, checkpoint):
                    self.problems.append(
                        (names[entry], "It does not lead from entry %d to the log's root." % entry)
                    )

    def _controls(self, words: dict[str, Any]) -> None:
        """Each control's verdict out of those of its tests (*words*: test → verdict)."""
        known = {test.id: test for test in self.tests}
        self._doubt(known.get("kept_elsewhere"))
        doubted = {test.id: test.verdict for test in self.tests if test.verdict != words[test.id]}
        planned = self.plan["controls"]
        said = {one["control"]: one for one in self.results["controls"]}
        if [one["id"] for one in planned] != [one["control"] for one in self.results["controls"]]:
            self.problems.append(("results.json", "Its controls are not those of controls.json."))
        if self.plan["framework"]["id"] != self.results["framework"]:
            self.problems.append(("results.json", "It is of another framework than controls.json."))
        for control in planned:
            if said.get(control["id"], {}).get("tests") != control["tests"] or not set(
                control["tests"]
            ) <= set(known):
                why = "The tests that it rests on are not the same in controls.json and results.json, or have no result."
                self.problems.append((str(control["id"]), why))
        there = {"%s %s" % (self.framework, one["id"]) for one in planned}
        self.left_out = [
            name
            for name in SHIPPED.get("controls", {})
            if name.startswith(self.framework + " ") and name not in there
        ]
        for test in self.plan["tests"]:
            if test["id"] in known and known[test["id"]].said["query"] != test["digest"]:
                self.problems.append(
                    ("controls.json", "It has another digest of the test %s." % ascii(test["id"]))
                )
        for control in planned:
            verdict, why = of_control(words, tuple(control["tests"]), tuple(control["optional"]))
            told = said.get(control["id"], {})
            if told.get("verdict") == "not-tested" and verdict in ("pass", "no-population"):
                verdict, why = "not-tested", str(told.get("why"))[:300]
            elif told.get("verdict") != verdict:
                found = "The pack says %s of it; from its tests follows %s." % (
                    ascii(told.get("verdict")),
                    verdict,
                )
                self.problems.append((str(control["id"]), found))
            if doubted.keys() & {*control["tests"], *control["optional"]}:
                here = {**words, **doubted}
                verdict, why = of_control(here, tuple(control["tests"]), tuple(control["optional"]))
            if _differs("controls", "%s %s" % (self.framework, control["id"]), control_digest(control)):
                self.own_controls.append(str(control["id"]))
            self.verdicts.append({
                "control": str(control["id"]), "title": str(control["title"])[:200], "verdict": verdict, "why": why,
                "how": str(control["how"]), "also": str(control["also"])[:1000],
            })  # fmt: skip


def _differs(kind: str, name: object, digest: object) -> bool:
    """Whether a test or control is another one than came with this program. A program that nothing came with can't tell."""
    return bool(SHIPPED) and SHIPPED[kind].get(str(name)) != digest


def _same_program(archive: Archive) -> Optional[bool]:
    """Whether the pack's own verify.py is this program, to the last byte; None where this isn't run as one file."""
    try:
        with open(__file__, "rb") as file:
            return None if not SHIPPED else archive.read("verify.py", MAX_PROGRAM) == file.read()
    except (OSError, NameError):
        return None
    except Damaged:
        return False


def control_digest(control: dict[str, Any]) -> str:
    """The digest of a control: what it says, its tests, and how far they go."""
    asks = {
        name: control[name] for name in ("id", "title", "gist", "passes", "tests", "optional", "how", "also")
    }
    return sha256(json.dumps(asks, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _proves(data: bytes, entry: int, leaf: bytes, head_: Head, checkpoint: bytes) -> bool:
    """Whether a tlog-proof (c2sp.org/tlog-proof) is that of this entry in this log."""
    begins = b"c2sp.org/tlog-proof@v1\nindex %d\n" % entry
    if not data.startswith(begins) or not data.endswith(b"\n\n" + checkpoint):
        return False
    try:
        path = [
            strict_base64(line) for line in data[len(begins) : -len(checkpoint) - 1].decode().split("\n")[:-1]
        ]
    except ValueError:
        return False
    return all(len(one) == 32 for one in path) and included(leaf, entry, head_.size, path, head_.root)


# --- the whole ---------------------------------------------------------------------------------------------------


class Verification:
    """Everything that is found, from the first byte to the last verdict."""

    def __init__(self, given: str | None, heads: list[str], *, unsigned: bool = False) -> None:
        self.given, self.heads, self.unsigned = given, heads, unsigned
        self.log: Log | None = None
        self.span: Span | None = None
        self.key = self.key_from = ""
        self.signed: bool | None = None
        self.pack_problems: list[tuple[str, str]] = []
        self.log_problems: list[tuple[str, str]] = []
        self.head_verdicts: list[dict[str, Any]] = []
        self.approvals: Approvals | None = None
        self.controls: Controls | None = None
        self.unperformed = ""
        self.is_pack = False

    @property
    def damaged(self) -> bool:
        """Whether anything does not hold. A control that failed does not count: that is a result."""
        return bool(
            self.pack_problems or self.log_problems or (self.span is not None and self.span.damaged)
            or any(one["why"] for one in self.head_verdicts)
            or (self.approvals is not None and self.approvals.problems)
            or (self.controls is not None and self.controls.problems)
        )  # fmt: skip

    @property
    def code(self) -> int:
        """The exit code."""
        return (
            7
            if self.damaged
            else 2
            if self.unperformed or (self.signed is False and not self.unsigned)
            else 0
        )

    def run(self, path: str) -> None:
        """Verify what lies at *path*. Raises `Unreadable`."""
        folder = tempfile.mkdtemp(prefix="verify-")
        collecting = gc.isenabled()
        gc.disable()  # nothing that is made here is in a circle, and looking for circles takes a tenth of the time
        try:
            if os.path.isdir(path):
                self._log(FolderFiles(path), folder, None)
            else:
                self.is_pack = True
                self._pack(path, folder)
        finally:
            if collecting:
                gc.enable()
            shutil.rmtree(folder, ignore_errors=True)

    def _pack(self, path: str, folder: str) -> None:
        try:
            archive = Archive(path)
            manifest = Manifest(archive)
            self.pack_problems += manifest.names()
        except Damaged as bad:
            self.pack_problems.append((bad.where, bad.words))
            return
        mine, others = manifest.halves()

        def other() -> list[tuple[str, str]]:
            archive.reopen()
            return manifest.check(others)

        for found in _both(folder, lambda: manifest.check(mine), other):
            self.pack_problems += found
        self._log(PackFiles(archive), folder, manifest)

    def _log(self, files: Any, folder: str, manifest: Manifest | None) -> None:
        try:
            self.log = log = Log(files, self.given)
            self.key, self.key_from = log.key.line, log.key_from
            if manifest is not None:
                self.signed = manifest.signed(log)
        except Damaged as bad:
            self.log_problems.append((bad.where, bad.words))
            return
        if self.pack_problems:
            return
        walked = Walked(log, folder)
        self.span = walked.span
        if walked.tree is not None and not walked.span.damaged:
            self._heads(log, walked.tree)
            controls = None if manifest is None else self._performed(manifest.archive, walked, walked.tree)
            self._rest(walked, walked.tree, controls, folder)

    def _rest(self, walked: Walked, tree: Tree256, controls: Controls | None, folder: str) -> None:
        """Approvals, tables and tests. One process joins the tables, the other checks approvals; whoever is done goes on with tests."""
        tasks = controls.tasks(walked) if controls is not None else []
        ready, claims = _Ready(), _claims(folder, len(tasks))

        def mine() -> tuple[Tables | None, Any]:
            try:
                tables = walked.joined()
                ready.say()
            finally:
                ready.close()
            return tables, _done(tasks, claims, tables)

        def other() -> tuple[Approvals, Any]:
            walked.log.files.reopen()
            approvals = walked.approvals()
            if not ready.wait() or not tasks:
                return approvals, ([], None)
            tables = Tables(walked.base)
            try:
                return approvals, _done(tasks, claims, tables)
            finally:
                tables.close()

        try:
            with claims:
                (tables, here), (self.approvals, there) = _both(folder, mine, other)
        finally:
            ready.end()
        if tables is not None:
            _used_twice(tables, self.approvals)
            if controls is not None:
                self._judge(controls, [here, there], tables, tree)
            tables.close()

    def _heads(self, log: Log, tree: Tree256) -> None:
        for name in self.heads:
            try:
                with open(name, "rb") as file:
                    note = file.read(MAX_QUERY)
            except OSError as error:
                raise Unreadable("%s can't be read: %s" % (name, error.strerror)) from None
            try:
                found = Head(note, log.key, name)
                why, size = log.begins_with(tree, found), found.size
            except Damaged as bad:
                why, size = bad.words, -1
            self.head_verdicts.append({"file": name, "size": size, "why": why})

    def _performed(self, archive: Archive, walked: Walked, tree: Tree256) -> Controls | None:
        """The controls of the pack, which are to be performed again; None where they can't be, which is said."""
        if not HAS_SQL:
            self.unperformed = "This Python has no sqlite3: controls were not performed again."
            return None
        with self._judging():
            kept = _kept_heads(archive, walked.log, tree)
            handed = any(not one["why"] for one in self.head_verdicts)
            self.controls = Controls(archive, walked.log, kept, walked.span.last_time, handed=handed)
        return self.controls

    def _judge(self, controls: Controls, done: list[Any], tables: Tables, tree: Tree256) -> None:
        """What the tasks gave, in their order, as verdicts."""
        with self._judging():
            for _, error in done:
                if error is not None:
                    raise error
            found = sorted([one for came, _ in done for one in came], key=lambda one: one[0])
            controls.take([came for _, came in found], tables, tree)

    @contextmanager
    def _judging(self) -> Iterator[None]:
        try:
            yield
        except Damaged as bad:
            self.pack_problems.append((bad.where, bad.words))
        except _SHAPE as error:
            self.pack_problems.append(
                ("results.json", "It is not in the form of a pack's results (%s)." % _internal(error))
            )


def _done(tasks: Sequence[Callable[[Any], Any]], claims: Any, tables: Tables | None) -> Any:
    """([(number of a task, what it gave)], what went wrong or None) of those that this process gets."""
    try:
        return [(number, tasks[number](tables)) for number in _claimed(claims)], None
    except (Damaged, *_SHAPE) as error:
        return [], error


def _kept_heads(archive: Archive, log: Log, tree: Tree256) -> list[tuple[str, str]]:
    """(name, why it does not hold) of the checkpoints in the pack that somebody else kept and handed in."""
    found = []
    for name in archive.names("heads/"):
        try:
            found.append((name, log.begins_with(tree, Head(archive.read(name, MAX_QUERY), log.key, name))))
        except Damaged as bad:
            found.append((name, bad.words))
    return found


# --- what is said ------------------------------------------------------------------------------------------------


def as_json(found: Verification) -> dict[str, Any]:
    """The verdicts as JSON values."""
    span, log, checks, controls = found.span, found.log, found.approvals, found.controls
    whole = span is not None and not found.log_problems and not span.damaged
    return {
        "verified": found.code == 0,
        "exit": found.code,
        "log": {
            "intact": whole,
            "key": found.key,
            "key_from": found.key_from,
            "origin": log.head.origin if log else "",
            "size": log.head.size if log else 0,
            "root": log.head.root.hex() if log else "",
            "sessions": len(span.sessions) if span else 0,
            "disclosures": span.disclosures if span else 0,
            "withheld": span.withheld if span else 0,
            "blobs": span.blobs if span else 0,
            "damaged": len(found.log_problems) + (span.damaged if span else 0),
            "problems": [list(one) for one in found.log_problems + (span.problems if span else [])],
        },
        "heads": [{**one, "holds": not one["why"]} for one in found.head_verdicts],
        "pack": {
            "intact": not found.pack_problems,
            "signed": found.signed,
            "problems": [list(one) for one in found.pack_problems],
        } if found.is_pack else None,
        "approvals": {
            "valid": not checks.problems,
            "counts": checks.counts,
            "problems": [list(one) for one in checks.problems],
            "unchecked": checks.unchecked,
        } if checks is not None and whole else None,
        "controls": {
            "framework": controls.framework,
            "since": controls.period[0],
            "until": controls.period[1],
            "recorded": bool(controls.results["id"]),
            "follow": not controls.problems,
            "problems": [list(one) for one in controls.problems],
            "tests": [_test_json(test) for test in controls.tests],
            "controls": controls.verdicts,
            "own_controls": controls.own_controls,
            "same_program": controls.same_program,
            "left_out": controls.left_out,
        } if controls is not None else None,
        "unperformed": found.unperformed,
    }  # fmt: skip


def _test_json(test: Test) -> dict[str, Any]:
    return {
        "test": str(test.id), "verdict": test.verdict, "why": test.why, "population": test.came.population,
        "exceptions": test.came.exceptions, "untested": test.came.untested, "own": test.own,
        "settings_changed": {name: list(pair) for name, pair in test.came.changed.items()},
    }  # fmt: skip


def _unchecked(checks: Checks) -> dict[str, int]:
    """Why approvals were not checked to the end, each with how often."""
    counts: dict[str, int] = {}
    for _, kind, words in checks.unchecked:
        name = "%s: %s" % (kind, re.sub(r"\bof entry \d+ |sha256:[0-9a-f]+ ", "", words))
        counts[name] = counts.get(name, 0) + 1
    return counts


WORDS_OF = {"pass": "pass", "fail": "FAIL", "not-tested": "not tested", "no-population": "no population"}


def in_words(said: dict[str, Any]) -> Iterator[str]:
    """The same for people, line by line."""
    log, pack, approvals, controls = said["log"], said["pack"], said["approvals"], said["controls"]
    if pack is not None:
        signed = {
            True: "its list of files is signed by the log's key",
            False: "but NOBODY signed its list of files: what is not derived again, as the reports, may be anybody's",
            None: "",
        }
        yield "PACK       %s" % ("intact; " + signed[pack["signed"]] if pack["intact"] else "DAMAGED")
        yield from _listed(pack["problems"], len(pack["problems"]))
    yield "LOG        %s" % (
        "intact" if log["intact"] else "NOT INTACT" if log["damaged"] else "not looked at"
    )
    if log["origin"]:
        yield "           %d entries of %s, root %s" % (log["size"], _clean(log["origin"]), log["root"])
    if log["intact"]:
        yield (
            "           %(sessions)d sessions without a gap; %(disclosures)d fields disclosed, %(withheld)d withheld"
            % log
        )
    yield from _listed(log["problems"], log["damaged"])
    if log["key_from"] == "given":
        yield "           verified with the key that you gave"
    elif log["key"]:
        yield "           verified with the key that lies in it, which proves nothing about whose it is: compare it with one"
        yield "           that you trust, or give that with --key: %s" % _clean(log["key"])
    for one in said["heads"]:
        yield "           %s: %s" % (
            _clean(one["file"]),
            "a beginning of this log, %d entries" % one["size"]
            if one["holds"]
            else "NO: " + _clean(one["why"]),
        )
    if log["intact"] and not said["heads"]:
        yield "           no checkpoint kept elsewhere was handed in (--head): that this is the only and the whole log is not shown"
    if approvals is not None:
        yield "APPROVALS  %s" % ("each is valid" if approvals["valid"] else "NOT ALL ARE VALID")
        for name, count in sorted(approvals["counts"].items()):
            yield "%10d %s" % (count, name)
        yield from _listed(
            [["entry %d (%s)" % (one[0], one[1]), one[2]] for one in approvals["problems"]],
            len(approvals["problems"]),
        )
        for name, count in sorted(approvals["unchecked"].items())[:SHOWN]:
            yield "%10d not checked to the end: %s" % (count, _clean(name))
    if said["unperformed"]:
        yield "CONTROLS   not performed: %s" % said["unperformed"]
    elif controls is not None:
        yield from _controls_in_words(controls)
    elif pack is not None:
        yield "CONTROLS   not performed again, because of the damage above"
    yield {
        0: "VERIFIED. What failed above is a result, not a damage.",
        2: "NOT VERIFIED to the end.",
        7: "NOT VERIFIED.",
    }[said["exit"]]


def _controls_in_words(controls: dict[str, Any]) -> Iterator[str]:
    yield "CONTROLS   %s, each test performed again over the whole population" % _clean(controls["framework"])
    yield "           from %s until %s: is that the period you asked for?" % (
        _moment(controls["since"]),
        _moment(controls["until"]),
    )
    if not controls["recorded"]:
        yield "           the making of this pack is NOT RECORDED in the log: there may be others of it"
    for one in controls["tests"]:
        yield "  %-13s  %s: %d of %d are exceptions%s%s" % (
            WORDS_OF[one["verdict"]], _clean(one["test"]), one["exceptions"], one["population"],
            ", %d can't be tested" % one["untested"] if one["untested"] else "",
            " [its text is not the one that came with this program]" if one["own"] else "",
        )  # fmt: skip
        for name, (before, now) in sorted(one["settings_changed"].items()):
            yield "                 with %s = %g; the test's own value is %g" % (name, now, before)
    yield ""
    for one in controls["controls"]:
        part = " (tested part)" if one["how"] == "partial" else ""
        own = " [not as in this program's catalogue]" if one["control"] in controls["own_controls"] else ""
        yield "  %-13s  %s %s%s%s" % (
            WORDS_OF[one["verdict"]],
            _clean(one["control"]),
            _clean(one["title"]),
            part,
            own,
        )
        if one["why"]:
            yield "                 %s" % _clean(one["why"])
    for name in controls["left_out"]:
        yield "  LEFT OUT       %s is in this program's catalogue, and not in the pack" % _clean(name)
    if not controls["follow"]:
        yield "           THE PACK'S RESULTS DO NOT FOLLOW FROM ITS LOG:"
        yield from _listed(controls["problems"], len(controls["problems"]))
    yield ""
    yield "           report.html, report.pdf, oscal/, ocsf/ and grc/ were NOT made again: where they say something else, they are wrong"
    if controls["same_program"] is False:
        yield "           the verify.py in the pack is another one than this: do not run that"


def _moment(ms: int) -> str:
    """Milliseconds since 1970 in words, UTC."""
    try:
        return (datetime(1970, 1, 1) + timedelta(milliseconds=ms)).isoformat(" ", "seconds") + " UTC"
    except OverflowError:
        return "%d ms" % ms


def _listed(problems: list[Any], count: int) -> Iterator[str]:
    for where, words in problems[:SHOWN]:
        yield "           WRONG  %s: %s" % (_clean(str(where)), _clean(words))
    if count > min(len(problems), SHOWN):
        yield "           … and %d more" % (count - min(len(problems), SHOWN))


def _clean(text: str) -> str:
    """Text of others without anything that a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in text)[:500]


def program(arguments: list[str]) -> int:
    """Run it. Gives the exit code."""
    try:
        path, given, heads, flags = _options(arguments)
    except ValueError:
        print(USAGE, file=sys.stderr)
        return 2
    found = Verification(given, heads, unsigned="--unsigned" in flags)
    try:
        found.run(path)
    except Unreadable as error:
        print("%s\nNothing was verified." % _clean(str(error.args[0])), file=sys.stderr)
        return 2
    except (
        Exception
    ) as error:  # whatever was thought of to bring this program down: nothing is verified by it
        print("%s\nNothing was verified." % _internal(error), file=sys.stderr)
        return 2
    said = as_json(found)
    if "--json" in flags:
        print(json.dumps(said, sort_keys=True))
    else:
        for line in in_words(said):
            print(
                line.encode(sys.stdout.encoding or "utf-8", "replace").decode(sys.stdout.encoding or "utf-8")
            )
    return found.code


def _options(arguments: list[str]) -> tuple[str, str | None, list[str], set[str]]:
    """(path, key, heads, flags). Raises `ValueError`."""
    paths, given, heads, flags = [], None, [], set()
    rest = list(arguments)
    while rest:
        one = rest.pop(0)
        if one in ("--json", "--unsigned"):
            flags.add(one)
        elif one == "--key" and rest:
            given = rest.pop(0).strip()
        elif one == "--head" and rest:
            heads.append(rest.pop(0))
        elif one.startswith("-"):
            raise ValueError(one)
        else:
            paths.append(one)
    if len(paths) != 1:
        raise ValueError("one path")
    return paths[0], given, heads, flags


if __name__ == "__main__":
    sys.exit(program(sys.argv[1:]))
