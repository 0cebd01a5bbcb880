"""Promise 2: what is not read is not allowed, and what was read is what runs."""

from __future__ import annotations

import random
import shlex
import shutil

import pytest
from readers_cases import ACTING, AROUND, HARMLESS, HOSTILE, is_benign
from readers_oracle import can_be_run, executed, is_among, told, unquoted

from keyturn.actions import Reading, Shell, Step
from keyturn.readers import READER_FAILED, read_afresh, read_shell

_HOSTILE = [(kind, command) for kind, commands in HOSTILE.items() for command in commands]
_FRAGMENTS = [
    ";rm x", "$(rm x)", "`rm x`", "\nrm x\n", "&& rm x", "| rm x", "& rm x", '"', "'", "\\", "\\\n", "#", " # ", "$",
    "${v:-$(rm x)}",
    "<(rm x)", "{a,b}", "(", ")", "{ ", "}", "<<E\n", "$'\\n'", "~", "*", "!", "$((1))", "<<<",
    "\t", "||", ";;", "=", "a=$(rm y) ", "|&", "if ",
    " then ", "; fi", "time ", "[[ ", " ]]", "&", "\"$(rm x)\"", "'$(rm x)'", "\\$(rm x)", "$\"a\"",
]  # fmt: skip


@pytest.mark.parametrize(("kind", "command"), _HOSTILE)
def test_a_hostile_command_never_passes_as_harmless(kind: str, command: str) -> None:
    reading = read_afresh(Shell(command), AROUND)
    assert not is_benign(reading), f"{kind}: {reading.canonical!r} {reading.effects}"
    assert reading.complete == (reading.canonical is not None)
    assert reading.complete or reading.unread or any(not step.complete for step in reading.steps)


def test_there_are_enough_hostile_and_harmless_commands() -> None:
    assert len(_HOSTILE) >= 450
    assert len(HARMLESS) >= 150


def test_the_test_of_hostile_commands_can_fail() -> None:
    """Negative control: a reader that looks at the first word only lets many of them pass."""

    def first_word_only(command: str) -> Reading:
        program = (command.split() or [""])[0]
        return Reading(
            "shell", program in {"ls", "cat", "echo", "git", "find", "grep", "sed"}, (Step(program),)
        )

    assert sum(is_benign(first_word_only(command)) for _, command in _HOSTILE) > 100


@pytest.mark.parametrize("command", HARMLESS)
def test_an_everyday_command_is_understood_and_only_reads(command: str) -> None:
    reading = read_afresh(Shell(command), AROUND)
    assert is_benign(reading), (reading.unread, reading.effects)


@pytest.mark.parametrize(("command", "effects"), ACTING.items())
def test_an_everyday_command_says_all_that_it_does(command: str, effects: list[str]) -> None:
    reading = read_afresh(Shell(command), AROUND)
    assert reading.complete, reading.unread
    assert sorted({effect.key for effect in reading.effects}) == effects


@pytest.mark.parametrize("command", [*HARMLESS, *ACTING])
def test_the_canonical_script_reads_the_same_again(command: str) -> None:
    """What is emitted means what was read: reading it again gives the same steps and the same script."""
    first = read_shell(command, AROUND)
    assert first.canonical is not None
    again = read_shell(first.canonical, AROUND)
    assert again.canonical == first.canonical

    def without_spans(reading: Reading) -> list[tuple[object, ...]]:
        return [(s.program, s.subcommand, s.options, s.effects, s.argv) for s in reading.steps]

    assert without_spans(again) == without_spans(first)


def _mutants(count: int) -> list[str]:
    chance = random.Random(20)
    mutants = []
    for _ in range(count):
        command = chance.choice(HARMLESS)
        for _ in range(chance.randint(1, 3)):
            at = chance.randint(0, len(command))
            command = command[:at] + chance.choice(_FRAGMENTS) + command[at:]
        mutants.append(command)
    return mutants


_needs_bash = pytest.mark.skipif(
    shutil.which("bash") is None, reason="bash is the second opinion and is missing"
)


@_needs_bash
def test_bash_executes_nothing_that_a_complete_reading_does_not_name() -> None:
    """Differential test: raw and re-emitted scripts, everyday, hostile and mutated ones, against bash's own view."""
    scripts = [*HARMLESS, *(command for _, command in _HOSTILE), *_mutants(1500)]
    looked_at = 0
    for script in scripts:
        reading = read_afresh(Shell(script), AROUND)
        assert not any(READER_FAILED in unread.why for unread in reading.unread), script
        if not (reading.complete and can_be_run(script)):
            continue
        assert reading.canonical is not None
        raw = executed(script)
        for entry in raw:
            looked_at += 1
            assert is_among(unquoted(entry), reading), (script, entry)
        if not script.endswith("\\"):  # how a shell is handed it says what that stands for: both are read
            assert told(executed(reading.canonical)) == told(raw), (script, reading.canonical)
    assert looked_at > 250


@_needs_bash
def test_the_differential_test_can_fail() -> None:
    """Negative control: steps found by splitting at operators miss what substitutions run."""
    script = 'echo "$(rm x)" && ls'
    naive = Reading("shell", True, tuple(Step(words[0], tuple(words)) for words in [shlex.split("ls")]))
    assert any(not is_among(unquoted(entry), naive) for entry in executed(script))
    assert all(is_among(unquoted(entry), read_shell(script, AROUND)) for entry in executed(script))


