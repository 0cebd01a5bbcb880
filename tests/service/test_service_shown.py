"""A reviewer is shown all that the approval is for: also variables, and files that would run, with their digests."""

from __future__ import annotations

from typing import Any

import pytest
from click import unstyle
from service_world import World, decide

from keyturn.cli.card import card
from keyturn.errors import KeyturnError
from keyturn.service.keyturn import Keyturn

DIGEST = "sha256:" + "ab" * 32


async def _asked(world: World, service: Keyturn, **changes: Any) -> Any:
    session = await world.session(service)
    outcome = await service.authorize(world.action(session, "rm -r build", **changes), world.around)
    assert outcome.request is not None
    return await service.request(outcome.request, None)


def test_files_and_variables_are_shown_and_part_of_what_is_approved(world: World) -> None:
    async def story(service: Keyturn) -> None:
        plain = await _asked(world, service)
        files = await _asked(world, service, executes={"/x/run.sh": DIGEST})
        variables = await _asked(world, service, environment={"LD_PRELOAD": "/x/e.so"})
        assert files.executes == {"/x/run.sh": DIGEST}
        assert variables.environment == {"LD_PRELOAD": "/x/e.so"}
        assert len({one.display for one in (plain, files, variables)}) == 3
        with pytest.raises(KeyturnError):
            await decide(service, files.id, "riley", display=plain.display)
        assert (await service.request(files.id, None)).state == "waiting"
        assert (await decide(service, files.id, "riley")).state == "approved"

    world.play(story)


def test_the_card_of_a_terminal_shows_them_too(world: World) -> None:
    import msgspec

    async def story(service: Keyturn) -> None:
        view = await _asked(world, service, executes={"/x/run.sh": DIGEST}, environment={"PATH": "/x"})
        text = unstyle(card(msgspec.to_builtins(view)))
        assert f"/x/run.sh, which is {DIGEST}" in text
        assert "with PATH=/x" in text

    world.play(story)
