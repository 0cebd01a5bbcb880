"""One simple command -> `Call`: which program it is, and what its words make it do."""

from __future__ import annotations

import re

from keyturn.readers.shell.calls import Argument, Call, Scene
from keyturn.readers.shell.ceiling import anything, may_run_by_option
from keyturn.readers.shell.effects import apply
from keyturn.readers.shell.grammar import Grammar, programs
from keyturn.readers.shell.special import SPECIALS
from keyturn.readers.shell.special.state import BUILTINS
from keyturn.readers.shell.syntax import Span

_SYSTEM_FOLDERS = re.compile(r"/(?:usr/)?s?bin/([A-Za-z0-9_.+\[-]+)")

HELD_BUILTINS = {
    "let": "evaluates arithmetic, which can run commands",
    "declare": "sets variables with attributes",
    "typeset": "sets variables with attributes",
    "local": "sets variables with attributes",
    "readonly": "sets variables with attributes",
    "export": "sets variables with attributes",
    "coproc": "runs a command beside the script",
    "logout": "ends the session",
    "suspend": "stops the shell",
}
"""Builtins and keywords that are only understood where the parser sees them, with the reason that people are told."""


def work_out(words: list[Argument], scene: Scene, span: Span) -> Call:
    """What the command *words* would do in *scene*."""
    first = words[0]
    if not first.known:
        call = Call(first.text, scene, span)
        call.refuse("The command's name is only known when it runs", first.span)
        return call
    name, arguments = first.text, words[1:]
    if "/" in name:
        match = _SYSTEM_FOLDERS.fullmatch(name)
        if not match:
            return _by_path(first, arguments, scene, span)
        name = match.group(1)
    call = Call(name, scene, span)
    grammar = programs(scene.around.programs).get(name)
    if name in HELD_BUILTINS:
        call.refuse(f"{name} {HELD_BUILTINS[name]}")
    elif name in BUILTINS and "/" not in first.text:
        BUILTINS[name](arguments, call)
    elif grammar is None:
        call.add("executes", name, "unknown")
        call.refuse(f"The program {name or '(empty name)'} is not described")
    elif grammar.by_name:
        _by_name(grammar, arguments, call)
    elif any(argument.ordinary for argument in arguments) and may_run_by_option(grammar):
        anything(call)  # `find | xargs sed`: a name in the tree may be `x -e1e`, whoever put it there
        _described(grammar, arguments, call)
    else:
        _described(grammar, arguments, call)
    if call.problems and not call.nested and all(effect.verb != "executes" for effect in call.effects):
        call.add("executes", name, "unknown")  # what is not understood may run anything
    return call


def _described(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    if grammar.special:
        SPECIALS[grammar.special](grammar, arguments, call)
    else:
        apply(grammar, arguments, call)


def _by_name(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """A program of which only the worst is known; words that look like paths are paths that it may read."""
    verbs = list(dict.fromkeys(effect.verb for effect in grammar.always))
    for effect in grammar.always:
        call.add(effect.verb, call.program if effect.verb == "executes" else effect.what, effect.zone)
    for argument in arguments:
        if "/" in argument.text and not argument.may_be_option:
            call.path("reads", argument)
    does = ", ".join(_DOES[verb] for verb in verbs)
    call.refuse(f"{call.program} can {does}; how it is told to is not described")


_DOES = {
    "executes": "run other programs",
    "reads": "read any file",
    "writes": "write any file",
    "deletes": "delete files",
    "connects": "speak to other machines",
    "sends": "send data",
    "configures": "change the system",
    "grants": "give rights away",
}


def _by_path(first: Argument, arguments: list[Argument], scene: Scene, span: Span) -> Call:
    """A program given by its path: code that lies there."""
    call = Call(first.text, scene, span)
    call.code(first, "shebang")
    if not arguments_are_plain(arguments):
        call.refuse("A program outside the system's folders with words that are only known when it runs")
    return call


def arguments_are_plain(arguments: list[Argument]) -> bool:
    """Whether all words are known (or patterns in known folders)."""
    return all(argument.known or argument.wild for argument in arguments)
