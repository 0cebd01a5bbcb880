"""What is opened in a window: the window itself is a person's; what it is given to show is the command's."""

from __future__ import annotations

import pytest
from readers_cases import AROUND

from keyturn.readers import read_shell

WINDOWS = ["firefox", "google-chrome --incognito", "vlc", "spotify", "libreoffice --writer", "gnome-weather"]

SHOWN = {
    "firefox https://example.com/x": {("connects", "example.com")},
    "firefox localhost:3000": {("connects", "localhost")},
    "firefox file:///etc/shadow": {("reads", "/etc/shadow"), ("connects", "what is shown")},
    "mpv song.mp3": {("reads", "/data/project/song.mp3"), ("connects", "what is shown")},
    "libreoffice a.odt": {("reads", "/data/project/a.odt"), ("connects", "what is shown")},
}

ODD = [
    "firefox javascript:1",
    "firefox about:config",
    "libreoffice macro:///Standard.Module1.Main",
    "libreoffice vnd.sun.star.script:a",
    "vlc screen://",
    "firefox --profile x",
]


@pytest.mark.parametrize("command", WINDOWS)
def test_a_window_with_nothing_in_it_touches_nothing_else(command: str) -> None:
    reading = read_shell(command, AROUND)
    assert reading.complete
    assert {effect.key for effect in reading.effects} == {"writes:device"}


@pytest.mark.parametrize(("command", "does"), SHOWN.items())
def test_what_is_shown_is_read_and_fetched(command: str, does: set[tuple[str, str]]) -> None:
    reading = read_shell(command, AROUND)
    assert reading.complete
    assert does == {(e.verb, e.what) for e in reading.effects} - {("writes", "a window on the screen")}


@pytest.mark.parametrize("command", ODD)
def test_an_address_that_is_no_page_is_not_understood(command: str) -> None:
    assert not read_shell(command, AROUND).complete


def test_sound_is_made_louder_but_code_is_not_loaded() -> None:
    assert {e.key for e in read_shell("pactl set-sink-volume 0 -5%", AROUND).effects} == {"writes:device"}
    assert "executes:system" in {e.key for e in read_shell("pactl load-module module-x a=b", AROUND).effects}
    assert not read_shell("pactl -s tcp:host set-sink-mute 0 1", AROUND).complete
