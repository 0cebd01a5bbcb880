"""A program's words under its grammar: which options, which operands, and what they would do.

Follows getopt_long(3): clusters of short options, `--name=value`, unambiguous abbreviations, `--`.
What the grammar does not describe is a `Problem`; nothing is guessed.
"""

from __future__ import annotations

import re

from msgspec import Struct

from keyturn.readers.shell.calls import Argument, Call
from keyturn.readers.shell.ceiling import widest
from keyturn.readers.shell.globbing import taken_for_option
from keyturn.readers.shell.grammar import Grammar, Option

_REMOTE = re.compile(r"(?:[A-Za-z0-9._-]+@)?([A-Za-z0-9._-]+):(.*)", re.DOTALL)
_ASKS = re.compile(r"-[0-9]+")
_PLUS = re.compile(r"\+[0-9]+")


class Given(Struct, frozen=True):
    """One option as given, with the value it takes, if any."""

    option: Option
    value: Argument | None = None


class Words(Struct):
    """Words sorted out: options as given and operands in order; `ended` operands came after `--`."""

    given: list[Given] = []
    operands: list[Argument] = []
    ended: int = 0


def read_words(grammar: Grammar, arguments: list[Argument], call: Call, stops: bool | None = None) -> Words:
    """Sort *arguments* into options and operands; what can't be sorted becomes a problem of *call*."""
    words = Words()
    stops = grammar.stops or bool(grammar.subcommands) if stops is None else stops
    at = 0
    while at < len(arguments):
        argument = arguments[at]
        at += 1
        if argument.known and argument.text == "--":
            words.ended = len(arguments) - at
            words.operands += arguments[at:]
            break
        if not argument.known and argument.may_be_option:
            if not grammar.harmless and not taken_for_option(grammar, argument, arguments, call):
                widest(grammar, call)
            words.operands.append(argument)
            continue
        if not argument.may_be_option:
            numbered = grammar.options.get("+NUM")
            if argument.known and numbered and _PLUS.fullmatch(argument.text):
                words.given.append(Given(numbered))
                continue
            if stops:
                words.operands += arguments[at - 1 :]
                break
            words.operands.append(argument)
            continue
        at = _option(grammar, argument, arguments, at, words, call)
        if words.given and any(clause.action == "stops" for clause in words.given[-1].option.clauses):
            words.operands += arguments[at:]
            break
    call.options += [given.option.shown for given in words.given]
    return words


def _option(
    grammar: Grammar, argument: Argument, arguments: list[Argument], at: int, words: Words, call: Call
) -> int:
    """Read the option(s) in *argument*; returns the index after what they took."""
    text = argument.text if argument.known else argument.prefix
    if grammar.options.get("-NUM") and argument.known and _ASKS.fullmatch(text):
        words.given.append(Given(grammar.options["-NUM"]))
        return at
    long = text.startswith("--") or (grammar.single_dash and len(text) > 2)
    if long:
        return _long_option(grammar, argument, text, arguments, at, words, call)
    return _cluster(grammar, argument, text, arguments, at, words, call)


def _long_option(
    grammar: Grammar,
    argument: Argument,
    text: str,
    arguments: list[Argument],
    at: int,
    words: Words,
    call: Call,
) -> int:
    name, equals, _ = text.partition("=")
    if not argument.known and not equals:
        widest(grammar, call)
        return at
    option = grammar.option(name)
    attached = grammar.options.get(text[:2]) if grammar.single_dash and option is None else None
    if attached is not None and attached.value(text[:2]) == "optional":
        words.given.append(Given(attached, argument.without(text[:2])))  # `-DNAME=VALUE` beside `-name`
        return at
    if option is None:
        call.refuse(f"{call.program} has no option {name} that is described", argument.span)
        return at
    full = name if name in option.names else next(n for n in option.names if n.startswith(name))
    takes = option.value(full)
    if equals:
        if takes == "none":
            call.refuse(f"The option {name} takes no value", argument.span)
            return at
        words.given.append(Given(option, argument.without(name + "=")))
        return at
    return _with_value(grammar, option, takes, arguments, at, words, call, argument)


def _with_value(
    grammar: Grammar,
    option: Option,
    takes: str,
    arguments: list[Argument],
    at: int,
    words: Words,
    call: Call,
    argument: Argument,
) -> int:
    if takes != "required":
        words.given.append(Given(option))
        return at
    if at >= len(arguments):
        call.refuse(f"The option {option.shown} lacks its value", argument.span)
        return at
    value = arguments[at]
    if value.may_bring_options and not option.harmless:
        widest(grammar, call)
    words.given.append(Given(option, value))
    return at + 1


def _cluster(
    grammar: Grammar,
    argument: Argument,
    text: str,
    arguments: list[Argument],
    at: int,
    words: Words,
    call: Call,
) -> int:
    for index in range(1, len(text)):
        name = "-" + text[index]
        option = grammar.options.get(name)
        if option is None:
            call.refuse(f"{call.program} has no option {name} that is described", argument.span)
            return at
        takes = option.value(name)
        rest = index + 1 < len(text) or not argument.known
        if takes != "none" and rest:
            words.given.append(Given(option, argument.without(text[: index + 1])))
            return at
        at = _with_value(grammar, option, takes, arguments, at, words, call, argument)
    if not argument.known:
        widest(grammar, call)
    return at
