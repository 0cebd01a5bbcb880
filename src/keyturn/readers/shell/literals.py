r"""What unquoted, double-quoted, `$'…'` and here-document text stands for, character by character.

Sources: POSIX.1-2017 XCU 2.2 (quoting), 2.6.1 (tilde), 2.13 (patterns); bash(1) QUOTING and Brace Expansion.
"""

from __future__ import annotations

import re

from keyturn.readers.shell.syntax import Glob, Home, NotUnderstood, Part, Span, Text

_USER = re.compile(r"[a-z_][a-z0-9_-]*")

MAX_BRACES = 64
"""Most words that one brace expansion may make."""

_BRACKET = re.compile(
    r"\[[!^]?(?:\[:[a-z]+:\]|\\[ -~]|[A-Za-z0-9_.,@%+=:~^#*?/\u00c0-\u024f\u0370-\u052f-])+\]"
)
r"""A bracket expression as written (XCU 2.13.1). With a `/` in it, it is text where paths are made and a pattern elsewhere."""
_PLAIN_BRACES = re.compile(r"[A-Za-z0-9_./,{}@%+=:*?~\[\]!^#\u00c0-\u024f\ue000-\uf8ff-]+")
_RANGE = re.compile(r"(0|-?[1-9][0-9]{0,4}|[a-z]|[A-Z])\.\.(0|-?[1-9][0-9]{0,4}|[a-z]|[A-Z])")
_BEFORE_LITERAL_DOLLAR = frozenset(" \t\n.,;:/=%+]}^~)|&<>\\")
_ANSI_C = {
    "n": "\n", "t": "\t", "\\": "\\", "'": "'", '"': '"', "?": "?",
    "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "r": "\r", "v": "\v",
}  # fmt: skip


def unquoted(raw: str, first: bool, last: bool, span: Span, tilde_anywhere: bool = False) -> list[Part]:
    """Parts of the unquoted characters *raw*; *first*/*last* tell whether the word begins or ends with them.

    In an assignment's value (`tilde_anywhere`), every `~` may be expanded and is not understood beyond the first.
    A backslash at the end of all stands for itself or not, depending on how the script is handed over.
    """
    parts: list[Part] = []
    plain: list[str] = []
    at = 0
    while at < len(raw):
        character = raw[at]
        if character == "\\":
            if at + 1 >= len(raw):
                raise NotUnderstood("A backslash at the end of a word", span)
            _flush(plain, parts)
            parts.append(Text(raw[at + 1], quoted=True))
            at += 2
            continue
        if character in "*?":
            _flush(plain, parts)
            parts.append(Glob(character))
        elif character == "[":
            bracket = _bracket(raw, at, last, span)
            if bracket:
                _flush(plain, parts)
                parts.append(Glob(bracket))
                at += len(bracket)
                continue
            plain.append(character)
        elif character == "~" and _is_home(raw, at, (first, last), span, tilde_anywhere):
            _flush(plain, parts)
            user = _USER.match(raw, 1)
            parts.append(Home(user.group() if user else ""))
            at += len(user.group()) if user else 0
        elif character == "$" and raw[at + 1 : at + 2] in ("/", ".", ",", ":", "=", "%", "+", "]", "^"):
            plain.append("$")
        elif character == "$" and not (at + 1 == len(raw) and last):
            raise NotUnderstood(
                "A dollar sign that stands for itself here in one shell and not in another", span
            )
        elif character in "\"'`()<>|&;":
            raise NotUnderstood(f"An unquoted {character} inside a word", span)
        else:
            plain.append(character)
        at += 1
    _flush(plain, parts)
    return parts


def _flush(plain: list[str], parts: list[Part]) -> None:
    if plain:
        parts.append(Text("".join(plain)))
        plain.clear()


def _bracket(raw: str, at: int, last: bool, span: Span) -> str | None:
    match = _BRACKET.match(raw, at)
    if match:
        return match.group()
    if last and raw[at:] == "[]":
        return None  # its bracket is first in the list, which then has no end: text (XCU 2.13.1)
    if "]" in raw[at:] or not last:
        raise NotUnderstood("A bracket pattern of a form that is not described", span)
    return None


def _is_home(raw: str, at: int, ends: tuple[bool, bool], span: Span, anywhere: bool) -> bool:
    first, last = ends
    if at == 0 and first:
        user = _USER.match(raw, 1)
        after = user.end() if user else 1
        if raw[after : after + 1] == "/" or (len(raw) == after and last):
            return True
        raise NotUnderstood("A tilde with something other than a user's name", span)
    if first and raw[at - 1] == ":" and "=" not in raw[:at] and not anywhere:
        return False
    if anywhere or raw[at - 1 : at] in ("=", ":"):
        raise NotUnderstood("A tilde that is only expanded in some shells", span)
    return False


def double_quoted(raw: str, last: bool, span: Span) -> str:
    r"""Characters between double quotes: a backslash escapes only ``$ ` " \`` (XCU 2.2.3)."""
    return _escaped(raw, '$`"\\', last, span)


def here_document(raw: str, last: bool, span: Span) -> str:
    r"""Characters of an unquoted here-document: a backslash escapes only ``$ ` \`` (XCU 2.7.4)."""
    return _escaped(raw, "$`\\", last, span)


