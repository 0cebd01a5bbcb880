"""The parser's typed tree -> `syntax`. Every node type and every field is accepted by name, or not at all.

`NotUnderstood` carries the byte span of the first thing that has no place in `syntax`.
"""

from __future__ import annotations

import re
from typing import Any

from keyturn.actions import Unread
from keyturn.readers.shell import arithmetic, conditions
from keyturn.readers.shell.screen import MAX_NESTING
from keyturn.readers.shell.syntax import (
    Arithmetic,
    Arm,
    Assignment,
    Beside,
    Binary,
    Case,
    Command,
    Count,
    Evaluation,
    For,
    Function,
    Group,
    If,
    Loop,
    NotUnderstood,
    Part,
    Redirection,
    Sequence,
    Simple,
    Span,
    Statement,
    Text,
    Time,
    Variable,
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
_FD = re.compile(r"[0-9]|\{[a-z_][a-z0-9_]*\}")
_FUNCTION = re.compile(r"[A-Za-z_][A-Za-z0-9_.:+-]*")
_FLAGS = {
    "export": re.compile(r"-[np]+"),
    "readonly": re.compile(r"-[apf]+"),
    "local": re.compile(r"[-+][arxlut]+"),
    "declare": re.compile(r"[-+][arxglutpfF]+"),
    "typeset": re.compile(r"[-+][arxglutpfF]+"),
}
MAX_INNER = 8
"""Most backquoted scripts with a backslash in one script; each is parsed by itself."""

_KEPT_NAMES = arithmetic.COUNTERS | words(
    "command builtin eval exec exit export return break continue shift set unset source test [ : . cd pushd popd trap "
    "times wait read mapfile readarray getopts let declare typeset local readonly alias unalias shopt enable hash "
    "command_not_found_handle if then else elif fi do done case esac while until for in select function time coproc"
)
"""Names that a function can't take here: the reading relies on what they mean."""

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
        self._inner = 0

    def script(self, tree: Node) -> Sequence:
        """The whole file."""
        if tree.get("Type") != "File":
            raise NotUnderstood("The shell parser gave no script", (0, len(self.source)))
        only(tree, "Stmts")
        return self.sequence(tree.get("Stmts"))

    def inner(self, text: str, span: Span) -> Sequence:
        """A script that stands in this one in other quoting; what is not understood there is reported at *span*."""
        from keyturn.readers.shell.script import understand

        self._inner += 1
        if self._inner > MAX_INNER:
            raise NotUnderstood(f"More than {MAX_INNER} scripts inside of backquotes", span)
        tree = understand(text, self.dialect)
        if isinstance(tree, Unread):
            raise NotUnderstood(tree.why, span)
        return tree

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
        keyword = node["Variant"]["Value"]
        if keyword not in _FLAGS or (self.dialect != "bash" and keyword not in ("export", "readonly")):
            raise NotUnderstood(f"The builtin {keyword} is not described", span_of(node))
        flags: list[str] = []
        assignments = []
        for argument in node.get("Args") or ():
            if argument.get("Name"):
                assignments.append(self._assignment(argument, declared=True))
                continue
            only(argument, "Naked", "Value")
            parts = self.words.single(argument["Value"]).parts
            text = parts[0].value if len(parts) == 1 and isinstance(parts[0], Text) else ""
            if assignments or not _FLAGS[keyword].fullmatch(text):
                raise NotUnderstood(
                    f"A word of {keyword} that is not described, or could evaluate", span_of(argument)
                )
            flags.append(text)
        return Simple(tuple(assignments), (), keyword, tuple(flags), span_of(node))

    def _ArithmCmd(self, node: Node) -> Evaluation:  # noqa: N802
        only(node, "X")
        return Evaluation(self._arithmetic(node["X"]))

    def _LetClause(self, node: Node) -> Evaluation:  # noqa: N802
        only(node, "Let", "Exprs")
        expressions = [self._let(expression) for expression in node["Exprs"]]
        tokens: list[str | Part] = list(expressions[0].tokens)
        for each in expressions[1:]:
            before = tokens if len(tokens) == 1 else ["(", *tokens, ")"]
            behind = each.tokens if len(each.tokens) == 1 else ("(", *each.tokens, ")")
            tokens = [*before, ",", *behind]
        reads = tuple(dict.fromkeys(name for each in expressions for name in each.reads))
        sets = tuple(dict.fromkeys(name for each in expressions for name in each.sets))
        return Evaluation(Arithmetic(tuple(tokens), reads, sets, False, span_of(node)))

    def _let(self, node: Node) -> Arithmetic:
        """One expression of `let`; a quoted one is parsed once the quotes are gone."""
        parts = node.get("Parts") or [{}]
        if node.get("Type") != "Word" or parts[0].get("Type") not in ("DblQuoted", "SglQuoted"):
            return self._arithmetic(node)
        word = self.words.single(node)
        if len(word.parts) != 1 or not isinstance(word.parts[0], Text):
            raise NotUnderstood("Arithmetic over text that could be an expression", span_of(node))
        inner = self.inner(f"(({word.parts[0].value}))", span_of(node)).statements
        if len(inner) != 1 or not isinstance(inner[0].command, Evaluation) or inner[0].redirections:
            raise NotUnderstood("Arithmetic that is not described", span_of(node))
        return inner[0].command.expression

    def _arithmetic(self, node: Node) -> Arithmetic:
        if self.dialect != "bash":
            raise NotUnderstood("Arithmetic commands are not part of the POSIX shell", span_of(node))
        return arithmetic.lower(node, self.words)

    def _FuncDecl(self, node: Node) -> Function:  # noqa: N802
        only(node, "Parens", "RsrvWord", "Name", "Body")
        name = node["Name"]["Value"]
        if not _FUNCTION.fullmatch(name) or name in _KEPT_NAMES:
            raise NotUnderstood("A function with a name that the reading relies on", span_of(node))
        body = self._statement(node["Body"])
        if not isinstance(body.command, Group) or body.negated or body.background:
            raise NotUnderstood("A function whose body is not a group", span_of(node))
        return Function(name, body, span_of(node))

    def _CoprocClause(self, node: Node) -> Beside:  # noqa: N802
        only(node, "Coproc", "Name", "Stmt")
        name = "COPROC"
        if node.get("Name"):
            parts = self.words.single(node["Name"]).parts
            name = parts[0].value if len(parts) == 1 and isinstance(parts[0], Text) else ""
            if not _NAME.fullmatch(name):
                raise NotUnderstood("A coprocess whose name is not plain", span_of(node))
        statement = self._statement(node["Stmt"])
        group = statement.command
        plain = isinstance(group, Group) and group.opening == "{" and not statement.redirections
        body = group.body if plain and isinstance(group, Group) else Sequence((statement,))
        return Beside(name, body, span_of(node))

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

    def _ForClause(self, node: Node) -> For | Count:  # noqa: N802
        only(node, "Loop", "Do", "Select")
        loop = node["Loop"]
        keyword = "select" if node.get("Select") else "for"
        if keyword == "select" and self.dialect != "bash":
            raise NotUnderstood("select is not part of the POSIX shell", span_of(node))
        if loop["Type"] == "CStyleLoop":
            only(loop, "Init", "Cond", "Post")
            first, condition, step = (
                self._arithmetic(loop[part]) if loop.get(part) else None for part in ("Init", "Cond", "Post")
            )
            return Count((first, condition, step), self.sequence(node.get("Do")))
        only(loop, "Name", "Items")
        if loop.get("Items"):
            items = tuple(word for item in loop["Items"] for word in self.words.expanded(item))
        elif loop.get("InPos", {}).get("Line"):
            raise NotUnderstood("A for loop over an empty list", span_of(node))
        else:
            items = (Word((Variable("@", quoted=True),), span_of(loop)),)
        return For(self._name(loop["Name"]), items, self.sequence(node.get("Do")), span_of(loop), keyword)

    def _CaseClause(self, node: Node) -> Case:  # noqa: N802
        only(node, "Word", "Items")
        arms = []
        for item in node.get("Items") or ():
            only(item, "Op", "Patterns", "Stmts")
            if item["Op"] not in (";;", ";&", ";;&") or (self.dialect != "bash" and item["Op"] == ";;&"):
                raise NotUnderstood(f"A case that goes on with {item['Op']}", span_of(item))
            patterns = tuple(self.words.single(p) for p in item["Patterns"])
            arms.append(Arm(patterns, self.sequence(item.get("Stmts")), item["Op"]))
        return Case(self.words.single(node["Word"]), tuple(arms))

    def _TestClause(self, node: Node) -> Command:  # noqa: N802
        only(node, "X")
        if self.dialect != "bash":
            raise NotUnderstood("[[ … ]] is not part of the POSIX shell", span_of(node))
        return conditions.lower(node, self.words)

    def _assignment(self, node: Node, declared: bool = False) -> Assignment:
        only(node, "Name", "Value", "Append", "Array", "Index", *(("Naked",) if declared else ()))
        name, span, append = self._name(node["Name"]), span_of(node), bool(node.get("Append"))
        if (node.get("Array") or node.get("Index")) and self.dialect != "bash":
            raise NotUnderstood("Arrays are not part of the POSIX shell", span)
        if node.get("Array"):
            after = self.source[span[1] : span[1] + 1]
            if node.get("Index") or (after and after not in b" \t\n;&|)`"):
                raise NotUnderstood("A list of a form that is not described", span)
            return Assignment(name, None, append, span, self._items(node["Array"]))
        if node.get("Naked"):
            return Assignment(name, None, False, span)
        index = arithmetic.lower(node["Index"], self.words) if node.get("Index") else None
        value = node.get("Value")
        word = self.words.single(value, assigned=not declared) if value else Word((Text("", True),), span)
        return Assignment(name, word, append, span, None, index)

    def _items(self, node: Node) -> tuple[tuple[Arithmetic | None, Word], ...]:
        only(node, "Elems")
        items: list[tuple[Arithmetic | None, Word]] = []
        for element in node.get("Elems") or ():
            only(element, "Index", "Value")
            if not element.get("Value"):
                raise NotUnderstood("A list item without a value", span_of(node))
            if element.get("Index"):
                items.append(
                    (arithmetic.lower(element["Index"], self.words), self.words.single(element["Value"]))
                )
            else:
                items += [(None, word) for word in self.words.expanded(element["Value"])]
        return tuple(items)

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
        if operator == ">&" and fd in ("", "1") and re.fullmatch(r"[A-Za-z/.~_][A-Za-z0-9/._~-]*", target):
            if self.dialect != "bash":
                raise NotUnderstood("A redirection of both outputs is not part of the POSIX shell", span)
            return Redirection("&>", "", self.words.single(node["Word"]), None, span)
        if fd.startswith("{") and target != "-":
            raise NotUnderstood("A redirection to a file descriptor of a form that is not described", span)
        if not re.fullmatch(r"[0-9]|-", target) or after not in (
            "",
            " ",
            "\t",
            "\n",
            ";",
            "|",
            "&",
            ")",
            "`",
        ):
            raise NotUnderstood("A redirection to a file descriptor of a form that is not described", span)
        return Redirection(operator, fd, Word((Text(target),), (start, end)), None, span)
