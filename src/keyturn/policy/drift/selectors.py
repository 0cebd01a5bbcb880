"""Which steps a limit counts and an order watches: a few words, read once.

    counts = "on:database"                                # one text, or a list: any of them
    counts = ["reads:sensitive", "tool:crm/export*"]
    counts = "writes & label:production"                  # joined by `&`: all of them, of the same step

| term | matches a step that |
| --- | --- |
| `everything` | is any step |
| `reads`, `writes`, … | does that |
| `reads:workspace`, `reads:secret` | does that to something in that zone, or with that label |
| `on:database` | speaks to a target of that class: `database`, `host`, `cluster`, `server`, `target` |
| `reads:database` | both; a statement or a call that nobody reads (`executes`) may do any of it, and so counts |
| `label:production`, `kind:shell` | touches something with that label; is of that kind |
| `program:psql`, `tool:crm/export*`, `target:db-*` | has that name, with `*` for any characters |

Orders also know what people do: `instruction` (the human said something), `says:*yes*` (the last of it reads so), `approval`
(a request of the session was approved), `ticket` (one was, and with a ticket). What a human said comes through the client: it is weak
evidence, and good enough only because an order never makes anything milder.

A text with a term that can't be is an error with its place, not a limit that never counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import translate
from functools import lru_cache
from typing import get_args

from msgspec import Struct

from keyturn.actions import Kind, Step, Verb
from keyturn.policy.problems import nearest
from keyturn.policy.requirements.part import Part
from keyturn.resources import ZONES

CLASSES = ("database", "host", "cluster", "server", "target")
"""What a target can be (`drift.targets`)."""

EVENTS = ("instruction", "approval", "ticket")
_VERBS: tuple[str, ...] = get_args(Verb)
_KINDS: tuple[str, ...] = get_args(Kind)
_NAMED = ("program", "tool", "target", "label", "kind", "on", "says")
_LABEL = re.compile(r"[a-z][a-z0-9-]{0,39}", re.ASCII)


class Term(Struct, frozen=True):
    """One word of a selector: `what` it is about, and which."""

    what: str
    which: str = ""


class Selector(Struct, frozen=True):
    """Terms that must all match the same step; `text` is as it was written."""

    text: str
    terms: tuple[Term, ...]

    @property
    def event(self) -> str:
        """`instruction`, `approval`, `ticket` or `says` where it is about what people do; empty for actions."""
        first = self.terms[0]
        return first.what if first.what in (*EVENTS, "says") else ""

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels that it names for sure."""
        return tuple(term.which for term in self.terms if term.what == "label")

    def matches(self, kind: str, step: Step, target: tuple[str, str] | None) -> bool:
        """Whether *step* of an action of *kind*, which speaks to *target* (class, name), is meant."""
        return all(_TESTS[term.what](term.which, kind, step, target) for term in self.terms)


Selectors = tuple[Selector, ...]


def selected(selectors: Selectors, kind: str, step: Step, target: tuple[str, str] | None) -> bool:
    """Whether any of them matches."""
    return any(selector.matches(kind, step, target) for selector in selectors)


def shown(selectors: Selectors) -> str:
    """All of them as one text."""
    return " or ".join(selector.text for selector in selectors)


def parse(text: str, *, events: bool = False) -> Selector:
    """The selector in *text*. Raises `ValueError` with words for the author."""
    terms = tuple(_term(part.strip(), events) for part in text.split("&"))
    if len(terms) > 1 and any(term.what in (*EVENTS, "says") for term in terms):
        raise ValueError("what people do stands alone: it is no step that could do something else, too")
    return Selector(" & ".join(part.strip() for part in text.split("&")), terms)


