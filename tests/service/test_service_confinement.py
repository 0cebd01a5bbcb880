"""What a confined command may touch is the policy's word: a gate asks, and an unknown name is an error, never a wider profile."""

from __future__ import annotations

from pathlib import Path

import pytest
from service_world import World

from keyturn.policy.folder import STARTER, read_folder
from keyturn.service.errors import NoProfile
from keyturn.service.keyturn import Keyturn


def world(folder: Path, envelope: str = "") -> World:
    files = read_folder(STARTER)
    return World(folder, policy={**files, "envelope.toml": envelope.encode()} if envelope else files)


def test_nothing_is_confined_unasked_and_what_is_asked_for_is_told(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        assert service.confinement("") is None
        told = service.confinement("read-only")
        assert told is not None
        assert told.profile.name == "read-only"
        assert {label.name for label in told.labels} == {"secret", "private-key"}
        assert told.policy == service.core.policy.digest

    world(tmp_path).play(story)


def test_an_unknown_profile_is_an_error_that_names_those_there_are(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        with pytest.raises(NoProfile, match="read-only, workspace"):
            service.confinement("read-onyl")

    world(tmp_path).play(story)


def test_a_policy_may_confine_everything_and_hide_less(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        told = service.confinement("")
        assert told is not None
        assert (told.profile.name, told.profile.connect) == ("build", (443,))
        assert {label.name for label in told.labels} == {"secret"}
        other = service.confinement("read-only")
        assert other is not None
        assert other.profile.name == "read-only", "another of its profiles may be named, none can't"

    text = 'default = "build"\nmask = ["secret"]\n[profile.build]\nwrite = ["."]\nnetwork = true\nconnect = [443]\n'
    world(tmp_path, text).play(story)
