"""The words by which instructions are read: English, and what the policy's `[lexicon]` adds."""

from __future__ import annotations

from keyturn.drift.lexicon import Lexicon, english, extended
from keyturn.service.core import Core, NoPolicy

_KNOWN: dict[str, Lexicon] = {}
"""The last one that was made, by the policy's digest."""


def lexicon_of(core: Core) -> Lexicon:
    """That of the active policy."""
    try:
        policy = core.policy
    except NoPolicy:
        return english()
    if not policy.drift.lexicon:
        return english()
    if policy.digest not in _KNOWN:
        made = extended(policy.drift.lexicon)
        _KNOWN.clear()
        _KNOWN[policy.digest] = made
    return _KNOWN[policy.digest]