def test_an_attached_value_and_a_cluster_are_the_same_as_written_out() -> None:
    written = read_shell("sort --output=f g", AROUND).effects
    for other in (
        "sort -of g",
        "sort -o f g",
        "sort -uof g",
        "sort --outp=f g",
        "sort g -o f",
        "sort -'o' \"f\" g",
    ):
        assert set(read_shell(other, AROUND).effects) == set(written), other


def test_a_failed_cd_is_thought_of() -> None:
    """`cd build; rm -r *` in a folder without build deletes the folder's own files."""
    zones = {e.what for e in read_shell("cd build; rm -r ./*", AROUND).effects if e.verb == "deletes"}
    assert zones == {"/data/project/*", "/data/project/build/*"}
    both = {e.what for e in read_shell("cd build && rm -r ./*", AROUND).effects if e.verb == "deletes"}
    assert both == {"/data/project/build/*"}


def test_the_file_inside_a_target_folder_counts() -> None:
    """`cp /tmp/CLAUDE.md .` writes the agent's configuration although the target is only a dot."""
    keys = {effect.key for effect in read_shell("mv /tmp/pre-commit .git/hooks", AROUND).effects}
    assert "configures:workspace" in keys


def test_words_and_spans_are_those_of_the_source() -> None:
    reading = read_shell("ls 'é' && frobnicate --x", AROUND)
    step = next(step for step in reading.steps if step.program == "frobnicate")
    assert "ls 'é' && frobnicate --x".encode()[step.span[0] : step.span[1]] == b"frobnicate --x"
    assert reading.unread[0].start == step.span[0]


def test_without_its_parser_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from keyturn.readers.shell import parser

    monkeypatch.setattr(parser, "parser_path", lambda: None)
    reading = read_shell("ls", AROUND)
    assert not reading.complete
    assert "shfmt" in reading.sentence
    monkeypatch.setattr(parser, "parser_path", lambda: "/nonexistent/shfmt")
    assert not read_shell("ls", AROUND).complete


@pytest.mark.parametrize(
    ("command", "zone"),
    [
        ("cd /tmp/x && npm test", "temporary"),
        ("make -C /tmp/x test", "temporary"),
        ("make -f /tmp/x.mk test", "temporary"),
        ("python /tmp/x.py", "temporary"),
        ("cd $x && make", "unknown"),
        ("git -C /opt/x status", "system"),
        ("cd ../other; pytest", "outside"),
        ("/home/dev/bin/tool", "home"),
    ],
)
def test_code_from_outside_the_workspace_is_not_the_projects_code(command: str, zone: str) -> None:
    keys = {effect.key for effect in read_shell(command, AROUND).effects}
    assert f"executes:{zone}" in keys


def test_code_of_the_workspace_is_only_that() -> None:
    """Negative control of the test above."""
    for command in ("npm test", "make -C sub test", "python x.py", "git -C sub status", "./tool"):
        executes = {e.key for e in read_shell(command, AROUND).effects if e.verb == "executes"}
        assert executes <= {"executes:code"}, command


@pytest.mark.parametrize(
    "command",
    ["make -f - x", "python - <<E\nx\nE", "python3 <<E\nx\nE", "bash <<E\n$x\nE", "sh -s < f", "node < f"],
)
def test_code_that_only_a_pipe_knows_is_not_understood(command: str) -> None:
    assert not read_shell(command, AROUND).complete


@pytest.mark.parametrize(
    "script",
    [
        "f=a; { f=/etc/shadow; false; } || cat $f",
        "f=a; if f=/etc/shadow; then cat $f; fi",
        "f=a; if true; then f=/etc/shadow; fi; cat $f",
        "f=a; [ -n x ] && f=/etc/shadow; cat $f",
        "f=a; { f=/etc/shadow; }; cat $f",
        "f=a; for x in 1 2; do cat $f; f=/etc/shadow; done",
        "f=a; while cat $f; do f=/etc/shadow; done",
        "f=a; until f=/etc/shadow; do :; done; cat $f",
        "f=a; case x in *) f=/etc/shadow;; esac; cat $f",
        "for f in a; do for f in /etc/shadow; do :; done; cat $f; done",
        "f=a; f+=/../../../etc/shadow; cat $f",
        "f=a; time f=/etc/shadow; cat $f",
        "f=.en; cat ${f}v",
        "f='a /etc/shadow'; cat $f",
        "f='*'; cat /etc/$f",
    ],
)
def test_a_variable_is_only_known_where_it_can_have_no_other_value(script: str) -> None:
    assert not is_benign(read_shell(script, AROUND)), read_shell(script, AROUND).effects


def test_a_variable_with_one_possible_value_is_known() -> None:
    """Negative control of the test above."""
    for script in (
        "f=a; cat $f",
        "f=a && cat $f",
        "for f in a b; do cat $f; done",
        "f=a; if true; then cat $f; fi",
    ):
        assert is_benign(read_shell(script, AROUND)), script
