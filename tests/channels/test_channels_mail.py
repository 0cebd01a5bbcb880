"""Email against a real SMTP server (aiosmtpd), with and without TLS and password; and Apprise against a local service."""

from __future__ import annotations

import asyncio
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from channels_http import Service, certificate, status
from channels_world import ChannelsWorld, Running, decide

from keyturn.channels.building import build

RILEY = "email:|riley@example.com"


class Mailbox:
    """Keeps what it was given; `refusals` are used up one a message."""

    def __init__(self) -> None:
        self.got: list[tuple[str, EmailMessage]] = []
        self.refusals: list[str] = []
        self.logins: list[bytes] = []
        self.tls: list[bool] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if self.refusals and self.refusals[0].startswith("55"):
            return self.refusals.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.refusals:
            return self.refusals.pop(0)
        self.tls.append(session.ssl is not None)
        self.got.append((envelope.rcpt_tos[0], message_from_bytes(envelope.content, policy=default)))
        return "250 OK"

    def __call__(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.login)
        return AuthResult(success=(data.login, data.password) == (b"keyturn", b"pass word"), handled=False)


@asynccontextmanager
async def server(mailbox: Mailbox, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A mail server's port."""
    wanted = {"tls_context": context, "require_starttls": True, "auth_required": True} if context else {}

    def connection() -> SMTP:
        return SMTP(mailbox, hostname="here", authenticator=mailbox if context else None, **wanted)

    listening = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


def configured(world: ChannelsWorld, port: int, more: str = 'tls = "none"\n') -> None:
    world.set(f'[email]\nhost = "127.0.0.1"\nport = {port}\nsender = "Keyturn@example.com"\n{more}')


def play(world: ChannelsWorld, mailbox: Mailbox, story: Any, more: str = 'tls = "none"\n') -> None:
    async def main() -> None:
        async with server(mailbox) as port:
            configured(world, port, more)
            async with world.telling() as run:
                await world.account(run.service, "riley", RILEY)
                await story(run)

    asyncio.run(main())


def test_who_may_decide_is_told_by_email_and_then_how_it_ended_in_the_same_thread(
    world: ChannelsWorld,
) -> None:
    box = Mailbox()

    async def story(run: Running) -> None:
        request = await run.ask()
        await run.recorded("notice.sent")
        await decide(run.service, request, "sam", "deny", reason="no")
        await run.recorded("notice.sent", 2)
        (to, first), (_, second) = box.got
        assert to == "riley@example.com"
        assert second["In-Reply-To"] == second["References"] == first["Message-ID"]
        assert second["Message-ID"] != first["Message-ID"]
        assert "Denied" in second["Subject"]
        text = first.get_body(("plain",)).get_content()  # type: ignore[union-attr]
        assert "rm -r build" in text
        assert f"https://keyturn.example/requests/{request}" in text
        assert "<script" not in first.get_body(("html",)).get_content()  # type: ignore[union-attr]

    play(world, box, story)


def test_following_every_link_of_a_message_decides_nothing(world: ChannelsWorld) -> None:
    """Mail scanners do that. The page behind the link asks to sign in, and only a POST of its own decides."""
    box = Mailbox()

    async def main() -> None:
        async with server(box) as port:
            configured(world, port)
            world.set("port = 0\n" + world.home.settings.read_text())
            async with world.serving() as run:
                await world.account(run.service, "riley", RILEY)
                request = await run.ask()
                await run.recorded("notice.sent")
                links = set(re.findall(r"https?://[^\s\"'<>]+", box.got[0][1].as_string().replace("=\n", "")))
                assert links
                for link in links:
                    if link.startswith(run.url):
                        assert (await asyncio.to_thread(_open, link)) == 401  # signing in is needed
                assert (await run.service.request(request)).approvals == ()

    asyncio.run(main())


def _open(link: str) -> int:
    try:
        return int(urllib.request.urlopen(link).status)
    except urllib.error.HTTPError as error:
        return error.code


def test_starttls_with_a_trusted_certificate_and_a_password(world: ChannelsWorld, tmp_path: Path) -> None:
    cert, context = certificate(tmp_path)
    box = Mailbox()
    more = (
        f'user = "keyturn"\npassword_file = "mail.password"\nca_file = "{cert}"\nto = ["ops@example.com"]\n'
    )

    async def main() -> None:
        async with server(box, context) as port:
            configured(world, port, more)
            world.write("mail.password", "pass word")
            async with world.telling() as run:
                await run.ask()
                await run.recorded("notice.sent")
                assert (box.tls, box.logins) == ([True], [b"keyturn"])

    asyncio.run(main())


@pytest.mark.parametrize(
    ("more", "password", "words"),
    [("", "pass word", "certificate is not trusted"), ("ca", "wrong", "refused the password")],
)
def test_a_certificate_that_is_not_trusted_gets_no_password(
    world: ChannelsWorld, tmp_path: Path, more: str, password: str, words: str
) -> None:
    cert, context = certificate(tmp_path)
    box = Mailbox()
    ca = f'ca_file = "{cert}"\n' if more else ""

    async def main() -> None:
        async with server(box, context) as port:
            configured(world, port, f'user = "keyturn"\npassword_file = "p"\nto = ["ops@example.com"]\n{ca}')
            world.write("p", password)
            async with world.telling() as run:
                await run.ask()
                failed = await run.recorded("notice.failed")
                assert words in failed[0].fields["why"]
                assert box.got == []
                assert bool(box.logins) == bool(more)

    asyncio.run(main())


def test_a_mailbox_that_does_not_exist_is_given_up_and_a_busy_server_tried_again(
    world: ChannelsWorld,
) -> None:
    box = Mailbox()
    box.refusals = ["550 no such user", "451 try later"]

    async def story(run: Running) -> None:
        first = await run.ask("rm -r one")
        await run.recorded("notice.failed")
        second = await run.ask("rm -r two")
        await run.recorded("notice.sent")
        said = [(e.fields["about"], e.fields["final"]) for e in run.entries("notice.failed")]
        assert said == [(first, True), (second, False)]
        assert len(box.got) == 1

    play(world, box, story)


def test_a_server_without_starttls_gets_nothing(world: ChannelsWorld) -> None:
    box = Mailbox()

    async def story(run: Running) -> None:
        await run.ask()
        failed = await run.recorded("notice.failed")
        assert "STARTTLS" in failed[0].fields["why"]
        assert box.got == []

    play(world, box, story, more="")


@pytest.mark.parametrize(
    "more",
    ['host = "mail.example"\nsender = "a@b.c"\ntls = "none"', 'host = "127.0.0.1"\nsender = "a@b.c\\nBcc: x@y"',
     'host = "127.0.0.1"\nsender = "a@b.c"\nuser = "x"\ntls = "none"', 'host = "h"\nsender = "a@b.c"\nquiet = "25:00-7"'],
)  # fmt: skip
def test_settings_that_would_leak_or_break_make_no_channel(world: ChannelsWorld, more: str) -> None:
    world.set(f"[email]\n{more}\n")
    built = build(world.home.root, world.settings)
    assert built.made == ()
    assert built.unusable[0].name == "email"


# --- Apprise -------------------------------------------------------------------------------------------------------


def test_apprise_delivers_tries_again_and_shows_no_word_of_the_action(world: ChannelsWorld) -> None:
    async def main() -> None:
        async with Service().listening() as service:
            address = service.url.replace("http://", "json://") + "/hook?token=geheim"
            world.write("urls", "# where to\n" + address)
            world.set('[apprise]\nurls_file = "urls"\n')
            async with world.telling() as run:
                service.moods = [status(500)]
                await run.ask("rm -r @everyone")
                await run.recorded("notice.sent")
                body = service.got[-1].json
                assert "claude-code wants to" in body["message"]
                assert "https://keyturn.example/requests/" in body["message"]
                assert "everyone" not in service.got[-1].body.decode()
                recorded = [e.fields for kind in ("notice.sent", "notice.failed") for e in run.entries(kind)]
                assert len(recorded) == 2
                assert "geheim" not in repr(recorded)

    asyncio.run(main())


def test_an_address_that_apprise_does_not_know_makes_no_channel(world: ChannelsWorld) -> None:
    world.write("urls", "nonsense://x")
    world.set('[apprise]\nurls_file = "urls"\n')
    assert "none that Apprise knows" in build(world.home.root, world.settings).unusable[0].why
