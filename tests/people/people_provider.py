"""A real OpenID provider in a process of its own, a Keyturn server beside it, and a browser without a window."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import subprocess
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import httpx2

from free_ports import free_port
from keyturn.actions import Action, Agent, Attribution, Gate, Human, Shell, Text
from keyturn.cli.init import create
from keyturn.home import Home
from keyturn.identity.tokens import cookie_of
from keyturn.ledger.entries import Draft
from keyturn.resources import Surroundings
from keyturn.server import Server
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import RequestView
from keyturn.service.people_settings import OidcSettings, ScimSettings
from keyturn.service.settings import Settings

T = TypeVar("T")
SECRET = "a secret of the tests' own that nobody else has"
PEOPLE = {
    "u-dana": {
        "name": "Dana",
        "preferred_username": "dana",
        "email": "dana@example.test",
        "groups": ["idp-dba"],
    },
    "u-riley": {"name": "Riley", "groups": ["idp-dba", "idp-everybody"], "acr": "urn:test:hardware"},
    "u-stranger": {
        "name": "Riley",
        "preferred_username": "riley",
        "email": "riley@example.test",
        "groups": [],
    },
}


class RealProvider:
    """npm's `oidc-provider`. `restart` with another *kid* is a key rotation."""

    def __init__(self, folder: Path, node: Path, modules: Path) -> None:
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self._file = folder / "provider.json"
        self._node, self._modules = node, modules
        self._child: subprocess.Popen[bytes] | None = None
        self.people: dict[str, dict[str, Any]] = json.loads(json.dumps(PEOPLE))
        self.kid = "k1"

    def start(self, kid: str = "k1") -> None:
        self.kid = kid
        self.write()
        log = self._file.with_suffix(".log").open("ab")
        command = [str(self._node), str(Path(__file__).with_name("provider.mjs")), str(self._file)]
        self._child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        log.close()
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        assert line == b"listening\n", self._file.with_suffix(".log").read_text()[-3000:]

    def write(self) -> None:
        """Tell it about people; it reads the file at each sign-in."""
        client = {
            "client_id": "keyturn",
            "client_secret": SECRET,
            "redirect_uris": ["http://127.0.0.1/login/provider/callback"],
            "post_logout_redirect_uris": ["http://127.0.0.1/login"],
            "application_type": "native",
            "token_endpoint_auth_method": "client_secret_basic",
        }
        config = {
            "port": self.port, "folder": str(self._modules), "clients": [client], "people": self.people, "kid": self.kid,
        }  # fmt: skip
        self._file.write_text(json.dumps(config))

    def stop(self) -> None:
        if self._child is not None:
            self._child.terminate()
            self._child.wait(120)
            assert self._child.stdout is not None
            self._child.stdout.close()
            self._child = None


