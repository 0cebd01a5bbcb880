"""`keyturn evidence test`, `controls`, `show`, `history`: controls over the whole population, now or as the server recorded them.

`test` reads the store beside a running server, and records nothing unless the server is asked to.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import click

from keyturn.cli.client import as_option, connect, existing, home_option, json_option, segment
from keyturn.cli.credentials import when
from keyturn.cli.drift import Progress, past
from keyturn.cli.ledger import log_vkey, reading
from keyturn.cli.terminal import plural, say, say_json, visible
from keyturn.errors import ExitCode

if TYPE_CHECKING:
    from keyturn.evidence.catalogue import Catalogue, Control
    from keyturn.evidence.examining import Asked, Examination
    from keyturn.home import Home
    from keyturn.service.house_controls import House

Row = dict[str, Any]

DAY_MS = 86_400_000
HEAD = 65_536
"""Characters of a checkpoint's file at most."""

framework_option = click.option(
    "--framework", metavar="ID", help="Only those of this framework: soc2, iso27001…"
)
since_option = click.option(
    "--since",
    metavar="TIME",
    help="From when on: 90d, 2026-09-01 or 2026-09-01T00:00Z. [default: window_days]",
)
until_option = click.option("--until", metavar="TIME", help="Until just before then. [default: now]")


@click.command("test")
@click.option(
    "--control", "wanted", metavar="ID", multiple=True, help="Only this control: CC6.1 or soc2/CC6.1."
)
@framework_option
@since_option
@until_option
@click.option(
    "--head",
    "heads",
    metavar="FILE",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A checkpoint of this log that somebody else kept.",
)
@click.option(
    "--afresh", is_flag=True, help="Make the tables from nothing and compare them with those at hand."
)
@click.option("--record", is_flag=True, help="Have the server run all tests and record what they come to.")
@click.option("--check", is_flag=True, help="Exit with 8 when a control failed.")
@home_option
@as_option
@json_option
def test_(
    wanted: tuple[str, ...],
    framework: str | None,
    since: str | None,
    until: str | None,
    heads: tuple[Path, ...],
    afresh: bool,
    record: bool,
    check: bool,
    home_path: str | None,
    person: str | None,
    as_json: bool,
) -> None:
    """Test controls now, over everything that was recorded in the period, and say what each came to.

    Reads the log beside a running server and records nothing; with --record the server runs and records, over its own period.
    """
    if record:
        if wanted or since or until or heads or afresh:
            raise click.UsageError("--record runs all tests, over the server's own period.")
        say_run(connect(home_path, person).post("/v1/controls/test"), as_json)
        return
    home = existing(home_path)
    with reading(home) as store:
        from keyturn.service.house_controls import house

        found = house(store.row, store.blob)
        chosen = list(_chosen(found.catalogue, framework, wanted))
        asked = _asked(home, store, found, (since, until), heads, afresh)
        examined = _examined(
            home, store, found, None if not (wanted or framework) else chosen, asked, as_json
        )
    controls = _walled(chosen, examined)
    if as_json:
        from msgspec import to_builtins

        say_json({**to_builtins(examined), "problems": list(found.problems), "controls": controls})
    else:
        _say_examined(found, examined, controls)
    if check and any(one["verdict"] == "fail" for one in controls):
        raise SystemExit(ExitCode.DRIFT)


def _asked(
    home: Home,
    store: Any,
    found: House,
    period: tuple[str | None, str | None],
    heads: Iterable[Path],
    afresh: bool,
) -> Asked:
    from keyturn.evidence.examining import Asked
    from keyturn.evidence.examining import period as period_of
    from keyturn.ledger import checkpoint
    from keyturn.service.settings import load

    head = store.head()
    size = checkpoint.read_unverified(head).size if head else 0
    newest = store.entry(size - 1) if size else None
    since, until = (None if one is None else one * 1000 for one in map(past, period))
    start, end = period_of(
        int(time.time() * 1000), newest.time if newest else 0, since, until, load(home.root).evidence.window_days * DAY_MS
    )  # fmt: skip
    kept = tuple(path.read_text("utf-8", "replace")[:HEAD] for path in heads)
    return Asked(start, end, dict(found.catalogue.settings), kept, afresh)


