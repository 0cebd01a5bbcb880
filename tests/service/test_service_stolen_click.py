"""A stolen token decides by click. With it nobody gets to what people ask signatures for: neither in a place that was handed over
by a click, nor by filling a group. Each attack has its legitimate twin.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from service_world import World, decide, person
from signing_world import SoftSshKey, ask, enrol, sign, signed_policy

from keyturn.approvals.errors import AssuranceTooLow
from keyturn.service import delegations, people, roster_changes


async def signs(service: Any, request: str, who: str, key: SoftSshKey) -> Any:
    """Sign an approval and give it."""
    given = await sign(service, request, who, key)
    return await service.decide(request, person(service, who), "approve", **given)


def test_a_place_handed_over_by_a_click_signs_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, policy=signed_policy())

    async def story(service: Any) -> None:
        await people.enrol(
            service.core, "mallory", name="", groups=[], roles=["member"], os_uids=[], by="dana"
        )
        mallory, riley = SoftSshKey(), SoftSshKey()
        await enrol(service, "mallory", mallory)
        request = await ask(world, service)
        until = service.core.now() + 3_600_000
        await delegations.open_delegation(service.core, person(service, "riley"), "mallory", until=until)
        shown = await service.request(request, person(service, "mallory"))
        assert "by a click" in shown.may_decide
        with pytest.raises(AssuranceTooLow, match="by a click"):
            await signs(service, request, "mallory", mallory)
        await enrol(service, "riley", riley)
        signed = await sign(service, request, "riley", riley)
        view = await service.decide(request, person(service, "riley"), "approve", **signed)
        assert (view.state, view.approvals[0].assurance) == ("approved", "signed")

    world.play(story)


def test_in_a_place_handed_over_what_takes_a_click_is_decided(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def story(service: Any) -> None:
        await people.enrol(
            service.core, "mallory", name="", groups=[], roles=["member"], os_uids=[], by="dana"
        )
        request = await ask(world, service)
        until = service.core.now() + 3_600_000
        await delegations.open_delegation(service.core, person(service, "riley"), "mallory", until=until)
        view = await decide(service, request, "mallory")
        assert (view.state, view.approvals[0].on_behalf_of) == ("approved", ("riley",))

    world.play(story)


def test_who_fills_a_group_signs_as_soon_as_an_administrator_can(tmp_path: Path) -> None:
    world = World(tmp_path, policy=signed_policy())

    async def story(service: Any) -> None:
        for name, roles in (("alex", ["member", "admin"]), ("mallory", ["member"])):
            await people.enrol(service.core, name, name="", groups=[], roles=roles, os_uids=[], by="dana")
        key = SoftSshKey()
        await enrol(service, "alex", key)
        made = await roster_changes.change(
            service.core, "mallory", {"groups": ["reviewers"]}, by=person(service, "dana")
        )
        with pytest.raises(AssuranceTooLow):
            await decide(service, made.request.id, "alex")
        given = await sign(service, made.request.id, "alex", key)
        view = await service.decide(made.request.id, person(service, "alex"), "approve", **given)
        assert view.state == "approved"
        assert "reviewers" in person(service, "mallory").groups

    world.play(story)


def test_where_no_administrator_has_a_key_a_click_fills_it(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def story(service: Any) -> None:
        for name, roles in (("alex", ["member", "admin"]), ("mallory", ["member"])):
            await people.enrol(service.core, name, name="", groups=[], roles=roles, os_uids=[], by="dana")
        made = await roster_changes.change(
            service.core, "mallory", {"groups": ["reviewers"]}, by=person(service, "dana")
        )
        assert (await decide(service, made.request.id, "alex")).state == "approved"

    world.play(story)
