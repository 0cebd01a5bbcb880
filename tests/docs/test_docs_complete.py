"""Nothing that people script against is undocumented, and the generated pages are those of this code.

Each comparison has a negative control: a name that does not exist is not found.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


def _generate() -> ModuleType:
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        import generate
    finally:
        sys.path.pop(0)
    return generate


generate = _generate()


def text(page: str) -> str:
    return (REFERENCE / page).read_text(encoding="utf-8")


def in_backticks(name: str, page: str) -> bool:
    return f"`{name}`" in text(page)


def as_heading(name: str, page: str) -> bool:
    return re.search(rf"^#+ `?{re.escape(name)}`?$", text(page), re.MULTILINE) is not None


def settings() -> Iterable[str]:
    import msgspec

    from keyturn.service.settings import Settings

    return [field.name for field in msgspec.structs.fields(Settings)]


def entry_types() -> Iterable[str]:
    from keyturn.ledger.entries import ENTRY_TYPES

    return ENTRY_TYPES


def metrics() -> Iterable[str]:
    return [name for name, *_ in generate.metric_list()]


def errors() -> Iterable[str]:
    return generate.catalogue()


def commands() -> Iterable[str]:
    return [" ".join(path) for path, _ in generate.command_list()]


def routes() -> Iterable[str]:
    return [f"{method} {path}" for method, path, *_ in generate.route_list()]


def exit_codes() -> Iterable[str]:
    from keyturn.errors import ExitCode

    return [str(value) for value in vars(ExitCode).values() if isinstance(value, int)]


def messages() -> Iterable[str]:
    from typing import get_args

    from keyturn.gates.protocol import Ask

    return [str(kind.__struct_config__.tag) for kind in get_args(Ask)]


def home_paths() -> Iterable[str]:
    from keyturn.home import Home

    root = Path("/somewhere")
    paths = [value for value in vars(Home(root)).values() if isinstance(value, Path) and value != root]
    return [str(path.relative_to(root)) for path in paths if path not in {p.parent for p in paths}]


def variables() -> Iterable[str]:
    """Every KEYTURN_ variable that the program's text names; those of settings stand in the table."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "src/keyturn").rglob("*.py")]
    found = {name for text in texts for name in re.findall(r"\bKEYTURN_[A-Z]+(?:_[A-Z]+)*\b", text)}
    return sorted(found)


def documented_exit_code(name: str, page: str) -> bool:
    return re.search(rf"^\| {name} \| (?!`)", text(page), re.MULTILINE) is not None


def documented_path(name: str, page: str) -> bool:
    return f"`{name}" in text(page)


def finding_kinds() -> Iterable[str]:
    from keyturn.drift import kinds

    return kinds.KINDS


Names = Callable[[], Iterable[str]]
Documented = Callable[[str, str], bool]
KINDS: dict[str, tuple[Names, Documented, str]] = {
    "setting in the table": (settings, in_backticks, "settings.md"),
    "setting with what breaks": (settings, as_heading, "settings.md"),
    "variable": (variables, in_backticks, "settings.md"),
    "entry type": (entry_types, as_heading, "entries.md"),
    "metric": (metrics, in_backticks, "metrics.md"),
    "error code": (errors, in_backticks, "errors.md"),
    "command": (commands, as_heading, "cli.md"),
    "route": (routes, in_backticks, "api.md"),
    "exit code": (exit_codes, documented_exit_code, "exit-codes.md"),
    "gate message": (messages, in_backticks, "protocol.md"),
    "path of a home": (home_paths, documented_path, "home.md"),
    "kind of finding": (finding_kinds, in_backticks, "findings.md"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_undocumented(kind: str) -> None:
    names, documented, page = KINDS[kind]
    found = list(names())
    assert len(found) > 3, "the comparison lost its subject"
    assert [name for name in found if not documented(name, page)] == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_does_not_exist_is_not_found(kind: str) -> None:
    _, documented, page = KINDS[kind]
    assert not documented("no_such_thing", page)


def test_every_option_of_every_command_is_documented() -> None:
    page = text("cli.md")
    missing = []
    for path, command in generate.command_list():
        section = page.split(f"### {' '.join(path)}\n", 1)[1].split("\n### ", 1)[0]
        for option in generate.options_of(command):
            if not any(f"{name}" in section for name in option.opts):
                missing.append(f"{' '.join(path)} {option.opts[0]}")
    assert missing == []
    assert "--no-such-option" not in page


def test_every_option_says_what_it_does() -> None:
    silent = {
        f"{' '.join(path)} {option.opts[0]}"
        for path, command in generate.command_list()
        for option in generate.options_of(command)
        if not option.help
    }
    assert silent == set()


@pytest.mark.parametrize("page", generate.PAGES)
def test_the_generated_parts_are_up_to_date(page: str) -> None:
    assert generate.regenerated(page) == text(page), "run: uv run --no-sync python docs/generate.py"


def test_a_generated_page_that_was_changed_by_hand_is_caught() -> None:
    page = text("metrics.md")
    changed = page.replace("Entries in the ledger.", "Entries.", 1)
    assert changed != page
    assert generate.regenerated("metrics.md") != changed


def test_every_promised_page_of_a_package_is_there() -> None:
    packages = [p.parent for p in (ROOT / "src/keyturn").glob("*/__init__.py")]
    assert len(packages) >= 10
    assert [p.name for p in packages if not (p / "README.md").is_file()] == []
