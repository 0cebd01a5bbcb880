"""People and groups. A person is one human, however many accounts, tokens or channels they use.

Rules kept here (promise 6):

- Records that share an account of an identity provider, or an operating-system account, are one human; sharing is
  transitive, and removed records still tie the ones that remain (somebody removed and enrolled again is the
  same human). Source: NIST SP 800-53r5 IA-2 (unique identification) and AC-5 (separation of duties).
- A removed person can decide nothing and is a member of nothing.
"""

from __future__ import annotations

from functools import cached_property

from msgspec import Struct

Group = str


class Person(Struct, frozen=True):
    """One human. `id` is stable and lowercase (`dana`); `groups` decide which stages they count for.

    `os_uids` and `accounts` (`issuer|subject`) are this human's: all of them are one person (promise 6).
    `roles`: any of `member`, `author`, `auditor`, `admin`. `removed` people can decide nothing.
    """

    id: str
    name: str = ""
    groups: tuple[Group, ...] = ()
    roles: tuple[str, ...] = ("member",)
    os_uids: tuple[int, ...] = ()
    accounts: tuple[str, ...] = ()
    removed: bool = False

    def same_person_as(self, other: Person) -> bool:
        """Counted as one human: the same id, or a shared account of an identity provider or operating system.

        Looks at these two records only; `Roster.same_human` also follows what others share with both.
        """
        return (
            self.id == other.id
            or bool(set(self.accounts) & set(other.accounts))
            or bool(set(self.os_uids) & set(other.os_uids))
        )


class Roster(Struct, frozen=True, dict=True):
    """All people known, by id. A new roster is a new value; `people` is never changed in place."""

    people: dict[str, Person] = {}

    def get(self, person: str | None) -> Person | None:
        """The person with that id, unless there is none or they were removed."""
        found = self.people.get(person) if person else None
        return None if found is None or found.removed else found

    def by_os_uid(self, uid: int) -> Person | None:
        """The one person who owns that operating-system account; None when nobody or more than one does."""
        owners = [p for p in self.people.values() if uid in p.os_uids and not p.removed]
        return owners[0] if len(owners) == 1 else None

    def members(self, group: Group) -> tuple[Person, ...]:
        """People in *group*, in order of id."""
        return tuple(p for _, p in sorted(self.people.items()) if group in p.groups and not p.removed)

    def human(self, person: str) -> str:
        """The id that stands for the human behind *person*: the same for all records of one human."""
        return self._humans.get(person, person)

    def same_human(self, one: str, other: str) -> bool:
        """Whether two person ids are one human, directly or through records that share accounts with both."""
        return self.human(one) == self.human(other)

    def owns_os_uid(self, person: str, uid: int) -> bool:
        """Whether any record of the human behind *person* has that operating-system account."""
        human = self.human(person)
        return any(self.human(owner) == human for owner in self._uid_owners.get(uid, ()))

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
            marks: list[str | int] = [*person.accounts, *person.os_uids]
            for mark in marks:
                low, high = sorted((find(first_with.setdefault(mark, key)), find(key)))
                leader[high] = low
        return {person: find(person) for person in leader}

    @cached_property
    def _uid_owners(self) -> dict[int, tuple[str, ...]]:
        owners: dict[int, tuple[str, ...]] = {}
        for key, person in self.people.items():
            for uid in person.os_uids:
                owners[uid] = (*owners.get(uid, ()), key)
        return owners
