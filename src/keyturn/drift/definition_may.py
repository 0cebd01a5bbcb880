"""What one definition lets an agent do and another did not, in words: `capability` over its parts, `instructions` over its texts. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct

from keyturn.drift import capability, instructions
from keyturn.drift.definition import Definition, Part
from keyturn.drift.definition_parts import servers_of
from keyturn.drift.lexicon import Lexicon
from keyturn.errors import TooLarge

Text = Callable[[Part], str | None]
Sign = Literal["+", "~", "-"]

MAX_TEXT = 300
"""Characters of a sentence of instructions that are shown."""
MAX_GAINS = 200
_SIGNS: dict[str, Sign] = {"more": "+", "changed": "~", "less": "-"}
_DIRECTORIES = "additionalDirectories"


class Gain(Struct, frozen=True):
    """One thing that the newer definition lets the agent do (`+`), no longer lets it do (`-`), or of which that is not sure (`~`)."""

    sign: Sign
    words: str


def gains(
    before: Definition | None, after: Definition, text_of: Text, lexicon: Lexicon | None = None
) -> tuple[Gain, ...]:
    """What *after* lets the agent do more or less than *before* (None: than nothing at all)."""
    old = before or Definition(after.client, after.model, after.parameters)
    found = capability.delta(abilities(old, text_of), abilities(after, text_of))
    said = [Gain(_SIGNS[line.effect], line.words) for line in found.lines]
    said += _instructed(old, after, text_of, lexicon) if before is not None else []
    said.sort(key=lambda gain: "+~-".index(gain.sign))
    return tuple(dict.fromkeys(said))[:MAX_GAINS]


def abilities(definition: Definition, text_of: Text) -> dict[str, Any]:
    """*definition* in the form that `capability.delta` compares."""
    permissions: dict[str, Any] = {"allow": [], "ask": [], "deny": [], "directories": []}
    parameters: dict[str, Any] = dict(definition.parameters)
    hooks: dict[str, Any] = {}
    servers: dict[str, Any] = {}
    tools: dict[str, Any] = {}
    for part in definition.parts:
        value = _value(part, text_of)
        match part.kind:
            case "tools" if "/" in part.name:
                tools[part.name] = value if isinstance(value, dict) else part.digest
            case "servers":
                text = text_of(part)
                said = servers_of(Part(part.kind, part.name, part.digest, part.size, text))
                if said is not None:
                    command = [str(word) for word in said.get("command", ())]
                    servers[part.name] = {
                        **(
                            {"command": command[0], "args": command[1:]}
                            if command
                            else {"url": said.get("url", "")}
                        ),
                        "env": dict.fromkeys(said["env"], ""),
                        "headers": dict.fromkeys(said["headers"], ""),
                    }
            case "hooks" if isinstance(value, dict):
                for event, commands in value.items():
                    hooks[f"{event} ({part.name})"] = commands
            case "permissions" if isinstance(value, dict):
                _permitted(part.name, value, permissions, parameters)
    return {
        "permissions": permissions,
        "tools": tools,
        "servers": servers,
        "hooks": hooks,
        "model": definition.model,
        "parameters": parameters,
    }


def _permitted(
    name: str, value: Mapping[str, Any], permissions: dict[str, Any], parameters: dict[str, Any]
) -> None:
    """Lists of a client's permissions as lists of permissions, whatever else it says as parameters."""
    for key, said in value.items():
        if key != "permissions" or not isinstance(said, dict):
            parameters[f"{key} ({name})"] = said
            continue
        for word, rules in said.items():
            known = "directories" if word == _DIRECTORIES else word
            if known in permissions and isinstance(rules, list):
                permissions[known] += [str(rule) for rule in rules]
            elif word == "defaultMode":
                permissions["mode"] = str(rules)
            else:
                parameters[f"{word} ({name})"] = rules


def _value(part: Part, text_of: Text) -> Any:
    text = text_of(part)
    try:
        return (
            json.loads(text) if text is not None and part.kind not in ("instructions", "settings") else None
        )
    except ValueError:
        return None


def _instructed(
    before: Definition, after: Definition, text_of: Text, lexicon: Lexicon | None
) -> Iterator[Gain]:
    old, new = _texts(before, text_of), _texts(after, text_of)
    if old == new:
        return
    try:
        found = instructions.delta(old, new, lexicon)
    except TooLarge as error:
        yield Gain("~", f"The instructions can't be compared by what they say: {error.happened}")
        return
    for line in found.lines:
        where = f" ({line.file})" if line.file else ""
        if line.before and line.after:
            words = f"{line.why}: “{line.before[:MAX_TEXT]}” became “{line.after[:MAX_TEXT]}”{where}"
        else:
            words = f"{line.why}: “{(line.after or line.before)[:MAX_TEXT]}”{where}"
        yield Gain("+" if line.delta > 0 else "-", words)


def _texts(definition: Definition, text_of: Text) -> dict[str, str]:
    found = ((part.name, text_of(part)) for part in definition.of_kind("instructions"))
    return {name: text for name, text in found if text is not None}


__all__ = ["Gain", "abilities", "gains"]
