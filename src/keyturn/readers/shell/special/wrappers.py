"""Programs that run what they are given: env, xargs, sudo, and shells with a script as text."""

from __future__ import annotations

import re

from msgspec.structs import replace

from keyturn.actions import Effect
from keyturn.readers.shell.calls import Argument, Call, pieces
from keyturn.readers.shell.effects import always, enter
from keyturn.readers.shell.grammar import Grammar
from keyturn.readers.shell.invocation import Words, read_words
from keyturn.readers.shell.variables import variable_effect

_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_DIALECTS = {"bash": "bash", "sh": "posix", "dash": "posix"}
_SHELL_SETTINGS = frozenset(
    {"pipefail", "errexit", "nounset", "xtrace", "noglob", "noclobber", "verbose", "posix"}
)
_PLAIN_OPTIONS = frozenset({"nocasematch", "nullglob", "failglob", "checkwinsize", "cmdhist", "huponexit"})
"""Settings of `shopt` that don't change what words, patterns and names of a script mean."""


def held(words: Words, call: Call) -> None:
    """Refuse the options whose entries say `held`, and enter the folders of those that say `enters`."""
    for given in words.given:
        for clause in given.option.clauses:
            if clause.action == "held":
                call.refuse(f"The option {given.option.shown} {clause.rest or 'is not described'}")
            elif clause.action == "enters" and given.value:
                enter(given.value, call)
            elif clause.action == "reads" and given.value:
                call.path("reads", given.value)


