"""Findings about secrets in actions: an agent had one in its hands, and wanted it in a file (detectors g, docs/reference/findings.md)."""

from __future__ import annotations

from keyturn.actions import Action, Reading
from keyturn.drift.finding import Drift
from keyturn.ledger.entries import Draft, Rows
from keyturn.service import findings
from keyturn.service.capturing import marked
from keyturn.service.core import Core

MOST_FINDINGS = 5
"""Secrets of one action that are findings of their own."""


def found(core: Core, rows: Rows, action: Action, reading: Reading, action_id: str) -> list[Draft]:
    """The findings about secrets in the recorded *action*."""
    made: list[Draft] = []
    agent, session = action.attribution.agent.name, action.session
    written = [
        effect.what for effect in reading.effects if effect.verb == "writes" and effect.zone != "device"
    ]
    for kind, digest in marked(core, action)[:MOST_FINDINGS]:
        subject = {
            "agent": agent,
            "session": session,
            "action": action_id,
            "secret": digest,
            "secret_kind": kind,
        }
        made += findings.drafts(
            core,
            rows,
            Drift(
                "secret.in_action",
                (digest, agent),
                f"{agent} wrote a secret ({kind}) into an action: whoever reads process lists, histories or logs may have it.",
                subject,
                observed=f"a secret ({kind}) in the action's own text",
                expected="a reference: a variable, a file or a command that gives it",
                cause="The agent was shown the secret, or found it.",
            ),
            session,
        )
        if written:
            where = ", ".join(written[:3])
            made += findings.drafts(
                core,
                rows,
                Drift(
                    "secret.written",
                    (digest, agent, *written[:3]),
                    f"{agent} asked to write a secret ({kind}) to {where}.",
                    {**subject, "object": where},
                    observed=f"a secret ({kind}) written to {where}",
                    expected="secrets stay in the store that keeps them",
                    cause="The agent was shown the secret, or found it.",
                ),
                session,
            )
    return made


__all__ = ["found"]
