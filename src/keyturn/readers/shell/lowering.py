"""The parser's typed tree -> `syntax`. Every node type and every field is accepted by name, or not at all.

`NotUnderstood` carries the byte span of the first thing that has no place in `syntax`.
"""

from __future__ import annotations

import re
from typing import Any

from keyturn.readers.shell import conditions
from keyturn.readers.shell.screen import MAX_NESTING
from keyturn.readers.shell.syntax import (
    Arm,
    Assignment,
    Binary,
    Case,
    Command,
    For,
    Group,
    If,
    Loop,
    NotUnderstood,
    Redirection,
    Sequence,
    Simple,
    Span,
    Statement,
    Text,
    Time,
    Word,
)
from keyturn.readers.shell.wordlist import words
from keyturn.readers.shell.words import Words

Node = dict[str, Any]

_PLACES = words(
    "Type Pos End Position Semicolon OpPos Lparen Rparen Lbrace Rbrace ThenPos FiPos WhilePos DoPos "
    "DonePos ForPos InPos Case In Esac Time Left Right Hash Dollar"
)
_COMMENTS = frozenset({"Comments", "Last", "CondLast", "ThenLast", "DoLast"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FD = re.compile(r"[0-9]")
_FILE_OPERATORS = frozenset({"<", ">", ">>", ">|", "<>", "&>", "&>>"})


def span_of(node: Node) -> Span:
    """The byte span of a node."""
    return (node["Pos"]["Offset"], node["End"]["Offset"])


def only(node: Node, *known: str) -> None:
    """Refuse a node that has a field other than *known*, positions and comments (which are checked)."""
    for name, value in node.items():
        if name in _PLACES or name in known:
            continue
        if name not in _COMMENTS:
            raise NotUnderstood(
                f"A construct that is not described ({node.get('Type', 'part')}.{name})", span_of(node)
            )
        for comment in value:
            if "\\" in comment.get("Text", ""):
                raise NotUnderstood(
                    "A comment with a backslash is read differently by shells", span_of(comment)
                )


class Lowering:
    """One script's lowering: the source bytes, the dialect, and how deep it is."""

    def __init__(self, source: bytes, dialect: str = "bash") -> None:
        self.source = source
        self.dialect = dialect
        self.words = Words(self)
        self._depth = 0

    def script(self, tree: Node) -> Sequence:
        """The whole file."""
        if tree.get("Type") != "File":
            raise NotUnderstood("The shell parser gave no script", (0, len(self.source)))
        only(tree, "Stmts")
        return self.sequence(tree.get("Stmts"))

    def sequence(self, statements: list[Node] | None) -> Sequence:
        """Statements in order."""
        self._depth += 1
        try:
            if self._depth > MAX_NESTING:
                where = span_of(statements[0]) if statements else (0, len(self.source))
                raise NotUnderstood(f"Commands nested more than {MAX_NESTING} deep", where)
            return Sequence(tuple(self._statement(node) for node in statements or ()))
        finally:
            self._depth -= 1

    def _statement(self, node: Node, in_pipeline: bool = False) -> Statement:
        only(node, "Cmd", "Redirs", "Negated", "Background")
        redirections = tuple(self._redirection(r) for r in node.get("Redirs") or ())
        cmd = node.get("Cmd")
        command: Command = self._command(cmd, in_pipeline) if cmd else Simple(span=span_of(node))
        return Statement(
            command, redirections, bool(node.get("Negated")), bool(node.get("Background")), span_of(node)
        )

    def _command(self, node: Node, in_pipeline: bool) -> Command:
        kind = node["Type"]
        if kind == "TimeClause" and not in_pipeline:
            only(node, "Stmt")
            if not node.get("Stmt"):
                raise NotUnderstood("time without a command", span_of(node))
            return Time(self._statement(node["Stmt"]))
        method = getattr(self, f"_{kind}", None)
        if method is None:
            raise NotUnderstood(f"A construct that is not described ({kind})", span_of(node))
        return method(node)  # type: ignore[no-any-return]

    # Method names below are the parser's node types.

    def _CallExpr(self, node: Node) -> Simple:  # noqa: N802
        only(node, "Assigns", "Args")
        return Simple(
            tuple(self._assignment(a) for a in node.get("Assigns") or ()),
            tuple(word for arg in node.get("Args") or () for word in self.words.expanded(arg)),
            span=span_of(node),
        )

    def _DeclClause(self, node: Node) -> Simple:  # noqa: N802
        only(node, "Variant", "Args")
        if node["Variant"]["Value"] != "export":
            raise NotUnderstood(f"The builtin {node['Variant']['Value']} is not described", span_of(node))
        return Simple(
            tuple(self._assignment(a) for a in node.get("Args") or ()), export=True, span=span_of(node)
        )

    def _BinaryCmd(self, node: Node) -> Binary:  # noqa: N802
        only(node, "Op", "X", "Y")
        if node["Op"] not in ("&&", "||", "|", "|&"):
            raise NotUnderstood(f"The operator {node['Op']}", span_of(node))
        piped = node["Op"] in ("|", "|&")
        self._depth += 1
        if self._depth > MAX_NESTING * 4:
            raise NotUnderstood("Too many commands joined in one list", span_of(node))
        try:
            return Binary(node["Op"], self._statement(node["X"], piped), self._statement(node["Y"], piped))
        finally:
            self._depth -= 1

    def _Subshell(self, node: Node) -> Group:  # noqa: N802
        only(node, "Stmts")
        return Group("(", self.sequence(node.get("Stmts")))

    def _Block(self, node: Node) -> Group:  # noqa: N802
        only(node, "Stmts")
        return Group("{", self.sequence(node.get("Stmts")))

    def _IfClause(self, node: Node) -> If:  # noqa: N802
        branches: list[tuple[Sequence, Sequence]] = []
        otherwise = None
        current: Node | None = node
        while current is not None:
            only(current, "Cond", "Then", "Else")
            if current.get("Cond"):
                branches.append((self.sequence(current["Cond"]), self.sequence(current.get("Then"))))
            else:
                otherwise = self.sequence(current.get("Then"))
            current = current.get("Else")
        return If(tuple(branches), otherwise)

    def _WhileClause(self, node: Node) -> Loop:  # noqa: N802
        only(node, "Until", "Cond", "Do")
        return Loop(
            "until" if node.get("Until") else "while",
            self.sequence(node["Cond"]),
            self.sequence(node.get("Do")),
        )

    def _ForClause(self, node: Node) -> For:  # noqa: N802
        only(node, "Loop", "Do")
        loop = node["Loop"]
        if loop["Type"] != "WordIter" or not loop.get("Items"):
            raise NotUnderstood("A for loop without a list of words", span_of(node))
        only(loop, "Name", "Items")
        items = tuple(word for item in loop["Items"] for word in self.words.expanded(item))
        return For(self._name(loop["Name"]), items, self.sequence(node.get("Do")), span_of(loop))

    def _CaseClause(self, node: Node) -> Case:  # noqa: N802
        only(node, "Word", "Items")
        arms = []
        for item in node.get("Items") or ():
            only(item, "Op", "Patterns", "Stmts")
            if item["Op"] != ";;":
                raise NotUnderstood(f"A case that goes on with {item['Op']}", span_of(item))
            patterns = tuple(self.words.single(p) for p in item["Patterns"])
            arms.append(Arm(patterns, self.sequence(item.get("Stmts"))))
        return Case(self.words.single(node["Word"]), tuple(arms))

    def _TestClause(self, node: Node) -> Command:  # noqa: N802
        only(node, "X")
        if self.dialect != "bash":
            raise NotUnderstood("[[ … ]] is not part of the POSIX shell", span_of(node))
        return conditions.lower(node, self.words)

    def _assignment(self, node: Node) -> Assignment:
        only(node, "Name", "Value", "Append")
        name = self._name(node["Name"])
        value = node.get("Value")
        word = self.words.single(value, assigned=True) if value else Word((Text("", True),), span_of(node))
        return Assignment(name, word, bool(node.get("Append")), span_of(node))

    def _name(self, node: Node) -> str:
        name = node["Value"]
        if not _NAME.fullmatch(name):
            raise NotUnderstood("A name that is not a variable's name", span_of(node))
        return str(name)

    def _redirection(self, node: Node) -> Redirection:
        only(node, "Op", "N", "Word", "Hdoc")
        operator, span = node["Op"], span_of(node)
        fd = node["N"]["Value"] if node.get("N") else ""
        if fd and not _FD.fullmatch(fd):
            raise NotUnderstood("A redirection with a named or large file descriptor", span)
        if operator in ("<<", "<<-"):
            return Redirection("<<", fd, None, self.words.here_document(node), span)
        if operator == "<<<" and self.dialect == "bash":
            return Redirection("<<<", fd, self.words.single(node["Word"]), None, span)
        if operator in (">&", "<&"):
            return self._duplicate(node, operator, fd, span)
        if operator not in _FILE_OPERATORS or (self.dialect != "bash" and operator.startswith("&")):
            raise NotUnderstood(f"The redirection {operator}", span)
        return Redirection(operator, fd, self.words.single(node["Word"]), None, span)

    def _duplicate(self, node: Node, operator: str, fd: str, span: Span) -> Redirection:
        r"""`2>&1` and `<&-`, and only those: parsers and bash disagree about what may follow (`<&-x`)."""
        start, end = span_of(node["Word"])
        target = self.source[start:end].decode()
        after = self.source[end : end + 1].decode("ascii", "replace")
        if not re.fullmatch(r"[0-9]|-", target) or after not in ("", " ", "\t", "\n", ";", "|", "&", ")"):
            raise NotUnderstood("A redirection to a file descriptor of a form that is not described", span)
        return Redirection(operator, fd, Word((Text(target),), (start, end)), None, span)
