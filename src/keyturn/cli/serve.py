"""`keyturn serve`."""

from __future__ import annotations

import logging

import click

from keyturn.cli import as_json as to_json
from keyturn.cli.client import home_of, home_option, json_option


@click.command()
@home_option
@click.option(
    "--port", type=click.IntRange(0, 65535), help="TCP port of the page (setting `port`; 0 takes a free one)."
)
@json_option
def serve(home_path: str | None, port: int | None, as_json: bool) -> None:
    """Run the server: page, API and gate socket, until it is interrupted."""
    import msgspec

    from keyturn.server import Server
    from keyturn.service.settings import load

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    home = home_of(home_path)
    settings = load(home.root)
    if port is not None:
        settings = msgspec.structs.replace(settings, port=port)

    def ready(url: str) -> None:
        if as_json:
            click.echo(to_json({"url": url, "home": str(home.root), "gate_socket": str(home.gate_socket)}))
            return
        click.echo(f"Keyturn listens: page and API at {url}, gates at {home.gate_socket}.")
        click.echo(
            "`keyturn login` gives you a link to the page. Ctrl-C ends the server; gates then refuse everything."
        )

    Server(home, settings).run(ready)
