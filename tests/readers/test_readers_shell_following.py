"""What is followed from one word to another: names that programs list, numbers, homes, settings that end with the shell."""

from __future__ import annotations

import pytest

from keyturn.actions import Reading
from keyturn.readers.shell import read_shell
from keyturn.resources import Label, Surroundings

FRESH = Surroundings(
    cwd="/data/project",
    workspace="/data/project",
    home="/home/dev",
    fresh=True,
    labels=(Label("private-key", ("*.pem",)),),
)
"""Each command has a shell of its own."""
KEPT = Surroundings(cwd="/data/project", workspace="/data/project", home="/home/dev")
"""What a command sets is there for the next one."""


def _said(reading: Reading) -> set[tuple[str, str]]:
    return {(effect.verb, effect.zone) for effect in reading.effects}


@pytest.mark.parametrize(
    ("script", "inside"),
    [
        ("git ls-files | xargs wc -l", {("reads", "workspace")}),
        ("git ls-files '*.c' | grep -v old | xargs cat", {("reads", "workspace")}),
        ("ls -t | head -1 | xargs cat", {("reads", "workspace")}),
        ("ps aux | less", set()),
        ("ps -p $$", set()),
        ('echo "$UID of $PPID" | wc -c', set()),
        ("cd \"$(dirname 'a/b')\"", set()),
        ("shopt -s dotglob", set()),
        ("set -o history", set()),
        ("LOGNAME=x", set()),
        ("unzip -l a.zip", {("reads", "workspace")}),
        ("grep -c x /boot/config-$(uname -r)", {("reads", "system")}),
        ("cat $LOGFILE ${INPUT_DIR} \"$FILE1\"", {("reads", "environment")}),
        ("find . -name '*.py' -exec sed -i s/a/b/ {} +", {("reads", "workspace"), ("writes", "workspace")}),
    ],
)  # fmt: skip
def test_what_is_followed_stays_as_small_as_it_is(script: str, inside: set[tuple[str, str]]) -> None:
    reading = read_shell(script, FRESH)
    assert reading.complete, reading.unread
    assert _said(reading) <= inside
    assert not any(effect.labels for effect in reading.effects)


@pytest.mark.parametrize(
    ("script", "more"),
    [
        ("git ls-files | xargs rm", ("deletes", "unknown")),
        ("git ls-files ../other | xargs cat", ("reads", "unknown")),
        ("git ls-files | xargs tar cf /tmp/a.tar", ("executes", "unknown")),
        ("ls .. | xargs cat", ("reads", "unknown")),
        ("less notes.txt", ("executes", "code")),
        ("ps aux | less +'!sh'", ("executes", "code")),
        ("echo $(shopt -s dotglob; cat *)", ("executes", "unknown")),
        ("shopt -s dotglob; ls *", ("executes", "unknown")),
        ("PROMPT_COMMAND=x; echo", ("configures", "code")),
        ("export PROMPT_COMMAND=x", ("configures", "code")),
        ("unzip a.zip", ("configures", "workspace")),
        ("unzip -l a.zip -d out", ("configures", "workspace")),
        ("cat $KUBECONFIG", ("reads", "unknown")),
        ("cat $SSH_KEY_FILE", ("reads", "unknown")),
        ("LOGFILE=/etc/shadow; cat $LOGFILE", ("reads", "system")),
        ("find . -name '*.md' -exec sed -i s/a/b/ {} +", ("configures", "workspace")),
    ],
)
def test_look_alikes_are_read_as_more(script: str, more: tuple[str, str]) -> None:
    reading = read_shell(script, FRESH)
    assert not reading.complete or more in _said(reading), _said(reading)


@pytest.mark.parametrize(
    "script",
    [
        "java -version", "rustc --version", "make --version", "pip3 cache info", "pyenv versions", "dpkg --get-selections",
        "nmcli device status", "nmcli dev wifi", "bluetoothctl devices", "gedit notes.txt &",
    ],
)  # fmt: skip
def test_what_only_tells_something_does_nothing_else(script: str) -> None:
    reading = read_shell(script, FRESH)
    assert reading.complete, reading.unread
    assert {verb for verb, _ in _said(reading)} <= {"reads", "writes"}


@pytest.mark.parametrize(
    "script",
    [
        "java -version Main", "rustc --version x.rs", "make --version all", "pip3 cache purge", "pyenv global 3.11",
        "dpkg --set-selections", "nmcli device disconnect eth0", "nmcli dev wifi connect x", "bluetoothctl power on",
        "bluetoothctl", "nmcli general hostname x", "java -jar --version",
    ],
)  # fmt: skip
def test_what_looks_like_it_and_does_more_is_read_as_more(script: str) -> None:
    reading = read_shell(script, FRESH)
    assert not reading.complete or {verb for verb, _ in _said(reading)} - {"reads"}


@pytest.mark.parametrize("script", ["shopt -s dotglob", "LOGNAME=x", "ps aux | less"])
def test_where_the_shell_goes_on_so_does_what_it_sets(script: str) -> None:
    """Negative control: what is dropped in a shell of its own is told in one that is kept."""
    assert {verb for verb, _ in _said(read_shell(script, KEPT))} & {"configures", "executes"}


def test_a_label_of_any_place_holds_for_patterns_outside_public_folders() -> None:
    labelled = read_shell("cat /etc/config-*", FRESH)
    assert any("private-key" in effect.labels for effect in labelled.effects)


INSERTED = {
    "find . -name '*.c' -exec cp {} {}.bak \\;": {"writes:/data/project/**/*.c.bak"},
    "find . -name '*.c' -exec cp {} /backup/{} \\;": {"writes:/backup/**/*.c"},
    "find src -type f | xargs -I{} touch {}.done": {"writes:/data/project/src/**/*.done"},
}

NOT_INSERTED = [
    "find . -exec touch {}/../x \\;",
    "find $d -exec touch {}.b \\;",
    "find . -execdir touch x{} \\;",
    "find . -exec touch 'a[{}]' \\;",
    "find -L . -exec touch {}.b \\;",
]


@pytest.mark.parametrize(("command", "effects"), INSERTED.items())
def test_a_name_with_something_around_it_is_still_that_name(command: str, effects: set[str]) -> None:
    reading = read_shell(command, KEPT)
    assert reading.complete
    said = {f"{effect.verb}:{effect.what}" for effect in reading.effects}
    assert effects <= said
    assert "executes" not in {effect.verb for effect in reading.effects}


@pytest.mark.parametrize("command", NOT_INSERTED)
def test_a_name_that_may_lead_elsewhere_is_not_told(command: str) -> None:
    reading = read_shell(command, KEPT)
    zones = {effect.zone for effect in reading.effects if effect.verb in ("writes", "executes")}
    assert not reading.complete or zones - {"workspace"}
