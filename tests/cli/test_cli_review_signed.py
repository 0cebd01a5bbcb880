"""`keyturn review --sign`: a signature where policy asks for one, on a real screen and with the real ssh-keygen."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_house import furnished
from review_tmux import TMUX, pane
from test_cli_reviewing import seat, state, until_decidable
from test_cli_signing import KEYGEN, RULE, Signed

from conftest import short_folder
from keyturn import policy as policies

pytestmark = [
    pytest.mark.terminal,
    pytest.mark.skipif(TMUX is None, reason="tmux is not installed"),
    pytest.mark.skipif(KEYGEN is None, reason="no ssh-keygen: install openssh-client"),
]


def test_what_asks_for_a_signature_is_signed_from_the_screen_and_not_without(folder: Path) -> None:
    files = {**policies.read_folder(policies.STARTER), "rules/signed.cedar": RULE}
    with short_folder() as other, furnished(other, files) as house:
        signed = Signed(house, other)
        request = house.ask("rm -r build")
        with pane(folder, "review", env=seat(house)) as seen:
            seen.until("1 waiting", "live", "| rm -r build")
            until_decidable(seen, "come back with `keyturn review --sign`")
            seen.type("q")
            assert seen.code() == 0
        assert state(house, request) == "waiting"
        with (
            short_folder() as second,
            pane(
                second, "review", "--sign", "--key", str(signed.key), env={**seat(house), "HOME": str(other)}
            ) as seen,
        ):
            seen.until("1 waiting", "live", "| rm -r build")
            until_decidable(seen, f"{request} is approved")
            seen.type("q")
            assert seen.code() == 0
        view = house.keyturn("show", request, "--json", by="riley").json
        assert (view["state"], view["approvals"][0]["assurance"]) == ("approved", "signed")
