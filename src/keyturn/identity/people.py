"""People and groups. A person is one human, however many accounts, tokens or channels they use.

Rules kept here (promise 6):

- Records that share an account of an identity provider, or an operating-system account, are one human; sharing is
  transitive, and removed records still tie the ones that remain (somebody removed and enrolled again is the
  same human). Source: NIST SP 800-53r5 IA-2 (unique identification) and AC-5 (separation of duties).
- A removed person can decide nothing and is a member of nothing.
- A delegation is looked at with the clock in hand (`Roster.at`): one that has not begun or has ended carries nothing.
- So is a group that a schedule fills: whoever is on call is in it, and nobody else.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from msgspec import Struct

from keyturn.identity.delegation import Delegation
from keyturn.identity.oncall import OnCall, filled

Group = str
Absence = Literal["", "away", "shared"]

ROLES = ("member", "author", "auditor", "admin")
"""`member` anybody · `author` proposes policies · `auditor` reads only · `admin` manages the roster. None of them approves."""

ADMINS = "admins"
"""The group of all administrators: changes of the roster, of keys and of accounts ask for one of it. No rule of a policy does."""


class Person(Struct, frozen=True):
    """One human. `id` is stable and lowercase (`dana`); `groups` decide which stages they count for.

    `os_uids` and `accounts` (`issuer|subject`) are this human's: all of them are one person (promise 6). `former` are accounts
    that were unlinked: they open nothing any more, and whoever has them is still the same human.
    `roles`: any of `member`, `author`, `auditor`, `admin`. `removed` people can decide nothing. `away_until` (milliseconds since
    1970, 0 for not at all): on leave until then. `shared`: several people use this record, as a mailbox; it is nobody. Neither
    changes what may be decided: what happens in such a name is a finding.
    """

    id: str
    name: str = ""
    groups: tuple[Group, ...] = ()
    roles: tuple[str, ...] = ("member",)
    os_uids: tuple[int, ...] = ()
    accounts: tuple[str, ...] = ()
    former: tuple[str, ...] = ()
    removed: bool = False
    away_until: int = 0
    shared: bool = False

    def absent(self, now_ms: int) -> Absence:
        """Why nobody can be behind this name at *now_ms*, if so."""
        return "shared" if self.shared else "away" if self.away_until > now_ms else ""

    @property
    def reads_only(self) -> bool:
        """Whether this person changes nothing and decides nothing, whatever else they are."""
        return "auditor" in self.roles

    def counts_for(self, group: Group) -> bool:
        """Whether this person fills stages of *group*. Administrators are the group `admins`, which nobody is put into."""
        if self.reads_only:
            return False
        return "admin" in self.roles if group == ADMINS else group in self.groups

    def same_person_as(self, other: Person) -> bool:
        """Counted as one human: the same id, or a shared account of an identity provider or operating system.

        Looks at these two records only; `Roster.same_human` also follows what others share with both.
        """
        return (
            self.id == other.id
            or bool({*self.accounts, *self.former} & {*other.accounts, *other.former})
            or bool(set(self.os_uids) & set(other.os_uids))
        )


class Roster(Struct, frozen=True, dict=True):
    """All people known, by id, and who stands in for whom. A new roster is a new value; `people` is never changed in place."""

    people: dict[str, Person] = {}
    delegations: tuple[Delegation, ...] = ()
    oncall: tuple[OnCall, ...] = ()

    def at(self, now_ms: int) -> Roster:
        """This roster with only the delegations that carry at *now_ms*, and the groups that schedules fill as they are then."""
        if self.oncall:
            return Roster(filled(self.people, self.oncall, now_ms), self.delegations).at(now_ms)
        carrying = tuple(d for d in self.delegations if d.carries(now_ms))
        if len(carrying) == len(self.delegations):
            return self
        roster = Roster(self.people, carrying)
        # What is worked out from people alone holds for both.
        roster.__dict__.update({k: v for k, v in self.__dict__.items() if k != "_handed_to"})
        return roster

    def get(self, person: str | None) -> Person | None:
        """The person with that id, unless there is none or they were removed."""
        found = self.people.get(person) if person else None
        return None if found is None or found.removed else found

    def by_os_uid(self, uid: int) -> Person | None:
        """The one person who owns that operating-system account; None when nobody or more than one does."""
        return self._of_uids.get(uid)

    def by_account(self, account: str) -> Person | None:
        """The one person who has that account at a provider; None when nobody or more than one does."""
        owners = [p for p in self.people.values() if account in p.accounts and not p.removed]
        return owners[0] if len(owners) == 1 else None

    @cached_property
    def _of_uids(self) -> dict[int, Person]:
        """Those operating-system accounts that one person owns."""
        owners: dict[int, list[Person]] = {}
        for person in self.people.values():
            for uid in set(person.os_uids) if not person.removed else ():
                owners.setdefault(uid, []).append(person)
        return {uid: owning[0] for uid, owning in owners.items() if len(owning) == 1}

    def members(self, group: Group) -> tuple[Person, ...]:
        """People in *group*, in order of id."""
        return self._members.get(group, ())

    def handed_to(self, person: str) -> tuple[Delegation, ...]:
        """The delegations to *person*, in order of id."""
        return self._handed_to.get(person, ())

    def human(self, person: str) -> str:
        """The id that stands for the human behind *person*: the same for all records of one human."""
        return self._humans.get(person, person)

    def same_human(self, one: str, other: str) -> bool:
        """Whether two person ids are one human, directly or through records that share accounts with both."""
        return self.human(one) == self.human(other)

    def owns_os_uid(self, person: str, uid: int) -> bool:
        """Whether any record of the human behind *person* has that operating-system account."""
        return self.human(person) in self.humans_of_uid(uid)

    def humans_of_uid(self, uid: int) -> frozenset[str]:
        """The humans, removed ones too, who have that operating-system account."""
        return frozenset(map(self.human, self._uid_owners.get(uid, ())))

    @cached_property
    def _humans(self) -> dict[str, str]:
        """Every id with the smallest id among the records that are the same human (union-find)."""
        leader = {person: person for person in self.people}

        def find(person: str) -> str:
            while leader[person] != person:
                leader[person] = leader[leader[person]]
                person = leader[person]
            return person

        first_with: dict[str | int, str] = {}
        for key, person in sorted(self.people.items()):
            marks: list[str | int] = [*person.accounts, *person.former, *person.os_uids]
            for mark in marks:
                low, high = sorted((find(first_with.setdefault(mark, key)), find(key)))
                leader[high] = low
        return {person: find(person) for person in leader}

    @cached_property
    def _members(self) -> dict[Group, tuple[Person, ...]]:
        members: dict[Group, list[Person]] = {}
        for _, person in sorted(self.people.items()):
            if not person.removed:
                for group in {*person.groups, ADMINS}:
                    if person.counts_for(group):
                        members.setdefault(group, []).append(person)
        return {group: tuple(people) for group, people in members.items()}

    @cached_property
    def _handed_to(self) -> dict[str, tuple[Delegation, ...]]:
        handed: dict[str, tuple[Delegation, ...]] = {}
        for delegation in sorted(self.delegations, key=lambda d: d.id):
            handed[delegation.to] = (*handed.get(delegation.to, ()), delegation)
        return handed

    @cached_property
    def _uid_owners(self) -> dict[int, tuple[str, ...]]:
        owners: dict[int, tuple[str, ...]] = {}
        for key, person in self.people.items():
            for uid in person.os_uids:
                owners[uid] = (*owners.get(uid, ()), key)
        return owners
