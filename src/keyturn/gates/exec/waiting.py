"""Waiting for people, for as long as the process waits that wants to start a program."""

from __future__ import annotations

import asyncio
import os

from keyturn.gates.connection import RemoteService
from keyturn.service.model import RequestView


async def ended(service: RemoteService, request: str, process: int, seconds: float) -> RequestView | None:
    """The *request* once it has ended, or as it is after *seconds*.

    When *process* is gone first, the request is given up: None.
    """
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    try:
        watched = os.pidfd_open(process)
    except OSError:
        watched = -1
    if watched >= 0:
        loop.add_reader(watched, gone.set)
    waiting = asyncio.ensure_future(service.wait(request, seconds))
    leaving = asyncio.ensure_future(gone.wait())
    try:
        await asyncio.wait((waiting, leaving), return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            return waiting.result()
        await service.withdraw(request, "The process that waited for it has ended.")
        return None
    finally:
        waiting.cancel()
        leaving.cancel()
        if watched >= 0:
            loop.remove_reader(watched)
            os.close(watched)


__all__ = ["ended"]
