"""Deciding without recording: JSON in, the decision as JSON out (`keyturn policy decide`, design §10)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any, BinaryIO

import msgspec
from msgspec import Struct

from keyturn import readers
from keyturn.actions import (
    Action,
    Agent,
    Attribution,
    Content,
    FileEdit,
    Gate,
    HttpRequest,
    Reading,
    Shell,
    ToolCall,
    content_kind,
)
from keyturn.errors import KeyturnError, Malformed, TooLarge
from keyturn.policy import Decision, Facts, Policy
from keyturn.resources import Surroundings, inside
from keyturn.service.capturing import kinds_in

MAX_LINE = 4 * 1024 * 1024
"""Bytes of one line: an action's largest content, escaped."""

HARMLESS_VARIABLES = frozenset(
    (
        "CI",
        "COLUMNS",
        "HOME",
        "LANG",
        "LANGUAGE",
        "LINES",
        "LOGNAME",
        "NO_COLOR",
        "PWD",
        "SHELL",
        "TERM",
        "TZ",
        "USER",
    )
)
"""Variables known not to change what a command does. Others (PATH, LD_PRELOAD, GIT_DIR, …) may."""


_SHAPES: dict[str, type[FileEdit] | type[ToolCall] | type[HttpRequest]] = {
    "file": FileEdit,
    "mcp": ToolCall,
    "http": HttpRequest,
}


class LineMalformed(Malformed):
    """A line (or an option) of a dry run is not what the interface describes."""

    next_step = "Correct the line; docs/reference/policy.md describes it."


def instant(text: str | None) -> int:
    """A time with its offset as milliseconds since 1970; now without one. Raises `LineMalformed`."""
    if text is None:
        return int(time.time() * 1000)
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise LineMalformed(f"{text[:60]!r} is not a time such as 2026-12-24T18:00+01:00.") from error
    if found.tzinfo is None:
        raise LineMalformed(f"{text[:60]!r} does not say in which time zone: write +01:00 or Z behind it.")
    return int(found.timestamp() * 1000)


class Proposal(Struct, frozen=True):
    """One line, read: what would be decided on."""

    content: Content
    reading: Reading
    facts: Facts
    variables: tuple[str, ...] = ()