class House:
    """A Keyturn server that signs people in at *issuer*, and a way to do things in its event loop."""

    def __init__(
        self,
        folder: Path,
        issuer: str,
        *,
        policy: dict[str, bytes] | None = None,
        scim: ScimSettings = ScimSettings(),
        **oidc: Any,
    ) -> None:
        self.home = Home(folder / "home")
        self.work = folder / "work"
        self.work.mkdir(exist_ok=True)
        if not self.home.exists:
            create(self.home, "dana", "Dana", "enforce", policy=policy)
        secret = folder / "client.secret"
        secret.write_text(SECRET + "\n")
        given = {"issuer": issuer, "client_id": "keyturn", "client_secret_file": str(secret), **oidc}
        self.server = Server(self.home, Settings(port=0, oidc=OidcSettings(**given), scim=scim))
        self.service: Keyturn
        self._ready = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._run(),), daemon=True)
        self._thread.start()
        assert self._ready.wait(120), "the server did not start"

    async def _run(self) -> None:
        self._stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        async with self.server.running() as self.service:
            self._ready.set()
            await self._stop.wait()

    @property
    def url(self) -> str:
        return self.server.url

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(120)

    def entries(self, kind: str = "") -> list[Any]:
        """All entries, or those of one type."""
        return [e for e in self.service.core.ledger.entries() if not kind or e.type == kind]

    def enrol(
        self, person: str, *accounts: str, groups: tuple[str, ...] = (), roles: tuple[str, ...] = ("member",)
    ) -> str:
        """Somebody, with their accounts at the provider as the entry of approved links has them; their token."""
        token = self.do(
            self.service.enrol(person, name="", groups=groups, roles=roles, os_uids=[], by="dana")
        )
        self.link(person, *accounts)
        return token

    def link(self, person: str, *accounts: str) -> None:
        fields = {"id": person, "accounts": sorted(accounts), "by": "test"}
        self.do(self.service.core.ledger.append([Draft("person.changed", fields)]))
        self.service.core.people_changed()

    def hold(self, script: str = "rm -r build") -> RequestView:
        """Dana's agent asks for *script*, which policy holds; the request."""

        async def ask() -> RequestView:
            agent, human = Agent("claude-code", "claude-code", "2.1"), Human("dana", "os-uid", os.getuid())
            gate = Gate("hooks:test@here", "cooperative")
            session = await self.service.open_session(agent=agent, human=human, gate=gate, cwd=str(self.work))
            who = Attribution(agent, human, Text("clean up", "test"), Text("it is old", "test"))
            action = Action(Shell(script), who, gate, session.id, cwd=str(self.work))
            around = Surroundings(str(self.work), str(self.work), str(self.work.parent))
            outcome = await self.service.authorize(action, around)
            assert outcome.request, outcome
            return await self.service.request(outcome.request)

        return self.do(ask())

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(120)


@contextlib.contextmanager
def house(folder: Path, issuer: str, **settings: Any) -> Iterator[House]:
    opened = House(folder, issuer, **settings)
    try:
        yield opened
    finally:
        opened.stop()


class Browser:
    """What a browser and our page do, step by step, so that each step can go wrong."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx2.Client(follow_redirects=False, timeout=120)
        self.key = ""

    def post(self, path: str, body: Any, **headers: str) -> httpx2.Response:
        """A write of our own page."""
        given = {"origin": self.url, "X-Keyturn-CSRF": self.key, **headers}
        return self.http.post(self.url + path, json=body, headers={k: v for k, v in given.items() if v})

    def get(self, path: str) -> httpx2.Response:
        return self.http.get(self.url + path, headers={"accept": "text/html"})

    def begin(self, next: str = "/") -> dict[str, str]:
        answer = self.post("/login/provider", {"next": next})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def at_provider(self, location: str, login: str) -> dict[str, str]:
        """Sign in there as *login*; what the provider puts into the address on the way back."""
        answer = self.http.get(location)
        for _ in range(12):
            if answer.status_code in (302, 303):
                target = str(httpx2.URL(str(answer.request.url)).join(answer.headers["location"]))
                if urlsplit(target).path == "/login/provider/callback":
                    return {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
                answer = self.http.get(target)
            elif re.search("<form", answer.text):
                answer = self.http.post(str(answer.request.url), data={"login": login})
            else:
                break
        raise AssertionError(f"{answer.status_code} {answer.headers} {answer.text[:500]}")

    def finish(self, begun: dict[str, str], given: dict[str, str]) -> httpx2.Response:
        body = {
            "state": given["state"],
            "key": begun["key"],
            "code": given.get("code", ""),
            "iss": given.get("iss", ""),
        }
        answer = self.post("/login/provider/finish", body)
        if answer.status_code == 200 and answer.json()["key"]:
            self.key = answer.json()["key"]
        return answer

    def sign_in(self, login: str, next: str = "/") -> httpx2.Response:
        """The whole way."""
        begun = self.begin(next)
        return self.finish(begun, self.at_provider(begun["location"], login))

    @property
    def cookie(self) -> str:
        return cookie_of(self.key)


def code_of(answer: httpx2.Response) -> str:
    """The error's code."""
    return str(answer.json()["error"]["code"])
