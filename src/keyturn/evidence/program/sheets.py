"""Evidence tables as CSV: one form of the same rows, so that a pack's tables are compared byte for byte.

Rules kept here (RFC 4180, but for the ends of lines):

- UTF-8; a header line; every line ends in a newline. Text is in double quotes, and a double quote within it is there twice.
- Whole numbers are decimal, other numbers are the shortest digits that give the same double. No number is an empty field, so the
  empty text (`""`) and no number at all are told apart.
"""

from hashlib import sha256
from itertools import repeat

from keyturn.evidence.program.rows import INTEGER, NAMES, REAL, TABLES, TEXT

PERIOD = (
    ("since_ms", INTEGER, "first millisecond"),
    ("until_ms", INTEGER, "not included"),
    ("size", INTEGER, "entries of the log"),
)
SETTING = (("name", TEXT, "of the threshold"), ("value", REAL, "what the tests ran with"))
EXCEPTIONS = (
    ("test", TEXT, "which test found it"),
    ("entry", INTEGER, "index of the entry that proves it"),
    ("ts_ms", INTEGER, "when that was recorded"),
    ("subject", TEXT, "what it is about"),
    ("exception", TEXT, "what is wrong"),
    ("proof", TEXT, "file with the entry's proof; empty beyond the first 10,000 entries"),
)


FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How a cell begins that a spreadsheet works out; the last four are the wide forms of the first."""


def head(columns):
    """The header line of a table with those (name, type, meaning)."""
    return ",".join(name for name, _, _ in columns) + "\n"


def lines(rows):
    """The lines of *rows* (tuples of str, int, float and None)."""
    return "".join([",".join([_field(value) for value in row]) + "\n" for row in rows])


def _between(columns):
    """What stands before each field of a line, and behind the last one."""
    ends = ["", *['"' if kind == TEXT else "" for _, kind, _ in columns]]
    begins = ends[1:]
    commas = ["", *["," for _ in columns[1:]]]
    return [end + comma + begin for end, comma, begin in zip(ends, commas, begins)], ends[-1] + "\n"


_BETWEEN = {table: _between(columns) for table, columns in TABLES.items()}
_TEXTS = {table: [kind == TEXT for _, kind, _ in columns] for table, columns in TABLES.items()}
_QUOTES = {table: 2 * sum(texts) for table, texts in _TEXTS.items()}


def table_head(table):
    """The header line of one of the evidence tables."""
    return ",".join(NAMES[table]) + "\n"


def table_lines(table, rows):
    """As `lines`, of rows of one of the evidence tables: all at once, and each by itself only where one has a quote or no number."""
    if not rows:
        return ""
    (before, end), quotes = _BETWEEN[table], _QUOTES[table]
    pieces = []
    for between, is_text, column in zip(before, _TEXTS[table], zip(*rows)):
        pieces += (repeat(between), column if is_text else _numbers(column))
    made = list(map("".join, zip(*pieces, repeat(end))))
    text = "".join(made)
    if text.count('"') == quotes * len(made):
        return text
    pairs = zip(made, rows)
    return "".join([one if one.count('"') == quotes else lines([row]) for one, row in pairs])


def _numbers(column):
    if None in column:
        return ["" if value is None else str(value) for value in column]
    return map(str, column)


class Sheets:
    """The lines of tables while their rows are made: one file a table, *base* with `.TABLE.csv` behind it, without header lines."""

    def __init__(self, base):
        self._base, self._files = str(base), {}

    def add(self, table, rows):
        """The next rows of a table."""
        file = self._files.get(table)
        if file is None:
            file = self._files[table] = open(sheet_path(self._base, table), "wb")
        file.write(table_lines(table, rows).encode())

    def close(self):
        """All is written."""
        for file in self._files.values():
            file.close()


class Sums:
    """The lines of `Sheets`, of which only size and SHA-256 are kept: *whole* tables with their header lines, or lines that follow."""

    def __init__(self, whole):
        self._found = {table: [0, sha256()] for table in TABLES}
        for table in TABLES if whole else ():
            self._take(table, table_head(table).encode())

    def add(self, table, rows):
        """The next rows of a table."""
        self._take(table, table_lines(table, rows).encode())

    def _take(self, table, data):
        one = self._found[table]
        one[0] += len(data)
        one[1].update(data)

    def close(self):
        """Nothing is held open."""

    @property
    def found(self):
        """Table → (bytes, SHA-256) so far."""
        return {table: (size, digest.digest()) for table, (size, digest) in self._found.items()}


def sheet_path(base, table):
    """Where a table's lines lie."""
    return "%s.%s.csv" % (base, table)


def register(rows):
    """The register of exceptions, which people open in spreadsheets: text that one would take for a formula has an apostrophe before it."""
    return head(EXCEPTIONS) + lines([tuple(map(_plain, row)) for row in rows])


def _plain(value):
    if isinstance(value, str) and (value.startswith(FORMULA) or value.lstrip().startswith(FORMULA)):
        return "'" + value
    return value


def _field(value):
    if isinstance(value, str):
        return '"' + value.replace('"', '""') + '"' if '"' in value else '"' + value + '"'
    return "" if value is None else repr(value)
