"""Where things stand in Cedar text: tokens, rules, conditions and their parts, each with line and column.

Cedar's own parser decides what a rule *means*; it gives no positions, so this scanner finds them. It also bounds
what reaches that parser: nesting, chains of operators and sizes (promise 2).
Source: the Cedar grammar, https://docs.cedarpolicy.com/policies/syntax-grammar.html.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

from msgspec import Struct

from keyturn.policy.problems import Problem

MAX_NESTING = 24
"""Brackets open at once in one rule."""

MAX_OPERATORS = 300
"""Operators that nest a rule's syntax tree (`&&`, `||`, `!`, `.`, …) in one rule."""

_TOKEN = re.compile(
    r"""(?P<blank>\s+|//[^\n\r]*)
      | (?P<string>"(?:[^"\\\n]|\\.)*")
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<number>[0-9]+)
      | (?P<mark>::|==|!=|<=|>=|&&|\|\||[<>!+\-*.,;:(){}\[\]@?=])""",
    re.VERBOSE,
)
_OPEN, _CLOSE = {"(": ")", "{": "}", "[": "]"}, {")", "}", "]"}
_NESTING = {"&&", "||", "!", "-", "+", "*", ".", "if", "like", "has", "in"}


class Token(Struct, frozen=True):
    """One token. `start`/`end` are offsets in the file's text, in characters."""

    kind: str
    text: str
    start: int
    end: int


class Source(Struct, frozen=True):
    """A file's name and text, able to say where an offset is."""

    file: str
    text: str

    def place(self, offset: int) -> tuple[int, int]:
        """(line, column), both from 1."""
        starts = _line_starts(self.text)
        line = bisect_right(starts, offset)
        return line, offset - starts[line - 1] + 1

    def problem(self, start: int, end: int, message: str, suggestion: str = "") -> Problem:
        """A problem at these characters, with the line it stands on."""
        line, column = self.place(start)
        begin = self.text.rfind("\n", 0, start) + 1
        stop = self.text.find("\n", start)
        excerpt = self.text[begin : stop if stop >= 0 else len(self.text)].rstrip("\r")
        return Problem(self.file, line, column, message, excerpt, max(1, end - start), suggestion)


class Part(Struct, frozen=True):
    """One of the conditions that all have to hold: the text of a conjunct of `when`, or of a disjunct of `unless`."""

    kind: str
    text: str
    start: int
    end: int


class Chunk(Struct, frozen=True):
    """One rule's tokens and text, from its first annotation to its semicolon."""

    source: Source
    tokens: tuple[Token, ...]

    @property
    def start(self) -> int:
        """Offset of the first character."""
        return self.tokens[0].start

    @property
    def end(self) -> int:
        """Offset after the semicolon."""
        return self.tokens[-1].end

    @property
    def text(self) -> str:
        """The rule as written."""
        return self.source.text[self.start : self.end]

    @property
    def line(self) -> int:
        """The line of `permit` or `forbid` (annotations stand above it)."""
        return self.source.place(self.head.start)[0]

    @property
    def head(self) -> Token:
        """The token `permit` or `forbid`, else the first token."""
        for _, token in _outside_brackets(self.tokens):
            if token.text in ("permit", "forbid"):
                return token
        return self.tokens[0]

    def annotation(self, name: str, nth: int = 0) -> Token | None:
        """The name token of the *nth* `@name` of this rule."""
        found = [after for token, after in pairwise(self.tokens) if token.text == "@" and after.text == name]
        return found[nth] if nth < len(found) else None

    def annotation_names(self) -> list[Token]:
        """Name tokens of all annotations, in order."""
        return [after for token, after in pairwise(self.tokens) if token.text == "@" and after.kind == "word"]

    def parts(self) -> tuple[Part, ...]:
        """The conditions, split where they can be judged one by one."""
        return tuple(_parts(self))


@lru_cache(maxsize=16)
def _line_starts(text: str) -> list[int]:
    return [0, *(match.end() for match in re.finditer("\n", text))]


