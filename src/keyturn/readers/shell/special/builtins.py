"""Builtins and small programs whose words options can't describe: cd, set, source, printf, date, chmod, kill, ps."""

from __future__ import annotations

import re

from keyturn.actions import Effect
from keyturn.readers.paths import unknown_path
from keyturn.readers.shell.calls import Argument, Call
from keyturn.readers.shell.ceiling import anything, widest
from keyturn.readers.shell.effects import apply, entered
from keyturn.readers.shell.grammar import Grammar
from keyturn.readers.shell.invocation import read_words
from keyturn.readers.shell.wordlist import words

_SETTINGS = re.compile(r"[-+][abeEfhmntTuvxC]*(?:o)?|-B")
_NAMED = words(
    "allexport errexit errtrace functrace hashall ignoreeof interactive-comments monitor noclobber noexec noglob nolog "
    "notify nounset onecmd pipefail verbose xtrace emacs vi"
)
_MODE = re.compile(r"[0-7]{3,4}|[ugoa]*[-+=][rwxXst]*(?:,[ugoa]*[-+=][rwxXst]*)*")
_SPECIAL_BITS = re.compile(r"0*[2-7][0-7]{3}|.*[+=][rwxXt]*s.*")
_PLUS = r"(?:[ugoa]*\+[rwxX]+|[go]+[-=][rwxX]*|u=r[wxX]*)"
_KEEPS_OWNER = re.compile(rf"0?[4-7][0-7]{{2}}|{_PLUS}(?:,{_PLUS})*")
"""Modes under which the owner can still read: nothing that programs obey is taken away by them."""
_OPEN = r"(?:[ugoa]*\+[rwxX]+|[go]+[-=][rwxX]*|u=[rwX]*x[rwX]*|[ua]*-w)"
_KEEPS_OPEN = re.compile(rf"0?[1357][0-7]{{2}}|{_OPEN}(?:,{_OPEN})*")
"""Modes under which the owner can still enter a folder: what lies in it is there for its programs."""
_ECHO = re.compile(r"-[neE]+")
_SIGNAL = re.compile(r"-(?:[0-9]{1,2}|(?:SIG)?[A-Z][A-Z0-9]{1,9})")


