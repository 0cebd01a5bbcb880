"""Arithmetic expressions: the parser's tree -> tokens with all grouping written out, and the names in it.

bash evaluates a variable's text as an expression again, and an expression may have a subscript with a command in it
(`a[$(x)]`); so texts other than numbers have no place here, and names are left for `analysis` to judge.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from keyturn.readers.shell.syntax import (
    Arithmetic,
    Binary,
    NotUnderstood,
    Part,
    Sequence,
    Simple,
    Span,
    Substitution,
    Text,
    Variable,
    Word,
)
from keyturn.readers.shell.wordlist import words

if TYPE_CHECKING:
    from keyturn.readers.shell.words import Words

Node = dict[str, Any]

_NUMBER = re.compile(r"(?:0[xX][0-9A-Fa-f]{1,15}|[0-9]{1,18}|[0-9]{1,2}#[0-9A-Za-z@_]{1,15})")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNS = words("= += -= *= /= %= &= |= ^= <<= >>=")
_BINARY = words("+ - * / % ** << >> < > <= >= == != & | ^ && || ,")
_UNARY = words("+ - ! ~")
_NUMERIC = words("# ? $ !")
_FORMAT = re.compile(r"\+%[-_0]?[sYmdHMSjyCIuwVN]")
COUNTERS = words("wc date nproc grep")
"""Programs that are known to print nothing but a number when called so (`prints_a_number`)."""

MAX_DEPTH = 20
"""Deepest nesting of an expression that is understood."""


class _Expression:
    """One expression on its way."""

    def __init__(self, words: Words) -> None:
        self.words = words
        self.reads: list[str] = []
        self.sets: list[str] = []

    def lower(self, node: Node, depth: int = 0) -> list[str | Part]:
        """The tokens of *node*."""
        span = _span(node)
        if depth > MAX_DEPTH:
            raise NotUnderstood(f"Arithmetic nested more than {MAX_DEPTH} deep", span)
        kind, operator = node.get("Type", "Word"), node.get("Op")
        if kind == "ParenArithm":
            return self.lower(node["X"], depth + 1)
        if kind == "Word":
            return self._word(node, depth)
        if kind == "UnaryArithm" and operator in ("++", "--"):
            name = self._name(node["X"], span)
            self.reads.append(name)
            return [name, operator] if node.get("Post") else [operator, name]
        if kind == "UnaryArithm" and operator in _UNARY and not node.get("Post"):
            return [operator, *self._operand(node["X"], depth)]
        if kind == "BinaryArithm" and operator in _ASSIGNS:
            name = self._name(node["X"], span)
            if operator != "=":
                self.reads.append(name)
            return [name, operator, *self._operand(node["Y"], depth)]
        if kind == "BinaryArithm" and operator == "?":
            choice = node["Y"]
            if choice.get("Op") != ":":
                raise NotUnderstood("Arithmetic that is not described", span)
            parts = (node["X"], choice["X"], choice["Y"])
            condition, first, second = (self._operand(part, depth) for part in parts)
            return [*condition, "?", *first, ":", *second]
        if kind == "BinaryArithm" and operator in _BINARY:
            return [*self._operand(node["X"], depth), operator, *self._operand(node["Y"], depth)]
        raise NotUnderstood(f"Arithmetic that is not described ({operator or kind})", span)

    def _operand(self, node: Node, depth: int) -> list[str | Part]:
        tokens = self.lower(node, depth + 1)
        return tokens if len(tokens) == 1 else ["(", *tokens, ")"]

    def _name(self, node: Node, span: Span) -> str:
        parts = node.get("Parts") or [{}]
        name = parts[0].get("Value", "")
        if len(parts) != 1 or parts[0].get("Type") != "Lit" or not _NAME.fullmatch(name):
            raise NotUnderstood("Arithmetic that sets something other than a plain variable", span)
        self.sets.append(name)
        return str(name)

    def _word(self, node: Node, depth: int) -> list[str | Part]:
        parts = node.get("Parts") or [{}]
        span, part = _span(node), parts[0]
        kind = part.get("Type")
        if len(parts) == 1 and kind == "Lit":
            text = part["Value"]
            if _NUMBER.fullmatch(text):
                return [text]
            if _NAME.fullmatch(text):
                self.reads.append(text)
                return [text]
        elif len(parts) == 1 and kind == "ArithmExp":
            return self.lower(part["X"], depth + 1)
        elif len(parts) == 1 and kind == "DblQuoted" and not part.get("Dollar"):
            return self._word(part, depth)
        elif len(parts) == 1 and kind in ("ParamExp", "CmdSubst"):
            return [self._expansion(part, span)]
        raise NotUnderstood("Arithmetic over text that could be an expression", span)

    def _expansion(self, node: Node, span: Span) -> Part:
        (part,) = self.words.part(node, quoted=False)
        if isinstance(part, Variable):
            if part.operator == "length" or (part.name in _NUMERIC and not part.operator):
                return part
            if not part.operator and not part.index and not part.slice and _NAME.fullmatch(part.name):
                self.reads.append(part.name)
                return part
        if isinstance(part, Substitution) and prints_a_number(part.script):
            return part
        raise NotUnderstood("Arithmetic over text that could be an expression", span)


def lower(node: Node, words: Words, quoted: bool = False) -> Arithmetic:
    """The expression *node*. Raises `NotUnderstood`."""
    if node.get("Type") == "ArithmExp" or "Unsigned" in node:
        raise NotUnderstood("Arithmetic of a form that is not described", _span(node))
    expression = _Expression(words)
    tokens = expression.lower(node)
    return Arithmetic(
        tuple(tokens),
        tuple(dict.fromkeys(expression.reads)),
        tuple(dict.fromkeys(expression.sets)),
        quoted,
        _span(node),
    )


def is_number(expression: Arithmetic) -> bool:
    """Whether the expression is one plain, perhaps negative, number."""
    tokens = [each for each in expression.tokens if each != "-"]
    return len(tokens) == 1 and isinstance(tokens[0], str) and bool(_NUMBER.fullmatch(tokens[0]))


def prints_a_number(script: Sequence) -> bool:
    """Whether *script* can print nothing but a number: `wc -l` of its input, `date +%s`, `nproc`, `grep -c` of its input."""
    if len(script.statements) != 1:
        return False
    statement = script.statements[0]
    command = statement.command
    if isinstance(command, Binary) and command.operator == "|" and not statement.redirections:
        return prints_a_number(Sequence((command.right,)))
    if not isinstance(command, Simple) or command.assignments or command.keyword or statement.background:
        return False
    if any(r.operator not in ("<", "<<<", "<<") or r.fd for r in statement.redirections):
        return False
    texts = [_static(word) for word in command.words]
    if texts[:1] == ["date"]:
        formats = [text for text in texts[1:] if text is not None and text.startswith("+")]
        fixed = all(text is not None for text in texts)
        return fixed and len(formats) == 1 and bool(_FORMAT.fullmatch(formats[0]))
    if texts[:1] == ["wc"]:
        return len(texts) == 2 and texts[1] in ("-l", "-c", "-w", "-m")
    return texts == ["nproc"] or (len(texts) == 3 and texts[:2] == ["grep", "-c"] and texts[2] is not None)


def _static(word: Word) -> str | None:
    if all(isinstance(part, Text) for part in word.parts):
        return "".join(part.value for part in word.parts if isinstance(part, Text))
    return None


def _span(node: Node) -> Span:
    if "Pos" not in node:
        return (0, 0)
    return (node["Pos"]["Offset"], node["End"]["Offset"])
