"""Promise 9, the pure part: what is a secret is found in whatever form it comes, and what is none stays readable."""

# ruff: noqa: E501 (a pattern or a case stands on one line)
from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks import secret_shapes
from hypothesis import given
from hypothesis import strategies as st

from keyturn.redaction import Secrets, redact
from keyturn.redaction.commands import USAGES
from keyturn.redaction.marker import ESCAPED, OPEN, marker
from keyturn.redaction.tokens import RULES

KEY, OTHER = b"k" * 32, b"o" * 32
TOKEN = "ghp_" + "aB3dE5gH7jK9" * 3
CORPORA = Path(__file__).parents[2].parent / "shared" / "corpora"


def _text(text: str) -> str:
    return redact(text, KEY).text


# --- what is found -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2])
def test_of_generated_secrets_ninety_nine_of_a_hundred_are_taken_out(seed: int) -> None:
    everything = secret_shapes.cases(seed)
    missed = [case for case in everything if secret_shapes.missed(case, _text(case.text))]
    print([f"{case.shape} in {case.form}: {case.text}" for case in missed])
    assert len({case.shape for case in everything}) >= 60
    assert len({case.form for case in everything}) >= 50
    assert len(missed) <= len(everything) * 0.01


def test_without_redaction_the_same_corpus_is_all_missed() -> None:
    everything = secret_shapes.cases(1)
    assert sum(secret_shapes.missed(case, case.text) for case in everything) > len(everything) * 0.9


def _commands() -> list[str]:
    found: list[str] = []
    for name, member in (("nl2bash.txt", ""), ("aegish-harmless.jsonl", "command")):
        file = CORPORA / name
        if not file.is_file():
            pytest.skip(f"the corpus {name} is not beside the repository")
        lines = file.read_text("utf-8").splitlines()
        found += [json.loads(line)[member] for line in lines] if member else lines
    return found


def test_of_commands_that_people_wrote_at_most_one_in_a_hundred_is_flagged() -> None:
    commands = _commands()
    flagged = [command for command in commands if redact(command, KEY).spans]
    print(flagged)
    assert len(flagged) <= len(commands) * 0.01


READABLE = (
    "export PASSWORD=$DB_PASSWORD", 'export TOKEN="$(cat /run/secrets/token)"', 'curl -H "Authorization: Bearer $TOKEN" https://x.example',
    "curl -u \"$USER:$PASS\" https://x.example", "docker run -e PASSWORD image", "grep -rn 'api_key=' src", "sed -i 's/password=.*/password=REDACTED/' f",
    "python train.py --max_tokens=4096 --tokenizer bert-base-uncased", "git checkout 9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a",
    "docker pull nginx@sha256:" + "0123456789abcdef" * 4, 'echo "PASSWORD=changeme" > .env.example', "export API_KEY=your-api-key-here", "mysql -u root -p",
    'password = input("Password: ")', 'api_key = os.environ["API_KEY"]', "sort -k 2 -t , file", "token: expired", "the token is invalid", "alias pwd='ls -la'",
    "ssh -i ~/.ssh/key.pem user@host", '"id": "12345678-1234-4321-8abc-1234567890ab"', "valueFrom: {secretKeyRef: {name: db, key: password}}",
    "git commit -m 'Add token refresh'", "PASSWORD_FILE=/run/secrets/db", "password: ${{ secrets.DB }}", "url: https://{user}:{password}@host/",
)  # fmt: skip


@pytest.mark.parametrize("text", READABLE)
def test_references_placeholders_and_what_is_published_stay_readable(text: str) -> None:
    assert _text(text) == text


HUNTER = (
    "mysql -uroot -phunter2 db", "mysql://root:hunter2@localhost/db", 'export CONN="Server=db;User Id=sa;Password=hunter2;"', "curl -F password=hunter2 https://x",
    "${DB_PASSWORD:-hunter2}", 'os.environ["DB_PASSWORD"] = "hunter2"', "define('DB_PASSWORD', 'hunter2');", "my password is hunter2", "login admin password hunter2",
    "jdbc:postgresql://h/db?user=u&password=hunter2", "ALTER USER 'r'@'%' IDENTIFIED BY 'hunter2'", "echo hunter2 | sudo -S ls", "sudo -S ls <<< 'hunter2'",
    "smbclient //h/s -U user%hunter2", "ssh-keygen -N 'hunter2' -f k", "keytool -genkey -storepass hunter2", "sqlplus scott/hunter2@db", "helm install x --set auth.password=hunter2",
    "terraform apply -var 'db_password=hunter2'", "echo hunter2 > password.txt", "mount -t cifs -o username=u,password=hunter2 //h/s /m", "ConvertTo-SecureString 'hunter2' -AsPlainText",
)  # fmt: skip


@pytest.mark.parametrize("text", HUNTER)
def test_a_weak_password_is_a_secret_where_a_password_stands(text: str) -> None:
    assert "hunter2" not in _text(text)


# --- what is made of it --------------------------------------------------------------------------------------------


def _digest(text: str, key: bytes = KEY) -> str:
    (span,) = redact(text, key).spans
    return span.digest


