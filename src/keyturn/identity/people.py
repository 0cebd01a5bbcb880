"""People and groups. A person is one human, however many accounts, tokens or channels they use."""

from __future__ import annotations

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
        """Counted as one human: the same id, or a shared account of an identity provider."""
        return self.id == other.id or bool(set(self.accounts) & set(other.accounts))


class Roster(Struct, frozen=True):
    """All people known, by id."""

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
