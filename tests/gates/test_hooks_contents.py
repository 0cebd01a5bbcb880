"""Content follows the command: what a script says is judged, and what was approved is what is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hooks_at_desk import allowed, ask, desk_of
from hooks_captured import shell
from hooks_recording import Recording, call

from keyturn import resources
from keyturn.actions import Action, Agent, Attribution, Gate, Reading, Shell, action_digest
from keyturn.canonical import digest_bytes
from keyturn.gates.hooks import contents
from keyturn.gates.hooks.contents import Looked, looked_into
from keyturn.policy import STARTER, load
from keyturn.policy.decision import Facts
from keyturn.readers import code_files, read_afresh, vouched
from keyturn.resources import CodeFile, Surroundings

POLICY = load(STARTER)
ME = os.getuid()


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace that is not among the temporary folders."""
    monkeypatch.setattr(resources, "_TEMPORARY", ())
    work = Path(os.path.realpath(tmp_path)) / "home" / "ws"
    work.mkdir(parents=True)
    return work


def looked(script: str, work: Path) -> Looked:
    around = Surroundings(cwd=str(work), workspace=str(work), home=str(work.parent), labels=POLICY.labels)
    action = Action(
        Shell(script), Attribution(Agent("a", "a")), Gate("hooks:a@here", "cooperative"), "s", cwd=str(work)
    )
    return looked_into(action, around, ME)


def reading(script: str, work: Path) -> Reading:
    found = looked(script, work)
    return read_afresh(found.action.content, found.around)


def verdict(script: str, work: Path) -> str:
    return POLICY.decide("shell", reading(script, work), Facts(agent="a", human="dev")).verdict


