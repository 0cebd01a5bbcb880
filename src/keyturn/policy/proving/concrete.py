"""A solver's model as a real action: reading and facts that the engine decides on like any other."""

from __future__ import annotations

import re
from typing import Any

from keyturn.actions import Effect, Reading, Step
from keyturn.policy.context import is_sweeping
from keyturn.policy.decision import Facts
from keyturn.policy.proving.world import HOST_ZONES, OTHER, PATH_ZONES, Doing, Set, World

_ESCAPED = re.compile(r"\\u\{([0-9a-fA-F]+)\}")
_FREE_PATH, _FREE_HOST, _FREE_WORD = "/zz/other/file", "other.invalid", "zz-other"
_FREE_SWEPT = ("/usr", "/opt", "/srv", "/boot")


class Concrete:
    """Reads one model."""

    def __init__(self, world: World, model: Any) -> None:
        self.world, self.model, self.z3 = world, model, world.z3

    def reading(self) -> Reading:
        """The action: the step, and where the whole does more, one more step that does it."""
        world = self.world
        words = self._text(world.text["words"])
        complete = self._true(world.complete)
        step = Step(
            program=self._text(world.text["program"]),
            argv=tuple(words.split(" ")) if words else (),
            subcommand=self._text(world.text["subcommand"]),
            options=self._members(world.sets["options"], _FREE_WORD),
            effects=self._effects(),
            complete=complete,
        )
        steps = (step, *self._others(step))
        return Reading(kind=world.kind, complete=complete, steps=steps)

    def facts(self) -> Facts:
        """What policy knows beside the reading."""
        world = self.world
        sets: dict[str, Any] = {
            name: self._members(world.sets[name], _FREE_WORD)
            for name in ("missing", "over", "broken", "first", "findings", "secrets", "overdue", "undeclared")
        }
        return Facts(
            agent=self._text(world.text["agent"]),
            client=self._text(world.text["client"]),
            human=self._text(world.text["human"]) if self._true(world.human_known) else None,
            human_groups=self._members(world.sets["groups"], _FREE_WORD),
            assurance=self._text(world.text["assurance"]),
            target=self._text(world.text["target"]),
            definition=self._text(world.text["definition"]),  # type: ignore[arg-type]
            definition_known=self._true(world.definition_known),
            **sets,
        )

    def at(self) -> int:
        """When."""
        return int(self.model.eval(self.world.at, model_completion=True).as_long())

    def _effects(self) -> tuple[Effect, ...]:
        world = self.world
        pairs = [key for key, made in world.step.pair.items() if self._true(made)]
        labels = self._labels(world.step, pairs)
        whats = self._whats(pairs)
        made = []
        for key in pairs:
            for number, what in enumerate(whats[key] or ["x"]):
                made.append(Effect(key[0], what, key[1], labels[key] if not number else ()))  # type: ignore[arg-type]
        path = self._text(world.text["path"]) if world.kind == "file" else ""
        made.sort(key=lambda effect: (effect.what != path, not effect.what.startswith("/")))
        if world.kind == "http":
            host = self._text(world.text["host"])
            made.sort(key=lambda effect: effect.zone not in HOST_ZONES or effect.what != host)
        return tuple(made)

    def _labels(self, doing: Doing, pairs: list[tuple[str, str]]) -> dict[tuple[str, str], tuple[str, ...]]:
        """Each label on the first effect of its verb."""
        first = {verb: key for key in reversed(pairs) for verb in (key[0],)}
        found: dict[tuple[str, str], list[str]] = {key: [] for key in pairs}
        for (verb, label), made in doing.mark.items():
            if self._true(made) and verb in first:
                found[first[verb]].append(_FREE_WORD if label == OTHER else label)
        return {key: tuple(sorted(labels)) for key, labels in found.items()}

    def _whats(self, pairs: list[tuple[str, str]]) -> dict[tuple[str, str], list[str]]:
        """What each effect is about, so that paths, hosts and sweeping verbs come out as in the model."""
        world = self.world
        whats: dict[tuple[str, str], list[str]] = {key: [] for key in pairs}
        swept = {v for v, made in world.sweeping.members.items() if self._true(made)}
        in_path = [key for key in pairs if key[1] in PATH_ZONES]
        path = self._text(world.text["path"]) if world.kind == "file" else ""
        free = path if path and path not in world.paths.members else _FREE_PATH
        for text in self._members(world.paths, free):
            fitting = [key for key in in_path if not is_sweeping(text) or key[0] in swept]
            if fitting:
                whats[fitting[0]].append(text)
        if path and not any(path in named for named in whats.values()) and pairs:
            key = next((key for key in pairs if key[1] not in (*PATH_ZONES, *HOST_ZONES)), pairs[0])
            whats[key].append(path)
        for verb in swept:
            if not any(key[0] == verb and any(map(is_sweeping, named)) for key, named in whats.items()):
                self._sweep(verb, pairs, whats)
        hosts = [
            _FREE_HOST if one == OTHER else one
            for one, made in world.hosts.members.items()
            if self._true(made)
        ]
        if world.kind == "http":
            host = self._text(world.text["host"])
            hosts = [
                host if one == _FREE_HOST and host and host not in world.hosts.members else one
                for one in hosts
            ]
        for number, key in enumerate(key for key in pairs if key[1] in HOST_ZONES):
            whats[key] = list(hosts) if not number else hosts[:1]
        return whats

    def _sweep(
        self, verb: str, pairs: list[tuple[str, str]], whats: dict[tuple[str, str], list[str]]
    ) -> None:
        ours = [key for key in pairs if key[0] == verb and key[1] not in HOST_ZONES]
        free = next(text for text in _FREE_SWEPT if text not in self.world.paths.members)
        named = [text for text in self._members(self.world.paths, free) if is_sweeping(text)]
        elsewhere = [key for key in ours if key[1] not in PATH_ZONES]
        inside = [key for key in ours if key[1] in PATH_ZONES]
        if inside and named:
            whats[inside[0]].append(named[0])
        elif elsewhere:
            whats[elsewhere[0]].append(free)

    def _others(self, step: Step) -> tuple[Step, ...]:
        """One more step with what the whole does and the step does not."""
        world = self.world
        own = {(effect.verb, effect.zone) for effect in step.effects}
        marked = {(effect.verb, label) for effect in step.effects for label in effect.labels}
        pairs = [key for key, made in world.whole.pair.items() if self._true(made) and key not in own]
        more = [
            (verb, _FREE_WORD if label == OTHER else label)
            for (verb, label), made in world.whole.mark.items()
            if self._true(made)
        ]
        left = [one for one in more if one not in marked]
        own_is_free = step.program not in world.programs.members  # then it is the "something else" among them
        free = step.program if own_is_free else _FREE_WORD
        programs = [one for one in self._members(world.programs, free) if one != step.program]
        count = int(self.model.eval(world.steps, model_completion=True).as_long())
        if count == 1 and not (pairs or left or programs):
            return ()
        effects = [Effect(verb, "x", zone) for verb, zone in pairs]  # type: ignore[arg-type]
        for verb, label in left:
            zone = next((z for v, z in (*pairs, *own) if v == verb), "workspace")
            effects.append(Effect(verb, "x", zone, (label,)))  # type: ignore[arg-type]
        names = programs or [step.program]
        rest = max(count - 1, len(names))
        return tuple(
            Step(names[min(number, len(names) - 1)], effects=tuple(effects) if not number else ())
            for number in range(min(rest, 50))
        )

    def _members(self, found: Set, free: str) -> tuple[str, ...]:
        return tuple(
            free if text == OTHER else text for text, made in found.members.items() if self._true(made)
        )

    def _true(self, made: Any) -> bool:
        return bool(self.z3.is_true(self.model.eval(made, model_completion=True)))

    def _text(self, made: Any) -> str:
        text = self.model.eval(made, model_completion=True).as_string()
        return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


__all__ = ["Concrete"]
