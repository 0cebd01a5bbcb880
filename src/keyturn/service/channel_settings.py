"""Settings of the channels that tell people: one section of `keyturn.toml` each. No section, no channel.

Secrets are never in the settings, only the paths of files that hold them; a relative path begins at the home.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Port = Annotated[int, Meta(ge=1, le=65535)]


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    """What every channel has."""

    quiet: str = ""
    """Hours in which nobody is woken: `22:00-07:00 Europe/Berlin`. Requests of tier critical and break-glass are told all the same."""


class SlackSettings(Section, frozen=True, kw_only=True):
    """Slack, as one app in one workspace."""

    token_file: str
    """File with the bot token (`xoxb-…`)."""
    mode: Literal["socket", "http"] = "socket"
    """How clicks come in: `socket` (Keyturn calls Slack, nothing has to be reachable) or `http` (Slack calls `/slack/events`)."""
    app_token_file: str = ""
    """File with the app-level token (`xapp-…`), for `mode = "socket"`."""
    signing_secret_file: str = ""
    """File with the signing secret, for `mode = "http"`."""
    channel: str = ""
    """Id of a channel that hears of every request (`C0123…`); empty for none."""
    direct: bool = True
    """Whether those who may decide get a direct message."""
    approve: bool = False
    """Whether Approve is offered in Slack for what policy lets a click decide, at low and medium risk."""
    api: str = "https://slack.com/api/"
    """Base address of the Web API (GovSlack has its own)."""


class TeamsSettings(Section, frozen=True, kw_only=True):
    """Microsoft Teams: a Workflows webhook, or a bot, or both."""

    workflow_file: str = ""
    """File with the address of a Workflows webhook; it gets a card with a link and no buttons that decide."""
    app_id: str = ""
    """Application id of the bot."""
    tenant: str = ""
    """Directory (tenant) id: who clicks must be of it."""
    secret_file: str = ""
    """File with the bot's client secret."""
    conversation: str = ""
    """Id of the conversation that the bot posts to (`19:…@thread.tacv2`)."""
    service_url: str = "https://smba.trafficmanager.net/teams/"
    """Where the bot's messages are sent, and the only place it takes clicks from."""
    approve: bool = False
    """Whether Approve is offered in Teams for what policy lets a click decide, at low and medium risk."""
    login: str = "https://login.microsoftonline.com/"
    """Where the bot gets its token."""
    openid: str = "https://login.botframework.com/v1/.well-known/openidconfiguration"
    """Where the keys are published with which Microsoft signs clicks."""


class EmailSettings(Section, frozen=True, kw_only=True):
    """Email over SMTP."""

    host: str
    """Name of the mail server."""
    sender: str
    """Address that the messages come from."""
    port: Port = 587
    """Its port."""
    tls: Literal["starttls", "tls", "none"] = "starttls"
    """`starttls` or `tls`, certificates checked; `none` only to a loopback address."""
    user: str = ""
    """Account to sign in with; empty for none."""
    password_file: str = ""
    """File with its password."""
    ca_file: str = ""
    """File with the certificates to trust instead of the system's."""
    to: tuple[str, ...] = ()
    """Addresses that hear of every request."""
    direct: bool = True
    """Whether those who may decide get a message at the address of their account."""


class WebhookSettings(Section, frozen=True, kw_only=True):
    """One receiver of signed webhooks (Standard Webhooks)."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    """Its name in lists and metrics: lowercase letters, digits, hyphens."""
    url: str
    """Where to, `https://…` (plain `http://` only to a loopback address)."""
    secret_files: tuple[str, ...] = ()
    """Files with secrets (`whsec_…`). Each signs every message, so that a receiver can change over from one to the next."""
    key_file: str = ""
    """File with an Ed25519 private key (`whsk_…`) that signs as well (`v1a`)."""
    ca_file: str = ""
    """File with the certificates to trust instead of the system's."""


class AppriseSettings(Section, frozen=True, kw_only=True):
    """Any service that the library Apprise knows. Needs the extra `apprise`."""

    urls_file: str
    """File with Apprise addresses, one a line."""


class PushSettings(Section, frozen=True, kw_only=True):
    """Web push to browsers and phones. Needs the extra `push`."""

    contact: str
    """Whom a push service may contact: `mailto:…` or `https://…` (RFC 8292)."""
    services: tuple[str, ...] = ()
    """Further push services, as `https://host`, beside those of Chromium, Firefox, Safari and Edge."""
    ca_file: str = ""
    """File with the certificates to trust instead of the system's."""


SECTIONS: dict[str, type[Section]] = {
    "slack": SlackSettings,
    "teams": TeamsSettings,
    "email": EmailSettings,
    "webhook": WebhookSettings,
    "apprise": AppriseSettings,
    "push": PushSettings,
}
"""Sections by name; `webhook` may be there several times (`[[webhook]]`)."""
