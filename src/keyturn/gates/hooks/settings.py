"""What the hook desk is told by the server that runs it."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct


def _nobody(uid: int) -> str | None:
    return None


def _no_parents(pids: tuple[int, ...]) -> tuple[str, ...]:
    return ()


def _never() -> float:
    return 0.0


class DeskSettings(Struct, frozen=True):
    """Settings of the hook desk.

    `host` names this machine in gate names. `person_of_uid` gives the person who owns an operating-system account
    (None: nobody known, so the human is missing). `parents_of_pids` gives the sessions that started the client,
    found by the hook's process ancestors. `margin`: seconds before the client gives up at which it is told to come
    back with the request's id. `longest_wait`: seconds; shortens every client's own limit. `list_every`: seconds after which
    the servers of a live run are asked for their tools again, 0 for never.
    """

    host: str = "localhost"
    person_of_uid: Callable[[int], str | None] = _nobody
    parents_of_pids: Callable[[tuple[int, ...]], tuple[str, ...]] = _no_parents
    margin: float = 60.0
    longest_wait: float | None = None
    list_every: Callable[[], float] = _never
