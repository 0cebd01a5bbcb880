"""`verify.py`: the one file that an auditor runs, put together from programs of the standard library alone.

Rules kept here:

- What Keyturn itself makes rows and runs tests with is in it word for word; nothing else of Keyturn is.
- The same Keyturn gives the same bytes.
- Two modules may have a private name of the same spelling: the later one's is then renamed. A public one of the same spelling is a
  mistake, as is an import of anything but the standard library and each other.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from functools import cache
from pathlib import Path
from types import ModuleType

import msgspec

from keyturn.evidence import catalogue, testing, verdicts, verify_approvals
from keyturn.evidence.program import archive, checks, columns, log, rows, sheets, tables

NAME = "verify.py"
"""Under which it lies in a pack."""

SOURCES: tuple[ModuleType, ...] = (
    verify_approvals,
    rows,
    sheets,
    tables,
    verdicts,
    archive,
    columns,
    log,
    checks,
)
"""In the order in which they stand in it."""

OPTIONAL = "sqlite3"
"""The module that a Python may lack: without it, everything but controls is verified."""

_RULE = "# " + "=" * 117
_SHIPPED = "SHIPPED: dict[str, dict[str, str]] = {}\n"


@cache
def text() -> bytes:
    """The program."""
    parts = [_Source(module) for module in SOURCES]
    taken: dict[str, str] = {}
    for part in parts:
        part.rename({name: f"_{part.name}{name}" for name in part.names if name in taken and name[0] == "_"})
        for name in part.names:
            if name in taken:
                raise ValueError(f"{name} is in {taken[name]} and in {part.name}")
            taken[name] = part.name
    imports = sorted({line for part in parts for line in part.imports})
    whole = [
        "#!/usr/bin/env python3\n",
        f'"""{_usage(parts[-1].doc)}"""\n\n',
        "from __future__ import annotations\n\n",
        "".join(imports),
        '\nif sys.version_info < (3, 9):\n    sys.stderr.write("verify.py needs Python 3.9 or newer.\\n")\n    sys.exit(2)\n',
        f"\ntry:\n    import {OPTIONAL}\nexcept ImportError:\n    {OPTIONAL} = None\n",
        *(f"\n\n{_RULE}\n# {part.name}\n{_RULE}\n{_comment(part.doc)}\n{part.body}" for part in parts),
    ]
    made = "".join(whole).replace(_SHIPPED, _shipped(), 1)
    compile(made, NAME, "exec")
    return made.encode()


def _usage(doc: str) -> str:
    return f"Verify an evidence pack, or an exported log, with nothing but Python's standard library.\n\n{checks.USAGE}\n\n{doc.rstrip()}\n"


def _comment(doc: str) -> str:
    return "".join(f"# {line}".rstrip() + "\n" for line in doc.strip().splitlines())


def _shipped() -> str:
    """The tests and controls that come with this Keyturn, as `checks` compares them."""
    known = {
        "tests": {name: test.digest for name, test in sorted(testing.load_tests().items())},
        "controls": _controls(),
    }
    lines = [
        f"    {kind!r}: {{\n"
        + "".join(f"        {name!r}: {digest!r},\n" for name, digest in sorted(found.items()))
        + "    },\n"
        for kind, found in known.items()
    ]
    return "SHIPPED: dict[str, dict[str, str]] = {\n" + "".join(lines) + "}\n"


def _controls() -> dict[str, str]:
    return {
        f"{framework.id} {control.id}": checks.control_digest(msgspec.to_builtins(control))
        for framework in catalogue.load().frameworks.values()
        for control in framework.controls
    }


class _Source:
    """One module's text without its imports, docstring and entry point."""

    def __init__(self, module: ModuleType) -> None:
        self.name = module.__name__.rpartition(".")[2]
        text = Path(str(module.__file__)).read_text("utf-8")
        tree = ast.parse(text, feature_version=(3, 9))
        self.doc = ast.get_docstring(tree) or ""
        self.imports: set[str] = set()
        self.names: set[str] = set()
        gone: set[int] = set()
        last = self.name == SOURCES[-1].__name__.rpartition(".")[2]
        for number, node in enumerate(tree.body):
            if self._drops(node, first=number == 0, last=last):
                gone |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
            else:
                self.names |= _bound(node)
        lines = text.splitlines(keepends=True)
        kept = [
            line for number, line in enumerate(lines, 1) if number not in gone and not line.startswith("#!")
        ]
        self.body = "".join(kept).strip("\n") + "\n"

    def _drops(self, node: ast.stmt, *, first: bool, last: bool) -> bool:
        """Whether a statement is left out: docstring, imports (the standard library's are put together), `__all__`, entry point."""
        if isinstance(node, ast.Import | ast.ImportFrom):
            self._import(node)
            return True
        if isinstance(node, ast.Try):
            return all(isinstance(one, ast.Import) and one.names[0].name == OPTIONAL for one in node.body)
        if isinstance(node, ast.If):
            return not last and "__main__" in ast.dump(node.test)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            return node.targets[0].id == "__all__"
        return first and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        if isinstance(node, ast.Import):
            for one in node.names:
                _standard(one.name, self.name)
                if one.name != OPTIONAL:
                    self.imports.add(f"{ast.unparse(ast.Import([one]))}\n")
        elif (module := node.module or "") in {source.__name__ for source in SOURCES}:
            if any(one.asname for one in node.names):
                raise ValueError(f"{self.name} renames what it imports from {module}")
        elif module != "__future__":
            _standard(module, self.name)
            self.imports |= {f"{ast.unparse(ast.ImportFrom(module, [one], 0))}\n" for one in node.names}

    def rename(self, names: dict[str, str]) -> None:
        """Give private names another spelling, wherever they stand for themselves and not for an attribute."""
        if not names:
            return
        made, at, before = [], (1, 0), ""
        lines = self.body.splitlines(keepends=True)
        for token in tokenize.generate_tokens(io.StringIO(self.body).readline):
            if token.type == tokenize.NAME and token.string in names and before != ".":
                made.append(_between(lines, at, token.start) + names[token.string])
                at = token.end
            elif _is_fstring(token) and any(name in token.string for name in names):
                raise ValueError(f"{self.name}: a renamed name stands in an f-string: {token.string}")
            before = token.string
        self.body = "".join(made) + _between(lines, at, (len(lines) + 1, 0))
        self.names = {names.get(name, name) for name in self.names}


def _is_fstring(token: tokenize.TokenInfo) -> bool:
    return token.type == tokenize.STRING and "f" in token.string[:2].lower()


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    """The text from *start* to *end*, each (line from 1, column)."""
    (first, column), (last, stop) = start, end
    if first == last:
        return lines[first - 1][column:stop]
    rest = lines[last - 1][:stop] if last <= len(lines) else ""
    return lines[first - 1][column:] + "".join(lines[first : last - 1]) + rest


def _standard(module: str, where: str) -> None:
    if module.partition(".")[0] not in sys.stdlib_module_names:
        raise ValueError(f"{where} imports {module}, which is not of the standard library")


def _bound(node: ast.stmt) -> set[str]:
    """Names that a statement of a module binds."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    targets = (
        node.targets
        if isinstance(node, ast.Assign)
        else [node.target]
        if isinstance(node, ast.AnnAssign)
        else []
    )
    return {one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)}


if __name__ == "__main__":
    sys.stdout.buffer.write(text())
