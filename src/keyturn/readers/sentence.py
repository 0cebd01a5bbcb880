"""Effects -> a few short sentences for people, the gravest effect first.

Rules: what was not understood comes first of all. Every effect that lasts, leaves the machine or touches what has a
label is told before the rest, and is never cut off: when it gets long, names go first, then what is not grave.
What is read and sent by one step is told as one thing.
"""

from __future__ import annotations

from msgspec import Struct

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
_ANYTHING = {
    "grants": "May grant any right",
    "deletes": "May delete anything",
    "configures": "May change any configuration",
    "writes": "May write to anything",
    "sends": "May send data to any host",
    "executes": "May run any program",
    "connects": "May connect to any host",
    "reads": "May read anything",
}
_PLACES = {
    "workspace": "in the workspace",
    "temporary": "among temporary files",
    "system": "of the system",
    "home": "in the home folder",
    "outside": "outside the workspace",
    "keyturn": "of Keyturn itself",
    "device": "on a device",
    "unknown": "known only when it runs",
}
_GRAVE = frozenset({"grants", "deletes", "configures", "writes", "sends"})
MAX_SENTENCE = 400
MAX_NAMES = 3

_LEVELS = ((MAX_NAMES, 100), (2, 60), (1, 40), (1, 20))
"""(names shown, length of a name), tried one after the other until all of it fits."""

_LONGEST = 1_000
"""Longest sentence that is kept where the grave effects alone need more than `MAX_SENTENCE`."""

ANYTHING = "…"


class _Piece(Struct, frozen=True):
    text: str
    grave: bool


class _Sent(Struct, frozen=True):
    """What one step reads and sends to `host`."""

    host: Effect
    files: tuple[Effect, ...]


def sentence(steps: tuple[Step, ...], unread: tuple[Unread, ...]) -> str:
    """What *steps* would do, and first of all what was not understood."""
    first = [f"Not understood: {_not_understood(unread)}."] if unread else []
    if not any(step.effects for step in steps):
        names = ", ".join(dict.fromkeys(step.program for step in steps))
        told = f"No lasting effect ({names})." if names else "Does nothing."
        return _short(" ".join(first or [told]), MAX_SENTENCE)
    pieces: list[_Piece] = []
    for names_shown, length in _LEVELS:
        pieces = _pieces(steps, names_shown, length)
        whole = " ".join([*first, *(piece.text for piece in pieces)])
        if len(whole) <= MAX_SENTENCE:
            return whole
    grave = " ".join([*first, *(piece.text for piece in pieces if piece.grave)])
    rest = " ".join(piece.text for piece in pieces if not piece.grave)
    if len(grave) > _LONGEST - 2:
        return " ".join([*first, *_counted(steps)])
    if len(grave) >= MAX_SENTENCE:
        return f"{grave} …" if rest else grave
    return _short(f"{grave} {rest}".strip(), MAX_SENTENCE)


def _pieces(steps: tuple[Step, ...], names: int, length: int) -> list[_Piece]:
    """One for each verb and zone, the grave ones first."""
    sent = _sent(steps)
    told = {effect for one in sent for effect in (one.host, *one.files)}
    hosts = {effect.what for step in steps for effect in step.effects if effect.verb == "sends"}
    groups: dict[tuple[str, str, bool], list[Effect]] = {}
    for effect in dict.fromkeys(effect for step in steps for effect in step.effects):
        if effect in told or (effect.verb == "connects" and effect.what in hosts):
            continue
        groups.setdefault((effect.verb, effect.zone, bool(effect.labels)), []).append(effect)
    pieces: list[_Piece] = []
    waiting = list(sent)
    for verb in _ORDER:
        for (own, where, labelled), group in groups.items():
            if own != verb:
                continue
            joined = [one for one in waiting if verb in ("writes", "deletes") and _among(one, group)]
            text = _group(verb, where, group, names, length, bool(joined))
            for one in joined:
                waiting.remove(one)
                host, marked = _short(one.host.what, length), _labels([one.host, *one.files])
                text += f" and sends {_how_many(one, group)} to {host}{marked}"
            pieces.append(_Piece(text + ".", verb in _GRAVE or labelled))
        if verb == "sends":
            pieces += [_Piece(_sends(one, names, length) + ".", True) for one in waiting]
    return sorted(pieces, key=lambda piece: not piece.grave)


