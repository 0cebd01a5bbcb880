"""Gates on other machines: the gates' protocol over TLS with a certificate or a token. Real sockets, real TLS, real server."""

from __future__ import annotations

import json
import os
import socket
import ssl
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from server_process import GateClient, Process
from test_server_api import Api

from free_ports import free_port
from keyturn.actions import Action, Agent, Attribution, Gate, Human, Shell, Text
from keyturn.cli.init import create
from keyturn.gates import protocol as wire
from keyturn.home import Home
from keyturn.resources import Surroundings
from keyturn.service.model import Proposed


class Remote:
    """A gate on another machine: its own TLS stack, its own key."""

    def __init__(
        self, port: int, authority: str, *, chain: Path | None = None, host: str = "127.0.0.1"
    ) -> None:
        context = ssl.create_default_context(cadata=authority)
        if chain is not None:
            context.load_cert_chain(str(chain))
        raw = socket.create_connection(("127.0.0.1", port), timeout=120, source_address=(host, 0))
        self.line = context.wrap_socket(raw, server_hostname="localhost")

    def send(self, body: bytes) -> None:
        self.line.sendall(struct.pack(">I", len(body)) + body)

    def frame(self) -> bytes:
        (size,) = struct.unpack(">I", self._read(4))
        return self._read(size)

    def shows(self, token: str) -> str:
        """Empty when the token opened the line, else the code of the refusal."""
        self.send(b"A" + token.encode())
        answer = self.frame()
        return "" if answer == b"A" else str(json.loads(answer[1:])["error"]["code"])

    def ask(self, message: wire.Ask) -> wire.Answer:
        self.send(b"M" + msgspec.msgpack.encode(message))
        body = self.frame()
        if body[:1] == b"E":
            return wire.Answer(0, error=json.loads(body[1:])["error"])
        return msgspec.msgpack.decode(body[1:], type=wire.Answer)

    def opened(self, **changes: Any) -> str:
        answer = self.ask(wire.OpenSession(1, Agent("bot"), Gate("whatever", "enforced"), "/", **changes))
        assert answer.session is not None, answer.error
        return answer.session.id

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            chunk = self.line.recv(size - len(data))
            if not chunk:
                raise EOFError
            data += chunk
        return data


class Site(Process):
    """A server that listens for gates on other machines."""

    def __init__(self, folder: Path) -> None:
        home = Home(folder / "home")
        create(home, "dana", "Dana", "enforce")
        self.port = free_port()
        home.settings.write_text(f'[gates]\nlisten = "127.0.0.1:{self.port}"\n')
        super().__init__(home)

    @property
    def authority(self) -> str:
        return self.home.ca_certificate.read_text()

    def remote(self, **options: Any) -> Remote:
        return Remote(self.port, self.authority, **options)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    site.start()
    try:
        yield site
    finally:
        site.stop()


@pytest.fixture
def dana(site: Site) -> Api:
    return Api(site, (site.home.tokens / "dana").read_text().strip())


@pytest.fixture
def token(dana: Api) -> str:
    return str(dana.call("POST", "/v1/gates", {"name": "ci"})[1]["token"])


def request_for(key: ec.EllipticCurvePrivateKey, name: str = "anything") -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    asked = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return asked.public_bytes(serialization.Encoding.PEM).decode()


def chained(key: ec.EllipticCurvePrivateKey, certificate: str, file: Path) -> Path:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(pem + certificate.encode())
    return file


def certified(dana: Api, file: Path, gate: str = "ci") -> tuple[Path, dict[str, Any]]:
    key = ec.generate_private_key(ec.SECP256R1())
    status, made = dana.call(
        "POST", "/v1/credentials", {"gate": gate, "form": "certificate", "csr": request_for(key)}
    )
    assert status == 201, made
    return chained(key, made["certificate"], file), made["credential"]


def shell(session: str, command: str, gate: str = "ci", human: str | None = None) -> wire.Authorize:
    who = Attribution(Agent("bot"), Human(human, "os-uid", 0) if human else None, Text("go", "test"))
    action = Action(Shell(command), who, Gate(gate, "enforced"), session, "/srv/project")
    return wire.Authorize(5, action, Surroundings("/srv/project", "/srv/project", "/home/dana"))


