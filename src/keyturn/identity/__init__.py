"""People, groups, and how they prove who they are."""

from keyturn.identity.delegation import Delegation
from keyturn.identity.names import check_group, check_person_id, is_name
from keyturn.identity.oncall import OnCall
from keyturn.identity.people import Group, Person, Roster
from keyturn.identity.tokens import (
    LoginCode,
    LoginRefused,
    hash_token,
    matches,
    new_token,
    open_login,
    redeem,
    token_prefix,
)

__all__ = [
    "Delegation", "OnCall", "Group", "LoginCode", "LoginRefused", "Person", "Roster", "check_group", "check_person_id", "hash_token",
    "is_name", "matches", "new_token", "open_login", "redeem", "token_prefix",
]  # fmt: skip
