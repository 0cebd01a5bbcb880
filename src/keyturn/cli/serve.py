"""`keyturn serve`."""

from __future__ import annotations

import logging

import click

from keyturn.cli.client import check_socket_paths, existing, home_option, json_option
from keyturn.cli.terminal import say, say_json


@click.command()
@home_option
@click.option(
    "--port", type=click.IntRange(0, 65535), help="TCP port of the page (setting `port`; 0 takes a free one)."
)
@json_option
def serve(home_path: str | None, port: int | None, as_json: bool) -> None:
    """Run the server: page, API and gate socket, until it is interrupted.

    With --json the first line on stdout is {"url", "home", "gate_socket"}, once it listens. The log goes to stderr.
    """
    import msgspec

    from keyturn.server import Server
    from keyturn.service.settings import load

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    home = existing(home_path)
    check_socket_paths(home)
    settings = load(home.root)
    if port is not None:
        settings = msgspec.structs.replace(settings, port=port)

    def ready(url: str) -> None:
        if as_json:
            say_json({"url": url, "home": str(home.root), "gate_socket": str(home.gate_socket)})
            return
        say(f"Keyturn listens: page and API at {url}, gates at {home.gate_socket}.")
        say(
            "`keyturn login` gives you a link to the page. Ctrl-C ends the server; gates then refuse everything."
        )

    Server(home, settings).run(ready)
