"""Which controls there are, of which frameworks, and which tests show each: catalogues as data, in our own words.

Those that come with Keyturn lie in `catalogues/*.toml`. A house's own lie in its policy's folder, so that two people decide on them as on
everything else in it: `controls/NAME.toml`, and its own tests as `controls/queries/NAME.sql`.

    id = "soc2"                  # a framework that Keyturn has, to add to it; or a new one, with title and edition
    title = "…"                  # of a new framework
    edition = "…"

    [settings]                   # thresholds that tests take (docs/reference/controls.md)
    review_h = 12

    [[control]]
    id = "CC6.1"
    title = "…"                  # a few words
    gist = "…"                   # what the framework asks for, in our own words: no text of theirs
    passes = "…"                 # what has to be so
    tests = ["two_people"]       # all of these pass
    optional = []                # which of them may find nothing to test; never all of them
    how = "partial"              # or "automatic": the tests show all of it
    also = "…"                   # partial: what a person has to add
    applies = "…"                # optional: to whom, from when
    baselines = ["moderate"]     # optional: for NIST SP 800-53

Rules kept here:

- Whatever is unknown is an error with its place: a key that nobody reads, a test that there is none of, an id that is there twice.
- A house adds: it can't take the place of a control or a test that Keyturn has, and then call it passed.
- A control has at least one test that must find something to test: what nothing was tested for is no pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources

from keyturn.evidence.catalogue_files import Reader
from keyturn.evidence.controls import VERIFIED, Catalogue, Control, Framework
from keyturn.evidence.errors import CatalogueMalformed, TestMalformed, UnknownQuery
from keyturn.evidence.house_tests import problems_of, unportable
from keyturn.evidence.testing import Test, load_tests, read_test
from keyturn.policy.problems import Problem

FOLDER = "controls/"
"""Where a policy keeps a house's own catalogues."""

QUERIES = "controls/queries/"
"""Where it keeps their tests."""

MAX_TESTS = 200


def load(files: Mapping[str, bytes] = {}) -> Catalogue:
    """The catalogues that come with Keyturn, and a house's own among its policy's *files* ({path: bytes}).

    Raises `UnknownQuery`, `CatalogueMalformed`, each naming every mistake found.
    """
    own, problems = _own_tests(files)
    tests = {**load_tests(), **own}
    known = {*tests, *VERIFIED}
    reader = Reader({one.id: one for one in _shipped()}, known, _settings_of(tests))
    for path in sorted(name for name in files if name.startswith(FOLDER) and name.endswith(".toml")):
        problems += reader.read(path, files[path])
    if reader.unknown:
        raise UnknownQuery([*reader.unknown, *problems])
    if problems:
        raise CatalogueMalformed(problems)
    return Catalogue(reader.frameworks, tests, reader.settings)


def check(files: Mapping[str, bytes]) -> None:
    """Raise what `load` raises where a policy's own controls or tests are wrong, and where a test runs here and not in DuckDB."""
    found = load(files)
    own = [found.tests[_test_of(path)] for path in sorted(files) if path.startswith(QUERIES)]
    problems = [_problem(test, words) for test, words in unportable(own)] if own else []
    if problems:
        raise CatalogueMalformed(problems)


def _test_of(path: str) -> str:
    return path.removeprefix(QUERIES).removesuffix(".sql")


def _problem(test: Test, words: str) -> Problem:
    return Problem(f"{QUERIES}{test.id}.sql", 0, 0, words)


@cache
def _shipped() -> tuple[Framework, ...]:
    """What comes with Keyturn. That its tests exist is shown by the tests of this module: a control without is never a pass."""
    folder = resources.files("keyturn.evidence").joinpath("catalogues")
    reader = Reader({})
    problems = [
        problem
        for one in sorted(folder.iterdir(), key=lambda one: one.name)
        if one.name.endswith(".toml")
        for problem in reader.read(one.name, one.read_bytes())
    ]
    if problems:
        raise CatalogueMalformed(problems)
    return tuple(reader.frameworks.values())


def _own_tests(files: Mapping[str, bytes]) -> tuple[dict[str, Test], list[Problem]]:
    """A house's tests, and what is wrong with them."""
    found: dict[str, Test] = {}
    problems: list[Problem] = []
    paths = sorted(name for name in files if name.startswith(QUERIES))
    if len(paths) > MAX_TESTS:
        problems.append(Problem(QUERIES, 0, 0, f"a policy has at most {MAX_TESTS} tests of its own"))
    for path in paths[:MAX_TESTS]:
        name = _test_of(path)
        if name in load_tests() or name in VERIFIED:
            words = f"Keyturn has a test {name}, and a policy can't take its place"
            problems.append(Problem(path, 0, 0, words, suggestion="give this one another name"))
            continue
        try:
            test = read_test(name, files[path].decode("utf-8"))
        except UnicodeDecodeError:
            problems.append(Problem(path, 0, 0, "this is not UTF-8 text"))
        except TestMalformed as error:
            problems.append(
                Problem(path, 0, 0, error.happened.removeprefix(f"{name}.sql").lstrip(":, ").rstrip("."))
            )
        else:
            found[name] = test
    if found:
        problems += [_problem(test, words) for test, words in problems_of(found.values())]
    return found, problems


def _settings_of(tests: Mapping[str, Test]) -> dict[str, str]:
    return {setting.name: setting.meaning for test in tests.values() for setting in test.settings}


__all__ = ["FOLDER", "QUERIES", "VERIFIED", "Catalogue", "Control", "Framework", "check", "load"]
