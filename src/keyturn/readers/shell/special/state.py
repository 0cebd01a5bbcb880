"""Builtins that change or show the state of the shell: variables, settings, names, history, jobs (bash(1)).

None of them starts a program, except where it is refused. What they set is followed in `scope`; a name with a
subscript is refused, because the subscript is evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from keyturn.readers.paths import unknown_path
from keyturn.readers.shell.calls import Argument, Call
from keyturn.readers.shell.ceiling import anything
from keyturn.readers.shell.effects import entered
from keyturn.readers.shell.grammar import programs
from keyturn.readers.shell.variables import variable_effect, variable_problem
from keyturn.readers.shell.wordlist import words

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ALIAS = re.compile(r"([A-Za-z_][A-Za-z0-9_.+-]*)=(.*)", re.DOTALL)
_ELEMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\[[0-9]+\]")
"""One element of an array: its subscript is a number, so nothing is evaluated. A file it could also name stands for no other."""
_MASK = re.compile(r"[0-7]{0,2}[2367]")
_PLAIN_SETTINGS = words(
    "autocd cdspell checkhash checkjobs checkwinsize cmdhist complete_fullquote direxpand dirspell execfail extquote "
    "failglob force_fignore gnu_errfmt histappend histreedit histverify hostcomplete huponexit inherit_errexit "
    "interactive_comments lithist mailwarn no_empty_cmd_completion nullglob progcomp progcomp_alias "
    "promptvars restricted_shell shift_verbose"
)
"""Settings of `shopt` that don't change what words, patterns and names of a script mean."""

Found = tuple[list[tuple[str, Argument | None]], list[Argument]]


def _sorted(arguments: list[Argument], flags: str, valued: str, call: Call) -> Found | None:
    """Options and operands as bash's internal getopt sorts them; None where that is not known, or with a refusal.

    Words that are only known when it runs may ask for anything: a name's subscript is evaluated, a variable may be PATH.
    """
    given: list[tuple[str, Argument | None]] = []
    at = 0
    if any(argument.many for argument in arguments):
        anything(call)
        return None
    while at < len(arguments):
        argument = arguments[at]
        if not argument.may_be_option:
            break
        if not argument.known and not (len(argument.prefix) > 1 and argument.prefix[1] in valued):
            call.refuse("A word that is only known when it runs could be an option", argument.span)
            return None
        at += 1
        text = argument.text
        if text == "--":
            break
        for index in range(1, len(text)):
            letter = text[index]
            if letter in valued:
                if index + 1 < len(text):
                    given.append((letter, argument.without(text[: index + 1])))
                elif at < len(arguments):
                    given.append((letter, arguments[at]))
                    at += 1
                else:
                    call.refuse(f"The option -{letter} lacks its value", argument.span)
                    return None
                break
            if letter not in flags:
                call.refuse(f"{call.program} has no option -{letter} that is described", argument.span)
                return None
            given.append((letter, None))
    call.options += [f"-{letter}" for letter, _ in given]
    return given, arguments[at:]


def sets(argument: Argument, call: Call) -> None:
    """Note that the variable named by *argument* gets a value that is not known."""
    if not argument.known or not _NAME.fullmatch(argument.text):
        call.refuse("A variable whose name is evaluated or only known when it runs", argument.span)
        return
    problem = variable_problem(argument.text)
    if problem:
        call.refuse(problem, argument.span)
    effect = variable_effect(argument.text, None, visible=False)
    if effect:
        call.effects.append(effect)


def read(arguments: list[Argument], call: Call) -> None:
    """read: variables from a line of input."""
    found = _sorted(arguments, "rseE", "adinNptu", call)
    if found:
        for name in [v for letter, v in found[0] if letter == "a" and v] + found[1]:
            sets(name, call)


def mapfile(arguments: list[Argument], call: Call) -> None:
    """mapfile, readarray: an array from input. `-C` evaluates code."""
    found = _sorted(arguments, "t", "dnOsu", call)
    if found:
        for name in found[1][:1]:
            sets(name, call)


def getopts(arguments: list[Argument], call: Call) -> None:
    """getopts: the next option, into a variable."""
    if len(arguments) < 2 or arguments[0].many:
        call.refuse("getopts without its options and a name")
    else:
        sets(arguments[1], call)


