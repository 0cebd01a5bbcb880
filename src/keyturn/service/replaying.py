"""What a policy version would have done: every recorded action of a time decided again, from the log alone.

Rules kept here:

- An action is decided twice with the facts of its own moment (its time, what was recorded of drift, the groups people were in then): by
  the version that decided it, and by the other. What differs is the policy's doing and nothing else's.
- Where the version that decided, decided again, does not say what was recorded, something beside the policy decided: a grant, a plan, a
  workspace's own rules, a response to a finding. That is counted as `beside`, never taken for a difference.
- Labels are put on again as the other version has them. Content is not read again: where the two versions describe programs
  differently, that is said.
- The log is streamed; nothing is kept but counts and the riskiest examples.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from keyturn.actions import Effect, Reading
from keyturn.errors import ExitCode, KeyturnError
from keyturn.ledger import checkpoint, leaf
from keyturn.ledger.entries import Entry
from keyturn.ledger.storage import Store
from keyturn.policy import Policy
from keyturn.policy.decision import Decision, Facts
from keyturn.resources import Surroundings, host_labels, path_labels
from keyturn.service.facts import OF_DRIFT

EXAMPLES = 20
_GRAVE = ("grants", "configures", "deletes", "sends", "writes", "executes", "connects", "reads")
_ORDER = {"run": 0, "hold": 1, "refuse": 2}
_PEOPLE = frozenset(("person.enrolled", "person.changed", "person.removed", "person.restored"))
Progress = Callable[[int, int], None]


class VersionUnknown(KeyturnError):
    """No policy version is recorded under that name, or several are."""

    code = "policy.version"
    status = 404
    exit_code = ExitCode.USAGE
    not_done = "Nothing was decided again."
    next_step = "`keyturn policy versions` lists all; the first characters of a digest are enough when they are unique."


class Version(Struct, frozen=True):
    """A recorded version of the policy. Times in milliseconds; `until` is when another one took its place."""

    digest: str
    mode: str
    state: str
    since: int
    until: int | None
    by: str
    note: str


class Example(Struct, frozen=True):
    """One action that would be decided otherwise."""

    action: str
    entry: int
    time: int
    agent: str
    sentence: str
    before: str
    after: str
    rules: tuple[str, ...]
    labels: tuple[str, ...]


class Replay(Struct, frozen=True):
    """What came of it. `counts` are verdicts `from → to`; `asks` holds that would ask other people; `beside` see the module."""

    policy: str
    since: int
    until: int
    actions: int
    differing: int
    looser: int
    stricter: int
    asks: int
    beside: int
    unreadable: int
    counts: dict[str, int]
    rules: dict[str, int]
    examples: tuple[Example, ...]
    limits: tuple[str, ...]


def versions(store: Store) -> list[Version]:
    """Every version that was proposed or published, newest first."""
    found = [
        Version(
            row["digest"],
            row.get("mode", ""),
            {"published": "active"}.get(state, state),
            row["at"],
            row.get("until"),
            str(row.get("by") or ""),
            str(row.get("note") or ""),
        )
        for state in ("published", "replaced", "proposed")
        for row in store.rows("policy", state=state, limit=10_000)
    ]
    return sorted(found, key=lambda one: one.since, reverse=True)


def version(store: Store, name: str) -> Policy:
    """The recorded version whose digest begins with *name*, or `active`. Raises `VersionUnknown`."""
    past = Past(store)
    if name == "active":
        name = str((store.row("policy-active", "active") or {}).get("digest", ""))
    wanted = name if name.startswith("sha256:") else f"sha256:{name}"
    found = [row["digest"] for row in store.rows("policy", limit=10_000) if row["digest"].startswith(wanted)]
    if len(set(found)) != 1 or len(name.removeprefix("sha256:")) < 4:
        raise VersionUnknown(f"{len(set(found))} recorded versions begin with {name[:80]!r}.")
    policy = past.policy(found[0])
    if policy is None:
        raise VersionUnknown(
            f"The content of {found[0]} is not in the store, or is of a form that this program does not read."
        )
    return policy


class Past:
    """What the log says of the time that entries come from."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.groups: dict[str, tuple[str, ...]] = {}
        self.policy = lru_cache(maxsize=32)(self._policy)

    def opened(self, value: Any) -> Any:
        """A field's value, or what the blob holds that stands for it. Raises `LookupError` where that is gone."""
        if isinstance(value, dict) and value.keys() == {"blob", "size"}:
            data = self.store.blob(value["blob"])
            if data is None:
                raise LookupError(value["blob"])
            return msgspec.json.decode(data)
        return value

    def _policy(self, digest: str) -> Policy | None:
        row = self.store.row("policy", digest)
        if row is None:
            return None
        try:
            files = {path: self.store.blob(blob) for path, blob in self.opened(row["files"]).items()}
            return Policy.parse({path: data for path, data in files.items() if data is not None})
        except (KeyturnError, LookupError):
            return None

    def heard(self, entry: Entry) -> None:
        """A person changed."""
        f = entry.fields
        if entry.type == "person.removed":
            self.groups.pop(f.get("id", ""), None)
        elif "groups" in f:
            self.groups[f["id"]] = tuple(f["groups"])
        else:
            self.groups.setdefault(f.get("id", ""), ())

    def facts(self, f: dict[str, Any]) -> Facts:
        """What policy knew of the action with the fields *f*."""
        agent, human = self.opened(f["agent"]), self.opened(f["human"])
        known = human["person"] if human and human["person"] in self.groups else None
        drift = self.opened(f.get("facts")) or {}
        missing = set(self.opened(f["missing"])) | ({"human"} if human and known is None else set())
        told = {name: value for name, value in drift.items() if name in OF_DRIFT}
        return msgspec.convert(
            {
                "agent": agent["name"],
                "client": agent.get("client", ""),
                "human": known,
                "human_groups": self.groups.get(known, ()) if known else (),
                "missing": sorted(missing),
                "assurance": f["gate"]["assurance"],
                "target": self.opened(f["action"])["target"],
                "definition_known": drift.get("definition") == "approved",
                **told,
            },
            Facts,
        )


