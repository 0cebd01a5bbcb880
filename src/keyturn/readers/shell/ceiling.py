"""The most that a program could do under its grammar: for words that are only known when it runs.

A word that may turn out to be an option, or several words, can make a program do anything its grammar describes, to
anything. That is not unread: it is read as all of it. The effects are then a superset of what happens, in the
zone `unknown`, which no starter rule lets run.
"""

from __future__ import annotations

import re

from keyturn.actions import Effect, Verb
from keyturn.readers.shell.calls import Call
from keyturn.readers.shell.grammar import Clause, Grammar, fixed

ANYTHING = "…"
"""How a path, host or program that could be any is shown."""

_ANY = {
    "reads": Effect("reads", ANYTHING, "unknown"),
    "writes": Effect("writes", ANYTHING, "unknown"),
    "deletes": Effect("deletes", ANYTHING, "unknown"),
    "configures": Effect("configures", ANYTHING, "unknown"),
    "connects": Effect("connects", ANYTHING, "network"),
    "sends": Effect("sends", ANYTHING, "network"),
    "executes": Effect("executes", ANYTHING, "unknown"),
    "grants": Effect("grants", ANYTHING, "system"),
}

_OPERANDS: dict[str, tuple[Verb, ...]] = {
    "text": (),
    "rest": (),
    "reads": ("reads",),
    "writes": ("writes",),
    "edits": ("reads", "writes"),
    "deletes": ("deletes",),
    "moves": ("deletes",),
    "into": ("writes",),
    "links": ("reads", "writes"),
    "unpacks": ("writes", "configures"),
    "packs": ("writes",),
    "makes": ("writes",),
    "begins": ("writes",),
    "url": ("connects",),
    "sends": ("connects", "sends"),
    "shows": ("reads", "connects"),
    "remote": ("connects",),
    "copy": ("reads", "writes", "configures", "connects", "sends"),
    "code": ("reads", "executes"),
    "runs": ("reads", "executes"),
    "fixes": ("reads", "executes", "writes"),
    "program": ("executes",),
    "process": ("configures",),
    "system": ("configures",),
    "package": ("reads", "executes"),
    "object": ("reads",),
    "changes": ("writes",),
    "repository": ("reads", "connects"),
    "held": ("executes",),
}

_OPTIONS: dict[str, tuple[Verb, ...]] = {
    "reads": ("reads",),
    "writes": ("writes",),
    "outputs": ("writes",),
    "globs": ("reads",),
    "deletes": ("deletes",),
    "unpacks": ("writes", "configures"),
    "connects": ("connects",),
    "uploads": ("reads",),
    "executes": ("executes",),
    "lists": ("reads",),
    "script": ("executes",),
    "code": ("reads", "executes"),
    "runs": ("reads", "executes"),
    "dispatches": ("executes",),
    "held": ("executes",),
    "name": ("executes",),
    "only": ("executes",),
    "mode": ("grants",),
    "enters": (),
    "target": ("writes",),
    "pattern": (),
    "stops": (),
    "alone": (),
    "default": ("reads",),
}


def widest(grammar: Grammar, call: Call) -> None:
    """Note every effect that *grammar* describes, done to anything: a word of *call* may ask for each.

    What the grammar leaves to code of its own, or describes as never understood, counts as running anything.
    """
    verbs: list[Verb] = []
    fixed_effects: list[Effect] = []
    if grammar.special or grammar.held_text:
        verbs.append("executes")
    for operand in grammar.operands:
        verbs += _OPERANDS.get(operand.kind, ("executes",))
    for option in grammar.options.values():
        for clause in option.clauses:
            verbs += _verbs(clause)
            if clause.action == "also":
                effect = fixed(clause.rest)
                fixed_effects.append(Effect(effect.verb, effect.what, _zone(effect.zone), effect.labels))
    if grammar.subcommands:
        verbs.append("executes")
    call.effects += list(dict.fromkeys([*(_ANY[verb] for verb in verbs), *fixed_effects]))


_PLAIN_SPECIALS = frozenset({"", "cd", "chmod", "date", "echo", "kill", "printf", "ps", "split", "test"})
_RUNS = re.compile(r"run|program|command|code|script|load|send|connect")
"""Words with which descriptions say why an option is held that starts something."""
_GRAVE = frozenset({"executes", "connects", "sends", "grants"})


def may_run_by_option(grammar: Grammar) -> bool:
    """Whether some option makes the program run, or send, what its operands don't."""
    if grammar.special not in _PLAIN_SPECIALS or grammar.held_text or grammar.subcommands:
        return True
    for option in grammar.options.values():
        for clause in option.clauses:
            grave = bool(_GRAVE.intersection(_verbs(clause)))
            if grave and (clause.action != "held" or _RUNS.search(clause.rest)):
                return True
    return False


def anything(call: Call) -> None:
    """Note that a word of *call* may make its program run anything: what has a grammar of its own knows no finer bound."""
    call.effects.append(_ANY["executes"])


def _verbs(clause: Clause) -> tuple[Verb, ...]:
    if clause.action == "also":
        return ()
    if clause.action == "operands":
        return tuple(
            verb
            for word in clause.rest.split()
            for verb in _OPERANDS.get(word.removesuffix("..."), ("executes",))
        )
    return _OPTIONS.get(clause.action, ("executes",))


def _zone(zone: str) -> str:
    return "unknown" if zone in ("here", "elsewhere") else zone


__all__ = ["ANYTHING", "anything", "widest"]
