"""`keyturn key` and `keyturn approve --sign` with the real ssh-keygen: what does not fit together is not signed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from cli_house import House, furnished, keyturn
from server_process import GateClient
from test_cli_plans import steps_of

from conftest import short_folder
from keyturn import policy as policies
from keyturn.canonical import digest
from keyturn.cli.ledger import log_vkey
from keyturn.gates import protocol as wire
from keyturn.home import Home

KEYGEN = shutil.which("ssh-keygen")
pytestmark = pytest.mark.skipif(KEYGEN is None, reason="no ssh-keygen: install openssh-client")

RULE = b"""
@id("signed-removals")
@hold
@approve("1 of reviewers")
@assurance("signed")
@within("30m")
@because("Removing needs a signature.")
permit(principal, action, resource)
when { context.program == "rm" };
"""


def make_key(folder: Path, name: str, kind: str = "ed25519") -> Path:
    """A real SSH key."""
    assert KEYGEN
    subprocess.run([KEYGEN, "-q", "-t", kind, "-N", "", "-C", name, "-f", folder / name], check=True)
    return folder / name


class Signed:
    """A house whose policy wants signatures; Riley has a key."""

    def __init__(self, house: House, folder: Path) -> None:
        self.house = house
        self.folder = folder
        self.key = make_key(folder, "riley")
        added = house.keyturn("key", "add", self.key, "--name", "laptop", by="riley")
        assert added.code == 0, added
        request = next(one["id"] for one in self.waiting() if one["subject"] == "key")
        approved = house.keyturn("approve", request, "--digest", house.digest(request))
        assert approved.code == 0, approved

    def waiting(self) -> list[dict[str, Any]]:
        return json.loads(self.house.keyturn("requests", "--json").out)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def signed() -> Iterator[Signed]:
    files = {**policies.read_folder(policies.STARTER), "rules/signed.cedar": RULE}
    with short_folder() as folder, furnished(folder, files) as house:
        yield Signed(house, folder)


def test_a_key_is_added_listed_signs_and_is_revoked(signed: Signed) -> None:
    house = signed.house
    (listed,) = json.loads(house.keyturn("key", "list", "--json").out)
    assert (listed["person"], listed["name"], listed["type"]) == ("riley", "laptop", "ssh")
    assert listed["fingerprint"] in house.keyturn("key", "list").out
    request = house.ask()
    refused = house.keyturn("approve", request, "--digest", house.digest(request), by="riley")
    assert refused.code == 3
    assert "approval.assurance" in refused.err
    done = house.keyturn(
        "approve", request, "--sign", "--key", signed.key, "--digest", house.digest(request), "--json", by="riley"
    )  # fmt: skip
    assert done.code == 0, done
    view = json.loads(done.out)
    assert (view["state"], view["approvals"][0]["assurance"]) == ("approved", "signed")
    verified = house.keyturn("ledger", "verify", "--json")
    assert verified.code == 0, verified
    assert json.loads(verified.out)["approvals"]["counts"]["approvals signed"] >= 1


def test_an_exported_folder_verifies_with_the_program_inside(signed: Signed, tmp_path: Path) -> None:
    house, request = signed.house, signed.house.ask()
    shown = house.digest(request)
    assert (
        house.keyturn("approve", request, "--sign", "--key", signed.key, "--digest", shown, by="riley").code
        == 0
    )
    out = tmp_path / "out"
    assert house.keyturn("ledger", "export", out).code == 0
    vkey = log_vkey(house.home)
    command = ["python3", "-I", "-S", str(out / "verify_approvals.py"), str(out), "--key", vkey]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done
    assert "Everything holds" in done.stdout
    assert "approvals signed" in done.stdout


def test_a_plan_is_made_again_from_its_content_before_it_is_signed(signed: Signed) -> None:
    house = signed.house
    gate = GateClient(house.home)
    try:
        steps = steps_of(gate, "rm -r a", "ls", "rm -r b")
        answer = gate.ask(wire.ProposePlan(77, steps)).plan
        assert answer is not None
        assert answer.request is not None
        done = house.keyturn(
            "approve",
            answer.request,
            "--sign",
            "--key",
            signed.key,
            "--digest",
            house.digest(answer.request),
            "--reason",
            "read all of it",
            "--json",
            by="riley",
        )
        assert done.code == 0, done.err
        assert (done.json["state"], done.json["approvals"][0]["assurance"]) == ("approved", "signed")
        ran = gate.ask(wire.Authorize(78, steps[0].action, steps[0].around, consume=True)).outcome
        assert ran is not None
        assert ran.verdict == "run"
    finally:
        gate.close()
    assert house.keyturn("ledger", "verify", "--json", by="riley").code == 0


def test_a_key_in_the_agent_signs(signed: Signed) -> None:
    house = signed.house
    agent, add = shutil.which("ssh-agent"), shutil.which("ssh-add")
    if not (agent and add):
        pytest.skip("no ssh-agent: install openssh-client")
    with short_folder() as folder:
        running = subprocess.Popen([agent, "-D", "-a", str(folder / "s")], stdout=subprocess.DEVNULL)
        try:
            environment = {"SSH_AUTH_SOCK": str(folder / "s"), "HOME": str(folder)}
            while not (folder / "s").exists():
                assert running.poll() is None
                os.sched_yield()
            subprocess.run([add, "-q", signed.key], check=True, env={**os.environ, **environment})
            request = house.ask()
            shown = house.digest(request)
            done = house.keyturn("approve", request, "--sign", "--digest", shown, by="riley", env=environment)
            assert done.code == 0, done
        finally:
            running.terminate()
            running.wait()


def test_without_a_key_at_hand_or_with_a_strangers_nothing_is_signed(signed: Signed, tmp_path: Path) -> None:
    house, request = signed.house, signed.house.ask()
    arguments = ("approve", request, "--sign", "--digest", house.digest(request))
    environment = {"HOME": str(tmp_path), "SSH_AUTH_SOCK": ""}
    none = house.keyturn(*arguments, by="riley", env=environment)
    assert (none.code, "sign.no_key" in none.err) == (2, True)
    other = make_key(tmp_path, "other")
    for file, code in ((other, "sign.no_key"), (tmp_path / "absent", "sign.failed")):
        said = house.keyturn(*arguments, "--key", file, by="riley")
        assert code in said.err
    (tmp_path / "gone.pub").write_text((signed.key.with_suffix(".pub")).read_text())
    gone = house.keyturn(*arguments, "--key", tmp_path / "gone.pub", by="riley", env=environment)
    assert "sign.failed" in gone.err
    assert house.keyturn("approve", request, "--key", signed.key, by="riley").code == 2  # without --sign
    assert any(one["id"] == request for one in signed.waiting())


# --- a server that lies


class Liar:
    """Stands between the command line and the server, and alters what comes back."""

    def __init__(self, server: str) -> None:
        self.lie: Callable[[str, dict[str, Any]], None] = lambda path, body: None
        self.posted: list[str] = []
        liar = self

        class Handler(BaseHTTPRequestHandler):
            def _pass(self) -> None:
                size = int(self.headers.get("content-length") or 0)
                sent = self.rfile.read(size) if size else None
                kept = {
                    n: v for n, v in self.headers.items() if n.lower() in ("authorization", "content-type")
                }
                asked = Request(server + self.path, sent, kept, method=self.command)
                try:
                    with urlopen(asked) as answer:
                        status, body, kind = answer.status, answer.read(), answer.headers["content-type"]
                except HTTPError as error:
                    status, body, kind = error.code, error.read(), error.headers["content-type"]
                if self.command == "POST":
                    liar.posted.append(self.path)
                if "json" in kind and status == 200:
                    told = json.loads(body)
                    liar.lie(self.path, told)
                    body = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = _pass  # noqa: N815 — names that http.server looks for

            def log_message(self, *arguments: object) -> None:
                """Says nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture(scope="module")
