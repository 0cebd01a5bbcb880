"""How sure it is that a person decided: assurance levels, weakest first.

- `click`: the server says so; the decision came with that person's token or web session.
- `idp`: their identity provider signed it, freshly and over this very statement.
- `signed`: their own enrolled key signed the statement.
- `signed+hardware`: as `signed`, by a key that is known not to leave its device, with the person verified.

A level that this version does not know is never enough, nor ever reached.
"""

from __future__ import annotations

ASSURANCES = ("click", "idp", "signed", "signed+hardware")


def assured(given: str, wanted: str) -> bool:
    """Whether level *given* is at least *wanted*."""
    if given not in ASSURANCES or wanted not in ASSURANCES:
        return False
    return ASSURANCES.index(given) >= ASSURANCES.index(wanted)


def strength(assurance: str) -> int:
    """A number to compare levels by; an unknown level is stronger than all, since nothing reaches it."""
    return ASSURANCES.index(assurance) if assurance in ASSURANCES else len(ASSURANCES)
