"""Which variables have which known values at a point of a script.

What a sequence may change is a mapping: name -> whether all it may become is a number. The name `*` stands for every
variable (code that is evaluated, or declarations by names that aren't known).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from msgspec import Struct, structs
from msgspec.structs import replace

from keyturn.readers.shell.arguments import argument
from keyturn.readers.shell.arithmetic import prints_a_number
from keyturn.readers.shell.calls import Scene
from keyturn.readers.shell.names import takes_input
from keyturn.readers.shell.syntax import (
    Arithmetic,
    Assignment,
    Beside,
    For,
    Function,
    Redirection,
    Sequence,
    Simple,
    Statement,
    Substitution,
    Text,
    Variable,
    Word,
)
from keyturn.readers.shell.variables import value_of
from keyturn.readers.shell.wordlist import words

Changes = Mapping[str, bool]

_SETTERS = words("read mapfile readarray getopts printf unset wait")
_EVALUATORS = words("eval source . command builtin trap exec")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INTEGER = re.compile(r"-?[0-9]{1,18}")


def after(statement: Statement, scene: Scene) -> Scene:
    """*scene* with the variables that *statement* surely set, if it is a plain assignment."""
    command = statement.command
    changes = assigned(Sequence((statement,)))
    if not changes:
        return scene
    scene = without(scene, changes)
    if isinstance(command, Simple) and command.words and scene.lines is not None:
        return _having_read(statement, command, scene)
    if not isinstance(command, Simple) or command.words or statement.background or _is_attributed(command):
        return scene
    variables, numbers = dict(scene.variables), set(scene.numbers)
    for assignment in command.assignments:
        name = assignment.name
        value = _known(assignment, scene, variables)
        plain = assignment.items is None and assignment.index is None and not assignment.append
        if "*" in scene.volatile or (name in scene.volatile and not scene.volatile[name]) or not plain:
            continue
        if value is not None and name not in scene.volatile:
            variables[name] = (value,)
        if is_numeric(assignment):
            numbers.add(name)
    return replace(scene, variables=variables, numbers=frozenset(numbers))


def _having_read(statement: Statement, command: Simple, scene: Scene) -> Scene:
    """*scene* after `read name` took a line of which it is known what it fits."""
    texts = [_static(word) for word in command.words]
    plain = texts[0] == "read" and all(text in ("-r", "-d", "") for text in texts[1:-1])
    name = texts[-1]
    if not plain or name is None or not _NAME.fullmatch(name) or len(texts) < 2 or statement.background:
        return scene
    if takes_input(statement.redirections) or {name, "*"} & set(scene.volatile) or scene.lines is None:
        return scene
    return replace(scene, patterns={**scene.patterns, name: scene.lines})


def _known(assignment: Assignment, scene: Scene, variables: Mapping[str, tuple[str, ...]]) -> str | None:
    """The one value that *assignment* gives, if it is known."""
    if assignment.value is None:
        return None
    bound = {name: values[0] for name, values in variables.items() if len(values) == 1}
    value = argument(assignment.value, scene, bound)
    return value.text if value.known else None


def _is_attributed(command: Simple) -> bool:
    """Whether a declaration changes the values that it is given (`declare -u`), or sets none."""
    return any(letter in flag for flag in command.flags for letter in "aultnpfF+")


def is_numeric(assignment: Assignment) -> bool:
    """Whether all that *assignment* can give is a number."""
    if assignment.items is not None or assignment.index is not None or assignment.value is None:
        return False
    parts = assignment.value.parts
    if len(parts) == 1 and isinstance(parts[0], Arithmetic):
        return not assignment.append
    if len(parts) == 1 and isinstance(parts[0], Substitution) and parts[0].opening == "$(":
        return not assignment.append and prints_a_number(parts[0].script)
    value = value_of(assignment)
    return value is not None and bool(_INTEGER.fullmatch(value)) and not assignment.append


def without(scene: Scene, changes: Changes) -> Scene:
    """*scene* in which nothing is known of the variables in *changes*, but that numbers stay numbers."""
    if not changes:
        return scene
    if "*" in changes:
        return replace(scene, variables={}, patterns={}, numbers=frozenset())
    return replace(
        scene,
        variables={k: v for k, v in scene.variables.items() if k not in changes},
        patterns={k: v for k, v in scene.patterns.items() if k not in changes},
        numbers=frozenset(name for name in scene.numbers if changes.get(name, True)),
    )


def combined(*several: Changes) -> dict[str, bool]:
    """What may change if any of *several* may."""
    whole: dict[str, bool] = {}
    for changes in several:
        for name, numeric in changes.items():
            whole[name] = numeric and whole.get(name, True)
    return whole


def assigned(sequence: Sequence) -> dict[str, bool]:
    """What *sequence* may change in the shell that runs it."""
    changes: dict[str, bool] = {}
    for name, numeric in _changes(sequence):
        changes[name] = numeric and changes.get(name, True)
    return changes


def functions(sequence: Sequence) -> dict[str, tuple[Function, ...]]:
    """Every function that is defined anywhere in *sequence*, by name."""
    found: dict[str, tuple[Function, ...]] = {}
    for item in _inside(sequence, subshells=True):
        if isinstance(item, Function):
            found[item.name] = (*found.get(item.name, ()), item)
    return found


def _changes(sequence: Sequence) -> Iterator[tuple[str, bool]]:
    for item in _inside(sequence, subshells=False):
        if isinstance(item, Assignment):
            yield item.name, is_numeric(item)
        elif isinstance(item, For):
            yield item.name, False
        elif isinstance(item, Beside):
            yield item.name, False
            yield item.name + "_PID", False
        elif isinstance(item, Arithmetic):
            yield from ((name, True) for name in item.sets)
        elif isinstance(item, Variable) and item.operator in (":=", "="):
            yield item.name, False
        elif isinstance(item, Simple) and item.words:
            yield from _set_by_words(item.words)


def _set_by_words(words: tuple[Word, ...]) -> Iterator[tuple[str, bool]]:
    texts = [_static(word) for word in words]
    name = texts[0]
    if name is None or name in _EVALUATORS:
        yield "*", False
    elif name in _SETTERS:
        yield from ((text, False) for text in texts[1:] if text is not None)
        yield from ((name, False) for name in ("REPLY", "MAPFILE", "OPTARG", "OPTIND"))
        if any(text is None for text in texts[1:]) and name != "printf":
            yield "*", False


def _static(word: Word) -> str | None:
    if all(isinstance(part, Text) for part in word.parts):
        return "".join(part.value for part in word.parts if isinstance(part, Text))
    return None


@cache
def _holding(kind: type[Struct]) -> tuple[str, ...]:
    """Fields of *kind* that may hold further structs: all but plain texts and yes-or-no, which most fields are."""
    return tuple(field.name for field in structs.fields(kind) if field.type not in (str, bool, int))


def _inside(sequence: Sequence, subshells: bool) -> Iterator[Struct]:
    """Every struct in the tree; not what only runs in a subshell, unless *subshells*; a function's body either way."""
    waiting: list[object] = [sequence]
    while waiting:
        item = waiting.pop()
        if isinstance(item, tuple):
            waiting += item
        elif isinstance(item, Struct):
            yield item
            kind = type(item)
            if not subshells and (kind is Substitution or kind is Beside):
                continue
            for field in _holding(kind):
                value = getattr(item, field)
                if value:
                    waiting.append(value)


def redirected(sequence: Sequence) -> Iterable[str]:
    """Names of variables that get a descriptor's number (`{name}>file`)."""
    return [
        item.fd[1:-1]
        for item in _inside(sequence, subshells=True)
        if isinstance(item, Redirection) and item.fd.startswith("{")
    ]


__all__ = ["Changes", "after", "assigned", "combined", "functions", "is_numeric", "redirected", "without"]
