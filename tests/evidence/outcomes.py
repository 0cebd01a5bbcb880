"""What controls may come to, made up: reports over real catalogues with any verdict, for what writes them in other forms."""

from __future__ import annotations

import random

from keyturn.evidence import catalogue
from keyturn.evidence.controls import VERIFIED, Framework
from keyturn.evidence.report.model import Assessed, Frame, Report, Tested
from keyturn.evidence.testing import ControlResult, Exceptional, Test, TestResult
from keyturn.evidence.verdicts import of_control, of_test

SINCE, UNTIL = 1_790_000_000_000, 1_797_776_000_000
ROOT = "3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+796tvu8="
NASTY = '=1+1"\n<b>;,\t\x00‮ @SUM'


def frame(framework: Framework, **changes: object) -> Frame:
    """The frame of a report on *framework*."""
    told = {
        "pack": "p_1",
        "framework": framework.id,
        "framework_title": framework.title,
        "edition": framework.edition,
        "since": SINCE,
        "until": UNTIL,
        "origin": "keyturn.example/log",
        "vkey": "keyturn.example/log+aabbccdd+AQ",
        "size": 90_113,
        "root": ROOT,
        "head": UNTIL + 5,
        "by": "dana",
        "auditor": "aud",
        "disclosure": "digests",
        "recorded": True,
    }
    return Frame(**(told | changes))


def report(
    name: str, figures: dict[str, tuple[int, int, int]] | int = 0, **changes: object
) -> tuple[Report, Framework]:
    """A report on the framework *name*. *figures*: test → (population, exceptions, untested), else a seed of them; the rest passes."""
    found = catalogue.load()
    framework = found.framework(name)
    names = sorted({test for control in framework.controls for test in control.tests})
    chance = random.Random(figures if isinstance(figures, int) else 0)
    tests: dict[str, Tested] = {}
    for test in names:
        if isinstance(figures, int):
            counts = chance.choice([(12, 0, 0), (12, 0, 0), (12, 3, 0), (12, 0, 2), (0, 0, 0)])
        else:
            counts = figures.get(test, (12, 0, 0))
        tests[test] = Tested(_test(test, found), _result(test, found, counts))
    words = {test: one.result.verdict for test, one in tests.items()}
    assessed = []
    for control in framework.controls:
        verdict, why = of_control(words, control.tests, control.optional)
        assessed.append(Assessed(control, ControlResult(name, control.id, verdict, why, control.tests)))
    return Report(frame(framework, **changes), tuple(assessed), tests), framework


def _test(name: str, found: catalogue.Catalogue) -> Test:
    if name in VERIFIED:
        one = VERIFIED[name]
        return Test(name, one.title, "", "", one.population, one.exception, ())
    return found.tests[name]


def _result(name: str, found: catalogue.Catalogue, counts: tuple[int, int, int]) -> TestResult:
    test = _test(name, found)
    verdict, why = of_test(*counts)
    listed = tuple(Exceptional(1000 + n, SINCE + n, NASTY, f"{NASTY} {n}") for n in range(counts[1]))
    return TestResult(
        name, test.digest, test.values(), SINCE, UNTIL, 90_113, ROOT, *counts, listed, (), verdict, why
    )
