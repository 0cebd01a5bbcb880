"""How long deciding on a shell command takes: text seen before, and text never seen (design §9); and what is decided.

A decision is reading and the starter policy, without the disk. The shares are of commands that nobody on this project
wrote (`benchmarks.corpora`); where these are absent the row says so.

The floor of new text is one bare start of the parser's program; the floor of known text is one lookup of the
same key in a dictionary.
"""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable
from typing import Any

import msgspec

from benchmarks import corpora
from keyturn.actions import Content, Reading, Shell
from keyturn.policy import STARTER, load
from keyturn.policy.decision import Facts
from keyturn.readers import read, read_afresh
from keyturn.readers.shell.parser import parser_path
from keyturn.resources import Label, Surroundings

KNOWN_BUDGET_US = 150.0
NEW_BUDGET_MS = 3.0

AROUND = Surroundings(
    cwd="/srv/project",
    workspace="/srv/project",
    home="/home/dev",
    protected=("/home/dev/.keyturn",),
    labels=(Label("secret", (".env", "*.pem", "~/.ssh/**", "**/credentials*")),),
)

COMMANDS = (
    "git status --short && git diff --stat HEAD~1 -- src",
    "grep -rn --include='*.py' TODO src | sort | uniq -c | sort -rn | head -20",
    "find . -name '*.py' -not -path './.git/*' -exec wc -l {} +",
    "cd src && ls -la && sed -n 1,40p main.py",
    'for f in a.txt b.txt; do cat "$f" >> /tmp/all.txt; done',
    "python -m pytest -q tests/unit -x",
    "cat > notes.md <<'EOF'\nline one\nline two\nEOF\n",
)


def _median(act: Callable[[int], object], rounds: int) -> float:
    """Median seconds of *act*, given the round's number."""
    times = []
    for number in range(rounds):
        started = time.perf_counter()
        act(number)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _floor_new() -> float:
    program = parser_path()
    if program is None:
        raise SystemExit("The shell parser (shfmt) is not installed; nothing was measured.")
    command = [program, "--version"]
    return _median(lambda _: subprocess.run(command, capture_output=True, env={}, check=True), 100)


def _floor_known() -> float:
    encode = msgspec.msgpack.Encoder().encode
    contents = [Shell(text) for text in COMMANDS]
    kept = {(encode(content), AROUND): number for number, content in enumerate(contents)}
    return _median(lambda n: kept[(encode(contents[n % len(contents)]), AROUND)], 2_000)


def _row(name: str, value: float, floor: float, budget: float, unit: str) -> dict[str, Any]:
    return {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "floor": round(floor, 3),
        "ratio": round(value / floor, 2) if floor else None,
        "budget": budget,
        "within": value <= budget,
    }


def run() -> list[dict[str, Any]]:
    """Rows of the table; times are medians."""
    contents = [Shell(text) for text in COMMANDS]
    for content in contents:
        read(content, AROUND)
    policy, facts = load(STARTER), Facts(agent="bench", human="dev")

    def decide(content: Shell, reader: Callable[[Content, Surroundings], Reading]) -> object:
        return policy.decide("shell", reader(content, AROUND), facts)

    known = _median(lambda n: decide(contents[n % len(contents)], read), 2_000)
    new = _median(lambda n: decide(Shell(f"{COMMANDS[n % len(COMMANDS)]}\n# {n}"), read_afresh), 210)
    return [
        _row("decide, text seen before", known * 1e6, _floor_known() * 1e6, KNOWN_BUDGET_US, "µs"),
        _row("decide, new text", new * 1e3, _floor_new() * 1e3, NEW_BUDGET_MS, "ms"),
        *corpora.rows(),
    ]


if __name__ == "__main__":
    for row in run():
        print(row)
