"""`keyturn completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print shell completion. For bash: `keyturn completion bash > ~/.local/share/bash-completion/completions/keyturn`."""
    from keyturn.cli import keyturn

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"There is no completion for {shell}.")
    click.echo(kind(keyturn, {}, "keyturn", "_KEYTURN_COMPLETE").source())
