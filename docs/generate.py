"""Writes the generated parts of docs/reference from the code itself.

    uv run --no-sync python docs/generate.py            write them
    uv run --no-sync python docs/generate.py --check    exit 1 and name the pages that are not up to date

A page is prose with one or more regions between `<!-- generated: NAME -->` and `<!-- end -->`; only what stands between is
replaced. `PAGES` says which page has which regions.
"""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_origin

import click
import msgspec

REFERENCE = Path(__file__).parent / "reference"
_REGION = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def settings() -> str:
    """Every setting: name, type, default, environment variable, meaning."""
    from keyturn.service.settings import ENVIRONMENT_PREFIX, Settings

    rows = []
    said = docstrings(Settings)
    kinds = {"tuple": "list of text", "str": "text", "int": "number"}
    for field in msgspec.structs.fields(Settings):
        if section_of(field.type) is not None:
            rows.append((code(field.name), "section", "", "", said[field.name]))
            continue
        default = "" if field.default is msgspec.NODEFAULT else repr(field.default)
        variable = ENVIRONMENT_PREFIX + field.name.upper()
        rows.append(
            (code(field.name), kinds[_plain(field.type)], code(default), code(variable), said[field.name])
        )
    return table(("setting", "type", "default", "environment", "meaning"), rows)


def sections() -> str:
    """Every section and its settings."""
    from keyturn.service.settings import Settings

    parts = []
    for field in msgspec.structs.fields(Settings):
        kind = section_of(field.type)
        if kind is None:
            continue
        many = get_origin(field.type) is tuple
        parts.append(f"#### {code(f'[[{field.name}]]' if many else f'[{field.name}]')}\n")
        said = {
            name: words
            for base in reversed(kind.__mro__)
            if base.__module__.startswith("keyturn.")
            for name, words in docstrings(base).items()
        }
        rows = [
            (code(f.name), "required" if f.required else code(repr(_default(f))), said[f.name])
            for f in sorted(msgspec.structs.fields(kind), key=lambda f: not f.required)
        ]
        parts.append(table(("setting", "default", "meaning"), rows) + "\n")
    return "\n".join(parts)


def _default(field: Any) -> Any:
    return field.default_factory() if field.default is msgspec.NODEFAULT else field.default


def section_of(kind: Any) -> Any:
    """The struct of a section, None for a plain setting."""
    found = [
        one for one in (kind, *get_args(kind)) if isinstance(one, type) and issubclass(one, msgspec.Struct)
    ]
    return found[0] if found else None


def errors() -> str:
    """Every error code with its class's words, by first word of the code."""
    rows = []
    for name, kind in sorted(catalogue().items()):
        meaning = first_sentence(kind)
        rows.append((code(name), kind.status, kind.exit_code, f"{meaning} {kind.not_done} {kind.next_step}"))
    return table(("code", "HTTP", "exit", "what happened, what did not, what to do"), rows)