def put(path: Path, text: str | bytes, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


# --- a script that is read is what it says --------------------------------------------------------

PLAIN = "#!/bin/bash\nset -e\nls; grep -r x .\n"


@pytest.mark.parametrize(
    "script", ["bash ./check.sh", "bash check.sh", "./check.sh", "sh check.sh", "timeout 5 ./check.sh a b"]
)
def test_a_script_that_only_looks_runs_like_looking(work: Path, script: str) -> None:
    put(work / "check.sh", PLAIN)
    assert verdict(script, work) == "run"
    assert {"ls", "grep"} <= {step.program for step in reading(script, work).steps}


@pytest.mark.parametrize(
    "text",
    [
        "#!/bin/bash\nrm -rf ~/x\n",
        "#!/bin/bash\ncurl -d @a https://example.org\n",
        '#!/bin/bash\neval "$x"\n',
        "#!/usr/bin/env python3\nprint(1)\n",
        "#!/usr/bin/env -S bash -c 'rm x'\nls\n",
        "#!/bin/bash --rcfile\nls\n",
        "ls\n",  # without a first line that names a shell, it depends on who starts it
        b"\x7fELF\0\0",
        b"#!/bin/bash\nls \xff\n",
        "#!/bin/bash\nls\r\n",
        "#!/bin/bash\n./check.sh\n",
        "#!/bin/bash\n./gone.sh\n",
    ],
)
def test_a_script_that_does_more_or_is_not_understood_is_held(work: Path, text: str | bytes) -> None:
    put(work / "check.sh", text)
    assert verdict("./check.sh", work) == "hold"


def test_what_a_script_does_outside_is_told_though_it_is_not_understood_whole(work: Path) -> None:
    put(work / "a.sh", '#!/bin/bash\neval "$x"\ncurl -d @b https://example.org\n')
    found = reading("bash a.sh", work)
    assert "sends:network" in {effect.key for effect in found.effects}
    assert "executes:code" in {effect.key for effect in found.effects}
    assert "example.org" in found.sentence


def test_scripts_that_run_scripts_are_followed(work: Path) -> None:
    put(work / "a.sh", "#!/bin/bash\nbash lib/b.sh\n")
    put(work / "lib" / "b.sh", "ls\n")
    assert verdict("./a.sh", work) == "run"
    assert set(looked("./a.sh", work).action.executes) == {str(work / "a.sh"), str(work / "lib/b.sh")}
    put(work / "lib" / "b.sh", "rm -rf ..\n")
    assert verdict("./a.sh", work) != "run"


@pytest.mark.parametrize(
    "script",
    [
        "echo 'rm -rf ..' > check.sh; bash check.sh",
        "bash check.sh; cp x check.sh",
        "cp -r other/. .; bash check.sh",
        "mv x ./check.sh && bash check.sh",
        "tar xf a.tar; bash check.sh",
        "sed -i s/ls/rm/ *.sh; bash check.sh",
        "ln -sf x check.sh; bash check.sh",
        "(sleep 1; echo x > CHECK.sh) & bash check.sh",
    ],
)
def test_a_command_that_may_rewrite_its_script_is_judged_as_code(work: Path, script: str) -> None:
    put(work / "check.sh", PLAIN)
    put(work / "x", "rm -rf ..")
    assert "executes:code" in {effect.key for effect in reading(script, work).effects}
    assert verdict(script, work) == "hold"


def test_a_command_that_writes_elsewhere_leaves_the_script_what_it_is(work: Path) -> None:
    """Negative control of the test above."""
    put(work / "check.sh", PLAIN)
    assert verdict("echo a > b.txt; bash check.sh > log.txt", work) == "run"


def test_a_script_with_a_second_name_could_be_changed_under_it(work: Path) -> None:
    put(work / "check.sh", PLAIN)
    os.link(work / "check.sh", work / "other.sh")
    assert verdict("bash check.sh", work) == "hold"


def test_a_script_outside_the_workspace_stays_code(work: Path) -> None:
    put(work.parent / "check.sh", PLAIN)
    assert verdict("bash ../check.sh", work) == "hold"


def test_nobody_looked_is_not_the_same_as_nothing_there(work: Path) -> None:
    """Without contents a script is code, as ever; looked for and not there, it is not understood."""
    around = Surroundings(cwd=str(work), workspace=str(work))
    assert read_afresh(Shell("bash x.sh"), around).complete
    missing = reading("bash x.sh", work)
    assert not missing.complete
    assert "doesn't exist yet" in missing.sentence


# --- what is there is digested --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.sh", "a.py"])
def test_one_byte_of_what_runs_changes_the_digest(work: Path, name: str) -> None:
    command = f"{'bash' if name.endswith('sh') else 'python3'} {name}"
    put(work / name, "ls\n")
    first = action_digest(looked(command, work).action, "p")
    assert action_digest(looked(command, work).action, "p") == first  # the control
    put(work / name, "lS\n")
    assert action_digest(looked(command, work).action, "p") != first


def gate(work: Path, script: str) -> bool:
    answers = ask(desk_of(HELD), call("claude-code", "PreToolUse", shell("claude-code", script, str(work))))
    return allowed("claude-code", answers[0])


HELD = Recording(lambda action: "hold")
HELD.ends = ("approved", "")


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("bash a.sh", "a.sh"),
        ("./a.sh", "a.sh"),
        ("python a.py", "a.py"),
        ("make x", "Makefile"),
        ("make x", "GNUmakefile"),
        ("npm test", "package.json"),
    ],
)
def test_an_approval_for_old_bytes_lets_no_new_bytes_run(work: Path, command: str, name: str) -> None:
    old, new = "#!/bin/sh\nls\n", "#!/bin/sh\nls;rm x\n"
    put(work / "Makefile", old)
    put(work / "package.json", old)
    put(work / "a.sh", old)
    put(work / "a.py", old)
    HELD.on_wait = lambda: put(work / name, new) and None
    assert not gate(work, command)
    HELD.on_wait = lambda: None
    assert gate(work, command)  # the control


def test_a_script_swapped_behind_its_link_is_other_bytes(work: Path) -> None:
    put(work / "one.sh", "ls\n")
    put(work / "two.sh", "rm x\n")
    (work / "a.sh").symlink_to("one.sh")

    def swap() -> None:
        (work / "a.sh").unlink()
        (work / "a.sh").symlink_to("two.sh")

    HELD.on_wait = swap
    assert not gate(work, "bash a.sh")
    HELD.on_wait = lambda: None
    assert gate(work, "bash a.sh")


def test_contents_that_the_digest_does_not_cover_are_not_believed() -> None:
    text = "ls\n"
    told = Surroundings(contents=(CodeFile("/w/a.sh", digest_bytes(text.encode()), text),))
    covered = {"/w/a.sh": digest_bytes(text.encode())}
    assert vouched(told, covered).contents == told.contents  # the control
    assert vouched(told, {}).contents is None
    other = Surroundings(contents=(CodeFile("/w/a.sh", covered["/w/a.sh"], "rm x\n"),))
    assert vouched(other, covered).contents is None


# --- symbolic links -------------------------------------------------------------------------------


def test_a_script_behind_a_link_is_judged_by_where_it_lies(work: Path) -> None:
    put(work.parent / "private" / "x.sh", "ls\n")
    put(work / "in" / "y.sh", "ls\n")
    (work / "x.sh").symlink_to("../private/x.sh")
    (work / "y.sh").symlink_to("in/y.sh")
    assert verdict("bash y.sh", work) == "run"  # the control
    assert verdict("bash x.sh", work) == "hold"
    assert str(work.parent / "private/x.sh") in {effect.what for effect in reading("bash x.sh", work).effects}


