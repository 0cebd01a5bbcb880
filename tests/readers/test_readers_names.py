"""Which names reach a command: find's own answer, bash's own expansion and real programs are the second opinion."""

from __future__ import annotations

import fnmatch
import os
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace
from readers_cases import AROUND

from keyturn.readers.paths import names_meet, path_effects
from keyturn.readers.shell import read_shell
from keyturn.readers.shell.special.find_names import either_case

FILES = [
    "a.c", "b.h", "C.C", "d.txt", "e", "-o.c", "x y.c", "s/a.c", "s/b.h", "s/CLAUDE.md", "s/t/z.C", "s/t/.c", ".hidden.c",
]  # fmt: skip
_PRIMARIES = [
    "-name '*.c'", "-name '*.h'", "-iname '*.c'", "-name 'a*'", "-type f", "-type d", "-maxdepth 2", "-empty", "-name '*'",
    "-name s -prune", "-name '[ab].?'", "-iname '[a-c].c'", "-path './s/*'", "-newer a.c", "-true", "-false",
]  # fmt: skip


def expression(chance: random.Random, depth: int = 0) -> str:
    """A random expression of find with one or more `-exec`s of different names."""
    kind = chance.random()
    if depth > 3 or kind < 0.45:
        one = chance.choice(_PRIMARIES)
        return f"{one} -exec echo {chance.choice('PQR')} {{}} \\;" if chance.random() < 0.4 else one
    if kind < 0.6:
        return f"\\( {expression(chance, depth + 1)} \\)"
    if kind < 0.7:
        return (
            f"! {expression(chance, depth + 1)}"
            if chance.random() < 0.5
            else f"-not \\( {expression(chance, depth + 1)} \\)"
        )
    joint = chance.choice([" ", " -a ", " -o ", " -or ", " , "])
    return expression(chance, depth + 1) + joint + expression(chance, depth + 1)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("names")
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x", encoding="utf-8")
    return folder


@pytest.mark.skipif(shutil.which("find") is None, reason="find is the second opinion and is missing")
def test_find_hands_no_command_a_name_that_the_reading_does_not_give_it(tree: Path) -> None:
    chance, narrowed, seen = random.Random(11), 0, 0
    for _ in range(400):
        script = f"find . {expression(chance)}"
        ran = subprocess.run(["bash", "-c", script], cwd=tree, capture_output=True, text=True, check=False)
        if ran.returncode:
            continue  # find refuses the expression: nothing ran
        reading = read_shell(script, AROUND)
        assert reading.complete, (script, reading.unread)
        given: dict[str, set[str]] = {}
        for step in reading.steps:
            if step.program == "echo" and len(step.argv) == 3:
                given.setdefault(step.argv[1], set()).add(step.argv[2])
        for line in ran.stdout.splitlines():
            mark, _, name = line.partition(" ")
            if mark not in "PQR" or not name.startswith("."):
                continue
            seen += 1
            patterns = given.get(mark, set())
            shown = name.rsplit("/", 1)[-1]
            assert any(fnmatch.fnmatchcase(shown, p.rsplit("/", 1)[-1]) for p in patterns), (
                script,
                line,
                patterns,
            )
        narrowed += any(not p.endswith("/*") for all_of in given.values() for p in all_of)
    assert seen > 500
    assert narrowed > 60  # the negative control of the test: it does narrow


@pytest.mark.parametrize(
    ("pattern", "name", "found"),
    [
        ("*.TxT", "a.txt", True),
        ("*.txt", "A.TXT", True),
        ("claude.md", "CLAUDE.md", True),
        ("*.txt", "a.text", False),
        ("[a-c]x", "BX", True),
        ("stra\u00dfe", "stra\u00dfe", True),
    ],
)
def test_either_case_is_what_find_takes_for_the_same(pattern: str, name: str, found: bool) -> None:
    assert names_meet(either_case(pattern), name) is found


def effects_of(script: str) -> set[str]:
    return {
        f"{effect.verb}:{effect.zone}" for step in read_shell(script, AROUND).steps for effect in step.effects
    }


@pytest.mark.parametrize(
    "script",
    [
        "find . -iname claude.md -exec touch {} +",
        "find . ! -name '*.c' -exec touch {} +",
        "find . -name '*.c' -o -exec touch {} +",
        "find . -name '*.c' , -exec touch {} +",
        "find . \\( -name '*.c' -o -type f \\) -exec touch {} +",
        "find . \\( -name '*.c' -exec touch {} +",
        "find . -name '*.c' -frob -exec touch {} +",
        "find . -name *.c -exec touch {} +",
    ],
)
def test_what_may_be_any_name_may_be_one_that_programs_obey(script: str) -> None:
    assert "configures:workspace" in effects_of(script) or not read_shell(script, AROUND).complete


