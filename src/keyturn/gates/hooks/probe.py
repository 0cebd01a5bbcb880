"""A deny probe of one installation: does its hook process say no when it must?

It runs what the client would run, with questions that have only one right answer. Whether the *client* then stops is
proven against the real client by the tests of its dialect; a probe can't make an agent act.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from keyturn.errors import ExitCode, KeyturnError
from keyturn.gates.hooks.dialects import Dialect, Hooked, dialect_of
from keyturn.gates.hooks.wiring import Wire

SECONDS = 60
_SHELL_FORM = ("codex", "gemini", "copilot")


class NotProbeable(KeyturnError):
    """The client's gate is not a process that could be run by itself."""

    code = "hooks.not_probeable"
    status = 400
    exit_code = ExitCode.USAGE
    not_done = "Nothing was probed."
    next_step = "Ask the agent for something that policy refuses, and look for it with `keyturn ledger log`."


class Probe(Struct, frozen=True):
    """One question that must be answered with no. `said` are the words, `how` what was tried."""

    how: str
    stopped: bool
    said: str


def probe(client: str, wire: Wire, cwd: str) -> tuple[Probe, ...]:
    """Ask what must be refused: a call that can't be read; any call with no server; any call with no interpreter.

    Raises `NotProbeable`.
    """
    dialect = dialect_of(client)
    gate = next(hooked for hooked in dialect.events if hooked.gate)
    if client not in (*_SHELL_FORM, "claude-code"):
        raise NotProbeable(f"{dialect.title} asks through a plugin inside itself.")
    nowhere = replace(wire, socket=wire.socket + ".probe-nobody-listens-here")
    found = [
        _run("a call that can't be read", dialect, gate, wire, cwd),
        _run("no server", dialect, gate, nowhere, cwd),
    ]
    if client in _SHELL_FORM:
        broken = replace(wire, python=wire.python + ".probe-no-such-interpreter")
        found.append(_run("no interpreter", dialect, gate, broken, cwd))
    return tuple(found)


def _run(how: str, dialect: Dialect, gate: Hooked, wire: Wire, cwd: str) -> Probe:
    command: Sequence[str] = wire.words(dialect, gate)
    if dialect.name in _SHELL_FORM:
        command = ["/bin/sh", "-c", wire.line(dialect, gate)]
    # Members of every dialect's payload, with an input that is no object: no policy can allow what can't be read.
    question = {
        "session_id": "keyturn-probe",
        "sessionId": "keyturn-probe",
        "cwd": cwd,
        "hook_event_name": gate.event,
        "tool_name": "keyturn-probe",
        "toolName": "keyturn-probe",
        "tool_input": None,
        "toolArgs": None,
    }
    try:
        ran = subprocess.run(
            command,
            input=json.dumps(question).encode(),
            capture_output=True,
            cwd=Path(cwd),
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Probe(how, stopped=False, said=f"the hook process did not end: {error}")
    said = (ran.stderr or ran.stdout).decode("utf-8", "replace").strip()
    return Probe(how, _is_denial(ran.returncode, ran.stdout, ran.stderr), said)


def _is_denial(status: int, out: bytes, words: bytes) -> bool:
    """Exit status 2 with words, or Copilot's JSON."""
    if status == 2 and words.strip():
        return True
    try:
        return status == 0 and json.loads(out).get("permissionDecision") == "deny"
    except (ValueError, AttributeError):
        return False
