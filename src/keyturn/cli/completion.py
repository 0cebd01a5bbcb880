"""`keyturn completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from keyturn.cli.terminal import say


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes commands, options, people and request ids.

    \b
    bash  keyturn completion bash > ~/.local/share/bash-completion/completions/keyturn
    zsh   keyturn completion zsh > DIR/_keyturn    (DIR is in $fpath, before compinit)
    fish  keyturn completion fish > ~/.config/fish/completions/keyturn.fish
    """
    from keyturn.cli import keyturn

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"There is no completion for {shell}.")
    # Not `source()`: for bash it runs the bash on PATH to see its version, which may not be where the script is used.
    script = kind(keyturn, {}, "keyturn", "_KEYTURN_COMPLETE")
    say(script.source_template % script.source_vars())