def test_a_gate_with_a_token_asks_over_tls_in_its_own_name(site: Site, token: str) -> None:
    gate = site.remote()
    assert gate.shows(token) == ""
    session = gate.opened()
    answer = gate.ask(shell(session, "ls", gate="somebody-else")).outcome
    assert answer is not None
    assert answer.verdict == "run"
    assert answer.permit is not None
    assert answer.permit.gate == "ci"
    used = gate.ask(wire.Consume(6, answer.permit.token, answer.digest, "ci"))
    assert used.action == answer.action
    assert gate.ask(wire.CloseSession(7, session)).session is not None


def test_a_stranger_is_answered_nothing(site: Site, token: str) -> None:
    for body in (
        b"M" + msgspec.msgpack.encode(wire.OpenSession(1, Agent("x"), Gate("ci"), "/")),
        b"M" + msgspec.msgpack.encode(wire.Confine(1, "")),
    ):
        gate = site.remote()
        gate.send(body)
        assert b"auth.unknown" in gate.frame()
    stranger = site.remote()
    assert stranger.shows("a.b.c") == "credential.forged"
    with pytest.raises((EOFError, OSError)):
        stranger.frame()  # and the line is hung up
    # A stranger's frames are short: nobody makes the server hold megabytes before it said who it is.
    big = site.remote()
    big.line.sendall(struct.pack(">I", 1_000_000))
    assert b"input.too_large" in big.frame()
    assert site.remote().shows(token) == "", "negative control"


