"""`keyturn delegate`: handing over, who stands in for whom, and taking it back; against a real server."""

from __future__ import annotations

import pytest
from cli_house import House

from keyturn.cli.delegate import NoMoment, moment
from keyturn.errors import ExitCode


def test_places_are_handed_over_shown_used_and_taken_back(own_house: House) -> None:
    house = own_house
    assert house.keyturn("delegate", "list").out == "Nobody stands in for anybody.\n"
    said = house.keyturn("delegate", "to", "nemo", "--until", "2d", "--why", "leave\x1b[31m", by="riley")
    assert said.code == ExitCode.DONE, said.all
    assert "nemo stands in for riley in " in said.out
    assert "\x1b" not in said.out
    (one,) = house.keyturn("delegate", "list", "--json").json
    assert (one["person"], one["to"], one["carries"]) == ("riley", "nemo", True)
    assert house.keyturn("delegate", "list", "--mine", "--json", by="robin").json == []
    request = house.ask()
    assert "nemo (for riley)" in house.keyturn("show", request).out
    approved = house.keyturn("approve", request, "--digest", house.digest(request), "--json", by="nemo")
    assert approved.code == ExitCode.DONE, approved.all
    assert approved.json["approvals"][0]["on_behalf_of"] == ["riley"]
    assert "nemo for riley: approve" in house.keyturn("show", request).out
    refused = house.keyturn("delegate", "end", one["id"], "--json", by="robin")
    assert refused.error["code"] == "delegation.unknown"
    assert (
        house.keyturn("delegate", "end", one["id"], by="riley").out
        == "Ended. nemo no longer stands in for riley.\n"
    )
    assert house.keyturn("delegate", "list", "--json").json == []


@pytest.mark.parametrize(
    ("arguments", "by", "code"),
    [
        (("riley", "--until", "2d"), "riley", "delegation.to_nobody"),
        (("nobody", "--until", "2d"), "riley", "delegation.to_nobody"),
        (("Not A Name", "--until", "2d"), "riley", "name.invalid"),
        (("nemo", "--until", "2d", "--group", "dba"), "riley", "delegation.not_yours"),
        (("riley", "--until", "2d"), "nemo", "delegation.not_yours"),
        (("nemo", "--until", "200d"), "riley", "delegation.time"),
        (("nemo", "--until", "2001-01-01"), "riley", "delegation.time"),
        (("nemo", "--until", "soon"), "riley", "cli.moment"),
    ],
)
def test_what_can_not_be_handed_over_is_refused_in_words(
    house: House, arguments: tuple[str, ...], by: str, code: str
) -> None:
    said = house.keyturn("delegate", "to", *arguments, "--json", by=by)
    assert said.code != ExitCode.DONE
    assert said.error["code"] == code
    assert "Traceback" not in said.err


def test_moments_are_spans_or_dates() -> None:
    assert moment("90m", 0) == 5_400_000
    assert moment("2w", 1_000) == 1_000 + 14 * 86_400_000
    assert moment("2026-12-24T08:00Z", 0) == moment("2026-12-24T09:00+01:00", 0) == 1_798_099_200_000
    for text in ("", "0d", "-1d", "1.5h", "tomorrow", "2026-13-01", "9" * 40 + "d"):
        with pytest.raises(NoMoment):
            moment(text, 0)
