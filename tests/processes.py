"""Processes that others are to end."""

from __future__ import annotations

import os
import select


def ended(pid: int) -> bool:
    """Whether *pid* ends: at once, or as soon as the kernel and whoever inherits it come to it."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], 60)[0])
    finally:
        os.close(watched)
