"""`git config`: reading a setting is harmless, setting one changes what later git commands run."""

from __future__ import annotations

from keyturn.readers.shell.calls import Argument, Call
from keyturn.readers.shell.grammar import Grammar
from keyturn.readers.shell.invocation import read_words

_SUBCOMMANDS = frozenset({"get", "list"})
"""Of git 2.46 and later; an older one takes them for a setting's name and refuses it, as it has no section."""
_ASKING = frozenset({"--get", "--get-all", "--list", "--get-regexp", "--get-urlmatch"})
_CHANGING = frozenset({"--unset", "--unset-all", "--edit", "--add", "--replace-all"})


def git_config(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """Reads with `--get`, `--list` or one name; everything else configures."""
    words = read_words(grammar, arguments, call)
    names = {name for given in words.given for name in given.option.names}
    for given in words.given:
        for clause in given.option.clauses:
            if clause.action == "held":
                call.refuse(f"The option {given.option.shown} {clause.rest}")
    if any(not operand.known for operand in words.operands):
        call.refuse("A setting of git that is only known when it runs")
    if words.operands and words.operands[0].text in ("edit", "rename-section", "remove-section"):
        call.refuse(f"git config {words.operands[0].text} changes settings in a way that is not described")
    told = bool(words.operands) and words.operands[0].text in _SUBCOMMANDS
    if names & _ASKING or ((told or len(words.operands) == 1) and not names & _CHANGING):
        call.path("reads", Argument(".git/config", call.span))
        return
    files = {"--global": "~/.gitconfig", "--system": "/etc/gitconfig"}
    target = next((path for name, path in files.items() if name in names), ".git/config")
    if target.startswith("~"):
        home = call.scene.around.home
        target = f"{home}/.gitconfig" if home else "/.gitconfig"
    call.path("writes", Argument(target, call.span))