def unset(arguments: list[Argument], call: Call) -> None:
    """unset: variables by their plain names, or functions."""
    arguments = [Argument(a.text, a.span) if a.wild and _ELEMENT.fullmatch(a.text) else a for a in arguments]
    found = _sorted(arguments, "vf", "", call)
    if found and any(letter == "f" for letter, _ in found[0]):
        if not all(name.known for name in found[1]):
            call.refuse("A function whose name is only known when it runs")
        return
    for name in found[1] if found else []:
        if name.known and _ELEMENT.fullmatch(name.text):
            name = Argument(name.text.partition("[")[0], name.span)
        if name.known and name.text == "IFS":
            continue
        sets(name, call)


def alias(arguments: list[Argument], call: Call) -> None:
    """alias: scripts don't expand aliases (bash(1) ALIASES), but POSIX shells do, so their names are kept apart."""
    if call.scene.ends_here:
        return  # nothing comes after that an alias could mean something for
    found = _sorted(arguments, "p", "", call)
    for argument in found[1] if found else []:
        if not argument.known:
            call.refuse("An alias that is only known when it runs", argument.span)
        elif "=" in argument.text:
            match = _ALIAS.fullmatch(argument.text)
            if not match or match.group(2)[-1:] in (" ", "\t"):
                call.refuse("An alias that may change what other words mean", argument.span)
            elif match.group(1) in programs(call.scene.around.programs):
                call.add("configures", f"what {match.group(1)} means", "code")


def shift(arguments: list[Argument], call: Call) -> None:
    """shift: positional parameters move; none of them is followed anyway."""
    if any(argument.known and argument.may_be_option for argument in arguments):
        call.refuse("shift with an option")


def unalias(arguments: list[Argument], call: Call) -> None:
    """unalias: names that aliases have no more."""
    _sorted(arguments, "a", "", call)


def history(arguments: list[Argument], call: Call) -> None:
    """history: a script's own is empty; the file that keeps the user's is read or written by `-r -n -w -a`."""
    if any(a.many or (not a.known and a.may_be_option) for a in arguments):
        call.effects += [*unknown_path("reads", "…"), *unknown_path("writes", "…")]
        return
    found = _sorted(arguments, "carnwps", "d", call)
    if not found:
        return
    letters = {letter for letter, _ in found[0]}
    home = call.scene.around.home
    default = Argument(f"{home}/.bash_history", call.span, known=bool(home))
    file = found[1][0] if found[1] else default
    if letters & {"r", "n"}:
        call.path("reads", file)
    if letters & {"a", "w"}:
        call.path("writes", file)


def fc(arguments: list[Argument], call: Call) -> None:
    """fc: only its listing; else it runs an editor, then commands from the history."""
    found = _sorted(arguments, "lnr", "", call)
    if found and "l" not in {letter for letter, _ in found[0]}:
        call.refuse("fc runs commands from the history")


def jobs(arguments: list[Argument], call: Call) -> None:
    """jobs: what runs in the background. `-x` runs a command."""
    _sorted(arguments, "lnprs", "", call)


def resume(arguments: list[Argument], call: Call) -> None:
    """fg, bg, disown: jobs of this shell. Words that are only known when it runs name jobs, or are none."""
    if any(argument.many or not argument.known for argument in arguments):
        return
    _sorted(arguments, "ahr" if call.program == "disown" else "", "", call)


def umask(arguments: list[Argument], call: Call) -> None:
    """umask: a mask that leaves others the right to write is a grant."""
    found = _sorted(arguments, "Sp", "", call)
    for mask in found[1] if found else []:
        if not (mask.known and _MASK.fullmatch(mask.text)):
            call.add("grants", f"umask {mask.text}", "system")


def ulimit(arguments: list[Argument], call: Call) -> None:
    """ulimit: limits of this shell and what it starts."""
    if any(argument.many or not argument.known for argument in arguments):
        call.refuse("ulimit with words that are only known when it runs")


def pushd(arguments: list[Argument], call: Call) -> None:
    """pushd: like cd, for a folder; without one, or with a number, to a folder that is not followed."""
    if len(arguments) == 1 and arguments[0].known and not re.match(r"[-+]", arguments[0].text):
        call.moves = entered(arguments[0], call.scene)
    else:
        call.moves = frozenset({None})


def popd(arguments: list[Argument], call: Call) -> None:
    """popd: back to a folder that is not followed."""
    del arguments
    call.moves = frozenset({None})


def dirs(arguments: list[Argument], call: Call) -> None:
    """dirs, caller, times: only show, whatever their words are."""


def hash_names(arguments: list[Argument], call: Call) -> None:
    """hash: remembered places of programs. `-p` makes a name mean any file."""
    _sorted(arguments, "rltd", "", call)


def enable(arguments: list[Argument], call: Call) -> None:
    """enable: only its listings; else names change their meaning."""
    found = _sorted(arguments, "aps", "", call)
    if found and found[1]:
        call.refuse("enable changes what names mean")


