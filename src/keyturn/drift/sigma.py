"""Sigma rules over actions: pySigma reads them, their conditions become Python closures over what an action shows.

Needs the extra `sigma` (pySigma, LGPL), imported when the first rule is read. Source: Sigma specification 2.0, "Sigma Rules".
Rules are their authors' (often under DRL 1.1): title, id and author go with every match.

Rules kept here:

- A rule applies to an action whose log source is its own: see `events`. One for another source is counted as not applying, not refused.
- What can't be expressed exactly (a field reference, a placeholder, a query, a regular expression that RE2 does not take) refuses the
  whole rule, by name. Nothing of a rule is left out.
- Comparison is as in the specification: not case-sensitive but for `cased`; regular expressions are, and take linear time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

import re2  # type: ignore[import-untyped]
from msgspec import Struct

from keyturn.drift.finding import Severity
from keyturn.errors import ExitCode, KeyturnError

Event = Mapping[str, str]
"""Field → value, as Sigma names fields."""
Match = Callable[[Event], bool]

LEVELS: dict[str, Severity] = {
    "informational": "low", "low": "low", "medium": "medium", "high": "high", "critical": "critical",
}  # fmt: skip
SOURCES = {
    "shell": ({"process_creation"}, {"linux", "macos"}),
    "file": ({"file_event", "file_change", "file_delete", "file_access"}, {"linux", "macos"}),
    "http": ({"webserver", "proxy"}, set()),
    "tool": ({"application"}, {"mcp"}),
}
"""Kind of action → (categories, products) of rules that apply to it; a rule that names none of one is for any."""


class NoSigma(KeyturnError):
    """pySigma is not installed."""

    code = "sigma.not_installed"
    status = 501
    exit_code = ExitCode.USAGE
    not_done = "No rule was read and nothing was looked at."
    next_step = "Install it: `pip install 'keyturn[sigma]'`."


class SigmaRule(Struct, frozen=True):
    """One rule, ready. `author` is named wherever it matches."""

    id: str
    title: str
    level: str
    author: str
    category: str
    product: str
    file: str
    match: Match

    def applies(self, kind: str) -> bool:
        """Whether it is for actions of *kind*."""
        categories, products = SOURCES.get(kind, (set(), set()))
        return self.category in categories and (not self.product or self.product in products)


class Refused(Struct, frozen=True):
    """A rule that is not used, and why."""

    file: str
    title: str
    why: str


class _NotExact(Exception):
    """A construct that has no exact form here. Never leaves this module."""


def read(files: Mapping[str, str]) -> tuple[list[SigmaRule], list[Refused]]:
    """The rules of {name: YAML}, in order of the names, and those that can't be used. Raises `NoSigma`."""
    if find_spec("sigma") is None:
        raise NoSigma("pySigma is not installed.")
    collections = import_module("sigma.collection")
    rules: list[SigmaRule] = []
    refused: list[Refused] = []
    for name in sorted(files):
        try:
            found = collections.SigmaCollection.from_yaml(files[name], collect_errors=False)
        except Exception as error:  # pySigma and YAML raise many kinds; a rule that can't be read is named
            refused.append(Refused(name, "", f"it can't be read: {str(error).splitlines()[0][:200]}"))
            continue
        for rule in found.rules:
            title = str(getattr(rule, "title", ""))
            try:
                rules.append(_rule(name, rule))
            except (_NotExact, AttributeError) as error:
                refused.append(Refused(name, title, str(error)))
    return rules, refused


def _rule(file: str, rule: Any) -> SigmaRule:
    if not hasattr(rule, "detection"):
        raise _NotExact("it is a correlation of rules; limits and orders in drift.toml do that")
    matches = [_condition(parsed.parsed) for parsed in rule.detection.parsed_condition]
    source = rule.logsource
    return SigmaRule(
        id=str(rule.id or ""),
        title=str(rule.title),
        level=str(rule.level or "medium"),
        author=str(rule.author or ""),
        category=str(source.category or ""),
        product=str(source.product or ""),
        file=file,
        match=matches[0] if len(matches) == 1 else lambda event: any(match(event) for match in matches),
    )


def _condition(node: Any) -> Match:
    name = type(node).__name__
    if name in ("ConditionAND", "ConditionOR"):
        parts = [_condition(one) for one in node.args]
        if name == "ConditionAND":
            return lambda event: all(part(event) for part in parts)
        return lambda event: any(part(event) for part in parts)
    if name == "ConditionNOT":
        inner = _condition(node.args[0])
        return lambda event: not inner(event)
    if name == "ConditionFieldEqualsValueExpression":
        field, test = str(node.field), _test(node.value)
        if type(node.value).__name__ == "SigmaNull":
            return lambda event: not event.get(field)
        if type(node.value).__name__ == "SigmaExists":
            wanted = bool(node.value.exists)
            return lambda event: (field in event) == wanted
        return lambda event: field in event and test(event[field])
    if name == "ConditionValueExpression":
        words = _anywhere(node.value)
        return lambda event: any(words(value) for value in event.values())
    raise _NotExact(f"it uses {name}")


def _test(value: Any) -> Callable[[str], bool]:
    name = type(value).__name__
    if name in ("SigmaNull", "SigmaExists"):
        return lambda text: True
    if name in ("SigmaString", "SigmaCasedString"):
        return _pattern(value, cased=name == "SigmaCasedString")
    if name == "SigmaNumber":
        number = str(value.number)
        return lambda text: text == number
    if name == "SigmaBool":
        wanted = str(value.boolean).lower()
        return lambda text: text.lower() == wanted
    if name == "SigmaRegularExpression":
        return _regular(value)
    if name == "SigmaCIDRExpression":
        network = ip_network(str(value.cidr), strict=False)
        return lambda text: _within(text, network)
    raise _NotExact(f"it uses {name}")


