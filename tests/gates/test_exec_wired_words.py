"""A client that puts a program's whole path in place of its name starts the command that its hook was asked about."""

from __future__ import annotations

import pytest

from keyturn.gates.exec.wired import _in_other_words

SAME = {
    "command '/w/job.sh'": {"/w/job.sh", "./job.sh"},
    "command '/w/a/job.sh' -x 'y z'": {"/w/a/job.sh -x 'y z'", "./a/job.sh -x 'y z'", "a/job.sh -x 'y z'"},
    "command '/usr/bin/make' test": {"/usr/bin/make test", "make test"},
    "command '/opt/x/make' test": {"/opt/x/make test"},
}

OTHER = [
    "command '/w/../etc/x'",
    "command '/w/job.sh'; rm x",
    "command '/w/job.sh'&",
    "command '/w/$(rm x)'",
    "command -p '/w/job.sh'",
    "command job.sh",
    "'/w/job.sh'",
]


@pytest.mark.parametrize(("script", "others"), SAME.items())
def test_the_words_before_are_told(script: str, others: set[str]) -> None:
    assert set(_in_other_words(script, "/w")) == others


@pytest.mark.parametrize("script", OTHER)
def test_what_is_not_exactly_that_is_nothing_else(script: str) -> None:
    assert _in_other_words(script, "/w") == ()
