"""What a property claims: the formula that would break it, and how the engine is asked whether a real action does."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from keyturn.actions import Reading
from keyturn.policy.decision import Facts
from keyturn.policy.engine import Policy
from keyturn.policy.problems import PolicyInvalid
from keyturn.policy.proving.encode import Encoder
from keyturn.policy.proving.errors import PropertyMalformed
from keyturn.policy.rules import Rule
from keyturn.policy.vocabulary import KINDS
from keyturn.requirement import InvalidRequirement, parse_requirement

_VERDICT = re.compile(r"(never|always) (run|hold|refuse)(?: when (.+))?", re.DOTALL)
_ASKS = re.compile(r"every hold asks at least (\d{1,2}) (?:people|person)(?: when (.+))?", re.DOTALL)
_IMPLIES = re.compile(r"rule (\S+) implies rule (\S+)")
_SHADOWED = re.compile(r"rule (\S+) is shadowed")
_NO_NEW = re.compile(r"no new run(?: since (\S+))?")
_QUOTED = re.compile(r'("(?:[^"\\]|\\.)*")')
_HAS = re.compile(r"\b(?<!\.)([a-z_]+) has $")


class Claim(Struct, frozen=True):
    """What to look for: rules to encode, a formula that breaks the property, and the engine's check of a found action.

    `tightens`: what makes a decision stricter beside the rules can't break it, so every circumstance is looked at.
    """

    rules: list[Rule]
    breaks: Callable[[Encoder, dict[str, Any]], Any]
    broken: Callable[[str, Reading, Facts, int], bool]
    kinds: tuple[str, ...] = KINDS
    tightens: bool = True


# --- what is claimed --------------------------------------------------------------------------------------------------


def claim_of(z3: Any, policy: Policy, text: str, older: Policy | None) -> Claim:
    """What *text* claims of *policy*. Raises `PropertyMalformed`."""
    if found := _VERDICT.fullmatch(text):
        return _of_verdict(z3, policy, found[1] == "always", found[2], found[3])
    if found := _ASKS.fullmatch(text):
        return _of_people(z3, policy, int(found[1]), found[2])
    if found := _IMPLIES.fullmatch(text):
        return _of_rules(z3, policy, found[1], found[2])
    if found := _SHADOWED.fullmatch(text):
        return _of_shadow(z3, policy, found[1])
    if _NO_NEW.fullmatch(text):
        return _of_versions(z3, policy, older)
    raise PropertyMalformed(f"{text[:200]!r} is no property.")


def _of_verdict(z3: Any, policy: Policy, always: bool, verdict: str, when: str | None) -> Claim:
    given = Condition(policy, when)

    def breaks(encoder: Encoder, matches: dict[str, Any]) -> Any:
        is_so = verdicts(encoder, policy, matches)[verdict]
        return z3.And(given.formula(encoder), z3.Not(is_so) if always else is_so)

    def broken(kind: str, reading: Reading, facts: Facts, at: int) -> bool:
        decided = policy.decide(kind, reading, facts, at).would
        return given.holds(kind, reading, facts) and (decided == verdict) != always

    return Claim([*policy.rules, *given.rules], breaks, broken, given.kinds, not always and verdict == "run")


def _of_people(z3: Any, policy: Policy, least: int, when: str | None) -> Claim:
    given = Condition(policy, when)
    enough = [rule for rule in policy.rules if rule.asks is not None and _people(rule.asks.approve) >= least]
    by_default = _people(policy.default.approve) >= least

    def breaks(encoder: Encoder, matches: dict[str, Any]) -> Any:
        said = verdicts(encoder, policy, matches)
        asked = [said.counts[rule.id] for rule in enough if rule.id in said.counts]
        silent = z3.Or(said.silent, z3.Not(encoder.world.complete))
        holding = [
            said.counts[rule.id] for rule in policy.rules if rule.verdict == "hold" and rule.id in said.counts
        ]
        few = (
            z3.AtMost(*holding, 1) if holding else z3.BoolVal(True)
        )  # several rules together may ask more than each
        default = z3.BoolVal(by_default)
        return z3.And(
            given.formula(encoder), said["hold"], few, z3.Not(z3.Or([*asked, z3.And(silent, default)]))
        )

    def broken(kind: str, reading: Reading, facts: Facts, at: int) -> bool:
        decided = policy.decide(kind, reading, facts, at)
        return (
            decided.would == "hold"
            and given.holds(kind, reading, facts)
            and _people(decided.obligations.approve) < least
        )

    return Claim([*policy.rules, *given.rules], breaks, broken, given.kinds, tightens=False)


def _of_rules(z3: Any, policy: Policy, one: str, other: str) -> Claim:
    a, b = _rule(policy, one), _rule(policy, other)

    def breaks(encoder: Encoder, matches: dict[str, Any]) -> Any:
        return z3.And(matches[key(a)], z3.Not(matches.get(key(b), z3.BoolVal(False))))

    def broken(kind: str, reading: Reading, facts: Facts, at: int) -> bool:
        matched = {name for name in (a.id, b.id) if _alone(policy, name).decides(kind, reading, facts, at)}
        return matched == {a.id}

    return Claim([a, b] if a.id != b.id else [a], breaks, broken, tuple(k for k in KINDS if k in a.kinds))


def _of_shadow(z3: Any, policy: Policy, name: str) -> Claim:
    rule = _rule(policy, name)

    def breaks(encoder: Encoder, matches: dict[str, Any]) -> Any:
        said = verdicts(encoder, policy, matches)
        return z3.And(said.counts[rule.id], said[rule.verdict])

    def broken(kind: str, reading: Reading, facts: Facts, at: int) -> bool:
        decided = policy.decide(kind, reading, facts, at)
        return decided.would == rule.verdict and rule.id in {hit.rule for hit in decided.rules}

    return Claim(list(policy.rules), breaks, broken, tuple(k for k in KINDS if k in rule.kinds))


def _of_versions(z3: Any, policy: Policy, older: Policy | None) -> Claim:
    if older is None:
        raise PropertyMalformed("`no new run` needs the version to compare with: no new run since VERSION.")

    def breaks(encoder: Encoder, matches: dict[str, Any]) -> Any:
        before = {key(rule): encoder.rule(rule) for rule in older.rules if encoder.world.kind in rule.kinds}
        return z3.And(
            verdicts(encoder, policy, matches)["run"], z3.Not(verdicts(encoder, older, before)["run"])
        )

    def broken(kind: str, reading: Reading, facts: Facts, at: int) -> bool:
        return (
            policy.decide(kind, reading, facts, at).would
            == "run"
            != older.decide(kind, reading, facts, at).would
        )

    return Claim([*policy.rules, *(rule for rule in older.rules if rule not in policy.rules)], breaks, broken)


# --- the engine's semantics -------------------------------------------------------------------------------------------


class Said:
    """What the policy says of the step: formulas for each verdict, and for which rules count."""

    def __init__(self, run: Any, hold: Any, refuse: Any, counts: dict[str, Any], silent: Any) -> None:
        self._of = {"run": run, "hold": hold, "refuse": refuse}
        self.counts, self.silent = counts, silent

    def __getitem__(self, verdict: str) -> Any:
        return self._of[verdict]


def verdicts(encoder: Encoder, policy: Policy, matches: dict[str, Any]) -> Said:
    """The engine's rules (`keyturn.policy.engine`, `standing`) over the formulas of which rules match."""
    z3 = encoder.z3
    false = z3.BoolVal(False)
    rules = [rule for rule in policy.rules if key(rule) in matches]
    counts: dict[str, Any] = {}
    for rule in rules:
        lifting = [matches[key(one)] for one in rules if rule.id in one.lifts]
        lifted = rule.verdict == "hold" and not rule.overlay and lifting
        made = matches[key(rule)]
        counts[rule.id] = z3.And(made, z3.Not(z3.Or(lifting))) if lifted else made
    some = {
        v: z3.Or([false, *(counts[r.id] for r in rules if r.verdict == v)]) for v in ("run", "hold", "refuse")
    }
    silent = z3.Not(z3.Or([false, *(counts[rule.id] for rule in rules if not rule.overlay)]))
    refuse = some["refuse"]
    run = z3.And(z3.Not(refuse), z3.Not(some["hold"]), some["run"], encoder.world.complete)
    return Said(run, z3.And(z3.Not(refuse), z3.Not(run)), refuse, counts, silent)


