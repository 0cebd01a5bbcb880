"""The evidence tables in SQLite, and the running of a test over them.

Rules kept here:

- The standard library alone, and no state but the rows: what goes in, in the log's order, is all that comes out.
- A test is one statement that only reads: no other file, no setting of the database, no function that tells the time or makes a value
  up. It is stopped when it takes too long. What breaks a rule has no figures, and so can't pass.
- A test gives a row for each member of its population, within the period, with the columns `entry, ts_ms, subject, exception`.
- An entry whose row says too little (`blind`) is a member that can't be tested, in every test that rests on its table: also one from
  before the period, on which what happened later rests, unless it is of a type that lawful erasure makes blind (`PASSING`).
"""

import re
import sqlite3
import time
from collections import Counter, namedtuple

from keyturn.evidence.program.rows import NAMES, PASSING, SOURCES, TABLES, rows

COLUMNS = ("entry", "ts_ms", "subject", "exception")
DAY_MS = 86_400_000
CHUNK = 4_000
"""Rows that are collected before they are written."""
SECONDS = 120.0
"""How long one test may take."""
FETCHED = 4_000
"""Members of a population that are looked at together."""
STEPS = 100_000
"""Instructions of SQLite's machine between two looks at the clock."""
LENGTH = 1_000_000
"""Bytes of one value at most."""
MAPPED = 1 << 32
"""Bytes of a file that are read where the system keeps them, and not copied."""
IN_ORDER = re.compile(r"\n[ \t]*ORDER BY 1, 3, 4\Z")
"""How tests end, for whoever runs one by hand. Here it is no use: members are counted in any order, and exceptions put in order."""

INDEXES = {
    "event": ("session",),
    "action": ("action", "session"),
    "permit": ("permit", "action", "request"),
    "receipt": ("action",),
    "started": ("action",),
    "request": ("request", "action"),
    "ended": ("request",),
    "placed": ("request",),
    "approval": ("request", "person"),
    "drill": ("request",),
    "grant_event": ("grant_id", "action", "request"),
    "plan_event": ("plan_id", "action", "request"),
    "breakglass": ("use_id", "action", "request"),
    "session": ("session",),
    "closed": ("session",),
    "change": ("object", "request"),
    "person": ("person",),
    "person_key": ("key", "person"),
    "credential": ("credential", "name"),
    "policy": ("policy",),
    "finding": ("finding",),
    "finding_move": ("finding",),
    "response": ("response", "finding"),
    "definition": ("digest",),
    "artefact": ("artefact",),
    "hold": ("hold",),
    "notice": ("about",),
    "delegation": ("delegation",),
    "tested": ("run",),
}
"""Table → columns by which tests join. `entry` is one of each table that is not of `LONG`."""
LONG = frozenset(("action", "permit", "receipt"))
"""Tables with a row for each action, of which no test looks one up by its entry."""

FUNCTIONS = frozenset(
    (
        "abs", "avg", "ceil", "ceiling", "char", "coalesce", "count", "cume_dist", "dense_rank", "first_value", "floor", "glob", "hex",
        "ifnull", "iif", "instr", "lag", "last_value", "lead", "length", "like", "lower", "ltrim", "max", "min", "nth_value", "ntile",
        "nullif", "percent_rank", "rank", "replace", "round", "row_number", "rtrim", "sign", "substr", "substring", "sum", "total", "trim",
        "typeof", "unicode", "upper",
    )
)  # fmt: skip
"""What a test may call: the same in, the same out."""

OWN = frozenset(TABLES) | {"period", "setting"}

Outcome = namedtuple("Outcome", "population exceptions untested listed days")
"""Figures, exceptions as (entry, ts_ms, subject, exception) in order, and [(day_ms, population, exceptions, untested)]."""


class BadTest(Exception):
    """A test that can't be run, in words."""


class Fields(dict):  # type: ignore[type-arg]
    """The disclosed fields of an entry, in which a value that is kept apart (`{"blob", "size"}`) is looked up when it is asked for.

    One whose content isn't there counts as not disclosed. *blob* gives the value of a digest, or None.
    """

    def __init__(self, fields, blob):
        super().__init__(fields)
        self._blob = blob

    def __contains__(self, name):
        return super().__contains__(name) and self.get(name) is not None

    def get(self, name, default=None):
        value = super().get(name, default)
        if _apart(value):
            value = self[name] = self._blob(value["blob"])
        return default if value is None else value