def liar(signed: Signed) -> Iterator[Liar]:
    made = Liar(signed.house.server.url)
    yield made
    made.http.shutdown()


def _view(change: Callable[[dict[str, Any]], None]) -> Callable[[str, dict[str, Any]], None]:
    def lie(path: str, body: dict[str, Any]) -> None:
        if "subject" in body:
            change(body)

    return lie


def _handed(change: Callable[[dict[str, Any]], None]) -> Callable[[str, dict[str, Any]], None]:
    def lie(path: str, body: dict[str, Any]) -> None:
        if path.endswith("/statement"):
            change(body)

    return lie


def _set(*path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(body: dict[str, Any]) -> None:
        for name in path[:-1]:
            body = body[name]
        body[path[-1]] = value

    return change


def _harmless(path: str, body: dict[str, Any]) -> None:
    """A whole other action is shown, consistently; only the digests are the true ones."""
    if "subject" in body:
        body["text"] = body["content"]["script"] = "ls"
    if path.endswith("/statement"):
        body["document"]["text"] = body["document"]["content"]["script"] = "ls"


def _harmless_to_the_last(path: str, body: dict[str, Any]) -> None:
    """As above, with the act exchanged and its digest worked out anew: then the statement's digest is another one."""
    _harmless(path, body)
    if path.endswith("/statement"):
        body["act"]["content"]["script"] = "ls"
        body["document"]["digest"] = digest(body["act"])


LIES: dict[str, Callable[[str, dict[str, Any]], None]] = {
    "another text in the view": _view(_set("text", value="ls")),
    "another sentence in the view": _view(_set("sentence", value="Lists a folder.")),
    "another digest in the view": _view(_set("digest", value="sha256:" + "0" * 64)),
    "another display in the statement": _handed(_set("statement", "display", value="sha256:" + "0" * 64)),
    "another digest in the statement": _handed(_set("statement", "digest", value="sha256:" + "0" * 64)),
    "another request in the statement": _handed(_set("statement", "request", value="r_other")),
    "another person in the statement": _handed(_set("statement", "person", value="dana")),
    "another policy in the statement": _handed(_set("statement", "policy", value="sha256:" + "0" * 64)),
    "a longer grant in the statement": _handed(_set("statement", "grant", value="86400s")),
    "another text in the document": _handed(_set("document", "text", value="ls")),
    "another sentence in the document": _handed(_set("document", "sentence", value="Lists a folder.")),
    "another reading in the document": _handed(_set("document", "reading", "complete", value=False)),
    "another folder in the act": _handed(_set("act", "cwd", value="/elsewhere")),
    "another target in the act": _handed(_set("act", "target", value="production")),
    "variables in the act": _handed(_set("act", "environment", value={"LD_PRELOAD": "/tmp/x.so"})),
    "files in the act": _handed(_set("act", "executes", value={"/bin/rm": "sha256:00"})),
    "another action, shown consistently": _harmless,
    "another action, digested consistently": _harmless_to_the_last,
    "no act at all": _handed(_set("act", value={})),
    "a document that lacks things": _handed(_set("document", value={})),
}


@pytest.mark.parametrize("name", LIES)
def test_a_server_that_lies_gets_no_signature(signed: Signed, liar: Liar, name: str) -> None:
    request = signed.house.ask()
    shown = signed.house.digest(request)
    environment = {"KEYTURN_URL": liar.url}
    arguments = ("approve", request, "--sign", "--key", signed.key, "--digest", shown)
    liar.lie, liar.posted = LIES[name], []
    try:
        lied = signed.house.keyturn(*arguments, by="riley", env=environment)
    finally:
        liar.lie = lambda path, body: None
    assert lied.code in (2, 3), lied  # refused here; or by the true server, for a digest that it never had
    assert not any(path.endswith("/approve") for path in liar.posted)
    if not name.endswith("digest in the view"):
        assert "sign.does_not_fit" in lied.err
    true = signed.house.keyturn(
        *arguments, by="riley", env=environment
    )  # its legitimate twin, through the same proxy
    assert true.code == 0, true


# --- the beginning


def test_the_first_person_brings_a_key_that_is_marked(folder: Path) -> None:
    key = make_key(folder, "mine")
    made = keyturn("init", "--home", folder / "home", "--person", "dana", "--key", key)
    assert made.code == 0, made
    log = keyturn("ledger", "log", "--home", folder / "home", "--type", "key.enrolled", "--json").out
    entry = json.loads(log)
    assert entry["index"] == 3
    assert entry["fields"]["genesis"] is True
    assert keyturn("ledger", "verify", "--home", folder / "home").code == 0


def test_a_home_with_a_key_that_is_none_is_not_made(folder: Path) -> None:
    (folder / "no.pub").write_text("ssh-dss AAAA\n")
    made = keyturn("init", "--home", folder / "home", "--key", folder / "no.pub")
    assert "sign.failed" in made.err
    assert not Home(folder / "home").exists