def scan(source: Source) -> tuple[list[Token], list[Problem]]:
    """All tokens but blanks and comments; problems for characters that begin no token."""
    tokens: list[Token] = []
    offset = 0
    while offset < len(source.text):
        match = _TOKEN.match(source.text, offset)
        if match is None:
            stop = offset + 1
            what = "this text is not closed" if source.text[offset] == '"' else "this is not Cedar"
            return tokens, [source.problem(offset, stop, what)]
        if match.lastgroup != "blank":
            tokens.append(Token(match.lastgroup or "", match.group(), match.start(), match.end()))
        offset = match.end()
    return tokens, []


def chunks(source: Source) -> tuple[list[Chunk], list[Problem]]:
    """The file's rules, and what is wrong with its brackets and bounds."""
    tokens, problems = scan(source)
    if problems:
        return [], problems
    found: list[Chunk] = []
    current: list[Token] = []
    stack: list[Token] = []
    operators = 0
    for token in tokens:
        current.append(token)
        if token.kind != "string":
            if token.text in _OPEN:
                stack.append(token)
                if len(stack) > MAX_NESTING:
                    message = f"brackets are nested more than {MAX_NESTING} deep"
                    return found, [source.problem(token.start, token.end, message)]
            elif token.text in _CLOSE:
                if not any(_OPEN[opened.text] == token.text for opened in stack):
                    return found, [source.problem(token.start, token.end, f"`{token.text}` closes nothing")]
                if _OPEN[stack[-1].text] != token.text:
                    return found, [_never_closed(source, stack[-1])]
                stack.pop()
            operators += token.text in _NESTING
        if operators > MAX_OPERATORS:
            message = f"one rule has more than {MAX_OPERATORS} operators"
            hint = "write lists as sets: [\"a\", \"b\"].contains(context.program)"  # fmt: skip
            return found, [source.problem(token.start, token.end, message, hint)]
        if token.text == ";" and token.kind == "mark" and not stack:
            found.append(Chunk(source, tuple(current)))
            current, operators = [], 0
    if stack:
        return found, [_never_closed(source, stack[-1])]
    if current:
        token = current[-1]
        return found, [source.problem(token.start, token.end, "the rule does not end", "end it with `;`")]
    return found, []


def _never_closed(source: Source, token: Token) -> Problem:
    return source.problem(token.start, token.end, f"`{token.text}` is never closed")


def _outside_brackets(tokens: Sequence[Token]) -> Iterator[tuple[int, Token]]:
    depth = 0
    for position, token in enumerate(tokens):
        if token.kind == "mark" and token.text in _CLOSE:
            depth -= 1
        if depth == 0:
            yield position, token
        if token.kind == "mark" and token.text in _OPEN:
            depth += 1


def _parts(chunk: Chunk) -> Iterator[Part]:
    tokens = chunk.tokens
    outside = [position for position, _ in _outside_brackets(tokens)]
    for here, following in pairwise(outside):
        kind = tokens[here].text
        if tokens[here].kind == "word" and kind in ("when", "unless") and tokens[following].text == "{":
            close = next(p for p in outside if p > following)
            yield from _split(chunk.source.text, kind, tokens[following + 1 : close])


def _split(text: str, kind: str, body: Sequence[Token]) -> Iterator[Part]:
    if not body:
        return
    top = list(_outside_brackets(body))
    marks = {token.text for _, token in top if token.kind != "string"}
    separator = "&&" if kind == "when" else "||"
    whole = "if" in marks or (kind == "when" and "||" in marks)
    cuts = [] if whole else [p for p, token in top if token.text == separator and token.kind == "mark"]
    for start, end in zip([-1, *cuts], [*cuts, len(body)], strict=True):
        piece = body[start + 1 : end]
        if piece:
            yield Part(kind, text[piece[0].start : piece[-1].end], piece[0].start, piece[-1].end)