class Condition:
    """`when …`: a Cedar expression, as a rule of every kind for which it is valid. Without one, always so."""

    def __init__(self, policy: Policy, text: str | None) -> None:
        self._policies: dict[str, Policy] = {}
        self.kinds: tuple[str, ...] = KINDS
        self._text = text
        if text is None:
            return
        wrong: PolicyInvalid | None = None
        for kind in KINDS:
            try:
                self._policies[kind] = _parsed(policy, kind, _cedar(text))
            except PolicyInvalid as error:
                wrong = wrong or error
        if not self._policies and wrong is not None:
            raise PropertyMalformed(f"The condition can't be read: {wrong.problems[0].message}.")
        self.kinds = tuple(self._policies)

    @property
    def rules(self) -> list[Rule]:
        """The condition as rules, one a kind."""
        return [policy.rules[0] for policy in self._policies.values()]

    def formula(self, encoder: Encoder) -> Any:
        """Whether it holds."""
        if self._text is None:
            return encoder.z3.BoolVal(True)
        return encoder.rule(self._policies[encoder.world.kind].rules[0])

    def holds(self, kind: str, reading: Reading, facts: Facts) -> bool:
        """Whether it holds of a real action's first step, as Cedar evaluates it."""
        if self._text is None:
            return True
        return bool(self._policies[kind].answers(kind, reading, facts)[0].matched)


