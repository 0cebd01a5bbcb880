"""`keyturn review`: decide what waits, with the keyboard alone."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import click

from keyturn.cli.client import as_option, connect, home_option, json_option
from keyturn.cli.reviewing.deciding import Desk
from keyturn.cli.reviewing.queue import Queue, refreshed
from keyturn.cli.terminal import say, say_json
from keyturn.errors import ExitCode, KeyturnError


class NoTerminal(KeyturnError):
    """A review needs somebody who reads: a terminal on both sides."""

    code = "review.no_terminal"
    status = 400
    exit_code = ExitCode.USAGE
    not_done = "Nothing was decided."
    next_step = (
        "Run it in a terminal; scripts list with `keyturn review --json` and decide with `keyturn approve`."
    )


@click.command()
@home_option
@as_option
@click.option("--plain", is_flag=True, help="One request after the other, in lines, without a full screen.")
@click.option(
    "--sign",
    is_flag=True,
    help="Sign approvals with an SSH key of yours; what is shown is worked out again here.",
)
@click.option(
    "--key",
    "key_file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --sign: the key, or the .pub of one in your agent (default: the first that is enrolled).",
)
@json_option
def review(
    home_path: str | None, person: str | None, plain: bool, sign: bool, key_file: Path | None, as_json: bool
) -> None:
    """Walk through what waits, most dangerous first, and decide with the keyboard.

    A full screen where the extra `tui` is installed, else line by line. --json prints the queue in the same order.
    """
    if key_file is not None and not sign:
        raise click.UsageError("--key is for --sign.")
    desk = Desk(connect(home_path, person), signs=sign, key=key_file)
    if as_json:
        say_json(list(refreshed(Queue(), desk.waiting()).rows))
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise NoTerminal("There is no terminal here to show requests on.")
    desk.client.get("/v1/me")  # a token that opens nothing is said before the screen is taken
    full = find_spec("textual") is not None
    if plain or not full:
        from keyturn.cli.reviewing.plain import walk

        if not full and not plain:
            say("(`pip install 'keyturn[tui]'` adds a full screen.)", err=True)
        walk(desk)
        return
    from keyturn.cli.reviewing.screen import Review

    Review(desk).run()
