"""Small steps are measured against the beginning: the surface of an agent, and its instructions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from service_world import World, decide, person

from keyturn.actions import Effect, Reading, Step
from keyturn.drift import ratchet
from keyturn.drift.ratchet import Ladder, climbed, erosion, instruction_drift, judged
from keyturn.drift.surface import RANKS, Reach, rank, reach
from keyturn.ledger.rebuild import rebuild
from keyturn.policy.drift import read_drift
from keyturn.policy.folder import STARTER, read_folder
from keyturn.service import findings
from keyturn.service.following import Following
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import Outcome, Receipt
from keyturn.service.projections import fold
from keyturn.service.ratchets import Ratcheting

WAY = ["/tmp/out", "/var/log/app/x", "/etc/app/x.conf", "/etc/sudoers.d/x"]


@pytest.mark.parametrize(
    ("path", "zone", "expected"),
    [
        ("/project/a", "workspace", 0),
        ("/tmp/a", "temporary", 1),
        ("/var/log/app/a", "system", 2),
        ("/home/dana/notes", "home", 2),
        ("/etc/app/a", "system", 3),
        ("/home/dana/.bashrc", "home", 4),
        ("/usr/bin/x", "system", 4),
        ("/etc/sudoers.d/x", "system", 5),
        ("/etc/*", "system", 5),
        ("/etc/app/*", "system", 3),
        ("/home/dana/.ssh/authorized_keys", "home", 5),
        ("/home/x/keyturn", "keyturn", 5),
    ],
)
def test_ranks(path: str, zone: str, expected: int) -> None:
    assert rank(Effect("writes", path, zone)) == expected


def test_labels_rank_high_reads_do_not_count_and_known_folders_are_no_step() -> None:
    assert rank(Effect("writes", "/project/.env", "workspace", ("secret",))) == 5
    effects = (Effect("reads", "/etc/sudoers", "system"), Effect("writes", "/etc/app/x", "system"))
    reading = Reading("shell", True, (Step("x", effects=effects),))
    assert reach(reading) == Reach(3, "/etc/app/x")
    assert reach(reading, ("/etc/app",)) is None


def test_alarm_at_the_third_step_and_the_fourth_is_blocked() -> None:
    ladder, said = None, []
    for number, path in enumerate(WAY):
        to = Reach(rank(Effect("writes", path, "temporary" if number == 0 else "system")), path)
        said.append(judged(ladder, to, 2, 3))
        ladder = climbed(ladder, to, number, number) or ladder
    assert said == ["", "", "alarm", "block"]
    # the negative controls: measured against the last step nothing is far; one large step is no ratchet
    assert all(judged(Ladder(r, 0), Reach(r + 1, "x"), 2, 3) == "" for r in range(1, 5))
    assert judged(Ladder(1, 0), Reach(5, "/etc/sudoers.d/x"), 2, 3) == ""


@given(st.lists(st.integers(0, 5), max_size=12))
def test_a_ladder_only_rises_and_going_back_takes_nothing_away(ranks: list[int]) -> None:
    ladder = None
    for number, one in enumerate(ranks):
        ladder = climbed(ladder, Reach(one, f"/{one}"), number, number) or ladder
    if ladder is not None:
        assert ladder.top == max(1, *ranks)
        assert [step.rank for step in ladder.steps] == sorted({step.rank for step in ladder.steps})
        assert ratchet.of_row(ratchet.as_row(ladder)) == ladder
        assert 0 <= ladder.distance < len(RANKS)


BASE = """
# Guardrails
- Never modify production configuration.
- Ask the on-call engineer for approval before you restart a service.
- Only read from the replica of the customer database.
- Do not delete backups, logs or snapshots.
- Run at most 20 queries a task.
- Every deployment needs a ticket and two approvals.
- Never send data outside the company.
"""
TWELVE = [
    ("at most 20 queries", "at most 30 queries"),
    ("Do not delete backups, logs or snapshots.", "Do not delete backups or snapshots."),
    (
        "Never modify production configuration.",
        "Do not modify production configuration without a good reason.",
    ),
    ("Only read from the replica", "Preferably read from the replica"),
    ("two approvals", "one approval"),
    ("before you restart a service", "before you restart a critical service"),
    ("at most 30 queries", "at most 100 queries"),
    ("Never send data outside", "Avoid sending data outside"),
    ("Do not delete backups or snapshots.", "Avoid deleting backups."),
    ("needs a ticket and one approval", "should have a ticket and one approval"),
    ("Avoid sending data outside the company.", "Send data outside the company only when it is needed."),
    (
        "Ask the on-call engineer for approval before you restart a critical service.",
        "Restart services when it helps, and tell the on-call engineer afterwards.",
    ),
]


def test_twelve_small_edits_are_seen_against_the_original() -> None:
    versions, text = [], BASE
    for old, new in TWELVE:
        assert old in text
        text = text.replace(old, new)
        versions.append({"AGENTS.md": text})
    found = erosion({"AGENTS.md": BASE}, versions)
    drift = instruction_drift("bot", found, "sha256:new", "sha256:old")
    assert drift is not None
    assert drift.kind == "ratchet.instructions"
    assert found.total.expands > 3 * found.largest  # far more than any step
    early = instruction_drift("bot", erosion({"AGENTS.md": BASE}, versions[:5]))
    assert early is not None  # long before the twelfth
    # the negative control: benign rewordings never add up
    benign = [
        {"AGENTS.md": BASE.replace("Run at most 20 queries a task.", "Per task, run at most 20 queries.")}
    ] * 12
    assert instruction_drift("bot", erosion({"AGENTS.md": BASE}, benign)) is None


def test_the_section_is_checked() -> None:
    rules, wrong = read_drift(b'[ratchet]\nknown = ["/etc/nginx/"]\n')
    assert (rules.ratchet.alarm, rules.ratchet.block, rules.ratchet.known, wrong) == (
        2,
        3,
        ("/etc/nginx",),
        [],
    )
    for text in (
        b"[ratchet]\nalarm = 9\n",
        b'[ratchet]\nknown = ["/"]\n',
        b'[ratchet]\ndecision = "run"\n',
        b"[ratchet]\nother = 1\n",
    ):
        assert read_drift(text)[1]


@pytest.fixture
def world(tmp_path) -> World:  # type: ignore[no-untyped-def]
    files = {
        name: data for name, data in read_folder(STARTER).items() if not name.startswith(("rules/", "tests/"))
    }
    rules = b'@id("all") @because("a test") @hold permit(principal, action, resource);'
    return World(tmp_path, policy={**files, "rules/all.cedar": rules})


async def wrote(world: World, service: Keyturn, session: str, path: str) -> Outcome:
    action = world.action(session, f"echo x > {path}")
    outcome = await service.authorize(action, world.around, consume=True)
    if outcome.request:
        for who in ("riley", "sam"):
            if (await service.request(outcome.request, person(service, who))).state == "waiting":
                await decide(service, outcome.request, who, reason="the release needs it")
        outcome = await service.authorize(action, world.around, consume=True)
    if outcome.permit:
        await service.report(Receipt(outcome.action, outcome.permit.id, "done", exit_code=0))
    return outcome


def test_the_ratchet_of_the_story_alarms_by_step_three_and_step_four_is_refused(world: World) -> None:
    async def story(service: Keyturn) -> None:
        following = Following(service.core, (Ratcheting,))
        kinds = []
        for path in WAY:
            outcome = await wrote(world, service, await world.session(service), path)
            await following.catch_up()
            kinds.append((outcome.verdict, [one.kind for one in findings.views(service.core)]))
        assert kinds == [
            ("run", []),
            ("run", []),
            ("run", ["ratchet.surface"]),
            ("refuse", ["ratchet.surface"]),
        ]
        (found,) = findings.views(service.core)
        assert "/var/log/app/x → /etc/app/x.conf" in found.words
        assert len(found.entries) == 2
        refused = await wrote(world, service, await world.session(service), WAY[3])
        assert any("[ratchet]" in reason for reason in refused.decision.reasons)

        assert rebuild(service.core.ledger._store, fold, check=True).identical

    world.play(story)