class DryRun:
    """Decides lines under one policy. `protected` are Keyturn's own paths; `at` is when, None for no time in particular."""

    def __init__(
        self, policy: Policy, kind: str, dialect: str, *, protected: tuple[str, ...], at: int | None = None
    ) -> None:
        self.policy, self.at = policy, at
        self._kind, self._protected = kind, protected
        if kind == "shell" and dialect not in ("", "bash", "posix"):
            raise LineMalformed(f"The shell dialect {dialect!r} is not read; bash and posix are.")
        self._dialect = dialect or "bash"
        self._home = os.path.expanduser("~")  # noqa: PTH111
        self._here = os.getcwd()  # noqa: PTH109

    def answers(self, lines: BinaryIO) -> Iterator[bytes]:
        """One JSON object (without line end) for each line, in order, as the lines arrive."""
        while line := lines.readline(MAX_LINE + 1):
            if len(line) > MAX_LINE:
                while line and not line.endswith(b"\n"):
                    line = lines.readline(MAX_LINE)
                yield msgspec.json.encode(TooLarge(f"The line has more than {MAX_LINE:,} bytes.").as_json())
            else:
                yield self.answer(line)

    def answer(self, line: bytes) -> bytes:
        """The answer to one line; a line that can't be read gets `{"error": …}`."""
        try:
            return msgspec.json.encode(self._decided(_object(line)))
        except KeyturnError as error:
            return msgspec.json.encode(error.as_json())

    def _decided(self, line: dict[str, Any]) -> dict[str, Any]:
        if self._kind == "sql":
            _check_content(line)
            return _not_sql()
        proposal = self.proposal(line)
        kind = content_kind(proposal.content)
        decision = self.policy.decide(kind, proposal.reading, proposal.facts, self.at)
        return _shown(decision, proposal)

    def proposal(self, line: dict[str, Any]) -> Proposal:
        """What one line proposes. Raises `Malformed` naming what is wrong."""
        _check_content(line)
        content = self._content(line["content"])
        environment = line.get("environment", {})
        variables: tuple[str, ...] = ()
        target = _text(line, "target", "local")
        if isinstance(environment, str):
            target = environment
        elif isinstance(environment, dict):
            variables = tuple(
                sorted(n for n in environment if n not in HARMLESS_VARIABLES and not n.startswith("LC_"))
            )
        else:
            raise LineMalformed("`environment` is a name or an object of variables.")
        facts = Facts(
            secrets=self._secrets(content, _text(line, "cwd", self._here), environment),
            agent=_agent(line, "name"),
            client=_agent(line, "client"),
            human=line.get("human") if isinstance(line.get("human"), str) else None,
            missing=() if isinstance(line.get("human"), str) else ("human",),
            target=target,
        )
        return Proposal(content, readers.read(content, self._around(line)), facts, variables)

    def _secrets(self, content: Content, cwd: str, environment: Any) -> tuple[str, ...]:
        """Kinds of secrets in it, as when a gate asks."""
        names = {str(n): str(v) for n, v in environment.items()} if isinstance(environment, dict) else {}
        who = Attribution(Agent("dry-run"))
        return kinds_in(Action(content, who, Gate("dry-run"), "", cwd=cwd, environment=names))

    def _around(self, line: dict[str, Any]) -> Surroundings:
        cwd = _text(line, "cwd", self._here)
        home = _text(line, "home", self._home).rstrip("/")
        if not cwd.startswith("/"):
            raise LineMalformed("`cwd` is an absolute path.")
        workspace = _text(line, "workspace", cwd)
        # A workspace that holds the whole home (or disk) would make everything part of the agent's work.
        if "workspace" not in line and (workspace.rstrip("/") == "" or inside(home, workspace.rstrip("/"))):
            workspace = ""
        return Surroundings(
            cwd=cwd.rstrip("/") or "/",
            workspace=workspace.rstrip("/"),
            home=home,
            protected=self._protected,
            labels=self.policy.labels,
            programs=self.policy.programs,
            fresh=True,
        )

    def _content(self, value: Any) -> Content:
        if self._kind == "shell":
            script = value.get("script", value.get("command")) if isinstance(value, dict) else value
            if not isinstance(script, str):
                raise LineMalformed("The content of a shell action is its text.")
            return Shell(script, "posix" if self._dialect == "posix" else "bash")
        if isinstance(value, str) and self._kind == "http":
            value = {"url": value}
        if isinstance(value, str) and self._kind == "file":
            value = {"path": value, "operation": "write"}
        if not isinstance(value, dict):
            raise LineMalformed(f"The content of a {self._kind} action is a JSON object.")
        shape = _SHAPES[self._kind]
        known = shape.__struct_fields__
        unknown = sorted(set(value) - set(known))
        if unknown:
            raise LineMalformed(f"A {self._kind} action has no `{unknown[0]}`; it has {', '.join(known)}.")
        tag = "tool" if self._kind == "mcp" else self._kind
        try:
            return msgspec.convert({"kind": tag, **value}, shape)
        except msgspec.ValidationError as error:
            raise LineMalformed(f"The content can't be read: {error}.") from error


def _shown(decision: Decision, proposal: Proposal) -> dict[str, Any]:
    verdict, reasons = decision.verdict, list(decision.reasons)
    if proposal.variables and decision.verdict == "run":
        verdict = "hold"
        names = ", ".join(proposal.variables[:5])
        reasons = [f"The environment sets {names}, which may change what runs; that is not read."]
    shown: dict[str, Any] = {
        "decision": verdict,
        "complete": decision.complete,
        "effects": [
            {"verb": e.verb, "what": e.what, "zone": e.zone, "labels": list(e.labels)}
            for e in proposal.reading.effects
        ],
        "rules": list(dict.fromkeys(hit.rule for hit in decision.rules)),
        "reasons": reasons,
    }
    if decision.would != decision.verdict:
        shown["would"] = decision.would
    return shown


def _not_sql() -> dict[str, Any]:
    reason = "This version does not read SQL, and what is not read is held."
    return {"decision": "hold", "complete": False, "effects": [], "rules": [], "reasons": [reason]}


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LineMalformed(f"The line is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise LineMalformed("The line is not a JSON object.")
    return value


def _check_content(line: dict[str, Any]) -> None:
    if "content" not in line:
        raise LineMalformed("The line has no `content`.")


def _text(line: dict[str, Any], key: str, otherwise: str) -> str:
    value = line.get(key, otherwise)
    if not isinstance(value, str):
        raise LineMalformed(f"`{key}` is a text.")
    return value


def _agent(line: dict[str, Any], part: str) -> str:
    agent = line.get("agent", "")
    if isinstance(agent, dict):
        agent = agent.get(part, "")
    elif part != "name":
        agent = ""
    if not isinstance(agent, str):
        raise LineMalformed("`agent` is a name, or an object with name and client.")
    return agent
