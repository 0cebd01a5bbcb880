"""Evidence tables as CSV: one form of the same rows, so that a pack's tables are compared byte for byte.

Rules kept here (RFC 4180, but for the ends of lines):

- UTF-8; a header line; every line ends in a newline. Text is in double quotes, and a double quote within it is there twice.
- Whole numbers are decimal, other numbers are the shortest digits that give the same double. No number is an empty field, so the
  empty text (`""`) and no number at all are told apart.
"""

from keyturn.evidence.program.rows import INTEGER, REAL, TEXT

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
