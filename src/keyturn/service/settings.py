"""Settings of a home (`keyturn.toml`). Every one is listed in docs/reference/settings.md; a test compares."""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from keyturn.errors import ExitCode, KeyturnError
from keyturn.home import Home
from keyturn.identity.names import is_name
from keyturn.identity.people import ROLES
from keyturn.identity.spiffe import is_domain
from keyturn.service.channel_settings import (
    SECTIONS,
    AppriseSettings,
    EmailSettings,
    PushSettings,
    SlackSettings,
    TeamsSettings,
    WebhookSettings,
)
from keyturn.service.evidence_settings import EvidenceSettings
from keyturn.service.machine_settings import MACHINE_SECTIONS, GatesSettings, SpiffeSettings, address_of
from keyturn.service.people_settings import OidcSettings, ScimSettings, secure_address
from keyturn.service.redaction_settings import RedactionSettings
from keyturn.service.sink_settings import SinkSettings


class SettingsInvalid(KeyturnError):
    """keyturn.toml or a KEYTURN_ variable has a value or a name that is not known."""

    code = "settings.invalid"
    status = 500
    exit_code = ExitCode.USAGE
    not_done = "Keyturn did not start."
    next_step = "Correct the named line; docs/reference/settings.md lists every setting."


class CommentSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """A program that says a word on each held action. Its words are shown folded, as untrusted text, and are input to nothing."""

    url: str
    """Where the action is sent by POST as JSON: `https://…`, plain `http://` only to a loopback address. It gets what reviewers see."""
    token_file: str = ""
    """File with a token that is sent along as `Authorization: Bearer`."""
    seconds: Annotated[float, Meta(gt=0, le=120)] = 20.0
    """How long its answer is waited for; nothing else waits."""
    ca_file: str = ""
    """File with the certificates to trust instead of the system's."""


class Settings(Struct, frozen=True, forbid_unknown_fields=True, rename=None):
    """What an operator may set. Times are seconds, sizes bytes."""

    store: str = ""
    """Where the ledger lies: empty for `ledger.db` in the home, or a `postgresql://` URL."""
    listen: str = "127.0.0.1"
    """Address of the page and API. Anything but loopback needs TLS in front."""
    port: Annotated[int, Meta(ge=0, le=65535)] = 8765
    """TCP port of the page and API; 0 takes a free one."""
    hosts: tuple[str, ...] = ()
    """Further host names under which the page may be opened (DNS rebinding is refused for others)."""
    max_body: Annotated[int, Meta(ge=1024)] = 2_097_152
    """Largest request body."""
    permit_seconds: Annotated[int, Meta(ge=1)] = 60
    """How long a permit may wait to be used."""
    claim_seconds: Annotated[int, Meta(ge=1)] = 3600
    """How long an approved request may wait for its gate to claim the permit."""
    login_seconds: Annotated[int, Meta(ge=60)] = 43_200
    """How long a web session lasts."""
    proxies: tuple[str, ...] = ()
    """Addresses of reverse proxies on other machines that speak TLS in front and reach this server in the clear."""
    person: str = ""
    """The person whose token the command line uses when none is named."""
    public_url: str = ""
    """The address under which people open the page (`https://keyturn.example`), for links in messages; empty for the one it listens at."""
    slack: SlackSettings | None = None
    """Slack."""
    teams: TeamsSettings | None = None
    """Microsoft Teams."""
    email: EmailSettings | None = None
    """Email."""
    webhook: tuple[WebhookSettings, ...] = ()
    """Signed webhooks."""
    sink: tuple[SinkSettings, ...] = ()
    """Tools that get every entry: OCSF, CloudEvents, syslog, OpenTelemetry, files, Parquet."""
    apprise: AppriseSettings | None = None
    """Services that Apprise knows."""
    push: PushSettings | None = None
    """Web push."""
    comment: CommentSettings | None = None
    """A program, a model perhaps, that comments on held actions."""
    oidc: OidcSettings = OidcSettings()
    """The table `[oidc]`: the OpenID provider with which people sign in."""
    gates: GatesSettings = GatesSettings()
    """The table `[gates]`: the listener for gates on other machines, always with TLS."""
    spiffe: SpiffeSettings = SpiffeSettings()
    """The table `[spiffe]`: the trust domain whose workloads may be gates and agents."""
    redaction: RedactionSettings = RedactionSettings()
    """The table `[redaction]`: rules that look again at what was recorded."""
    evidence: EvidenceSettings = EvidenceSettings()
    """The table `[evidence]`: how often controls are tested."""
    scim: ScimSettings = ScimSettings()
    """The table `[scim]`: what a SCIM client may keep up to date here."""


