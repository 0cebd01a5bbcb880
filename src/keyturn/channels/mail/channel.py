"""Delivery over SMTP. Certificates are always checked; a password never goes over a connection that is not encrypted."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from keyturn import canonical
from keyturn.channels.mail.rendering import message
from keyturn.channels.notices.channel import (
    Channel,
    ChannelDown,
    ChannelUnusable,
    Follows,
    Receipt,
    Receiver,
    ReceiverRefused,
)
from keyturn.channels.notices.files import secret, trust
from keyturn.channels.notices.notice import Notice
from keyturn.channels.notices.posting import is_loopback, words_of
from keyturn.identity import Person
from keyturn.service.channel_settings import EmailSettings

SECONDS = 15.0
ACCOUNT = "email:|"


class EmailChannel(Channel):
    """One mail server."""

    name = "email"
    follows: Follows = "end"

    def __init__(self, home: Path, settings: EmailSettings) -> None:
        if settings.tls == "none" and not is_loopback(settings.host):
            raise ChannelUnusable(
                'email: tls = "none" is only for a mail server on this machine.',
                next_step='Set tls to "starttls" or "tls".',
            )
        if bad := next((one for one in (settings.sender, *settings.to) if not _is_address(one)), None):
            raise ChannelUnusable(f"email: {bad[:80]!r} is not an address.")
        if settings.user and settings.tls == "none":
            raise ChannelUnusable("email: a password is not sent in the clear.")
        self.quiet = settings.quiet
        self._settings = settings
        self._password = (
            secret(home, settings.password_file, "password_file of email") if settings.user else ""
        )
        self._context = trust(home, settings.ca_file)

    def shared(self) -> Sequence[str]:
        """Addresses that hear of every request."""
        return self._settings.to

    def addresses(self, person: Person, rows: Sequence[Mapping[str, Any]]) -> Sequence[str]:
        """The person's addresses."""
        if not self._settings.direct:
            return ()
        mine = (account.removeprefix(ACCOUNT) for account in person.accounts if account.startswith(ACCOUNT))
        return [address for address in mine if _is_address(address)]

    async def send(self, notice: Notice, receiver: Receiver, ref: Mapping[str, Any] | None) -> Receipt:
        """One message; later ones about the same request are in the first one's thread."""
        made = message(notice, self._settings.sender, receiver.to)
        await asyncio.to_thread(self._deliver, made)
        return Receipt({"id": str(made["Message-ID"])}, canonical.digest_bytes(bytes(made)))

    def _deliver(self, made: EmailMessage) -> None:
        try:
            with self._connected() as server:
                if self._settings.user:
                    server.login(self._settings.user, self._password)
                server.send_message(made)
        except smtplib.SMTPRecipientsRefused as error:
            ((code, _),) = list(error.recipients.values())[:1]
            raise _refused(code, "refused the address") from error
        except smtplib.SMTPResponseException as error:
            if isinstance(error, smtplib.SMTPAuthenticationError):
                raise ChannelDown("The mail server refused the password.") from error
            raise _refused(
                error.smtp_code, "refused the message", sender=isinstance(error, smtplib.SMTPSenderRefused)
            ) from error
        except smtplib.SMTPNotSupportedError as error:
            raise ChannelDown("The mail server can't do what is needed (STARTTLS, or a password).") from error
        except TimeoutError as error:
            raise ChannelDown("The mail server did not answer in time.") from error
        except (smtplib.SMTPException, OSError) as error:
            raise ChannelDown(words_of(error)) from error

    def _connected(self) -> smtplib.SMTP:
        given = self._settings
        if given.tls == "tls":
            return smtplib.SMTP_SSL(given.host, given.port, timeout=SECONDS, context=self._context)
        server = smtplib.SMTP(given.host, given.port, timeout=SECONDS)
        try:
            if given.tls == "starttls":
                server.starttls(context=self._context)
        except BaseException:
            server.close()
            raise
        return server


def _refused(code: int, what: str, *, sender: bool = False) -> ChannelDown | ReceiverRefused:
    """RFC 5321 §4.2.1: 4xx may pass, 5xx won't; a refused sender is the channel's trouble, not the receiver's."""
    if 500 <= code < 600 and not sender:
        return ReceiverRefused(f"The mail server {what} ({code}).")
    return ChannelDown(
        f"The mail server {what} for now ({code})." if code < 500 else f"The mail server {what} ({code})."
    )


def _is_address(text: str) -> bool:
    """Whether it has the form of one address; what exists only the mail server knows."""
    local, at, domain = text.rpartition("@")
    return bool(local and at and domain) and text.isprintable() and not set(text) & set(" ,;<>\"'")
