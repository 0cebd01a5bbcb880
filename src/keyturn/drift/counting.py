"""What an action counts for under each limit, and which limits it would exceed. Pure: no clock, no log.

Rules kept here:

- A step that a limit's selector matches counts once, for every combination of what the limit counts per: twenty queries in one script
  are twenty.
- A sum counts its `reserve` until the receipt says how much it was. An action that touches two targets counts its whole sum for
  both: nobody can tell how much came from which.
- An action that counts for more keys than an entry can name exceeds each limit that lost one: nothing goes uncounted unseen.
- The same limits, action and attribution give the same counts, so what is recorded is what was decided on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from msgspec import Struct, to_builtins

from keyturn import canonical
from keyturn.actions import Reading, Step
from keyturn.drift import windows
from keyturn.drift.remembering import Remembered
from keyturn.drift.targets import Target, targets
from keyturn.policy.drift.limits import Limit, Limits, spoken
from keyturn.policy.drift.selectors import selected

MOST_BYTES = 3_200
"""Of the counts that an entry names: larger fields are kept elsewhere, where a fold does not see them."""
WORD = 120
"""Characters of a name that a sentence shows."""
HERE = "this machine"
"""The target of steps that speak to nothing else."""


class Count(Struct, frozen=True):
    """One counter that an action adds to. `id` is its row; `of` what is counted: empty for events, else `rows`, `bytes`,
    `target`, `program`; `values` the different ones. `key` is parallel to the limit's `per`."""

    id: str
    limit: str
    key: tuple[str, ...]
    window: int
    amount: int = 1
    of: str = ""
    values: tuple[str, ...] = ()


class Counts(Struct, frozen=True):
    """All counters of an action, and the limits of which some could not be named."""

    counts: tuple[Count, ...] = ()
    lost: tuple[str, ...] = ()


NOTHING = Counts()


class Over(Struct, frozen=True):
    """A limit that an action would exceed: how much is there, and what the action adds. `words` is the sentence for people."""

    id: str
    limit: str
    key: tuple[str, ...]
    amount: int
    events: int
    adding: int
    since: int | None
    entries: tuple[int, ...]
    words: str


def counts_of(
    limits: Limits, kind: str, reading: Reading, target: str, who: Mapping[str, str], at: int
) -> Counts:
    """What the action adds to at *at* (ms). *who* gives `agent`, `person`, `session` and `gate`; *target* is the gate's."""
    hits = matched(limits, kind, reading, target)
    if not hits:
        return NOTHING
    found: dict[tuple[str, tuple[str, ...]], Count] = {}
    for limit, step, about in hits:
        if limit.on(at):
            for key, value in _keys(limit, step, about, who):
                _add(found, limit.name, limit, key, value)
    return _fitting(found.values())


def watches(limits: Limits, kind: str, reading: Reading, target: str) -> bool:
    """Whether any limit counts such an action at some time, be it not now."""
    return bool(matched(limits, kind, reading, target))


Hit = tuple[Limit, Step, Target | None]


def matched(limits: Limits, kind: str, reading: Reading, target: str) -> tuple[Hit, ...]:
    """Every step that a limit counts, with what it speaks to; by the limits' names."""

    def found() -> tuple[Hit, ...]:
        about = targets(reading, target)
        return tuple(
            (limit, step, to)
            for _, limit in sorted(limits.items())
            for step, to in zip(reading.steps, about, strict=True)
            if selected(limit.counts, kind, step, (to.kind, to.name) if to else None)
        )

    return _MATCHED.of(limits, reading, f"{kind}:{target}", found)


_MATCHED: Remembered[tuple[Hit, ...]] = Remembered()


def _keys(
    limit: Limit, step: Step, target: Target | None, who: Mapping[str, str]
) -> Iterable[tuple[tuple[str, ...], str]]:
    choices: dict[str, tuple[str, ...]] = {
        "target": (str(target) if target else HERE,),
        "program": (step.program,),
        "label": tuple(sorted({label for effect in step.effects for label in effect.labels})),
    }
    value = choices[limit.distinct][0] if limit.distinct else ""
    among = (choices[name] if name in choices else (who.get(name, ""),) for name in limit.per)
    for key in product(*among):
        yield key, value


def _add(
    found: dict[tuple[str, tuple[str, ...]], Count], name: str, limit: Limit, key: tuple[str, ...], value: str
) -> None:
    known = found.get((name, key))
    of = limit.sum or limit.distinct
    if known is None:
        amount = limit.reserve if limit.sum else 1
        found[name, key] = Count(
            row_of(limit, key), name, key, limit.window, amount, of, (_short(value),) if value else ()
        )
    elif not of:
        found[name, key] = Count(known.id, name, key, limit.window, known.amount + 1)
    elif value and _short(value) not in known.values:
        values = (*known.values, _short(value))
        found[name, key] = Count(known.id, name, key, limit.window, len(values), of, values)


