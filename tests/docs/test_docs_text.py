"""Links resolve, and the text is free of what does not belong in it."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOP = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
PAGES = sorted(
    [*(ROOT / name for name in TOP), *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("README.md")]
)

_FENCE = re.compile(r"^(```|~~~).*?^\1", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_ABSOLUTE = re.compile(r"(?<![\w.])/(?:root/(?!\.ssh)|mnt/)\w+")
QUOTES = "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2032\u2033"


def relative(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(text: str) -> set[str]:
    """Addresses of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    for heading in _HEADING.findall(_FENCE.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        address = re.sub(r"[^\w\- ]", "", plain.lower()).strip().replace(" ", "-")
        number, candidate = 0, address
        while candidate in found:
            number += 1
            candidate = f"{address}-{number}"
        found.add(candidate)
    return found


def broken_links(page: Path, text: str) -> list[str]:
    """Links of *text* that lead nowhere inside the repository."""
    broken = []
    for match in _LINK.finditer(_CODE.sub("", _FENCE.sub("", text))):
        target = match[1] or match[2]
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = page if not path else (page.parent / path)
        if not file.exists() or (
            anchor and file.suffix == ".md" and anchor not in _anchors_of(file, text if not path else None)
        ):
            broken.append(target)
    return broken


def _anchors_of(page: Path, text: str | None) -> set[str]:
    return anchors(page.read_text(encoding="utf-8") if text is None else text)


def out_of_place(text: str) -> list[str]:
    """Curly quotes, characters that can't be seen, and paths of one machine."""
    found = [f"U+{ord(c):04X}" for c in text if c in QUOTES or _unseen(c)]
    return found + [match[0] for match in _ABSOLUTE.finditer(text)]


def _unseen(c: str) -> bool:
    return c not in "\n" and (
        unicodedata.category(c) in ("Cc", "Cf", "Co", "Cn", "Zl", "Zp") or c == "\u00a0"
    )


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page, page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_text_is_clean(page: Path) -> None:
    assert out_of_place(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_a_page_has_one_title_and_closed_fences(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.count("\n```") % 2 == 0 or text.startswith("```")
    assert len(re.findall(r"^# ", _FENCE.sub("", text), re.MULTILINE)) == 1


def test_a_broken_link_is_caught() -> None:
    page = ROOT / "README.md"
    text = "# T\n[a](docs/no-such-page.md) [b](#nowhere) [c](#t) [d](docs/glossary.md#no-such-word) `[e](code.md)`"
    assert broken_links(page, text) == ["docs/no-such-page.md", "#nowhere", "docs/glossary.md#no-such-word"]


def test_what_does_not_belong_is_caught() -> None:
    assert out_of_place("It\u2019s in /mnt/main\u200b.") == ["U+2019", "U+200B", "/mnt/main"]
    assert out_of_place("Straight 'quotes' and \u00b7 \u2192 \u2026 are fine.") == []


def test_every_page_can_be_reached_from_the_first() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop().resolve()
        if page in seen or page.suffix != ".md" or not page.is_file():
            continue
        seen.add(page)
        for match in _LINK.finditer(_CODE.sub("", _FENCE.sub("", page.read_text(encoding="utf-8")))):
            target = (match[1] or match[2]).partition("#")[0]
            if target and not re.match(r"[a-z]+:", target):
                file = page.parent / target
                waiting.append(file / "README.md" if file.is_dir() else file)
    unreached = [relative(page) for page in PAGES if "src" not in page.parts and page.resolve() not in seen]
    assert unreached == []


DECISIONS = sorted((ROOT / "docs/adr").glob("[0-9]*.md"))
SECTIONS = ["## Context", "## Decision", "## Consequences"]


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_has_its_parts_and_its_line_in_the_index(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    number = page.name[:4]
    assert text.startswith(f"# {number}: ")
    assert re.search(r"^Status: (proposed|accepted|replaced by \d{4})", text, re.MULTILINE)
    assert re.findall(r"^## .+$", text, re.MULTILINE) == SECTIONS
    assert f"[{number}]({page.name})" in (ROOT / "docs/adr/README.md").read_text(encoding="utf-8")


def test_no_two_decisions_have_the_same_number() -> None:
    numbers = [int(page.name[:4]) for page in DECISIONS]
    assert len(set(numbers)) == len(numbers)
