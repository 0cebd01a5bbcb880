"""`keyturn policy versions` and `replay`: what a version would have done. Both read the store beside a running server."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from keyturn.cli.client import existing, home_option, json_option
from keyturn.cli.credentials import when
from keyturn.cli.drift import Progress, past, since_option, until_option
from keyturn.cli.ledger import reading
from keyturn.cli.terminal import plural, say, say_json, visible

if TYPE_CHECKING:
    from keyturn.policy import Policy
    from keyturn.store.contract import Store


@click.command("versions")
@home_option
@json_option
def versions(home_path: str | None, as_json: bool) -> None:
    """Every recorded version of the policy, newest first."""
    from keyturn.service import replaying

    with reading(existing(home_path)) as store:
        found = replaying.versions(store)
    if as_json:
        say_json(found)
        return
    for one in found:
        note = f"  {one.note}" if one.note else ""
        say(visible(f"{one.digest[7:19]}  {when(one.since)}  {one.state:<9} {one.mode:<8} {one.by}{note}"))


@click.command("replay")
@click.argument("version", metavar="VERSION|DIR")
@since_option
@until_option
@home_option
@json_option
def replay(version: str, since: str | None, until: str | None, home_path: str | None, as_json: bool) -> None:
    """Decide everything recorded again under VERSION (a digest's first characters, or `active`) or the policy in DIR.

    Each action is decided with the facts of its own moment by the version that decided it and by this one; what differs is counted, the
    riskiest shown. Nothing is recorded and nothing changes.
    """
    from keyturn.service import replaying

    start, end = past(since) or 0, past(until) or int(time.time()) + 1
    with reading(existing(home_path)) as store:
        policy = policy_of(store, version)
        found = replaying.replay(store, policy, start * 1000, end * 1000, Progress(quiet=as_json))
    if as_json:
        say_json(found)
        return
    say(
        f"{plural(found.actions, 'action')}; {found.differing} would have been decided otherwise by {found.policy[7:19]}."
    )
    for change, count in sorted(found.counts.items(), key=lambda one: -one[1]):
        say(f"  {change:<16} {count:>9,}")
    if found.asks:
        say(f"  {'other people':<16} {found.asks:>9,}  (held as before, but asking others)")
    for one in found.examples:
        labels = f" [{' '.join(one.labels)}]" if one.labels else ""
        say(
            visible(
                f"{one.before} → {one.after}  {one.agent}: {one.sentence}{labels}  ({one.action}; {', '.join(one.rules) or 'no rule'})"
            )
        )
    if found.beside:
        say(
            f"In {found.beside} of them a grant, a plan, a workspace's rules or a response to a finding decided."
        )
    for words in found.limits:
        say(words)


def policy_of(store: Store, named: str) -> Policy:
    """The version or folder called *named*; a folder only with a slash or where there is one."""
    from keyturn.policy import load
    from keyturn.service import replaying

    folder = Path(named)
    if "/" in named or (folder / "policy.toml").is_file():
        return load(folder)
    return replaying.version(store, named)