def _examined(
    home: Home, store: Any, found: House, chosen: list[Control] | None, asked: Asked, quiet: bool
) -> Examination:
    """All tests, or those of *chosen* controls."""
    from keyturn.evidence.examining import examine

    tests = found.catalogue.tests
    if chosen is not None:
        names = {name for one in chosen for name in (*one.tests, *one.optional)}
        tests = {name: test for name, test in tests.items() if name in names}
    return examine(
        store, log_vkey(home), home.evidence, tests.values(), asked, int(time.time() * 1000), unusable=found.unusable,
        progress=Progress(quiet=quiet),
    )  # fmt: skip


def _chosen(catalogue: Catalogue, framework: str | None, wanted: tuple[str, ...]) -> Iterable[Control]:
    """The controls that were named; all of them where none was. Raises `FrameworkUnknown`, `ControlUnknown`."""
    if not wanted:
        yield from catalogue.framework(framework).controls if framework else catalogue.controls()
        return
    for name in wanted:
        yield from named(catalogue, framework, name)


def named(catalogue: Catalogue, framework: str | None, name: str) -> list[Control]:
    """The controls called *name* (`CC6.1`, `soc2/CC6.1`). Raises `FrameworkUnknown`, `ControlUnknown`."""
    from keyturn.evidence.errors import ControlUnknown

    before, slash, after = name.partition("/")
    if framework is None and slash and before in catalogue.frameworks:
        framework, name = before, after
    if framework is not None:
        return [catalogue.control(framework, name)]
    found = [one for one in catalogue.controls() if one.id == name]
    if not found:
        raise ControlUnknown(f"No framework has a control {name[:80]!r}.")
    return found


def _walled(chosen: Iterable[Control], examined: Examination) -> list[Row]:
    from keyturn.evidence.verdicts import of_control

    results = {one.test: one for one in examined.results}
    verdicts = {name: one.verdict for name, one in results.items()}
    found = []
    for one in chosen:
        word, why = of_control(verdicts, one.tests, one.optional)
        names = dict.fromkeys((*one.tests, *one.optional))
        mine = [results[name] for name in names if name in results]
        found.append(
            {
                "framework": one.framework, "control": one.id, "title": one.title, "verdict": word, "why": why,
                "tested_part": one.how == "partial", "tests": list(names),
                **{name: sum(getattr(r, name) for r in mine) for name in ("population", "exceptions", "untested")},
            }
        )  # fmt: skip
    return found


def _say_examined(found: House, examined: Examination, controls: list[Row]) -> None:
    say(
        f"{plural(examined.size, 'entry', 'entries')} of {visible(examined.origin)}, root {examined.root[:16]}…"
    )
    say(f"From {when(examined.since)} to {when(examined.until - 1)}.")
    for line in found.problems:
        say(visible(line))
    if examined.refreshed.differed:
        say(
            f"Tables at hand were not what the log gives, and were made again: {', '.join(examined.refreshed.differed)}."
        )
    say_wall(controls)
    for one in examined.results:
        if one.verdict in ("fail", "not-tested"):
            say(f"{one.test}: {one.verdict}. {visible(one.why)}")
        for item in one.listed[:3] if one.verdict == "fail" else ():
            say(f"    entry {item.entry}  {visible(item.subject)}: {visible(item.exception)}")


def say_wall(controls: Iterable[Mapping[str, Any]]) -> None:
    """One line a control, under its framework."""
    framework = ""
    for one in controls:
        if one["framework"] != framework:
            framework = one["framework"]
            say(f"\n{visible(framework)}  {'verdict':>24}  {'population':>11}  {'exceptions':>11}")
        word = one["verdict"] + (" (tested part)" if one["tested_part"] else "")
        name = visible(one.get("control") or one["id"])
        say(
            f"  {name:<18} {word:<28} {one['population']:>9,}  {one['exceptions']:>11,}  {visible(one['title'])}"
        )
    say()


# --- what the server recorded ------------------------------------------------------------------------------------


@click.command()
@framework_option
@home_option
@as_option
@json_option
def controls(framework: str | None, home_path: str | None, person: str | None, as_json: bool) -> None:
    """What each control came to when the server tested it last; without --framework, how many of each framework came to what."""
    client = connect(home_path, person)
    found = client.get(f"/v1/controls/{segment(framework)}" if framework else "/v1/controls")
    if as_json:
        say_json(found)
        return
    say_run(found["run"], False)
    if framework:
        say_wall(found["controls"])
        return
    for one in found["frameworks"]:
        counts = ", ".join(f"{count} {word}" for word, count in one["counts"].items() if count)
        say(f"  {visible(one['id']):<14} {visible(one['title'])}: {counts or 'no controls'}")