def _pattern(value: Any, *, cased: bool) -> Callable[[str], bool]:
    """A text with wildcards, in one comparison where there is such a one."""
    parts: list[str] = []
    for part in value.s:
        if isinstance(part, str):
            parts.append(part if cased else part.lower())
        elif getattr(part, "name", "") == "WILDCARD_MULTI":
            parts.append("*")
        elif getattr(part, "name", "") == "WILDCARD_SINGLE":
            parts.append("?")
        else:
            raise _NotExact("it has a placeholder")
    wild = [not isinstance(part, str) for part in value.s]
    bare = [part for part, is_wild in zip(parts, wild, strict=True) if not is_wild]
    many = [part == "*" for part, is_wild in zip(parts, wild, strict=True) if is_wild]
    if not wild or not any(wild):
        whole = "".join(bare)
        return (lambda text: text == whole) if cased else (lambda text: text.lower() == whole)
    if all(many) and len(bare) == 1 and wild in ([True, False, True], [True, False], [False, True]):
        one = bare[0]
        low = (lambda text: text) if cased else str.lower
        if wild == [True, False, True]:
            return lambda text: one in low(text)
        if wild == [True, False]:
            return lambda text: low(text).endswith(one)
        return lambda text: low(text).startswith(one)
    pieces = [
        {"*": ".*", "?": "."}[part] if is_wild else re2.escape(part)
        for part, is_wild in zip(parts, wild, strict=True)
    ]
    compiled = re2.compile("(?s)" + "".join(pieces))
    return lambda text: compiled.fullmatch(text if cased else text.lower()) is not None


def _anywhere(value: Any) -> Callable[[str], bool]:
    """A keyword: it stands anywhere in a value."""
    if type(value).__name__ == "SigmaString" and all(isinstance(part, str) for part in value.s):
        word = "".join(value.s).lower()
        return lambda text: word in text.lower()
    if type(value).__name__ == "SigmaRegularExpression":
        return _regular(value)
    raise _NotExact("it has a keyword with wildcards")


def _regular(value: Any) -> Callable[[str], bool]:
    flags = "".join(
        sorted({"IGNORECASE": "i", "MULTILINE": "m", "DOTALL": "s"}[flag.name] for flag in value.flags)
    )
    text = str(value.regexp)
    try:
        compiled = re2.compile(f"(?{flags}){text}" if flags else text)
    except re2.error as error:
        raise _NotExact(f"its regular expression takes more than linear time, or is none: {error}") from error
    return lambda found: compiled.search(found) is not None


def _within(text: str, network: Any) -> bool:
    try:
        return ip_address(text) in network
    except ValueError:
        return False


# --- what an action shows ---------------------------------------------------------------------------------------------


def events(fields: Mapping[str, Any]) -> Iterator[Event]:
    """An action's steps as Sigma sees them, out of the fields of `action.decided` (large ones opened)."""
    action, human = fields.get("action") or {}, fields.get("human") or {}
    content = action.get("content") or {}
    shared = {"User": str(human.get("person", "")), "CurrentDirectory": str(action.get("cwd", ""))}
    kind = fields.get("kind")
    steps = (fields.get("reading") or {}).get("steps") or ()
    if kind == "shell":
        parent = "/bin/bash" if content.get("dialect", "bash") == "bash" else "/bin/sh"
        whole = {"ParentImage": parent, "ParentCommandLine": str(content.get("script", ""))}
        for step in steps:
            argv = step.get("argv") or (step["program"],)
            image = argv[0] if argv[0].startswith("/") else f"/usr/bin/{step['program']}"
            yield {"Image": image, "CommandLine": " ".join(argv), **whole, **shared}
        if not steps:
            yield {"Image": parent, "CommandLine": str(content.get("script", "")), **shared}
    elif kind == "file":
        agent = fields.get("agent") or {}
        yield {
            "TargetFilename": str(content.get("path", "")),
            "Image": str(agent.get("client", "")),
            **shared,
        }
    elif kind == "http":
        yield _request(content) | shared
    elif kind == "tool":
        arguments = content.get("arguments") or {}
        given = (
            {str(name): str(value) for name, value in arguments.items()}
            if isinstance(arguments, dict)
            else {}
        )
        yield {
            **given,
            "Tool": str(content.get("tool", "")),
            "Server": str(content.get("server", "")),
            **shared,
        }


def _request(content: Mapping[str, Any]) -> dict[str, str]:
    url, method = str(content.get("url", "")), str(content.get("method", "GET"))
    try:
        parts = urlsplit(url)
        host, path, asked = parts.hostname or "", parts.path, parts.query
    except ValueError:  # such an address is not read completely, and so never runs
        host, path, asked = "", url, ""
    return {
        "cs-method": method, "c-uri": url, "c-uri-stem": path, "cs-uri-stem": path, "c-uri-query": asked, "cs-uri-query": asked,
        "cs-host": host, "r-dns": host,
    }  # fmt: skip


def matching(rules: list[SigmaRule], fields: Mapping[str, Any]) -> list[SigmaRule]:
    """The rules that match any step of the action, each once, in order."""
    kind = str(fields.get("kind", ""))
    applying = [rule for rule in rules if rule.applies(kind)]
    if not applying:
        return []
    shown = list(events(fields))
    return [rule for rule in applying if any(rule.match(event) for event in shown)]


__all__ = ["LEVELS", "SOURCES", "Event", "NoSigma", "Refused", "SigmaRule", "events", "matching", "read"]
