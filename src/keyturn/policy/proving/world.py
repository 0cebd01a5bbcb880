"""Every step there can be, as unknowns of a solver, and what holds between them because of how steps are made (`policy.context`).

Rules kept here:

- A set is one yes-or-no for each text that a rule or the property names, and one for "something else". Rules only ask whether a named
  text is in a set, so no set that differs in more can be told apart.
- Effects are exact: a yes-or-no for every verb in every zone, and for every verb and label. What a step has of verbs, zones and labels
  follows from these; sets of paths, hosts and sweeping verbs are there only where some effect can have them.
- Texts are of printable ASCII. Rules only ask whether a text is, begins with, or contains such texts, so a character that none of them
  names stands for every other one.
- Of the whole action the step is a part: what the step does, the whole does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from keyturn.policy import vocabulary
from keyturn.policy.context import is_sweeping
from keyturn.policy.proving.errors import NotExpressible
from keyturn.resources import ZONES

HOST_ZONES = ("network", "loopback")
PATH_ZONES = (
    "workspace",
    "temporary",
    "system",
    "home",
    "outside",
    "keyturn",
    "device",
    "code",
    "unknown",
    "environment",
)
OTHER = "\x00other"
"""Stands for any text that nobody names."""

TEXTS = ("program", "subcommand", "words", "human", "target", "server", "tool", "host", "path")
FREE_SETS = (
    "argv",
    "options",
    "groups",
    "missing",
    "over",
    "broken",
    "first",
    "findings",
    "secrets",
    "overdue",
    "undeclared",
    "arguments",
)


class Set:
    """A set of texts: a yes-or-no for each text that was named."""

    def __init__(self, z3: Any, name: str, make: Callable[[str], Any] | None = None) -> None:
        self._z3, self._name, self._make = z3, name, make
        self.members: dict[str, Any] = {}

    def has(self, text: str) -> Any:
        """Whether *text* is in it."""
        if text not in self.members:
            made = self._make(text) if self._make else self._z3.Bool(f"{self._name}[{text}]")
            self.members[text] = made
        return self.members[text]

    def empty(self) -> Any:
        """Whether nothing is in it. Asked after everything that is named was named."""
        return self._z3.Not(self._z3.Or([self.has(OTHER), *self.members.values()]))


class Doing:
    """What a step, or a whole action, does."""

    def __init__(self, z3: Any, name: str, labels: Iterable[str]) -> None:
        self.z3 = z3
        self.labels = (*labels, OTHER)
        verbs, zones = vocabulary.VERBS, (*ZONES,)
        self.pair = {(v, z): z3.Bool(f"{name}.{v}:{z}") for v in verbs for z in zones}
        self.mark = {(v, one): z3.Bool(f"{name}.{v}!{one}") for v in verbs for one in self.labels}
        self.effects = Set(z3, f"{name}.effects", self._effect)
        self.labelled = Set(z3, f"{name}.labelled", self._labelled)
        self.labelling = Set(
            z3, f"{name}.labels", lambda one: self._any(m for (_, o), m in self.mark.items() if o == one)
        )
        self.verbs = Set(z3, f"{name}.verbs", self.does)
        self.zones = Set(
            z3, f"{name}.zones", lambda zone: self._any(m for (_, z), m in self.pair.items() if z == zone)
        )

    def does(self, verb: str) -> Any:
        """Whether it does that to anything."""
        return self._any(made for (v, _), made in self.pair.items() if v == verb)

    def anything(self) -> Any:
        """Whether it does anything."""
        return self._any(self.pair.values())

    def labelled_at_all(self) -> Any:
        """Whether anything has a label."""
        return self._any(self.mark.values())

    def made(self) -> list[Any]:
        """A label is on what some effect with that verb touches."""
        return [self.z3.Implies(made, self.does(verb)) for (verb, _), made in self.mark.items()]

    def _effect(self, text: str) -> Any:
        verb, _, zone = text.partition(":")
        return self.pair.get((verb, zone), self.z3.BoolVal(False))

    def _labelled(self, text: str) -> Any:
        verb, _, label = text.partition(":")
        return self.mark.get((verb, label), self.z3.BoolVal(False))

    def _any(self, made: Iterable[Any]) -> Any:
        return self.z3.Or([self.z3.BoolVal(False), *made])


class World:
    """The unknowns of one step of *kind*, and what holds between them. *labels* are all that are named anywhere."""

    def __init__(self, z3: Any, kind: str, labels: Iterable[str]) -> None:
        self.z3, self.kind = z3, kind
        self.step, self.whole = Doing(z3, "step", labels), Doing(z3, "whole", labels)
        self.text = {name: z3.String(name) for name in (*TEXTS, "agent", "client", "assurance", "definition")}
        self.sets = {name: Set(z3, name) for name in FREE_SETS}
        self.paths, self.hosts, self.programs = Set(z3, "paths"), Set(z3, "hosts"), Set(z3, "programs")
        self.sweeping = Set(z3, "sweeping")
        self.complete, self.human_known = z3.Bool("complete"), z3.Bool("human_known")
        self.definition_known = z3.Bool("definition_known")
        self.steps, self.at = z3.Int("steps"), z3.Int("at")
        self._later: list[tuple[Any, Set, frozenset[str]]] = []

    def set_of(self, name: str) -> Set:
        """The set attribute *name* of the step."""
        known = {
            "effects": self.step.effects, "labelled": self.step.labelled, "labels": self.step.labelling, "verbs": self.step.verbs,
            "zones": self.step.zones, "paths": self.paths, "hosts": self.hosts, "sweeping": self.sweeping,
        }  # fmt: skip
        return known.get(name) or self.sets[name]

    def set_of_whole(self, name: str) -> Set:
        """The set attribute *name* of the whole action."""
        return {
            "effects": self.whole.effects, "labelled": self.whole.labelled, "labels": self.whole.labelling, "programs": self.programs,
        }[name]  # fmt: skip

    def within(self, found: Set, texts: Iterable[str]) -> Any:
        """Whether everything in *found* is one of *texts*. What else is named is known only when everything was encoded."""
        made, named = self.z3.Bool(f"within{len(self._later)}"), frozenset(texts)
        for text in sorted(named):
            found.has(text)  # otherwise it would be one of those that nobody names
        self._later.append((made, found, named))
        return made

    def _all_of(self, found: Set) -> dict[str, Any]:
        """Every text that may be in *found*, and whether it is."""
        for doing in (self.step, self.whole):
            if found is doing.effects:
                return {f"{verb}:{zone}": made for (verb, zone), made in doing.pair.items()}
            if found is doing.labelled:
                return {f"{verb}:{label}": made for (verb, label), made in doing.mark.items()}
            if found is doing.labelling:
                return {label: found.has(label) for label in doing.labels}
            if found is doing.verbs:
                return {verb: found.has(verb) for verb in vocabulary.VERBS}
            if found is doing.zones:
                return {zone: found.has(zone) for zone in ZONES}
        if found is self.sweeping:
            return {verb: found.has(verb) for verb in vocabulary.VERBS}
        found.has(OTHER)
        return dict(found.members)

    def laws(self) -> list[Any]:
        """What holds for every step."""
        z3 = self.z3
        laws = [*self.step.made(), *self.whole.made(), self.steps >= 1, self.at >= 0]
        laws += [z3.Implies(made, self.whole.pair[key]) for key, made in self.step.pair.items()]
        laws += [z3.Implies(made, self.whole.mark[key]) for key, made in self.step.mark.items()]
        for program, made in self.programs.members.items():
            if program != OTHER:
                laws.append(z3.Implies(self.text["program"] == program, made))
        named = [self.text["program"] == one for one in self.programs.members if one != OTHER]
        laws.append(z3.Implies(z3.Not(z3.Or([z3.BoolVal(False), *named])), self.programs.has(OTHER)))
        laws += [*self._resources(), *self._people(), *self._words(), *self._of_kind()]
        for made, found, texts in self._later:
            others = [there for text, there in self._all_of(found).items() if text not in texts]
            laws.append(made == z3.Not(z3.Or([z3.BoolVal(False), *others])))
        return laws

    def alone(self) -> list[Any]:
        """The step is the whole action."""
        z3 = self.z3
        named = {one: self.text["program"] == one for one in self.programs.members if one != OTHER}
        laws = [
            self.steps == 1,
            self.programs.has(OTHER) == z3.Not(z3.Or([z3.BoolVal(False), *named.values()])),
        ]
        laws += [self.whole.pair[key] == made for key, made in self.step.pair.items()]
        laws += [self.whole.mark[key] == made for key, made in self.step.mark.items()]
        return [*laws, *(self.programs.has(one) == made for one, made in named.items())]

    def calm(self) -> list[Any]:
        """Nothing of drift.toml makes a decision stricter: its demands are beside the rules, and only ever tighten (`drift.holding`)."""
        sets = [self.sets[name] for name in ("over", "broken", "missing")]
        return [
            self.text["definition"] == "approved",
            *(self.z3.Not(made) for one in sets for made in (one.has(OTHER), *one.members.values())),
        ]

    def _resources(self) -> list[Any]:
        """Paths, hosts and sweeping verbs need an effect that has them."""
        z3, pairs = self.z3, self.step.pair
        in_path = z3.Or([made for (_, zone), made in pairs.items() if zone in PATH_ZONES])
        in_host = z3.Or([made for (_, zone), made in pairs.items() if zone in HOST_ZONES])
        laws = [z3.Implies(made, in_path) for made in self.paths.members.values()]
        laws.append(in_host == z3.Or([self.hosts.has(OTHER), *self.hosts.members.values()]))
        laws += [
            z3.Not(made)
            for text, made in self.paths.members.items()
            if text != OTHER and not text.startswith("/")
        ]
        swept = [self.sweeping.has(verb) for verb in vocabulary.VERBS]
        named = [text for text in self.paths.members if text != OTHER and is_sweeping(text)]
        for verb, made in zip(vocabulary.VERBS, swept, strict=True):
            ours = [p for (v, zone), p in pairs.items() if v == verb and zone in PATH_ZONES]
            elsewhere = [p for (v, zone), p in pairs.items() if v == verb and zone not in PATH_ZONES]
            touched = z3.Or([self.paths.has(OTHER), *(self.paths.has(text) for text in named)])
            laws.append(z3.Implies(made, z3.Or([z3.And(z3.Or(ours), touched), *elsewhere])))
        sweeps = [
            z3.And(made, z3.Or([p for (v, zone), p in pairs.items() if v == verb and zone in PATH_ZONES]))
            for verb, made in zip(vocabulary.VERBS, swept, strict=True)
        ]
        laws += [z3.Implies(self.paths.has(text), z3.Or(sweeps)) for text in named]
        laws += [z3.Not(made) for text, made in self.sweeping.members.items() if text not in vocabulary.VERBS]
        return laws

    def _people(self) -> list[Any]:
        z3, text = self.z3, self.text
        printable = z3.Star(z3.Range(" ", "~"))
        return [
            *(z3.InRe(one, printable) for one in text.values()),
            self.human_known == (text["human"] != ""),
            z3.Or(
                [text["assurance"] == one for one in ("advisory", "cooperative", "enforced", "credentialed")]
            ),
            z3.Or([text["definition"] == one for one in ("approved", "changed", "unknown")]),
        ]

    def _words(self) -> list[Any]:
        """A word of argv is in the words; without a word there are none."""
        z3, words = self.z3, self.text["words"]
        around = z3.Concat(z3.StringVal(" "), words, z3.StringVal(" "))
        laws = []
        for text, made in self.sets["argv"].members.items():
            if text != OTHER:
                laws.append(z3.Implies(made, z3.Contains(around, z3.StringVal(f" {text} "))))
        laws.append(z3.Implies(words != "", z3.Not(self.sets["argv"].empty())))
        if self.kind == "tool":
            for text, made in self.sets["arguments"].members.items():
                if text != OTHER:
                    after = z3.Concat(words, z3.StringVal(" "))
                    laws.append(z3.Implies(made, z3.Contains(after, z3.StringVal(f" {text} "))))
        return laws

    def _of_kind(self) -> list[Any]:
        """What the attributes of one kind are made of."""
        z3, text = self.z3, self.text
        pairs = self.step.pair
        if self.kind == "tool":
            slash = z3.StringVal("/")
            split = z3.And(
                text["program"] == z3.Concat(text["server"], slash, text["tool"]),
                z3.Not(z3.Contains(text["server"], slash)),
            )
            plain = z3.And(text["server"] == "", text["tool"] == text["program"])
            return [z3.If(z3.Contains(text["program"], slash), split, plain)]
        if self.kind == "file":
            inside = z3.Or([made for (_, zone), made in pairs.items() if zone in PATH_ZONES])
            outside = z3.Or([made for (_, zone), made in pairs.items() if zone not in PATH_ZONES])
            named = [made for one, made in self.paths.members.items() if one != OTHER]
            is_named = [text["path"] == one for one in self.paths.members if one != OTHER]
            known = [z3.And(is_one, made) for is_one, made in zip(is_named, named, strict=True)]
            touched = z3.And(
                inside,
                z3.Or([z3.And(z3.Not(z3.Or([z3.BoolVal(False), *is_named])), self.paths.has(OTHER)), *known]),
            )
            there = z3.And(z3.PrefixOf(z3.StringVal("/"), text["path"]), z3.Or([touched, outside]))
            absolute = z3.Or(
                [*self.paths.members.values(), *(self.sweeping.has(verb) for verb in vocabulary.VERBS)]
            )
            return [z3.If(text["path"] == "", z3.Not(absolute), there)]
        if self.kind == "http":
            is_named = [text["host"] == one for one in self.hosts.members if one != OTHER]
            known = [
                z3.And(text["host"] == one, made) for one, made in self.hosts.members.items() if one != OTHER
            ]
            other = z3.And(z3.Not(z3.Or([z3.BoolVal(False), *is_named])), self.hosts.has(OTHER))
            path = z3.Or(text["path"] == "", z3.PrefixOf(z3.StringVal("/"), text["path"]))
            return [z3.Or([text["host"] == "", other, *known]), path]
        return []


def refused(what: str, where: str) -> NotExpressible:
    """*what* has no exact form here."""
    return NotExpressible(f"{where} says {what}, which has no exact form in logic here.")


__all__ = ["FREE_SETS", "HOST_ZONES", "OTHER", "PATH_ZONES", "TEXTS", "Doing", "Set", "World", "refused"]
