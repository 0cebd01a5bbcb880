"""A workload's JWT-SVID as a gate's credential: mapped by an administrator, checked against the bundle, ended at once."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from test_server_api import Api
from test_server_remote import Site, shell

from keyturn.actions import Action, Agent, Attribution, Gate, Shell
from keyturn.gates.connection import RemoteService, ServerSaid, Unreachable
from keyturn.gates.tls import CredentialMissing, TlsConnection
from keyturn.resources import Surroundings
from keyturn.service.machine_settings import SpiffeSettings
from keyturn.service.workloads import NoBundle, Workloads

KEY, OTHER = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
RUNNER = "spiffe://example.org/ns/ci/sa/runner"


def bundle(key: ECKey = KEY) -> str:
    return json.dumps({"keys": [{**key.as_dict(private=False), "kid": "k1", "use": "jwt-svid"}]})


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    (site.home.root / "bundle.json").write_text(bundle())
    with site.home.settings.open("a") as settings:
        settings.write(
            '[spiffe]\ntrust_domain = "example.org"\nbundle = "bundle.json"\naudience = "keyturn"\n'
        )
    site.start()
    try:
        yield site
    finally:
        site.stop()


@pytest.fixture
def dana(site: Site) -> Api:
    return Api(site, (site.home.tokens / "dana").read_text().strip())


def svid(workload: str = RUNNER, key: ECKey = KEY, **claims: Any) -> str:
    body = {"sub": workload, "aud": ["keyturn"], "exp": int(time.time()) + 300, **claims}
    return jwt.encode({"alg": "ES256", "kid": "k1", "typ": "JWT"}, body, key, algorithms=["ES256"])


def code(answer: tuple[int, Any]) -> str:
    return str(answer[1].get("error", {}).get("code", "")) if isinstance(answer[1], dict) else ""


def test_a_mapped_workload_is_its_gate_and_every_other_is_nobody(site: Site, dana: Api) -> None:
    dana.call("POST", "/v1/gates", {"name": "ci"})
    asks = lambda token: Api(site, token).call("POST", "/v1/sessions", {"agent": "bot"})  # noqa: E731
    assert code(asks(svid())) == "credential.forged", "not mapped yet"
    mapping = {"gate": "ci", "form": "spiffe", "spiffe": RUNNER, "seconds": 90 * 86_400}
    status, made = dana.call("POST", "/v1/credentials", mapping)
    assert status == 201, made
    assert made["token"] == ""
    status, session = asks(svid())
    assert (status, session["gate"]) == (201, "ci")
    for token, said in (
        (svid("spiffe://example.org/ns/ci/sa/other"), "credential.forged"),
        (svid("spiffe://other.org/ns/ci/sa/runner"), "spiffe.refused"),
        (svid(key=OTHER), "spiffe.refused"),
        (svid(aud=["somebody else"]), "spiffe.refused"),
        (svid(exp=int(time.time()) - 1), "credential.expired"),
    ):
        assert code(asks(token)) == said
    assert code(dana.call("POST", "/v1/credentials", mapping)) == "input.malformed", "a workload is one gate"
    assert (
        code(dana.call("POST", "/v1/credentials", {**mapping, "spiffe": "spiffe://other.org/x"}))
        == "input.malformed"
    )
    rotated = dana.call("POST", f"/v1/credentials/{made['credential']['id']}/rotate", {})
    assert code(rotated) == "credential.not_rotatable"
    # The bundle changes: the old key signs nothing any more, without a restart.
    (site.home.root / "bundle.json").write_text(bundle(OTHER) + " ")
    assert code(asks(svid())) == "spiffe.refused"
    assert asks(svid(key=OTHER))[0] == 201
    (site.home.root / "bundle.json").write_text("junk")
    assert asks(svid(key=OTHER))[0] == 201, "what can't be read leaves what is at hand"
    assert dana.call("POST", f"/v1/credentials/{made['credential']['id']}/revoke", {})[0] == 200
    assert code(asks(svid(key=OTHER))) == "credential.revoked"


def test_a_line_of_a_workload_ends_with_its_svid(site: Site, dana: Api) -> None:
    dana.call("POST", "/v1/gates", {"name": "ci"})
    dana.call("POST", "/v1/credentials", {"gate": "ci", "form": "spiffe", "spiffe": RUNNER})
    line = site.remote()
    assert line.shows(svid()) == ""
    session = line.opened()
    assert line.ask(shell(session, "ls")).outcome.verdict == "run"  # type: ignore[union-attr]
    brief = site.remote()
    if brief.shows(svid(exp=int(time.time()) + 5)) == "":
        with pytest.raises((EOFError, OSError)):
            brief.frame()
    assert line.ask(shell(session, "ls")).error is None, "the twin goes on"


def test_python_gates_ask_over_tls_as_local_ones_do(site: Site, dana: Api, tmp_path: Path) -> None:
    token = tmp_path / "ci.token"
    made = dana.call("POST", "/v1/gates", {"name": "ci"})[1]
    token.write_text(made["token"] + "\n")

    async def story() -> None:
        connection = TlsConnection(f"localhost:{site.port}", authority=site.home.ca_certificate, token=token)
        service = RemoteService(connection)
        gate = Gate("ci")
        view = await service.open_session(agent=Agent("bot"), human=None, gate=gate, cwd="/srv")
        action = Action(Shell("ls"), Attribution(Agent("bot")), gate, view.id, "/srv")
        outcome = await service.authorize(action, Surroundings("/srv", "/srv", "/home/x"), consume=True)
        assert outcome.verdict == "run"
        # The credential is replaced, its file renewed: the line breaks, and the next question opens another.
        new = dana.call("POST", f"/v1/credentials/{made['credential']}/rotate", {"grace": 0})[1]
        token.write_text(new["token"])
        assert (await service.authorize(action, Surroundings("/srv", "/srv", "/home/x"))).verdict == "run"
        assert (await service.close_session(view.id)).closed is not None
        dana.call("POST", f"/v1/credentials/{new['credential']['id']}/revoke", {})
        with pytest.raises(ServerSaid) as refused:
            await service.open_session(agent=Agent("bot"), human=None, gate=gate, cwd="/")
        assert refused.value.server_code == "credential.revoked"
        await connection.close()

    asyncio.run(story())
    with pytest.raises(CredentialMissing):
        TlsConnection(f"localhost:{site.port}", authority=site.home.ca_certificate)
    with pytest.raises(CredentialMissing):
        TlsConnection("nowhere", authority=site.home.ca_certificate, token=token)
    impostor = TlsConnection(
        f"127.0.0.2:{site.port}", authority=site.home.ca_certificate, token=token, patience=0
    )
    with pytest.raises(Unreachable):
        asyncio.run(RemoteService(impostor).confinement(""))


def test_a_bundle_at_an_address_is_fetched_and_outlives_its_absence() -> None:
    served = {"body": bundle(), "status": 200}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(int(served["status"]))
            self.end_headers()
            self.wfile.write(str(served["body"]).encode())

        def log_message(self, *words: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/bundle.json"
        workloads = Workloads(SpiffeSettings("example.org", url, "keyturn"), Path("/nowhere"))
        now = int(time.time() * 1000)
        with pytest.raises(NoBundle):
            workloads.workload(svid(), "o", now)
        workloads.take(workloads.fetched())
        assert workloads.workload(svid(), "o", now).id == RUNNER
        served["status"] = 500
        with pytest.raises(Exception, match="500"):
            workloads.fetched()
        served.update(status=200, body="x" * 1_100_000)
        with pytest.raises(Exception, match="too large"):
            workloads.fetched()
        server.shutdown()
    assert workloads.workload(svid(), "o", now).id == RUNNER
