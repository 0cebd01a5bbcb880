"""`aws SERVICE VERB --option value …` (AWS CLI command structure): verbs that describe or list only ask.

Hundreds of services share one scheme, so it is the scheme that is described: what is neither a describing verb nor one of
the few named ones is not understood. Some `get-` verbs write what they get to a file that is named like an option's value,
and others print secrets, so of those only the named ones are.
"""

from __future__ import annotations

import re

from keyturn.readers.shell.calls import Argument, Call
from keyturn.readers.shell.grammar import Grammar

_SERVICE = re.compile(r"[a-z][a-z0-9-]*")
_ASKS = re.compile(r"(?:describe|list)-[a-z0-9-]+")
_GETS = frozenset(
    (
        ("sts", "get-caller-identity"),
        ("s3", "ls"),
        ("ce", "get-cost-and-usage"),
        ("cloudwatch", "get-metric-statistics"),
        ("logs", "get-log-events"),
        ("iam", "get-user"),
        ("iam", "get-role"),
        ("iam", "get-policy"),
    )
)
_FROM_ELSEWHERE = ("file:", "fileb:", "http:", "https:")
"""A value that begins so is read from there (AWS CLI, loading a parameter from a file)."""


def aws(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """Describing verbs connect; every other call also sends, and is not understood."""
    words: list[str] = []
    at = 0
    while at < len(arguments):
        argument = arguments[at]
        at += 1
        if not argument.known:
            call.refuse("A word that is only known when it runs could be an option", argument.span)
        elif argument.may_be_option:
            at = _option(grammar, argument, arguments, at, bool(words), call)
        else:
            words.append(argument.text)
    shown = " ".join(words[:2])
    call.subcommand = shown
    call.add("connects", f"aws {shown}".strip(), "network")
    if not _only_asks(words):
        call.add("sends", f"aws {shown}".strip(), "network")
        call.refuse(f"aws {shown} may change or hand out more than is described")


def _only_asks(words: list[str]) -> bool:
    if len(words) < 2 or not _SERVICE.fullmatch(words[0]):
        return False
    asks = tuple(words[:2]) in _GETS or bool(_ASKS.fullmatch(words[1]))
    return asks and (len(words) == 2 or (words[:2] == ["s3", "ls"] and len(words) == 3))


def _option(
    grammar: Grammar, argument: Argument, arguments: list[Argument], at: int, named: bool, call: Call
) -> int:
    """Read one option; before the service only described ones, behind it any that is not held. Returns the index after it."""
    name, equals, value = argument.text.partition("=")
    call.options.append(name)
    option = grammar.options.get(name)
    held = [o for o in grammar.options.values() if any(c.action == "held" for c in o.clauses)]
    if not name.startswith("--") or (option is None and not named):
        call.refuse(f"aws has no option {name} that is described", argument.span)
    for other in held:
        if any(known.startswith(name) for known in other.names) and option in (None, other):
            call.refuse(f"The option {name} {other.clauses[0].rest}", argument.span)
    takes = option.value(name) != "none" if option else True
    if takes and not equals and at < len(arguments) and not arguments[at].may_be_option:
        if not arguments[at].known:
            call.refuse("An option's value that is only known when it runs", arguments[at].span)
        value = arguments[at].text
        at += 1
    if value.startswith(_FROM_ELSEWHERE):
        call.refuse(f"The value of {name} is read from a file or URL", argument.span)
    return at


__all__ = ["aws"]
