"""Why an action was decided as it was: the deciding rules, the bytes they matched, and what would have let it run.

The nearest rule is the plain `permit` of that kind with the fewest conditions that do not hold for the step; each
condition is evaluated on its own by Cedar, so what is said to differ is what differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import cedarpy
import msgspec
from msgspec import Struct

from keyturn.actions import Content, FileEdit, HttpRequest, Reading, Shell
from keyturn.policy import context, vocabulary
from keyturn.policy.cedar_text import Part
from keyturn.policy.decision import Decision, Facts, Verdict
from keyturn.policy.engine import Policy, enforced, named
from keyturn.policy.risk import Risk, assess
from keyturn.policy.rules import Rule
from keyturn.policy.vocabulary import attribute_of, literals
from keyturn.resources import Surroundings, host_labels

MAX_CANDIDATES = 2000
"""Plain permits looked at when searching the nearest one."""

SHOWN_WORDS = 8
MAX_CONDITION = 300
"""Characters of a condition shown inside a sentence; `Difference.condition` has all of it."""


class Deciding(Struct, frozen=True):
    """A rule that decided: where it stands, its text, and the text of the step it matched."""

    rule: str
    verdict: Verdict
    file: str
    line: int
    because: str
    text: str
    step: int
    matched: str


class Difference(Struct, frozen=True):
    """A condition that does not hold: as written, and in words."""

    condition: str
    words: str


class Nearest(Struct, frozen=True):
    """The plain permit that came closest, and what kept it from letting the step run.

    Without `differences` it does match; then `words` says what stood in its way.
    """

    rule: str
    file: str
    line: int
    step: int
    differences: tuple[Difference, ...]
    words: str


class Explanation(Struct, frozen=True):
    """Everything needed to understand one decision. `nearest` is None when it runs, or no rule permits that kind.

    `risk` is that of a hold, as if the agent never asked for it before: its tier may ask for more than rules do.
    """

    decision: Decision
    sentence: str
    steps: tuple[str, ...]
    rules: tuple[Deciding, ...]
    reasons: tuple[str, ...]
    nearest: Nearest | None = None
    risk: Risk | None = None


def explain(
    policy: Policy, content: Content, reading: Reading, facts: Facts, at: int | None = None
) -> Explanation:
    """Explain what *policy* decides for *content*, which reads as *reading*, at *at* (milliseconds since 1970)."""
    kind = str(content.__struct_config__.tag)
    decision = policy.decide(kind, reading, facts, at)
    risk = None
    if decision.would == "hold":
        labels = host_labels(facts.target, Surroundings(labels=policy.labels))
        risk = assess(reading, target=facts.target, target_labels=labels)
        decision = policy.for_tier(decision, risk.tier)
    texts = tuple(matched_text(content, reading, number) for number in range(len(reading.steps)))
    deciding = []
    for hit in decision.rules:
        rule = policy.rule(hit.rule)
        text = rule.chunk.text if rule else ""
        deciding.append(
            Deciding(hit.rule, hit.verdict, hit.file, hit.line, hit.because, text, hit.step, texts[hit.step])
        )
    nearest = _nearest(policy, kind, reading, facts, decision) if decision.would != "run" else None
    return Explanation(decision, reading.sentence, texts, tuple(deciding), decision.reasons, nearest, risk)


def matched_text(content: Content, reading: Reading, number: int) -> str:
    """The bytes of *content* that step *number* comes from, as text."""
    step = reading.steps[number]
    if isinstance(content, Shell):
        start, end = step.span
        if end > start:
            return content.script.encode("utf-8", "surrogatepass")[start:end].decode("utf-8", "replace")
        return " ".join(step.argv) or step.program
    if isinstance(content, FileEdit):
        return f"{content.operation} {content.path}"
    if isinstance(content, HttpRequest):
        return f"{content.method} {content.url}"
    return f"{content.server}/{content.tool}" if content.server else content.tool


def _nearest(policy: Policy, kind: str, reading: Reading, facts: Facts, decision: Decision) -> Nearest | None:
    answers = enforced(policy).answers(kind, reading, facts)
    if not answers or len(answers) != len(reading.steps):
        return None
    strict = [n for n, answer in enumerate(answers) if answer.verdict == decision.would]
    unread = [n for n, step in enumerate(reading.steps) if not step.complete]
    number = next(iter(strict or unread), 0)
    step = reading.steps[number]
    shared = context.facts_part(facts) | {"whole": context.whole(reading.steps)}
    values = context.step_part(kind, step, reading) | shared
    judge = _Judge(context.request(kind, values, facts), context.entities(*_agent(facts)), values)
    best: tuple[tuple[int, int, int, int], Rule, list[tuple[str, Part]]] | None = None
    permits = [r for r in policy.rules if r.verdict == "run" and kind in r.kinds]
    permits.sort(key=lambda r: (r.programs is None, step.program not in (r.programs or ())))
    for order, rule in enumerate(permits[:MAX_CANDIDATES]):
        if best is not None and best[0][0] == 1 and rule.programs and step.program not in rule.programs:
            continue
        failing = judge.failing(rule)
        about_it = rule.programs is not None and step.program in rule.programs
        rank = (len(failing), 0 if about_it else 1, sum(judge.weight(part) for _, part in failing), order)
        if best is None or rank < best[0]:
            best = (rank, rule, failing)
        if rank[0] == 0:
            break
    if best is None:
        return None
    _, rule, failing = best
    differences = tuple(Difference(text, judge.words(text, part)) for text, part in failing)
    words = _words(policy, reading, decision, number, rule, differences)
    return Nearest(rule.id, rule.file, rule.line, number, differences, words)


def _agent(facts: Facts) -> tuple[str, str, bool]:
    return facts.agent, facts.client, facts.definition_known


def _words(
    policy: Policy,
    reading: Reading,
    decision: Decision,
    number: int,
    rule: Rule,
    differences: tuple[Difference, ...],
) -> str:
    step = named(reading.steps[number])
    if differences:
        return (
            f"Rule {rule.id} would let {step} run, but " + "; and ".join(d.words for d in differences) + "."
        )
    stricter = sorted({hit.rule for hit in decision.rules if hit.step == number})
    if stricter:
        verb = "refuses" if decision.would == "refuse" else "holds"
        return f"Rule {rule.id} lets {step} run, but {', '.join(stricter)} {verb} it, and the strictest rule wins."
    return f"Rule {rule.id} lets {step} run, but the action was not understood completely."


class _Judge:
    """Evaluates single conditions of rules for one step."""

    def __init__(
        self, request: dict[str, Any], entities: cedarpy.Entities, values: Mapping[str, Any]
    ) -> None:
        self._request, self._entities, self._values = request, entities, values

    def failing(self, rule: Rule) -> list[tuple[str, Part]]:
        """(text, part) of the rule's conditions that do not hold, its scope among them, in order."""
        failing = []
        scope = scope_text(rule)
        if not self._holds(f"permit{scope};"):
            failing.append((scope, Part("scope", scope, 0, 0)))
        for part in rule.chunk.parts():
            if not self._holds(f"permit(principal, action, resource) {part.kind} {{ {part.text} }};"):
                failing.append((f"{part.kind} {{ {part.text} }}", part))
        return failing

    def _holds(self, policy: str) -> bool:
        return cedarpy.is_authorized(
            self._request, cedarpy.PolicySet.from_str(policy), self._entities
        ).allowed

    def words(self, text: str, part: Part) -> str:
        """What differs, in words; the condition itself where no words are known for its form."""
        if part.kind == "scope":
            return f"it is for other agents or targets: {text}"
        expression = _expression(part)
        excluding = part.kind == "unless"
        if isinstance(inner := expression.get("!"), dict):
            expression, excluding = inner["arg"], not excluding
        found = next(self._said(expression, excluding), None)
        return found or f"this does not hold: {_short(text)}"

    def weight(self, part: Part) -> int:
        """How much of the step a failing condition objects to: the words too many for a list, else one."""
        body = _expression(part).get("containsAll") if part.kind == "when" else None
        if not isinstance(body, dict) or not (attribute := attribute_of(body.get("right"))):
            return 1
        mine = self._values.get(attribute)
        return len(set(mine) - set(literals(body.get("left")))) if isinstance(mine, list) else 1

    def _said(self, expression: dict[str, Any], excluding: bool) -> Iterator[str]:
        (operator, body), *_ = expression.items()
        if not isinstance(body, dict):
            return
        left, right = body.get("left"), body.get("right")
        for attribute, operand in ((attribute_of(left), right), (attribute_of(right), left)):
            if attribute not in self._values or attribute not in vocabulary.attribute_names():
                continue
            mine, listed = self._values[attribute], list(literals(operand))
            words = _difference(operator, attribute, mine, listed, attribute_of(left) == attribute, excluding)
            if words:
                yield words