def _escaped(raw: str, escapable: str, last: bool, span: Span) -> str:
    out: list[str] = []
    at = 0
    while at < len(raw):
        character, after = raw[at], raw[at + 1 : at + 2]
        if character == "\\" and after and after in escapable:
            out.append(after)
            at += 2
            continue
        if character == "\\" and (after == "\n" or (not after and not last)):
            raise NotUnderstood("A backslash before the end of a line or of the text", span)
        if character == "`":
            raise NotUnderstood("A backquote that stands for itself", span)
        if character == "$" and not (after in _BEFORE_LITERAL_DOLLAR if after else last):
            raise NotUnderstood(
                "A dollar sign that stands for itself here in one shell and not in another", span
            )
        out.append(character)
        at += 1
    return "".join(out)


def ansi_c(raw: str, span: Span) -> str:
    r"""Characters of `$'raw'` (bash(1) QUOTING). Of characters beyond ASCII, escapes are not read: the locale decides them."""
    out: list[str] = []
    at = 0
    while at < len(raw):
        if raw[at] != "\\":
            out.append(raw[at])
            at += 1
            continue
        if re.match(r"0{1,3}(?![0-7])|x0{1,2}(?![0-9A-Fa-f])", raw[at + 1 :]):
            break  # a NUL ends the text: bash keeps it as a C string
        character, at = _ansi_escape(raw, at + 1, span)
        out.append(character)
    return "".join(out)


def _ansi_escape(raw: str, at: int, span: Span) -> tuple[str, int]:
    if raw[at : at + 1] in _ANSI_C:
        return _ANSI_C[raw[at]], at + 1
    match = re.compile(r"x([0-9A-Fa-f]{1,2})|([0-7]{1,3})|u([0-9A-Fa-f]{1,4})").match(raw, at)
    if match:
        hexadecimal, octal, unicode = match.groups()
        code = int(octal, 8) if octal else int(hexadecimal or unicode, 16)
        if 0 < code < 0x80:
            return chr(code), match.end()
    elif raw[at : at + 1] not in ("", "c", "x", "u", "U", "0", "\n") and raw[at].isascii():
        return "\\" + raw[at], at + 1  # what is no escape stands as it is, with its backslash
    raise NotUnderstood("An escape in $'…' that is not an ASCII character", span)


def has_braces(raws: list[str | None]) -> bool:
    """Whether bash might expand braces in a word made of unquoted *raws* (None for any other part)."""
    text = "".join("\0" if raw is None else re.sub(r"\\.", "\0", raw) for raw in raws)
    start = text.find("{")
    return start >= 0 and "}" in text[start:] and ("," in text[start:] or ".." in text[start:])


def expand_braces(raw: str, span: Span) -> list[str]:
    """The words bash makes of the unquoted word *raw* (bash(1) Brace Expansion), in order."""
    if not _PLAIN_BRACES.fullmatch(raw):
        raise NotUnderstood("A brace expansion with quotes or variables in it", span)
    words = _braces(raw, span)
    if len(words) > MAX_BRACES:
        raise NotUnderstood(f"A brace expansion that makes more than {MAX_BRACES} words", span)
    return words


def _braces(raw: str, span: Span) -> list[str]:
    start = raw.find("{")
    if start < 0:
        if "}" in raw:
            raise NotUnderstood("An unbalanced brace", span)
        return [raw]
    end = _closing(raw, start, span)
    inner = raw[start + 1 : end]
    choices = (
        _choices(inner, span) if inner else ["{}"]
    )  # an empty pair stands for itself (bash(1) Brace Expansion)
    tails = _braces(raw[end + 1 :], span)
    if len(choices) * len(tails) > MAX_BRACES:
        raise NotUnderstood(f"A brace expansion that makes more than {MAX_BRACES} words", span)
    return [raw[:start] + choice + tail for choice in choices for tail in tails]


def _closing(raw: str, start: int, span: Span) -> int:
    depth = 0
    for at in range(start, len(raw)):
        depth += (raw[at] == "{") - (raw[at] == "}")
        if depth == 0:
            return at
    raise NotUnderstood("An unbalanced brace", span)


def _choices(inner: str, span: Span) -> list[str]:
    pieces, depth, current = [], 0, ""
    for character in inner:
        depth += (character == "{") - (character == "}")
        if character == "," and depth == 0:
            pieces.append(current)
            current = ""
        else:
            current += character
    pieces.append(current)
    if len(pieces) > 1:
        return [word for piece in pieces for word in _braces(piece, span)]
    return _range(inner, span)


def _range(inner: str, span: Span) -> list[str]:
    match = _RANGE.fullmatch(inner)
    if not match:
        raise NotUnderstood("A brace expansion of a form that is not described", span)
    low, high = match.groups()
    letters = low.isalpha()
    if letters != high.isalpha() or (letters and low.islower() != high.islower()):
        raise NotUnderstood("A brace expansion of a form that is not described", span)
    first, final = (ord(low), ord(high)) if letters else (int(low), int(high))
    if abs(first - final) >= MAX_BRACES:
        raise NotUnderstood(f"A brace expansion that makes more than {MAX_BRACES} words", span)
    numbers = range(first, final + 1) if first <= final else range(first, final - 1, -1)
    return [chr(number) if letters else str(number) for number in numbers]


__all__ = [
    "MAX_BRACES",
    "ansi_c",
    "double_quoted",
    "expand_braces",
    "has_braces",
    "here_document",
    "unquoted",
]