def _apart(value):
    return type(value) is dict and len(value) == 2 and "blob" in value and "size" in value


def opened(fields, blob):
    """*fields*, with what is kept apart looked up by *blob* (digest → value or None) when it is asked for."""
    return Fields(fields, blob) if any(map(_apart, fields.values())) else fields


class Tables:
    """The tables, in memory or in a file of their own, which may be deleted at any time."""

    def __init__(self, path=":memory:"):
        self.db = sqlite3.connect(str(path), isolation_level=None)
        for pragma in (
            "page_size = 16384",
            "journal_mode = off",
            "synchronous = off",
            "temp_store = memory",
            "cache_size = -65536",
            "mmap_size = %d" % MAPPED,
        ):
            self.db.execute("PRAGMA " + pragma)
        if hasattr(self.db, "setlimit"):  # Python 3.11
            self.db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LENGTH)
        for table, columns in TABLES.items():
            named = ", ".join('"%s" %s' % (name, kind) for name, kind, _ in columns)
            self.db.execute('CREATE TABLE IF NOT EXISTS "%s" (%s)' % (table, named))
        self.db.execute("CREATE TEMP TABLE period (since_ms INTEGER, until_ms INTEGER, size INTEGER)")
        self.db.execute("CREATE TEMP TABLE setting (name TEXT, value REAL)")
        self._put = {
            table: 'INSERT INTO "%s" VALUES (%s)' % (table, ", ".join("?" * len(names)))
            for table, names in NAMES.items()
        }
        self._why = ""

    def close(self):
        self.db.close()

    # --- rows ----------------------------------------------------------------------------------------------------

    def load(self, entries):
        """Add the rows of *entries*, (header, fields) in the log's order; gives how many entries that were."""
        count = 0

        def made():
            nonlocal count
            for header, fields in entries:
                count += 1
                yield rows(header, fields)

        self.insert(made())
        return count

    def insert(self, made, sheets=None):
        """Add rows: of each entry its (table, values), in the log's order. *sheets* are given the same rows."""
        kept = {table: [] for table in TABLES}
        waiting = 0
        self.db.execute("BEGIN")
        try:
            for each in made:
                for table, values in each:
                    kept[table].append(values)
                waiting += len(each)
                if waiting >= CHUNK:
                    self._write(kept, sheets)
                    waiting = 0
            self._write(kept, sheets)
        finally:
            self.db.execute("COMMIT")

    def _write(self, kept, sheets):
        for table, values in kept.items():
            if values:
                self.db.executemany(self._put[table], values)
                if sheets is not None:
                    sheets.add(table, values)
                values.clear()

    def join(self, path):
        """Put the rows of the tables in the file *path*, which follow these, behind them.

        In the order in which they lie there: SQLite takes them over as they are exactly if nothing is said of an order.
        """
        self.db.execute("ATTACH ? AS later", (str(path),))
        self.db.execute("BEGIN")
        for table in TABLES:
            self.db.execute('INSERT INTO main."%s" SELECT * FROM later."%s"' % (table, table))
        self.db.execute("COMMIT")
        self.db.execute("DETACH later")

    def index(self):
        """Make what tests join by quick to find. Rows that come later are found as quickly."""
        for table in TABLES:
            for column in (() if table in LONG else ("entry",)) + INDEXES.get(table, ()):
                named = "%s_by_%s" % (table, column)
                self.db.execute('CREATE INDEX IF NOT EXISTS "%s" ON "%s" ("%s")' % (named, table, column))
        self.db.execute("PRAGMA analysis_limit = 1000")
        self.db.execute("ANALYZE")

    def count(self, table):
        """How many rows a table has."""
        return self.db.execute('SELECT count(*) FROM "%s"' % table).fetchone()[0]

    # --- tests ---------------------------------------------------------------------------------------------------

    def run(self, text, rests_on, period, settings, most=None, seconds=SECONDS):
        """What the test *text* comes to in *period*: (since_ms, until_ms, size), the end not included. *most* exceptions are listed.

        Raises `BadTest` for one that is malformed, does what it may not, or takes longer than *seconds*.
        """
        since, until, size = period
        if not 0 <= since < until:
            raise BadTest("the period ends before it begins")
        self._set(period, settings)
        days, found = {}, []
        population = 0
        for members in self._members(text, seconds):
            population += len(members)
            entries, times, subjects, exceptions = zip(*members)
            if not (
                {int}.issuperset(map(type, entries + times))
                and {str}.issuperset(map(type, subjects + exceptions))
                and (0 <= min(entries) and max(entries) < size and since <= min(times) and max(times) < until)
            ):
                raise BadTest(_stranger(members, period))
            for day, count in Counter([ts_ms // DAY_MS for ts_ms in times]).items():
                days.setdefault(day * DAY_MS, [0, 0, 0])[0] += count
            if any(exceptions):
                for member in members:
                    if member[3]:
                        days[member[1] - member[1] % DAY_MS][1] += 1
                        found.append(member)
        found.sort()
        untested = 0
        for _, ts_ms in self._blind(rests_on, period):
            untested += 1
            ts_ms = max(ts_ms, since)
            days.setdefault(ts_ms - ts_ms % DAY_MS, [0, 0, 0])[2] += 1
        listed = tuple(found if most is None else found[:most])
        summed = tuple((day, *counts) for day, counts in sorted(days.items()))
        return Outcome(population, len(found), untested, listed, summed)

    def _set(self, period, settings):
        self.db.execute("DELETE FROM temp.period")
        self.db.execute("DELETE FROM temp.setting")
        self.db.execute("INSERT INTO temp.period VALUES (?, ?, ?)", period)
        self.db.executemany("INSERT INTO temp.setting VALUES (?, ?)", sorted(settings.items()))

    def _blind(self, rests_on, period):
        """(entry, ts_ms) of entries in the period whose rows in these tables say too little, and of those before it that it rests on."""
        since, until, size = period
        kinds = sorted({kind for table in rests_on for kind in SOURCES.get(table, ())})
        lasting = [kind for kind in kinds if kind not in PASSING]
        return self.db.execute(
            "SELECT DISTINCT entry, ts_ms FROM blind"
            " WHERE type IN (%s) AND (ts_ms >= ? OR type IN (%s)) AND ts_ms < ? AND entry < ?"
            % (_marks(kinds), _marks(lasting)),
            (*kinds, since, *lasting, until, size),
        )

    def _members(self, text, seconds):
        """The rows of the test, some thousand at once. Only reading is allowed meanwhile."""
        if "\0" in text:
            raise BadTest("it has a NUL character")
        end = time.monotonic() + seconds
        self._why = ""
        self.db.set_authorizer(self._allows)
        self.db.set_progress_handler(lambda: self._late(end, seconds), STEPS)
        try:
            found = self.db.execute(IN_ORDER.sub("", text.rstrip().rstrip(";")))
            named = tuple(one[0] for one in found.description or ())
            if named != COLUMNS:
                raise BadTest("its columns are %s, not %s" % (", ".join(named) or "none", ", ".join(COLUMNS)))
            while True:
                members = found.fetchmany(FETCHED)
                if not members:
                    return
                yield members
        except (sqlite3.Error, sqlite3.Warning, UnicodeError, OverflowError, MemoryError) as error:
            raise BadTest(self._why or str(error) or type(error).__name__) from error
        finally:
            self.db.set_progress_handler(None, STEPS)
            self.db.set_authorizer(_any)

    def _late(self, end, seconds):
        if time.monotonic() < end:
            return 0
        self._why = "it takes longer than %g seconds" % seconds
        return 1

    def _allows(self, action, first, second, database, trigger):
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ and (first in OWN or not first):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION and second in FUNCTIONS:
            return sqlite3.SQLITE_OK
        if not self._why:
            self._why = _refused(action, first, second)
        return sqlite3.SQLITE_DENY


def _stranger(members, period):
    """What is wrong with the first of these members that is no member."""
    since, until, size = period
    for entry, ts_ms, subject, exception in members:
        if not (type(entry) is int and 0 <= entry < size and type(ts_ms) is int and since <= ts_ms < until):
            return "it gives a member outside of the period or the log: entry %r at %r" % (entry, ts_ms)
        if not (type(subject) is str and type(exception) is str):
            return "subject and exception are text; of entry %d they are not" % entry
    raise AssertionError("each of them is a member")


def _marks(values):
    return ", ".join("?" * len(values))


def _any(*asked):
    """Nothing is refused outside of tests. Python before 3.11 can't take an authorizer away again."""
    return sqlite3.SQLITE_OK


def _refused(action, first, second):
    if action == sqlite3.SQLITE_FUNCTION:
        return "the function %s can't be called in a test" % second
    if action == sqlite3.SQLITE_READ:
        return "the table %s can't be read in a test" % first
    return "a test only reads"
