"""Instruction text as sentences under their headings, without what doesn't change the meaning: case, punctuation, Markdown, order.

Rules kept here:

- A list item, a table's row, a line of a code block and each sentence of a paragraph is one sentence; its section is the path of
  headings above it. Plain tags (`<rules>`) only separate. HTML comments are
  sentences, too: people don't see them, models do.
- Two sentences are the same when their tokens are. Contractions are written out (`don't` → `do not`).
- Characters that people can't see and models can (zero width, bidirectional controls, Unicode tags) are told, with what they say.

Linear in the text; at most `MAX_TEXT` characters and `MAX_SENTENCES` sentences are read, more is refused.
"""

from __future__ import annotations

import re
import unicodedata

from msgspec import Struct

from keyturn.errors import TooLarge

MAX_TEXT = 4_000_000
MAX_SENTENCES = 60_000


class Sentence(Struct, frozen=True):
    """`text` as it stands, `section` (headings, joined by ` › `), `tokens` normalised, `file` it is from."""

    text: str
    section: str
    tokens: tuple[str, ...]
    file: str = ""


_HEADING = re.compile(r"(#{1,6})\s+(.*)")
_SETEXT = re.compile(r"(=+|-{3,})\s*")
_ITEM = re.compile(r"(?:[-*+•]|\d{1,3}[.)]|[a-z][.)])\s+(?:\[[ xX]\]\s+)?")
_FENCE = re.compile(r"(```|~~~)")
_LINK = re.compile(r"!?\[([^\[\]]{0,400})\]\([^()\s]{0,400}\)")
_MARKUP = re.compile(
    r"`+|(?<![\w/*.~])(?:\*{1,3}|_{1,3}|~~)(?=\w)|(?<=[\w.!?,;)])(?:\*{1,3}|_{1,3}|~~)(?![\w*/.])"
)
_TOKEN = re.compile(
    r"--?[\w][\w-]*|[$€£]?\d[\d,]*(?:\.\d+)?%?|[/~.]*[\w][\w./@:+$*'-]*|[;:,()—–]", re.UNICODE
)
_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[^\W\d_])|;\s+|(?<=[.!?])$")
_SHORT = re.compile(r"\b(e\.g|i\.e|etc|vs|approx|no|nr|incl)\.\s", re.IGNORECASE)
_CONTRACTIONS = (
    ("can't", "can not"), ("cannot", "can not"), ("won't", "will not"), ("shan't", "shall not"), ("n't", " not"),
    ("you're", "you are"), ("it's", "it is"), ("that's", "that is"), ("let's", "let us"), ("you'll", "you will"), ("i'm", "i am"),
    ("you've", "you have"),
    ("we're", "we are"), ("there's", "there is"), ("they're", "they are"), ("dont ", "do not "), ("ok'd", "approved"),
)  # fmt: skip
_TAG = re.compile(r"</?[A-Za-z][\w:-]{0,40}>")
_HIDDEN = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\U000e0000-\U000e007f]")


def sentences(text: str, file: str = "") -> list[Sentence]:
    """*text* taken apart, in order. Raises `TooLarge`."""
    if len(text) > MAX_TEXT:
        raise TooLarge(
            f"An instruction file has {len(text):,} characters; at most {MAX_TEXT:,} are compared."
        )
    found: list[Sentence] = []
    for section, block in _blocks(text):
        for one in _split(block):
            tokens = tokenise(one)
            if any(token[0].isalnum() or token[0] in "/-~.$" for token in tokens):
                found.append(Sentence(one.strip(), section, tokens, file))
    if len(found) > MAX_SENTENCES:
        raise TooLarge(
            f"An instruction file has {len(found):,} sentences; at most {MAX_SENTENCES:,} are compared."
        )
    return found


def tokenise(text: str) -> tuple[str, ...]:
    """Words, numbers, paths and the marks that separate clauses, in small letters."""
    text = _HIDDEN.sub("", unicodedata.normalize("NFKC", text))
    text = _LINK.sub(r"\1", text).replace("’", "'").replace("‘", "'").lower()
    text = _MARKUP.sub("", text)
    for short, long in _CONTRACTIONS:
        text = text.replace(short, long)
    tokens = (token.rstrip(".:'") if len(token) > 1 else token for token in _TOKEN.findall(text))
    return tuple(token.removesuffix("'s") for token in tokens if token)


def hidden(text: str) -> str:
    """The characters of *text* that people don't see: Unicode tags as the letters they stand for, others as a count. "" for none.

    A byte order mark at the start and joiners inside emoji are no secret.
    """
    body = text.removeprefix("\ufeff")
    found = [
        match.group()
        for match in _HIDDEN.finditer(body)
        if not (match.group() == "\u200d" and match.start() and ord(body[match.start() - 1]) > 0x2000)
    ]
    tags = "".join(chr(ord(one) - 0xE0000) for one in found if 0xE0020 <= ord(one) <= 0xE007E)
    return tags or (f"{len(found)} characters without width" if found else "")


def _blocks(text: str) -> list[tuple[str, str]]:
    """(section, block of text) in order."""
    headings: list[tuple[int, str]] = []
    blocks: list[tuple[str, str]] = []
    open_block: list[str] = []
    fenced = False

    def flush() -> None:
        if open_block:
            blocks.append((" › ".join(name for _, name in headings), " ".join(open_block)))
            open_block.clear()

    for raw in _TAG.sub("\n", text).splitlines():
        line = raw.strip().lstrip("> ").strip()
        if _FENCE.match(line):
            flush()
            fenced = not fenced
            continue
        if not line:
            flush()
            continue
        heading = None if fenced else _HEADING.fullmatch(line)
        if heading is not None:
            flush()
            level = len(heading[1])
            headings[:] = [*(h for h in headings if h[0] < level), (level, heading[2].strip(" #").lower())]
            continue
        if not fenced and len(open_block) == 1 and _SETEXT.fullmatch(line):
            level = 1 if line[0] == "=" else 2
            title = open_block.pop()
            headings[:] = [*(h for h in headings if h[0] < level), (level, title.lower())]
            continue
        item = None if fenced else _ITEM.match(line)
        if fenced or item is not None or line.startswith("|"):
            flush()
        open_block.append(line[item.end() :] if item else line)
        if fenced or line.startswith("|"):
            flush()
    flush()
    return blocks


def _split(block: str) -> list[str]:
    guarded = _SHORT.sub(
        lambda match: match[0].replace(".", "\u2024") if "." in match[0] else match[0], block
    )
    parts: list[str] = []
    start = 0
    for match in _END.finditer(guarded):
        parts.append(guarded[start : match.start()])
        start = match.end()
    parts.append(guarded[start:])
    return [part.replace("\u2024", ".") for part in parts if part.strip()]
