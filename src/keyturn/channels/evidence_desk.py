"""Evidence as the pages see it: implements `channels.web.controls.EvidenceDesk`."""

from __future__ import annotations

from pathlib import Path

from keyturn.identity import Person
from keyturn.service import control_views, disclosure, exporting
from keyturn.service.control_views import ControlPage, ControlsView, WallView
from keyturn.service.errors import Forbidden
from keyturn.service.exporting import PackView, Wish
from keyturn.service.keyturn import Keyturn
from keyturn.service.pack_building import Building, PackBuilder


class PageEvidence:
    """Over one service."""

    def __init__(self, service: Keyturn) -> None:
        self._service, self._core = service, service.core

    def overview(self) -> ControlsView:
        """Every framework."""
        return control_views.overview(self._core)

    def wall(self, framework: str) -> WallView:
        """One of them."""
        return control_views.wall(self._core, framework)

    def control(self, framework: str, control: str, since: int, until: int) -> ControlPage:
        """One control with its history."""
        return control_views.page(self._core, framework, control, since, until)

    def packs(self) -> list[tuple[PackView, Building]]:
        """The newest first."""
        return [(one, self._builder.look(one.id)) for one in exporting.views(self._core)]

    async def ask_pack(self, viewer: Person, wish: Wish) -> PackView:
        """Record it, and begin."""
        made = await exporting.ask(self._core, viewer, wish)
        self._builder.start(made.id)
        return made

    def build_pack(self, viewer: Person, pack: str) -> None:
        """Have its file made."""
        self._builder.start(self._asked(viewer, pack).id)

    def pack_file(self, viewer: Person, pack: str) -> tuple[Path, str]:
        """Its file, and its name."""
        found = exporting.taken(self._core, viewer, self._asked(viewer, pack).id)
        return self._builder.path(found.id), f"evidence-{found.framework}-{found.id}.zip"

    def _asked(self, viewer: Person, pack: str) -> PackView:
        if not set(exporting.ASKING) & set(viewer.roles):
            raise Forbidden(f"{viewer.id} is none of: {', '.join(exporting.ASKING)}.")
        return exporting.view(self._core, pack)

    @property
    def _builder(self) -> PackBuilder:
        assert self._service.packs is not None, "a server builds packs"
        return self._service.packs

    def vkey(self) -> str:
        """The log's verifier key."""
        return str(self._core.ledger.vkey)

    def content_for(self, viewer: Person) -> bool:
        """Whether *viewer* is shown what actions are made of."""
        return disclosure.sees_content(self._core, viewer)

    async def viewed(self, viewer: Person, path: str) -> None:
        """Recorded where *viewer* is an auditor."""
        await self._service.viewing.viewed(viewer, path)
