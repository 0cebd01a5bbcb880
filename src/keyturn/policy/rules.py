"""Rules: Cedar policies with `@id` and `@because`, each knowing where it stands and what its hold asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
from typing import Any

import cedarpy
import msgspec
from msgspec import Struct

from keyturn.policy import standing, vocabulary
from keyturn.policy.asking import ASKS, ask
from keyturn.policy.cedar_text import Chunk, Source, Token, chunks
from keyturn.policy.decision import Obligations, Verdict
from keyturn.policy.problems import Problem, nearest
from keyturn.policy.requirements.model import Requirements
from keyturn.policy.vocabulary import Words

MAX_RULES = 20_000
_ID = re.compile(r"[a-z][a-z0-9._-]{0,79}", re.ASCII)
_ABSENT = re.compile(r'attribute `([^`]*)` in context for Action::"\w+" not found')
_QUOTED = re.compile(r"`([^`]*)`|'([^']+)'")


class Rule(Struct, frozen=True):
    """One rule. `body` is its Cedar JSON form; `asks` is set where it holds; `overlay` where a workspace added it.

    `kinds` are the action kinds it can match; `programs` those it is limited to, None for any.
    `until` (milliseconds since 1970) is when it ends, `lifts` the holding rules that it is an exception of (`standing`).
    """

    id: str
    verdict: Verdict
    file: str
    line: int
    because: str
    chunk: Chunk
    body: dict[str, Any]
    kinds: frozenset[str]
    programs: frozenset[str] | None = None
    asks: Obligations | None = None
    overlay: bool = False
    until: int | None = None
    lifts: tuple[str, ...] = ()


@cache
def schema() -> cedarpy.Schema:
    """The schema all rules are checked against, parsed once."""
    return cedarpy.Schema.from_str(schema_text())


@cache
def schema_text() -> str:
    """The schema as shipped."""
    return (resources.files("keyturn.policy") / "schema.cedarschema").read_text("utf-8")


def rules_of(
    source: Source, requirements: Requirements, words: Words, *, overlay: bool = False
) -> tuple[list[Rule], list[Problem]]:
    """The rules of one file, strictly validated; with any problem, the rules found are not to be used."""
    found, problems = chunks(source)
    rules: list[Rule] = []
    for chunk in found:
        body, problem = _parse(chunk)
        if problem is not None or body is None:
            problems += [problem] if problem else []
            continue
        rule, wrong = _rule(chunk, body, requirements, overlay)
        problems += wrong
        problems += _wrong_words(chunk, body, words)
        if rule is not None:
            rules.append(rule)
    if not problems:
        problems += _validate(rules, source)
    return rules, problems


def _parse(chunk: Chunk) -> tuple[dict[str, Any] | None, Problem | None]:
    """The rule's JSON form, by Cedar's own parser: exactly one policy, no template."""
    try:
        parsed = msgspec.json.decode(cedarpy.policies_to_json_str(chunk.text))
    except ValueError as error:
        return None, _located(chunk, str(error))
    except RecursionError:
        return None, _at(chunk, chunk.head, "the rule is nested too deep")
    if parsed["templates"]:
        token = next((t for t in chunk.tokens if t.text == "?"), chunk.head)
        return None, chunk.source.problem(
            token.start, token.end + 9, "slots such as ?principal are not rules"
        )
    bodies = list(parsed["staticPolicies"].values())
    if len(bodies) != 1:
        return None, chunk.source.problem(chunk.start, chunk.start + 1, "this is not exactly one rule")
    return bodies[0], None


def _rule(
    chunk: Chunk, body: dict[str, Any], requirements: Requirements, overlay: bool
) -> tuple[Rule | None, list[Problem]]:
    notes: dict[str, str | None] = body.get("annotations", {})
    problems = list(_wrong_annotations(chunk, notes))
    holds = "hold" in notes
    asks = None
    if holds:
        asks, wrong = _asks(chunk, notes, requirements)
        problems += wrong
    if body["effect"] == "forbid":
        verdict: Verdict = "refuse"
    else:
        verdict = "hold" if holds else "run"
    if overlay and verdict == "run":
        message = "a workspace's own rules may only tighten: this permit would let actions run"
        problems.append(_at(chunk, chunk.head, message, "write `forbid`, or add @hold"))
    until, lifts, wrong = _standing(chunk, notes, verdict)
    problems += wrong
    if problems:
        return None, problems
    rule = Rule(
        id=str(notes["id"]),
        verdict=verdict,
        file=chunk.source.file,
        line=chunk.line,
        because=str(notes["because"]),
        chunk=chunk,
        body=body,
        kinds=_kinds(body["action"]),
        programs=_programs(body),
        asks=asks,
        overlay=overlay,
        until=until,
        lifts=lifts,
    )
    return rule, []


def _standing(
    chunk: Chunk, notes: dict[str, str | None], verdict: Verdict
) -> tuple[int | None, tuple[str, ...], list[Problem]]:
    """When the rule ends, what it lifts, and what is wrong with either."""
    until: int | None = None
    lifts: tuple[str, ...] = ()
    problems: list[Problem] = []
    for name in ("until", "lifts"):
        token = chunk.annotation(name)
        if token is None or name not in notes:
            continue
        if verdict != "run":
            message = (
                f"@{name} stands on rules that let run: ending or lifting must never let more run by itself"
            )
            problems.append(_at(chunk, token, message))
            continue
        try:
            if name == "until":
                until = standing.last_moment(notes[name] or "")
            else:
                lifts = standing.lifted_names(notes[name] or "")
        except ValueError as error:
            problems.append(_at(chunk, token, str(error)))
    return until, lifts, problems


def _wrong_annotations(chunk: Chunk, notes: dict[str, str | None]) -> Iterator[Problem]:
    for token in chunk.annotation_names():
        if token.text not in vocabulary.ANNOTATIONS:
            hint = nearest(token.text, vocabulary.ANNOTATIONS)
            yield _at(chunk, token, f"there is no annotation @{token.text}", hint)
    if not _ID.fullmatch(notes.get("id") or ""):
        token = chunk.annotation("id") or chunk.head
        message = (
            "the rule has no @id"
            if "id" not in notes
            else "an @id is lowercase letters, digits, `.`, `_`, `-`"
        )
        yield _at(chunk, token, message, 'give it one: @id("git-push")')
    if not (notes.get("because") or "").strip():
        token = chunk.annotation("because") or chunk.head
        yield _at(chunk, token, "the rule does not say why", 'add words for people: @because("…")')
    asking = [name for name in ASKS if name in notes]
    hold = chunk.annotation("hold")
    if hold is not None and chunk.head.text == "forbid":
        yield _at(chunk, hold, "a forbid refuses; it can't hold", "write `permit` to hold")
    elif hold is None and asking:
        token = chunk.annotation(asking[0]) or chunk.head
        yield _at(chunk, token, f"@{asking[0]} without @hold asks nobody", "add @hold, or remove it")
    if hold is not None and notes.get("hold"):
        yield _at(chunk, hold, "@hold takes no text", 'say who decides with @approve("1 of reviewers")')


def _asks(
    chunk: Chunk, notes: dict[str, str | None], requirements: Requirements
) -> tuple[Obligations, list[Problem]]:
    problems: list[Problem] = []
    asked = requirements.default
    for name in ASKS:
        if name not in notes:
            continue
        try:
            asked = ask(asked, name, notes[name] or "", requirements.names)
        except ValueError as error:
            token = chunk.annotation(name) or chunk.head
            value = next((t for t in chunk.tokens if t.start > token.end and t.kind == "string"), token)
            words = str(error)
            problems.append(_at(chunk, value, f"@{words}" if words.startswith(f"{name} is ") else words))
    return asked, problems


def _wrong_words(chunk: Chunk, body: dict[str, Any], words: Words) -> Iterator[Problem]:
    for literal, message, known in words.mistakes(body):
        token = _token_for(chunk, literal)
        hint = nearest(literal, known)
        if not hint and len(known) <= 12:
            hint = "known: " + ", ".join(known)
        yield _at(chunk, token or chunk.head, message, hint)


def _validate(rules: Sequence[Rule], source: Source) -> Iterator[Problem]:
    """Cedar's strict validation of a file at once; each error is then placed in its rule."""
    if not rules:
        return
    text = "\n".join(rule.chunk.text for rule in rules)
    result = cedarpy.validate_policies(text, schema())
    unknown = {error.policy_id for error in result.errors if "unrecognized action" in error.error}
    for error in result.errors:
        if "unable to find an applicable action" in error.error and error.policy_id in unknown:
            continue  # the same mistake told twice
        number = error.policy_id.removeprefix("policy")
        if not number.isdigit() or int(number) >= len(rules):
            yield Problem(source.file, 0, 0, error.error)
            continue
        yield _located(rules[int(number)].chunk, error.error)
    if not result.validation_passed and not result.errors:
        yield Problem(source.file, 0, 0, "the rules do not fit the schema")


