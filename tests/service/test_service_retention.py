"""Files made of labelled data in a real home: found, overdue, held when used late, deleted, attested, and kept by a legal hold."""

from __future__ import annotations

import pytest
from service_world import World, decide, person

from keyturn.errors import KeyturnError
from keyturn.ledger.rebuild import rebuild
from keyturn.policy.folder import STARTER, read_folder
from keyturn.service import artefacts, findings, legal_holds, people
from keyturn.service.artefacts import ArtefactGone, Retaining, Unexplained
from keyturn.service.following import Following
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import Outcome, Receipt
from keyturn.service.projections import fold

LABEL = '\n[[label]]\nname = "customer"\npaths = ["customers.csv"]\n'
DRIFT = '[retention.customer-data]\nlabels = ["customer"]\nkeep = "24h"\nbecause = "the privacy notice"\n'
RULES = """
@id("late") @because("its time is over") @hold permit(principal, action, resource) when { !context.overdue.isEmpty() };
@id("all") @because("a test") permit(principal, action, resource) when { context.overdue.isEmpty() };
"""


@pytest.fixture
def data(tmp_path) -> World:  # type: ignore[no-untyped-def]
    files = read_folder(STARTER)
    files["resources.toml"] += LABEL.encode()
    kept = {name: data for name, data in files.items() if not name.startswith(("rules/", "tests/"))}
    return World(tmp_path, policy={**kept, "drift.toml": DRIFT.encode(), "rules/all.cedar": RULES.encode()})


async def run(world: World, service: Keyturn, session: str, script: str, exit_code: int = 0) -> Outcome:
    outcome = await service.authorize(world.action(session, script), world.around, consume=True)
    if outcome.verdict == "run" and outcome.permit:
        await service.report(Receipt(outcome.action, outcome.permit.id, "done", exit_code=exit_code))
    return outcome


async def looked(service: Keyturn) -> Following:
    following = Following(service.core, (Retaining,))
    await following.catch_up()
    await following.tick(service.core.now())
    return following


def later(service: Keyturn, hours: float) -> None:
    before = service.core.clock
    service.core.clock = lambda: before() + hours * 3600


