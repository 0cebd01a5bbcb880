"""The tables `[oidc]` and `[scim]` of keyturn.toml: where people come from."""

from __future__ import annotations

import ipaddress
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from keyturn.identity.claims import ClaimTable
from keyturn.identity.id_token import Algorithm


class OidcSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """An OpenID provider with which people sign in."""

    issuer: str = ""
    """The provider's issuer, letter for letter as its tokens name it; empty: nobody signs in with a provider."""
    client_id: str = ""
    """The name under which Keyturn is registered there."""
    client_secret_file: str = ""
    """A file with the client's secret; empty for a public client. PKCE is used in both cases."""
    name: str = "your provider"
    """What the button on the sign-in page calls it."""
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    """What is asked for; `openid` always is."""
    algorithms: tuple[Algorithm, ...] = ("RS256", "PS256", "ES256", "EdDSA")
    """Signature algorithms of its tokens. `none` and symmetric ones can't be named."""
    skew_seconds: Annotated[int, Meta(ge=0, le=300)] = 60
    """How far its clock and this one may differ."""
    subject_claim: str = "sub"
    """The claim that names the account for ever. `sub`, unless the provider has a better one for all its clients (`oid`)."""
    groups_claim: str = ""
    """The claim that lists the groups of a person there; empty: groups are given here only."""
    groups: dict[str, str] = {}
    """Their group → ours. Only groups named here come from the provider; they come and go with each sign-in."""
    roles: dict[str, str] = {}
    """Their group → our role."""
    acr_values: tuple[str, ...] = ()
    """Authentication contexts that a sign-in must have one of; empty: any."""
    decision_acr: tuple[str, ...] = ()
    """Authentication contexts that a decision of level `idp` must have one of; empty: any."""
    keys_seconds: Annotated[int, Meta(ge=60)] = 3600
    """After how long its key set is fetched again. An unknown key fetches it at once, at most every half minute."""
    flow_seconds: Annotated[int, Meta(ge=30, le=3600)] = 600
    """How long somebody may take at the provider."""
    sign_out_there: bool = False
    """Whether signing out here leads on to signing out there; `https://…/login` has to be registered there as a place to return to."""

    @property
    def on(self) -> bool:
        """Whether there is a provider."""
        return bool(self.issuer)

    @property
    def table(self) -> ClaimTable:
        """What its claims mean here."""
        return ClaimTable(self.groups_claim, self.groups, self.roles)


class ScimSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """A SCIM 2.0 client (the provider) that keeps people and groups up to date."""

    issuer: str = ""
    """The provider whose accounts it provisions: `externalId` becomes the account `issuer|externalId`. Empty: no account is made."""
    groups: dict[str, str] = {}
    """Its group (`displayName`) → ours. Only groups named here are filled by it; any other group of its own counts for nothing."""


def secure_address(address: str) -> bool:
    """Whether *address* is https, or http on this very machine: a token never crosses a network in the clear."""
    parts = urlsplit(address)
    if parts.scheme == "https":
        return bool(parts.hostname)
    return parts.scheme == "http" and own_machine(parts.hostname or "")


def own_machine(host: str) -> bool:
    """Whether *host* is a loopback name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
