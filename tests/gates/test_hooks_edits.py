"""Patches and edits: read exactly, predicted exactly, or said not to be predicted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.actions import FileEdit
from keyturn.canonical import digest_bytes
from keyturn.errors import KeyturnError
from keyturn.gates.hooks.edits import applied, asked, filled
from keyturn.gates.hooks.model import Edit, Hunk, Replacement
from keyturn.gates.hooks.patches import proposals_of
from keyturn.gates.hooks.payload import HookMalformed


def patch(*lines: str) -> str:
    return "\n".join(["*** Begin Patch", *lines, "*** End Patch"]) + "\n"


def test_an_update_leaves_exactly_the_patched_bytes() -> None:
    text = patch("*** Update File: a.py", "@@ def f():", "     x = 1", "-    return x", "+    return x + 1")
    (proposal,) = proposals_of(text, "/w")
    assert proposal.edit is not None
    before = b"def g():\n    x = 1\n    return x\ndef f():\n    x = 1\n    return x\n"
    after = applied(proposal.edit, before)
    assert after == b"def g():\n    x = 1\n    return x\ndef f():\n    x = 1\n    return x + 1\n"


def test_a_hunk_that_does_not_match_is_not_predicted() -> None:
    edit = Edit(hunks=(Hunk(("gone",), ("new",)),))
    assert applied(edit, b"other\n") is None
    shown = filled(FileEdit("/w/a", "edit", diff=asked(edit)), edit, b"other\n")
    assert shown.after is None
    assert "new" in shown.diff  # the edit asked for is still shown, and still covered by the digest


def test_a_move_is_a_deletion_and_a_write() -> None:
    text = patch("*** Update File: a", "*** Move to: /etc/b", "@@", "-x", "+y")
    assert [(p.content.path, p.content.operation) for p in proposals_of(text, "/w")] == [  # type: ignore[union-attr]
        ("/w/a", "delete"),
        ("/etc/b", "write"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*** Begin Patch\n*** End Patch",
        patch("*** Rename File: a"),
        patch("*** Add File: a", "no plus"),
        patch("*** Delete File: a", "rest"),
        patch("*** Update File: a"),
        patch("*** Update File: a", "@@ x", "@@ y", "-z"),
        patch("*** Update File: a", "? what"),
        patch("*** Add File: a", "+x", "*** Add File: a", "+y"),
        patch("*** Add File: ~/a", "+x"),
    ],
)
def test_a_patch_that_is_not_plain_is_refused(text: str) -> None:
    with pytest.raises(HookMalformed):
        proposals_of(text, "/w")


@given(st.text(alphabet="*+-@ \nabAddFileUpdtBgnPch:/", max_size=120))
def test_no_text_breaks_the_patch_reader(text: str) -> None:
    try:
        proposals = proposals_of(f"*** Begin Patch\n{text}\n*** End Patch", "/w")
    except KeyturnError:
        return
    assert all(isinstance(p.content, FileEdit) and p.content.path.startswith("/") for p in proposals)


@given(st.text(max_size=80), st.text(min_size=1, max_size=4), st.text(max_size=4), st.booleans())
def test_replacing_is_what_replacing_means(text: str, old: str, new: str, every: bool) -> None:
    edit = Edit(replacements=(Replacement(old, new, every),))
    if any("\ud800" <= letter <= "\udfff" for letter in text + old + new):
        return
    after = applied(edit, text.encode())
    count = text.count(old)
    if count == 0 or (count > 1 and not every):
        assert after is None
    else:
        assert after == text.replace(old, new).encode()


@given(st.binary(max_size=200), st.text(max_size=100))
def test_a_whole_file_is_bound_by_both_digests(before: bytes, text: str) -> None:
    edit = Edit(text=text)
    content = filled(FileEdit("/w/a", "write", diff=asked(edit)), edit, before)
    assert content.before == digest_bytes(before)
    assert content.after == digest_bytes(text.encode("utf-8", "surrogatepass"))
    assert content.operation == "write"
    assert filled(content, edit, None).operation == "create"


def test_a_change_of_line_ends_or_of_the_last_newline_is_shown() -> None:
    edit = Edit(text="a\nb")
    shown = filled(FileEdit("/w/a", "write"), edit, b"a\nb\n").diff
    assert "No newline at end of file" in shown
