"""The parser's words -> `syntax.Word`: quoting removed, braces expanded, what happens at run time kept apart."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from keyturn.readers.shell import literals
from keyturn.readers.shell.syntax import (
    OPERATORS,
    NotUnderstood,
    Part,
    Span,
    Substitution,
    Text,
    Variable,
    Word,
)

if TYPE_CHECKING:
    from keyturn.readers.shell.lowering import Lowering

Node = dict[str, Any]

_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-]")
_DELIMITER = re.compile(r"[A-Za-z0-9_.-]+")


def _span(node: Node) -> Span:
    return (node["Pos"]["Offset"], node["End"]["Offset"])


def _only(node: Node, *known: str) -> None:
    from keyturn.readers.shell.lowering import only

    only(node, *known)


class Words:
    """Lowers the words of one script."""

    def __init__(self, script: Lowering) -> None:
        self._script = script
        self._depth = 0

    def expanded(self, node: Node) -> list[Word]:
        """The word or, where it has braces to expand, the words."""
        _only(node, "Parts")
        parts = node.get("Parts") or []
        if not literals.has_braces([part["Value"] if part["Type"] == "Lit" else None for part in parts]):
            return [self.single(node)]
        span = _span(node)
        if len(parts) != 1 or parts[0]["Type"] != "Lit" or self._script.dialect != "bash":
            raise NotUnderstood("A brace expansion with quotes or variables in it", span)
        return [
            Word(_joined(literals.unquoted(raw, True, True, span)) or (Text(""),), span)
            for raw in literals.expand_braces(parts[0]["Value"], span)
            if raw  # an empty choice alone is no word (bash(1) Word Splitting)
        ]

    def single(self, node: Node, assigned: bool = False) -> Word:
        """One word without brace expansion (assigned values, patterns, redirection targets)."""
        _only(node, "Parts", "Type")
        span = _span(node)
        nodes = node.get("Parts") or []
        if not assigned and literals.has_braces([p["Value"] if p["Type"] == "Lit" else None for p in nodes]):
            raise NotUnderstood("A brace expansion where shells disagree about it", span)
        parts: list[Part] = []
        for index, part in enumerate(nodes):
            first, last = index == 0, index == len(nodes) - 1
            if part["Type"] == "Lit":
                _only(part, "Value", "ValuePos", "ValueEnd")
                parts += literals.unquoted(part["Value"], first, last, _span(part), assigned)
            else:
                parts += self._part(part, quoted=False)
        return Word(_joined(parts), span)

    def here_document(self, node: Node) -> Word:
        """The body of `<<` or `<<-` as a word of quoted parts."""
        span = _span(node)
        delimiter = (node.get("Word") or {}).get("Parts") or []
        if len(delimiter) != 1 or delimiter[0]["Type"] not in ("Lit", "SglQuoted"):
            raise NotUnderstood("A here-document whose end is not one plain or single-quoted word", span)
        end = delimiter[0]
        if end.get("Dollar") or not _DELIMITER.fullmatch(end["Value"]):
            raise NotUnderstood("A here-document with an unusual end", span)
        body = node.get("Hdoc")
        nodes = (body or {}).get("Parts") or []
        if body is not None:
            _only(body, "Parts")
        literal = end["Type"] == "SglQuoted"
        parts: list[Part] = []
        for index, part in enumerate(nodes):
            if part["Type"] == "Lit":
                last = index == len(nodes) - 1
                raw = part["Value"]
                text = raw if literal else literals.here_document(raw, last, _span(part))
                parts.append(Text(text, quoted=True))
            elif literal:
                raise NotUnderstood("A quoted here-document with an expansion in it", span)
            else:
                parts += self._part(part, quoted=True)
        if node["Op"] == "<<-":
            parts = _without_tabs(parts)
        return Word(_joined(parts), _span(body) if body else span)

    def _part(self, node: Node, quoted: bool) -> list[Part]:
        kind, span = node["Type"], _span(node)
        self._depth += 1
        try:
            if self._depth > 20:
                raise NotUnderstood("Quotes and expansions nested more than 20 deep", span)
            if kind == "SglQuoted":
                return [Text(self._single_quoted(node, span), quoted=True)]
            if kind == "DblQuoted":
                return self._double_quoted(node, span)
            if kind == "ParamExp":
                return [self._parameter(node, quoted, span)]
            if kind in ("CmdSubst", "ProcSubst"):
                return [self._substitution(node, quoted, span)]
        finally:
            self._depth -= 1
        raise NotUnderstood(f"A construct that is not described ({kind})", span)

    def _single_quoted(self, node: Node, span: Span) -> str:
        _only(node, "Value", "Dollar")
        if node.get("Dollar") is not True:
            return str(node.get("Value", ""))
        if self._script.dialect != "bash":
            raise NotUnderstood("$'…' is not part of the POSIX shell", span)
        return literals.ansi_c(node.get("Value", ""), span)

    def _double_quoted(self, node: Node, span: Span) -> list[Part]:
        _only(node, "Parts")
        if node.get("Dollar") is True:
            raise NotUnderstood('$"…" is translated by the locale', span)
        parts: list[Part] = [Text("", quoted=True)] if not node.get("Parts") else []
        nodes = node.get("Parts") or []
        for index, part in enumerate(nodes):
            if part["Type"] == "Lit":
                _only(part, "Value", "ValuePos", "ValueEnd")
                last = index == len(nodes) - 1
                parts.append(Text(literals.double_quoted(part["Value"], last, _span(part)), quoted=True))
            else:
                parts += self._part(part, quoted=True)
        return parts

    def _parameter(self, node: Node, quoted: bool, span: Span) -> Variable:
        _only(node, "Short", "Param", "Length", "Exp")
        name = node["Param"]["Value"]
        if not _PARAMETER.fullmatch(name):
            raise NotUnderstood("A parameter of a form that is not described", span)
        if node.get("Length"):
            if node.get("Exp"):
                raise NotUnderstood("A parameter expansion of a form that is not described", span)
            return Variable(name, "length", None, quoted)
        expansion = node.get("Exp")
        if not expansion:
            return Variable(name, "", None, quoted)
        if expansion["Op"] not in OPERATORS:
            raise NotUnderstood(f"The expansion ${{…{expansion['Op']}…}} evaluates or assigns", span)
        word = self.single(expansion["Word"]) if expansion.get("Word") else Word((), span)
        if quoted and any(not isinstance(part, Text) or part.quoted for part in word.parts):
            raise NotUnderstood("Quotes or expansions inside a quoted parameter expansion", span)
        return Variable(name, expansion["Op"], word, quoted)

    def _substitution(self, node: Node, quoted: bool, span: Span) -> Substitution:
        _only(node, "Stmts", "Backquotes", "Op")
        if node.get("Backquotes") and b"\\" in self._script.source[span[0] : span[1]]:
            raise NotUnderstood("Backquotes with a backslash inside", span)
        opening = node["Op"] if node["Type"] == "ProcSubst" else "$("
        if opening not in ("$(", "<(", ">(") or (self._script.dialect != "bash" and opening != "$("):
            raise NotUnderstood(f"The substitution {opening}", span)
        return Substitution(self._script.sequence(node.get("Stmts")), opening, quoted)


def _joined(parts: list[Part]) -> tuple[Part, ...]:
    """*parts* with neighbouring texts as one, so that equal meaning is an equal tree."""
    joined: list[Part] = []
    for part in parts:
        before = joined[-1] if joined else None
        if isinstance(part, Text) and isinstance(before, Text):
            joined[-1] = Text(before.value + part.value, before.quoted or part.quoted)
        else:
            joined.append(part)
    return tuple(joined)


def _without_tabs(parts: list[Part]) -> list[Part]:
    """The body of `<<-`: leading tabs of each line removed (XCU 2.7.4)."""
    stripped: list[Part] = []
    at_line_start = True
    for part in parts:
        if not isinstance(part, Text):
            stripped.append(part)
            at_line_start = False
            continue
        text = re.sub(r"\n\t+", "\n", part.value)
        stripped.append(Text(text.lstrip("\t") if at_line_start else text, quoted=True))
        at_line_start = part.value.endswith("\n")
    return stripped