@click.command()
@click.argument("control", metavar="FRAMEWORK/CONTROL")
@home_option
@as_option
@json_option
def show(control: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """Show one control: what it asks for, its tests with their text and digest, population, exceptions, history, and how to do it again."""
    found = _page(home_path, person, control, None, None)
    if as_json:
        say_json(found)
        return
    one = found["control"]
    part = " (tested part)" if one["tested_part"] else ""
    say(f"{visible(one['framework'])}/{visible(one['id'])}  {visible(one['title'])}  {one['verdict']}{part}")
    for name, words in (
        ("asks", one["gist"]), ("passes", one["passes"]), ("applies", one["applies"]), ("why", one["why"]), ("also", one["also"])
    ):  # fmt: skip
        if words:
            say(f"  {name:<10} {visible(words)}")
    say_run(found["run"], False)
    for test in found["tests"]:
        _say_test(test)
    _say_history(found["history"])
    name = f"{visible(one['framework'])}/{visible(one['id'])}"
    say(
        f"\nTo do it again: `keyturn evidence test --control {name}`, or run the text above over a pack's tables."
    )


def _say_test(test: Row) -> None:
    say(f"\n  {visible(test['id'])}: {visible(test['title'])}  {test['verdict']}")
    figures = (
        f"{test['population']:,} members, {test['exceptions']:,} exceptions, {test['untested']:,} untested"
    )
    settings = ", ".join(f"{name} = {value:g}" for name, value in test["values"].items())
    for name, words in (
        ("population", test["population_is"]), ("exception", test["exception_is"]), ("figures", figures), ("why", test["why"]),
        ("settings", settings), ("query", test["query"]),
    ):  # fmt: skip
        if words:
            say(f"    {name:<10} {visible(words)}")
    for entry, at, subject, words in test["exceptional"]:
        say(f"    entry {entry}  {when(at)}  {visible(subject)}: {visible(words)}")
    for line in test["text"].splitlines():
        say(f"    | {visible(line)}")


@click.command()
@click.argument("control", metavar="FRAMEWORK/CONTROL")
@since_option
@until_option
@home_option
@as_option
@json_option
def history(
    control: str,
    since: str | None,
    until: str | None,
    home_path: str | None,
    person: str | None,
    as_json: bool,
) -> None:
    """How a control did over time: when it operated effectively, where it did not, and where there are gaps."""
    found = _page(home_path, person, control, past(since), past(until))
    if as_json:
        say_json(found["history"])
        return
    say(f"{visible(control)}  {visible(found['control']['title'])}")
    _say_history(found["history"])


def _page(
    home_path: str | None, person: str | None, control: str, since: int | None, until: int | None
) -> Row:
    framework, slash, name = control.partition("/")
    if not slash or not name:
        raise click.UsageError("Name it as FRAMEWORK/CONTROL, for example soc2/CC6.1.")
    asked = {k: v * 1000 for k, v in (("since", since), ("until", until)) if v is not None}
    query = f"?{urlencode(asked)}" if asked else ""
    path = f"/v1/controls/{segment(framework)}/{segment(name)}{query}"
    found: Row = connect(home_path, person).get(path)
    return found


def _say_history(found: Row) -> None:
    say()
    for one in found["operated"]:
        say(f"  operated effectively from {when(one[0])} to {when(one[1])}")
    if not found["operated"]:
        say("  It did not operate effectively at any time, as far as is known.")
    for one in found["intervals"]:
        why = f"  {visible(one['why'])}" if one["why"] else ""
        say(f"  {when(one['start'])}  {when(one['end'])}  {one['state']}{why}")


def say_run(run: Row, as_json: bool) -> None:
    """What the server says of its last run."""
    if as_json:
        say_json(run)
        return
    if run["entry"] < 0:
        say("The tests have not run yet." + (" They are running." if run["running"] else ""))
    else:
        stale = "  That is too long ago to say anything about now." if run["stale"] else ""
        say(
            f"Tested {when(run['time'])} over {plural(run['size'], 'entry', 'entries')} (entry {run['entry']}).{stale}"
        )
    for line in (*run["problems"], run["trouble"]):
        if line:
            say(visible(line))
