"""bash itself as second opinion: which commands does it really try to execute?

A script runs in a restricted bash (no redirection to files, no `cd`, no names with slashes) in an empty folder with
an empty PATH; `command_not_found_handle` writes down every argv that bash looks for. Scripts with words that act on
their own (`kill`, `exec`, loops without end) are not run at all.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile

from readers_cases import AROUND

from keyturn.actions import Reading
from keyturn.readers import read_shell

_HANDLER = """command_not_found_handle() { local all; printf -v all '%q ' "$@"; printf '%s\\0' "$all" >&9; return 1; }
PATH=/nonexistent; set -r
"""
_LEFT_OUT = re.compile(
    r"\bkill|\bexec|\bwhile|\buntil|/dev/|\bcoproc|\bfc\b|\bhistory|\bsuspend|\bread|\bmapfile|\bselect|\bbind|/bin|\btrap|"
    r"\bhash|\benable|\bsource|^\s*\.|[;&|]\s*\.|\bset\b|\$\$|\bcommand|\beval|\bunset|\btimeout|\bulimit|;;|\bfor \(\("
)
_DYNAMIC = re.compile(r"[$*?\[…`{]|/dev/fd/|^~")


def can_be_run(script: str) -> bool:
    """Whether *script* may be given to bash here."""
    return not _LEFT_OUT.search(script) and "\0" not in script and script.isprintable() | ("\n" in script)


def executed(script: str) -> list[str]:
    """Every argv that bash tried to execute, quoted as `printf %q` does, sorted."""
    reading, writing = os.pipe()
    folder = os.path.join(tempfile.gettempdir(), "keyturn-oracle")
    os.makedirs(folder, exist_ok=True)
    with os.fdopen(reading, "rb") as log:
        text = f"exec 9>&{writing} {writing}>&-\n{_HANDLER}{script}\n"
        child = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-c", text], cwd=folder, env={"HOME": "/home/dev"}, pass_fds=(writing,),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(writing)
        entries = log.read().split(b"\0")  # ends when the last process started by the script has ended
        child.wait(timeout=120)
        shown = [entry.decode("utf-8", "replace").removesuffix(" ") for entry in entries if entry]
        return sorted(re.sub(r"/dev/fd/[0-9]+", "/dev/fd/63", entry) for entry in shown)


def unquoted(entry: str) -> list[str]:
    """The words of one `printf %q` line."""
    result = subprocess.run(
        ["bash", "--norc", "-c", f"printf '%s\\0' {entry}"], capture_output=True, check=True, env={}
    )
    return [word.decode("utf-8", "replace") for word in result.stdout.split(b"\0")[:-1]]


def told(entries: list[str]) -> list[list[str]]:
    """*entries* as words, sorted; a script that is a word of one (`sh -c`) as it is emitted, for it is quoted anew."""
    return sorted(
        [_as_emitted(word) if " " in word else word for word in unquoted(entry)] for entry in entries
    )


def _as_emitted(text: str) -> str:
    return read_shell(text, AROUND).canonical or text


def is_among(argv: list[str], reading: Reading) -> bool:
    """Whether some step of *reading* stands for *argv*; words only known at run time stand for any number of words.

    A reading that says it may run anything covers every command.
    """
    anything = any(effect.key == "executes:unknown" for effect in reading.effects)
    return anything or any(_stands_for(list(step.argv), argv) for step in reading.steps)


def _stands_for(shown: list[str], argv: list[str]) -> bool:
    if not shown:
        return not argv
    if _DYNAMIC.search(shown[0]) and any(
        _stands_for(shown[1:], argv[taken:]) for taken in range(len(argv) + 1)
    ):
        return True
    return bool(argv) and shown[0] == argv[0] and _stands_for(shown[1:], argv[1:])