def _term(text: str, events: bool) -> Term:
    if text == "everything":
        return Term("everything")
    if text in EVENTS or text.startswith("says:"):
        if not events:
            raise ValueError(f'"{text}" is nothing an action does; only [order] knows it')
        return Term(text) if text in EVENTS else Term("says", text.removeprefix("says:").lower())
    head, colon, rest = text.partition(":")
    if head in _VERBS:
        return _of_verb(head, rest) if colon else Term("verb", head)
    if colon and rest and head in _NAMED:
        return _named(head, rest)
    known = ("everything", *_VERBS, *(f"{name}:" for name in _NAMED), *(EVENTS if events else ()))
    hint = nearest(head, [word.rstrip(":") for word in known])
    raise ValueError(f'there is no term "{text}": {hint or "terms: " + ", ".join(known)}')


def _of_verb(verb: str, rest: str) -> Term:
    if rest in CLASSES:
        return Term("does", f"{verb}:{rest}")
    if rest in ZONES:
        return Term("effect", f"{verb}:{rest}")
    if not _LABEL.fullmatch(rest):
        raise ValueError(f'"{rest}" is no zone, no label and no class of target')
    return Term("labelled", f"{verb}:{rest}")


def _named(head: str, rest: str) -> Term:
    if head == "on" and rest not in CLASSES:
        raise ValueError(f'"{rest}" is no class of target: {nearest(rest, CLASSES) or ", ".join(CLASSES)}')
    if head == "kind" and rest not in _KINDS:
        raise ValueError(f'"{rest}" is no kind of action: {nearest(rest, _KINDS) or ", ".join(_KINDS)}')
    if head == "label" and not _LABEL.fullmatch(rest):
        raise ValueError(f'"{rest}" is no label')
    return Term(head, rest)


@lru_cache(maxsize=4096)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(translate(text.lower()))


def like(name: str, pattern: str) -> bool:
    """Whether *name* reads as *pattern*, in which `*` stands for any characters; capitals don't count."""
    if not any(letter in pattern for letter in "*?["):
        return name.lower() == pattern.lower()
    return _pattern(pattern).match(name.lower()) is not None


_Target = tuple[str, str] | None


def _verb(which: str, kind: str, step: Step, target: _Target) -> bool:
    return any(effect.verb == which for effect in step.effects)


def _effect(which: str, kind: str, step: Step, target: _Target) -> bool:
    return any(effect.key == which for effect in step.effects)


def _labelled(which: str, kind: str, step: Step, target: _Target) -> bool:
    verb, _, label = which.partition(":")
    return any(effect.verb == verb and label in effect.labels for effect in step.effects)


def _does(which: str, kind: str, step: Step, target: _Target) -> bool:
    verb, _, class_ = which.partition(":")
    on = target is not None and target[0] == class_
    return on and any(effect.verb in (verb, "executes") for effect in step.effects)


def _label(which: str, kind: str, step: Step, target: _Target) -> bool:
    return any(which in effect.labels for effect in step.effects)


_TESTS: dict[str, Callable[[str, str, Step, _Target], bool]] = {
    "everything": lambda which, kind, step, target: True,
    "verb": _verb,
    "effect": _effect,
    "labelled": _labelled,
    "does": _does,
    "label": _label,
    "kind": lambda which, kind, step, target: kind == which,
    "on": lambda which, kind, step, target: target is not None and target[0] == which,
    "program": lambda which, kind, step, target: like(step.program, which),
    "tool": lambda which, kind, step, target: kind == "tool" and like(step.program, which),
    "target": lambda which, kind, step, target: target is not None and like(target[1], which),
    **dict.fromkeys((*EVENTS, "says"), lambda which, kind, step, target: False),
}


def read_selectors(part: Part, key: str, *, events: bool = False) -> Selectors:
    """The text, or list of texts, under *key*; empty where it is absent."""
    given = part.body.get(key, ())
    texts = (part.text(key),) if isinstance(given, str) else part.texts(key)
    found = []
    for text in texts:
        try:
            found.append(parse(text, events=events))
        except ValueError as error:
            part.wrong(key, str(error))
    return tuple(found)


__all__ = [
    "CLASSES",
    "EVENTS",
    "Selector",
    "Selectors",
    "Term",
    "like",
    "parse",
    "read_selectors",
    "selected",
    "shown",
]
