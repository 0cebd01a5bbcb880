"""What somebody with the database can change, and what notices it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from service_world import HELD, World, decide

from keyturn.errors import KeyturnError
from keyturn.identity import tokens
from keyturn.ledger.rebuild import rebuild
from keyturn.ledger.verify import verify
from keyturn.service.keyturn import Keyturn
from keyturn.service.projections import fold
from keyturn.store import open_store


@pytest.fixture
def home(tmp_path: Path) -> World:
    """A home with an approved action in it."""
    world = World(tmp_path)

    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        held = await service.authorize(world.action(session, HELD), world.around)
        assert held.request
        await decide(service, held.request, "riley")
        await service.close_session(session, "done")

    world.play(story)
    return world


def change(world: World, statement: str, *values: object) -> None:
    with sqlite3.connect(world.home.ledger) as connection:
        assert connection.execute(statement, values).rowcount >= 1
    connection.close()


def looked_at(world: World) -> tuple[bool, bool | None]:
    """Whether the log verifies, and whether its projections are what it says (None: they can't be made)."""
    store = open_store(str(world.home.ledger))
    try:
        try:
            same: bool | None = rebuild(store, fold, check=True).identical
        except KeyturnError:
            same = None
        return verify(store).intact, same
    finally:
        store.close()


def test_an_untouched_home_is_intact(home: World) -> None:
    """Negative control of everything below."""
    assert looked_at(home) == (True, True)


def test_a_forged_token_is_a_row_that_the_log_does_not_give(home: World) -> None:
    """The tree says nothing of rows: `keyturn ledger rebuild --check` does."""
    body = b'{"person":"riley"}'
    hashed = tokens.hash_token(tokens.new_token("ktp"))
    change(home, "insert into row (kind, key, state, at, body) values ('token', ?, '', 0, ?)", hashed, body)
    assert looked_at(home) == (True, False)


@pytest.mark.parametrize("kind", ["person", "token", "policy-active", "action", "request"])
def test_an_altered_or_missing_row_is_noticed(home: World, kind: str) -> None:
    change(home, "delete from row where kind = ?", kind)
    assert looked_at(home) == (True, False)


def test_an_approval_whose_fields_were_taken_away_is_named_and_no_crash(home: World) -> None:
    change(home, "update entry set disclosures = cast('[]' as blob) where type = 'approval.given'")
    intact, same = looked_at(home)
    assert same is None
    store = open_store(str(home.home.ledger))
    try:
        assert verify(store).withheld > 0, "withheld fields break no proof; the verdict counts them"
    finally:
        store.close()
    assert intact


@pytest.mark.parametrize(
    "statement",
    [
        "update entry set disclosures = (select disclosures from entry where type = 'session.opened') "
        "where type = 'approval.given'",
        "update entry set leaf = cast(replace(cast(leaf as text), 'approval', 'approvel') as blob) "
        "where type = 'approval.given'",
        "update entry set time = time + 1 where type = 'approval.given'",
        "update entry set type = 'action.receipt' where type = 'approval.given'",
        "delete from entry where type = 'session.closed'",
        "update tile set hashes = zeroblob(32)",
        "update blob set data = cast('x' as blob)",
        "insert into blob (digest, data) values ('sha256:00', cast('x' as blob))",
    ],
)
def test_what_the_tree_commits_to_can_not_be_changed_unseen(home: World, statement: str) -> None:
    change(home, statement)
    assert looked_at(home)[0] is False
