"""A house over 130 days in which every test of agents, credentials, findings, evidence and oversight has a population and no exception.

A *seed* is something that should not be. It is a generator over the house: it records what is wrong, says what has to be found
(`House.expect`), and may yield a number of days after which it goes on. Seeds begin on days 20 to 35, on which nothing else depends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from world import DAY, HOUR, MINUTE, SECOND, START, Done, World, digest_of

DAYS = 130
UNTIL = START + DAYS * DAY
FIRST_DAY, LAST_DAY = 20, 35
"""Days on which seeds may begin."""
SILENT = range(11, 18)
"""The days of one span of seven, counted back from the end, in which no seed records anything."""
MEANWHILE = 60
"""On this day everybody and everything that is in use is used."""
SETTINGS = {"key_d": 90.0, "rights_review_d": 90.0}
"""Thresholds of the tests of this house that are not the usual ones: it is too short for a year."""

Effect = tuple[str, str, tuple[str, ...]]
Found = tuple[str, int, str, str]
"""Test, entry, subject, exception."""
Seed = Callable[["House"], Iterator[float]]

SEEDS: dict[str, Seed] = {}
"""Every kind of exception, by name."""
LATE: set[str] = set()
LATE_DAY = 39


def seed(made: Seed) -> Seed:
    """Register it."""
    SEEDS[made.__name__] = made
    return made


def late(made: Seed) -> Seed:
    """Register one that begins on `LATE_DAY`: what it does counts for everybody."""
    LATE.add(made.__name__)
    return seed(made)


class House(World):
    """The world, with what its seeds want found. *absent*: what nobody did: `log`, `rights` (reviews) or `tests:DAY`."""

    def __init__(self, absent: Sequence[str] = ()) -> None:
        super().__init__()
        self.expected: list[Found] = []
        self.absent = frozenset(absent)
        self.people: list[str] = []
        self.gates: list[tuple[str, str]] = []
        self.credentials: list[tuple[str, str]] = []
        self.known: set[str] = set()
        self.open: dict[str, None] = {}
        """Sessions that nothing has ended yet."""
        self.last: dict[str, int] = {}

    def expect(self, test: str, entry: int, subject: str, exception: str) -> None:
        """That *test* has to list this."""
        self.expected.append((test, entry, subject, exception))

    def fresh(self, kind: str) -> str:
        """A name that nothing has yet."""
        self._ids[kind] = self._ids.get(kind, 0) + 1
        return f"{kind}{self._ids[kind]}"

    # --- people, gates, credentials ----------------------------------------------------------------------------

    def joins(self, *, roles: Sequence[str] = ("member",), groups: Sequence[str] = ("reviewers",)) -> str:
        """Somebody new, who is there until the end."""
        name = self.fresh("person")
        self.enrol(name, roles=roles, groups=groups, approved_by="bea")
        self.people.append(name)
        return name

    def leaves(self, person: str) -> int:
        """Somebody is removed."""
        self.people.remove(person)
        return self.add("person.removed", {"id": person, "by": "ada"})

    def new_gate(self, assurance: str = "enforced") -> str:
        """A gate that is used now and then."""
        name = self.enrolled_gate(assurance)
        self.gates.append((name, assurance))
        return name

    def enrolled_gate(self, assurance: str = "enforced") -> str:
        """A gate that nobody uses."""
        name = self.fresh("gate") + "@host"
        self.enrol_gate(name, assurance=assurance)
        return name

    def of_agent(self, agent: str, *, used: bool = False, **more: Any) -> str:
        """A credential of an agent; *used*: also later."""
        made = self.credential("agent", agent, **{"person": "mia", **more})
        if used:
            self.credentials.append((made, agent))
        return made

    def opener(self, credential: str, machine: str = "") -> dict[str, Any]:
        """Who opens a session with a credential."""
        return {"credential": credential, "holder": "agent", "machine": machine, "pid": 0, "started": 0}

    # --- sessions and actions ----------------------------------------------------------------------------------

    def defined(self, agent: str, digest: str = "") -> int:
        """People approve what an agent is."""
        self.known.add(agent)
        request = self.changed("definition", "mia", "ada").id
        fields = {
            "agent": agent,
            "digest": digest or digest_of(f"definition of {agent}"),
            "place": "/home/mia/project",
            "before": None,
            "request": request,
            "by": "mia",
            "why": "as assessed",
        }
        return self.add("definition.approved", fields)

    def session(self, **more: Any) -> str:
        """A session, which the house ends in the end."""
        session = super().session(**more)
        self.open[session] = None
        return session

    def close(self, session: str, **more: Any) -> int:
        """It ends."""
        self.open.pop(session, None)
        return super().close(session, **more)

    def start(self, agent: str = "claude-code", **more: Any) -> str:
        """A session of an agent whose definition people approved."""
        if agent not in self.known:
            self.defined(agent)
        return self.session(agent=agent, **more)

    @staticmethod
    def read(*effects: Effect, complete: bool = True) -> dict[str, Any]:
        """What an action does: (verb, zone, labels)."""
        made = [
            {"verb": verb, "what": "/srv/x", "zone": zone, "labels": list(labels)}
            for verb, zone, labels in effects
        ]
        step = {"program": "do", "argv": ["do"], "code": [], "complete": complete, "effects": made}
        return {"kind": "shell", "complete": complete, "canonical": "do", "sentence": "", "steps": [step]}

    def let(self, session: str, *effects: Effect, complete: bool = True, **more: Any) -> Done:
        """An action that policy lets run."""
        return self.ran(session, reading=self.read(*effects, complete=complete), **more)

    def voted(self, session: str, *effects: Effect, **more: Any) -> tuple[Done, Done]:
        """An action that cyd approved."""
        return self.approved(session, "cyd", reading=self.read(*effects), **more)

    # --- findings, evidence, the rest --------------------------------------------------------------------------

    def moved(self, finding: str, event: str, by: str = "dee", **more: Any) -> int:
        """A step in a finding's life."""
        state = {"viewed": "open", "reopened": "open"}.get(event, event)
        fields: dict[str, Any] = {"finding": finding, "by": by, "reason": "looked into it", "state": state}
        if event != "viewed":
            fields["apart"] = True
        return self.add(f"finding.{event}", fields | more)

    def settled(self, finding: str, **more: Any) -> int:
        """Somebody looks after a finding, and closes it: the entry of its end."""
        self.moved(finding, "acknowledged")
        self.wait(hours=1)
        return self.moved(finding, "closed", **{"outcome": "fixed", **more})

    def looks_through(self, by: str) -> int:
        """*by* reviews who may do what."""
        people = [
            {"person": one, "admin": one in ("ada", "bea"), "own": one == by}
            for one in sorted({*self.people, by})
        ]
        fields = {
            "id": f"ar_{self.index}",
            "by": by,
            "digest": digest_of(str(people)),
            "people": people,
            "counts": {},
        }
        return self.add("access.reviewed", {**fields, "taken": [], "note": ""})

    def reads(self, by: str, what: str = "control", of: str = "CC6.1") -> int:
        """Somebody reads evidence."""
        self.last["log"] = self.add(
            "evidence.viewed",
            {"by": by, "what": what, "of": of, "from": self.now, "to": self.now, "times": 1},
        )
        return self.last["log"]

    def exports(self, **more: Any) -> tuple[str, int]:
        """A pack is made: its id, and the entry."""
        id = self.id("e")
        fields = {
            "id": id,
            "framework": "soc2",
            "since": START,
            "until": self.now,
            "by": "ada",
            "for": "an auditor",
            "disclosure": "digests",
            "size": self.index + 1,
        }
        return id, self.add("evidence.exported", fields | more)

    def tested(self) -> int:
        """The controls are tested."""
        result = {
            "test": "instructed",
            "query": digest_of("sql"),
            "settings": {},
            "population": 1,
            "exceptions": 0,
        }
        fields = {
            "id": self.id("t"),
            "since": START,
            "until": self.now,
            "size": self.index,
            "root": digest_of("root"),
            "why": "schedule",
            "results": [result | {"untested": 0, "verdict": "pass", "why": "", "listed": []}],
            "changed": [],
        }
        self.last["tests"] = self.add("control.tested", fields)
        return self.last["tests"]

    def probed(self, gate: str, stopped: bool = True) -> int:
        """A gate's client is told to stop."""
        return self.add(
            "probe.result", {"gate": gate, "client": "claude-code", "stopped": stopped, "how": "deny"}
        )

    def writes(self, session: str, *, days: float, labels: Sequence[str] = ("customer",)) -> tuple[str, int]:
        """An action writes a file of labelled data, which has to be gone after so many days: id, entry."""
        action = self.let(session, ("writes", "workspace", ()))
        id = self.id("x")
        fields = {
            "id": id,
            "path": "/home/mia/project/extract.csv",
            "rule": "customers",
            "labels": list(labels),
            "made": self.now,
            "due": self.now + int(days * DAY),
            "source": "",
            "action": action.id,
            "agent": "claude-code",
        }
        return id, self.add("artefact.written", fields, session=session)

    def deletes(self, artefact: str) -> int:
        """Somebody says that it is gone."""
        return self.add(
            "artefact.deleted", {"artefact": artefact, "how": "attested", "by": "mia", "why": "deleted"}
        )

    def holds(self, scope: str, of: str) -> str:
        """A legal hold is placed."""
        id = self.id("h")
        self.add("legalhold.placed", {"id": id, "scope": scope, "of": of, "why": "a case", "by": "ada"})
        return id

    def lifts(self, hold: str) -> int:
        """It is lifted."""
        return self.add(
            "legalhold.lifted", {"hold": hold, "request": self.changed("legal-hold", "ada", "bea").id}
        )

    def lets_scim_in(self) -> int:
        """The client that provisions people gets a token, which two administrators decided on."""
        request = self.changed("scim", "ada", "bea").id
        return self.add("scim.token", {"token": digest_of(request), "by": "ada", "request": request})

    def erases(self, scope: str, of: str, *approvers: str, **more: Any) -> tuple[str, int]:
        """Something is erased: the erasure's id, and its entry."""
        id = self.id("er")
        request = self.changed("erasure", "ada", *approvers).id
        fields = {
            "id": id,
            "scope": scope,
            "of": of,
            "why": "asked for it",
            "until": self.index,
            "fields": 3,
            "entries": 2,
            "list": digest_of("list"),
            "request": request,
            "by": "ada",
        }
        return id, self.add("erasure.done", fields | more)

    def stops(self, session: str) -> int:
        """Somebody pulls the kill switch."""
        return self.add("session.stopped", {"by": "dee", "why": "It deletes."}, session=session)

    def blocks(self, kind: str, of: str, ends: int = 0) -> tuple[str, int]:
        """A finding stops an agent, a definition or a session: the response's id, and its entry."""
        finding = self.finding("rate.exceeded")
        id = self.id("rs")
        fields = {
            "id": id,
            "finding": finding,
            "kind": "rate.exceeded",
            "name": "stop-it",
            "do": "stop",
            "of": [kind, of],
            "approve": "1 of security",
            "ends": ends,
            "policy": self.policy,
        }
        entry = self.add("response.begun", fields)
        self.settled(finding)
        return id, entry

    def delegates(self, person: str, to: str, *, days: float = 10, **more: Any) -> tuple[str, int]:
        """Somebody hands their places over: id, entry."""
        id = self.id("d")
        fields = {
            "id": id,
            "person": person,
            "to": to,
            "groups": ["reviewers"],
            "since": self.now,
            "until": self.now + int(days * DAY),
            "why": "away",
        }
        return id, self.add("delegation.opened", fields | more)

    def tells(self, about: str, event: str = "sent", *, person: str = "cyd", **more: Any) -> int:
        """A channel takes a message, or does not."""
        fields: dict[str, Any] = {
            "about": about,
            "phase": "opened",
            "channel": "mail",
            "to": person,
            "person": person,
        }
        if event == "sent":
            fields |= {"shown": "waiting", "ref": {}, "message": digest_of("message"), "follows": False}
        else:
            fields |= {"why": "It did not answer.", "final": False, "retry": self.now + MINUTE}
        return self.add(f"notice.{event}", fields | more)

    def sees(self, target: str, **more: Any) -> int:
        """A target's configuration is looked at."""
        fields = {
            "id": self.id("cf"),
            "source": "kubernetes",
            "target": target,
            "digest": digest_of(target),
            "state": digest_of("state"),
            "good": digest_of("good"),
            "objects": 3,
            "patch": {},
            "first": False,
            "drifted": 0,
            "tag": "",
            "at": self.now,
            "by": "ada",
            "explanation": {"grade": "PROVEN", "change": "", "outcome": "Nothing has changed."},
            "used": {},
        }
        return self.add("configuration.seen", fields | more)

    def approves_configuration(self, target: str, **more: Any) -> str:
        """People approve a change of it; gives the request's id."""
        request = self.changed("configuration", "mia", "ada").id
        fields = {
            "source": "kubernetes",
            "target": target,
            "patch": {"Deployment/x": {"image": "v2"}},
            "base": digest_of("base"),
            "opens": self.now,
            "closes": self.now + 7 * DAY,
            "max_uses": 1,
            "effects": [],
            "why": "release",
            "by": "mia",
            "request": request,
        }
        self.add("configuration.approved", fields | more)
        return request

    # --- days --------------------------------------------------------------------------------------------------

    def day(self) -> float:
        """Days since the house began."""
        return (self.now - START) / DAY

    def at(self, day: int, hour: float) -> None:
        """Nothing happens until then. What came before has to be over."""
        moment = START + day * DAY + int(hour * HOUR)
        assert self.now <= moment, f"day {day} has already gone on to {self.day()}"
        self.now = moment