def test_names_that_are_looked_for_are_all_that_is_touched() -> None:
    assert effects_of("find . \\( -name '*.c' -o -iname '*.h' \\) ! -path './x/*' -exec touch {} +") == {
        "reads:workspace",
        "writes:workspace",
    }


# --- patterns that could be options -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script", ["touch *.php", "chmod +x *.sh", "mv *.jpg pictures/", "rm *.o", "cp *.jpg pictures/"]
)
def test_a_pattern_with_an_ending_stays_in_its_folder_even_if_a_name_is_taken_for_an_option(
    script: str,
) -> None:
    assert all(one.endswith(":workspace") for one in effects_of(script)), effects_of(script)


@pytest.mark.parametrize(
    "script",
    [
        "touch *",
        "chmod +x *",
        "sort *.txt",
        "tar cf x *.txt",
        "sed -i s/a/b/ *.c",
        "cp * pictures/",
        "touch *x",
        "rm *.*",
        "touch */*.c",
    ],
)
def test_where_a_name_could_be_any_option_it_is_read_as_all_of_them(script: str) -> None:
    assert any(one.endswith(":unknown") for one in effects_of(script)), effects_of(script)


@pytest.mark.parametrize("program", ["touch", "mv", "cp", "chmod +x"])
def test_real_programs_do_no_more_with_a_name_that_looks_like_an_option(program: str, tmp_path: Path) -> None:
    """GNU's own programs, in a folder with names made for it: what changes is named by the reading."""
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (inside / "d").mkdir()
    for name in (
        "-td.x",
        "-rx.x",
        "--target-directory=d.x",
        "--reference=a.x",
        "-S.x",
        "-t.x",
        "--suffix=q.x",
        "a.x",
        "b.x",
    ):
        (inside / name).write_text(name, encoding="utf-8")
    (inside / "d.x").mkdir()
    before = sorted(p.name for p in outside.iterdir())
    script = f"{program} *.x" + (" d" if program in ("mv", "cp") else "")
    reading = read_shell(script, AROUND)
    subprocess.run(["bash", "-c", script], cwd=inside, capture_output=True, check=False)
    assert sorted(p.name for p in outside.iterdir()) == before
    written = [
        e.what.removeprefix("/data/project/") for s in reading.steps for e in s.effects if e.verb == "writes"
    ]
    for root, _, files in os.walk(inside):
        for name in files:
            path = os.path.relpath(os.path.join(root, name), inside)
            if "/" in path:
                assert any(
                    re.fullmatch(fnmatch.translate(one), path) or path.startswith(one + "/")
                    for one in written
                ), path


