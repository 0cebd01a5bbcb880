"""The words rules may use in texts, and the check that no rule uses another.

Cedar's validator knows the names and types of attributes, not the words inside texts: `"raeds:workspace"` is a
well-typed text that never matches, so a forbid with it forbids nothing. Here every literal that a rule compares
with an attribute of known words has to be one of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, get_args

import msgspec

from keyturn.actions import Assurance, FileEdit, Kind, Verb
from keyturn.policy.decision import Definition
from keyturn.resources import ZONES

VERBS: tuple[str, ...] = get_args(Verb)
KINDS: tuple[str, ...] = get_args(Kind)
ANNOTATIONS = (
    "id", "because", "until", "lifts", "hold", "approve", "within", "reason", "assurance", "ticket", "window", "remind", "escalate",
    "grant",
)  # fmt: skip
"""`@id` and `@because` on every rule; `@until` and `@lifts` on rules that let run (`standing`); the others say what a hold asks for."""

READER_LABELS = ("secret", "private-key", "production", "sensitive")
"""Labels rules may name although a policy's resources.toml gives them to nothing (yet)."""

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "TRACE")
MISSING = ("definition", "human", "instruction", "reasoning")

CONTEXT = (
    "program", "subcommand", "argv", "words", "options", "effects", "labelled", "verbs", "zones", "labels",
    "paths", "hosts", "sweeping", "complete", "whole", "human", "human_known", "groups", "missing", "assurance", "target",
    "definition", "over", "broken", "first", "findings", "secrets", "overdue", "undeclared",
)  # fmt: skip
CONTEXT_OF_KIND: dict[str, tuple[str, ...]] = {
    "shell": (),
    "file": ("operation", "path"),
    "tool": ("server", "tool", "arguments"),
    "http": ("method", "host", "path"),
}
AGENT = ("name", "client", "definition_known")
WHOLE = ("effects", "labelled", "labels", "programs", "steps")
METHODS_OF_CEDAR = ("contains", "containsAll", "containsAny", "isEmpty")


@cache
def operations() -> tuple[str, ...]:
    """What a file action can do."""
    field = next(f for f in msgspec.structs.fields(FileEdit) if f.name == "operation")
    return get_args(field.type)


def attribute_names() -> tuple[str, ...]:
    """Every attribute name that any rule can use."""
    own = (name for names in CONTEXT_OF_KIND.values() for name in names)
    return tuple(dict.fromkeys((*CONTEXT, *own, *AGENT, *WHOLE)))


class Words:
    """The words each attribute can hold, given the labels a policy knows."""

    def __init__(self, labels: Iterable[str]) -> None:
        known = tuple(dict.fromkeys((*labels, *READER_LABELS)))
        self.of: dict[str, tuple[str, ...]] = {
            "effects": tuple(f"{verb}:{zone}" for verb in VERBS for zone in ZONES),
            "labelled": tuple(f"{verb}:{label}" for verb in VERBS for label in known),
            "verbs": VERBS,
            "sweeping": VERBS,
            "zones": ZONES,
            "labels": known,
            "missing": MISSING,
            "assurance": get_args(Assurance),
            "definition": get_args(Definition),
            "first": tuple(f"{verb}:{zone}" for verb in VERBS for zone in ZONES),
            "operation": operations(),
            "method": METHODS,
        }

    def mistakes(self, rule: dict[str, Any]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """(literal, message, known words) for every wrong word in a rule's JSON form."""
        for condition in rule.get("conditions", ()):
            yield from self._in_expression(condition["body"])
        yield from _wrong_scope(rule)

    def _in_expression(self, expression: Any) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        for node in nodes(expression):
            (name, body), *_ = node.items()
            if not isinstance(body, dict):
                continue
            if name == "has":
                yield from _wrong_has(body)
                continue
            if name == "like":
                yield from self._wrong_like(body)
                continue
            if name == "is" or (name == "in" and "entity_type" in body):
                continue
            for mine, other in (("left", "right"), ("right", "left")):
                attribute = attribute_of(body.get(mine))
                if attribute in self.of:
                    yield from self._wrong_words(attribute, body.get(other))

    def _wrong_words(self, attribute: str, operand: Any) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        for text in literals(operand):
            if text not in self.of[attribute]:
                yield text, f'{attribute} never has "{text}"', self.of[attribute]

    def _wrong_like(self, body: dict[str, Any]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        attribute = attribute_of(body.get("left"))
        pattern = body.get("pattern", [])
        if attribute in self.of and not any(_like(word, pattern) for word in self.of[attribute]):
            shown = "".join("*" if part == "Wildcard" else part["Literal"] for part in pattern)
            yield shown, f'no word of {attribute} is like "{shown}"', self.of[attribute]


def nodes(expression: Any) -> Iterator[dict[str, Any]]:
    """All nodes of a condition in Cedar's JSON form, outermost first."""
    todo = [expression]
    while todo:
        item = todo.pop()
        if isinstance(item, list):
            todo.extend(item)
        elif isinstance(item, dict):
            if len(item) == 1 and next(iter(item)) not in ("Value", "Literal"):
                yield item
            todo.extend(value for key, value in item.items() if key != "Value")


def attribute_of(expression: Any) -> str:
    """The attribute's name when *expression* reads one (`context.effects`, `context.whole.effects`), else nothing."""
    if isinstance(expression, dict) and isinstance(access := expression.get("."), dict):
        return str(access.get("attr", ""))
    return ""


def literals(expression: Any) -> Iterator[str]:
    """Text literals in a literal or a set of literals (other expressions have their own nodes)."""
    if not isinstance(expression, dict):
        return
    value = expression.get("Value")
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        yield from (item for item in value if isinstance(item, str))
    for item in expression.get("Set") or ():
        yield from literals(item)
    choice = expression.get("if-then-else")
    if isinstance(choice, dict):
        yield from literals(choice.get("then"))
        yield from literals(choice.get("else"))


def _wrong_has(body: dict[str, Any]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """`has` of an unknown attribute is well typed and always false: a rule with it never matches."""
    named = body.get("attr")
    for name in [named] if isinstance(named, str) else named or ():
        if name not in attribute_names():
            yield str(name), f'there is no attribute "{name}"', attribute_names()


def _wrong_scope(rule: dict[str, Any]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """A principal that is no Agent, or a resource that is no Target, is a rule that never matches."""
    for part, wanted in (("principal", "Agent"), ("resource", "Target")):
        scope = rule.get(part, {})
        entities = [
            scope.get("entity"),
            *(scope.get("entities") or ()),
            (scope.get("in") or {}).get("entity"),
        ]
        kinds = [e["type"] for e in entities if isinstance(e, dict)] + [scope.get("entity_type")]
        for kind in kinds:
            if kind is not None and kind != wanted:
                yield kind, f"a {part} is never a {kind}", (wanted,)


def _like(word: str, pattern: list[Any]) -> bool:
    parts = (".*" if part == "Wildcard" else re.escape(part["Literal"]) for part in pattern)
    return re.fullmatch("".join(parts), word) is not None