def store_url(home: Home, settings: Settings | None = None) -> str:
    """Where *home*'s ledger lies: the setting `store`, else a file in the home."""
    return (settings or load(home.root)).store or str(home.ledger)


ENVIRONMENT_PREFIX = "KEYTURN_"

LISTS = ("hosts", "proxies")
"""Settings of several values; in the environment they are separated by commas."""


def load(home: Path, environ: dict[str, str] | None = None) -> Settings:
    """Settings of *home*: `KEYTURN_<NAME>` > `<home>/keyturn.toml` > defaults. Raises `SettingsInvalid`."""
    values: dict[str, Any] = {}
    file = home / "keyturn.toml"
    if file.exists():
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsInvalid(f"{file}: {error}.") from error
    known = {f.name for f in msgspec.structs.fields(Settings)}
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f" Did you mean `{near[0]}`?" if near else ""
            raise SettingsInvalid(f"{file}: `{name}` is no setting.{hint}")
    for name in known - SECTIONS.keys() - PEOPLE_SECTIONS - MACHINE_SECTIONS:
        given = (environ if environ is not None else os.environ).get(ENVIRONMENT_PREFIX + name.upper())
        if given is not None:
            values[name] = [h for h in given.split(",") if h] if name in LISTS else given
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsInvalid(f"{file}: {error}.") from error
    _check_provider(settings, file)
    _check_machines(settings, file)
    return settings


PEOPLE_SECTIONS = frozenset({"comment", "evidence", "oidc", "redaction", "scim", "sink"})
"""Sections about where people come from and how evidence is made; like those of channels they stand in the file alone."""


def _check_machines(settings: Settings, file: Path) -> None:
    """What no type says: an address is one, a certificate has its key, a trust domain its bundle."""
    gates, spiffe = settings.gates, settings.spiffe
    if gates.listen and address_of(gates.listen) is None:
        raise SettingsInvalid(f"{file}: gates.listen is ADDRESS:PORT, not {gates.listen!r}.")
    if bool(gates.certificate) != bool(gates.key):
        raise SettingsInvalid(f"{file}: gates.certificate and gates.key belong together.")
    if gates.listen and not gates.names:
        raise SettingsInvalid(f"{file}: gates.names says under which name gates reach the listener.")
    if bool(spiffe.trust_domain) != bool(spiffe.bundle):
        raise SettingsInvalid(f"{file}: spiffe.trust_domain and spiffe.bundle belong together.")
    if "://" in spiffe.bundle and not secure_address(spiffe.bundle):
        raise SettingsInvalid(f"{file}: spiffe.bundle has to be https (or http on this machine), or a file.")
    if spiffe.trust_domain and not is_domain(spiffe.trust_domain):
        raise SettingsInvalid(f"{file}: {spiffe.trust_domain!r} is no SPIFFE trust domain.")


def _check_provider(settings: Settings, file: Path) -> None:
    """What no type says: a provider's address is safe, and the client has a name."""
    oidc = settings.oidc
    if oidc.on and not secure_address(oidc.issuer):
        raise SettingsInvalid(f"{file}: oidc.issuer has to be https (or http on this machine).")
    if oidc.on and not oidc.client_id:
        raise SettingsInvalid(f"{file}: oidc.issuer needs oidc.client_id.")
    if (oidc.groups or oidc.roles) and not oidc.groups_claim:
        raise SettingsInvalid(f"{file}: oidc.groups and oidc.roles need oidc.groups_claim.")
    wrong = [name for name in (*oidc.groups.values(), *settings.scim.groups.values()) if not is_name(name)]
    if wrong:
        raise SettingsInvalid(f"{file}: {wrong[0]!r} can't be a group's name.")
    unknown = sorted(set(oidc.roles.values()) - set(ROLES))
    if unknown:
        raise SettingsInvalid(f"{file}: there is no role {unknown[0]!r}; there are: {', '.join(ROLES)}.")
