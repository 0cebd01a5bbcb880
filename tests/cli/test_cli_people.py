"""People, gates, links and settings from the command line; tokens are printed once, on purpose, or never."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cli_house import House, environment, keyturn

from keyturn.errors import ExitCode
from keyturn.identity.credentials import looks_signed

TOKEN = re.compile(r"kt[pgls]_[A-Za-z0-9_-]{43}")


def test_a_person_is_added_changed_and_removed(house: House) -> None:
    made = house.keyturn(
        "person", "add", "sam", "--name", "Sam", "--group", "dba", "--role", "auditor", "--os-uid", "4711"
    )
    assert made.code == ExitCode.DONE
    assert len(TOKEN.findall(made.out)) == 1
    assert TOKEN.fullmatch(made.out.splitlines()[-1]), "scripts take the last line"
    everybody = {one["id"]: one for one in house.keyturn("person", "list", "--json").json}
    assert everybody["sam"] == {
        "id": "sam", "name": "Sam", "groups": ["dba"], "roles": ["auditor"], "os_uids": [4711], "accounts": [], "removed": False,
        "away_until": 0, "shared": False,
    }  # fmt: skip
    assert "accounts: 4711  (Sam)" in house.keyturn("person", "list").out
    changed = house.keyturn(
        "person", "change", "sam", "--no-group", "--no-os-uid", "--name", "", "--json"
    ).json
    assert (changed["groups"], changed["os_uids"], changed["name"], changed["roles"]) == (
        [],
        [],
        "",
        ["auditor"],
    )
    changed = house.keyturn(
        "person", "change", "sam", "--group", "a", "--group", "b", "--role", "member", "--json"
    ).json
    assert (changed["groups"], changed["roles"]) == (["a", "b"], ["member"])
    assert house.keyturn("person", "remove", "sam").out == "Removed sam.\n"
    assert "sam " in house.keyturn("person", "list").out
    assert "REMOVED" in house.keyturn("person", "list").out


@pytest.mark.parametrize(
    ("arguments", "code", "exit_code"),
    [
        (("person", "add", "dana"), "person.exists", ExitCode.USAGE),
        (("person", "add", "Not A Name"), "name.invalid", ExitCode.USAGE),
        (("person", "add", "zoe", "--group", "Not A Group"), "name.invalid", ExitCode.USAGE),
        (("person", "change", "nobody", "--name", "x"), "person.unknown", ExitCode.USAGE),
        (("person", "change", "dana", "--role", "admin"), "auth.forbidden", ExitCode.REFUSED),
        (("person", "remove", "nobody"), "person.unknown", ExitCode.USAGE),
        (("gate", "remove", "nobody"), "not_found", ExitCode.USAGE),
        (("gate", "add", "Not A Name"), "name.invalid", ExitCode.USAGE),
    ],
)
def test_what_can_t_be_is_refused_with_its_own_code(
    house: House, arguments: tuple[str, ...], code: str, exit_code: int
) -> None:
    said = house.keyturn(*arguments, "--json")
    assert (said.error["code"], said.code, said.out) == (code, exit_code, "")


def test_only_an_administrator_enrols(house: House) -> None:
    for arguments in (("person", "add", "me2"), ("person", "remove", "robin"), ("gate", "add", "mine")):
        said = house.keyturn(*arguments, "--json", by="riley")
        assert (said.code, said.error["code"]) == (ExitCode.REFUSED, "auth.forbidden")


# --- tokens -------------------------------------------------------------------------------------------------------


def test_a_new_token_replaces_the_old_one_in_its_file(house: House) -> None:
    file = house.enrol("tess")
    old = file.read_text().strip()
    link = house.tokens / "tess-link"
    link.symlink_to(file)
    said = house.keyturn("person", "token", by="tess-link")
    assert said.code == ExitCode.DONE
    assert TOKEN.search(said.all) is None, "it is in the file, so it need not be on the screen"
    new = file.read_text().strip()
    assert new != old
    assert link.is_symlink()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert house.keyturn("requests", by="tess").code == ExitCode.DONE
    file.write_text(old)
    assert "[auth.unknown]" in house.keyturn("requests", by="tess").err
    file.write_text(new)
    assert house.keyturn("person", "token", "--json", by="tess").json == {
        "id": "tess",
        "token_file": str(file),
    }


def test_a_new_token_that_can_t_be_kept_is_printed_because_the_old_one_is_void(house: House) -> None:
    """From a pipe, as secret managers hand tokens over: there is no file to write to."""
    token = house.enrol("pia").read_text().strip()
    reader, writer = os.pipe()
    os.write(writer, token.encode() + b"\n")
    os.close(writer)
    ran = subprocess.run(
        [sys.executable, "-m", "keyturn", "person", "token"],
        env=environment(KEYTURN_HOME=str(house.home.root), KEYTURN_TOKEN_FILE=f"/dev/fd/{reader}"),
        pass_fds=[reader], capture_output=True, text=True, check=False,
    )  # fmt: skip
    os.close(reader)
    assert ran.returncode == ExitCode.DONE
    (printed,) = TOKEN.findall(ran.stdout)
    assert printed != token
    assert "not shown again" in ran.stderr
    (house.tokens / "pia").write_text(printed)
    assert house.keyturn("requests", by="pia").code == ExitCode.DONE


def test_a_gate_s_token_is_alone_on_stdout(house: House) -> None:
    said = house.keyturn("gate", "add", "builder", "--assurance", "cooperative")
    assert looks_signed(said.out.strip())
    assert "not shown again" in said.err
    assert "builder" in house.keyturn("gate", "list").out
    assert house.keyturn("gate", "remove", "builder").code == ExitCode.DONE
    assert "builder" not in house.keyturn("gate", "list").out


def test_a_gates_token_goes_to_a_file_of_the_users_alone_and_is_renewed_in_place(
    house: House, tmp_path: Path
) -> None:
    file = tmp_path / "builder.token"
    said = house.keyturn("gate", "add", "builder", "--out", str(file))
    assert looks_signed(file.read_text().strip())
    assert file.read_text().strip() not in said.out + said.err
    assert file.stat().st_mode & 0o777 == 0o600
    before = file.read_text()
    assert house.keyturn("gate", "add", "builder", "--out", str(file)).code == ExitCode.USAGE, (
        "nothing is overwritten"
    )
    assert house.keyturn("credential", "renew", str(file), "--grace", "0s").code == ExitCode.DONE
    assert file.read_text() != before
    assert file.stat().st_mode & 0o777 == 0o600
    listed = house.keyturn("credential", "list", "--all").out
    assert "rotated" in listed or "revoked" in listed
    assert house.keyturn("credential", "renew", str(house.home.tokens / "dana")).code == ExitCode.USAGE


def test_a_scoped_token_is_made_listed_and_revoked(house: House, tmp_path: Path) -> None:
    file = tmp_path / "phone.token"
    said = house.keyturn(
        "token", "new", "--scope", "approve", "--expires", "30d", "--name", "phone", "--out", str(file)
    )
    assert said.code == ExitCode.DONE, said.err
    assert TOKEN.fullmatch(file.read_text().strip())
    listed = house.keyturn("token", "list").out
    assert "approve" in listed
    assert "phone" in listed
    revoked = house.keyturn("token", "revoke", listed.split()[0], "--why", "lost")
    assert revoked.code == ExitCode.DONE
    assert "phone" not in house.keyturn("token", "list").out
    assert house.keyturn("token", "new", "--scope", "approve", "--expires", "2y").code == ExitCode.USAGE


def test_no_token_is_printed_logged_or_recorded_but_once_on_purpose(house: House) -> None:
    tokens = [file.read_text().strip() for file in (*house.tokens.iterdir(), *house.home.tokens.iterdir())]
    assert len(tokens) >= 4
    request = house.ask()
    shown = [
        house.keyturn(*arguments, *json_option).all
        for arguments in (
            ("requests",), ("show", request), ("person", "list"), ("gate", "list"), ("config",), ("doctor",),
            ("ledger", "log", "-n", "1000"), ("ledger", "prove", "1"), ("approve", request), ("deny", request),
        )
        for json_option in ((), ("--json",))
    ]  # fmt: skip
    shown.append((house.home.root / "server.log").read_text())
    shown += [path.read_bytes().decode("latin-1") for path in house.home.root.glob("ledger.db*")]
    assert len(shown) >= 20
    for token in tokens:
        assert not any(token in text for text in shown)


def test_a_link_opens_the_page_once(house: House) -> None:
    url = house.keyturn("login", by="riley").out.strip()
    assert re.fullmatch(re.escape(house.server.url) + r"/login\?code=ktl_[A-Za-z0-9_-]{43}", url)
    assert house.keyturn("login", "--json", by="riley").json["url"] != url


# --- settings and policy ------------------------------------------------------------------------------------------


def test_config_says_where_each_value_comes_from_and_shows_no_password(folder: Path) -> None:
    (folder / "keyturn.toml").write_text(
        'store = "postgresql://keyturn:hunter2@db/keyturn?password=hunter3&x=1"\nhosts = ["a.example"]\n'
    )
    said = keyturn("config", "--home", folder, "--json", env={"KEYTURN_PORT": "9000"})
    found = {one["name"]: one for one in said.json}
    assert found["port"] == {"name": "port", "value": 9000, "origin": "KEYTURN_PORT"}
    assert found["hosts"] == {"name": "hosts", "value": ["a.example"], "origin": str(folder / "keyturn.toml")}
    assert found["listen"]["origin"] == "default"
    assert found["store"]["value"] == "postgresql://keyturn:…@db/keyturn?password=…&x=1"
    words = keyturn("config", "--home", folder)
    assert "hunter" not in words.all + said.all
    assert "not a home yet" in words.err


@pytest.mark.parametrize("text", ["prot = 1", "permit_seconds = 'x'", "max_body = 7", "port =", "\udcff"])
def test_settings_that_can_t_be_read_are_named(folder: Path, text: str) -> None:
    (folder / "keyturn.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    said = keyturn("config", "--home", folder, "--json")
    assert (said.code, said.error["code"]) == (ExitCode.USAGE, "settings.invalid")
    assert "keyturn.toml" in said.error["happened"]


def test_a_control_without_its_test_is_not_proposed_and_shown_with_its_place(
    house: House, folder: Path
) -> None:
    copy = folder / "policy"
    shutil.copytree(house.home.policy, copy)
    (copy / "controls").mkdir()
    text = 'id = "soc2"\n[[control]]\nid = "X.1"\ntitle = "x"\ngist = "x"\npasses = "x"\ntests = ["two_peepel"]\nhow = "automatic"\n'
    (copy / "controls" / "ours.toml").write_text(text)
    said = house.keyturn("policy", "publish", copy)
    assert said.code == ExitCode.USAGE
    assert "controls/ours.toml:7:11: there is no test 'two_peepel'" in said.err
    assert 'did you mean "two_people"?' in said.err
    assert "evidence.unknown_query" in said.err
    (copy / "controls" / "ours.toml").write_text(text.replace("two_peepel", "two_people"))
    assert house.keyturn("policy", "publish", copy).code == ExitCode.DONE


def test_a_policy_is_proposed_shown_and_takes_effect_when_somebody_else_approves(own_house: House) -> None:
    rules = own_house.home.policy / "rules" / "90-mine.cedar"
    rules.write_text(
        '@id("no-bc") @because("we don\'t")\nforbid(principal, action, resource) when { context.program == "bc" };\n'
    )
    proposed = own_house.keyturn("policy", "publish", "--note", "Because \u202e.", "--json").json
    shown = own_house.keyturn("show", proposed["id"], by="riley").out
    assert "+forbid(principal, action, resource)" in shown
    assert "the author's note: Because ‹U+202E›." in shown
    assert "proposed by dana" in shown
    assert (
        own_house.keyturn("approve", proposed["id"], "--digest", proposed["digest"]).code == ExitCode.REFUSED
    )
    assert (
        own_house.keyturn("approve", proposed["id"], "--digest", proposed["digest"], by="riley").code
        == ExitCode.DONE
    )
    last = json.loads(
        own_house.keyturn("ledger", "log", "--type", "policy.published", "--json").out.splitlines()[-1]
    )
    assert last["fields"]["digest"] == proposed["content"]["policy"]
    again = own_house.keyturn("policy", "publish", "--json")
    assert (again.code, again.error["code"]) == (ExitCode.USAGE, "policy.unchanged")
