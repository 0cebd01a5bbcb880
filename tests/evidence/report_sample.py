"""A report with a control of each kind, made by hand: for tests of how it is told."""

from dataclasses import dataclass

from keyturn.evidence.history import DAY_MS, Interval, Span
from keyturn.evidence.report.model import Assessed, Frame, KeptHead, Report, Tested
from keyturn.evidence.testing import ControlResult, Day, Exceptional, TestResult, read_test
from keyturn.evidence.verdicts import Word

SINCE = 1_767_225_600_000  # 2026-01-01
UNTIL = SINCE + 90 * DAY_MS
NASTY = "<script>alert(1)</script> & \"'`"


@dataclass(frozen=True)
class Text:
    id: str
    title: str
    gist: str
    how: str = "automatic"
    also: str = ""


def result_of(name: str, verdict: Word, population: int, exceptions: int = 0, untested: int = 0, title: str = "") -> Tested:  # fmt: skip
    test = read_test(
        name,
        f"-- {title or 'What policy holds for people ran only after enough of them approved it'}\n"
        "-- population: actions that ran and that policy holds for people, by decision, grant or plan\n"
        "-- exception: fewer distinct people than required approved exactly this action, in time\n"
        "-- rests on: action request approval\n"
        "-- settings: late_h=24 (hours until it is late)\n"
        "SELECT 1\n",
    )
    days = tuple(
        Day(
            SINCE + day * DAY_MS,
            (population + day) // 90,
            min(exceptions, 2) if day == 40 else 0,
            untested if day == 50 else 0,
        )
        for day in range(90)
    )
    listed = tuple(
        Exceptional(
            1000 + at,
            SINCE + 40 * DAY_MS + at * 1000,
            f"a_01m8m8r9mfnpw8aqv7q5qh7{at:03}",
            f"approved by 1 of 2 people {NASTY}",
        )
        for at in range(min(exceptions, 100))
    )
    why = "3 could not be tested: fields are withheld or erased." if verdict == "not-tested" else ""
    return Tested(
        test,
        TestResult(
            name, test.digest, test.values(), SINCE, UNTIL, 812_400, "sha256:" + "ab" * 32,
            population, exceptions, untested, listed, days if population else (), verdict, why,
        ),
    )  # fmt: skip


def sample(**frame: object) -> Report:
    """A pass, a fail with more exceptions than are shown, an untested, an empty and a partial control."""
    tests = {
        "approved_before_run": result_of("approved_before_run", "pass", 12_403),
        "same_bytes": result_of("same_bytes", "fail", 90_113, 11, title="What ran is what was approved, byte for byte"),
        "people_look": result_of("people_look", "not-tested", 500, 0, 3, title="People look at what they approve"),
        "stop_works": result_of("stop_works", "no-population", 0, title="The kill switch ends what runs"),
    }  # fmt: skip
    change = "Whatever changes a system is asked for, tried, approved by somebody else and only then done."
    access = "Nobody and nothing acts without an identity, and only as far as policy lets it."
    stop = "There is a way to stop what goes wrong, and it was tried."
    also = "the incident plan, and the record of the drill with people."
    rows: tuple[tuple[Text, Word, tuple[str, ...]], ...] = (
        (Text("CC8.1", "Changes are authorised, tested and approved", change), "fail", ("approved_before_run", "same_bytes")),
        (Text("CC6.1", "Logical access", access), "pass", ("approved_before_run",)),
        (Text("CC7.4", "Respond to incidents", stop, "partial", also), "no-population", ("stop_works",)),
        (Text("CC4.1", "Monitoring", f"Somebody looks at whether controls work. {NASTY}"), "not-tested", ("people_look",)),
    )  # fmt: skip
    middle = SINCE + 40 * DAY_MS
    history = (
        Interval(SINCE, SINCE + 20 * DAY_MS, "pass"),
        Interval(SINCE + 20 * DAY_MS, SINCE + 24 * DAY_MS, "gap", "Keyturn gave no sign of life."),
        Interval(SINCE + 24 * DAY_MS, middle, "no-population"),
        Interval(middle, middle + DAY_MS, "fail"),
        Interval(middle + DAY_MS, middle + 12 * DAY_MS, "not-tested"),
        Interval(middle + 12 * DAY_MS, UNTIL, "pass"),
    )
    controls = tuple(
        Assessed(
            text,
            ControlResult(
                "soc2",
                text.id,
                verdict,
                "" if verdict == "pass" else f"{verdict}: {', '.join(names)}.",
                names,
            ),
            history,
            tests[names[0]].result.days,
        )
        for text, verdict, names in rows
    )
    known = {
        "pack": "e_01m8m8r9mfnpw8aqv7q5qh74k8", "framework": "soc2", "framework_title": "SOC 2 Trust Services Criteria",
        "edition": "TSC 2017, points of focus 2022", "since": SINCE, "until": UNTIL, "origin": "keyturn.example/4516af55",
        "vkey": "keyturn.example/4516af55+1a2b3c4d+" + "A" * 44, "size": 812_400, "root": "q83v" * 11 + "=", "head": UNTIL + 5000,
        "by": "dana", "auditor": "Quinn of Example Auditors", "disclosure": "digests", "recorded": True,
    }  # fmt: skip
    return Report(
        Frame(**(known | frame)),  # type: ignore[arg-type]
        controls,
        tests,
        (("entries in the log", 812_400), ("actions proposed", 500_000)),
        (("click", 1200), ("signed", 11_203)),
        (Span(SINCE, SINCE + 20 * DAY_MS), Span(SINCE + 24 * DAY_MS, UNTIL)),
        (KeptHead("Quinn", 400_000, True),),
        ("Whether policies were approved by management.", "Physical security."),
    )