def row_of(limit: Limit, key: Sequence[str]) -> str:
    """The counter's row: another one as soon as the limit counts something else."""
    return f"{limit.name}:{limit.mark}:{canonical.digest(list(key)).removeprefix('sha256:')[:24]}"


def _short(value: str) -> str:
    return canonical.digest([value]).removeprefix("sha256:")[:12]


def _fitting(counts: Iterable[Count]) -> Counts:
    kept: list[Count] = []
    lost: list[str] = []
    size = 0
    for count in counts:
        size += len(canonical.dumps(to_builtins(count))) + 1
        if size <= MOST_BYTES:
            kept.append(count)
        else:
            lost.append(count.limit)
    return Counts(tuple(kept), tuple(dict.fromkeys(lost)))


Row = Mapping[str, Any]


def over(
    limits: Limits, found: Counts, row: Callable[[str], Row | None], who: Mapping[str, str], now: int
) -> tuple[Over, ...]:
    """The limits that an action with these counts would exceed at *now*; *row* gives a counter's row."""
    exceeded = []
    for count in found.counts:
        limit = limits[count.limit]
        one = _over(limit, count, row(count.id) or {}, who, now)
        if one is not None:
            exceeded.append(one)
    for name in found.lost:
        words = f"It counts for more than [limit {name}] can keep apart in one action: ask for less at once."
        exceeded.append(Over(name, name, (), 0, 0, 0, None, (), words))
    return tuple(exceeded)


def _over(limit: Limit, count: Count, row: Row, who: Mapping[str, str], now: int) -> Over | None:
    if limit.distinct:
        values = windows.known(row.get("values", ()), now, limit.window)
        new = set(count.values) - values
        if not new or len(values) + len(new) <= limit.most:
            return None
        seen, adding = windows.Seen(len(values), len(values), entries=tuple(row.get("last", ()))), len(new)
    else:
        cells = row.get("cells", ())
        adding = max(1, count.amount) if limit.sum else count.amount
        if windows.held(cells, now, limit.window) + adding <= limit.most:
            return None
        seen = windows.total(cells, now, limit.window)
    words = sentence(limit, count.key, seen, adding, who, now)
    entries = seen.entries[-20:]
    return Over(count.id, limit.name, count.key, seen.amount, seen.events, adding, seen.since, entries, words)


def sentence(
    limit: Limit, key: Sequence[str], seen: windows.Seen, adding: int, who: Mapping[str, str], now: int
) -> str:
    """The aggregate in one sentence."""
    per = {name: word[:WORD] for name, word in zip(limit.per, key, strict=True)}
    subject = (
        per.get("agent")
        or per.get("person")
        or ("This session" if "session" in per else "All agents together")
    )
    if "agent" in per and per.get("person"):
        subject = f"{subject} for {per['person']}"
    doing = _doing(limit, per)
    since = spoken(max(1000, now - seen.since)) if seen.since is not None else spoken(limit.window)
    why = f" {limit.because[:1].upper()}{limit.because[1:].rstrip('.')}." if limit.because else ""
    if limit.distinct:
        text = (
            f"{subject} touched {seen.amount:,} different {limit.distinct}s in the last {spoken(limit.window)} "
            f"(limit {limit.most:,}); this would be {seen.amount + adding:,}."
        )
    elif limit.sum:
        text = (
            f"{subject} took {seen.amount:,} {limit.sum} with {doing} in the last {since}, in {_times(seen.events, 'action')} "
            f"(limit {limit.most:,} {limit.each}); this would take more."
        )
    elif limit.most == 0:
        text = f"{subject} may not do this now without people: {limit.about}."
    else:
        text = (
            f"{subject} {_asked(limit, per)} {_times(seen.amount, 'time')} in the last {since} "
            f"(limit {limit.most:,} {limit.each}); this would be {seen.amount + adding:,}."
        )
    return f"{text}{why} [limit {limit.name}]"


def _times(many: int, word: str) -> str:
    return f"{many:,} {word}{'' if many == 1 else 's'}"


def _asked(limit: Limit, per: Mapping[str, str]) -> str:
    target = per.get("target", "")
    if target.startswith("database "):
        return f"asked {target}"
    return f"did what counts here ({limit.about}{f', {target}' if target else ''})"


def _doing(limit: Limit, per: Mapping[str, str]) -> str:
    target = per.get("target", "")
    return f"{limit.about} at {target}" if target else limit.about


__all__ = ["HERE", "Count", "Counts", "Over", "counts_of", "over", "row_of", "sentence", "watches"]
