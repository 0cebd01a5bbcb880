"""The page about describing programs is a policy that works."""

from __future__ import annotations

import re
from pathlib import Path

from keyturn.policy import STARTER, Policy, read_folder, run_tests

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "describe-a-program.md"
_BLOCK = re.compile(r"<!-- runnable: (\S+) -->\n```toml\n(.*?)```", re.DOTALL)


def test_the_example_is_green_on_top_of_the_starter_policy() -> None:
    files = {name: text.encode() for name, text in _BLOCK.findall(PAGE.read_text())}
    assert len(files) == 3
    shipped = {name: data for name, data in read_folder(STARTER).items() if not name.startswith("tests/")}
    report = run_tests(Policy.parse({**shipped, **files}))
    assert report.total == 5
    assert report.green, report.lines
    without = {name: data for name, data in files.items() if name != "programs/deployer.toml"}
    assert not run_tests(Policy.parse({**shipped, **without})).green  # negative control
