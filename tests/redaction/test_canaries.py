"""Promise 9 as a whole: canary secrets are planted in every surface of a running server, and looked for in everything that it keeps or says."""

# ruff: noqa: E501 (a case stands on one line)
from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import os
import random
import re
import string
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from channels_http import Service as Receiver
from hooks_captured import encoded, payload, tool
from hooks_recording import call

from keyturn.actions import (
    Action,
    Agent,
    Attribution,
    FileEdit,
    Gate,
    HttpRequest,
    Human,
    Shell,
    Text,
    ToolCall,
)
from keyturn.channels.web.guard import cookie_name
from keyturn.cli.init import create
from keyturn.errors import KeyturnError
from keyturn.gates.exec.kernel import support
from keyturn.gates.exec.recording import Recorder, recording_path
from keyturn.gates.hooks.desk import DeskSettings, HookDesk
from keyturn.home import Home
from keyturn.identity.tokens import cookie_of
from keyturn.resources import Surroundings
from keyturn.server import Server
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import Peer, Proposed, Receipt
from keyturn.service.settings import Settings, load

GATE = Gate("test@here", "cooperative")
ALNUM = string.ascii_letters + string.digits
_BASE64 = re.compile(rb"[A-Za-z0-9_/+-]{24,}")


class Canaries:
    """A fresh secret for each surface: most say what they are, some are passwords."""

    def __init__(self) -> None:
        self.rng = random.Random(7)
        self.planted: dict[str, str] = {}

    def token(self, surface: str) -> str:
        """A token of a known form."""
        return self._plant(surface, "ghp_" + "".join(self.rng.choices(ALNUM, k=36)))

    def password(self, surface: str) -> str:
        """A password, for where one stands."""
        return self._plant(surface, "canary" + "".join(self.rng.choices(ALNUM, k=10)) + "9")

    def _plant(self, surface: str, secret: str) -> str:
        assert surface not in self.planted
        self.planted[surface] = secret
        return secret

    def in_(self, data: bytes) -> list[str]:
        """Surfaces whose secret is in *data*, also inside base64, twice over."""
        seen, look = data, data
        for _ in range(2):
            look = b"\n".join(_decoded(look))
            seen += b"\n" + look
        return [surface for surface, secret in self.planted.items() if secret.encode() in seen]


def _decoded(data: bytes) -> Iterator[bytes]:
    for found in _BASE64.findall(data):
        with contextlib.suppress(ValueError):
            yield base64.urlsafe_b64decode(
                found.replace(b"/", b"_").replace(b"+", b"-") + b"=" * (-len(found) % 4)
            )


