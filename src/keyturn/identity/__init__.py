"""People, groups, and how they prove who they are."""

from keyturn.identity.people import Group, Person, Roster

__all__ = ["Group", "Person", "Roster"]