def builtin(arguments: list[Argument], call: Call) -> None:
    """builtin: a builtin even where a function has its name."""
    if arguments and (not arguments[0].known or arguments[0].text.startswith("-")):
        call.refuse("The command's name is only known when it runs", arguments[0].span)
    else:
        call.nest(arguments)


def shopt(arguments: list[Argument], call: Call) -> None:
    """shopt: settings that don't change how the rest is read; any, if there is no rest."""
    found = _sorted(arguments, "supqo", "", call)
    if not found or not {"s", "u"} & {letter for letter, _ in found[0]}:
        return
    for name in found[1]:
        if name.known and name.text in _PLAIN_SETTINGS:
            continue
        call.setting(name.text)
        if not name.known or not call.scene.alone:
            call.refuse(f"The setting {name.text} changes how the script is read", name.span)


def bind(arguments: list[Argument], call: Call) -> None:
    """bind: keys of an interactive shell; a script has none, unless it goes on to read with them."""
    found = _sorted(arguments, "lpPsSvVX", "mqurf", call)
    for letter, value in found[0] if found else []:
        if letter == "f" and value:
            call.path("reads", value)
    if found and found[1] and not call.scene.alone:
        call.refuse("bind changes how input is read")


def compgen(arguments: list[Argument], call: Call) -> None:
    """compgen: words that complete another. `-C`, `-F` and `-W` evaluate code."""
    found = _sorted(arguments, "abcdefgjksuv", "APSX", call)
    if found and {"d", "f", "A"} & {letter for letter, _ in found[0]}:
        call.path("reads", found[1][0] if found[1] else Argument(".", call.span))


def complete(arguments: list[Argument], call: Call) -> None:
    """complete, compopt: what an interactive shell would offer; a script never does."""
    if any(argument.many or not argument.known for argument in arguments):
        call.refuse("complete with words that are only known when it runs")
    if any(argument.text.startswith(("-C", "-F", "-W")) for argument in arguments):
        call.add("configures", "what completion runs", "code")


def evaluate(arguments: list[Argument], call: Call) -> None:
    """eval: its words, joined by blanks, are read like the script around it."""
    for argument in arguments:
        if not argument.known:
            call.refuse("Text that is evaluated and only known when it runs", argument.span)
            return
    if arguments:
        place = arguments[0].span if len(arguments) == 1 else call.span
        call.scripts.append((" ".join(a.text for a in arguments), "bash", place))


def execute(arguments: list[Argument], call: Call) -> None:
    """exec: a command in place of the shell; without one, redirections for all that follows."""
    found = _sorted_until_command(arguments, call)
    if found:
        call.nest(found)


def _sorted_until_command(arguments: list[Argument], call: Call) -> list[Argument]:
    at = 0
    while at < len(arguments) and arguments[at].known and arguments[at].text in ("-c", "-l", "--"):
        at += 1
    if at < len(arguments) and arguments[at].may_be_option:
        call.refuse("exec with an option that is not described", arguments[at].span)
    return arguments[at:]


def trap(arguments: list[Argument], call: Call) -> None:
    """trap: text that is evaluated later, whenever that is."""
    words = [a for a in arguments if not (a.known and a.text == "--")]
    if any(not a.known for a in words):
        call.refuse("Code that runs later and is only known then")
    elif len(words) > 1 and words[0].text not in ("-", "", "-l", "-p"):
        call.scripts.append((words[0].text, "bash", words[0].span))
    elif words and words[0].text.startswith("-") and words[0].text not in ("-", "-l", "-p"):
        call.refuse("trap with an option that is not described")


BUILTINS: dict[str, Callable[[list[Argument], Call], None]] = {
    "alias": alias,
    "bg": resume,
    "bind": bind,
    "builtin": builtin,
    "caller": dirs,
    "compgen": compgen,
    "complete": complete,
    "compopt": complete,
    "dirs": dirs,
    "disown": resume,
    "enable": enable,
    "eval": evaluate,
    "exec": execute,
    "fc": fc,
    "fg": resume,
    "getopts": getopts,
    "hash": hash_names,
    "history": history,
    "jobs": jobs,
    "mapfile": mapfile,
    "popd": popd,
    "pushd": pushd,
    "read": read,
    "readarray": mapfile,
    "shift": shift,
    "shopt": shopt,
    "trap": trap,
    "ulimit": ulimit,
    "umask": umask,
    "unalias": unalias,
    "unset": unset,
}
"""Builtins by name, each a function of its words and the call to be worked out."""
