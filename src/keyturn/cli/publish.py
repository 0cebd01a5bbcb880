"""`keyturn policy publish`: propose the folder as the next version. Somebody else approves it."""

from __future__ import annotations

from pathlib import Path

import click

from keyturn.cli.client import as_option, connect, home_of, home_option, json_option
from keyturn.cli.terminal import say, say_json, visible


@click.command()
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option("--note", default="", help="Why it changes; reviewers read it.")
@home_option
@as_option
@json_option
def publish(folder: Path | None, note: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """Propose DIR (default: the home's policy folder) as the next version.

    Its cases must hold; the request shows the difference and what it would have decided otherwise over the recorded
    past. It takes effect when another person of the group `policy` approves it.
    """
    from keyturn.policy import read_folder

    files = read_folder(folder or home_of(home_path).policy)
    texts = {path: data.decode("utf-8", "strict") for path, data in files.items()}
    view = connect(home_path, person).post("/v1/policies", {"files": texts, "note": note})
    if as_json:
        say_json(view)
        return
    say(visible(view["sentence"]))
    for change, count in sorted(view["content"]["replay"]["counts"].items()):
        say(f"  {visible(change)}: {count}")
    say(f"It waits as {view['id']}: somebody else has to approve it (`keyturn show {view['id']}`).")