def _located(chunk: Chunk, error: str) -> Problem:
    """Cedar's message (which has no position), at the place it speaks of."""
    message = re.sub(r"^for policy `policy\d+`, ", "", error)
    absent = _ABSENT.fullmatch(message)
    if absent is not None:
        return _absent(chunk, absent[1].rpartition(".")[2])
    named = [quoted or single for quoted, single in _QUOTED.findall(message)]
    if message.startswith("invalid "):
        named.append(message.rpartition(": ")[2])
    for name in named:
        word = _word_in(name)
        token = _token_for(chunk, word)
        if token is not None:
            return _at(chunk, token, message, _hint(message, word))
    for part in chunk.parts():
        if _part_is_wrong(chunk, part.kind, part.text):
            return chunk.source.problem(part.start, part.end, message)
    return _at(chunk, chunk.head, message)


def _absent(chunk: Chunk, attribute: str) -> Problem:
    """An attribute that none of the rule's kinds, or only some of them, have."""
    token = _token_for(chunk, attribute) or chunk.head
    kinds = [kind for kind, own in vocabulary.CONTEXT_OF_KIND.items() if attribute in own]
    if not kinds:
        hint = nearest(attribute, vocabulary.attribute_names())
        return _at(chunk, token, f'there is no attribute "{attribute}"', hint)
    listed = ", ".join(f'Action::"{kind}"' for kind in kinds)
    hint = f"write action == {listed}" if len(kinds) == 1 else f"write action in [{listed}]"
    return _at(chunk, token, f'only some actions of this rule have "{attribute}"', hint)


