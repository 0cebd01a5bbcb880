"""A session's terminal and its kill switch on the page: whose files are read, what the frame may, what a stop leaves."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from msgspec.structs import replace
from web_memory import HERE, MemoryWeb

import keyturn.channels.web.sessions as room
from keyturn.channels.web.guard import POLICY
from keyturn.channels.web.sessions import FRAME_POLICY
from keyturn.recordings import read_recording
from keyturn.service.model import SessionView

ID = "s_" + "0" * 26
Client = TestClient[Litestar]
PLAYER = Path(room.__file__).parent / "player"


@pytest.fixture
def recorded(web: MemoryWeb, tmp_path: Path) -> Path:
    """A session with a recording; gives the file."""
    web.recordings = tmp_path / "recordings"
    web.recordings.mkdir(mode=0o700)
    web.views[ID] = SessionView(ID, "claude", "claude-code", "olu", "exec:x@here", 1)
    file = web.recordings / f"{ID}.cast"
    file.write_text('{"version":3}\n[1,"o","hello"]\n')
    return file


def test_the_recording_is_given_in_pieces_to_people_only(
    recorded: Path, client: Client, web: MemoryWeb
) -> None:
    assert client.get(f"/sessions/{ID}/recording").status_code == 401
    client.post("/login", json={"code": web.code("dana")}, headers={"origin": HERE})
    assert client.get(f"/sessions/{ID}/recording").content == recorded.read_bytes()
    assert client.get(f"/sessions/{ID}/recording?from=14").content == recorded.read_bytes()[14:]
    assert client.get(f"/sessions/{ID}/recording?from=999999").content == b""


def test_no_link_no_foreign_name_and_no_special_file_is_read(recorded: Path, tmp_path: Path) -> None:
    folder = recorded.parent
    assert read_recording(folder, ID, 0) == recorded.read_bytes()  # the negative control
    secret = tmp_path / "secret"
    secret.write_text("secret")
    for name in ("../secret", "", ".", ID + "/..", ID + "\n", "s_" + "O" * 26):
        assert read_recording(folder, name, 0) is None, name
    recorded.unlink()
    recorded.symlink_to(secret)
    assert read_recording(folder, ID, 0) is None
    recorded.unlink()
    os.link(secret, recorded)
    assert read_recording(folder, ID, 0) is None
    recorded.unlink()
    os.mkfifo(recorded)
    assert read_recording(folder, ID, 0) is None
    recorded.unlink()
    recorded.write_text("x")
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert read_recording(link, ID, 0) is None
    assert read_recording(None, ID, 0) is None


def test_a_recording_is_held_against_the_ledger_and_every_state_has_its_words(
    recorded: Path, web: MemoryWeb, dana: Any
) -> None:
    digest = "sha256:" + hashlib.sha256(recorded.read_bytes()).hexdigest()

    def words() -> str:
        return str(dana.get(f"/sessions/{ID}").text)

    assert "It is being recorded." in words()
    web.views[ID] = replace(web.views[ID], closed=2)
    assert "no digest of this recording" in words()
    web.views[ID] = replace(web.views[ID], recording=digest)
    assert "the ledger has its digest" in words()  # the negative control of the next one
    recorded.write_text(recorded.read_text().replace("hello", "hullo"))
    assert "was changed after the session ended" in words()
    recorded.unlink()
    assert "the file is not here" in words()
    web.views[ID] = replace(web.views[ID], recording="")
    assert "was not recorded" in words()


def test_only_a_page_with_a_recording_may_frame_and_trusted_types_stay(recorded: Path, dana: Any) -> None:
    page = dana.get(f"/sessions/{ID}")
    assert page.headers["content-security-policy"] == f"{POLICY}; frame-src 'self'"
    assert "require-trusted-types-for 'script'" in POLICY
    assert 'sandbox="allow-scripts"' in page.text
    recorded.unlink()
    page = dana.get(f"/sessions/{ID}")
    assert page.headers["content-security-policy"] == POLICY
    assert "<iframe" not in page.text


def test_the_frame_has_its_own_policy_and_no_way_out(client: Client) -> None:
    frame = client.get("/player/stage.html")
    policy = frame.headers["content-security-policy"]
    assert policy == FRAME_POLICY
    assert "default-src 'none'" in policy
    assert "sandbox allow-scripts" in policy
    for word in ("connect-src", "allow-same-origin", "unsafe-inline", "'unsafe-eval'"):
        assert word not in policy
    assert "wasm" not in POLICY
    assert client.get("/player/VENDORED").status_code == 404
    assert client.get("/player/..%2fguard.py").status_code == 404


def test_the_vendored_player_is_the_one_that_was_published() -> None:
    listed = dict(
        re.findall(r"^([0-9a-f]{64})  (\S+)$", (PLAYER / "VENDORED").read_text(), re.MULTILINE)[::1]
    )
    found = {hashlib.sha256((PLAYER / name).read_bytes()).hexdigest(): name for name in listed.values()}
    assert found == listed
    assert set(listed.values()) == {"asciinema-player.min.js", "asciinema-player.css", "LICENSE"}


def test_a_stop_from_the_page_is_recorded_and_one_from_elsewhere_is_not(
    recorded: Path, web: MemoryWeb, dana: Any
) -> None:
    before = web.ledger.size
    assert dana.post(f"/sessions/{ID}/stop", json={"reason": "x"}).status_code == 403
    assert web.ledger.size == before
    headers = {"origin": HERE, "X-Keyturn-CSRF": next(iter(web.keys.values()))}
    answer = dana.post(f"/sessions/{ID}/stop", json={"reason": "runs wild"}, headers=headers)
    assert answer.status_code == 200
    assert answer.json() == {"words": "Stopped by dana: runs wild"}
    assert web.ledger.size == before + 1