def _parsed(policy: Policy, kind: str, condition: str) -> Policy:
    rule = f'@id("property")\n@because("a property")\npermit(principal, action == Action::"{kind}", resource) when {{ {condition} }};\n'
    kept = {path: data for path, data in policy.files.items() if path in ("policy.toml", "resources.toml")}
    return Policy.parse({**kept, "rules/property.cedar": rule.encode()})


def _cedar(text: str) -> str:
    """The short forms as Cedar: outside of quotes `and`, `or`, `not`; `SET has "x"`."""
    parts = _QUOTED.split(text)
    made = ""
    for number, part in enumerate(parts):
        if number % 2:
            has = _HAS.search(made)
            made = f"{made[: has.start()]}context.{has[1]}.contains({part})" if has else made + part
            continue
        for word, sign in (("and", "&&"), ("or", "||"), ("not", "!")):
            part = re.sub(rf"\b{word}\b", sign, part)
        made += part
    return made


class _Single:
    """One rule alone."""

    def __init__(self, rule: Rule, policy: Policy) -> None:
        self._rule, self._policy = rule, policy

    def decides(self, kind: str, reading: Reading, facts: Facts, at: int) -> bool:
        """Whether the rule matches the first step."""
        if self._rule.until is not None and at >= self._rule.until:
            return False
        return bool(self._policy.answers(kind, reading, facts)[0].matched)


def _alone(policy: Policy, name: str) -> _Single:
    rule = _rule(policy, name)
    only = Policy(
        name=policy.name, mode="enforce", requirements=policy.requirements, labels=policy.labels, rules=(rule,), files={}, digest=""
    )  # fmt: skip
    return _Single(rule, only)


def _rule(policy: Policy, name: str) -> Rule:
    found = policy.rule(name)
    if found is None:
        raise PropertyMalformed(f"The policy has no rule {name!r}.")
    return found


def key(rule: Rule) -> str:
    """Rules of two versions may have the same id."""
    return f"{rule.id}\n{rule.chunk.text}"


def _people(requires: str) -> int:
    try:
        return sum(stage.need for stage in parse_requirement(requires).stages)
    except InvalidRequirement:
        return 0


__all__ = ["Claim", "Condition", "Said", "claim_of", "key", "verdicts"]