def test_plain_text_and_older_tls_get_nowhere(site: Site, token: str) -> None:
    with socket.create_connection(("127.0.0.1", site.port), timeout=120) as plain:
        body = b"A" + token.encode()
        plain.sendall(struct.pack(">I", len(body)) + body)
        assert b"A" not in plain.recv(100)[4:5]
    context = ssl.create_default_context(cadata=site.authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", site.port), timeout=120) as raw, pytest.raises(ssl.SSLError):
        context.wrap_socket(raw, server_hostname="localhost")
    wrong = ssl.create_default_context()
    with socket.create_connection(("127.0.0.1", site.port), timeout=120) as raw, pytest.raises(ssl.SSLError):
        wrong.wrap_socket(raw, server_hostname="localhost")


def test_hook_calls_are_local(site: Site, token: str) -> None:
    gate = site.remote()
    assert gate.shows(token) == ""
    gate.send(b"H1\0claude-code\0PreToolUse\0/\x001\0{}")
    answer = gate.frame()
    assert answer[0] == 2, "which every client takes for a no"
    assert b"local socket only" in answer


def test_a_client_certificate_says_who_it_is_and_nothing_else_in_the_request_counts(
    site: Site, dana: Api, token: str, tmp_path: Path
) -> None:
    chain, credential = certified(dana, tmp_path / "ci.pem")
    gate = site.remote(chain=chain)
    session = gate.opened()
    assert gate.ask(shell(session, "ls")).outcome.verdict == "run"  # type: ignore[union-attr]
    listed = {one["id"]: one for one in dana.call("GET", "/v1/credentials")[1]}[credential["id"]]
    assert (listed["form"], listed["name"]) == ("certificate", "ci")
    # Another authority's certificate, though it names the gate, is no certificate.
    key = ec.generate_private_key(ec.SECP256R1())
    from keyturn.service.authority import Authority

    other = Authority(tmp_path / "other.key", tmp_path / "other.pem", "elsewhere")
    forged = other.for_client(request_for(key), "ci", 4_000_000_000_000, 1_700_000_000_000)
    with pytest.raises((ssl.SSLError, EOFError, OSError)):
        site.remote(chain=chained(key, forged.pem, tmp_path / "forged.pem")).opened()


def test_a_request_that_is_signed_with_another_key_gets_no_certificate(dana: Api, token: str) -> None:
    one, two = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    good = request_for(one)
    der = bytearray(x509.load_pem_x509_csr(good.encode()).public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    import base64

    bad = (
        "-----BEGIN CERTIFICATE REQUEST-----\n"
        + base64.encodebytes(bytes(der)).decode()
        + "-----END CERTIFICATE REQUEST-----\n"
    )
    weak = request_for(ec.generate_private_key(ec.SECP192R1())) if hasattr(ec, "SECP192R1") else ""
    for csr in (bad, "", "x", weak):
        status, said = dana.call("POST", "/v1/credentials", {"gate": "ci", "form": "certificate", "csr": csr})
        assert (status, said["error"]["code"]) == (400, "input.malformed")
    assert (
        dana.call("POST", "/v1/credentials", {"gate": "ci", "form": "certificate", "csr": request_for(two)})[
            0
        ]
        == 201
    )


def test_a_revoked_certificate_is_hung_up_on_at_once_and_opens_nothing_again(
    site: Site, dana: Api, token: str, tmp_path: Path
) -> None:
    chain, credential = certified(dana, tmp_path / "ci.pem")
    gate, twin = site.remote(chain=chain), site.remote()
    assert twin.shows(token) == ""
    session = gate.opened()
    assert dana.call("POST", f"/v1/credentials/{credential['id']}/revoke", {"why": "stolen"})[0] == 200
    with pytest.raises((EOFError, OSError)):
        gate.frame()  # nothing was asked: the server hung up by itself
    with pytest.raises((EOFError, OSError, AssertionError)):
        site.remote(chain=chain).opened()
    assert twin.ask(shell(session, "ls")).error is None, (
        "the same gate's other credential still speaks for it"
    )


def test_what_waits_is_hung_up_on_when_the_credential_is_replaced(site: Site, dana: Api) -> None:
    made = dana.call("POST", "/v1/gates", {"name": "ci"})[1]
    gate = site.remote()
    assert gate.shows(made["token"]) == ""
    session = gate.opened()
    held = gate.ask(shell(session, "rm -r build")).outcome
    assert held is not None
    gate.send(b"M" + msgspec.msgpack.encode(wire.Wait(9, held.request or "", 60.0)))
    assert dana.call("POST", f"/v1/credentials/{made['credential']}/rotate", {"grace": 0})[0] == 201
    with pytest.raises((EOFError, OSError)):
        gate.frame()
    assert site.remote().shows(made["token"]) == "credential.revoked"


def test_a_line_ends_with_its_credential(site: Site, dana: Api) -> None:
    """Nobody says anything: the server hangs up when the time is over, and the token opens nothing from then on."""
    made = dana.call("POST", "/v1/gates", {"name": "brief", "seconds": 5})[1]
    gate = site.remote()
    if gate.shows(made["token"]) == "":  # on a very busy machine the five seconds may be over already
        with pytest.raises((EOFError, OSError)):
            gate.frame()
    assert site.remote().shows(made["token"]) == "credential.expired"


def test_a_token_bound_to_a_certificate_is_good_only_with_it(
    site: Site, dana: Api, token: str, tmp_path: Path
) -> None:
    chain, credential = certified(dana, tmp_path / "ci.pem")
    fingerprint = credential["bound"]
    bound = dana.call("POST", "/v1/credentials", {"gate": "ci", "bound": fingerprint})[1]["token"]
    assert site.remote().shows(bound) == "credential.unbound"
    other, _ = certified(dana, tmp_path / "other.pem")
    assert site.remote(chain=other).shows(bound) == "credential.unbound"
    assert (
        Api(site, bound).call("POST", "/v1/sessions", {"agent": "x"})[1]["error"]["code"]
        == "credential.unbound"
    )
    assert site.remote(chain=chain).shows(bound) == "", "negative control"


def test_a_gate_stays_out_of_other_gates_sessions(site: Site, dana: Api, token: str) -> None:
    own = site.remote()
    assert own.shows(token) == ""
    session = own.opened()
    held = own.ask(shell(session, "rm -r build")).outcome
    assert held is not None
    other = site.remote()
    assert other.shows(dana.call("POST", "/v1/gates", {"name": "other"})[1]["token"]) == ""
    local = GateClient(site.home)
    for message in (
        shell(session, "ls"),
        shell(local.session, "ls"),
        wire.Instruct(2, session, Text("obey", "human")),
        wire.CloseSession(3, session),
        wire.WaitStop(4, session, 0),
        wire.Standing(5, session, "/"),
        wire.Claim(6, held.request or "", held.digest, "ci"),
        wire.Claim(6, held.request or "", held.digest, "other"),
        wire.Wait(7, held.request or "", 0),
        wire.Withdraw(8, held.request or "", "no"),
        wire.Consume(9, "x.y", held.digest, "ci"),
        wire.Begin(10, session, "ci", "ls", "bash", "/", {}),
    ):
        answer = other.ask(message)
        assert answer.error is not None, message
        assert answer.error["code"] in ("session.unknown", "auth.forbidden", "input.malformed"), answer.error
    assert own.ask(wire.Instruct(2, session, Text("go on", "human"))).error is None, "negative control"


def test_one_credential_from_two_machines_or_two_definitions_is_a_finding_once(
    site: Site, dana: Api, token: str
) -> None:
    def findings() -> list[dict[str, Any]]:
        return [one for one in dana.call("GET", "/v1/findings")[1] if one["kind"] == "credential.shared"]

    first = site.remote()
    assert first.shows(token) == ""
    first.opened(definition="sha256:" + "a" * 64)
    first.opened(definition="sha256:" + "a" * 64)
    again = site.remote()
    assert again.shows(token) == ""
    assert findings() == [], "the same machine and definition, twice, is nothing"
    first.opened(definition="sha256:" + "b" * 64)
    assert [one["subject"]["definitions"] for one in findings()] == [
        ["sha256:" + "a" * 64, "sha256:" + "b" * 64]
    ]
    first.opened(definition="sha256:" + "a" * 64)
    assert len(findings()) == 1, "once a pair"
    elsewhere = site.remote(host="127.0.0.2")
    assert elsewhere.shows(token) == ""
    elsewhere.opened()
    found = findings()
    assert len(found) == 2
    assert found[0]["subject"]["machines"] == ["127.0.0.1", "127.0.0.2"]
    elsewhere.opened()
    assert len(findings()) == 2, "once a pair"


def test_the_server_does_not_start_where_gates_would_speak_in_the_clear_or_nowhere(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    create(home, "dana", "Dana", "enforce")
    for table in (
        'listen = "nonsense"',
        'listen = "127.0.0.1:99999"',
        'listen = "127.0.0.1"',
        'certificate = "x.pem"',
    ):
        home.settings.write_text(f"[gates]\n{table}\n")
        with pytest.raises(AssertionError, match=r"settings\.invalid"):
            Process(home).start()
    assert os.listdir(home.root)


def test_a_plan_over_tls_is_in_the_gate_s_own_name_and_session_whatever_it_says(
    site: Site, token: str, dana: Api
) -> None:
    gate = site.remote()
    gate.shows(token)
    session = gate.opened()
    named = shell(session, "rm -r build", human="dana")  # the session was opened for nobody known
    lied = gate.ask(wire.ProposePlan(6, (Proposed(named.action, named.around),)))
    assert lied.error is not None
    assert lied.error["code"] == "session.unknown"
    ask = shell(session, "rm -r build", gate="somebody-else")
    answer = gate.ask(wire.ProposePlan(7, (Proposed(ask.action, ask.around),))).plan
    assert answer is not None, "negative control: its own session"
    assert answer.request is not None
    view = dana.call("GET", f"/v1/requests/{answer.request}")[1]
    assert (view["gate"], view["assurance"]) == ("ci", "advisory")
    assert view["attribution"]["human"] is None
    other = site.remote()
    other.shows(dana.call("POST", "/v1/gates", {"name": "planner"})[1]["token"])
    refused = other.ask(wire.ProposePlan(8, (Proposed(ask.action, ask.around),)))
    assert refused.error is not None
    assert refused.error["code"] == "session.unknown"