def test_data_kept_beyond_its_time_is_found_and_its_use_is_held(data: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await data.session(service)
        assert (await run(data, service, session, "cat customers.csv > extract.csv")).verdict == "run"
        await looked(service)
        (kept,) = artefacts.views(service.core)
        assert (kept.state, kept.path, kept.rule) == ("kept", str(data.work / "extract.csv"), "customer-data")
        assert kept.due == kept.written + 24 * 3_600_000
        assert (await run(data, service, session, "wc -l extract.csv")).verdict == "run"
        later(service, 24.01)
        held = await run(data, service, session, "wc -l extract.csv")
        assert (held.verdict, held.decision.rules[0].rule) == ("hold", "late")  # even before anybody looked
        await looked(service)
        (found,) = findings.views(service.core)
        assert (found.kind, found.area, found.subject["artefact"]) == (
            "retention.overdue",
            "retention",
            kept.id,
        )
        assert found.expected.endswith("the privacy notice")
        await looked(service)
        assert len(findings.views(service.core)) == 1
        assert (
            await run(data, service, session, "rm extract.csv")
        ).verdict == "run"  # deleting it late is what is wanted
        await looked(service)
        assert artefacts.views(service.core) == []
        assert (await run(data, service, session, "wc -l extract.csv")).verdict == "run"
        assert rebuild(service.core.ledger._store, fold, check=True).identical

    data.play(story)


def test_deleted_in_time_nothing_is_found(data: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await data.session(service)
        await run(data, service, session, "cat customers.csv > extract.csv")
        await run(data, service, session, "rm -f extract.csv", exit_code=1)  # it failed: still there
        await looked(service)
        assert len(artefacts.views(service.core)) == 1
        await run(data, service, session, "rm -f extract.csv")
        await looked(service)
        later(service, 30)
        await looked(service)
        assert findings.views(service.core) == []
        assert [one.ended for one in artefacts.views(service.core, ("gone",))] == ["action"]

    data.play(story)


def test_a_copy_elsewhere_has_the_clock_of_its_source(data: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await data.session(service)
        await run(data, service, session, "cat customers.csv > extract.csv")
        await looked(service)
        later(service, 5)
        await run(data, service, session, "cp extract.csv other.csv")
        await looked(service)
        first, second = sorted(artefacts.views(service.core), key=lambda one: one.written)
        assert (second.path, second.source, second.due) == (
            str(data.work / "other.csv"),
            first.path,
            first.due,
        )

    data.play(story)


def test_what_was_held_and_never_ran_made_nothing(data: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await data.session(service)
        await service.authorize(
            data.action(session, "cat customers.csv > extract.csv"), data.around
        )  # no permit used
        await looked(service)
        assert artefacts.views(service.core) == []

    data.play(story)


def test_a_person_says_that_it_is_gone_once_and_with_a_reason(data: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await data.session(service)
        await run(data, service, session, "cat customers.csv > extract.csv")
        await looked(service)
        (kept,) = artefacts.views(service.core)
        with pytest.raises(Unexplained):
            await artefacts.attest(service.core, kept.id, person(service, "riley"), "  ")
        gone = await artefacts.attest(service.core, kept.id, person(service, "riley"), "the disk was wiped")
        assert (gone.state, gone.ended, gone.by) == ("gone", "attested", "riley")
        with pytest.raises(ArtefactGone):
            await artefacts.attest(service.core, kept.id, person(service, "sam"), "again")

    data.play(story)


def test_under_a_legal_hold_nothing_is_overdue_and_only_another_administrator_lifts_it(data: World) -> None:
    async def story(service: Keyturn) -> None:
        core = service.core
        session = await data.session(service)
        await run(data, service, session, "cat customers.csv > extract.csv")
        await looked(service)
        with pytest.raises(KeyturnError, match="administrator"):
            await legal_holds.place(core, "label", "customer", "case 7", person(service, "riley"))
        hold = await legal_holds.place(core, "label", "customer", "case 7", person(service, "dana"))
        later(service, 30)
        await looked(service)
        assert findings.views(core) == []
        assert artefacts.views(core)[0].on_hold
        await people.enrol(core, "ada", name="", groups=[], roles=["admin", "member"], os_uids=[], by="dana")
        asked = await legal_holds.lift(core, hold.id, "settled", person(service, "dana"))
        with pytest.raises(KeyturnError):
            await decide(service, asked.id, "dana", reason="mine")
        await decide(service, asked.id, "ada", reason="settled indeed")
        assert legal_holds.view(core, hold.id).state == "lifted"
        await looked(service)
        assert [one.kind for one in findings.views(core)] == ["retention.overdue"]

    data.play(story)


@pytest.mark.parametrize("letter", ["d", "ü", "\n"])
def test_a_name_too_long_for_an_entry_hides_nothing_and_stops_nothing(tmp_path, letter: str) -> None:  # type: ignore[no-untyped-def]
    files = read_folder(STARTER)
    files["resources.toml"] += LABEL.encode()
    kept = {name: data for name, data in files.items() if not name.startswith(("rules/", "tests/"))}
    drift = f"{DRIFT}\n[ratchet]\nalarm = 2\nblock = 3\n"
    world = World(tmp_path, policy={**kept, "drift.toml": drift.encode(), "rules/all.cedar": RULES.encode()})
    folder = "/".join([letter * 100] * 60)

    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        script = f"cat customers.csv > '{folder}/x'; cp customers.csv b"
        outcome = await service.authorize(world.action(session, script), world.around, consume=True)
        assert outcome.verdict == "run", outcome.words
        following = await looked(service)
        assert following.failed == 0
        paths = [one.path for one in artefacts.views(service.core)]
        assert str(world.work / "b") in paths
        assert len(paths) == 2
        later(service, 24.01)
        await looked(service)
        assert [one.state for one in artefacts.views(service.core)] == ["overdue", "overdue"]
        assert service.core.ledger.rebuild(check=True).identical

    world.play(story)
