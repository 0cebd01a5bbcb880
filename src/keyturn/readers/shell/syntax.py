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
    """An unquoted `~` or `~user` at the start of a word: a home (XCU 2.6.1)."""

    user: str = ""


class Glob(Struct, frozen=True):
    """An unquoted `*`, `?` or bracket expression, as written (XCU 2.13)."""

    pattern: str


class Arithmetic(Struct, frozen=True):
    """An arithmetic expression: `tokens` fully bracketed, the variables that it `reads` and those that it `sets`.

    As part of a word it is `$((…))`. A variable's text is evaluated in its turn (bash(1) ARITHMETIC EVALUATION), so
    `analysis` asks of every name in `reads` whether it can only be a number.
    """

    tokens: tuple[str | Part, ...]
    reads: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    quoted: bool = False
    span: Span = (0, 0)


class Variable(Struct, frozen=True):
    """`${name}`, `${#name}` (operator `length`), `${!name[@]}` (`keys`), `${!name*}` (`names`) or `${name OP word}`.

    `index` is `@`, `*` or what is between an array's brackets; `replacement` belongs to `/` and `//`; `slice` to `:`.
    """

    name: str
    operator: str = ""
    word: Word | None = None
    quoted: bool = False
    index: str | Arithmetic = ""
    replacement: Word | None = None
    slice: tuple[Arithmetic, ...] = ()


class Substitution(Struct, frozen=True):
    """`$(script)`, `<(script)` or `>(script)`; `opening` is the two characters.

    `base`, if given, stands for all spans inside: the script was unquoted before it was read (backquotes).
    """

    script: Sequence
    opening: str = "$("
    quoted: bool = False
    base: Span | None = None


Part = Text | Home | Glob | Variable | Substitution | Arithmetic

DEFAULTS = frozenset({":-", "-", ":+", "+", ":=", "=", ":?", "?"})
"""Parameter expansions with another text instead (XCU 2.6.2); those with `=` also set the variable."""

PATTERNS = frozenset({"#", "##", "%", "%%", "^", "^^", ",", ",,"})
"""Parameter expansions with a pattern: parts cut off, or letters changed."""

TRANSFORMS = frozenset("QUuLEAaKk")
"""`${name@X}` that only change text. `P` is not among them: it runs what the text says, as a prompt does."""


class Word(Struct, frozen=True):
    """One word before expansion."""

    parts: tuple[Part, ...]
    span: Span = (0, 0)


class Assignment(Struct, frozen=True):
    """`name=value`, `name+=value`, `name[index]=value` or `name=(items…)`; without any value in declarations only."""

    name: str
    value: Word | None
    append: bool = False
    span: Span = (0, 0)
    items: tuple[tuple[Arithmetic | None, Word], ...] | None = None
    index: Arithmetic | None = None


class Redirection(Struct, frozen=True):
    """`[fd]operator target`. A here-document has `body` (tabs already stripped) and no target."""

    operator: str
    fd: str = ""
    target: Word | None = None
    body: Word | None = None
    span: Span = (0, 0)


class Simple(Struct, frozen=True):
    """A simple command (XCU 2.9.1), or a declaration: `keyword` (`export`, `declare`, …) and its `flags`."""

    assignments: tuple[Assignment, ...] = ()
    words: tuple[Word, ...] = ()
    keyword: str = ""
    flags: tuple[str, ...] = ()
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
    """`for name in items; do body; done`, or `select`."""

    name: str
    items: tuple[Word, ...]
    body: Sequence
    span: Span = (0, 0)
    keyword: str = "for"


class Count(Struct, frozen=True):
    """`for ((first; condition; step)); do body; done`."""

    header: tuple[Arithmetic | None, Arithmetic | None, Arithmetic | None]
    body: Sequence


class Evaluation(Struct, frozen=True):
    """`((expression))`, also for `let`."""

    expression: Arithmetic


class Function(Struct, frozen=True):
    """`name() body`; the body is a group with its redirections."""

    name: str
    body: Statement
    span: Span = (0, 0)


class Beside(Struct, frozen=True):
    """`coproc name { body; }`."""

    name: str
    body: Sequence
    span: Span = (0, 0)


class Arm(Struct, frozen=True):
    """`patterns) body end`; `end` is `;;`, `;&` (the next body, too) or `;;&` (the next patterns, too)."""

    patterns: tuple[Word, ...]
    body: Sequence
    end: str = ";;"


class Case(Struct, frozen=True):
    """`case word in arms esac`."""

    word: Word
    arms: tuple[Arm, ...]


class Time(Struct, frozen=True):
    """`time statement` (bash's reserved word), never inside a pipeline."""

    statement: Statement


class Condition(Struct, frozen=True):
    """`[[ … ]]`: `tokens` are operator text or words, in order, fully parenthesised by the parser's tree."""

    tokens: tuple[str | Word, ...]
    span: Span = (0, 0)


Command = (
    Simple
    | Binary
    | Group
    | If
    | Loop
    | For
    | Count
    | Case
    | Time
    | Condition
    | Evaluation
    | Function
    | Beside
)


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
