"""A house's own controls are part of its policy: two people decide on them, and what could not be tested is not proposed."""

from __future__ import annotations

import pytest
from service_world import World, decide, person

from keyturn.errors import KeyturnError
from keyturn.evidence import catalogue
from keyturn.evidence.errors import CatalogueMalformed, UnknownQuery
from keyturn.service.keyturn import Keyturn

CONTROLS = b"""id = "soc2"
[[control]]
id = "CC9.9"
title = "Two people"
gist = "Two people decide."
passes = "Wherever two were needed, two different people decided."
tests = ["two_people"]
how = "automatic"
"""


def with_controls(service: Keyturn, data: bytes, path: str = "controls/ours.toml") -> dict[str, bytes]:
    return {**service.core.policy.files, path: data}


def test_controls_take_effect_when_somebody_else_approved_them(world: World) -> None:
    async def story(service: Keyturn) -> None:
        before = service.core.policy.digest
        view = await service.propose_policy(with_controls(service, CONTROLS), person(service, "dana"), "")
        assert "controls/ours.toml" in str(view.content["diff"])
        assert service.core.policy.digest == before
        with pytest.raises(KeyturnError):
            await decide(service, view.id, "dana")
        assert service.core.policy.digest == before
        await decide(service, view.id, "riley")
        assert service.core.policy.digest != before
        found = catalogue.load(service.core.policy.files)
        assert found.control("soc2", "CC9.9").source == "controls/ours.toml"

    world.play(story)


@pytest.mark.parametrize(
    ("path", "data", "kind"),
    [
        ("controls/ours.toml", CONTROLS.replace(b"two_people", b"two_peepel"), UnknownQuery),
        ("controls/ours.toml", CONTROLS.replace(b"CC9.9", b"CC8.1"), CatalogueMalformed),
        ("controls/queries/two_people.sql", b"-- Always\n", CatalogueMalformed),
        ("controls/queries/ours.sql", b"-- Ours\nSELECT 1", CatalogueMalformed),
    ],
)
def test_what_could_not_be_tested_is_not_proposed(
    world: World, path: str, data: bytes, kind: type[KeyturnError]
) -> None:
    async def story(service: Keyturn) -> None:
        size = service.core.ledger.size
        with pytest.raises(kind) as caught:
            await service.propose_policy(with_controls(service, data, path), person(service, "dana"), "")
        assert caught.value.as_json()["error"]["details"]["problems"][0]["file"] == path
        assert service.core.ledger.size == size

    world.play(story)