def test_what_a_script_does_through_a_link_is_judged_by_where_it_leads(work: Path) -> None:
    put(work.parent / "private" / "notes", "mine")
    (work / "out").symlink_to("../private")
    put(work / "a.sh", "cat out/notes\n")
    assert verdict("bash a.sh", work) == "hold"


def test_writing_to_what_a_script_is_a_link_to_makes_it_code(work: Path) -> None:
    put(work / "in" / "y.sh", "ls\n")
    (work / "y.sh").symlink_to("in/y.sh")
    assert verdict("echo rm > in/y.sh; bash y.sh", work) == "hold"


# --- Makefiles and package.json -------------------------------------------------------------------

MAKEFILE = """
NAME := app
.PHONY: all test clean send
all: test
test:
\t@pytest -q $(NAME)
clean:
\trm -rf /opt/$(NAME)
send: test
\tcurl -d @$(NAME).txt https://example.org/$(NAME)
"""


def test_what_a_recipe_does_outside_is_told(work: Path) -> None:
    put(work / "Makefile", MAKEFILE)
    assert verdict("make test", work) == "run"
    assert verdict("make", work) == "run"
    assert "/opt/app" in {e.what for e in reading("make clean", work).effects if e.verb == "deletes"}
    assert "sends:network" in {e.key for e in reading("make send", work).effects}
    assert "sends:network" in {e.key for e in reading("make -C . send", work).effects}
    put(work / "other.mk", MAKEFILE)
    assert "sends:network" in {e.key for e in reading("make -f other.mk send", work).effects}
    put(work / "Makefile", MAKEFILE.replace("pytest", "sudo pytest"))
    assert verdict("make test", work) == "hold"


def test_what_a_package_script_does_outside_is_told(work: Path) -> None:
    put(
        work / "package.json",
        '{"scripts": {"test": "jest", "pretest": "curl -T a https://example.org", "lint": "eslint ."}}',
    )
    assert verdict("npm run lint", work) == "run"
    assert verdict("npm test", work) == "hold"
    assert "sends:network" in {e.key for e in reading("npm test", work).effects}
    (work / "sub").mkdir()
    assert "sends:network" in {e.key for e in reading("cd sub && npm test", work).effects}


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"scripts": []}', '{"scripts": {"test": 3}}', "\0", "a: b\n\t$(shell x)\n", "\t\t\n:::=\n"],
)
def test_odd_project_files_do_no_harm(work: Path, text: str) -> None:
    put(work / "package.json", text)
    put(work / "Makefile", text)
    for command in ("npm test", "make", "make a"):
        assert "executes:code" in {effect.key for effect in reading(command, work).effects}


# --- odd files ------------------------------------------------------------------------------------


def test_pipes_folders_devices_and_huge_files_are_held_and_nothing_waits(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(work / "pipe.sh")
    (work / "dir.sh").mkdir()
    (work / "null.sh").symlink_to("/dev/null")
    (work / "loop.sh").symlink_to("loop.sh")
    put(work / "secret.sh", "ls\n", 0o000)
    for name in ("pipe.sh", "dir.sh", "null.sh", "loop.sh"):
        assert not reading(f"bash {name}", work).complete, name
    put(work / "big.sh", "ls\n" + "#" * contents.MAX_TEXT)
    assert verdict("bash big.sh", work) == "hold"
    assert looked("bash big.sh", work).action.executes
    monkeypatch.setattr(contents, "MAX_DIGESTED", 1000)
    found = reading("bash big.sh", work)
    assert not found.complete
    assert "too many to be digested" in found.sentence


def test_too_many_files_are_not_understood(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "MAX_FILES", 3)
    for number in range(5):
        put(work / f"{number}.sh", "ls\n")
    script = "; ".join(f"bash {number}.sh" for number in range(5))
    assert not reading(script, work).complete
    assert reading("bash 0.sh; bash 1.sh", work).complete


def test_the_files_wanted_are_named_by_a_pure_reading(work: Path) -> None:
    around = Surroundings(cwd="/w/p", workspace="/w")
    assert code_files(read_afresh(Shell("cd sub && ./x; ls"), around)) == ("/w/p/sub/x",)
    assert code_files(read_afresh(Shell("cd sub; ./x"), around)) == ("/w/p/x", "/w/p/sub/x")
    assert code_files(read_afresh(Shell("python3 y.py && cat z"), around)) == ("/w/p/y.py",)
    assert code_files(read_afresh(Shell("npm test"), around)) == ("/w/p/package.json", "/w/package.json")