def cd(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """cd: the folder for what follows. Without an operand it is the home. Whatever its words are, it only moves."""
    if any(not a.known and (a.many or a.may_be_option) for a in arguments):
        call.moves = frozenset({None})
        return
    words = read_words(grammar, arguments, call)
    if len(words.operands) > 1 or any(o.many and not o.known for o in words.operands):
        # bash(1): more than one is an error; a word that becomes several may also become one.
        call.moves = frozenset({None})
        return
    home = call.scene.around.home
    target = words.operands[0] if words.operands else Argument(home, call.span, known=bool(home))
    if any(given.option.shown == "-P" for given in words.given):
        call.moves = frozenset({None})  # the physical folder may differ from what the names say
    else:
        call.moves = entered(target, call.scene)


def set_options(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """set: settings that don't change how the rest is read (any, if there is no rest), and positional parameters."""
    del grammar
    if not arguments:
        call.effects.append(Effect("reads", "variables", "system", ("secret",)))
    expects_name = False
    for argument in arguments:
        if argument.known and argument.text in ("--", "-") and not expects_name:
            return
        if not argument.may_be_option and not (argument.known and argument.text.startswith("+")):
            if not expects_name:
                if not argument.known and argument.prefix[:1] == "+":
                    call.refuse("set with words that are only known when it runs", argument.span)
                return
            if argument.known and call.scene.alone and argument.text not in _NAMED:
                call.setting(argument.text)
            elif not (argument.known and argument.text in _NAMED):
                call.refuse("A setting of the shell that changes how the script is read", argument.span)
                return
            expects_name = False
        elif (
            argument.known and not argument.many and (call.scene.alone or _SETTINGS.fullmatch(argument.text))
        ):
            expects_name = argument.text.endswith("o")
            if not _SETTINGS.fullmatch(argument.text):
                call.setting("settings")
        elif call.scene.ends_here and not argument.known:
            call.setting("settings")
            call.effects.append(Effect("reads", "variables", "system", ("secret",)))  # if it becomes no word
            return
        else:
            call.refuse("set with words that are not described", argument.span)
            return


def source(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """`source file`: code that runs inside the shell and may change what every later name means."""
    del grammar
    if not arguments or not arguments[0].known or arguments[0].text.startswith("-"):
        call.refuse("A file to source that is only known when it runs")
        return
    if "/" not in arguments[0].text:
        call.add("executes", f"{arguments[0].text} along PATH", "unknown")  # there first, then here (bash(1))
    call.code(arguments[0], "bash")
    call.add("configures", "the shell that runs what follows", "code")


def echo(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """echo(1): only prints; a word that begins with a dash and isn't made of n, e and E is text."""
    del grammar
    for argument in arguments:
        if not (argument.known and _ECHO.fullmatch(argument.text)):
            return
        call.options += [f"-{letter}" for letter in argument.text[1:]]


def printf(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """printf(1): only prints, unless the first word is `-v`, which evaluates a subscript."""
    del grammar
    if not arguments:
        return
    first = arguments[0]
    if first.known and first.text == "--":
        return
    if first.known and first.may_be_option:
        if first.text.startswith("-v"):
            call.refuse("printf with an option", first.span)
        # Any other is an error of the builtin's, and text for printf(1).
    elif first.may_be_option:
        anything(call)


def date(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """date(1): an operand without `+` sets the clock."""
    words = apply(grammar, arguments, call)
    if any("-j" in given.option.names for given in words.given):
        return  # BSD's date only works it out; GNU's has no such option
    for operand in words.operands:
        if not (operand.text.startswith("+") and (operand.known or operand.prefix.startswith("+"))):
            call.add("configures", "the clock", "system")


def chmod(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """chmod(1): a mode, which may begin with a dash, then files."""
    mode_at = next((i for i, a in enumerate(arguments) if a.known and _MODE.fullmatch(a.text)), None)
    words = read_words(grammar, [a for i, a in enumerate(arguments) if i != mode_at], call)
    if mode_at is None or any(a.may_bring_options for a in arguments):
        widest(grammar, call)
        call.effects += unknown_path("writes", "…")
        return
    if _SPECIAL_BITS.fullmatch(arguments[mode_at].text):
        call.add("grants", f"mode {arguments[mode_at].text}", "system")
    keeps = _KEEPS_OWNER.fullmatch(arguments[mode_at].text) is not None
    shuts = not _KEEPS_OPEN.fullmatch(arguments[mode_at].text)
    for operand in words.operands:
        before = len(call.effects)
        call.path("writes", operand)
        if operand.wild and keeps:
            # What programs obey stays what it is, and readable: only what is in it would change what they do.
            call.effects[before:] = [
                effect for effect in call.effects[before:] if effect.verb != "configures"
            ]
        if shuts and not (operand.files or operand.ordinary):
            _shut(operand, call)


def _shut(folder: Argument, call: Call) -> None:
    """Nothing can be read in a folder that its owner can't enter, Keyturn's own files and a client's settings included."""
    if any(call.above(folder, own) for own in call.scene.around.protected):
        call.add("configures", folder.text, "keyturn" if folder.known else "unknown")


def pager(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """less(1), more(1): commands can be typed into them.

    At the end of a pipe in a shell of its own nobody types but a person: the agent has no keyboard there.
    """
    words = apply(grammar, arguments, call)
    typed = words.operands or not (call.scene.piped and call.scene.around.fresh)
    if typed or any(not argument.known for argument in arguments):
        call.runs("commands typed into the pager")


def ps(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """ps(1): the column `environ` prints the variables of processes, secrets included."""
    words = apply(grammar, arguments, call)
    columns = [given.value for given in words.given if given.value and {"-o", "-O"} & set(given.option.names)]
    if any(not column.known or "env" in column.text for column in columns):
        call.add("reads", "variables of processes", "system", ("secret",))


def kill(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """kill(1): an optional signal, then processes."""
    if len(arguments) > 1 and arguments[0].known and arguments[0].text in ("-0", "-s0"):
        return  # signal 0 only asks whether the process is there (kill(2))
    if arguments and arguments[0].known and _SIGNAL.fullmatch(arguments[0].text):
        call.options.append(arguments[0].text)
        arguments = arguments[1:]
    apply(grammar, arguments, call)
