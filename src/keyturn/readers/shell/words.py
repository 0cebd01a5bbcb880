"""The parser's words -> `syntax.Word`: quoting removed, braces expanded, what happens at run time kept apart."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from keyturn.readers.shell import arithmetic, literals
from keyturn.readers.shell.syntax import (
    DEFAULTS,
    PATTERNS,
    TRANSFORMS,
    Arithmetic,
    Glob,
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
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN_TEXT = re.compile(r"[A-Za-z0-9_./:,@%+= -]*")
_QUOTED_TEXT = re.compile(r"[A-Za-z0-9_./:,@%+=?*#\[\] -]*")
"""What means itself inside `"${name:-text}"`: between double quotes there are no patterns and no operators."""
_PLAIN_PATTERN = re.compile(
    r"(?:[A-Za-z0-9_./:,@%+=*?|-]|\[!?[A-Za-z0-9_-]+\]|[@+*?!]\([A-Za-z0-9_.*?|-]+\))+"
)
_OPAQUE = 0xE000
_IS_OPAQUE = re.compile("[\ue000-\uf8ff]")
MAX_OPAQUE = 64
"""Most quoted or expanded parts of one word with braces."""

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
        self._in_document = False

    def expanded(self, node: Node) -> list[Word]:
        """The word or, where it has braces to expand, the words."""
        _only(node, "Parts")
        parts = node.get("Parts") or []
        if not literals.has_braces([part["Value"] if part["Type"] == "Lit" else None for part in parts]):
            return [self.single(node)]
        if self._script.dialect != "bash":
            raise NotUnderstood("Brace expansion is not part of the POSIX shell", _span(node))
        return self._braced(parts, _span(node))

    def _braced(self, parts: list[Node], span: Span) -> list[Word]:
        """Braces with quotes and variables in them: whatever isn't plain text is one character while braces expand."""
        opaque: list[Part | Node] = []
        text = ""
        for part in parts:
            if part["Type"] != "Lit":
                opaque.append(part)
                text += chr(_OPAQUE + len(opaque) - 1)
                continue
            for piece in re.split(r"(\\.)", part["Value"], flags=re.DOTALL):
                if piece.startswith("\\") and len(piece) == 2:
                    opaque.append(Text(piece[1], quoted=True))
                    piece = chr(_OPAQUE + len(opaque) - 1)
                text += piece
        if len(opaque) > MAX_OPAQUE or any(
            p["Type"] == "Lit" and _IS_OPAQUE.search(p["Value"]) for p in parts
        ):
            raise NotUnderstood("A brace expansion of a form that is not described", span)
        return [
            self._decoded(word, opaque, span)
            for word in literals.expand_braces(text, span)
            if word  # an empty choice alone is no word (bash(1) Word Splitting)
        ]

    def _decoded(self, text: str, opaque: list[Part | Node], span: Span) -> Word:
        made: list[Part] = []
        pieces = [piece for piece in re.split(r"([\ue000-\uf8ff])", text) if piece]
        for index, piece in enumerate(pieces):
            if not _IS_OPAQUE.match(piece):
                made += literals.unquoted(piece, index == 0, index == len(pieces) - 1, span)
                continue
            part = opaque[ord(piece) - _OPAQUE]
            if not isinstance(part, dict):
                made.append(part)
                continue
            after = pieces[index + 1] if index + 1 < len(pieces) else ""
            if part.get("Short") and re.match(r"[A-Za-z0-9_\[]", after):
                raise NotUnderstood("A variable whose name a brace expansion makes longer", span)
            made += self.part(part, quoted=False)
        return Word(_joined(made) or (Text(""),), span)

    def single(self, node: Node, assigned: bool = False) -> Word:
        """One word without brace expansion (assigned values, patterns, redirection targets)."""
        _only(node, "Parts", "Type")
        span = _span(node)
        nodes = _merged(node.get("Parts") or [])
        if not assigned and literals.has_braces([p["Value"] if p["Type"] == "Lit" else None for p in nodes]):
            raise NotUnderstood("A brace expansion where shells disagree about it", span)
        parts: list[Part] = []
        for index, part in enumerate(nodes):
            first, last = index == 0, index == len(nodes) - 1
            if part["Type"] == "Lit":
                _only(part, "Value", "ValuePos", "ValueEnd")
                parts += literals.unquoted(part["Value"], first, last, _span(part), assigned)
            else:
                parts += self.part(part, quoted=False)
        return Word(_joined(parts), span)

    def here_document(self, node: Node) -> Word:
        """The body of `<<` or `<<-` as a word of quoted parts."""
        span = _span(node)
        delimiter = (node.get("Word") or {}).get("Parts") or []
        delimiter = [_unwrapped(part) for part in delimiter]
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
        self._in_document = True
        try:
            parts = self._document_parts(nodes, literal)
        finally:
            self._in_document = False
        if node["Op"] == "<<-":
            parts = _without_tabs(parts)
        return Word(_joined(parts), _span(body) if body else span)

    def _document_parts(self, nodes: list[Node], literal: bool) -> list[Part]:
        parts: list[Part] = []
        for index, part in enumerate(nodes):
            if part["Type"] == "Lit":
                last = index == len(nodes) - 1
                raw = part["Value"]
                text = raw if literal else literals.here_document(raw, last, _span(part))
                parts.append(Text(text, quoted=True))
            elif literal:
                raise NotUnderstood("A quoted here-document with an expansion in it", _span(part))
            else:
                parts += self.part(part, quoted=True)
        return parts

    def part(self, node: Node, quoted: bool) -> list[Part]:
        """One quoted or expanded part of a word."""
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
            if kind == "ArithmExp" and node.get("X"):
                _only(node, "X", "Bracket")
                return [arithmetic.lower(node["X"], self, quoted)]
            if kind == "ExtGlob" and not quoted and self._script.dialect == "bash":
                return [self._extended(node, span)]
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
        if node.get("Dollar") is True and self._script.dialect != "bash":
            raise NotUnderstood('$"…" is not part of the POSIX shell', span)
        # The dollar of $"…" is not emitted, so nothing is left for the locale to translate.
        parts: list[Part] = [Text("", quoted=True)] if not node.get("Parts") else []
        nodes = _merged(node.get("Parts") or [])
        for index, part in enumerate(nodes):
            if part["Type"] == "Lit":
                _only(part, "Value", "ValuePos", "ValueEnd")
                last = index == len(nodes) - 1
                parts.append(Text(literals.double_quoted(part["Value"], last, _span(part)), quoted=True))
            else:
                parts += self.part(part, quoted=True)
        return parts

    def _extended(self, node: Node, span: Span) -> Glob:
        """`!(a|b)` and kin (bash(1) extglob): plain patterns inside only."""
        _only(node, "Op", "Pattern")
        pattern = node["Pattern"]["Value"]
        if node["Op"] not in ("!(", "@(", "+(", "*(", "?(") or not _PLAIN_PATTERN.fullmatch(pattern):
            raise NotUnderstood("An extended pattern of a form that is not described", span)
        return Glob(f"{node['Op']}{pattern})")

    def _parameter(self, node: Node, quoted: bool, span: Span) -> Variable:
        _only(node, "Short", "Param", "Length", "Exp", "Index", "Slice", "Repl", "Excl", "Names")
        name = node["Param"]["Value"]
        if not _PARAMETER.fullmatch(name):
            raise NotUnderstood("A parameter of a form that is not described", span)
        index = self._index(node["Index"]) if node.get("Index") else ""
        kinds = [kind for kind in ("Length", "Exp", "Slice", "Repl", "Excl") if node.get(kind)]
        if len(kinds) > 1 or (
            (index or node.get("Slice") or node.get("Repl")) and self._script.dialect != "bash"
        ):
            raise NotUnderstood("A parameter expansion of a form that is not described", span)
        if node.get("Length"):
            return Variable(name, "length", None, quoted, index)
        if node.get("Excl"):
            if node.get("Names") in ("*", "@") and not index:
                return Variable(name, "names", None, quoted, node["Names"])
            if index in ("@", "*"):
                return Variable(name, "keys", None, quoted, index)
            raise NotUnderstood("A variable whose name is only known when it runs", span)
        if node.get("Slice"):
            bounds = [node["Slice"].get("Offset"), node["Slice"].get("Length")]
            slices = tuple(arithmetic.lower(bound, self) for bound in bounds if bound)
            if not bounds[0]:
                raise NotUnderstood("A parameter expansion of a form that is not described", span)
            return Variable(name, ":", None, quoted, index, slice=slices)
        if node.get("Repl"):
            return self._replaced(node, Variable(name, "/", None, quoted, index), span)
        if node.get("Exp"):
            return self._operated(node["Exp"], Variable(name, "", None, quoted, index), span)
        return Variable(name, "", None, quoted, index)

    def _index(self, node: Node) -> str | Arithmetic:
        parts = node.get("Parts") or [{}]
        if len(parts) == 1 and parts[0].get("Type") == "Lit" and parts[0]["Value"] in ("@", "*"):
            return str(parts[0]["Value"])
        return arithmetic.lower(node, self)

    def _replaced(self, node: Node, variable: Variable, span: Span) -> Variable:
        _only(node["Repl"], "All", "Orig", "With")
        pattern = self._pattern(node["Repl"].get("Orig"), span)
        with_ = node["Repl"].get("With")
        replacement = self.single(with_, assigned=True) if with_ else Word((), span)
        if not all(_is_plain(part) for part in replacement.parts) or not pattern.parts:
            raise NotUnderstood("A replacement with quotes or unusual characters", span)
        operator = "//" if node["Repl"].get("All") else "/"
        first = pattern.parts[0]
        if isinstance(first, Text) and first.value[:1] in ("#", "%"):
            raw = node["Repl"]["Orig"]["Parts"][0]
            if operator == "//" or raw.get("Type") != "Lit" or raw["Value"][:1] != first.value[0]:
                raise NotUnderstood("A pattern of a form that is not described", span)
            operator = "/" + first.value[0]
            rest = (replace(first, value=first.value[1:]),) if len(first.value) > 1 else ()
            pattern = replace(pattern, parts=(*rest, *pattern.parts[1:]))
        return replace(variable, operator=operator, word=pattern, replacement=replacement)

    def _pattern(self, node: Node | None, span: Span) -> Word:
        word = self.single(node, assigned=True) if node else Word((), span)
        for part in word.parts:
            if isinstance(part, Text) and re.search(r"[}\"'\\`$\x00-\x1f\x7f~]", part.value):
                raise NotUnderstood("Quotes or unusual characters inside a pattern", span)
            if not isinstance(part, Text | Glob | Variable | Substitution):
                raise NotUnderstood("A pattern of a form that is not described", span)
        return word

    def _operated(self, expansion: Node, variable: Variable, span: Span) -> Variable:
        operator = expansion["Op"]
        if operator in PATTERNS:
            return replace(variable, operator=operator, word=self._pattern(expansion.get("Word"), span))
        word = self.single(expansion["Word"]) if expansion.get("Word") else Word((), span)
        if operator == "@" and len(word.parts) == 1 and getattr(word.parts[0], "value", "") in TRANSFORMS:
            if self._script.dialect != "bash":
                raise NotUnderstood("A parameter expansion that is not part of the POSIX shell", span)
            return replace(variable, operator=operator, word=word)
        if operator not in DEFAULTS:
            raise NotUnderstood(f"The expansion ${{…{operator}…}} evaluates or is not described", span)
        if "=" in operator and (variable.index or not _NAME.fullmatch(variable.name)):
            raise NotUnderstood("An expansion that sets something other than a plain variable", span)
        if variable.quoted:  # there are no patterns between double quotes
            texts: list[Part] = [
                Text(part.pattern) if isinstance(part, Glob) else part for part in word.parts
            ]
            word = Word(_joined(texts), word.span)
        literals_inside = [
            p["Value"] for p in (expansion.get("Word") or {}).get("Parts") or () if p["Type"] == "Lit"
        ]
        escaped = any("\\" in raw for raw in literals_inside)  # which stays there between double quotes
        if variable.quoted and (escaped or not all(_is_plain(part, _QUOTED_TEXT) for part in word.parts)):
            raise NotUnderstood("Quotes or unusual characters inside a quoted parameter expansion", span)
        if not variable.quoted and any(re.search(r"[ \t\n]", raw) for raw in literals_inside):
            raise NotUnderstood("Unquoted blanks inside an unquoted parameter expansion", span)
        return replace(variable, operator=operator, word=word)

    def _substitution(self, node: Node, quoted: bool, span: Span) -> Substitution:
        _only(node, "Stmts", "Backquotes", "Op")
        if node.get("Backquotes") and b"\\" in self._script.source[span[0] : span[1]]:
            return self._unquoted_script(quoted, span)
        opening = node["Op"] if node["Type"] == "ProcSubst" else "$("
        if opening not in ("$(", "<(", ">(") or (self._script.dialect != "bash" and opening != "$("):
            raise NotUnderstood(f"The substitution {opening}", span)
        return Substitution(self._script.sequence(node.get("Stmts")), opening, quoted)

    def _unquoted_script(self, quoted: bool, span: Span) -> Substitution:
        r"""Backquotes with a backslash inside: one before ``$ ` \`` goes, and between double quotes one before `"` (XCU 2.6.3)."""
        raw = self._script.source[span[0] + 1 : span[1] - 1].decode()
        if (quoted and self._in_document) or self._script.source[span[0] : span[0] + 1] != b"`":
            raise NotUnderstood("Backquotes with a backslash inside a here-document", span)
        text = re.sub(r"\\([$`\\\"])" if quoted else r"\\([$`\\])", r"\1", raw)
        return Substitution(self._script.inner(text, span), "$(", quoted, span)


def _unwrapped(node: Node) -> Node:
    """A double-quoted word of plain text as the single-quoted one that means the same."""
    inner = node.get("Parts") or []
    if node["Type"] != "DblQuoted" or node.get("Dollar") or [part["Type"] for part in inner] != ["Lit"]:
        return node
    return {**inner[0], "Type": "SglQuoted"}


def _is_plain(part: Part, plain: re.Pattern[str] = _PLAIN_TEXT) -> bool:
    """Whether a part of the text in `"${name:-text}"` or of a replacement means itself, quoted or not."""
    if isinstance(part, Text):
        return bool(plain.fullmatch(part.value))
    return isinstance(part, Variable | Substitution | Arithmetic)


def _merged(nodes: list[Node]) -> list[Node]:
    """*nodes* with neighbouring literals as one: the parser sets a `$` that stands for itself apart."""
    merged: list[Node] = []
    for node in nodes:
        if merged and node["Type"] == "Lit" and merged[-1]["Type"] == "Lit":
            before = merged[-1]
            merged[-1] = {**before, "Value": before["Value"] + node["Value"], "End": node["End"]}
        else:
            merged.append(node)
    return merged


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
