"""What auditors are shown (need to know): sentences, effects, digests and decisions; the content of actions only where policy says so.

Rules kept here:

- Only an auditor is shown less; nobody is an auditor who also decides. Policy's `[disclosure] auditor = "content"` shows them everything.
- What is withheld is withheld in every place: requests, entries, raw text, recordings. An entry's leaf stays whole, so its proof
  still verifies: fields are disclosed one by one (RFC 9901 §4.2).
- Changes of policy, roster and keys are shown whole: they are what an auditor is there for.
"""

from __future__ import annotations

import base64
import json

from msgspec.structs import replace

from keyturn.errors import ExitCode, KeyturnError
from keyturn.evidence import withholding
from keyturn.evidence.withholding import OF_AGENTS
from keyturn.identity import Person
from keyturn.ledger.entries import Entry
from keyturn.service.core import Core
from keyturn.service.model import RequestView


class NotDisclosed(KeyturnError):
    """An auditor asked for content that policy does not show to auditors."""

    code = "auth.not_disclosed"
    status = 403
    exit_code = ExitCode.REFUSED
    not_done = "Nothing was shown."
    next_step = 'The policy shows it with `[disclosure] auditor = "content"` in requirements.toml.'


def sees_content(core: Core, viewer: Person | None) -> bool:
    """Whether *viewer* is shown what actions are made of."""
    return viewer is None or not viewer.reads_only or core.policy.requirements.disclosure == "content"


def require_content(core: Core, viewer: Person) -> None:
    """Raises `NotDisclosed`."""
    if not sees_content(core, viewer):
        raise NotDisclosed("Auditors are not shown the content of actions here.")


def narrowed(core: Core, view: RequestView, viewer: Person | None) -> RequestView:
    """*view* as *viewer* may see it."""
    if view.subject not in OF_AGENTS or sees_content(core, viewer):
        return view
    told = {k: v for k, v in view.attribution.items() if k not in ("instruction", "reasoning")}
    return replace(
        view, text="", content={}, environment={}, cwd="", attribution=told, comment="", withheld=True
    )


def disclosed(core: Core, entry: Entry, viewer: Person | None) -> Entry:
    """*entry* with the fields that *viewer* may see."""
    if sees_content(core, viewer):
        return entry
    fields = withholding.shown(entry.type, entry.fields)
    if len(fields) == len(entry.fields):
        return entry
    kept = tuple(one for one in entry.disclosures if _name(one) in fields)
    return replace(entry, fields=fields, disclosures=kept)


def _name(disclosure: str) -> str:
    """The field that a disclosure discloses: `[salt, name, value]`."""
    try:
        found = json.loads(base64.urlsafe_b64decode(disclosure + "=" * (-len(disclosure) % 4)))
        return str(found[1])
    except (ValueError, IndexError, TypeError):
        return ""  # what can't be read is not shown