def _expression(part: Part) -> dict[str, Any]:
    policy = f"permit(principal, action, resource) {part.kind} {{ {part.text} }};"
    parsed = msgspec.json.decode(cedarpy.policies_to_json_str(policy))
    body: dict[str, Any] = next(iter(parsed["staticPolicies"].values()))["conditions"][0]["body"]
    return body


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= MAX_CONDITION else plain[: MAX_CONDITION - 1] + "…"


def scope_text(rule: Rule) -> str:
    """The parenthesised scope of a rule, as written."""
    tokens = [t for t in rule.chunk.tokens if t.start >= rule.chunk.head.start]
    depth = 0
    for token in tokens:
        if token.kind == "mark":
            depth += (token.text in "([{") - (token.text in ")]}")
            if token.text == ")" and depth == 0:
                return rule.chunk.source.text[rule.chunk.head.end : token.end]
    return "(principal, action, resource)"


def _difference(
    operator: str, name: str, mine: Any, listed: list[str], attribute_first: bool, excluding: bool
) -> str:
    """Words for the common forms of conditions that fail; empty for the others."""
    if isinstance(mine, list):
        if excluding and operator in ("contains", "containsAny", "containsAll") and attribute_first:
            return f"{name} has {_listing(sorted(set(mine) & set(listed)))}"
        if operator == "containsAll" and not attribute_first and not excluding:
            return f"{name} also has {_listing(sorted(set(mine) - set(listed)))}, which it does not list"
        if operator in ("contains", "containsAny", "containsAll") and not excluding:
            return f"{name} ({_listing(mine)}) lacks {_listing(sorted(set(listed) - set(mine)))}"
        return ""
    shown = "empty" if mine == "" else f"{mine!r}" if isinstance(mine, str) else str(mine).lower()
    if operator in ("==", "contains") and listed:
        relation = "which it excludes" if excluding else f"not {_listing(listed, 'or')}"
        return f"{name} is {shown}, {relation}"
    if operator == "like":
        return f"{name} is {shown}"
    return ""


def _listing(words: list[str], last: str = "and") -> str:
    if not words:
        return "nothing"
    shown = [f"'{word}'" for word in words[:SHOWN_WORDS]]
    if len(words) > SHOWN_WORDS:
        return ", ".join(shown) + f" {last} {len(words) - SHOWN_WORDS} more"
    return f" {last} ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
