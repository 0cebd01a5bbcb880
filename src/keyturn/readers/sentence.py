"""Effects -> one short sentence for people, the gravest effect first."""

from __future__ import annotations

from keyturn.actions import Effect, Step, Unread

_ORDER = ("grants", "deletes", "configures", "writes", "sends", "executes", "connects", "reads")
_VERBS = {
    "grants": "Grants",
    "deletes": "Deletes",
    "configures": "Configures",
    "writes": "Writes",
    "sends": "Sends data to",
    "executes": "Runs",
    "connects": "Connects to",
    "reads": "Reads",
}
_PLACES = {
    "workspace": "in the workspace",
    "temporary": "among temporary files",
    "system": "of the system",
    "home": "in the home folder",
    "outside": "outside the workspace",
    "keyturn": "of Keyturn itself",
    "device": "on a device",
    "unknown": "only known when it runs",
}
_GRAVE = frozenset({"grants", "deletes", "configures", "writes", "sends"})
MAX_SENTENCE = 400
MAX_NAMES = 3


def sentence(steps: tuple[Step, ...], unread: tuple[Unread, ...]) -> str:
    """What *steps* would do, and first of all what was not understood."""
    effects = list(dict.fromkeys(effect for step in steps for effect in step.effects))
    pieces = [f"Not understood: {_not_understood(unread)}."] if unread else []
    groups: dict[tuple[str, str], list[Effect]] = {}
    for effect in effects:
        groups.setdefault((effect.verb, effect.zone), []).append(effect)
    for verb in _ORDER:
        pieces += [_group(verb, where, group) for (v, where), group in groups.items() if v == verb]
    if not pieces:
        names = ", ".join(dict.fromkeys(step.program for step in steps))
        pieces = [f"No lasting effect ({names})." if names else "Does nothing."]
    return _short(" ".join(pieces), MAX_SENTENCE)


def _not_understood(unread: tuple[Unread, ...]) -> str:
    first = unread[0]
    more = f" and {len(unread) - 1} more" if len(unread) > 1 else ""
    return f"bytes {first.start}–{first.end} ({first.why}){more}"


def _group(verb: str, where: str, effects: list[Effect]) -> str:
    names = [effect.what for effect in effects]
    shown = ", ".join(_short(name, 100) for name in names[:MAX_NAMES])
    shown += f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    labels = sorted({label for effect in effects for label in effect.labels})
    marked = f" [{', '.join(labels)}]" if labels else ""
    if where == "code":
        return f"Runs code ({shown}){marked}." if verb == "executes" else f"{_VERBS[verb]} {shown}{marked}."
    if verb in ("connects", "sends", "grants") or where == "tool" or where not in _PLACES:
        return f"{_VERBS[verb]} {shown}{marked}."
    thing = "program" if verb == "executes" else "path"
    count = f"{len(names)} {thing}{'s' if len(names) > 1 else ''}"
    named = f": {shown}" if verb in _GRAVE or where != "workspace" or len(names) <= 2 else ""
    return f"{_VERBS[verb]} {count} {_PLACES[where]}{named}{marked}."


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
