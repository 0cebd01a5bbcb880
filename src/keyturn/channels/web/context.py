"""What the pages need from the rest of Keyturn. `server.py` hands in one object that keeps `WebContext`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import Struct

from keyturn.drift.definition_diff import Comparison
from keyturn.drift.practice import Practice
from keyturn.identity import Person
from keyturn.ledger.entries import Entry
from keyturn.service.access_review import AccessView, LastReview, LastUse, Reviewed
from keyturn.service.artefacts import ArtefactView
from keyturn.service.behaviour_views import AgentDrift, Course
from keyturn.service.configuration_views import ConfigurationView
from keyturn.service.credentials import CredentialView
from keyturn.service.definition_views import AgentView, DefinitionView
from keyturn.service.erasing import ErasureView
from keyturn.service.interface import Service
from keyturn.service.legal_holds import HoldView
from keyturn.service.model import SessionView
from keyturn.service.reconciling import CoverageView, ReconciliationView
from keyturn.service.signing_in import SigningIn

if TYPE_CHECKING:
    from keyturn.channels.web.controls import EvidenceDesk
    from keyturn.channels.web.findings import FindingDesk
    from keyturn.channels.web.told import Telling


class HealthLine(Struct, frozen=True):
    """One line of the about page: what was looked at, how it is, in words."""

    name: str
    state: Literal["ok", "warning", "bad"]
    words: str


class LedgerReader(Protocol):
    """Read access to the ledger. Methods are called from worker threads, too, and give entries as they lie there.

    An entry that does not verify is still given (the page shows that it does not verify).
    """

    @property
    def size(self) -> int:
        """Number of entries."""
        ...

    def entry(self, index: int) -> Entry | None:
        """One entry, or None beyond the end."""
        ...

    def entries(self, start: int = 0, end: int | None = None) -> Iterable[Entry]:
        """Entries with start ≤ index < end, in order."""
        ...

    def head(self) -> str | None:
        """The newest checkpoint, a signed note (C2SP tlog-checkpoint)."""
        ...

    def inclusion(self, index: int) -> str:
        """A C2SP tlog-proof text for that entry: index, path, and the checkpoint it leads to."""
        ...


class Retention(Struct, frozen=True):
    """What the page about retention shows."""

    artefacts: Sequence[ArtefactView]
    holds: Sequence[HoldView]
    erasures: Sequence[ErasureView]
    rules: Mapping[str, str]


class WebContext(Protocol):
    """Everything a page may use. Nothing here changes state but `login`, `logout` and the service's own verbs."""

    @property
    def service(self) -> Service:
        """The use cases. Its `changes()` must end when the server is about to stop: open streams end with it."""
        ...

    @property
    def ledger(self) -> LedgerReader:
        """The log."""
        ...

    @property
    def hosts(self) -> Sequence[str]:
        """Host names beside the loopback names under which the pages may be opened (setting `hosts`)."""
        ...

    @property
    def recordings(self) -> Path | None:
        """The folder with sessions' recordings; None where there is none."""
        ...

    @property
    def signing_in(self) -> SigningIn | None:
        """Journeys to the OpenID provider; None where there is none."""
        ...

    async def link_account(self, person: str, account: str) -> str:
        """Ask that *account*, which *person* has shown to have, be linked to them: the page of the request, empty when it is done."""
        ...

    def disclosed(self, entry: Entry, viewer: Person) -> Entry:
        """*entry* with the fields that *viewer* may see."""
        ...

    def require_content(self, viewer: Person) -> None:
        """Raises `NotDisclosed` for an auditor to whom policy does not show what actions are made of."""
        ...

    async def login(self, code: str) -> str:
        """Redeem a one-time link code: the new web session's key, of which `cookie_of` is the cookie. Raises `KeyturnError`."""
        ...

    async def logout(self, cookie: str) -> None:
        """End that web session. Unknown cookies are no error."""
        ...

    @property
    def telling(self) -> Telling | None:
        """How people are told; None where nobody is."""
        ...

    def person_of_cookie(self, cookie: str) -> Person | None:
        """Whose session that is; None when unknown, ended, expired, or the person was removed."""
        ...

    def count(self, state: str) -> int:
        """How many requests are in that state."""
        ...

    def unreviewed(self) -> int:
        """How many times the glass was broken without a review yet."""
        ...

    async def session(self, session: str) -> SessionView | None:
        """One agent run."""
        ...

    def credentials(self, viewer: Person) -> tuple[Sequence[CredentialView], Sequence[CredentialView]]:
        """Those of gates and agents that stand, and *viewer*'s own tokens that do; newest first."""
        ...

    async def revoke_credential(self, viewer: Person, credential: str) -> CredentialView:
        """Revoke it. Raises `Forbidden` for what is not *viewer*'s, unless they are an administrator."""
        ...

    async def access(
        self, viewer: Person
    ) -> tuple[AccessView, Mapping[str, LastUse], Mapping[str, LastReview]]:
        """Who may do what, when each person last did, and when somebody else last looked at them.

        Raises `Forbidden` for who is neither administrator nor auditor.
        """
        ...

    async def review_access(self, viewer: Person, digest: str, note: str) -> Reviewed:
        """Record that *viewer* looked through the list of *digest*. Raises `Forbidden`, `AccessMoved`, `AccessOwnOnly`, `Malformed`."""
        ...

    def practice(self) -> tuple[int, Practice] | None:
        """How the policy's rules were used: when that was looked at last, and what was seen; None before the first look."""
        ...

    def retention(self) -> Retention:
        """Files made of labelled data, legal holds, and what was erased."""
        ...

    async def gone(self, viewer: Person, artefact: str, why: str) -> ArtefactView:
        """*viewer* says that a file is gone. Raises `UnknownArtefact`, `ArtefactGone`, `Unexplained`, `Forbidden`."""

    def agents(self) -> Sequence[AgentView]:
        """Agents that were seen, newest first."""
        ...

    def agent(self, name: str) -> AgentView | None:
        """One of them."""
        ...

    def definitions(self, agent: str) -> Sequence[DefinitionView]:
        """Its definitions, the last used first."""
        ...

    async def compared(self, agent: str, before: str, after: str) -> Comparison:
        """What is different between two of them (digests); empty *before*: from what is approved. Raises `DefinitionUnknown`."""
        ...

    @property
    def evidence(self) -> EvidenceDesk:
        """Controls, packs, and who looked at them."""
        ...

    @property
    def findings(self) -> FindingDesk:
        """What was observed that should not be."""
        ...

    def configurations(self) -> Sequence[ConfigurationView]:
        """Targets whose configurations are known, the last seen first."""
        ...

    def configuration(self, target: str) -> ConfigurationView:
        """One of them with its history. Raises `ConfigurationUnknown`."""
        ...

    def coverage(self) -> Sequence[CoverageView]:
        """How well targets' own logs are accounted for; the oldest watermark first."""
        ...

    def reconciliation(self, viewer: Person, id: str) -> ReconciliationView:
        """One comparison, as far as *viewer* may see it. Raises `NotFound`."""

    def drift(self) -> Sequence[AgentDrift]:
        """How far every agent is from its baseline."""
        ...

    def drift_of(self, agent: str, last: int) -> Course:
        """One agent with its newest *last* sessions. Raises `NotFound`."""
        ...

    def health(self) -> Sequence[HealthLine]:
        """What to say about this server: store, ledger, clock, policy."""
        ...