def replay(
    store: Store, policy: Policy, since: int, until: int, progress: Progress = lambda done, of: None
) -> Replay:
    """Decide every action recorded in `[since, until)` (milliseconds) again under *policy*."""
    past, tally = Past(store), _Tally(policy)
    head = store.head()
    size = checkpoint.read_unverified(head).size if head else 0
    for stored in store.entries(0, size):
        if stored.index % 1000 == 0:
            progress(stored.index, size)
        if stored.time >= until:
            break
        if stored.type in _PEOPLE:
            past.heard(leaf.read(stored))
        elif stored.type == "action.decided" and stored.time >= since:
            tally.add(past, leaf.read(stored))
    return tally.result(since, until)


class _Tally:
    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        names = ("actions", "differing", "looser", "stricter", "asks", "beside", "unreadable")
        self.n: dict[str, int] = dict.fromkeys(names, 0)
        self.counts: dict[str, int] = {}
        self.rules: dict[str, int] = {}
        self.worst: list[tuple[tuple[int, ...], int, Example]] = []
        self.other_programs = False

    def add(self, past: Past, entry: Entry) -> None:
        """One action."""
        self.n["actions"] += 1
        f = entry.fields
        try:
            reading = msgspec.convert(past.opened(f["reading"]), Reading)
            recorded = msgspec.convert(past.opened(f["decision"]), Decision)
            facts = past.facts(f)
            old = past.policy(recorded.policy)
        except (LookupError, TypeError, msgspec.ValidationError):
            self.n["unreadable"] += 1
            return
        if old is None:
            self.n["unreadable"] += 1
            return
        before = old.decide(f["kind"], reading, facts, entry.time)
        if before.would != recorded.would or recorded.verdict != before.verdict:
            self.n["beside"] += 1
        self.other_programs = self.other_programs or old.programs != self.policy.programs
        after = self.policy.decide(f["kind"], labelled(reading, old, self.policy), facts, entry.time)
        if before.verdict == after.verdict:
            self.n["asks"] += before.verdict == "hold" and before.obligations != after.obligations
            return
        self._differs(entry, reading, before, after)

    def _differs(self, entry: Entry, reading: Reading, before: Decision, after: Decision) -> None:
        self.n["differing"] += 1
        looser = _ORDER[after.verdict] < _ORDER[before.verdict]
        self.n["looser" if looser else "stricter"] += 1
        key = f"{before.verdict} → {after.verdict}"
        self.counts[key] = self.counts.get(key, 0) + 1
        rules = tuple(dict.fromkeys(hit.rule for hit in after.rules))
        for rule in rules:
            self.rules[rule] = self.rules.get(rule, 0) + 1
        labels = tuple(sorted({label for effect in reading.effects for label in effect.labels}))
        example = Example(
            str(entry.fields.get("id", "")),
            entry.index,
            entry.time,
            str((entry.fields.get("agent") or {}).get("name", "")),
            str(entry.fields.get("sentence", ""))[:300],
            before.verdict,
            after.verdict,
            rules,
            labels,
        )
        verbs = [_GRAVE.index(effect.verb) for effect in reading.effects] or [len(_GRAVE)]
        weight = (
            looser,
            _ORDER[before.verdict] - _ORDER[after.verdict],
            len(labels),
            len(_GRAVE) - min(verbs),
        )
        item = (weight, -entry.index, example)
        if len(self.worst) < EXAMPLES:
            heapq.heappush(self.worst, item)
        else:
            heapq.heappushpop(self.worst, item)

    def result(self, since: int, until: int) -> Replay:
        """The whole."""
        said = []
        if self.other_programs:
            said.append(
                "The versions describe programs differently, and content was not read again: those actions may differ in more."
            )
        if self.n["unreadable"]:
            said.append(
                f"{self.n['unreadable']} actions could not be decided again: something of them is withheld, erased or of an older form."
            )
        worst = tuple(example for _, _, example in sorted(self.worst, key=lambda one: one[:2], reverse=True))
        ordered = dict(sorted(self.rules.items(), key=lambda one: (-one[1], one[0])))
        return Replay(
            self.policy.digest,
            since,
            until,
            **self.n,
            counts=self.counts,
            rules=ordered,
            examples=worst,
            limits=tuple(said),
        )


def labelled(reading: Reading, old: Policy, new: Policy) -> Reading:
    """*reading* with the labels that *new* gives, where its resources.toml is another."""
    if old.labels == new.labels:
        return reading
    before, after = Surroundings(labels=old.labels), Surroundings(labels=new.labels)
    steps = tuple(
        replace(step, effects=tuple(_effect(one, before, after) for one in step.effects))
        for step in reading.steps
    )
    return replace(reading, steps=steps)


def _effect(effect: Effect, before: Surroundings, after: Surroundings) -> Effect:
    """*effect* with what *before* put on it taken off, and what *after* puts on it; labels that the reader gave stay."""
    if effect.zone not in ("network", "loopback") and not effect.what.startswith("/"):
        return effect
    labels = host_labels if effect.zone in ("network", "loopback") else path_labels
    own = set(effect.labels) - set(labels(effect.what, before))
    return replace(effect, labels=tuple(sorted(own | set(labels(effect.what, after)))))


__all__ = [
    "Example",
    "Past",
    "Replay",
    "Version",
    "VersionUnknown",
    "labelled",
    "replay",
    "version",
    "versions",
]
