"""A link inside the workspace does not make what lies outside a part of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from keyturn import resources
from keyturn.actions import Action, Agent, Attribution, FileEdit, Gate, Shell
from keyturn.gates.hooks.authorization import wiring
from keyturn.gates.hooks.links import followed
from keyturn.gates.hooks.places import Place
from keyturn.policy import STARTER, load
from keyturn.policy.decision import Facts
from keyturn.readers import read_afresh
from keyturn.resources import Surroundings, zone

POLICY = load(STARTER)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a private folder and a workspace in which links lead out."""
    monkeypatch.setattr(resources, "_TEMPORARY", ())  # the test's own folder lies below /tmp
    home = Path(os.path.realpath(tmp_path)) / "home" / "dev"
    (home / "private").mkdir(parents=True)
    (home / "private" / "notes").write_text("mine")
    (home / ".claude").mkdir()
    (home / ".claude" / "settings.json").write_text("{}")
    work = home / "ws"
    (work / "src").mkdir(parents=True)
    (work / "src" / "a.py").write_text("")
    (work / "CLAUDE.md").write_text("")
    (work / "out").symlink_to(home / "private")
    (work / "note.txt").symlink_to("../private/notes")
    (work / "self").symlink_to(".")
    (work / "rules.txt").symlink_to("CLAUDE.md")
    (work / "settings").symlink_to(home / ".claude" / "settings.json")
    (work / "inner").symlink_to("src")
    return home


def verdict(script: str, home: Path) -> str:
    work = str(home / "ws")
    around = Surroundings(
        cwd=work, workspace=work, home=str(home), protected=(str(home / ".claude/settings.json"),)
    )
    action = Action(
        Shell(script), Attribution(Agent("a", "a")), Gate("hooks:a@here", "cooperative"), "s", cwd=work
    )
    seen = followed(action, around)
    reading = read_afresh(action.content, Surroundings(
        cwd=work, workspace=work, home=str(home), protected=around.protected, labels=POLICY.labels, links=seen.links
    ))  # fmt: skip
    return POLICY.decide("shell", reading, Facts(agent="a", human="dev")).verdict


LEAD_OUT = [
    "cat out/notes",
    "cat note.txt",
    "cat *.txt",
    "cat out/*",
    "cat o*/notes",
    "wc -l out/notes",
    "echo x > out/notes",
    "echo x > note.txt",
    "sed -i s/a/b/ out/notes",
    "cat src/../note.txt",
    "cat self/../private/notes",
    "cd out && cat notes",
    "cd self && cat ../private/notes",
    "cd inner && cat ../../private/notes",
    "grep -r x out",
    "touch rules.txt",
    "cp src/a.py settings",
]
STAY = [
    "cat inner/a.py",
    "cat self/src/a.py",
    "cat src/../src/a.py",
    "cat inner/../src/a.py",
    "cd inner && cat a.py",
    "ls src/*.py",
    "echo x > inner/a.py",
    "rm note.txt",
    "ls",
]


@pytest.mark.parametrize("script", LEAD_OUT)
def test_a_path_through_a_link_is_judged_by_where_it_leads(home: Path, script: str) -> None:
    assert verdict(script, home) != "run"


@pytest.mark.parametrize("script", STAY)
def test_a_link_that_stays_inside_changes_nothing(home: Path, script: str) -> None:
    """Negative control: links are not what is held."""
    assert verdict(script, home) == "run"


def test_settings_that_are_a_link_are_keyturns_own_where_they_really_lie(tmp_path: Path) -> None:
    home = Path(os.path.realpath(tmp_path))
    dotfiles = home / "dotfiles"
    dotfiles.mkdir()
    (dotfiles / "settings.json").write_text("{}")
    (home / ".claude").mkdir()
    (home / ".claude" / "settings.json").symlink_to(dotfiles / "settings.json")
    protected = wiring(Place(str(home), str(dotfiles)))
    around = Surroundings(cwd=str(dotfiles), workspace=str(dotfiles), home=str(home), protected=protected)
    assert zone(str(dotfiles / "settings.json"), around) == "keyturn"
    assert zone(str(dotfiles / "other.json"), around) == "workspace"


def test_only_commands_are_looked_at_and_odd_paths_do_no_harm(tmp_path: Path) -> None:
    around = Surroundings(cwd=str(tmp_path), workspace=str(tmp_path), home="/home/dev")
    who = Attribution(Agent("a", "a"))
    for content in (
        FileEdit("/x", "read"),
        Shell("cat 'a\nb'"),
        Shell("cat " + "a/" * 2000),
        Shell("cat $("),
    ):
        action = Action(content, who, Gate("hooks:a@here", "cooperative"), "s", cwd=str(tmp_path))
        assert followed(action, around).links == ()
    (tmp_path / "loop").symlink_to("loop")
    followed(
        Action(Shell("cat loop/x"), who, Gate("hooks:a@here", "cooperative"), "s", cwd=str(tmp_path)), around
    )
