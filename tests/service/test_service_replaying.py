"""What another version would have done with the recorded past: the policy's doing, and nothing else's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from service_world import HELD, World, decide

from keyturn.policy import STARTER, Policy
from keyturn.policy.folder import read_folder
from keyturn.service import replaying
from keyturn.service.keyturn import Keyturn
from keyturn.service.replaying import Replay, VersionUnknown
from keyturn.store import open_store

FOREVER = 10**15


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("replay"))

    async def story(service: Keyturn) -> None:
        session = await made.session(service, "one")
        for command in ("ls -la", "git status", HELD):
            outcome = await service.authorize(made.action(session, command), made.around, consume=True)
            if outcome.request:
                await decide(service, outcome.request, "riley")

    made.play(story)
    return made


def changed(extra: str) -> Policy:
    files = read_folder(STARTER)
    return Policy.parse({**files, "rules/99-more.cedar": extra.encode()})


def replayed(world: World, policy: Policy, since: int = 0, until: int = FOREVER) -> Replay:
    store = open_store(str(world.home.ledger), writer=False)
    try:
        return replaying.replay(store, policy, since, until)
    finally:
        store.close()


NO_GIT = '@id("no-git")\n@because("a test")\nforbid(principal, action, resource) when { context.program == "git" };\n'
RM = (
    '@id("rm-build")\n@because("a test")\n@until("%s")\n@lifts("delete-more")\n'
    'permit(principal, action, resource) when { context.program == "rm" };\n'
)


def test_the_same_version_changes_nothing(world: World) -> None:
    found = replayed(world, changed(""))
    assert found.actions == 3
    assert (found.differing, found.beside, found.unreadable) == (0, 0, 0)


def test_what_differs_is_counted_and_shown(world: World) -> None:
    found = replayed(world, changed(NO_GIT))
    assert found.counts == {"run → refuse": 1}
    assert (found.looser, found.stricter) == (0, 1)
    assert found.rules == {"no-git": 1}
    assert [(one.before, one.after) for one in found.examples] == [("run", "refuse")]


def test_time_counts_as_it_was_then(world: World) -> None:
    held = [rule.id for rule in changed("").rules if rule.verdict == "hold"]
    lifting = RM.replace("delete-more", ", ".join(held[:1]))
    before = replayed(world, changed(lifting % "2001-01-01"))
    after = replayed(world, changed(lifting % "2999-01-01"))
    assert before.differing == 0
    assert after.differing >= before.differing


def test_only_the_given_time_is_decided_again(world: World) -> None:
    assert replayed(world, changed(NO_GIT), since=FOREVER - 1).actions == 0
    assert replayed(world, changed(NO_GIT), until=1).actions == 0


def test_a_version_is_found_by_the_beginning_of_its_digest_only_if_it_is_the_only_one(world: World) -> None:
    store = open_store(str(world.home.ledger), writer=False)
    [one] = replaying.versions(store)
    assert one.state == "active"
    assert replaying.version(store, one.digest[7:15]).digest == one.digest
    assert replaying.version(store, "active").digest == one.digest
    for wrong in ("", "sha256:", "ffff0000", one.digest[7:9]):
        with pytest.raises(VersionUnknown):
            replaying.version(store, wrong)
    store.close()


def test_the_command_replays_a_folder(world: World, tmp_path: Path) -> None:
    for path, data in changed(NO_GIT).files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    command = [
        sys.executable,
        "-m",
        "keyturn",
        "policy",
        "replay",
        str(tmp_path),
        "--home",
        str(world.home.root),
        "--json",
    ]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert found["counts"] == {"run → refuse": 1}
