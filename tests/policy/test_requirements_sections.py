"""requirements.toml: what it may say, and that a mistake in it is an error with its place."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_building import FACTS, facts, policy, reading, readings, step

from keyturn.policy import Obligations, PolicyInvalid, run_tests
from keyturn.policy.obligations import merge
from keyturn.policy.requirements import SECTIONS, read_requirements

STRANGE = step("strange", "executes:workspace")

WINDOW = '[window.office]\ndays = ["mon", "fri"]\nfrom = "09:00"\nto = "17:00"\ntimezone = "Europe/Berlin"\n'


def problems(text: str) -> list[str]:
    return [problem.render() for problem in read_requirements(text.encode())[1]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[defaults]\n", 'did you mean "default"?'),
        ("[default]\nwithn = '5m'\n", 'did you mean "within"?'),
        ("[default]\nwithin = '5'\n", "is not a time"),
        ("[default]\nwindow = 'ofice'\n" + WINDOW, 'did you mean "office"?'),
        ("[default]\nticket = 'yes'\n", 'ticket is "required" or "optional"'),
        ("[default]\nescalate = 'managers'\n", "is not `TIME to GROUP`"),
        ("[escalation.night]\nafter = '10m'\n", "[escalation.night] has a to"),
        ("[tier.hihg]\nreason = 'required'\n", 'did you mean "high"?'),
        ("[tier.high]\nescalate = '10m to x'\n", "there is no setting escalate in [tier.high]"),
        ("[tier.high]\nassurance = 'sure'\n", "assurance is one of"),
        ("[window.office]\nfrom = '09:00'\n", "[window.office] has a to"),
        ("[window.office]\nfrom = '9:00'\nto = '17:00'\n", "from is a time of day"),
        ("[window.office]\nfrom = '09:00'\nto = '09:00'\n", "it never opens"),
        ("[window.office]\nfrom = '09:00'\nto = '17:00'\ndays = []\n", "it never opens"),
        ("[window.office]\nfrom = '09:00'\nto = '17:00'\ndays = ['monday']\n", "a day is one of"),
        (
            "[window.office]\nfrom = '09:00'\nto = '17:00'\ntimezone = 'Europe/Berln'\n",
            'did you mean "Europe/Berlin"?',
        ),
        ("[window.office]\nfrom = '09:00'\nto = '17:00'\nexcept = ['24.12.2026']\n", "a date is written"),
        ("[window.Office]\nfrom = '09:00'\nto = '17:00'\n", "the name of a window"),
        ("window = 5\n", "[window] is a table"),
    ],
)
def test_a_mistake_is_an_error_with_its_place_and_a_suggestion(text, words):
    found = problems(text)
    assert any(words in one for one in found), found
    assert all("requirements.toml:" in one for one in found), found
    with pytest.raises(PolicyInvalid):
        policy(requirements_toml=text.encode())


def test_a_file_without_mistakes_has_none():
    text = WINDOW + (
        "[escalation.night]\nafter = '10m'\nto = 'managers'\n"
        "[default]\nwindow = 'office'\nticket = 'required'\nremind = '5m'\nescalate = 'night'\n"
        "[tier.high]\napprove = '2 of dba'\nreason = 'required'\n"
    )
    assert problems(text) == []
    asked = policy(requirements_toml=text.encode()).decide("shell", reading(STRANGE), FACTS).obligations
    assert (asked.window, asked.ticket_required, asked.remind) == ("office", True, 300)
    assert (asked.escalate_to, asked.escalate_after) == ("managers", 600)


def test_a_rule_asks_with_annotations_what_the_file_defines():
    rule = (
        '@id("strange") @because("it is strange") @hold @ticket("required") @window("office") @remind("2m")\n'
        '@escalate("15m to managers")\npermit(principal, action, resource) when { context.program == "strange" };\n'
    )
    asked = (
        policy(rule, requirements_toml=WINDOW.encode()).decide("shell", reading(STRANGE), FACTS).obligations
    )
    assert (asked.ticket_required, asked.window, asked.remind) == (True, "office", 120)
    assert (asked.escalate_to, asked.escalate_after) == ("managers", 900)
    with pytest.raises(PolicyInvalid, match="there is no window"):
        policy(rule)  # without the file that describes it
    with pytest.raises(PolicyInvalid, match="without @hold asks nobody"):
        policy(rule.replace("@hold ", ""), requirements_toml=WINDOW.encode())


def test_merging_keeps_every_window_the_earliest_reminder_and_a_ticket():
    one = Obligations(window="office", remind=60, ticket_required=True)
    two = Obligations(window="night, office", remind=300)
    assert merge([one, two]) == merge([two, one])
    merged = merge([one, two])
    assert (merged.window, merged.remind, merged.ticket_required) == ("night, office", 300, True)


def test_an_escalation_that_one_rule_does_not_have_is_nobodys():
    """It lets more people decide: a rule that did not ask for that is not loosened by another."""
    one = Obligations(escalate_to="managers", escalate_after=600)
    assert merge([one, one.__class__(escalate_to="managers", escalate_after=900)]).escalate_after == 900
    for other in (Obligations(), Obligations(escalate_to="friends", escalate_after=600)):
        merged = merge([one, other])
        assert (merged.escalate_to, merged.escalate_after) == ("", 0)


def test_a_tier_adds_to_what_rules_ask_and_takes_nothing_away():
    read, wrong = read_requirements(
        b"[tier.low]\nwithin = '1h'\n[tier.critical]\napprove = '2 of security'\nreason = 'required'\nticket = 'required'\n"
    )
    assert not wrong
    asked = Obligations("1 of dba", 600, assurance="signed", escalate_to="managers", escalate_after=60)
    assert read.for_tier(asked, "medium") == asked
    assert read.for_tier(asked, "low") == asked, "a longer time is not a demand"
    critical = read.for_tier(asked, "critical")
    assert (critical.approve, critical.within, critical.assurance) == (
        "1 of dba, 2 of security",
        600,
        "signed",
    )
    assert critical.reason_required
    assert critical.ticket_required
    assert critical.escalate_to == "", "managers were not asked for in security's place"


def test_what_the_how_to_shows_is_a_file_without_mistakes():
    page = (Path(__file__).parents[2] / "docs/how-to/ask-for-more.md").read_text("utf-8")
    blocks = re.findall(r"^```toml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 5
    assert problems("\n".join(blocks)) == []


def test_every_section_is_documented():
    page = (Path(__file__).parents[2] / "docs/reference/policy.md").read_text("utf-8")
    assert [name for name in SECTIONS if f"[{name}" not in page] == []


FREEZE = "[freeze.year-end]\nfrom = 2026-12-23T18:00:00+01:00\nuntil = 2027-01-02T08:00:00+01:00\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[freeze.x]\nfrom = 2026-12-23T18:00:00+01:00\n", "[freeze.x] has a until"),
        ("[freeze.x]\nfrom = '2026-12-23'\nuntil = 2027-01-01T00:00:00Z\n", "[freeze.x] has a from"),
        ("[freeze.x]\nfrom = 2027-01-01T00:00:00Z\nuntil = 2026-12-23T18:00:00Z\n", "it ends first"),
        (FREEZE + "decision = 'block'\n", "decision is one of hold, refuse"),
        (FREEZE + "approve = '1 of release'\n", "nobody is asked: it refuses"),
        (FREEZE + "verbs = ['wirtes']\n", 'did you mean "writes"?'),
        (FREEZE + "label = ['production']\n", 'did you mean "labels"?'),
    ],
)
def test_a_mistake_in_a_freeze_is_an_error(text, words):
    assert any(words in one for one in problems(text)), problems(text)


def test_cases_say_when_they_are_asked():
    cases = (
        b'[[must_refuse]]\nname = "frozen"\npath = "/home/dev/project/a"\noperation = "write"\ntime = 2026-12-24T12:00:00Z\n'
        b'[[must_run]]\nname = "after"\npath = "/home/dev/project/a"\noperation = "write"\ntime = 2027-01-03T12:00:00Z\n'
        b'[[must_hold]]\nname = "closed"\ncommand = "git push"\ntime = 2027-01-03T12:00:00Z\nopen = false\n'
        b'[[must_hold]]\nname = "open"\ncommand = "git push"\ntime = 2027-01-04T12:00:00Z\nopen = true\n'
    )
    rules = (
        '@id("all") @because("work") permit(principal, action, resource) when { context.program != "git" };'
    )
    rules += '\n@id("push") @because("seen") @hold @window("office") permit(principal, action, resource) when { context.program == "git" };'
    more = {"requirements_toml": (FREEZE + WINDOW).encode(), "tests__all_toml": cases}
    report = run_tests(policy(rules, **more))
    assert report.green, report.lines
    turned = cases.replace(b"2027-01-04", b"2027-01-05")  # a Tuesday, on which the office is closed
    wrong = run_tests(policy(rules, **more | {"tests__all_toml": turned}))
    assert [line.rpartition(": ")[2] for line in wrong.lines] == ["must be open then, was closed"]
    with pytest.raises(PolicyInvalid, match="time is a date and time with its offset"):
        run_tests(policy(rules, **more | {"tests__all_toml": cases.replace(b"T12:00:00Z", b"T12:00:00")}))


@given(readings(), facts, st.sampled_from(("hold", "refuse")), st.booleans())
def test_a_freeze_never_makes_a_decision_milder(proposed, known, decision, observe):
    mode = "observe" if observe else "enforce"
    text = f"{FREEZE}decision = '{decision}'\n".encode()
    frozen = policy(mode=mode, requirements_toml=text)
    before = frozen.decide("shell", proposed, known)
    during = frozen.decide("shell", proposed, known, NOON)
    order = ("run", "hold", "refuse")
    assert order.index(during.would) >= order.index(before.would)
    assert order.index(during.verdict) >= order.index(before.verdict)
    assert frozen.decide("shell", proposed, known, NOON + 30 * 86_400_000) == before
    if not proposed.complete and decision == "refuse":
        assert during.verdict == "refuse", "nobody knows what it would do"


NOON = 1_798_110_000_000  # 24 December 2026


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[tickets]\n", "a source of tickets is file, jira or github"),
        ("[tickets]\nsource = 'gihub'\n", 'did you mean "github"?'),
        ("[tickets]\nsource = 'file'\n", "[tickets] has a path"),
        (
            "[tickets]\nsource = 'jira'\nurl = 'http://jira.example.com'\nwindow = 'ignored'\n",
            "url is https://",
        ),
        (
            "[tickets]\nsource = 'jira'\nurl = 'https://u:p@jira.example.com'\nwindow = 'ignored'\n",
            "carries no name",
        ),
        ("[tickets]\nsource = 'jira'\nurl = 'https://jira.example.com'\n", "name from_field and until_field"),
        ("[tickets]\nsource = 'github'\nrepository = 'acme'\n", "owner/name"),
        ("[tickets]\nsource = 'github'\nrepository = 'a/b'\ntoken = 'x'\n", "there is no setting token"),
    ],
)
def test_a_mistake_in_tickets_is_an_error(text, words):
    assert any(words in one for one in problems(text)), problems(text)


def test_the_rate_of_drills_is_a_small_number() -> None:
    from keyturn.policy.requirements.sections import read_requirements

    assert read_requirements(b"[drills]\nrate = 0.01\n") == (
        read_requirements(b"[drills]\nrate = 0.01\n")[0],
        [],
    )
    assert read_requirements(b"[drills]\nrate = 0.01\n")[0].drills == 0.01
    assert read_requirements(b"")[0].drills == 0.0
    for wrong in (b"0.5", b"-1", b'"often"', b"true"):
        found, problems = read_requirements(b"[drills]\nrate = " + wrong + b"\n")
        assert problems
        assert found.drills == 0.0
