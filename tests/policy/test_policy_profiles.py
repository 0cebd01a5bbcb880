"""envelope.toml: what a confined command may touch. A typing mistake is an error when the policy is made, not a hole later."""

from __future__ import annotations

import pytest
from policy_building import policy

from keyturn.policy import PolicyInvalid
from keyturn.policy.engine import load
from keyturn.policy.folder import STARTER
from keyturn.policy.profiles import BUILT_IN, Profile, Profiles, read_profiles


def test_every_policy_has_the_two_profiles_and_confines_nothing_unasked() -> None:
    profiles = load(STARTER).profiles
    assert profiles.default == ""
    assert profiles.names == ("read-only", "workspace")
    assert profiles == Profiles()


def test_the_read_only_profile_gives_nothing_to_change_and_no_network() -> None:
    read_only, workspace = BUILT_IN
    assert (read_only.write, read_only.network, read_only.execute) == ((), False, "system")
    assert workspace.write == (".",)
    assert not workspace.network
    assert {".git/config", ".git/hooks/", ".github/", ".claude/"} <= set(workspace.protect)


def test_a_profile_of_ones_own_stands_before_the_built_in_one() -> None:
    text = b'default = "workspace"\nmask = ["secret"]\n[profile.workspace]\nwrite = ["./out"]\nnetwork = true\nconnect = [443]\n'
    profiles, problems = read_profiles(text)
    assert not problems
    assert profiles.get("workspace") == Profile("workspace", write=("./out",), network=True, connect=(443,))
    assert profiles.mask == ("secret",)
    assert profiles.get("read-only") == BUILT_IN[0]
    assert profiles.get("none") is None


WRONG = {
    "an unknown setting": '[profile.x]\nwrites = ["."]\n',
    "an unknown table": "[profiles.x]\n",
    "a default that is not there": 'default = "worksapce"\n',
    "a path that climbs": '[profile.x]\nwrite = ["../other"]\n',
    "a path from nowhere": '[profile.x]\nread = ["somewhere"]\n',
    "a protected path outside": '[profile.x]\nprotect = ["/etc"]\n',
    "ports without a network": "[profile.x]\nconnect = [443]\n",
    "a port that is none": "[profile.x]\nnetwork = true\nconnect = [70000]\n",
    "a network that is a word": '[profile.x]\nnetwork = "yes"\n',
    "a way to execute that is none": '[profile.x]\nexecute = "everywhere"\n',
    "a list that is a text": '[profile.x]\nprograms = "git"\n',
    "a profile that is a number": "[profile]\nx = 1\n",
    "no TOML": "[profile.x\n",
}


@pytest.mark.parametrize("what", WRONG)
def test_a_mistake_is_named_with_its_place(what: str) -> None:
    _, problems = read_profiles(WRONG[what].encode())
    assert problems, what
    with pytest.raises(PolicyInvalid, match=r"envelope\.toml"):
        policy(envelope_toml=WRONG[what].encode())
