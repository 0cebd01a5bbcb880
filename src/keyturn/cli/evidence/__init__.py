"""`keyturn evidence`: controls tested over the whole population, and packs that an auditor can check alone.

Each command's module is imported when it is used.
"""

from __future__ import annotations

from importlib import import_module

import click

_COMMANDS: dict[str, tuple[str, str]] = {
    "test": ("keyturn.cli.evidence.testing:test_", "Test controls now, over everything that was recorded."),
    "controls": (
        "keyturn.cli.evidence.testing:controls",
        "What each control came to when it was tested last.",
    ),
    "show": ("keyturn.cli.evidence.testing:show", "One control: tests, population, exceptions, history."),
    "history": (
        "keyturn.cli.evidence.testing:history",
        "When a control operated effectively, and where there are gaps.",
    ),
    "pack": ("keyturn.cli.evidence.packing:pack", "Build an evidence pack that an auditor checks alone."),
    "packs": ("keyturn.cli.evidence.packing:packs", "Packs that were asked for."),
    "verify": ("keyturn.cli.evidence.packing:verify", "Check a pack with the program that auditors run."),
}


class Evidence(click.Group):
    """A group whose commands are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in the order in which people need them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command."""
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list, from the table, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in _COMMANDS.items()])


@click.group(cls=Evidence)
def evidence() -> None:
    """Test controls over everything that was recorded, and build packs for auditors."""
