"""What an ACP agent offers to choose from: options of a question, modes and settings of a session. Pure."""

from __future__ import annotations

from typing import Any

SAFE_MODES = ("default", "agent", "ask", "build", "plan")
"""Modes in which the agent asks. The last part of the id (after `#` or `/`) is compared."""


def rejection(options: Any) -> dict[str, Any]:
    """A selected `reject_once` where the question has one, else `cancelled`: both stop the call."""
    reject = option(options, "reject_once")
    if reject is None:
        return {"outcome": {"outcome": "cancelled"}}
    return {"outcome": {"outcome": "selected", "optionId": reject}}


def option(options: Any, kind: str) -> str | None:
    """The one option of that kind; None when there is none, more than one, or its id names another kind's option too."""
    if not isinstance(options, list) or not all(isinstance(option, dict) for option in options):
        return None
    found = [option.get("optionId") for option in options if option.get("kind") == kind]
    if len(found) != 1 or not isinstance(found[0], str):
        return None
    alike = [option for option in options if option.get("optionId") == found[0]]
    return found[0] if len(alike) == 1 else None


def safe(mode: str) -> bool:
    """Whether the agent asks in that mode."""
    return mode.replace("#", "/").rsplit("/", 1)[-1] in SAFE_MODES


def modes_of(modes: Any) -> tuple[str | None, list[str]]:
    """The present mode (None: the agent has none) and all that there are."""
    if not isinstance(modes, dict):
        return None, []
    available = modes.get("availableModes")
    known = (
        [m["id"] for m in available if isinstance(m, dict) and isinstance(m.get("id"), str)]
        if isinstance(available, list)
        else []
    )
    return str(modes.get("currentModeId")), known


def self_granting(options: Any) -> str:
    """Why a configuration option means that the agent won't ask; empty when none does."""
    for option in options if isinstance(options, list) else ():
        if not isinstance(option, dict):
            continue
        value = option.get("currentValue")
        if option.get("id") == "allow_all" and value != "off":
            return f"The agent's option allow_all is {value!r}: it acts without asking."
        if option.get("category") == "mode" and isinstance(value, str) and not safe(value):
            return f"The agent's mode {value!r} acts without asking."
    return ""


def model_of(result: dict[str, Any]) -> str:
    """The model that a new session uses, where the agent says so."""
    models = result.get("models")
    current = models.get("currentModelId") if isinstance(models, dict) else None
    if isinstance(current, str):
        return current
    for option in result.get("configOptions") or ():
        if (
            isinstance(option, dict)
            and option.get("category") == "model"
            and isinstance(option.get("currentValue"), str)
        ):
            return str(option["currentValue"])
    return ""
