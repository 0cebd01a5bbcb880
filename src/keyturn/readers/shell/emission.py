"""`syntax` -> a script that means the same to every POSIX-like shell and to people (design promise 2).

Every word is quoted anew, comments are gone, here-documents get an end of our own, conditions are fully
bracketed. What is emitted depends on the tree alone, so that what was analysed is what runs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from keyturn.readers.shell.syntax import (
    DEFAULTS,
    Arithmetic,
    Assignment,
    Beside,
    Binary,
    Case,
    Command,
    Condition,
    Count,
    Evaluation,
    For,
    Function,
    Glob,
    Group,
    Home,
    If,
    Loop,
    Part,
    Redirection,
    Sequence,
    Simple,
    Span,
    Statement,
    Substitution,
    Text,
    Time,
    Variable,
    Word,
)
from keyturn.readers.shell.wordlist import words

_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,-][A-Za-z0-9_./:@%+,=-]*")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_./+-]+")
_RESERVED = words("if then else elif fi do done case esac while until for in select function time coproc")
_CONTROL = re.compile(r"[\x01-\x08\x0b-\x1f\x7f]")
_ESCAPED = re.compile(r"[\x01-\x1f\x7f\\']")
_WHOLE = frozenset({"[", "]", "{}"})
"""What needs no quotes as a whole word: beside other parts these could make a pattern."""
_HERE_END = "END_OF_TEXT"


class Emission:
    """One emission: here-documents are collected until the line that starts them ends."""

    def __init__(self, texts: Mapping[tuple[Span, str], str] | None = None) -> None:
        self._texts = texts or {}
        self._waiting: list[str] = []

    def script(self, sequence: Sequence) -> str:
        """The whole script, one statement a line."""
        return self._lines(sequence)

    def text(self, sequence: Sequence) -> str:
        """The same on one line, unless a here-document needs more: for a script that is a word of another."""
        lines = [self._line(statement) for statement in sequence.statements]
        if any("\n" in line for line in lines):
            return "\n".join(lines)
        return "".join(line + (" " if line.endswith("&") else "; ") for line in lines[:-1]) + "".join(
            lines[-1:]
        )

    def _lines(self, sequence: Sequence) -> str:
        return "\n".join(self._line(statement) for statement in sequence.statements)

    def _line(self, statement: Statement) -> str:
        text = self._statement(statement)
        if self._waiting:
            text += "\n" + "\n".join(self._waiting)
            self._waiting = []
        return text

    def _block(self, sequence: Sequence, end: str = ";") -> str:
        """A sequence inside a compound command: on one line if it has no here-documents, ended by *end*."""
        outer, self._waiting = self._waiting, []
        lines = [self._line(statement) for statement in sequence.statements]
        self._waiting = outer
        if any("\n" in line for line in lines):
            return "\n" + "\n".join(lines) + "\n"
        text = " "
        for index, line in enumerate(lines):
            last = index == len(lines) - 1
            text += line + ("" if line.endswith("&") else end if last else ";") + " "
        return text

    def _statement(self, statement: Statement) -> str:
        body = self._command(statement.command)
        redirections = " ".join(self._redirection(r) for r in statement.redirections)
        text = " ".join(piece for piece in (body, redirections) if piece)
        return ("! " if statement.negated else "") + text + (" &" if statement.background else "")

    def _command(self, command: Command) -> str:
        if isinstance(command, Simple):
            return self._simple(command)
        if isinstance(command, Binary):
            return f"{self._statement(command.left)} {command.operator} {self._statement(command.right)}"
        if isinstance(command, Group):
            closing = ")" if command.opening == "(" else "}"
            return command.opening + self._block(command.body, ";" if closing == "}" else "") + closing
        if isinstance(command, If):
            return self._if(command)
        if isinstance(command, Loop):
            return f"{command.keyword}{self._block(command.condition)}do{self._block(command.body)}done"
        if isinstance(command, For):
            items = " ".join(self.word(item) for item in command.items)
            return f"{command.keyword} {command.name} in {items}; do{self._block(command.body)}done"
        if isinstance(command, Case):
            return self._case(command)
        if isinstance(command, Count):
            header = "; ".join(self._tokens(part.tokens) if part else "" for part in command.header)
            return f"for (( {header} )); do{self._block(command.body)}done"
        if isinstance(command, Evaluation):
            return f"(( {self._tokens(command.expression.tokens)} ))"
        if isinstance(command, Function):
            return f"{command.name}() {self._statement(command.body)}"
        if isinstance(command, Beside):
            return f"coproc {command.name} {{{self._block(command.body)}}}"
        if isinstance(command, Time):
            return "time " + self._statement(command.statement)
        return self._condition(command)

    def _if(self, command: If) -> str:
        pieces = []
        for index, (condition, body) in enumerate(command.branches):
            keyword = "elif" if index else "if"
            pieces.append(f"{keyword}{self._block(condition)}then{self._block(body)}")
        if command.otherwise is not None:
            pieces.append(f"else{self._block(command.otherwise)}")
        return "".join(pieces) + "fi"

    def _case(self, command: Case) -> str:
        arms = []
        for arm in command.arms:
            patterns = " | ".join(self.word(pattern) for pattern in arm.patterns)
            arms.append(f"({patterns}){self._block(arm.body, '')}{arm.end}")
        return f"case {self.word(command.word)} in {' '.join(arms)} esac"

    def _condition(self, command: Condition) -> str:
        tokens = " ".join(t if isinstance(t, str) else self.word(t) for t in command.tokens)
        return f"[[ {tokens} ]]"

    def _simple(self, command: Simple) -> str:
        pieces = [command.keyword, *command.flags] if command.keyword else []
        pieces += [self._assignment(assignment) for assignment in command.assignments]
        for index, word in enumerate(command.words):
            pieces.append(self.word(word, name=index == 0))
        return " ".join(pieces)

    def _assignment(self, assignment: Assignment) -> str:
        name = assignment.name
        if assignment.index is not None:
            name += f"[$(( {self._tokens(assignment.index.tokens)} ))]"
        sign = "+=" if assignment.append else "="
        if assignment.items is not None:
            items = [
                (f"[$(( {self._tokens(index.tokens)} ))]=" if index else "") + self.word(word)
                for index, word in assignment.items
            ]
            return f"{name}{sign}({' '.join(items)})"
        if assignment.value is None:
            return name
        return f"{name}{sign}{self.word(assignment.value) if assignment.value.parts != (Text('', True),) else ''}"

    def _tokens(self, tokens: tuple[str | Part, ...]) -> str:
        return " ".join(token if isinstance(token, str) else self._dynamic(token) for token in tokens)

    def _redirection(self, redirection: Redirection) -> str:
        if redirection.body is not None:
            return f"{redirection.fd}{self._here_document(redirection.body)}"
        assert redirection.target is not None
        gap = "" if redirection.operator in (">&", "<&") else " "
        return f"{redirection.fd}{redirection.operator}{gap}{self.word(redirection.target)}"

    def _here_document(self, body: Word) -> str:
        static = all(isinstance(part, Text) for part in body.parts)
        text = self._static(body) if static else "".join(self._here_part(part) for part in body.parts)
        if text and not text.endswith("\n"):
            text += "\n"
        end = _HERE_END
        while re.search(rf"^\t*{end}$", text, re.MULTILINE):
            end += "_"
        self._waiting.append(text + end)
        return f"<<'{end}'" if static else f"<<{end}"

    def _here_part(self, part: Part) -> str:
        if isinstance(part, Text):
            return re.sub(r"([\\$`])", r"\\\1", part.value)
        return self._dynamic(part)

    def word(self, word: Word, name: bool = False) -> str:
        """*word* quoted anew; `name` for the word that names a command."""
        static = all(isinstance(part, Text) for part in word.parts)
        if static:
            text = self._static(word)
            return text if text in _WHOLE else quote(text, name)
        pieces: list[str] = []
        for before, part in zip((None, *word.parts), word.parts, strict=False):
            if isinstance(before, Home) and isinstance(part, Text) and part.value.startswith("/"):
                # The slash that ends a tilde prefix must not be quoted (XCU 2.6.1).
                pieces.append("/" + (quote(part.value[1:]) if part.value[1:] else ""))
            else:
                pieces.append(self._part(part, name and before is None))
        return "".join(pieces)

    def _static(self, word: Word) -> str:
        text = "".join(part.value for part in word.parts if isinstance(part, Text))
        return self._texts.get((word.span, text), text)

    def _part(self, part: Part, name: bool = False) -> str:
        if isinstance(part, Text):
            return quote(part.value, name) if part.value or part.quoted else ""
        return f'"{self._dynamic(part)}"' if getattr(part, "quoted", False) else self._dynamic(part)

    def _dynamic(self, part: Part) -> str:
        if isinstance(part, Home):
            return "~" + part.user
        if isinstance(part, Glob):
            return part.pattern
        if isinstance(part, Variable):
            return self._variable(part)
        if isinstance(part, Arithmetic):
            return f"$(( {self._tokens(part.tokens)} ))"
        assert isinstance(part, Substitution)
        inner = self._block(part.script, "")
        inner = inner.strip(" ") if not inner.startswith(" (") else inner
        return f"{part.opening}{inner})"

    def _variable(self, part: Variable) -> str:
        name = part.name
        if part.operator == "names":
            return f"${{!{name}{part.index}}}"
        if part.index:
            inside = (
                part.index if isinstance(part.index, str) else f"$(( {self._tokens(part.index.tokens)} ))"
            )
            name += f"[{inside}]"
        if part.operator in ("length", "keys"):
            return f"${{{'#' if part.operator == 'length' else '!'}{name}}}"
        if part.operator == ":":
            return f"${{{name}:" + ":".join(f"$(( {self._tokens(s.tokens)} ))" for s in part.slice) + "}"
        if not part.operator:
            return f"${{{name}}}"
        assert part.word is not None
        if part.operator in DEFAULTS and not part.quoted:
            return f"${{{name}{part.operator}{self.word(part.word) if part.word.parts else ''}}}"
        if part.operator in DEFAULTS or part.operator == "@":
            return f"${{{name}{part.operator}{self._plain(part.word)}}}"
        text = f"{name}{part.operator}{self._pattern(part.word)}"
        if part.replacement is not None:
            text += "/" + self._plain(part.replacement)
        return f"${{{text}}}"

    def _plain(self, word: Word) -> str:
        """Text that means itself whether quoted or not, written as it stands."""
        return "".join(p.value if isinstance(p, Text) else self._dynamic(p) for p in word.parts)

    def _pattern(self, word: Word) -> str:
        pieces = []
        for part in word.parts:
            if isinstance(part, Text):
                plain = re.fullmatch(r"[A-Za-z0-9_.,:@+=-]*", part.value)
                pieces.append(part.value if plain else f"'{part.value}'")
            else:
                pieces.append(self._part(part))
        return "".join(pieces)


def quote(text: str, name: bool = False) -> str:
    """*text* as one shell word that stands for exactly *text*."""
    plain = _PLAIN_NAME if name else _PLAIN
    if plain.fullmatch(text) and not (name and text in _RESERVED):
        return text
    if _CONTROL.search(text):
        return "$'" + _ESCAPED.sub(_escape, text) + "'"
    return "'" + text.replace("'", "'\\''") + "'"


def _escape(found: re.Match[str]) -> str:
    character = found.group()
    return f"\\{character}" if character in "\\'" else f"\\{ord(character):03o}"


def emit(script: Sequence, texts: Mapping[tuple[Span, str], str] | None = None, word: bool = False) -> str:
    """*script* re-emitted, ending without a newline; *texts* are what stands in it instead of words, by place and text.

    As a *word* of another script it is one line, if it can be.
    """
    return Emission(texts).text(script) if word else Emission(texts).script(script)
