"""Rules that a house brings, in gitleaks' format: run over what was recorded, and told of without the secret."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from keyturn.cli.init import create
from keyturn.home import Home
from keyturn.ledger.entries import Draft
from keyturn.redaction import packs
from keyturn.redaction.packs import RulesInvalid
from keyturn.server import open_service
from keyturn.service import second_look
from keyturn.service.redaction_settings import RedactionSettings
from keyturn.service.settings import Settings, load

RULES = b"""
title = "house"

[[rules]]
id = "acme-token"
description = "A token of ours"
regex = '''\\b(acme:[0-9a-z]{12})\\b'''
keywords = ["acme:"]

[[rules]]
id = "generic"
regex = '''(?i)house[_-]key\\s*=\\s*["']?([a-z0-9]{8,40})'''
entropy = 3.0
secretGroup = 1
keywords = ["house"]
  [rules.allowlist]
  stopwords = ["example"]
  regexes = ['''^dummy''']

[[rules]]
id = "only-path"
path = '''\\.pem$'''

[allowlist]
regexes = ['''acme:0{12}''']
"""
ACME = "acme:" + "a1b2c3d4e5f6"


def _found(text: str, rules: bytes = RULES) -> list[tuple[str, bytes]]:
    return [(one.rule, one.secret) for one in packs.read([("house.toml", rules)]).found(text)]


def test_a_rule_finds_what_it_is_for_by_keyword_group_and_entropy() -> None:
    assert _found(f"send {ACME} now") == [("acme-token", ACME.encode())]
    assert _found("house_key = 'q8w7e6r5t4z3u2'") == [("generic", b"q8w7e6r5t4z3u2")]
    assert _found("house_key = 'aaaaaaaaaaaa'") == [], "too little chance in it"
    assert _found("HOUSE-KEY=example1234567") == []
    assert _found("house_key=dummy1234567890") == []
    assert _found("acme:000000000000") == []
    assert packs.read([("house.toml", RULES)]).left_out == ["only-path"]


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (b"[[rules]]\nid='x'\nregex='''(?<=a)b'''", "RE2"),
        (b"[[rules]]\nid='x'\nregex='''(a)\\1'''", "RE2"),
        (b"[[rules]]\nid='x'\nregex='''(a)'''\nsecretGroup=4", "group 4"),
        (b"[extend]\nuseDefault=true", "extends"),
        (b"[[rules]]\nregex='''a'''", "id"),
        (b"not toml", "house.toml"),
    ],
)
def test_what_can_not_be_run_is_refused_with_its_name(rules: bytes, words: str) -> None:
    with pytest.raises(RulesInvalid, match=words):
        packs.read([("house.toml", rules)])


def test_a_secret_that_got_in_is_a_finding_without_the_secret(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    create(home, "dana", "Dana", "enforce")
    (home.root / "house.toml").write_bytes(RULES)
    home.settings.write_text('[redaction]\nrules = ["house.toml"]\n')
    looking = second_look.looks(home.root, load(home.root, {}).redaction)
    service = open_service(home, Settings())

    async def story() -> None:
        work = asyncio.create_task(second_look.run(service.core, looking))
        async with service.core.ledger.subscribe() as entries:
            await service.core.ledger.append(
                [Draft("probe.result", {"gate": "g", "client": "c", "stopped": True, "how": f"sent {ACME}"})]
            )
            async for entry in entries:
                if entry.type == "finding.opened":
                    break
        work.cancel()
        assert entry.fields["kind"] == "secret.recorded"
        assert entry.fields["subject"]["secret"] == service.core.redaction.digest(ACME.encode())
        assert ACME not in json.dumps(entry.fields)

    try:
        asyncio.run(asyncio.wait_for(story(), 120))
    finally:
        service.core.ledger.close()


def test_what_the_settings_ask_for_and_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(RulesInvalid, match=r"missing\.toml"):
        second_look.looks(tmp_path, RedactionSettings(rules=("missing.toml",)))


def test_detect_secrets_looks_too_where_it_is_installed() -> None:
    pytest.importorskip("detect_secrets", reason="detect-secrets is an operator's own choice")
    (look,) = second_look.looks(Path(), RedactionSettings(detect_secrets=True))
    found = look("token ghp_" + "a1B2c3D4" * 4 + "wxyz\nplain line")
    assert [one.rule for one in found] == ["detect-secrets:GitHub Token"]


def test_without_detect_secrets_its_setting_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "detect_secrets", None)
    monkeypatch.setitem(__import__("sys").modules, "detect_secrets.core.scan", None)
    with pytest.raises(RulesInvalid, match="not installed"):
        second_look.looks(Path(), RedactionSettings(detect_secrets=True))
