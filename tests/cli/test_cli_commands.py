"""What holds for every command there is: help, JSON, lean start, errors in words."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from cli_house import keyturn

from keyturn.cli import _COMMANDS
from keyturn.cli import keyturn as root
from keyturn.errors import ExitCode

WITHOUT_JSON = {
    ("completion",): "prints a shell script",
    ("policy", "decide"): "is JSON lines, in and out, by nature",
}


def commands(
    group: click.Group = root, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


ALL = dict(commands())
LEAVES = sorted(ALL)


def test_all_commands_are_here() -> None:
    assert len(LEAVES) >= 30
    assert {path[0] for path in LEAVES} == set(_COMMANDS)


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_has_help(path: tuple[str, ...]) -> None:
    for option in ("-h", "--help"):
        said = keyturn(*path, option)
        assert said.code == ExitCode.DONE
        assert said.out.startswith(f"Usage: keyturn {' '.join(path)}")
    about = said.out.split("\n\n")[1].strip()
    assert len(about) > 20
    assert about[-1] in ".:}|)y" or "\n" in about


def test_every_command_answers_in_json_but_those_with_a_reason() -> None:
    without = {path for path, command in ALL.items() if not any("--json" in p.opts for p in command.params)}
    assert without == set(WITHOUT_JSON)


def test_no_secret_can_be_given_on_the_command_line() -> None:
    names = {option for command in ALL.values() for p in command.params for option in p.opts}
    assert "--digest" in names
    assert not [name for name in names if any(word in name for word in ("token", "password", "secret"))]


def test_every_option_is_spelled_alike() -> None:
    """One thing, one name: what commands share means the same everywhere."""
    helps: dict[str, set[str]] = {}
    for command in ALL.values():
        for option in command.params:
            if isinstance(option, click.Option) and option.opts[0] in ("--home", "--json"):
                helps.setdefault(option.opts[0], set()).add(str(option.help))
    assert {name: len(words) for name, words in helps.items()} == {"--home": 1, "--json": 1}


# --- start-up -----------------------------------------------------------------------------------------------------

HEAVY = (
    "litestar",
    "uvicorn",
    "cedarpy",
    "rich",
    "jinja2",
    "cryptography",
    "sqlite3",
    "asyncio",
    "keyturn.policy",
)


def loaded(script: str) -> set[str]:
    """What is imported after *script*, out of what costs."""
    code = f"import sys\n{script}\nprint(*[m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(ran.stderr.split())


def run(*arguments: str) -> str:
    return (
        "from keyturn.cli import main\n"
        f"try: main({list(arguments)!r})\n"
        "except SystemExit as stop: assert stop.code == 0, stop.code"
    )


def test_help_imports_nothing_that_costs() -> None:
    assert loaded(run("--help")) == set()
    assert loaded("import litestar") > set(), "the look itself finds nothing"


def test_help_of_a_command_imports_no_server_and_no_terminal_toolkit() -> None:
    script = "\n".join(run(*path, "--help") for path in LEAVES)
    assert loaded(script) & {"litestar", "uvicorn", "rich", "jinja2", "sqlite3"} == set()


# --- errors -------------------------------------------------------------------------------------------------------

WRONG = [
    (("reqests",), "Did you mean 'requests'?"),
    (("nonsense",), "No such command 'nonsense'."),
    (("ledger", "verfy"), "Did you mean 'verify'?"),
    (("requests", "--jsonn"), "Did you mean '--json'?"),
    (("approve",), "Missing argument 'ID'."),
    (("approve", "r_1", "--digest"), "requires an argument"),
    (("ledger", "log", "-n", "0"), "not in the range"),
    (("ledger", "log", "--type", "request.opend"), "Did you mean 'request.opened'?"),
    (("ledger", "prove", "first"), "not a valid integer"),
    (("completion", "tcsh"), "not one of 'bash', 'zsh', 'fish'"),
    (("init", "--mode", "lenient"), "not one of 'enforce', 'observe'"),
    (("demo", "--story", "other"), "is not one of 'tidy', 'drift'"),
    (("show", "r_1", "--timeout", "3"), "--timeout is for --wait."),
    (("person", "change", "riley"), "It is not said what to change."),
    (("person", "change", "riley", "--group", "a", "--no-group"), "excludes"),
    (("hook", "install", "emacs"), "is not one of"),
]


@pytest.mark.parametrize(
    ("arguments", "words"), WRONG, ids=lambda value: "-".join(value) if isinstance(value, tuple) else ""
)
def test_a_wrong_command_line_is_told_what_was_not_done_and_where_to_look(
    arguments: tuple[str, ...], words: str
) -> None:
    said = keyturn(*arguments)
    assert said.code == ExitCode.USAGE
    assert said.out == ""
    assert words in said.err
    assert "Nothing was done. `keyturn " in said.err
    assert said.err.endswith("[cli.usage]\n")


def test_errors_are_json_when_json_was_asked_for() -> None:
    for arguments in (
        ["approve", "--json"],
        ["show", "--jsonn", "--json"],
        ["requests", "--home", "/nowhere", "--json"],
    ):
        said = keyturn(*arguments)
        assert set(said.error) >= {"code", "happened", "not_done", "next"}
        assert said.err.count("\n") == 1
    assert not keyturn("requests", "--home", "/nowhere").err.startswith("{")


def test_the_agent_s_own_json_option_is_not_ours() -> None:
    said = keyturn("run", "--", "no-such-client", "--json")
    assert not said.err.startswith("{")
    assert said.code == ExitCode.RUN_UNREACHABLE  # any command is one to run, and there is no server here


def test_run_has_its_own_codes_for_everything_that_is_not_the_agent_s() -> None:
    assert keyturn("run").code == ExitCode.RUN_USAGE
    assert keyturn("run", "--client", "emacs", "--", "x").code == ExitCode.RUN_USAGE
    assert keyturn("run", "--home", "/nowhere", "--", "claude").code > ExitCode.RUN_INTERNAL


def test_a_pack_of_nothing_in_particular_is_refused_in_words() -> None:
    said = keyturn("evidence", "pack", "--framework", "soc2")
    assert (said.code, said.out) == (ExitCode.USAGE, "")
    assert "Name a framework and a period" in said.err
    assert keyturn("evidence", "pack", "--json").error["code"] == "cli.usage"


def test_a_failure_inside_is_no_traceback() -> None:
    """Played with a broken installation: a module that can't be imported."""
    code = (
        "import sys\nsys.modules['keyturn.cli.config'] = None\nfrom keyturn.cli import main\nmain(['config'])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == ExitCode.INTERNAL
    assert "Traceback" not in ran.stderr
    assert "KEYTURN_DEBUG=1" in ran.stderr
    assert "[internal]" in ran.stderr


@pytest.mark.parametrize("device", ["/dev/full"])
def test_output_that_can_t_be_written_is_said(device: str) -> None:
    with open(device, "w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "keyturn", "config", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ran.returncode == ExitCode.INTERNAL
    assert "No space left on device" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "Exception ignored" not in ran.stderr


def test_a_reader_that_has_enough_is_no_error() -> None:
    script = f"{sys.executable} -m keyturn completion bash | head -n 1; echo ${{PIPESTATUS[0]}}"
    ran = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "0"
    assert ran.stderr == ""


def test_words_survive_a_terminal_that_lacks_their_characters() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "keyturn", "--help"],
        env={"PATH": "/usr/bin", "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0
    assert b"\\u2026" in ran.stdout