@pytest.mark.parametrize("option", ["--parents", "--par"])
def test_a_target_that_a_name_brings_gets_whole_paths_where_these_are_kept(
    option: str, tmp_path: Path
) -> None:
    """`cp --parents *.x sub/deep`, where a file is called `--target-directory=d.x`, makes `d.x/sub/deep`."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "d.x").mkdir()
    for name in ("sub/deep", "--target-directory=d.x"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    script = f"cp {option} *.x sub/deep"
    subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, check=False)
    assert (tmp_path / "d.x/sub/deep").exists()
    written = {e.what for s in read_shell(script, AROUND).steps for e in s.effects if e.verb == "writes"}
    assert "/data/project/*.x/sub/deep" in written
    kept_flat = {
        e.what for s in read_shell("cp *.x sub/deep", AROUND).steps for e in s.effects if e.verb == "writes"
    }
    assert "/data/project/*.x/deep" in kept_flat


# --- names in lines ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        "grep -rl x src | xargs wc -l",
        "rg -l x src | xargs wc -l",
        "grep -lZ x a.c b.c | xargs -0 wc -l",
        "git diff --name-only | xargs cat",
        "git grep -l x | xargs cat",
        "find src -name '*.c' | xargs grep -l x | xargs cat",
        "find src -name '*.c' -exec grep -l x {} + | xargs cat",
        "cat $(grep -rl x src)",
    ],
)
def test_names_that_a_search_prints_are_those_it_looked_at(script: str) -> None:
    reading = read_shell(script, AROUND)
    assert reading.complete
    assert effects_of(script) <= {"reads:workspace"}, effects_of(script)


@pytest.mark.parametrize(
    "script",
    [
        "grep -r x src | xargs cat",  # prints lines, not names
        "grep -rlc x src | xargs cat",
        "rg x src | xargs cat",
        "rg -l --heading x src | xargs cat",
        "grep -Rl x src | xargs cat",  # follows links
        "grep -l x | xargs cat",
        "git diff | xargs cat",
        "git grep -l x -- ../other | xargs cat",
        "git -C .. diff --name-only | xargs cat",
        "find src -exec cat {} + | xargs rm",
        "find src -exec grep -l x {} + -printf '%f' | xargs cat",
        "find src | xargs cat | xargs cat",
        "grep -rl x /etc | xargs cat",
    ],
)
def test_what_prints_more_than_names_names_anything(script: str) -> None:
    assert effects_of(script) - {"reads:workspace"}, script


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a CLAUDE.md b.py", True),
        ("a .git/x b.py", True),
        ("a -rf", True),
        ("a /etc/passwd", True),
        ("a ../x", True),
        ("a 'CLAUDE.md'", True),
        ("Report - final.pdf", False),
        ("a b.py", False),
    ],
)
def test_a_name_that_falls_apart_into_more_is_told_when_it_is_made(name: str, told: bool) -> None:
    effects = path_effects("writes", f"/data/project/{name}", AROUND)
    assert any(effect.verb == "configures" for effect in effects) is told
    wild = path_effects("writes", f"/data/project/*{name}", AROUND, wild=True)
    assert told <= any(effect.verb == "configures" for effect in wild)


def test_a_loop_that_renames_is_followed() -> None:
    assert effects_of('for f in src/*.js; do mv "$f" "${f%.js}.ts"; done') <= {
        "deletes:workspace",
        "writes:workspace",
    }
    for other in ('"${f%js}"', '"${f%.ts}"', '"${f%*}"', '"${f%$x}"', '"${f#src/}"', '"${f%src/*.js}"'):
        assert (
            any(one.endswith(":unknown") for one in effects_of(f"for f in src/*.js; do mv x {other}; done"))
            or other == '"${f%js}"'
        )


@pytest.mark.parametrize(
    ("script", "runs"),
    [
        ("find . -name '*.c' | xargs sed -i s/a/b/", True),
        ("find . -name '*.c' -print0 | xargs -0 sed -i s/a/b/", False),
        ("find . -name '*.c' -exec sed -i s/a/b/ {} +", False),
        ("grep -rl x src | xargs tar czf x.tgz", True),
        ("grep -rlZ x src | xargs -0 tar czf x.tgz", False),
        ("tar czf x.tgz $(find . -name '*.c')", True),
        ("for f in $(find . -name '*.c'); do sed -i s/a/b/ $f; done", True),
        ("find . -name '*.c' | xargs wc -l", False),
        ("find . -name '*.c' | xargs chmod 644", False),
    ],
)
def test_a_piece_of_a_name_may_tell_a_program_to_run_something(script: str, runs: bool) -> None:
    """A repository can bring a file called `x -e1e`: GNU sed runs what it finds then; this is what `-print0` is for."""
    assert ("executes:unknown" in effects_of(script)) is runs


@pytest.mark.skipif(shutil.which("sed") is None, reason="sed is the second opinion and is missing")
def test_sed_does_run_what_such_a_name_says(tmp_path: Path) -> None:
    for name in ("x -e1eid>made y.c", "y.c"):
        (tmp_path / name).write_text("a\n", encoding="utf-8")
    split = "find . -name '*.c' | xargs sed s/a/b/"
    whole = "find . -name '*.c' -print0 | xargs -0 sed s/a/b/"
    subprocess.run(["bash", "-c", whole], cwd=tmp_path, capture_output=True, check=False)
    assert not (tmp_path / "made").exists()  # the negative control
    subprocess.run(["bash", "-c", split], cwd=tmp_path, capture_output=True, check=False)
    assert (tmp_path / "made").exists()


# --- what is above Keyturn's own files -----------------------------------------------------------------------------

BESIDE = replace(AROUND, protected=("/tmp/kt/home", "/data/project/tools/kt/settings.json"))


@pytest.mark.parametrize(
    "script",
    [
        "rm -rf /tmp/kt", "mv /tmp/kt x", "cd /tmp && mv kt x", "mv tools x", "rm -r ./tools/kt", "git mv tools x",
        "rm -rf ../project",
    ],
)  # fmt: skip
def test_a_folder_that_keyturn_s_files_lie_in_is_keyturn_s_where_it_goes_or_moves(script: str) -> None:
    assert "deletes:keyturn" in {e.key for e in read_shell(script, BESIDE).effects}
    assert "deletes:keyturn" not in {
        e.key for e in read_shell(script, AROUND).effects
    }  # the negative control


@pytest.mark.parametrize(
    "script", ["mv ./t* x", "mv */k* x", "find . -name 'k?' -exec mv {} x \\;", "rm -r /tmp/k*"]
)
def test_a_pattern_that_may_fit_such_a_folder_waits(script: str) -> None:
    assert any(e.verb == "configures" for e in read_shell(script, BESIDE).effects)


@pytest.mark.parametrize(
    "script", ["mv *.txt x", "find . -name '*.jpg' -exec mv {} x \\;", "rm -r /tmp/x", "mv tools/a x"]
)
def test_what_lies_beside_such_a_folder_is_as_it_was(script: str) -> None:
    assert {e.key for e in read_shell(script, BESIDE).effects} == {
        e.key for e in read_shell(script, AROUND).effects
    }


def test_a_link_to_the_folder_above_is_followed() -> None:
    around = replace(BESIDE, links=(("/data/project/a/kt", "/tmp/kt"),))
    assert "deletes:keyturn" in {e.key for e in read_shell("mv a/kt x", around).effects}


def test_a_temporary_folder_that_the_workspace_or_the_home_lies_in_is_not_temporary_where_it_goes() -> None:
    around = replace(AROUND, workspace="/tmp/agents/project", home="/var/tmp/people/dev")
    assert "deletes:temporary" in {e.key for e in read_shell("rm -rf /tmp/other", around).effects}
    for script in ("rm -rf /tmp/agents", "rm -rf ..", "mv /var/tmp/people x"):
        keys = {e.key for e in read_shell(script, around).effects}
        assert "deletes:outside" in keys
        assert "deletes:temporary" not in keys


# --- what comes into a folder, and what shuts one --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "comes"),
    [
        ("cp -r template/. .", True),
        ("cp -a template/. ./", True),
        ("cp -r template/. ..", True),
        ("cp -rT template .", True),
        ("cp -r --no-target-directory template .", True),
        ("cp -r -t . template/.", True),
        ("cp -r template/. $PWD", True),
        ("cp -r template/. /home", True),
        ("cp -r template/. tools", True),
        ("cp -r template/. tool*", True),
        ("cp -r template/. linked", True),
        ("cp -r template/. made", False),
        ("cp -r template .", False),
        ("cp -T a.txt b.txt", False),
        ("cp template/a.txt .", False),
    ],
)
def test_what_comes_by_names_that_nothing_tells_may_be_settings(script: str, comes: bool) -> None:
    around = replace(BESIDE, links=(("/data/project/linked", "/data/project"),))
    keys = {e.key for e in read_shell(script, around).effects}
    assert any(key.startswith(("configures:", "writes:unknown")) for key in keys) is comes, keys


@pytest.mark.parametrize("how", ["cp -r template/. .", "cp -rT template ."])
def test_cp_does_bring_settings_so(tmp_path: Path, how: str) -> None:
    (tmp_path / "template/.claude").mkdir(parents=True)
    (tmp_path / "template/.claude/settings.json").write_text("{}", encoding="utf-8")
    subprocess.run(["cp", "-r", "template", "."], cwd=tmp_path, capture_output=True, check=False)
    assert not (tmp_path / ".claude").exists()  # the negative control
    subprocess.run(how.split(), cwd=tmp_path, capture_output=True, check=True)
    assert (tmp_path / ".claude/settings.json").exists()


@pytest.mark.parametrize(
    ("script", "shuts"),
    [
        ("chmod 000 tools", True),
        ("chmod 644 /tmp/kt", True),
        ("chmod u-x tools", True),
        ("chmod a-x,g+w tools", True),
        ("chmod -R 600 .", True),
        ("chmod 644 ./*", True),
        ("chmod 644 ./t*", True),
        ("find . -exec chmod 644 {} +", True),
        ("find . ! -type f -exec chmod 644 {} +", True),
        ("find . -type d -o -type f -exec chmod 644 {} +", True),
        ("find . -type f -exec chmod 644 {} +", False),
        ("find . -type f | xargs chmod 644", False),
        ("chmod 755 tools", False),
        ("chmod -R go-rwx .", False),
        ("chmod +x ./t*", False),
        ("chmod 644 a.txt", False),
        ("chmod 600 ./a*", False),
    ],
)
def test_a_folder_above_keyturn_s_files_that_is_shut_is_theirs(script: str, shuts: bool) -> None:
    keys = {e.key for e in read_shell(script, BESIDE).effects}
    assert bool(keys & {"configures:keyturn", "configures:unknown"}) is shuts, keys
