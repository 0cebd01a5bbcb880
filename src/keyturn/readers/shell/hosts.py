"""Operands that may name another machine: hosts, `host:path`, and the folder that something is unpacked into."""

from __future__ import annotations

import re

from msgspec.structs import replace

from keyturn.actions import Effect
from keyturn.readers.shell.calls import Argument, Call
from keyturn.resources import host_labels, host_zone

REMOTE = re.compile(r"(?:[A-Za-z0-9._-]+@)?([A-Za-z0-9._-]+):(.*)", re.DOTALL)
_URL = re.compile(r"(?:rsync|scp|sftp)://(?:[^@/]*@)?([A-Za-z0-9._-]+)(?:[:/]|$)")


def remote_host(operand: Argument) -> str | None:
    """The host of `[user@]host:path` or `rsync://host/path`; None for what is surely no such word, or not surely one."""
    text = operand.text if operand.known else operand.prefix
    match = _URL.match(text) or REMOTE.fullmatch(text)
    return match.group(1) if match and "/" not in text.split(":", 1)[0] else None


def connects(host: str, call: Call, sends: bool = False) -> None:
    """Note a connection to *host*."""
    where, labels = host_zone(host), host_labels(host, call.scene.around)
    call.effects.append(Effect("connects", host, where, labels))
    if sends:
        call.effects.append(Effect("sends", host, where, labels))


def unpack(folder: Argument, call: Call) -> None:
    """Names come out of data, so anything below *folder* may be written, hooks and configuration included."""
    before = len(call.effects)
    call.path("writes", folder)
    call.effects += [
        replace(effect, verb="configures") for effect in call.effects[before:] if effect.verb == "writes"
    ]


def fill(folder: Argument, call: Call) -> None:
    """What lies in another folder comes into *folder* itself, by names that nothing tells (`cp -r x/. folder`).

    Programs obey what lies in the workspace, and in the folders above it, by its name; Keyturn's own files may lie anywhere.
    """
    around = call.scene.around
    if any(call.above(folder, own) for own in (around.workspace, around.home, *around.protected) if own):
        unpack(folder, call)


def goes_to(operand: Argument, call: Call) -> None:
    """`[user@]host` of ssh and ping."""
    match = re.fullmatch(r"(?:[A-Za-z0-9._-]+@)?([A-Za-z0-9._:-]+)", operand.text)
    if not operand.known or not match:
        call.add("connects", operand.text, "network")
    else:
        connects(match.group(1), call)


def copy(operand: Argument, target: bool, call: Call) -> None:
    """`host:path` of scp and rsync, or a local path; the last one is written to."""
    text = operand.text if operand.known else operand.prefix
    there = remote_host(operand)
    if there is not None:
        connects(there, call, sends=target)
        return
    if "/" not in text.split(":", 1)[0] and (not operand.known or ":" in text):
        # What only running shows may turn out to be `host:path`, and so may a name that fits a pattern.
        call.add("connects", operand.text, "network")
        if target:
            call.add("sends", operand.text, "network")
    if target:
        unpack(operand, call)
    else:
        call.path("reads", operand)


__all__ = ["REMOTE", "connects", "copy", "fill", "goes_to", "remote_host", "unpack"]
