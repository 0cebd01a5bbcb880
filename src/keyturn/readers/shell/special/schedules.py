"""crontab(1): what runs by itself, at times. Sources: crontab(1) of Debian's cron and of cronie."""

from __future__ import annotations

from keyturn.readers.shell.calls import Argument, Call
from keyturn.readers.shell.effects import apply
from keyturn.readers.shell.grammar import Grammar

_LOOKS = frozenset({"-l", "-T", "-V"})


def crontab(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """Lists, deletes or replaces the table of a person. Its lines run later, as that person."""
    words = apply(grammar, arguments, call)
    names = {name for given in words.given for name in given.option.names}
    for given in words.given:
        if "-u" in given.option.names:
            _another(given.value, call)
    if names & _LOOKS and not words.operands:
        return
    call.add("configures", "what runs by itself", "system")
    if "-e" in names:
        call.runs("commands typed into an editor")
    if "-r" not in names:
        call.add("executes", "lines of the table, at their times", "unknown")


def _another(user: Argument | None, call: Call) -> None:
    call.add("grants", f"the rights of {user.text if user else 'another person'}", "system")


__all__ = ["crontab"]
