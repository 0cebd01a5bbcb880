"""Words -> arguments: what each word is known to become when the shell expands it."""

from __future__ import annotations

import re

from msgspec.structs import replace

from keyturn.readers.shell.calls import Argument, Scene, pieces
from keyturn.readers.shell.emission import Emission
from keyturn.readers.shell.inheritance import POSITIONAL
from keyturn.readers.shell.syntax import Glob, Home, Part, Substitution, Text, Variable, Word
from keyturn.readers.shell.variables import is_secret_name, variable_effect

MAX_ALTERNATIVES = 24
"""Most combinations of known variables' values that one command is worked out for."""

PLAIN_NAME = Glob("*")
"""Stands for a name that a substitution is known to print: without a slash, and without a dash before it."""

_NUMBERS = frozenset({"$", "#", "?", "UID", "EUID", "PPID"})
"""Parameters that are a number and that nothing can assign to (bash(1) Special Parameters, Shell Variables)."""

_GENERIC = re.compile(
    r"(?:(?:FILES?|FILE_?NAMES?|DIR|DIRS|DIRECTORY|FOLDERS?|LOG|LOGS|LOGFILES?|LOGDIR|TEMPFILE|TMPFILE|INPUT|OUTPUT|"
    r"IN|OUT|SRC|SOURCE|DEST|DESTINATION|TARGET|LIST|LINES?|NAMES?|BASE|PATTERN|PREFIX|SUFFIX|NUM|NUMBER|COUNT|"
    r"BACKUP|ARCHIVE|IMAGES?|TEXT|PARAM|VAR|ARG|X|Y|I|F|D|N)(?:_(?=[A-Z])|(?![A-Z])|(?=FILE|DIR|NAME|LIST)))+[0-9]?"
)
"""Names made of words for files and folders alone: what scripts call their own variables, not what holds a credential's place."""

_ENDING = re.compile(r"[._-]?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9]+)*")
"""An ending without patterns in it, as file names have."""

_SAFE_VALUE = re.compile(r"[A-Za-z0-9_./@:+,%=-]+")


def is_safe_value(value: str) -> bool:
    """Whether an unquoted expansion to *value* is exactly one word: no blanks, no patterns, not empty."""
    return bool(_SAFE_VALUE.fullmatch(value))


def argument(word: Word, scene: Scene, bound: dict[str, str] | None = None) -> Argument:
    """*word* as the argument that a command started in *scene* gets; *bound* are variables' values."""
    values = bound or {}
    parts = [_resolved(part, scene, values) for part in word.parts]
    if all(isinstance(part, Text) for part in parts):
        return Argument("".join(part.value for part in parts if isinstance(part, Text)), word.span)
    shown = "".join(_shown(part) for part in parts)
    prefix = ""
    for part in parts:
        if isinstance(part, Home) and not prefix:
            prefix = "~"  # a home, or the word as it stands
        if not isinstance(part, Text):
            break
        prefix += part.value
    wild = all(
        isinstance(part, Text) or (isinstance(part, Glob) and not set("(/\\") & set(part.pattern))
        for part in parts
    )
    named = any(part is PLAIN_NAME for part in parts)
    many = wild or any(_splits(part) for part in parts)
    if wild:
        inherited = parts[0] is PLAIN_NAME
    else:
        inherited = not named and all(isinstance(part, Text) or _is_inherited(part, scene) for part in parts)
    unset = inherited and all(isinstance(part, Text) or _is_nobodys(part) for part in parts)
    return Argument(
        shown, word.span, known=False, prefix=prefix, wild=wild, many=many, inherited=inherited, unset=unset
    )


def _printed(part: Substitution, scene: Scene) -> Part:
    """A substitution as the text or the one name that it prints, where that is known."""
    lines = scene.printed.get(part) or ()
    if len(lines) != 1:
        return part
    if lines[0].known and (part.quoted or (is_safe_value(lines[0].text) and not scene.odd_splitting)):
        return Text(lines[0].text, part.quoted)
    return PLAIN_NAME if lines[0].wild and lines[0].inherited else part


def printed_instead(
    words: tuple[Word, ...], row: list[Argument], scene: Scene, named: bool
) -> list[list[Argument]]:
    """*row* once for each pattern that a word is known to fit, because of what a command prints or a loop goes through.

    If the first word names the command (*named*), it is left alone.
    """
    rows = [row]
    for index, word in enumerate(words):
        if (named and index == 0) or row[index].known or row[index].wild or scene.odd_splitting:
            continue
        fitting = _fitting(word, scene)
        if not fitting or len(rows) * len(fitting) > MAX_ALTERNATIVES:
            continue
        rows = [[*one[:index], piece, *one[index + 1 :]] for one in rows for piece in fitting]
    return rows


