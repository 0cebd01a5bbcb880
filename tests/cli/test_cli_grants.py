"""`keyturn approve --for`, `keyturn grants`, `keyturn grant`: what may run again, from a terminal and from a script."""

from __future__ import annotations

import pytest
from cli_house import House

from keyturn.errors import ExitCode


def test_a_grant_is_given_listed_shown_and_revoked(house: House) -> None:
    request = house.ask()
    said = house.keyturn(
        "approve",
        request,
        "--digest",
        house.digest(request),
        "--for",
        "10m",
        "--session",
        "--uses",
        "3",
        by="riley",
    )
    assert said.code == ExitCode.DONE, said.err
    (grant,) = house.keyturn("grants", "--json", by="riley").json
    assert (grant["state"], grant["uses"], grant["approvers"]) == ("open", 3, ["riley"])
    assert grant["session"]
    listed = house.keyturn("grant", "list", by="riley").out
    assert grant["id"] in listed
    assert " min left" in listed
    shown = house.keyturn("grant", "show", grant["id"], by="riley").out
    for words in (f"digest {grant['digest']}", "approved by riley", "for dana", "used 0 times of at most 3"):
        assert words in shown or words.replace("for ", "of ") in shown
    assert house.keyturn("grant", "revoke", grant["id"], by="riley").code == ExitCode.USAGE, (
        "a reason is needed"
    )
    said = house.keyturn("grant", "revoke", grant["id"], "--reason", "wrong\x1b[2J host", by="riley")
    assert said.code == ExitCode.DONE
    assert "\x1b" not in said.out
    assert house.keyturn("grants", by="riley").out == "No grant is open.\n"
    assert "revoked by riley: wrong" in house.keyturn("grant", "show", grant["id"], by="riley").out
    assert (
        house.keyturn("grant", "revoke", grant["id"], "--reason", "x", "--json", by="riley").error["code"]
        == "grant.ended"
    )


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--for", "2h"), "grant.too_long"),
        (("--for", "30s"), "grant.invalid"),
        (("--for", "for ever"), "cli.usage"),
        (("--session",), "cli.usage"),
        (("--uses", "3"), "cli.usage"),
    ],
)
def test_what_can_not_be_granted_is_refused_and_nothing_is_approved(
    house: House, options: tuple[str, ...], code: str
) -> None:
    request = house.ask()
    said = house.keyturn(
        "approve", request, "--digest", house.digest(request), *options, "--json", by="riley"
    )
    assert said.error["code"] == code
    assert house.keyturn("show", request, "--json", by="riley").json["state"] == "waiting"
    assert house.keyturn("show", request, "--json", by="riley").json["grant_most"] == 3600


def test_an_unknown_grant_is_no_grant(house: House) -> None:
    for verb in (("show", "g_none"), ("revoke", "../people", "--reason", "x")):
        assert house.keyturn("grant", *verb, by="riley").code == ExitCode.USAGE
