"""What a decided command may start without being asked for again."""

from __future__ import annotations

from msgspec.structs import replace

from keyturn import readers
from keyturn.actions import Shell
from keyturn.gates.exec.scope import Scope, Started, behaviour, leaves, opened, spoken_name, system_name
from keyturn.resources import Surroundings

AROUND = Surroundings(cwd="/w/p", workspace="/w/p", home="/home/u")
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "COLUMNS": "80"}


def scope(script: str, executes: dict[str, str] | None = None, above: Scope | None = None) -> Scope:
    reading = readers.read(Shell(script), AROUND)
    return opened("a_1", reading, "/w/p", executes or {}, ENVIRONMENT, above)


def starting(path: str, *words: str, digest: str = "", **variables: str) -> Started:
    return Started(path, words, {**ENVIRONMENT, **variables}, digest)


def test_what_the_command_names_may_start_with_the_words_it_is_named_with() -> None:
    found = scope("ls -l && git log")
    assert found.predicts(starting("/usr/bin/ls", "-l"))
    assert found.predicts(starting("/usr/bin/git", "log"))
    assert not found.predicts(starting("/usr/bin/ls", "-a"))
    assert not found.predicts(starting("/usr/bin/rm", "-l"))


def test_nested_commands_were_named_too() -> None:
    found = scope("find . -name x -exec grep a {} +")
    assert found.predicts(starting("/usr/bin/grep", "a", "./d/x"))
    assert found.predicts(starting("/usr/bin/find", ".", "-name", "x", "-exec", "grep", "a", "{}", "+"))
    assert not found.predicts(starting("/usr/bin/rm", "./d/x"))


def test_the_same_name_elsewhere_is_another_program() -> None:
    found = scope("ls -l")
    assert found.predicts(starting("/usr/bin/ls", "-l"))
    assert not found.predicts(starting("/w/p/ls", "-l"))
    assert not found.predicts(starting("/usr/bin/../../w/p/ls", "-l"))


def test_a_program_of_the_workspace_is_what_was_digested() -> None:
    found = scope("./deploy.sh prod", {"/w/p/deploy.sh": "sha256:aa"})
    assert found.predicts(starting("/w/p/deploy.sh", "prod", digest="sha256:aa"))
    assert not found.predicts(starting("/w/p/deploy.sh", "prod", digest="sha256:bb"))
    assert not found.predicts(starting("/w/p/deploy.sh", "test", digest="sha256:aa"))
    undigested = scope("./deploy.sh prod")
    assert not undigested.predicts(starting("/w/p/deploy.sh", "prod", digest=""))


def test_a_variable_that_changes_programs_ends_the_prediction() -> None:
    found = scope("ls -l")
    assert found.predicts(starting("/usr/bin/ls", "-l", COLUMNS="40"))
    assert not found.predicts(starting("/usr/bin/ls", "-l", LD_PRELOAD="/w/p/x.so"))
    assert not found.predicts(starting("/usr/bin/ls", "-l", PATH="/w/p"))


def test_helpers_are_known_from_the_systems_folders_only() -> None:
    found = scope("git log")
    assert found.predicts(starting("/usr/bin/less", "-R"))
    assert not found.predicts(starting("/w/p/less", "-R"))
    assert not scope("ls").predicts(starting("/usr/bin/less", "-R"))
    assert scope("gcc -c a.c").predicts(starting("/usr/lib/gcc/x86_64-linux-gnu/12/cc1", "a.c"))


def test_running_code_is_a_wide_scope_and_looking_is_not() -> None:
    assert scope("make test").within == "a_1"
    assert scope("pytest -q").within == "a_1"
    assert scope("ls -l").within == ""
    assert scope("make test; $UNKNOWN").within == "", "what isn't understood widens nothing"


def test_what_is_started_in_a_wide_scope_stays_in_it() -> None:
    above = replace(scope("make test"), within="a_0")
    assert scope("ls", above=above).within == "a_0"
    assert scope("ls", above=scope("ls")).within == ""


def test_what_leaves_the_tree_is_told_by_any_of_its_names() -> None:
    assert leaves("/usr/bin/sudo")
    assert leaves("/w/p/harmless", "/usr/bin/docker")
    assert not leaves("/usr/bin/ls", "/usr/bin/ls")


def test_names() -> None:
    assert spoken_name("/usr/bin/git") == "git"
    assert spoken_name("/usr/local/bin/git") == "/usr/local/bin/git"
    assert system_name("/usr/lib/git-core/git-remote") == "git-remote"
    assert system_name("/usr/library/x") is None
    assert behaviour({"GIT_DIR": "x", "COLUMNS": "1", "BASH_FUNC_ls%%": "() { :; }"}).keys() == {
        "GIT_DIR",
        "BASH_FUNC_ls%%",
    }
