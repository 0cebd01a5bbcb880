"""`keyturn sigma`: Sigma rules held against the recorded past. Reads the store beside a running server."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from keyturn.cli.client import existing, home_option, json_option
from keyturn.cli.drift import past, since_option
from keyturn.cli.ledger import reading
from keyturn.cli.terminal import plural, say, say_json, visible

SHOWN = 50


@click.group()
def sigma() -> None:
    """Sigma rules over actions. Needs the extra `sigma`."""


@sigma.command()
@click.argument(
    "rules", nargs=-1, required=True, metavar="RULES…", type=click.Path(path_type=Path, exists=True)
)
@since_option
@home_option
@json_option
def check(rules: tuple[Path, ...], since: str | None, home_path: str | None, as_json: bool) -> None:
    """Hold the rules in RULES (files, or folders of them) against every recorded action; says which match, and which rules can't be used.

    Nothing is recorded. Rules in the home's folder `sigma` are held against every action as it lands.
    """
    from keyturn.drift import sigma as reader
    from keyturn.ledger import leaf
    from keyturn.service.replaying import Past
    from keyturn.service.sigma_rules import files_in

    usable, refused = reader.read(files_in(list(rules)))
    start, looked = (past(since) or 0) * 1000, 0
    counts: dict[str, int] = {}
    shown: list[dict[str, Any]] = []
    began = time.perf_counter()
    with reading(existing(home_path)) as store:
        opened = Past(store).opened
        for stored in store.entries():
            if stored.type != "action.decided" or stored.time < start:
                continue
            looked += 1
            entry = leaf.read(stored)
            try:
                fields = {name: opened(value) for name, value in entry.fields.items()}
            except LookupError:
                continue
            for rule in reader.matching(usable, fields):
                name = rule.id or rule.title
                counts[name] = counts.get(name, 0) + 1
                if len(shown) < SHOWN:
                    about = {"rule": name, "title": rule.title, "level": rule.level, "author": rule.author}
                    shown.append(
                        {
                            **about,
                            "action": fields.get("id", ""),
                            "sentence": str(fields.get("sentence", ""))[:300],
                        }
                    )
    if as_json:
        told = [{"file": one.file, "title": one.title, "why": one.why} for one in refused]
        say_json(
            {"actions": looked, "rules": len(usable), "refused": told, "counts": counts, "matches": shown}
        )
        return
    took = time.perf_counter() - began
    matches = plural(sum(counts.values()), "match", "matches")
    say(f"{plural(len(usable), 'rule')} over {plural(looked, 'action')} in {took:.1f} s: {matches}.")
    for one in shown:
        by = f" by {one['author']}" if one["author"] else ""
        say(visible(f"  {one['level']:<8} {one['title']}{by}: {one['sentence']}  ({one['action']})"))
    for bad in refused:
        say(visible(f"Not used: {bad.title or bad.file}: {bad.why}"))