def house(
    chosen: Sequence[tuple[int, str]] = (),
    absent: Sequence[str] = (),
    base: bool = True,
    seeds: dict[str, Seed] | None = None,
    kind: type[House] = House,
) -> House:
    """A house in which each of *chosen*, (day, name of a seed), begins on its day. Without *base* only what days need happens."""
    import ordinary

    h = kind(absent)
    h.begin()
    h.defined("claude-code")
    h.enrol("aud", roles=("auditor",), groups=(), approved_by="bea")
    h.people = ["ada", "bea", "cyd", "dee", "eve", "mia", "noa", "aud"]
    waiting = [(float(day), number, (seeds or SEEDS)[name](h)) for number, (day, name) in enumerate(chosen)]
    if base:
        waiting += [(float(day), -number - 1, made(h)) for number, (day, made) in enumerate(ordinary.PARTS)]
    for day in range(DAYS):
        h.at(day, 1)
        if f"tests:{day}" in h.absent:
            h.expect("tests_regular", h.last["tests"], f"span {day + 1}", "no test of controls ran")
        else:
            h.tested()
        h.heartbeat(interval_s=DAY // SECOND)
        if "log" not in h.absent or day not in SILENT:
            if day == SILENT.stop and "log" in h.absent:
                h.expect(
                    "reviews_regular",
                    h.last["log"],
                    "review of the log, span 2",
                    "nobody looked at findings or evidence",
                )
            h.reads("aud")
        h.close(_a_run(h))
        if day == MEANWHILE:
            _meanwhile(h)
        later = []
        for due, number, part in sorted(waiting, key=lambda one: one[:2]):
            if due > day:
                later.append((due, number, part))
                continue
            pause = next(part, None)
            if pause is not None:
                later.append((day + pause, number, part))
        waiting = later
    assert not waiting, "a seed never came to its end"
    for session in tuple(h.open):
        h.close(session)
    h.at(DAYS - 1, 23.9)
    if "rights" in h.absent:
        h.expect("reviews_regular", 0, "review of the rights, span 1", "nobody reviewed the rights in force")
        h.expect("access_reviewed", 0, "who may do what, span 1", "nobody looked through it")
    return h


def _a_run(h: House) -> str:
    session = h.session()
    h.ran(session)
    return session


def _meanwhile(h: House) -> None:
    """Everybody signs in, everything is used once, keys are replaced, and rights are reviewed."""
    for person in h.people:
        fields = {"person": person, "cookie": digest_of(person), "expires": h.now + DAY, "how": "link"}
        h.add("login.opened", fields)
    for gate, assurance in h.gates:
        h.session(gate=gate, assurance=assurance)
    for credential, agent in h.credentials:
        h.session(agent=agent, opener=h.opener(credential))
    for person in ("ada", "bea", "cyd", "dee", "eve"):
        h.add("key.revoked", {"id": h.key_of(person), "person": person, "by": person, "why": "a new one"})
        h.key(person, id=f"{h.key_of(person)}2", approved_by="bea" if person == "ada" else "ada")
    if "rights" not in h.absent:
        h.add("review.opened", {"rules": ["old"], "days": 90, "policy": h.policy, "by": "ada"})
        h.reads("aud", "people", "")
        h.looks_through("ada")
        h.looks_through("bea")


__all__ = [
    "DAYS",
    "FIRST_DAY",
    "LAST_DAY",
    "SEEDS",
    "SETTINGS",
    "UNTIL",
    "Found",
    "House",
    "Seed",
    "house",
    "seed",
]
