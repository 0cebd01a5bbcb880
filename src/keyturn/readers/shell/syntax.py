"""A shell script as this package understands it: a small tree of frozen structs.

It holds less than bash can express, on purpose. What has no place here is not understood, and the reading is
then incomplete. Names follow the Shell Command Language (POSIX.1-2017, XCU chapter 2).
"""

from __future__ import annotations

from msgspec import Struct

Span = tuple[int, int]
"""`[start, end)` offsets in UTF-8 bytes of the script given."""


class Text(Struct, frozen=True):
    """Characters that stand for themselves, after quote removal. `quoted` keeps an empty word a word."""

    value: str
    quoted: bool = False


class Home(Struct, frozen=True):
    """An unquoted `~` at the start of a word: the user's home (XCU 2.6.1)."""


class Glob(Struct, frozen=True):
    """An unquoted `*`, `?` or bracket expression, as written (XCU 2.13)."""

    pattern: str


class Variable(Struct, frozen=True):
    """`${name}`, `${#name}` (operator `length`) or `${name OP word}` with OP in `OPERATORS`."""

    name: str
    operator: str = ""
    word: Word | None = None
    quoted: bool = False


class Substitution(Struct, frozen=True):
    """`$(script)`, `<(script)` or `>(script)`; `opening` is the two characters."""

    script: Sequence
    opening: str = "$("
    quoted: bool = False


Part = Text | Home | Glob | Variable | Substitution

OPERATORS = frozenset({":-", "-", ":+", "+", "#", "##", "%", "%%"})
"""Parameter expansions without side effects and without evaluation (XCU 2.6.2)."""


class Word(Struct, frozen=True):
    """One word before expansion."""

    parts: tuple[Part, ...]
    span: Span = (0, 0)


class Assignment(Struct, frozen=True):
    """`name=value` or `name+=value` before a command or alone. Arrays are not understood."""

    name: str
    value: Word
    append: bool = False
    span: Span = (0, 0)


class Redirection(Struct, frozen=True):
    """`[fd]operator target`. A here-document has `body` (tabs already stripped) and no target."""

    operator: str
    fd: str = ""
    target: Word | None = None
    body: Word | None = None
    span: Span = (0, 0)


class Simple(Struct, frozen=True):
    """A simple command (XCU 2.9.1)."""

    assignments: tuple[Assignment, ...] = ()
    words: tuple[Word, ...] = ()
    export: bool = False
    span: Span = (0, 0)


class Binary(Struct, frozen=True):
    """`left OP right` with OP one of `&&`, `||`, `|`, `|&`."""

    operator: str
    left: Statement
    right: Statement


class Group(Struct, frozen=True):
    """`( body )` with opening `(`, or `{ body; }` with opening `{`."""

    opening: str
    body: Sequence


class If(Struct, frozen=True):
    """`if`/`elif` branches as (condition, body) pairs, then `else`."""

    branches: tuple[tuple[Sequence, Sequence], ...]
    otherwise: Sequence | None = None


class Loop(Struct, frozen=True):
    """`while`/`until` condition; do body; done."""

    keyword: str
    condition: Sequence
    body: Sequence


class For(Struct, frozen=True):
    """`for name in items; do body; done`."""

    name: str
    items: tuple[Word, ...]
    body: Sequence
    span: Span = (0, 0)


class Arm(Struct, frozen=True):
    """`patterns) body ;;`."""

    patterns: tuple[Word, ...]
    body: Sequence


class Case(Struct, frozen=True):
    """`case word in arms esac`; only `;;` ends an arm."""

    word: Word
    arms: tuple[Arm, ...]


class Time(Struct, frozen=True):
    """`time statement` (bash's reserved word), never inside a pipeline."""

    statement: Statement


class Condition(Struct, frozen=True):
    """`[[ … ]]`: `tokens` are operator text or words, in order, fully parenthesised by the parser's tree."""

    tokens: tuple[str | Word, ...]
    span: Span = (0, 0)


Command = Simple | Binary | Group | If | Loop | For | Case | Time | Condition


class Statement(Struct, frozen=True):
    """A command with what surrounds it: `!`, redirections of the whole, and `&`."""

    command: Command
    redirections: tuple[Redirection, ...] = ()
    negated: bool = False
    background: bool = False
    span: Span = (0, 0)


class Sequence(Struct, frozen=True):
    """Statements one after the other."""

    statements: tuple[Statement, ...] = ()


class NotUnderstood(Exception):
    """Raised inside this package only; becomes an `Unread` of the reading."""

    def __init__(self, why: str, span: Span) -> None:
        super().__init__(why)
        self.why = why
        self.span = span