def catalogue() -> dict[str, Any]:
    """All error classes by code, with every module of the package imported."""
    import keyturn
    from keyturn.errors import KeyturnError

    for module in pkgutil.walk_packages(keyturn.__path__, "keyturn."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    own = {c: k for c, k in KeyturnError.catalogue.items() if k.__module__.startswith("keyturn.")}
    return {KeyturnError.code: KeyturnError, **own}


def entries() -> str:
    """Every entry type with its meaning."""
    from keyturn.ledger.entries import ENTRY_TYPES

    rows = [(f"[`{name}`](#{anchor(name)})", about) for name, about in ENTRY_TYPES.items()]
    return table(("type", "meaning"), rows)


def metrics() -> str:
    """Every metric as the exposition names it."""
    rows = [(code(name), kind, labels, about) for name, kind, labels, about in metric_list()]
    return table(("metric", "type", "labels", "meaning"), rows)


def metric_list() -> Iterator[tuple[str, str, str, str]]:
    """(name, type, labels, help) of every metric in the registry."""
    from keyturn.metrics import REGISTRY

    for collector in list(REGISTRY._collector_to_names):
        for family in collector.describe() or collector.collect():
            labels = ", ".join(code(name) for name in getattr(collector, "_labelnames", ()))
            name = family.name + ("_total" if family.type == "counter" else "")
            yield name, family.type, labels, family.documentation


def exit_codes() -> str:
    """Every exit code and the name it has in the code."""
    from keyturn.errors import ExitCode

    found = [(value, name) for name, value in vars(ExitCode).items() if isinstance(value, int)]
    rows = [(value, code(name)) for value, name in sorted(found)]
    return table(("code", "name"), rows)


def queries() -> str:
    """Every query over the past, and what it takes."""
    from keyturn.store.analytics import NAMES, query

    rows = []
    for name in NAMES:
        one = query(name)
        takes = "; ".join(f"{code(key)}: {meaning}" for key, meaning in one.takes.items())
        rows.append((code(name), one.answers, takes))
    return table(("query", "what it answers", "takes, beside `until`"), rows)


def tables() -> str:
    """Every table of the analytics and its columns."""
    from keyturn.store.analytics.tables import TABLES

    parts = []
    for name, columns in TABLES.items():
        rows = [(code(one.name), one.type, one.meaning) for one in columns]
        parts.append(f"### {name}\n\n" + table(("column", "type", "meaning"), rows) + "\n")
    return "\n".join(parts)


def evidence_tables() -> str:
    """Every evidence table, what its rows come from, and its columns."""
    from keyturn.evidence.program.rows import SOURCES, TABLES

    parts = []
    for name, columns in TABLES.items():
        kinds = ", ".join(code(kind) for kind in SOURCES[name]) or "every entry"
        rows = [(code(column), form, meaning) for column, form, meaning in columns]
        parts.append(f"### {name}\n\nFrom {kinds}.\n\n" + table(("column", "type", "meaning"), rows) + "\n")
    return "\n".join(parts)


def frameworks() -> str:
    """Every framework and how much of it is tested."""
    from keyturn.evidence.catalogue import load

    rows = []
    for one in load().frameworks.values():
        whole = sum(control.how == "automatic" for control in one.controls)
        link = f"[{code(one.id)}](#{anchor(one.id)})"
        rows.append(
            (link, f"{one.title}: {one.edition}", len(one.controls), whole, len(one.controls) - whole)
        )
    rows.append(("", "together", *(sum(row[place] for row in rows) for place in (2, 3, 4))))
    return table(("framework", "which", "controls", "automatic", "partial"), rows)


def controls() -> str:
    """Every control: what is asked, what has to be so, by which tests, and what a person adds."""
    from keyturn.evidence.catalogue import load

    parts = []
    for one in load().frameworks.values():
        rows = [
            (
                f"**{control.id}** {control.title}",
                " ".join((control.gist, *_marks(control))),
                control.passes,
                " ".join(_of_control(test, control.optional) for test in control.tests),
                control.also or "automatic",
            )
            for control in one.controls
        ]
        head = ("control", "what is asked", "passes when", "tests", "what a person adds")
        parts.append(f"### {one.id}\n\n{one.title}: {one.edition}.\n\n" + table(head, rows) + "\n")
    return "\n".join(parts)


def _marks(control: Any) -> Iterator[str]:
    if control.framework == "nist-800-53":
        yield f"*{', '.join(control.baselines) or 'in no baseline'}*"
    if control.applies:
        yield f"*{control.applies}*"


def _of_control(test: str, optional: Iterable[str]) -> str:
    return f"[{code(test)}](#{anchor(test)})" + ("°" if test in optional else "")


def tests() -> str:
    """Every test: population, exception, thresholds, and the controls that it is for."""
    from keyturn.evidence.catalogue import VERIFIED, load

    found = load()
    parts = []
    for test in (*found.tests.values(), *VERIFIED.values()):
        lines = [f"### {test.id}\n", f"{test.title}.\n"]
        lines.append(f"- population: {test.population}\n- exception: {test.exception}")
        if test.id not in VERIFIED:
            lines.append(f"- rests on: {', '.join(code(one) for one in test.rests_on)}")
            lines += [f"- {code(f'{s.name} = {s.default:g}')}: {s.meaning}" for s in test.settings]
        used = ", ".join(f"{one.framework} {one.id}" for one in found.using(test.id))
        lines.append(f"- for: {used}\n")
        parts.append("\n".join(lines))
    return "\n".join(parts)


def limits() -> str:
    """What no control shows."""
    from keyturn.evidence.limits import load_limits

    rows = [(one.says, one.shown_by) for one in load_limits()]
    return table(("what Keyturn's log can't show", "what shows it"), rows)


# --- command line ---------------------------------------------------------------------------------------------------


def commands() -> str:
    """Every command with its arguments and options."""
    parts = []
    for path, command in command_list():
        parts.append(f"### {' '.join(path)}\n")
        parts.append(_command_text(path, command))
    return "\n".join(parts)


def command_list() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that is not only a group, as words and object, in the order of the help."""
    from keyturn.cli import keyturn

    yield ("keyturn",), keyturn
    yield from _below(("keyturn",), keyturn)


def _below(path: tuple[str, ...], group: click.Group) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group, info_name=path[-1])
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        if isinstance(command, click.Group):
            yield from _below((*path, name), command)
        else:
            yield (*path, name), command


def options_of(command: click.Command) -> list[click.Option]:
    """The options a person can give, in the order of the help."""
    return [p for p in command.params if isinstance(p, click.Option) and not p.hidden]


def _command_text(path: tuple[str, ...], command: click.Command) -> str:
    # As on the command line: click makes a command's help option once, with the names that the first context gives it.
    context = click.Context(command, info_name=" ".join(path), help_option_names=["-h", "--help"])
    usage = " ".join(context.command_path.split() + command.collect_usage_pieces(context))
    lines = [f"`{usage}`\n"] if len(path) > 1 else []
    lines.append(_prose(command.help or "") + "\n")
    rows = []
    for option in options_of(command):
        record = option.get_help_record(context)
        if record is not None:
            rows.append((code(record[0]), record[1]))
    if rows:
        lines.append(table(("option", "meaning"), rows))
    return "\n".join(lines)


def _prose(text: str) -> str:
    """A docstring as paragraphs, one line each; what click is told to leave as it is (`\\b`) stays so, as code."""
    return "\n\n".join(_paragraph(part) for part in inspect.cleandoc(text).split("\n\n")).strip()


def _paragraph(text: str) -> str:
    first, _, rest = text.partition("\n")
    if first.strip() == "\b":
        return f"```text\n{textwrap.dedent(rest)}\n```"
    return " ".join(line.strip() for line in text.splitlines())


# --- API ------------------------------------------------------------------------------------------------------------


def routes() -> str:
    """Every route of the API, with the bodies it takes and gives."""
    rows = [
        (code(f"{method} {path}"), who, summary, given, answer)
        for method, path, who, summary, given, answer in route_list()
    ]
    return table(("route", "for", "does", "body", "answer"), rows)


def route_list() -> list[tuple[str, str, str, str, str, str]]:
    """(method, path, tags, summary, body, answer) of every documented route, in order of the path."""
    found = []
    for path, item in _openapi()["paths"].items():
        for method, operation in item.items():
            body = _schema_name(operation.get("requestBody", {}))
            answers = [a for status, a in operation["responses"].items() if status.startswith("2")]
            answer = _schema_name(answers[0]) if answers else ""
            who = ", ".join(operation.get("tags", ()))
            found.append((method.upper(), path, who, operation.get("summary", ""), body, answer))
    return sorted(found, key=lambda route: (route[1], route[0]))


def _openapi() -> dict[str, Any]:
    """The OpenAPI document of a real application over a fresh home."""
    from keyturn.app import make_app
    from keyturn.cli.init import create
    from keyturn.home import Home
    from keyturn.server import open_service
    from keyturn.service.settings import Settings

    with tempfile.TemporaryDirectory(prefix="keyturn-docs-") as folder:
        home = Home(Path(folder) / "home")
        create(home, "docs", "", "enforce")
        service = open_service(home, Settings())
        try:
            return make_app(service, Settings()).openapi_schema.to_schema()
        finally:
            service.core.ledger.close()


def _schema_name(part: dict[str, Any]) -> str:
    for content in part.get("content", {}).values():
        schema = content.get("schema", {})
        many = schema.get("type") == "array"
        reference = (schema.get("items", {}) if many else schema).get("$ref", "")
        if reference:
            name = reference.rpartition("/")[2].rpartition("_")[2] or reference.rpartition("/")[2]
            return f"{'list of ' if many else ''}[{name}](#{name.lower()})" if name in structs() else name
        return "list" if many else {"object": "object", "string": "text"}.get(schema.get("type", ""), "")
    return ""


def structs() -> dict[str, type[msgspec.Struct]]:
    """The API's bodies and answers, by name."""
    from keyturn.channels.api import model as bodies
    from keyturn.service import model

    found: dict[str, type[msgspec.Struct]] = {}
    for module in (bodies, model):
        for name, kind in vars(module).items():
            own = (
                inspect.isclass(kind)
                and issubclass(kind, msgspec.Struct)
                and kind.__module__ == module.__name__
            )
            if own and kind is not model.Peer:
                found[name] = kind
    return found


def schemas() -> str:
    """Every body and answer, field by field."""
    parts = []
    for name, kind in sorted(structs().items()):
        parts.append(f"### {name}\n")
        parts.append(_prose(kind.__doc__ or "") + "\n")
        rows = []
        for field in msgspec.structs.fields(kind):
            required = field.default is msgspec.NODEFAULT and field.default_factory is msgspec.NODEFAULT
            rows.append((code(field.encode_name), code(_type(field.type)), "yes" if required else ""))
        parts.append(table(("field", "type", "required"), rows))
    return "\n".join(parts)


def _type(kind: Any) -> str:
    text = kind.__name__ if inspect.isclass(kind) and get_origin(kind) is None else str(kind)
    text = re.sub(r"(?:typing|keyturn(?:\.\w+)+)\.", "", text).replace("NoneType", "None")
    return text.replace("Annotated[str, Meta(max_length=4000)]", "str").replace(", ...]", ", …]")


# --- words ----------------------------------------------------------------------------------------------------------


def code(text: Any) -> str:
    """In backticks, with what a table can't hold made safe; nothing for nothing."""
    shown = str(text)
    return f"`{shown.replace('|', chr(92) + '|')}`" if shown else ""


def table(head: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    text = " ".join(str(value).split())
    return re.sub(r"(?<!\\)\|", r"\\|", text)


def anchor(heading: str) -> str:
    """The address of a heading, as GitHub makes it."""
    kept = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return kept.strip().replace(" ", "-")


def first_sentence(kind: type) -> str:
    """The first sentence of a class's docstring."""
    text = _prose(kind.__doc__ or "").split("\n\n")[0]
    return re.split(r"(?<=[.?!]) (?=[A-Z])", text)[0]


def docstrings(kind: type) -> dict[str, str]:
    """The text below each attribute of a class."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for line, after in zip(tree.body, tree.body[1:], strict=False):
        if (
            isinstance(line, ast.AnnAssign)
            and isinstance(line.target, ast.Name)
            and isinstance(after, ast.Expr)
        ):
            assert isinstance(after.value, ast.Constant)
            found[line.target.id] = " ".join(str(after.value.value).split())
    return found


def _plain(kind: Any) -> str:
    origin = get_origin(kind)
    if origin is not None and hasattr(kind, "__metadata__"):
        return _plain(kind.__origin__)
    return (origin or kind).__name__


def kinds() -> str:
    """Every kind of finding."""
    from keyturn.drift.kinds import KINDS

    rows = (
        f"| `{name}` | {kind.area} | {kind.severity} | {kind.detector} | {kind.meaning} |"
        for name, kind in sorted(KINDS.items())
    )
    return "\n".join(["| kind | area | severity | detector | meaning |", "|---|---|---|---|---|", *rows])


PAGES: dict[str, dict[str, Callable[[], str]]] = {
    "settings.md": {"settings": settings, "sections": sections},
    "cli.md": {"commands": commands},
    "errors.md": {"errors": errors},
    "entries.md": {"entries": entries},
    "exit-codes.md": {"exit_codes": exit_codes},
    "metrics.md": {"metrics": metrics},
    "api.md": {"routes": routes, "schemas": schemas},
    "findings.md": {"kinds": kinds},
    "analytics.md": {"queries": queries, "tables": tables},
    "evidence-tables.md": {"tables": evidence_tables},
    "controls.md": {"frameworks": frameworks, "controls": controls, "tests": tests, "limits": limits},
}
"""Page below docs/reference → region → what it holds."""


def regenerated(page: str) -> str:
    """The text of *page* with its regions made anew. Raises `LookupError` for a region that is missing."""
    text = (REFERENCE / page).read_text(encoding="utf-8")
    found = {match[2] for match in _REGION.finditer(text)}
    if found != set(PAGES[page]):
        raise LookupError(f"docs/reference/{page} has the regions {sorted(found)}, not {sorted(PAGES[page])}")
    return _REGION.sub(lambda match: f"{match[1]}\n{PAGES[page][match[2]]().rstrip()}\n\n{match[3]}", text)


def main() -> int:
    """Write, or with `--check` compare."""
    stale = []
    for page in PAGES:
        path = REFERENCE / page
        text = regenerated(page)
        if text != path.read_text(encoding="utf-8"):
            stale.append(page)
            if "--check" not in sys.argv:
                path.write_text(text, encoding="utf-8")
    verb = "not up to date" if "--check" in sys.argv else "written"
    print("\n".join(f"docs/reference/{page}: {verb}" for page in stale) or "All pages are up to date.")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
