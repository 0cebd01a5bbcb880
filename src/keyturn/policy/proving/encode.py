"""A rule's Cedar expression (its JSON form) as a formula over a `World`. What has no exact form is refused by name, never approximated."""

from __future__ import annotations

from typing import Any

from keyturn.policy import vocabulary
from keyturn.policy.proving.world import FREE_SETS, TEXTS, Set, World, refused
from keyturn.policy.rules import Rule
from keyturn.resources import ZONES

_DERIVED_SETS = ("effects", "labelled", "verbs", "zones", "labels", "paths", "hosts", "sweeping")
_COMPARES = {"<": "__lt__", "<=": "__le__", ">": "__gt__", ">=": "__ge__"}


class _Whole:
    """`context.whole`."""


class _Listed:
    """A set written out: its members are texts."""

    def __init__(self, members: list[Any]) -> None:
        self.members = members


class _Entity:
    """An entity: its type, and its id as text."""

    def __init__(self, kind: str, name: Any) -> None:
        self.kind, self.name = kind, name


class Encoder:
    """Formulas of rules over one world. `where` names the rule in refusals."""

    def __init__(self, world: World) -> None:
        self.world, self.z3, self.where = world, world.z3, ""

    def rule(self, rule: Rule) -> Any:
        """Whether *rule* matches the step, and has not ended."""
        self.where = f"The rule {rule.id}"
        body = rule.body
        parts = [self._scope("principal", body["principal"]), self._scope("resource", body["resource"])]
        if self.world.kind not in rule.kinds:
            return self.z3.BoolVal(False)
        if body["action"].get("op") not in ("All", "==", "in"):
            raise refused("something about its action", self.where)
        for condition in body.get("conditions", ()):
            made = self._boolean(condition["body"])
            parts.append(made if condition["kind"] == "when" else self.z3.Not(made))
        if rule.until is not None:
            parts.append(self.world.at < rule.until)
        return self.z3.And(parts)

    def _scope(self, who: str, given: dict[str, Any]) -> Any:
        if given.get("op") == "All":
            return self.z3.BoolVal(True)
        if given.get("op") == "is" and "in" not in given:
            return self.z3.BoolVal(given["entity_type"] == _TYPE[who])
        if given.get("op") == "==" and "entity" in given:
            entity = given["entity"]
            name = self.world.text["agent" if who == "principal" else "target"]
            return self.z3.And(
                self.z3.BoolVal(entity["type"] == _TYPE[who]), name == self.z3.StringVal(entity["id"])
            )
        raise refused(f"something about its {who}", self.where)

    def _boolean(self, node: Any) -> Any:
        made = self.of(node)
        if isinstance(made, (str, _Whole, _Listed, _Entity, Set)):
            raise refused("something that is neither true nor false", self.where)
        return made

    def of(self, node: dict[str, Any]) -> Any:
        """The value of *node*: a formula, a text, a number, or one of the things above."""
        ((name, given),) = node.items()
        if name == "Value":
            return self._value(given)
        if name == "Set":
            return _Listed([self.of(one) for one in given])
        if name == "Var":
            return self._variable(given)
        if name == ".":
            return self._attribute(self.of(given["left"]), given["attr"])
        if name == "has":
            self._attribute(self.of(given["left"]), given["attr"])  # every attribute is always there
            return self.z3.BoolVal(True)
        if name == "!":
            return self.z3.Not(self._boolean(given["arg"]))
        if name in ("&&", "||"):
            both = [self._boolean(given["left"]), self._boolean(given["right"])]
            return self.z3.And(both) if name == "&&" else self.z3.Or(both)
        if name == "if-then-else":
            return self.z3.If(self._boolean(given["if"]), self.of(given["then"]), self.of(given["else"]))
        if name in ("==", "!="):
            same = self._same(self.of(given["left"]), self.of(given["right"]))
            return same if name == "==" else self.z3.Not(same)
        if name in _COMPARES:
            return getattr(self._number(given["left"]), _COMPARES[name])(self._number(given["right"]))
        if name == "like":
            return self._like(self.of(given["left"]), given["pattern"])
        if name == "isEmpty":
            return self._empty(self.of(given["arg"]))
        if name in ("contains", "containsAll", "containsAny"):
            return self._contains(name, self.of(given["left"]), self.of(given["right"]))
        raise refused(f"`{name}`", self.where)

    def _value(self, given: Any) -> Any:
        if isinstance(given, bool):
            return self.z3.BoolVal(given)
        if isinstance(given, int):
            return self.z3.IntVal(given)
        if isinstance(given, str):
            return self._text(given)
        if isinstance(given, dict) and "__entity" in given:
            return _Entity(given["__entity"]["type"], self.z3.StringVal(given["__entity"]["id"]))
        raise refused("a value of an unknown form", self.where)

    def _text(self, given: str) -> Any:
        if (
            not given.isascii() or not given.isprintable() or "\\" in given
        ):  # the solver reads \\u{…} as something else
            raise refused("a text with other than printable ASCII characters", self.where)
        return self.z3.StringVal(given)

    def _variable(self, name: str) -> Any:
        text = self.world.text
        if name == "context":
            return self.world
        if name == "principal":
            return _Entity("Agent", text["agent"])
        if name == "resource":
            return _Entity("Target", text["target"])
        if name == "action":
            return _Entity("Action", self.z3.StringVal(self.world.kind))
        raise refused(f"`{name}`", self.where)

    def _attribute(self, of: Any, name: str) -> Any:
        world = self.world
        if isinstance(of, _Entity) and of.kind == "Agent" and of.name is world.text["agent"]:
            known = {
                "name": world.text["agent"],
                "client": world.text["client"],
                "definition_known": world.definition_known,
            }
            if name in known:
                return known[name]
        elif isinstance(of, _Whole):
            return world.steps if name == "steps" else world.set_of_whole(name)
        elif of is world:
            return self._of_context(name)
        raise refused(f"`.{name}`", self.where)

    def _of_context(self, name: str) -> Any:
        world = self.world
        if name == "whole":
            return _Whole()
        if name in ("complete", "human_known"):
            return getattr(world, name)
        if name in ("operation", "method"):
            return world.text["program"]
        if name in (*TEXTS, "assurance", "definition"):
            return world.text[name]
        if name in (*FREE_SETS, *_DERIVED_SETS):
            return world.set_of(name)
        raise refused(f"`context.{name}`", self.where)

    def _same(self, one: Any, other: Any) -> Any:
        if isinstance(one, _Entity) and isinstance(other, _Entity):
            return self.z3.And(self.z3.BoolVal(one.kind == other.kind), one.name == other.name)
        for a, b in ((one, other), (other, one)):
            if isinstance(a, Set) and isinstance(b, _Listed) and not b.members:
                return self.world.within(a, ())
        if self._plain(one) and self._plain(other) and one.sort() == other.sort():
            return one == other
        raise refused("that two sets or two things of different types are the same", self.where)

    def _plain(self, value: Any) -> bool:
        return bool(self.z3.is_expr(value))

    def _number(self, node: Any) -> Any:
        made = self.of(node)
        if not self._plain(made) or not self.z3.is_int(made):
            raise refused("a comparison of something that is no number", self.where)
        return made

    def _like(self, text: Any, pattern: list[Any]) -> Any:
        z3 = self.z3
        if not self._plain(text) or not z3.is_string(text):
            raise refused("`like` of something that is no text", self.where)
        parts: list[Any] = []
        literal = ""
        for one in [*pattern, None]:
            if isinstance(one, dict):
                literal += one["Literal"]
                continue
            if literal:
                parts.append(z3.Re(self._text(literal)))
                literal = ""
            if one == "Wildcard":
                parts.append(z3.Full(z3.ReSort(z3.StringSort())))
        if not parts:
            return text == ""
        return z3.InRe(text, parts[0] if len(parts) == 1 else z3.Concat(parts))

    def _empty(self, found: Any) -> Any:
        if isinstance(found, Set):
            return self.world.within(found, ())
        if isinstance(found, _Listed):
            return self.z3.BoolVal(not found.members)
        raise refused("`isEmpty` of something that is no set", self.where)

    def _contains(self, name: str, left: Any, right: Any) -> Any:
        z3 = self.z3
        if name == "contains":
            return self._member(left, right)
        if isinstance(right, _Listed):
            found = [self._member(left, one) for one in right.members]
            return z3.And(found) if name == "containsAll" else z3.Or([z3.BoolVal(False), *found])
        if isinstance(left, _Listed) and name == "containsAny":
            return z3.Or([z3.BoolVal(False), *(self._member(right, one) for one in left.members)])
        if isinstance(left, _Listed) and isinstance(right, Set):
            return self.world.within(right, self._literals(left))
        raise refused(f"`{name}` of two sets that are not written out", self.where)

    def _literals(self, found: _Listed) -> list[str]:
        if not all(self._plain(one) and self.z3.is_string_value(one) for one in found.members):
            raise refused("a set of something other than texts", self.where)
        return [one.as_string() for one in found.members]

    def _member(self, found: Any, text: Any) -> Any:
        z3 = self.z3
        if isinstance(found, _Listed) and self._plain(text):
            return z3.Or([z3.BoolVal(False), *(self._same(one, text) for one in found.members)])
        if isinstance(found, Set) and self._plain(text) and z3.is_string_value(text):
            return found.has(text.as_string())
        raise refused("that a set contains a text that is not written out", self.where)


_TYPE = {"principal": "Agent", "resource": "Target"}


def labels_in(rules: list[Rule], known: list[str]) -> tuple[str, ...]:
    """Every label that any of *rules* can name: those that are *known*, and what follows a verb. Too many do no harm."""
    found = {*vocabulary.READER_LABELS, *known}
    todo: list[Any] = [rule.body for rule in rules]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            todo += node.values()
            value = node.get("Value")
            if isinstance(value, str):
                verb, colon, label = value.partition(":")
                if colon and verb in vocabulary.VERBS and label not in ZONES:
                    found.add(label)
        elif isinstance(node, list):
            todo += node
    return tuple(sorted(found))


__all__ = ["Encoder", "labels_in"]