def _counted(steps: tuple[Step, ...]) -> list[str]:
    """One sentence a verb, with how many things in how many kinds of places: what no number of effects makes long."""
    told = []
    for verb in _ORDER:
        effects = list(dict.fromkeys(e for step in steps for e in step.effects if e.verb == verb))
        if effects:
            names, zones = len({e.what for e in effects}), len({e.zone for e in effects})
            things = f"{names} thing{'s' if names > 1 else ''}"
            places = f"{zones} kind{'s' if zones > 1 else ''} of places"
            told.append(f"{_VERBS[verb]} {things} in {places}{_labels(effects)}.")
    return told


def _sent(steps: tuple[Step, ...]) -> list[_Sent]:
    found: dict[Effect, list[Effect]] = {}
    for step in steps:
        hosts = [effect for effect in step.effects if effect.verb == "sends"]
        files = [e for e in step.effects if e.verb == "reads" and e.what.startswith("/")]
        if len(hosts) == 1 and files:
            found.setdefault(hosts[0], []).extend(files)
    return [_Sent(host, tuple(dict.fromkeys(files))) for host, files in found.items()]


def _among(one: _Sent, group: list[Effect]) -> bool:
    names = {effect.what for effect in group}
    return all(file.what in names for file in one.files)


def _how_many(one: _Sent, group: list[Effect]) -> str:
    sent, there = len(one.files), len({effect.what for effect in group})
    if there == 1:
        return "it"
    if sent == there:
        return "both" if sent == 2 else "all of them"
    return "one of them" if sent == 1 else f"{sent} of them"


def _sends(one: _Sent, names: int, length: int) -> str:
    shown = _names([file.what for file in one.files], names, length)
    return f"Sends {shown} to {_short(one.host.what, length)}{_labels([one.host, *one.files])}"


def _not_understood(unread: tuple[Unread, ...]) -> str:
    first = unread[0]
    more = f" and {len(unread) - 1} more" if len(unread) > 1 else ""
    return f"bytes {first.start}–{first.end} ({_short(first.why, 200)}){more}"


def _group(verb: str, where: str, effects: list[Effect], names: int, length: int, joined: bool) -> str:
    """One verb in one zone, without its full stop."""
    marked = _labels(effects)
    named = [effect.what for effect in effects if effect.what != ANYTHING]
    if not named:
        return _ANYTHING[verb] + marked
    shown = _names(named, names, length)
    if where == "code":
        return f"Runs code ({shown}){marked}" if verb == "executes" else f"{_VERBS[verb]} {shown}{marked}"
    if verb in ("connects", "sends", "grants") or where == "tool" or where not in _PLACES:
        return f"{_VERBS[verb]} {shown}{marked}"
    if verb == "executes" and where == "unknown":
        return f"Runs {shown}, of which nothing is known{marked}"
    if where in ("system", "device") and not any(set("/*?$~") & set(name) for name in named):
        return f"{'Uses' if (verb, where) == ('writes', 'device') else _VERBS[verb]} {shown}{marked}"
    thing = "program" if verb == "executes" else _thing(named)
    count = f"{len(named)} {thing}{'s' if len(named) > 1 else ''}"
    tells = verb in _GRAVE or where != "workspace" or len(named) <= 2
    more = " and maybe anything else" if len(named) < len(effects) else ""
    told = (f" ({shown})" if joined else f": {shown}") if tells else ""
    return f"{_VERBS[verb]} {count} {_PLACES[where]}{told}{more}{marked}"


def _thing(names: list[str]) -> str:
    """`file` where every name looks like one's; folders and patterns are paths."""
    lasts = [name.rsplit("/", 1)[-1] for name in names]
    return "file" if all("." in last[1:-1] and not set(last) & set("*?[") for last in lasts) else "path"


def _names(names: list[str], most: int, length: int) -> str:
    names = list(dict.fromkeys(names))
    shown = [_short(name, length) for name in names[:most]]
    if len(names) > most:
        return f"{', '.join(shown)} and {len(names) - most} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _labels(effects: list[Effect]) -> str:
    labels = sorted({label for effect in effects for label in effect.labels})
    return f" [{', '.join(labels)}]" if labels else ""


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
