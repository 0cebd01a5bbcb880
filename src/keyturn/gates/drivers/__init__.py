"""Protocols in which Keyturn drives the client, so that no answer is a no.

ACP (`gemini --acp`, `copilot --acp`, `opencode acp`), the Codex app-server and the opencode server ask before they
act and wait for ever. Each has a sans-I/O core (messages in, events out: `acp`, `codex_app_server`,
`opencode_server`), and `session` puts one of them between the client's process and Keyturn.
"""

from keyturn.gates.drivers.model import (
    Ask,
    Driver,
    DriverError,
    Ended,
    Event,
    Finished,
    Observed,
    Opened,
    Said,
    Send,
    Verdict,
)

__all__ = [
    "Ask", "Driver", "DriverError", "Ended", "Event", "Finished", "Observed", "Opened", "Said", "Send", "Verdict",
]  # fmt: skip