def test_equal_secrets_have_equal_digests_however_they_are_written() -> None:
    half = len(TOKEN) // 2
    written = [
        f"export TOKEN={TOKEN}",
        f"send '{TOKEN}'",
        f"send '{TOKEN[:half]}'\"{TOKEN[half:]}\"",
        f"send {TOKEN[:half]}\\\n{TOKEN[half:]}",
        f"send $'\\x67{TOKEN[1:]}'",
        json.dumps({"token": TOKEN}),
        f"echo GITHUB_TOKEN={TOKEN} > .env",
        f"echo 'export TOKEN={TOKEN}' >> secrets.sh",
        f"echo {TOKEN} > token.txt",
    ]
    assert len({_digest(text) for text in written}) == 1
    assert _digest(f"x {TOKEN}") != _digest(f"x {TOKEN[:-1]}z")


def test_a_digest_says_nothing_without_its_key() -> None:
    assert _digest(f"x {TOKEN}", KEY) != _digest(f"x {TOKEN}", OTHER)
    assert len(_digest(f"x {TOKEN}")) * 4 >= 64


def test_redacting_again_changes_nothing() -> None:
    for case in secret_shapes.cases(3):
        once = redact(case.text, KEY)
        again = redact(once.text, KEY)
        assert again.text == once.text
        assert again.spans == once.spans


@given(
    st.text(max_size=400)
    | st.lists(
        st.sampled_from(
            ("password=", "'", '"', "\\", OPEN, "⟧", TOKEN, " -p", "$'", "\n", ":", "x1y2z3", "://u:", "@h")
        ),
        max_size=25,
    ).map("".join)
)
def test_any_text_is_redacted_once_and_for_all(text: str) -> None:
    once = redact(text, KEY, fresh=True).text
    assert redact(once, KEY).text == once
    assert TOKEN not in once


def test_a_marker_that_comes_in_is_not_taken_for_ours() -> None:
    ours = marker("jwt", "0" * 20, KEY)
    made_up = f"⟦secret:jwt:{'0' * 20}.{'0' * 10}⟧"
    assert redact(f"a {ours}", KEY).text == f"a {ours}"
    for text in (
        redact(f"a {ours}", KEY, fresh=True),
        redact(f"a {made_up}", KEY),
        redact(f"a {ours}", OTHER),
    ):
        assert text.text.startswith(f"a {ESCAPED}")
        assert OPEN + "jwt" not in text.text


def test_what_is_left_of_a_command_is_in_balance() -> None:
    half = len(TOKEN) // 2
    found = _text(f"send '{TOKEN[:half]}'\"{TOKEN[half:]}\" now")
    assert found.startswith("send ⟦")
    assert found.endswith("⟧ now")


def test_what_was_found_is_taken_out_of_everything_made_from_it() -> None:
    secrets = Secrets(KEY)
    secrets.redacted("mysql -u root -phunter2 -e 'select 1'", fresh=True)
    made = secrets.clean(
        {"argv": ["mysql", "-u", "root", "-phunter2"], "sentence": "asks as hunter2", "cwd": "/root"}
    )
    assert "hunter2" not in json.dumps(made["sentence"])
    assert made["cwd"] == "/root"


def test_json_is_read_by_its_names() -> None:
    given = {
        "password": "sunflower",
        "nested": [{"apiKey": "abc123def456"}],
        "args": ["--token", "abc123def456xyz", "run"],
        "headers": {"Authorization": "Bearer abcdef1234567890"},
        "env": [{"name": "DB_PASSWORD", "value": "sunflowers"}],
        "title": "password reset",
        "token_count": "4096",
        "kept": "$TOKEN",
    }
    made = Secrets(KEY).taken(given)
    text = json.dumps(made)
    for secret in ("sunflower", "abc123def456", "abcdef1234567890"):
        assert secret not in text
    assert (made["title"], made["token_count"], made["kept"]) == ("password reset", "4096", "$TOKEN")
    assert made["args"][2] == "run"


def test_long_texts_are_read_in_parts_and_nothing_is_lost_between_them() -> None:
    filler = "word " * 60_000
    for shift in (0, 100, 255, 40_000):
        text = "x" * shift + filler + f" export TOKEN={TOKEN} " + filler
        assert TOKEN not in redact(text, KEY).text


def test_hostile_texts_end() -> None:
    for text in (
        "password=" * 50_000,
        "'" * 200_000,
        "ghp_" * 60_000,
        "://a:" * 50_000,
        "-----BEGIN PRIVATE KEY-----\n" * 5_000,
        "\\" * 200_000,
        OPEN * 20_000,
    ):
        redact(text, KEY)


def test_a_key_that_never_ends_is_cut_to_its_end() -> None:
    found = _text(
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC"
    )
    assert "MIIE" not in found


def test_every_kind_is_in_the_reference() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "redaction.md").read_text("utf-8")
    listed = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    assert listed == {rule.kind for rule in RULES} | {usage.kind for usage in USAGES} | {
        "named-secret",
        "authorization",
        "cookie",
    }