def env(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """env(1): assignments, then a command; without one it prints the environment, secrets included."""
    words = read_words(grammar, arguments, call, stops=True)
    held(words, call)
    operands = list(words.operands)
    if operands and operands[0].known and operands[0].text == "-":
        operands.pop(0)  # env(1): the same as -i
    while operands and (match := _assignment(operands[0])):
        known = operands.pop(0).known
        effect = variable_effect(match.group(1), match.group(2) if known else None, visible=True)
        if effect:
            call.effects.append(effect)
    if operands:
        call.nest(operands)
    elif not any(given.option.shown in ("--help", "--version") for given in words.given):
        call.effects.append(Effect("reads", "environment variables", "system", ("secret",)))


_AROUND = re.compile(r"[A-Za-z0-9_./@%+:,-]*")
"""What may stand around a name so that all of it is one path."""


def _assignment(word: Argument) -> re.Match[str] | None:
    """Whether *word* is surely `NAME=value`, and what is known of it."""
    text = word.text if word.known or word.wild else word.prefix
    return None if word.many and not word.wild else _ASSIGNMENT.fullmatch(text)


def xargs(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """xargs(1): a command with words from standard input, which could be anything."""
    words = read_words(grammar, arguments, call, stops=True)
    held(words, call)
    marker = _marker(words, call)
    operands = words.operands or [Argument("echo", call.span)]
    from_file = any("-a" in given.option.names for given in words.given)
    lines = None if from_file else call.scene.lines
    together = any("-J" in given.option.names for given in words.given)
    if marker is None and lines is not None:
        whole = any({"-0", "-d"} & set(given.option.names) for given in words.given)
        for line in (*lines, *(() if whole else (pieces(call.span),))):
            call.nest([*operands, replace(line, span=call.span)])
    elif marker is None:
        call.nest([*operands, Argument("…", call.span, known=False, many=True)])
    elif not marker.known or not marker.text:
        call.refuse("xargs with a marker that is only known when it runs", marker.span)
    else:
        patterns: tuple[Argument | None, ...] = (None,) if lines is None else lines
        if together:  # xargs(1) of BSD: one word becomes all lines
            patterns = (Argument("…", call.span, known=False, many=True),)
        for pattern in patterns:
            call.nest([operands[0], *(filled(operand, marker.text, pattern) for operand in operands[1:])])
        if operands[0].known and marker.text in operands[0].text:
            call.refuse("A command's name that comes from standard input", operands[0].span)


def _marker(words: Words, call: Call) -> Argument | None:
    """What stands for a line of input: `-I R`, or `{}` for `-i` and `--replace` without a value."""
    for given in words.given:
        if {"-I", "-i", "-J"} & set(given.option.names):
            return given.value or Argument("{}", call.span)
    return None


def watch(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """watch(1): its words, joined by blanks, are text for `sh -c`; with -x they are a command."""
    words = read_words(grammar, arguments, call, stops=True)
    shown = [given.option.shown for given in words.given]
    if not words.operands:
        return  # it tells how it is used
    if "--exec" in shown:
        call.nest(words.operands)
    else:
        text = " ".join(operand.text for operand in words.operands)
        first = words.operands[0]
        known = all(operand.known for operand in words.operands)
        begins = first.text if first.known else first.prefix
        script_text(Argument(text, call.span, known=known, prefix=begins), "posix", call)


def any_words(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """A program whose words are not told apart: it does all that its entry says, whatever they are."""
    call.options += [a.text for a in arguments if a.known and a.text.startswith("-")]
    for effect in grammar.always:
        always(effect, Words(operands=arguments), call)


def filled(operand: Argument, marker: str, line: Argument | None = None) -> Argument:
    """*operand* with *marker* standing for *line*, or for a word that is only known when it runs."""
    text = operand.text if operand.known else operand.prefix
    if marker not in operand.text:
        return operand
    if line is not None and operand.known and operand.text == marker:
        return replace(line, span=operand.span)
    if line is not None and operand.known and (line.known or line.wild):
        named = inserted(operand, marker, line)
        if named is not None:
            return named
    return replace(operand, known=False, wild=False, prefix=text.split(marker, 1)[0])


def inserted(operand: Argument, marker: str, name: Argument) -> Argument | None:
    """*operand* with the pattern *name* in place of *marker*, as `{}.bak` and `/backup/{}` have it; None if it is no plain path."""
    before, _, after = operand.text.partition(marker)
    if not (_AROUND.fullmatch(before) and _AROUND.fullmatch(after)):
        return None
    prefix = before or (name.text if name.known else name.prefix)
    return Argument(before + name.text + after, operand.span, known=False, prefix=prefix, wild=True)


def sudo(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """sudo(8): the command runs with another user's rights."""
    words = read_words(grammar, arguments, call, stops=True)
    held(words, call)
    user = next((g.value.text for g in words.given if "-u" in g.option.names and g.value), "root")
    call.add("grants", f"the rights of {user}", "system")
    if words.operands and words.operands[0].known and _ASSIGNMENT.fullmatch(words.operands[0].text):
        call.refuse("sudo with variables for the command", words.operands[0].span)
    elif words.operands:
        call.nest(words.operands)


def shell(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """sh(1), bash(1): `-c script` is read like the outer script; a script's file is code."""
    words = read_words(grammar, arguments, call, stops=True)
    held(words, call)
    for given in words.given:
        if "-o" in given.option.names and (given.value is None or given.value.text not in _SHELL_SETTINGS):
            call.refuse("A setting of the shell that is not described")
        if "-O" in given.option.names and not (given.value and given.value.text in _PLAIN_OPTIONS):
            call.refuse("A setting of the shell that is not described")
    if any(given.option.shown == "--version" for given in words.given):
        return
    if any("-c" in given.option.names for given in words.given):
        _text(words, call)
    elif (
        not words.operands
        or words.operands[0].text == "-"
        or any("-s" in g.option.names for g in words.given)
    ):
        if call.scene.given is None:
            call.refuse("A shell whose script comes from standard input")
        else:
            call.typed = True
            text, span = call.scene.given
            call.scripts.append((text, _DIALECTS[call.program], span))
    else:
        call.code(words.operands[0], _DIALECTS.get(call.program, "other"))


def _text(words: Words, call: Call) -> None:
    if not words.operands:
        call.refuse("A shell with -c and no script")
        return
    script_text(words.operands[0], _DIALECTS[call.program], call)


def script_text(script: Argument, dialect: str, call: Call) -> None:
    """Read *script* like the outer one. What is put into its text when it runs is code of anybody's.

    A text that begins with something known is read with its variables and markers standing for themselves, and counts as
    running anything beside it; one that doesn't even name its first command is not understood.
    """
    if not script.known:
        if not script.prefix.strip():
            call.refuse("A script whose text is only known when it runs", script.span)
            return
        call.add("executes", "what is put into the text of a script", "unknown")
    call.scripts.append((script.text, dialect, script.span))
