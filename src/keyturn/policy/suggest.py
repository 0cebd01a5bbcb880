"""From one held action to the narrowest rule that would have let it run: about what it does, not about its text.

Rules kept here:

- A rule is for one agent, one kind, one program with its subcommand, no option that was not used, no kind of effect and no
  label that was not there, and only beside what stood beside it: what the whole action did bounds the whole action.
- Words are lifted only where the effects say all: reading and writing inside the workspace, temporary files, and nothing else.
  Whatever deletes elsewhere than in temporary folders, or touches a path outside, is for those very paths. Whatever runs
  code, connects, sends, grants or configures, and whatever is no command, is for those very words.
- What was not fully understood, what policy refuses, what touches secrets, keys, raw devices, Keyturn itself, a whole home or
  an unknown place, has no rule.
- A rule is an exception of the holding rules that matched it (`@lifts`), and has an end where one is given.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from datetime import date
from hashlib import sha256

from msgspec import Struct

from keyturn.actions import Effect, Reading, Step
from keyturn.errors import KeyturnError
from keyturn.policy.context import is_sweeping, tool_name
from keyturn.policy.decision import Facts
from keyturn.policy.engine import Policy, StepAnswer, named

_LIFTED_VERBS = frozenset(("reads", "writes", "deletes"))
_LIFTED_ZONES = frozenset(("workspace", "temporary", "device"))
_NO_RULE_ZONES = frozenset(("keyturn", "unknown"))
_NO_RULE_LABELS = frozenset(("secret", "private-key", "raw-device"))
MAX_WORDS = 2_000
"""Characters of all texts in one rule; longer than that nobody reads it."""


class NoRule(KeyturnError):
    """No rule can be proposed for this action."""

    code = "policy.no_rule"
    status = 409
    not_done = "No rule was proposed."
    next_step = "Write one by hand where it is right (how-to/write-policy), or approve this action with a time (`keyturn approve --for`)."


class Suggestion(Struct, frozen=True):
    """Cedar text of the rules, their ids, the rules that they lift, and what a reader must know before asking for them."""

    text: str
    rules: tuple[str, ...]
    lifts: tuple[str, ...]
    warnings: tuple[str, ...]


def suggest(
    policy: Policy, kind: str, reading: Reading, facts: Facts, *, until: date | None, because: str
) -> Suggestion:
    """The rules that would let this action run, and as little else as can be said. Raises `NoRule`."""
    if not reading.complete or reading.unread or not reading.steps:
        raise NoRule("It was not understood completely, so no rule lets it run.")
    whole = tuple(effect for step in reading.steps for effect in step.effects)
    _refuse(whole)
    texts: list[str] = []
    ids: list[str] = []
    lifts: list[str] = []
    warnings: list[str] = []
    for step, answer in zip(reading.steps, policy.answers(kind, reading, facts), strict=True):
        if answer.verdict == "run":
            continue
        lifted = _lifts(step, answer)
        conditions = tuple(_conditions(kind, step, whole, facts))
        name = f"always-{_slug(step)}-{sha256(repr((facts.agent, conditions)).encode()).hexdigest()[:8]}"
        if name in ids:
            continue
        texts.append(_rule(name, because, kind, facts.agent, conditions, lifted, until))
        ids.append(name)
        lifts += lifted
        warnings += _warnings(step)
    if not texts:
        raise NoRule("Every step of it is let run already; something else held it.")
    text = "\n".join(texts)
    if len(text) > MAX_WORDS * len(texts):
        raise NoRule("The rule would be longer than anybody reads.")
    return Suggestion(text, tuple(ids), tuple(dict.fromkeys(lifts)), tuple(dict.fromkeys(warnings)))


def _refuse(effects: Iterable[Effect]) -> None:
    for effect in effects:
        if effect.zone in _NO_RULE_ZONES:
            raise NoRule(
                f"It {effect.verb} {effect.what or effect.zone}, and nobody can say beforehand what that is."
            )
        if effect.verb in ("writes", "deletes") and is_sweeping(effect.what):
            raise NoRule(f"It {effect.verb} {effect.what}, a whole home or system folder.")
        found = _NO_RULE_LABELS.intersection(effect.labels)
        if found:
            raise NoRule(f"It {effect.verb} {effect.what}, which is labelled {', '.join(sorted(found))}.")


def _lifts(step: Step, answer: StepAnswer) -> list[str]:
    if answer.verdict == "refuse":
        rule = next(rule for rule in answer.matched if rule.verdict == "refuse")
        raise NoRule(f"The rule {rule.id} refuses {named(step)}: {rule.because}.")
    if answer.failed:
        raise NoRule(f"The rules could not be evaluated for {named(step)}.")
    holding = [rule for rule in answer.matched if rule.verdict == "hold"]
    if any(rule.overlay for rule in holding):
        raise NoRule("A rule of the workspace holds it; only whoever keeps the workspace changes that.")
    return [rule.id for rule in holding]


def _conditions(kind: str, step: Step, whole: Sequence[Effect], facts: Facts) -> Iterable[str]:
    """What has to hold, narrowest first."""
    yield f"context.program == {_text(step.program)}"
    yield f"context.subcommand == {_text(step.subcommand)}"
    yield _within(step.options, "options")
    yield _within((e.key for e in step.effects), "effects")
    yield _within((f"{e.verb}:{label}" for e in step.effects for label in e.labels), "labelled")
    yield _within((e.verb for e in step.effects if is_sweeping(e.what)), "sweeping")
    yield _within((e.key for e in whole), "whole.effects")
    yield _within((label for e in whole for label in e.labels), "whole.labels")
    yield f"context.target == {_text(facts.target)}"
    if kind == "tool":
        server, tool = tool_name(step)
        yield f"context.server == {_text(server)} && context.tool == {_text(tool)}"
    hosts = [e.what for e in step.effects if e.zone in ("network", "loopback")]
    yield _within(hosts, "hosts")
    if kind != "shell" or not lifted(step):
        if kind != "shell" or _acts(step):
            yield f"context.words == {_text(' '.join(step.argv))}"
            yield _within(step.argv, "argv")
        yield _within((e.what for e in step.effects if e.what.startswith("/")), "paths")


def lifted(step: Step) -> bool:
    """Whether the effects say all about *step*, so that its words need not be the same."""
    return all(
        effect.verb in _LIFTED_VERBS
        and effect.zone in _LIFTED_ZONES
        and (effect.verb != "deletes" or effect.zone != "workspace")
        for effect in step.effects
    ) and bool(step.effects)


def _acts(step: Step) -> bool:
    """Whether it does something that its kinds of effect and its paths do not say all about."""
    return not step.effects or any(effect.verb not in _LIFTED_VERBS for effect in step.effects)


def _warnings(step: Step) -> Iterable[str]:
    if any(effect.verb == "executes" for effect in step.effects):
        yield (
            f"{named(step)} runs code: the rule lets it run whatever stands there then, and the agent may have written it."
        )
    if any(effect.verb in ("sends", "connects") for effect in step.effects):
        yield f"{named(step)} talks to another machine each time, and nobody is asked."
    if any(effect.labels for effect in step.effects):
        labels = sorted({label for effect in step.effects for label in effect.labels})
        yield f"{named(step)} touches what is labelled {', '.join(labels)}."


def _rule(
    name: str,
    because: str,
    kind: str,
    agent: str,
    conditions: Sequence[str],
    lifts: Sequence[str],
    until: date | None,
) -> str:
    notes = [f'@id("{name}")', f"@because({_text(because)})"]
    if until is not None:
        notes.append(f'@until("{until.isoformat()}")')
    if lifts:
        notes.append(f'@lifts("{", ".join(lifts)}")')
    body = " &&\n  ".join(conditions)
    scope = f'permit(principal == Agent::{_text(agent)}, action == Action::"{kind}", resource)'
    return "\n".join([*notes, scope, f"when {{\n  {body}\n}};\n"])


def _slug(step: Step) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", f"{step.program} {step.subcommand}".lower()).strip("-")
    return words[:40].strip("-") or "step"


def _text(value: str) -> str:
    """*value* as a Cedar text. Raises `NoRule` for what can't be seen: a rule is read by people."""
    if not value.isprintable():
        raise NoRule("A word of it has characters that can't be seen; a rule with them can't be read.")
    if not value.isascii():
        raise NoRule("A word of it has letters beyond ASCII, which may look like others.")
    return json.dumps(value)


def _within(values: Iterable[str], attribute: str) -> str:
    """No value of *attribute* but these."""
    known = tuple(values)
    return f"{_set(known)}.containsAll(context.{attribute})" if known else f"context.{attribute}.isEmpty()"


def _set(values: Iterable[str]) -> str:
    return "[" + ", ".join(_text(value) for value in sorted(set(values))) + "]"


__all__ = ["NoRule", "Suggestion", "lifted", "suggest"]
