"""`keyturn policy practice`: how the active policy's rules are used. Reads the store and its segments beside a running server."""

from __future__ import annotations

import time

import click

from keyturn.cli.client import existing, home_option, json_option
from keyturn.cli.drift import Progress
from keyturn.cli.ledger import reading
from keyturn.cli.terminal import say, say_json, visible


@click.command("practice")
@click.option(
    "--days", type=click.IntRange(1, 3660), default=30, show_default=True, help="How far to look back."
)
@home_option
@json_option
def practice(days: int, home_path: str | None, as_json: bool) -> None:
    """How each rule of the active policy was used, what people made of its holds and how fast, and what is found in that.

    A running server does this once a day, and opens what it finds as findings.
    """
    from keyturn.drift.practice import RuleUse
    from keyturn.drift.practice import practice as found_in
    from keyturn.policy import PolicyInvalid, run_tests
    from keyturn.service import replaying
    from keyturn.store.analytics import Segments
    from keyturn.store.analytics.engine import of_segments

    now = int(time.time())
    home = existing(home_path)
    with reading(home) as store:
        policy = replaying.version(store, "active")
        since = (store.row("policy-active", "active") or {}).get("since", now * 1000) / 1000
        began = next((entry.time // 1000 for entry in store.entries(0, 1)), now)
        with of_segments(Segments(home.segments, store), progress=Progress(quiet=as_json)) as (database, _):
            long = days * 86_400
            rows = database.ask("rules", since=now - long, until=now + 1).records()
            early = (
                database.ask("rules", since=began, until=began + long).records()
                if now - began >= 2 * long
                else None
            )
    used, first = (
        {row["rule"]: RuleUse(**{name: row[name] for name in RuleUse.__struct_fields__}) for row in one}
        for one in (rows, early or [])
    )
    try:
        tried = {hit.rule for one in run_tests(policy).results for hit in one.decision.rules}
    except PolicyInvalid:  # cases of an older form: how rules are used can be said all the same
        tried = None
    result = found_in(
        policy.digest,
        policy.rules,
        used,
        days,
        active_days=(now - since) / 86_400,
        first=None if early is None else first,
        clauses=policy.clauses,
        tried=tried,
    )
    if as_json:
        say_json(result)
        return
    say(f"{'rule':<32} {'':<6} {'uses':>8} {'approved':>9} {'denied':>7} {'mean':>8} {'in 5 s':>7}")
    for use in sorted(result.uses, key=lambda one: (-one.uses, one.rule)):
        mean = "-" if use.approval_s is None else f"{use.approval_s:.1f} s"
        say(
            f"{visible(use.rule):<32} {use.verdict:<6} {use.uses:>8,} {use.approved:>9,} {use.denied:>7,} {mean:>8} {use.within_5s:>7,}"
        )
    for one in result.found:
        say(visible(f"{one.kind}: {one.words}"))
    for one_time, when in ((result.unasked, f"last {days}"), (result.at_first, f"first {days}")):
        if one_time is not None:
            whole = one_time.exceptions + one_time.held
            say(
                f"Exceptions let run {one_time.exceptions:,} of {whole:,} that people would be asked about in the {when} days."
            )
    say(f"{len(result.wide)} rules let any program run, where their conditions hold.")
    if result.covered is not None:
        for line in result.covered.lines:
            say(line)
        if result.covered.untried:
            say(visible(f"No case tries: {', '.join(result.covered.untried)}"))
        if result.covered.clauses and result.covered.unclaused:
            say(visible(f"Without a clause: {', '.join(result.covered.unclaused)}"))
