"""Recordings: what is written is asciicast v3, whole lines, the owner's alone, without secrets; and recording stops nothing."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.gates.exec.recording import NotASession, Recorder, recording_path
from keyturn.gates.exec.redaction import HIDDEN, MASK, MOST_HELD, Redactor, masked

AWS = "AKIA" + "IOSFODNN7EXAMPLE"
SECRETS = {
    "aws": (f"key {AWS} end", AWS),
    "github": ("x ghp_" + "a1B2" * 9 + "\n", "ghp_" + "a1B2" * 9),
    "slack": ("xoxb-" + "1234567890-abcdef", "1234567890-abcdef"),
    "openai": ("sk-proj-" + "A1b2C3d4" * 4, "A1b2C3d4A1b2"),
    "jwt": ("eyJ" + "hbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxIn0.c2ln", "hbGciOiJIUzI1NiJ9"),
    "password": ("mysql --password=hunter2secret -u x\n", "hunter2secret"),
    "quoted": ('{"db_password": "two words here"}\n', "two words"),
    "header": ("curl -H 'Authorization: Bearer abc.def.ghi' x\n", "abc.def.ghi"),
    "cookie": ("Set-Cookie: id=abcdef; Path=/\r\n", "abcdef"),
    "url": ("git clone https://bob:swordfish@git.example/x\n", "swordfish"),
    "option": ("$ deploy --token hunter22secret now\n", "hunter22secret"),
    "user": ("curl -u bob:hunter22secret https://x.example\n", "hunter22secret"),
    "prose": ("the password is hunter22secret\n", "hunter22secret"),
    "umlaut": ("grüße: api_key=hunter22secret ö\n", "hunter22secret"),
    "coloured": (f"\x1b[32mAKIA\x1b[1;31m{AWS[4:]}\x1b[0m \n", AWS[4:]),
    "pem": (
        "before\r\n-----BEGIN RSA PRIVATE KEY-----\r\nMIIEpAIBAAKCAQEA\r\nq83vEjRW\r\n-----END RSA PRIVATE KEY-----\r\nafter\r\n",
        "MIIEpAIBAAKCAQEA",
    ),
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_masked_wherever_the_chunks_are_cut(name: str) -> None:
    text, secret = SECRETS[name]
    whole = masked(text)
    assert secret not in whole
    assert MASK in whole
    for cut in range(len(text) + 1):
        redactor = Redactor()
        pieces = redactor.feed(text[:cut]) + redactor.feed(text[cut:]) + redactor.flush()
        assert secret not in pieces, cut
        assert MASK in pieces, cut
    redactor = Redactor()
    letters = "".join(redactor.feed(letter) for letter in text) + redactor.flush()
    assert secret not in letters
    assert MASK in letters


def test_without_keeping_back_the_cut_secret_would_be_written() -> None:
    """The negative control: masking each chunk by itself misses it."""
    text, secret = SECRETS["aws"]
    assert secret in masked(text[:10]) + masked(text[10:])


def test_what_stands_around_a_secret_stays() -> None:
    assert masked("a --password=x123 b\n") == f"a --password={MASK} b\n"
    assert masked(SECRETS["pem"][0]).split(MASK) == ["before\r\n", "\r\nafter\r\n"]
    assert masked("-----BEGIN RSA PRIVATE KEY-----\nuser@host:~$ ls\n").endswith("@host:~$ ls\n")


@given(st.lists(st.text("ab -=:\n\r\x1b[m\"'", max_size=20), max_size=12))
def test_text_without_secrets_is_kept_whole_however_it_is_cut(pieces: list[str]) -> None:
    redactor = Redactor()
    assert "".join(map(redactor.feed, pieces)) + redactor.flush() == "".join(pieces)


def test_an_endless_word_is_not_kept_in_memory_and_not_recorded() -> None:
    redactor = Redactor()
    given = (
        "".join(redactor.feed("x" * 1000) for _ in range(100)) + redactor.feed(" after ") + redactor.flush()
    )
    assert given == f"{MASK} after "
    assert len(redactor._held) <= MOST_HELD


def recorder(path: Path, **more: Any) -> Recorder:
    ticks = iter(range(10_000))
    return Recorder(path, (80, 24), started=1_763_671_234.9, clock=lambda: next(ticks) / 2, **more)


def events(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_recording_is_asciicast_v3_and_its_digest_is_the_files(tmp_path: Path) -> None:
    path = tmp_path / "recordings" / "x.cast"
    cast = recorder(path, command="deploy --token=abc123def")
    cast.output("caf\u00e9 ".encode()[:4])
    cast.output("caf\u00e9 ".encode()[4:])
    cast.marker("held r_1")
    cast.resize((100, 30))
    cast.input(b"ls \r")
    cast.input(b"pass", hidden=True)
    cast.input(b"word\r", hidden=True)
    done = cast.close(3)
    header, *rest = events(path)
    assert header == {
        "version": 3,
        "term": {"cols": 80, "rows": 24},
        "timestamp": 1763671234,
        "command": f"deploy --token={MASK}",
    }
    assert rest == [
        [0.5, "o", "caf\u00e9 "],
        [0.5, "m", "held r_1"],
        [0.5, "r", "100x30"],
        [0.5, "i", "ls \r"],
        [0.5, "i", HIDDEN],
        [0.5, "x", "3"],
    ]
    data = path.read_bytes()
    assert (done.digest, done.size) == ("sha256:" + hashlib.sha256(data).hexdigest(), len(data))
    assert done.trouble == ""
    assert cast.close(0) == done
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_bytes_that_are_no_text_are_recorded_as_replacements(tmp_path: Path) -> None:
    cast = recorder(tmp_path / "x.cast")
    cast.output(b"\xff\xfe \xe2")
    cast.close(0)
    assert "".join(e[2] for e in events(tmp_path / "x.cast")[1:] if e[1] == "o") == "\ufffd\ufffd \ufffd"


def test_a_file_or_link_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    for name, make in {
        "link": lambda p: p.symlink_to(victim),
        "file": lambda p: p.write_text("mine"),
    }.items():
        make(tmp_path / name)
        cast = recorder(tmp_path / name)
        cast.output(b"no ")
        assert "not recorded" in cast.close(0).trouble
        assert (tmp_path / name).read_text() == "mine"


def test_a_full_disk_stops_the_recording_in_words_and_nothing_else(tmp_path: Path) -> None:
    """A file size limit (setrlimit(2), EFBIG) stands for the full disk: a write that is cut, then refused."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    path = tmp_path / "x.cast"
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        cast = recorder(path)
        for _ in range(50):
            cast.output(b"line of text\r\n")
        done = cast.close(0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert "can't be written" in done.trouble
    assert "run goes on" in done.trouble
    assert len(events(path)) > 3
    assert done.digest == "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_recording_that_grows_too_large_stops_in_words(tmp_path: Path) -> None:
    cast = recorder(tmp_path / "x.cast", most=200)
    for _ in range(50):
        cast.output(b"line of text\r\n")
    assert "too large" in cast.close(0).trouble
    assert os.path.getsize(tmp_path / "x.cast") <= 200


@pytest.mark.parametrize(
    "name", ["", "..", "s_../../etc/passwd", "s_" + "0" * 25, "s_" + "0" * 26 + "\n", "r_" + "0" * 26]
)
def test_only_a_sessions_id_names_a_recording(tmp_path: Path, name: str) -> None:
    assert recording_path(tmp_path, "s_" + "0" * 26).name == "s_" + "0" * 26 + ".cast"
    with pytest.raises(NotASession):
        recording_path(tmp_path, name)
