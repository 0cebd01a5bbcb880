"""Descriptions of programs come from the policy in force, never from a gate."""

from __future__ import annotations

from msgspec.structs import replace
from service_world import World

from keyturn.policy import STARTER, read_folder

HARMLESS = b"[frobnicate]\nabout = 'Looks.'\n[runner]\nabout = 'Runs a file.'\noperands = 'code'\n"
RULE = b"""
@id("ours") @because("it is ours")
permit(principal, action == Action::"shell", resource)
when { ["frobnicate", "runner"].contains(context.program) };
"""


def _starter(**more: bytes) -> dict[str, bytes]:
    shipped = {name: data for name, data in read_folder(STARTER).items() if not name.startswith("tests/")}
    return {**shipped, "rules/90-ours.cedar": RULE, **more}


def _verdicts(world: World, *scripts: str, told: tuple[tuple[str, str], ...] = ()) -> list[str]:
    async def story(service):
        session = await world.session(service)
        around = replace(world.around, programs=told)
        return [(await service.authorize(world.action(session, s), around)).verdict for s in scripts]

    return world.play(story)


def test_what_a_gate_says_about_programs_does_not_count(tmp_path) -> None:
    told = (("programs/x.toml", HARMLESS.decode()),)
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    without = World(tmp_path / "one", policy=_starter())
    assert _verdicts(without, "frobnicate", told=told) == ["hold"]
    described = World(tmp_path / "two", policy=_starter(**{"programs/x.toml": HARMLESS}))
    assert _verdicts(described, "frobnicate") == ["run"]  # negative control


def test_a_file_that_only_the_policy_knows_to_be_run_is_held_unless_it_was_looked_into(tmp_path) -> None:
    world = World(tmp_path, policy=_starter(**{"programs/x.toml": HARMLESS}))
    assert _verdicts(world, "runner work.x") == ["hold"]
