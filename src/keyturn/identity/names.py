"""Names of people and groups: short, lowercase, and the same in every place they are shown or compared."""

from __future__ import annotations

import re

from keyturn.errors import Malformed

_NAME = re.compile(r"[a-z][a-z0-9._-]{0,62}", re.ASCII)


class InvalidName(Malformed):
    """A person's id or a group's name is not one that Keyturn accepts."""

    code = "name.invalid"
    not_done = "Nothing was changed."
    next_step = "Use 1 to 63 of a-z, 0-9, '.', '_' and '-', and begin with a letter."


def is_name(text: str) -> bool:
    """Whether *text* can be the id of a person or the name of a group."""
    return _NAME.fullmatch(text) is not None


def check_person_id(text: str) -> str:
    """*text*, if it can be a person's id. Raises `InvalidName`."""
    return _check(text, "a person's id")


def check_group(text: str) -> str:
    """*text*, if it can be the name of a group that people are put into. Raises `InvalidName`."""
    if text == "admins":
        raise InvalidName("`admins` are the people with the role admin; nobody is put into that group.")
    return _check(text, "a group's name")


def _check(text: str, what: str) -> str:
    if not is_name(text):
        raise InvalidName(f"{text[:80]!r} can't be {what}.")
    return text
