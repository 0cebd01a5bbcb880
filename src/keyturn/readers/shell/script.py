"""Script text -> tree, or why there is none."""

from __future__ import annotations

from keyturn.actions import Unread
from keyturn.readers.shell.lowering import Lowering
from keyturn.readers.shell.parser import parse
from keyturn.readers.shell.screen import screen
from keyturn.readers.shell.syntax import NotUnderstood, Sequence


def understand(script: str, dialect: str = "bash") -> Sequence | Unread:
    """The tree of *script*, or the first thing that is not understood about it."""
    problem = screen(script)
    if problem:
        return problem
    try:
        return Lowering(script.encode(), dialect).script(parse(script, dialect))
    except NotUnderstood as error:
        return Unread(error.span[0], error.span[1], error.why)
    except (KeyError, TypeError):
        return Unread(0, len(script.encode()), "The parser's tree has a shape that is not described")
    except RecursionError:
        return Unread(0, len(script.encode()), "The script is nested too deeply to be read")
