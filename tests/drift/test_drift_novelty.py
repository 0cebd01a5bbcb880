"""What the approved baseline of an agent never saw is a fact at decision time; without a baseline nothing is."""

from __future__ import annotations

from pathlib import Path

from service_world import World
from test_service_baselines import Play

from keyturn.service.keyturn import Keyturn


def test_what_a_pinned_baseline_never_saw_is_a_fact_and_the_rest_is_not(tmp_path: Path) -> None:
    home = World(tmp_path)

    async def story(service: Keyturn) -> None:
        play = Play(home, service)

        async def first(command: str) -> list[str]:
            session = await home.session(service)
            done = await service.authorize(home.action(session, command), home.around)
            row = service.core.ledger.row("action", done.action)
            assert row is not None
            entry = service.core.ledger.entry(row["entry"])
            assert entry is not None
            return list((entry.fields.get("facts") or {}).get("first", []))

        assert await first("rm /etc/motd") == []  # nothing is pinned yet
        await play.pinned()
        assert await first("git status") == []
        assert await first("rm /etc/motd") == ["deletes:system"]
        # The second time it is just as new: only an approved change makes it ordinary.
        assert await first("rm /etc/issue") == ["deletes:system"]

    home.play(story)
