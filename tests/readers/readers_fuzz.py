"""Coverage-guided fuzzing of the shell reader (atheris, which is libFuzzer for Python).

    python tests/readers/readers_fuzz.py [SECONDS] [--runs N] [--corpus DIR] [--control TEXT]

Any bytes are read as a script. What must hold: nothing is raised, a complete reading has a canonical script and no
unread bytes, that script is accepted by bash, and reading it again gives it again. `--control TEXT` plants a fault: the harness then
fails on a script with TEXT in it, which shows that it can fail. Inputs that were of interest are kept in DIR.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["keyturn.readers"]):
    from readers_cases import ACTING, AROUND, HARMLESS, HOSTILE

    from keyturn.actions import Reading, Shell
    from keyturn.readers import READER_FAILED, read_afresh

TOKENS = (
    "$(", "${", "`", "<<E", "<<<", "<(", ">(", "&&", "||", "|&", ";;", ";&", "[[", "]]", "((", "))", "$'", '$"', "{a,b}", "{1..3}",
    "function ", "case ", "esac", "coproc ", "select ", "until ", "eval ", "exec ", "trap ", "source ", "declare -a ", "export ",
    "PATH=", "xargs -I{} ", "find . -exec ", "bash -c ", "sudo ", "env ", "git -c ", "awk ", "sed -e ", "tar xf ", "--", "~/", "/dev/tcp/",
)  # fmt: skip


class Broken(Exception):
    """A reading that breaks a promise."""


def check(script: str, control: str = "") -> Reading:
    """Read *script*, and raise `Broken` if the reading is not as it must be."""
    reading = read_afresh(Shell(script), AROUND)
    for unread in reading.unread:
        if READER_FAILED in unread.why:
            raise Broken(f"{unread.why}: {script!r}")
    if control and control in script:
        raise Broken(f"planted: {script!r}")
    if reading.complete != (reading.canonical is not None) or (reading.complete and reading.unread):
        raise Broken(f"complete, or not? {script!r}")
    if reading.canonical is not None:
        again = read_afresh(Shell(reading.canonical), AROUND)
        if again.canonical != reading.canonical:
            raise Broken(f"no fixed point: {script!r} {reading.canonical!r} {again.canonical!r}")
    return reading


def accepted(script: str) -> bool:
    """Whether bash takes *script* for a script."""
    return not subprocess.run(
        ["bash", "-n", "-O", "extglob"],
        input=script,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    ).returncode


def seeds(folder: Path) -> None:
    """Commands to begin with, a file each."""
    commands = [*HARMLESS, *ACTING, *(command for group in HOSTILE.values() for command in group)]
    for number, command in enumerate(commands):
        (folder / f"{number:04}").write_bytes(command.encode("utf-8", "replace"))


def main(words: list[str]) -> None:
    """Fuzz until the time or the runs are over; libFuzzer ends the process, with 77 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("seconds", nargs="?", type=int, default=600)
    parser.add_argument("--runs", type=int, default=-1)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--control", default="")
    given = parser.parse_args(words)
    folder = given.corpus or Path(tempfile.mkdtemp(prefix="keyturn-fuzz-"))
    folder.mkdir(parents=True, exist_ok=True)
    seeds(folder)
    tokens = folder.parent / f"{folder.name}.tokens"
    tokens.write_text("".join(f'"{token}"\n' for token in (t.replace('"', '\\"') for t in TOKENS)), "utf-8")
    counted = [0]

    def one(data: bytes) -> None:
        try:
            reading = check(data.decode("utf-8", "replace"), given.control)
            counted[0] += 1
            if reading.canonical is not None and counted[0] % 20 == 0 and not accepted(reading.canonical):
                raise Broken(f"bash does not take {reading.canonical!r}")
        except Exception:
            # Python takes its handlers down while it ends: the clock for single inputs would then end it instead.
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise

    atheris.Setup(
        [
            sys.argv[0], str(folder), f"-dict={tokens}", f"-max_total_time={given.seconds}", f"-runs={given.runs}", "-max_len=400",
            "-seed=1", "-timeout=120", "-rss_limit_mb=4096", f"-artifact_prefix={folder.parent}/{folder.name}-",
        ],
        one,
    )  # fmt: skip
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
