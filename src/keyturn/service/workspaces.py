"""Rules that lie in the agent's own workspace (`.keyturn/rules/*.cedar`). The agent can write them, so they only tighten."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable

from keyturn.policy import Policy, PolicyInvalid, tighten
from keyturn.policy.overlay import FOLDER, MAX_OVERLAY_FILES
from keyturn.policy.problems import Problem

KEPT = 256
"""How many workspaces' policies are kept ready."""

Signature = tuple[tuple[str, int, int, int], ...]


class Workspaces:
    """The policy as each workspace tightens it, read again when a file's name, time, size or inode changes.

    A workspace is looked at again after `fresh` seconds at the latest.
    """

    def __init__(self, fresh: float = 0.2, clock: Callable[[], float] = time.monotonic) -> None:
        self.fresh = fresh
        self._clock = clock
        self._seen: dict[str, tuple[float, Signature]] = {}
        self._kept: OrderedDict[tuple[str, str, Signature], Policy] = OrderedDict()

    def tightened(self, policy: Policy, workspace: str) -> Policy:
        """*policy* with the rules that lie in *workspace*. Raises `PolicyInvalid`: then nothing runs there."""
        signature = self._looked_at(workspace)
        if not signature:
            return policy
        key = (policy.digest, workspace, signature)
        known = self._kept.get(key)
        if known is None:
            known = self._kept[key] = tighten(policy, _read(_folder(workspace), signature))
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return known

    def _looked_at(self, workspace: str) -> Signature:
        now = self._clock()
        seen = self._seen.get(workspace)
        if seen is not None and now - seen[0] < self.fresh:
            return seen[1]
        signature = _signature(_folder(workspace))
        if len(self._seen) > KEPT:
            self._seen.clear()
        self._seen[workspace] = (now, signature)
        return signature


def _folder(workspace: str) -> str:
    return os.path.join(workspace, FOLDER) if workspace else ""  # noqa: PTH118


def _signature(folder: str) -> Signature:
    if not folder:
        return ()
    try:
        with os.scandir(folder) as found:
            files = [(entry.name, entry.stat()) for entry in found if not entry.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise PolicyInvalid(
            [Problem(FOLDER, 0, 0, f"the workspace's rules can't be read: {error.strerror}")]
        ) from error
    if len(files) > MAX_OVERLAY_FILES:
        raise PolicyInvalid([Problem(FOLDER, 0, 0, f"a workspace adds at most {MAX_OVERLAY_FILES} files")])
    return tuple(sorted((name, stat.st_mtime_ns, stat.st_size, stat.st_ino) for name, stat in files))


def _read(folder: str, signature: Signature) -> dict[str, bytes]:
    files = {}
    for name, *_ in signature:
        try:
            with open(folder + name, "rb") as file:  # noqa: PTH123
                files[FOLDER + name] = file.read()
        except OSError as error:
            problem = Problem(FOLDER + name, 0, 0, f"it can't be read: {error.strerror}")
            raise PolicyInvalid([problem]) from error
    return files