def _fitting(word: Word, scene: Scene) -> list[Argument]:
    """What *word* fits, if it has one part that isn't known, and of that it is known what it fits."""
    parts = [_resolved(part, scene, {}) for part in word.parts]
    dynamic = [part for part in parts if not isinstance(part, Text)]
    if len(dynamic) != 1:
        return []
    part = dynamic[0]
    if isinstance(part, Substitution) and part.opening == "$(":
        lines = scene.printed.get(part) or ()
    elif isinstance(part, Variable) and _is_simple(part):
        lines = scene.patterns.get(part.name, ())
    elif isinstance(part, Variable):
        lines = _shortened(part, scene.patterns.get(part.name, ()))
    else:
        return []
    at = parts.index(part)
    before, behind = (
        "".join(p.value for p in some if isinstance(p, Text)) for some in (parts[:at], parts[at + 1 :])
    )
    if (before or behind) and not all(line.known or line.wild for line in lines):
        return []
    split = not part.quoted
    found = [
        replace(
            line, text=before + line.text + behind, prefix=before + line.prefix, span=word.span, many=split
        )
        for line in lines
    ]
    if split and any(line.wild for line in lines):
        # A name with blanks becomes several words, the others relative to the working folder.
        found.append(pieces(word.span, many=True))
    return found


def _shortened(part: Variable, lines: tuple[Argument, ...]) -> tuple[Argument, ...]:
    """What `${f%.js}` fits where every name ends in `.js`; nothing where that isn't sure."""
    ending = "".join(p.value for p in part.word.parts if isinstance(p, Text)) if part.word is not None else ""
    whole = part.word is not None and all(isinstance(p, Text) for p in part.word.parts)
    if part.operator not in ("%", "%%") or part.index or not whole or not _ENDING.fullmatch(ending):
        return ()
    if not all((line.known or line.wild) and _ends_with(line.text, ending) for line in lines):
        return ()
    return tuple(replace(line, text=line.text[: -len(ending)]) for line in lines)


def _ends_with(pattern: str, ending: str) -> bool:
    """Whether every name that fits *pattern* ends in *ending*, and something stands before that in its last part."""
    before = pattern.removesuffix(ending)
    return before != pattern and not before.endswith("/") and bool(before) and not before.endswith("[")


def _is_nobodys(part: Part) -> bool:
    """A variable that no environment has: a lower-case or a generic name, or one of the script's arguments."""
    if not isinstance(part, Variable) or is_secret_name(part.name):
        return False
    if part.name in POSITIONAL or _GENERIC.fullmatch(part.name):
        return True
    return part.name.islower() and variable_effect(part.name, None, visible=True) is None


def _is_inherited(part: Part, scene: Scene) -> bool:
    if not isinstance(part, Variable) or part.operator or scene.own is None:
        return False
    return part.name not in scene.own and (part.name in POSITIONAL or part.name[:1].isalpha())


def variables_in(word: Word, scene: Scene) -> list[str]:
    """Names of plain variables in *word* whose possible values are known."""
    return [
        part.name
        for part in word.parts
        if isinstance(part, Variable) and _is_simple(part) and part.name in scene.variables
    ]


def _resolved(part: Part, scene: Scene, values: dict[str, str]) -> Part:
    if isinstance(part, Home) and not part.user and scene.around.home:
        return Text(scene.around.home)
    if isinstance(part, Substitution) and part.opening == "$(":
        return _printed(part, scene)
    if isinstance(part, Substitution):
        return Text("/dev/fd/63")  # bash(1) Process Substitution: the word is the name of a pipe
    if not isinstance(part, Variable) or not _is_simple(part):
        return part
    if part.name in _NUMBERS and not scene.odd_splitting:
        return PLAIN_NAME
    value = values.get(part.name)
    if value is None and part.name == "HOME":
        value = scene.around.home or None
    if value is None and part.name == "PWD" and len(scene.folders) == 1:
        value = next(iter(scene.folders))
    if value is None or not (part.quoted or (is_safe_value(value) and not scene.odd_splitting)):
        return part
    return Text(value, part.quoted)


def _is_simple(part: Variable) -> bool:
    """Whether the part is `${name}` and nothing else."""
    return not part.operator and not part.index


def _shown(part: Part) -> str:
    if isinstance(part, Text):
        return part.value
    return Emission().word(Word((part,)))


def _splits(part: Part) -> bool:
    """Whether the part may become no word or several: unquoted expansions, and `"$@"` even quoted."""
    if isinstance(part, Text | Home):
        return False
    if isinstance(part, Variable):
        return not part.quoted or part.name == "@" or part.index == "@"
    return not getattr(part, "quoted", False) and getattr(part, "opening", "$(") == "$("


__all__ = ["MAX_ALTERNATIVES", "argument", "is_safe_value", "variables_in"]
