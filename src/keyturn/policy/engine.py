"""Reading + facts → decision.

Rules kept here (design §2.2, §2.3, §7):

- `forbid` refuses, `permit` with `@hold` holds, plain `permit` runs, nothing matched holds; the strictest wins,
  over all rules that match a step and over all steps of an action.
- A reading that is not complete, or has no steps, never runs by a rule, whatever the rules say.
- A rule that could not be evaluated holds: had it been a `forbid`, it would have refused.
- What a workspace adds (`tighten`) never takes the place of the policy's own answer.
- A freeze (`requirements.freezes`) makes a decision stricter while it is on, never milder; so do drift (`drift.holding`) and an agent's
  definition that people have not approved (`drift.definitions`).
- In observe mode a hold runs and says what it would have been; a refusal, and a failed evaluation, stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cedarpy
from msgspec import Struct
from msgspec.structs import replace

from keyturn.actions import Reading, Step
from keyturn.policy import context, obligations, standing
from keyturn.policy.cedar_text import Source
from keyturn.policy.clauses import FILE as CLAUSES_FILE
from keyturn.policy.clauses import Clause, read_clauses
from keyturn.policy.decision import Decision, Facts, Mode, Obligations, RuleHit, Verdict
from keyturn.policy.drift import FILE as DRIFT_FILE
from keyturn.policy.drift import NO_DRIFT, DriftRules, read_drift
from keyturn.policy.drift.definitions import under
from keyturn.policy.drift.holding import demands, stricter
from keyturn.policy.drift.labels import unknown_labels
from keyturn.policy.folder import (
    check_files,
    digest,
    read_folder,
    read_labels,
    read_settings,
)
from keyturn.policy.memory import Memory
from keyturn.policy.problems import PolicyInvalid, Problem, nearest
from keyturn.policy.profiles import FILE, NO_PROFILES, Profiles, read_profiles
from keyturn.policy.programs import Descriptions, read_programs
from keyturn.policy.requirements import NO_REQUIREMENTS, Requirements, read_requirements
from keyturn.policy.requirements.freezes import covering, freeze
from keyturn.policy.rules import MAX_RULES, Rule, rules_of
from keyturn.policy.slices import Slice, Slices
from keyturn.policy.vocabulary import KINDS, Words
from keyturn.recent import Recent
from keyturn.resources import Label

MAX_STEPS = 2000
"""An action with more steps is held: nobody reads it, and evaluating it would take too long."""

SAME = 1024
"""Readings of one generation whose decisions are found by what they are, not by what they say."""
MAX_REASONS = 20
_STRICTNESS: dict[Verdict, int] = {"run": 0, "hold": 1, "refuse": 2}


class StepAnswer(Struct, frozen=True):
    """What the rules say about one step. `matched` are all rules that did; `failed` why evaluation did not work."""

    verdict: Verdict
    matched: tuple[Rule, ...] = ()
    unmatched: bool = False
    failed: str = ""


class Policy:
    """One version of a policy, parsed and ready. Immutable; deciding twice gives the same decision."""

    def __init__(
        self,
        *,
        name: str,
        mode: Mode,
        requirements: Requirements,
        labels: tuple[Label, ...],
        rules: tuple[Rule, ...],
        files: Mapping[str, bytes],
        digest: str,
        programs: Descriptions = (),
        profiles: Profiles = NO_PROFILES,
        drift: DriftRules = NO_DRIFT,
        clauses: tuple[Clause, ...] = (),
    ) -> None:
        self.name = name
        self.mode = mode
        self.requirements = requirements
        self.default = requirements.default
        self.labels = labels
        self.rules = rules
        self.files = dict(files)
        self.programs = programs
        self.profiles = profiles
        self.drift = drift
        self.clauses = clauses
        self.digest = digest
        self._ending = tuple(rule for rule in rules if rule.until is not None)
        self._mentions: dict[str, bool] = {}
        self._slices = Slices(rules)
        self._memory = Memory()
        self._same: Recent[tuple[int, str, Facts, frozenset[str]], tuple[Reading, Decision]] = Recent(SAME)

    @staticmethod
    def parse(files: Mapping[str, bytes]) -> Policy:
        """A policy out of {relative path: bytes}. Raises `PolicyInvalid` naming every mistake, with its place."""
        return parse(files)

    def mentions(self, word: str) -> bool:
        """Whether any rule has *word* in its text, so that what it stands for may matter to an answer."""
        known = self._mentions.get(word)
        if known is None:
            rules = (data for name, data in self.files.items() if name.endswith(".cedar"))
            known = self._mentions[word] = any(word.encode() in data for data in rules)
        return known

    def rule(self, name: str) -> Rule | None:
        """The rule with that `@id`."""
        return next((rule for rule in self.rules if rule.id == name), None)

    def decide(self, kind: str, reading: Reading, facts: Facts, at: int | None = None) -> Decision:
        """The decision for an action of *kind* with this reading. Never raises for what an agent can send.

        *at* is when (milliseconds since 1970); without it no freeze is looked at, nor what people know of the definition.
        """
        seen = replace(facts, told=()) if facts.told else facts
        decision = self._remembered(kind, reading, seen, standing.ended(self._ending, at))
        if at is not None:
            decision = under(decision, facts.definition, self.drift.definitions, reading, self.default)
        freezes = self.requirements.freezes
        if at is not None and freezes:
            decision = freeze(decision, covering(freezes, reading, facts, at), self.default)
        return stricter(decision, demands(self.drift, facts), self.default)

    def for_tier(self, decision: Decision, tier: str) -> Decision:
        """A hold, with what *tier* asks for at least (`requirements.tiers`); where nobody could meet it, a refusal."""
        if decision.verdict != "hold":
            return decision
        try:
            asked = self.requirements.for_tier(decision.obligations, tier)
        except obligations.TooManyPeople as error:
            reasons = (*decision.reasons, f"Refused: {error}.")
            return replace(
                decision, verdict="refuse", would="refuse", reasons=reasons, obligations=Obligations()
            )
        return decision if asked == decision.obligations else replace(decision, obligations=asked)

    def _remembered(self, kind: str, reading: Reading, facts: Facts, over: frozenset[str]) -> Decision:
        key = (kind, reading.complete, reading.steps, reading.unread, facts, over)
        same = (
            id(reading),
            kind,
            facts,
            over,
        )  # most readings come from memory: then no step has to be hashed
        try:
            kept = self._same.get(same)
            if kept is not None and kept[0] is reading:
                return kept[1]
            known = self._memory.get(key)
        except TypeError:  # something unhashable stands in it: decide afresh
            return self.decide_afresh(kind, reading, facts, over)
        if known is None:
            known = self.decide_afresh(kind, reading, facts, over)
            self._memory.put(key, known)
        if self._memory.get(key) is known:  # it is not too large to be kept
            self._same.keep(same, (reading, known))
        return known

    def decide_afresh(
        self, kind: str, reading: Reading, facts: Facts, over: frozenset[str] = frozenset()
    ) -> Decision:
        """`decide` without the memory: the same answer, evaluated now. *over* are rules that have ended."""
        answers = self.answers(kind, reading, facts, over)
        return _Verdicts(self, reading, answers).decision()

    def answers(
        self, kind: str, reading: Reading, facts: Facts, over: frozenset[str] = frozenset()
    ) -> tuple[StepAnswer, ...]:
        """What the rules say about each step, before completeness and mode are looked at."""
        if kind not in KINDS:
            return tuple(
                StepAnswer("hold", failed=f"no rule can speak of actions of kind {kind!r}")
                for _ in reading.steps
            )
        if len(reading.steps) > MAX_STEPS:
            return (StepAnswer("hold", failed=f"it has more than {MAX_STEPS:,} steps"),)
        try:
            requests, slices, entities = self._requests(kind, reading, facts)
        except (ValueError, RecursionError) as error:
            return tuple(StepAnswer("hold", failed=str(error)) for _ in reading.steps)
        return tuple(
            _evaluate(slice_, request, entities, over)
            for slice_, request in zip(slices, requests, strict=True)
        )

    def _requests(
        self, kind: str, reading: Reading, facts: Facts
    ) -> tuple[list[dict[str, Any]], list[Slice], cedarpy.Entities]:
        shared = context.facts_part(facts)
        shared["whole"] = context.whole(reading.steps)
        requests = [
            context.request(kind, context.step_part(kind, step, reading) | shared, facts)
            for step in reading.steps
        ]
        slices = [self._slices.of(kind, step.program) for step in reading.steps]
        return requests, slices, context.entities(facts.agent, facts.client, facts.definition_known)


def load(folder: Path) -> Policy:
    """The policy in *folder*. Raises `PolicyInvalid`, `OSError`."""
    return parse(read_folder(folder))


def parse(files: Mapping[str, bytes]) -> Policy:
    """A policy out of {relative path: bytes}, or `PolicyInvalid` with every mistake found."""
    problems = check_files(files)
    name, mode, wrong = read_settings(files["policy.toml"]) if "policy.toml" in files else ("", "enforce", [])
    problems += wrong
    requirements = NO_REQUIREMENTS
    labels: tuple[Label, ...] = ()
    if "requirements.toml" in files:
        requirements, wrong = read_requirements(files["requirements.toml"])
        problems += wrong
    if "resources.toml" in files:
        labels, wrong = read_labels(files["resources.toml"])
        problems += wrong
    profiles = NO_PROFILES
    if FILE in files:
        profiles, wrong = read_profiles(files[FILE])
        problems += wrong
    drift = NO_DRIFT
    if DRIFT_FILE in files:
        drift, wrong = read_drift(files[DRIFT_FILE])
        problems += wrong
        problems += unknown_labels(files[DRIFT_FILE], drift, [label.name for label in labels])
    rules, wrong = parse_rules(files, "rules/", requirements, labels)
    problems += wrong
    clauses: tuple[Clause, ...] = ()
    # Of a policy that can't be read, it can't be said what is in it.
    if CLAUSES_FILE in files and not problems:
        clauses, wrong = read_clauses(files[CLAUSES_FILE], rules, drift, requirements)
        problems += wrong
    programs, wrong = read_programs(files)
    problems += wrong
    if problems:
        raise PolicyInvalid(problems)
    return Policy(
        name=name,
        mode=mode,
        requirements=requirements,
        labels=labels,
        rules=rules,
        files=files,
        digest=digest(files),
        programs=programs,
        profiles=profiles,
        drift=drift,
        clauses=clauses,
    )


def parse_rules(
    files: Mapping[str, bytes],
    folder: str,
    requirements: Requirements,
    labels: Sequence[Label],
    *,
    overlay: bool = False,
    taken: Sequence[Rule] = (),
) -> tuple[tuple[Rule, ...], list[Problem]]:
    """The rules of all `.cedar` files under *folder*; ids must differ from each other and from those *taken*."""
    words = Words(label.name for label in labels)
    rules: list[Rule] = []
    problems: list[Problem] = []
    seen = {rule.id: rule for rule in taken}
    for path in sorted(name for name in files if name.startswith(folder) and name.endswith(".cedar")):
        try:
            source = Source(path, files[path].decode("utf-8"))
        except UnicodeDecodeError:
            problems.append(Problem(path, 0, 0, "this is not UTF-8 text"))
            continue
        found, wrong = rules_of(source, requirements, words, overlay=overlay)
        problems += wrong
        for rule in found:
            if rule.id in seen:
                other = seen[rule.id]
                token = rule.chunk.annotation("id") or rule.chunk.head
                message = f"the @id {rule.id} is used already, at {other.file}:{other.line}"
                problems.append(source.problem(token.start, token.end, message))
            seen[rule.id] = rule
        rules += found
    if not overlay:
        for rule, name, message in standing.wrong_lifts(rules):
            token = rule.chunk.annotation("lifts") or rule.chunk.head
            hint = nearest(name, [one.id for one in rules if one.verdict == "hold"])
            problems.append(rule.chunk.source.problem(token.start, token.end, message, hint))
    if len(rules) > MAX_RULES:
        problems.append(Problem(folder, 0, 0, f"there are more than {MAX_RULES:,} rules"))
    return tuple(rules), problems


def _evaluate(
    slice_: Slice, request: dict[str, Any], entities: cedarpy.Entities, over: frozenset[str]
) -> StepAnswer:
    """One step against its slice. Whatever goes wrong inside the evaluator holds, and says so."""
    try:
        result = cedarpy.is_authorized(request, slice_.handle, entities)
        matched = slice_.named(result.diagnostics.reasons)
    except (LookupError, ValueError) as error:
        return StepAnswer("hold", failed=f"the policy engine failed ({error})")
    verdict: Verdict = max((rule.verdict for rule in matched), key=_STRICTNESS.__getitem__, default="hold")
    failed = "; ".join(sorted(map(str, result.diagnostics.errors)))
    if failed or result.decision is cedarpy.Decision.NoDecision:
        stays: Verdict = "refuse" if verdict == "refuse" else "hold"
        return StepAnswer(stays, matched, failed=failed or "the policy engine gave no decision")
    if result.allowed == (verdict == "refuse" or not matched):
        return StepAnswer("hold", matched, failed="the policy engine's decision and its rules disagree")
    counts = standing.counting(matched, over)
    if counts is not matched and counts != matched:
        verdict = max((rule.verdict for rule in counts), key=_STRICTNESS.__getitem__, default="hold")
    return StepAnswer(verdict, counts, unmatched=all(rule.overlay for rule in counts))


class _Verdicts:
    """The answers of all steps, becoming one decision."""

    def __init__(self, policy: Policy, reading: Reading, answers: Sequence[StepAnswer]) -> None:
        self.policy, self.reading, self.answers = policy, reading, answers
        self.failed = any(answer.failed for answer in answers)
        self.complete = (
            reading.complete and all(step.complete for step in reading.steps) and not reading.unread
        )
        verdict: Verdict = max((a.verdict for a in answers), key=_STRICTNESS.__getitem__, default="hold")
        if verdict == "run" and not self.complete:
            verdict = "hold"
        self.asks, self.too_many = Obligations(), ""
        if verdict == "hold":
            try:
                self.asks = obligations.merge(self._asked())
            except obligations.TooManyPeople as error:
                verdict, self.too_many = "refuse", str(error)
        self.would = verdict

    def decision(self) -> Decision:
        """The decision in the policy's mode."""
        observed = self.policy.mode == "observe" and self.would == "hold" and not self.failed
        return Decision(
            verdict="run" if observed else self.would,
            policy=self.policy.digest,
            mode=self.policy.mode,
            would=self.would,
            complete=self.complete,
            rules=tuple(self._hits()),
            reasons=tuple(self._reasons(observed)),
            obligations=self.asks,
        )

    def _asked(self) -> list[Obligations]:
        """What every cause of the hold asks for: each holding rule, and the default where no rule spoke."""
        asked = [
            rule.asks for a in self.answers for rule in a.matched if rule.verdict == "hold" and rule.asks
        ]
        silent = any(answer.unmatched or answer.failed for answer in self.answers)
        if silent or not self.complete or not asked:
            asked.append(self.policy.default)
        return asked

    def _hits(self) -> list[RuleHit]:
        hits = []
        for number, answer in enumerate(self.answers):
            for rule in answer.matched:
                if rule.verdict == self.would:
                    span = self.reading.steps[number].span
                    hits.append(
                        RuleHit(rule.id, rule.verdict, number, rule.file, rule.line, span, rule.because)
                    )
        return hits

    def _reasons(self, observed: bool) -> list[str]:
        words = list(dict.fromkeys(self._all_reasons()))
        if len(words) > MAX_REASONS:
            words = [*words[:MAX_REASONS], f"And {len(words) - MAX_REASONS} more."]
        if observed:
            words.insert(0, "Observe mode let this run; enforce mode would have held it.")
        return words

    def _all_reasons(self) -> list[str]:
        words = [f"{_sentence(hit.because)} [rule {hit.rule}]" for hit in self._hits()]
        if self.too_many:
            words.append(f"Refused: {self.too_many}.")
        if self.would == "run":
            lifting = (rule for answer in self.answers for rule in answer.matched if rule.lifts)
            words += [f"It is an exception of {', '.join(r.lifts)}. [rule {r.id}]" for r in lifting]
        if self.would != "hold":
            return words
        words += [
            f"The rules could not be evaluated: {a.failed.rstrip('.')}." for a in self.answers if a.failed
        ]
        words += [
            f"Bytes {u.start}–{u.end} were not understood: {u.why.rstrip('.')}." for u in self.reading.unread
        ]
        if not self.complete and not self.reading.unread:
            words.append("It was not understood completely.")
        if not self.reading.steps:
            words.append("Nothing was found in it that a rule could speak of.")
        for step, answer in zip(self.reading.steps, self.answers, strict=False):
            if answer.unmatched:
                words.append(f"No rule allows {named(step)}{_doing(step)}.")
        return words


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:].rstrip(".") + "."


def named(step: Step) -> str:
    """How a step is called in sentences."""
    return f"`{step.program} {step.subcommand}`" if step.subcommand else f"`{step.program}`"


def _doing(step: Step) -> str:
    keys = list(dict.fromkeys(effect.key for effect in step.effects))
    if not keys:
        return ""
    shown = ", ".join(keys[:6]) + (", …" if len(keys) > 6 else "")
    return f" to do what it would ({shown})"


def enforced(policy: Policy) -> Policy:
    """The same policy in enforce mode, for its tests: what it says must not depend on whether it is observed."""
    if policy.mode == "enforce":
        return policy
    return Policy(
        name=policy.name,
        mode="enforce",
        requirements=policy.requirements,
        labels=policy.labels,
        rules=policy.rules,
        files=policy.files,
        digest=policy.digest,
        programs=policy.programs,
        profiles=policy.profiles,
        drift=policy.drift,
    )


__all__ = ["MAX_STEPS", "Policy", "StepAnswer", "enforced", "load", "named", "parse", "parse_rules"]