def _word_in(name: str) -> str:
    """The word a message speaks of: the id of `Action::"x"`, the last attribute of a dotted path."""
    if found := re.search(r'"((?:[^"\\]|\\.)*)"', name):
        return found[1]
    return name.rpartition(".")[2] or name


def _hint(message: str, word: str) -> str:
    if "unrecognized action" in message:
        return nearest(word, vocabulary.KINDS) or "the actions are " + ", ".join(vocabulary.KINDS)
    if "not found" in message:
        return nearest(word, vocabulary.attribute_names())
    if "entity type" in message:
        return nearest(word, ("Agent", "Target", "Action"))
    if "method" in message:
        return nearest(word, vocabulary.METHODS_OF_CEDAR)
    if "not a valid operator" in message:
        return "`==` compares"
    if "policy effect" in message:
        return nearest(word, ("permit", "forbid"))
    if "policy condition" in message:
        return nearest(word, ("when", "unless"))
    if "unexpected token" in message:
        return {"and": "write &&", "or": "write ||", "not": "write !"}.get(word, "")
    if "invalid variable" in message:
        return f'a text is quoted: "{word}"'
    return ""


def _part_is_wrong(chunk: Chunk, kind: str, text: str) -> bool:
    """Whether this one condition alone fails to parse or validate."""
    opening = next((p for p, t in enumerate(chunk.tokens) if t is chunk.head), 0)
    closing = next(
        (t for t in chunk.tokens[opening:] if t.text == ")" and _closes_scope(chunk, opening, t)), None
    )
    scope = (
        chunk.source.text[chunk.head.start : closing.end]
        if closing
        else "permit(principal, action, resource)"
    )
    try:
        result = cedarpy.validate_policies(f"{scope} {kind} {{ {text} }};", schema())
    except ValueError:
        return True
    return not result.validation_passed


def _closes_scope(chunk: Chunk, opening: int, close: Token) -> bool:
    depth = 0
    for token in chunk.tokens[opening:]:
        if token.kind == "mark":
            depth += (token.text in "([{") - (token.text in ")]}")
        if token is close:
            return depth == 0
    return False


def _token_for(chunk: Chunk, word: str) -> Token | None:
    """The first token that is *word*, or a text whose value is *word*; never one inside the annotations."""
    after = chunk.head.start
    quoted = '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
    for token in chunk.tokens:
        if token.start >= after and token.text in (word, quoted):
            return token
    return next((t for t in chunk.tokens if t.text in (word, quoted)), None)


def _at(chunk: Chunk, token: Token, message: str, suggestion: str = "") -> Problem:
    return chunk.source.problem(token.start, token.end, message, suggestion)


def _kinds(action: dict[str, Any]) -> frozenset[str]:
    """The kinds a rule's scope lets through; for a form not known here, all of them."""
    if action.get("op") == "==":
        return frozenset((action["entity"]["id"],))
    if action.get("op") == "in":
        listed = action.get("entities") or [action["entity"]]
        return frozenset(entity["id"] for entity in listed)
    return frozenset(vocabulary.KINDS)


def _programs(body: dict[str, Any]) -> frozenset[str] | None:
    """Programs outside which the rule certainly does not match: it demands one of them, among its conjuncts."""
    limits = [
        wanted
        for condition in body.get("conditions", ())
        if condition["kind"] == "when"
        for conjunct in _conjuncts(condition["body"])
        if (wanted := _wanted_programs(conjunct)) is not None
    ]
    return frozenset.intersection(*limits) if limits else None


def _conjuncts(expression: Any) -> Iterator[Any]:
    todo = [expression]
    while todo:
        item = todo.pop()
        both = item.get("&&") if isinstance(item, dict) else None
        if isinstance(both, dict):
            todo += [both["right"], both["left"]]
        else:
            yield item


def _wanted_programs(conjunct: Any) -> frozenset[str] | None:
    program = {".": {"left": {"Var": "context"}, "attr": "program"}}
    equal = conjunct.get("==") or {}
    for mine, other in (("left", "right"), ("right", "left")):
        value = (equal.get(other) or {}).get("Value")
        if equal.get(mine) == program and isinstance(value, str):
            return frozenset((value,))
    member = conjunct.get("contains") or {}
    if member.get("right") == program:
        listed = (member.get("left") or {}).get("Set")
        if isinstance(listed, list) and all(isinstance(i.get("Value"), str) for i in listed):
            return frozenset(i["Value"] for i in listed)
    return None