class House:
    """A home with a webhook, and what was found in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = Home(folder / "home")
        create(self.home, "dana", "Dana", "enforce")
        self.work = folder / "work"
        self.work.mkdir()
        self.log = folder / "home" / "server.log"
        self.canaries = Canaries()
        self.said: dict[str, bytes] = {}

    def settings(self, url: str) -> Settings:
        secret = self.home.root / "hook.secret"
        secret.write_text("whsec_" + base64.b64encode(b"a" * 32).decode())
        secret.chmod(0o600)
        self.home.settings.write_text(
            f'port = 0\n[[webhook]]\nname = "siem"\nurl = "{url}"\nsecret_files = ["hook.secret"]\n'
        )
        return load(self.home.root, {})

    async def play(self) -> None:
        """Plant everywhere, through the gates and interfaces of a running server, and keep all that it says."""
        handler = logging.FileHandler(self.log)
        logging.getLogger("keyturn").addHandler(handler)
        try:
            async with Receiver().listening() as receiver:
                server = Server(self.home, self.settings(receiver.url))
                async with server.running() as service:
                    token = await service.enrol(
                        "riley",
                        name="",
                        groups=["reviewers", "policy"],
                        roles=["member", "admin"],
                        os_uids=[],
                        by="dana",
                    )
                    waiting = await self.plant(service, server.url, token)
                    async with asyncio.timeout(120):
                        await receiver.until(2)
                    await self.listen(service, server.url, token, waiting)
                self.said["messages"] = b"\n".join(got.body for got in receiver.got)
        finally:
            logging.getLogger("keyturn").removeHandler(handler)
            handler.close()

    def action(self, session: str, content: Any, **changes: Any) -> Action:
        who = Attribution(
            Agent("tester", "claude-code", "2"), Human("dana", "os-uid", os.getuid()),
            changes.pop("instruction", None), changes.pop("reasoning", None), "sha256:" + "0" * 64,
        )  # fmt: skip
        return Action(
            Shell(content) if isinstance(content, str) else content,
            who,
            GATE,
            session,
            cwd=changes.pop("cwd", str(self.work)),
            **changes,
        )

    async def plant(self, service: Keyturn, url: str, token: str) -> list[str]:
        c, around = (
            self.canaries,
            Surroundings(cwd=str(self.work), workspace=str(self.work), home=str(self.folder)),
        )
        opened = await service.open_session(
            agent=Agent("tester", "claude-code", "2", model=f"m-{c.token('model')}"), human=Human("dana", "os-uid", os.getuid()), gate=GATE,
            cwd=f"/srv/{c.token('session folder')}", client_session=f"run {c.token('client session')}",
        )  # fmt: skip
        session, held = opened.id, []
        await service.instruct(session, Text(f"deploy with {c.token('instruction')}", "test"))
        contents: list[tuple[Any, dict[str, Any]]] = [
            (f"mysql -u root -p{c.password('argv')} -e 'select 1'", {}),
            ("rm -r build", {"environment": {"DB_PASSWORD": c.password("environment")}}),
            (f"cat > app.env <<'EOF'\nAPI_TOKEN={c.token('here-document')}\nEOF", {}),
            (f"echo {c.token('redirect')} > token.txt", {}),
            (f"send '{c.token('pieces')[:9]}'\"{c.planted['pieces'][9:]}\"", {}),
            (
                FileEdit(
                    f"{self.work}/.env",
                    "create",
                    None,
                    "sha256:" + "1" * 64,
                    f"@@ -0,0 +1 @@\n+DB_PASSWORD={c.password('edit')}\n",
                ),
                {},
            ),
            (
                HttpRequest(
                    f"https://me:{c.password('address')}@api.example/v1?access_token={c.token('query')}",
                    "POST",
                ),
                {},
            ),
            (
                ToolCall(
                    "deploy",
                    {
                        "headers": {"Authorization": f"Bearer {c.token('header')}"},
                        "password": c.password("tool argument"),
                    },
                    "server",
                ),
                {},
            ),
            ("rm -r dist", {"reasoning": Text(f"I found {c.token('reasoning')} in the notes", "transcript")}),
            ("rm -r out", {"cwd": f"{self.work}/{c.token('folder')}"}),
            (
                f"curl -H 'Authorization: Basic {base64.b64encode(('ci:' + c.password('basic')).encode()).decode()}' https://x.example",
                {},
            ),
        ]
        for content, changes in contents:
            outcome = await service.authorize(self.action(session, content, **changes), around)
            if outcome.request:
                held.append(outcome.request)
            if outcome.permit:
                await service.report(
                    Receipt(
                        outcome.action,
                        outcome.permit.id,
                        "failed",
                        note=f"printed {c.token('note')}" if "note" not in c.planted else "",
                    )
                )
        plan = [Proposed(self.action(session, f"rm -r {part}"), around) for part in ("one", "two")]
        answer = await service.propose_plan(plan, f"because {c.token('plan')}", 600)
        await self.people(url, token, [*held[:2], str(answer.request)])
        await service.withdraw(held[2], f"no: {c.token('withdrawn')}", "agent")
        await self.hooks(service)
        await self.exec_gate(service)
        self.recording(session)
        logging.getLogger("keyturn").error("could not read %s", c.token("log"))
        try:
            raise ValueError(c.token("traceback"))
        except ValueError:
            logging.getLogger("keyturn").exception("failed")
        with contextlib.suppress(KeyturnError):
            await service.stop_session(session, service.core.roster.get("riley"), f"leaked {c.token('stop')}")  # type: ignore[arg-type]
        return held

    async def people(self, url: str, token: str, requests: list[str]) -> None:
        """Reasons over the API, and an address that is not there."""
        headers = {"Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession(headers=headers) as http:
            for number, request in enumerate(requests):
                shown = await (await http.get(f"{url}/v1/requests/{request}")).json()
                body = {
                    "reason": f"never with {self.canaries.token(f'reason {number}')}",
                    "digest": shown["digest"],
                    "display": shown["display"],
                }
                answer = await http.post(f"{url}/v1/requests/{request}/deny", json=body)
                self.said[f"decision {number}"] = await answer.read()
                assert answer.status < 300, self.said[f"decision {number}"]
            missing = await http.get(f"{url}/v1/requests/r_{self.canaries.token('error')}")
            self.said["error"] = await missing.read()

    async def hooks(self, service: Keyturn) -> None:
        c = self.canaries
        desk = HookDesk(service, DeskSettings("here", person_of_uid=lambda uid: "dana", longest_wait=0.1))
        me = Peer(os.getuid(), os.getgid(), os.getpid())
        prompt = encoded(
            payload(
                "claude-code",
                "UserPromptSubmit",
                str(self.work),
                prompt=f"the password is {c.password('prompt')}",
            )
        )
        command = tool(
            "claude-code", "Bash", {"command": f"rm -r tmp; export TOKEN={c.token('hook')}"}, str(self.work)
        )
        for event, data in (("UserPromptSubmit", prompt), ("PreToolUse", command)):
            await desk.handle(call("claude-code", event, data, str(self.work)), me)

    async def exec_gate(self, service: Keyturn) -> None:
        """`keyturn run`: a command that is held is asked about; then whoever started it gives up."""
        if not support().verified:
            return
        words = [
            "-m",
            "keyturn",
            "run",
            "--",
            "/bin/rm",
            "-r",
            "gone",
            f"--token={self.canaries.token('exec gate')}",
        ]
        environment = {**os.environ, "KEYTURN_HOME": str(self.home.root)}
        async with service.core.ledger.subscribe() as entries:
            run = await asyncio.create_subprocess_exec(
                sys.executable, *words, cwd=self.work, env=environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            async with asyncio.timeout(120):
                while (await anext(entries)).type != "request.opened":
                    pass
            run.terminate()
            await run.wait()

    def recording(self, session: str) -> None:
        c = self.canaries
        recorder = Recorder(
            recording_path(self.home.root, session),
            (80, 24),
            started=0.0,
            command=f"tool --token {c.token('recorded command')}",
        )
        text = (
            f"$ run\r\nyour key: {c.token('output')}\r\nAPI_TOKEN={c.token('output in chunks')}\r\n".encode()
        )
        for at in range(0, len(text), 7):
            recorder.output(text[at : at + 7])
        for letter in f"export SECRET={c.password('typed')}\r":
            recorder.input(letter.encode())
        recorder.marker(f"held: {c.token('marker')}")
        recorder.close(0)

    async def listen(self, service: Keyturn, url: str, token: str, waiting: list[str]) -> None:
        """Everything that the API and the pages say, and an export."""
        entries = service.core.ledger.size
        session = next(e.session for e in service.core.ledger.entries() if e.type == "session.opened")
        code = service.logins.link_code("riley")
        cookie = f"{cookie_name(url.removeprefix('http://'))}={cookie_of(await service.logins.redeem(code))}"
        paths = [
            *("/v1/requests", "/v1/requests?state=all&limit=100", "/v1/findings", "/v1/sessions", "/v1/plans?only=all", "/v1/grants?only=all"),
            *(f"/v1/requests/{one}" for one in waiting), *(f"/v1/ledger/entries?start={at}&limit=100" for at in range(0, entries, 100)),
        ]  # fmt: skip
        pages = [
            *("/", "/requests", "/ledger", "/findings", "/agents", "/grants", "/drift", "/retention"), f"/sessions/{session}", f"/sessions/{session}/recording",
            *(f"/requests/{one}" for one in waiting), *(f"/requests/{one}/raw" for one in waiting), *(f"/ledger/{at}" for at in range(0, entries, 3)),
        ]  # fmt: skip
        async with aiohttp.ClientSession() as http:
            for path in paths:
                answer = await http.get(url + path, headers={"Authorization": f"Bearer {token}"})
                self.said[path] = await answer.read()
            for path in pages:
                answer = await http.get(url + path, headers={"Cookie": cookie})
                self.said[f"page {path}"] = await answer.read()
                assert answer.status in (200, 404), (path, answer.status)
        out = self.folder / "export"
        done = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "keyturn", "ledger", "export", str(out), env={**os.environ, "KEYTURN_HOME": str(self.home.root)},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert await done.wait() == 0

    def leaks(self) -> dict[str, list[str]]:
        """Where which canary is: in any file of home and export, in anything that was said."""
        found = {}
        for root in (self.home.root, self.folder / "export"):
            for path in sorted(root.rglob("*")):
                if (
                    path.is_file()
                    and not path.is_socket()
                    and (known := self.canaries.in_(path.read_bytes()))
                ):
                    found[str(path.relative_to(self.folder))] = known
        for name, data in self.said.items():
            if known := self.canaries.in_(data):
                found[name] = known
        return found


def test_no_canary_is_in_any_file_page_answer_message_or_export(tmp_path: Path) -> None:
    house = House(tmp_path)
    asyncio.run(house.play())
    assert len(house.canaries.planted) >= 25
    assert house.leaks() == {}
    assert b"secret:github-token:" in b"".join(house.said.values()), "what stands in their place is shown"


def test_without_redaction_they_are_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keyturn.redaction.redactor.hits", lambda data: ())
    monkeypatch.setattr("keyturn.redaction.redactor.is_secret", lambda *given: False)
    monkeypatch.setattr("keyturn.gates.exec.recording.masked", lambda text: text)
    monkeypatch.setattr("keyturn.gates.exec.redaction._mask", lambda text: text)
    house = House(tmp_path)
    asyncio.run(house.play())
    leaks = house.leaks()
    leaked = {surface for known in leaks.values() for surface in known}
    assert leaked >= set(house.canaries.planted) - {"recorded command"}, set(house.canaries.planted) - leaked
    for place in (
        "messages",
        "export",
        "ledger.db",
        "recordings",
        "page /requests",
        "/v1/ledger/entries",
        "server.log",
    ):
        assert any(place in name for name in leaks), place
