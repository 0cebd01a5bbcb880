"""Segments say what the ledger says, whenever they were made; one that was altered is not read."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest
from service_world import HELD, World, decide

from keyturn.service.keyturn import Keyturn
from keyturn.service.model import Receipt
from keyturn.store import open_store
from keyturn.store.analytics import Analytics, QueryMalformed, QueryUnknown, Refreshed, Segments, SegmentsBusy
from keyturn.store.analytics.engine import of_segments

MOST = 7


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("segments"))

    async def story(service: Keyturn) -> None:
        session = await made.session(service, "one")
        for command in ("ls -la", "git status", HELD):
            outcome = await service.authorize(made.action(session, command), made.around, consume=True)
            if outcome.request:
                await decide(service, outcome.request, "riley", reason="the build is old")

    made.play(story)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "segments"


@contextmanager
def asked(world: World, folder: Path, most: int = MOST) -> Iterator[tuple[Analytics, Refreshed]]:
    store = open_store(str(world.home.ledger), writer=False)
    try:
        with of_segments(Segments(folder, store, most=most)) as opened:
            yield opened
    finally:
        store.close()


def actions(database: Analytics) -> list[dict[str, Any]]:
    return database.select("select * from action order by entry").records()


def everything(world: World, folder: Path, most: int = MOST) -> dict[str, list[dict[str, Any]]]:
    from keyturn.store.analytics.tables import TABLES

    with asked(world, folder, most) as (database, _):
        return {name: database.select(f"select * from {name} order by all").records() for name in TABLES}


def test_every_action_is_there_with_what_came_of_it(world: World, folder: Path) -> None:
    with asked(world, folder) as (database, done):
        rows = actions(database)
        assert len(done.sealed) >= 2
    assert [(row["program"], row["verdict"], row["state"], row["approvers"]) for row in rows[:3]] == [
        ("ls", "run", "", ""),
        ("git", "run", "", ""),
        ("rm", "hold", "approved", "riley"),
    ]
    assert rows[0]["category"] == "shell reads:workspace"
    assert rows[2]["needed_n"] == 1
    assert rows[2]["waited_s"] >= 0
    assert rows[0]["ran_s"] is not None
    assert rows[2]["ran_s"] is None


def test_where_segments_end_changes_no_answer(world: World, tmp_path: Path) -> None:
    assert everything(world, tmp_path / "small", 3) == everything(world, tmp_path / "large", 10_000)


def test_no_text_that_anybody_wrote_is_in_a_segment(world: World, folder: Path) -> None:
    everything(world, folder)
    said = json.dumps(everything(world, folder))
    assert "the build is old" not in said
    assert "tidy up" not in said
    assert "rm -r build" not in said
    assert "claude-code" in said  # the control: names are there


def test_the_same_log_gives_the_same_bytes(world: World, tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        with asked(world, tmp_path / name):
            files = sorted((tmp_path / name).glob("0*/*.parquet"))
            found.append([path.read_bytes() for path in files])
    assert len(found[0]) > 10
    assert found[0] == found[1]


@pytest.mark.parametrize("harm", ["flip", "cut", "remove", "seal"])
def test_a_segment_that_does_not_match_its_seal_is_made_again(world: World, folder: Path, harm: str) -> None:
    before = everything(world, folder)
    path = sorted(folder.glob("0*/action.parquet"))[0]
    data = path.read_bytes()
    if harm == "flip":
        path.write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])
    elif harm == "cut":
        path.write_bytes(data[:-1])
    elif harm == "remove":
        path.unlink()
    else:
        (path.parent / "seal.json").write_text("{}")
    with asked(world, folder) as (_, done):
        assert list(done.again) == [path.parent.name]
    assert everything(world, folder) == before


def test_a_sound_segment_is_not_made_again(world: World, folder: Path) -> None:
    everything(world, folder)
    with asked(world, folder) as (_, done):
        assert done.again == {}
        assert done.sealed == ()


def test_files_and_seal_altered_together_are_found_by_comparing_with_the_log(
    world: World, folder: Path
) -> None:
    everything(world, folder)
    store = open_store(str(world.home.ledger), writer=False)
    segments = Segments(folder, store, most=MOST)
    assert segments.differing() == {}
    one = next(name for name in segments.names() if segments.seal(name).tables["action"].rows)
    path = folder / one / "action.parquet"
    forged = path.with_suffix(".new")
    duckdb.sql(f"copy (select * replace ('nobody' as agent) from '{path}') to '{forged}' (format parquet)")
    forged.rename(path)
    _sealed_again(segments, one)
    assert segments.wrong(one) == ""
    assert segments.differing() == {one: "action is not what the log gives"}
    store.close()
    with asked(world, folder) as (database, _):
        assert {row["agent"] for row in actions(database)} == {"claude-code"}


def _sealed_again(segments: Segments, name: str) -> None:
    import msgspec

    from keyturn.store.analytics.segments import Sealed, file_digest

    seal = segments.seal(name)
    path = segments.folder / name / "action.parquet"
    tables = {
        **seal.tables,
        "action": Sealed(seal.tables["action"].rows, path.stat().st_size, file_digest(path)),
    }
    (segments.folder / name / "seal.json").write_bytes(
        msgspec.json.encode(msgspec.structs.replace(seal, tables=tables))
    )


def test_what_lands_later_makes_its_segment_again(tmp_path: Path) -> None:
    world = World(tmp_path)
    folder = tmp_path / "segments"

    async def first(service: Keyturn) -> tuple[str, str, str]:
        session = await world.session(service, "one")
        ran = await service.authorize(world.action(session, "ls -la"), world.around, consume=True)
        held = await service.authorize(world.action(session, HELD), world.around, consume=True)
        for _ in range(4):
            await service.authorize(world.action(session, "git status"), world.around, consume=True)
        assert held.request
        assert ran.permit
        return ran.action, ran.permit.id, held.request

    ran, permit, held = world.play(first)
    with asked(world, folder) as (database, _):
        rows = {row["action"]: row for row in actions(database)}
        assert rows[ran]["outcome"] == ""

    async def later(service: Keyturn) -> None:
        await service.report(Receipt(action=ran, permit=permit, outcome="done", exit_code=3, output_bytes=12))
        await decide(service, held, "sam", "deny")

    world.play(later)
    with asked(world, folder) as (database, done):
        rows = {row["action"]: row for row in actions(database)}
        assert rows[ran]["outcome"] == "done"
        assert (rows[ran]["exit_code"], rows[ran]["byte_count"]) == (3, 12)
        assert [row["state"] for row in rows.values() if row["request"] == held] == ["denied"]
        assert done.again
        assert all("says more of it" in why for why in done.again.values())
    with asked(world, folder) as (_, done):
        assert done.again == {}


def test_two_processes_do_not_make_segments_at_once(world: World, folder: Path) -> None:
    everything(world, folder)
    holding = "import fcntl, os, sys; h = os.open(sys.argv[1], os.O_RDWR); fcntl.flock(h, fcntl.LOCK_EX); print(1, flush=True); input()"
    other = subprocess.Popen(
        [sys.executable, "-c", holding, str(folder / "lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    other.stdout.readline()
    with pytest.raises(SegmentsBusy), asked(world, folder):
        pass
    other.communicate(b"\n")
    with asked(world, folder) as (_, done):
        assert done.again == {}


def test_what_a_killed_process_left_is_removed(world: World, folder: Path) -> None:
    everything(world, folder)
    (folder / ".sealing-left").mkdir()
    with asked(world, folder):
        pass
    assert not (folder / ".sealing-left").exists()


def test_a_query_reads_no_other_file_and_takes_no_unknown_value(world: World, folder: Path) -> None:
    with asked(world, folder) as (database, _):
        with pytest.raises(QueryMalformed, match=r"not allowed|Permission|disabled"):
            database.select("select * from read_text('/etc/hostname')")
        with pytest.raises(QueryMalformed, match="takes no since_when"):
            database.ask("mix", since_when=3)
        with pytest.raises(QueryMalformed, match="needs session"):
            database.ask("session")
        with pytest.raises(QueryUnknown):
            database.ask("../secrets")
        assert database.ask("session", session="x' or '1'='1").rows == ()


def test_the_command_answers_in_words_and_in_json(world: World) -> None:
    command = [sys.executable, "-m", "keyturn", "drift"]
    given = ["--home", str(world.home.root)]
    words = subprocess.run(
        [*command, "query", "separation", *given], capture_output=True, text=True, check=True
    ).stdout
    assert words.startswith("Separation of duties")
    found = json.loads(
        subprocess.run(
            [*command, "query", "first_seen", "--json", *given], capture_output=True, check=True
        ).stdout
    )
    assert {row["program"] for row in found["rows"]} >= {"ls", "git", "rm"}
    assert found["digest"].startswith("sha256:")
    wrong = subprocess.run([*command, "query", "mixx", *given], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "analytics.unknown_query" in wrong.stderr


def test_a_targets_own_log_answers_in_both_directions(tmp_path: Path) -> None:
    import io

    from keyturn.canonical import digest_bytes
    from keyturn.service import reconciling, tagging
    from keyturn.service.reconciling import Asked

    made = World(tmp_path)

    async def story(service: Keyturn) -> None:
        core = service.core
        session = await made.session(service, "one")
        ran = []
        for command in ("ls -la", "ls -l", "git status"):
            outcome = await service.authorize(
                made.action(session, command, target="db"), made.around, consume=True
            )
            await service.report(Receipt(outcome.action, None, "done"))
            ran.append(outcome.action)
        now = core.ledger.time
        tags = [tagging.tag(core, action, "db") for action in ran[:2]]
        events = [
            {"time": now, "principal": "bot", "statement": "said by an agent", "tag": tag}
            for tag in (*tags, "", "kt1.a_made.up")
        ]
        data = b"\n".join(
            json.dumps(one).encode() for one in [*events, {"time": now + 1000, "principal": "x"}]
        )
        paths = {"time": "time", "principal": "principal", "statement": "statement", "tag": "tag"}
        found = await reconciling.reconcile(
            core, core.roster.people["dana"], Asked("jsonl", "db", paths=paths), io.BytesIO(data), digest_bytes(data), len(data)
        )  # fmt: skip
        assert (found.counts["tagged"], found.counts["untagged"], found.counts["unknown_tag"]) == (2, 1, 1)

    made.play(story)
    with asked(made, tmp_path / "segments") as (database, _):
        rows = database.select("select * from target_event order by event").records()
        answer = database.ask("reconciled").records()
    assert [(row["how"], row["agent"], row["events_n"]) for row in rows] == [
        ("tagged", "claude-code", 1),
        ("tagged", "claude-code", 1),
        ("untagged", "", 1),
        ("unknown_tag", "", 1),
    ]
    assert all(row["action"] for row in rows[:2])
    assert "said by an agent" not in json.dumps(rows)
    (there, here) = answer
    assert (there["what"], there["credential"], there["events"]) == ("in the target", "bot", 4)
    assert (there["without_the_other"], there["coverage"]) == (2, 0.5)
    assert (here["what"], here["target"], here["events"], here["without_the_other"]) == (
        "only in Keyturn",
        "db",
        3,
        1,
    )
