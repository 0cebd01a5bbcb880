"""A step and the facts around it, as Cedar sees them (`schema.cedarschema`). Total: no attribute is ever absent."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import cedarpy
import msgspec

from keyturn.actions import Reading, Step
from keyturn.policy.decision import Facts

_PATH_ZONES = frozenset(
    (
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
)
_HOMES = frozenset(("home", "Users"))
_TOP_FOLDERS = frozenset(
    (
        "bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "media", "mnt", "opt", "proc", "root", "run",
        "sbin", "srv", "sys", "usr", "var", "Applications", "Library", "System", "Users", "Volumes", "private",
    )
)  # fmt: skip
_HOST_ZONES = frozenset(("network", "loopback"))


def whole(steps: Sequence[Step]) -> dict[str, Any]:
    """What all steps do together: rules about combinations (a secret read, and a connection) need it."""
    effects = [effect for step in steps for effect in step.effects]
    return {
        "effects": _unique(effect.key for effect in effects),
        "labelled": _unique(f"{effect.verb}:{label}" for effect in effects for label in effect.labels),
        "labels": _unique(label for effect in effects for label in effect.labels),
        "programs": _unique(step.program for step in steps),
        "steps": len(steps),
    }


def facts_part(facts: Facts) -> dict[str, Any]:
    """The attributes that do not depend on the step."""
    return {
        "human": facts.human or "",
        "human_known": facts.human is not None,
        "groups": _unique(facts.human_groups),
        "missing": _unique(facts.missing),
        "assurance": facts.assurance,
        "target": facts.target,
        "definition": facts.definition,
        "over": _unique(facts.over),
        "broken": _unique(facts.broken),
        "first": _unique(facts.first),
        "findings": _unique(facts.findings),
        "secrets": _unique(facts.secrets),
        "overdue": _unique(facts.overdue),
        "undeclared": _unique(facts.undeclared),
    }


def step_part(kind: str, step: Step, reading: Reading) -> dict[str, Any]:
    """The attributes of one step."""
    effects = step.effects
    labels = _unique(label for effect in effects for label in effect.labels)
    part: dict[str, Any] = {
        "program": step.program,
        "subcommand": step.subcommand,
        "argv": _unique(step.argv),
        "words": " ".join(step.argv),
        "options": _unique(step.options),
        "effects": _unique(effect.key for effect in effects),
        "labelled": _unique(f"{effect.verb}:{label}" for effect in effects for label in effect.labels),
        "verbs": _unique(effect.verb for effect in effects),
        "zones": _unique(effect.zone for effect in effects),
        "labels": labels,
        "paths": _unique(e.what for e in effects if e.zone in _PATH_ZONES and e.what.startswith("/")),
        "hosts": _unique(e.what for e in effects if e.zone in _HOST_ZONES),
        "sweeping": _unique(effect.verb for effect in effects if is_sweeping(effect.what)),
        "complete": step.complete and reading.complete,
    }
    if kind == "file":
        part["operation"] = step.program
        part["path"] = next((e.what for e in effects if e.what.startswith("/")), "")
    elif kind == "tool":
        part["server"], part["tool"] = tool_name(step)
        part["arguments"] = _unique(step.argv[1:])
    elif kind == "http":
        part["method"] = step.program
        part["host"] = next((e.what for e in effects if e.zone in _HOST_ZONES), "")
        part["path"] = _url_path(step.argv[-1] if step.argv else "")
    return part


def is_sweeping(path: str) -> bool:
    """Whether absolute *path* (or the pattern `…/*`) is the root, a top folder of a system, or a whole home."""
    bare = path.rstrip("/") if path.startswith("/") else path
    while bare.endswith(("/*", "/**", "/.*", "/.")):
        bare = bare.rpartition("/")[0]
    if not bare:
        return path.startswith("/")
    parts = bare.split("/")[1:]
    if len(parts) == 1:
        return parts[0] in _TOP_FOLDERS
    return len(parts) == 2 and parts[0] in _HOMES


def tool_name(step: Step) -> tuple[str, str]:
    """(server, tool) of a tool call; a server's name has no slash (`readers.tools`). It may be empty."""
    server, slash, tool = step.program.partition("/")
    return (server, tool) if slash else ("", step.program)


def _url_path(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:  # such a URL is not read completely, and so never runs
        return ""


def request(kind: str, context: dict[str, Any], facts: Facts) -> dict[str, Any]:
    """One Cedar request. Raises `ValueError` for text that is not Unicode (lone surrogates)."""
    return {
        "principal": {"type": "Agent", "id": facts.agent},
        "action": {"type": "Action", "id": kind},
        "resource": {"type": "Target", "id": facts.target},
        "context": msgspec.json.encode(context).decode(),
    }


@lru_cache(maxsize=1024)
def entities(agent: str, client: str, definition_known: bool) -> cedarpy.Entities:
    """The agent with its attributes, parsed once. Raises `ValueError`."""
    one = {
        "uid": {"type": "Agent", "id": agent},
        "attrs": {"name": agent, "client": client, "definition_known": definition_known},
        "parents": [],
    }
    return cedarpy.Entities.from_json_str(msgspec.json.encode([one]).decode())


def _unique(words: Any) -> list[str]:
    return list(dict.fromkeys(words))
