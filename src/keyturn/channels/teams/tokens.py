"""Who calls the bot's address: the tokens that Microsoft signs, checked against its published keys.

Rules kept here (learn.microsoft.com, "Authentication with the Bot Connector API", connector to bot):

- RS256 with a key of the published set that is endorsed for Teams; issuer, audience (this bot), times with five minutes of skew;
  the token's service address is the activity's.
- Keys are fetched again after a day, and for an unknown one at most once a minute, so that nobody can make us ask without end.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from keyturn.channels.notices.posting import Http, accepted, check_address
from keyturn.errors import KeyturnError

ISSUER = "https://api.botframework.com"
CHANNEL = "msteams"
SKEW = 300
KEEP = 86_400.0
AGAIN = 60.0


class NotMicrosoft(KeyturnError):
    """A call to the bot's address that Microsoft did not sign for this bot."""

    code = "chat.not_signed"
    status = 401
    not_done = "Nothing was looked at and nothing was decided."
    next_step = "Only Teams calls this address. If it did, compare `app_id` in keyturn.toml with the bot's."


class Keys:
    """Microsoft's published keys, kept for a day."""

    def __init__(self, http: Http, openid: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._http = http
        self._openid = check_address(openid, "openid of teams")
        self._clock = clock
        self._keys: dict[str, dict[str, Any]] = {}
        self._asked = float("-inf")

    async def key(self, kid: str) -> dict[str, Any] | None:
        """The key of that id."""
        age = self._clock() - self._asked
        if age > KEEP or (kid not in self._keys and age > AGAIN):
            self._asked = self._clock()
            about = accepted(await self._http.send("GET", self._openid)).json()
            address = check_address(str(about.get("jwks_uri", "")), "jwks_uri of Microsoft")
            found = accepted(await self._http.send("GET", address)).json()
            self._keys = {str(one.get("kid")): one for one in found.get("keys", ()) if isinstance(one, dict)}
        return self._keys.get(kid)


async def check(
    authorization: str, activity: dict[str, Any], app_id: str, service_url: str, keys: Keys
) -> None:
    """Raise `NotMicrosoft` unless *authorization* shows that Teams sent *activity* to this bot."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotMicrosoft("The call has no token.")
    kid = _kid(token)
    found = await keys.key(kid)
    if found is None:
        raise NotMicrosoft("The token's key is not one of Microsoft's.")
    if CHANNEL not in (found.get("endorsements") or ()):
        raise NotMicrosoft("The token's key is not endorsed for Teams.")
    claims = _claims(token, found, app_id)
    said = str(activity.get("serviceUrl", ""))
    if claims.get("serviceurl", claims.get("serviceUrl")) != said or _origin(said) != _origin(service_url):
        raise NotMicrosoft("The token is for another service address.")
    if activity.get("channelId") != CHANNEL:
        raise NotMicrosoft("The call is not from Teams.")


def _kid(token: str) -> str:
    from joserfc.jws import extract_compact

    try:
        header = extract_compact(token.encode()).headers()
    except (JoseError, ValueError) as error:
        raise NotMicrosoft("The token is none.") from error
    if header.get("alg") != "RS256":
        raise NotMicrosoft("The token's algorithm is not RS256.")
    return str(header.get("kid", ""))


def _claims(token: str, key: dict[str, Any], app_id: str) -> dict[str, Any]:
    try:
        claims = jwt.decode(token, KeySet.import_key_set({"keys": [key]}), algorithms=["RS256"]).claims
        registry = jwt.JWTClaimsRegistry(
            leeway=SKEW,
            iss={"essential": True, "value": ISSUER},
            aud={"essential": True, "value": app_id},
            exp={"essential": True},
        )
        registry.validate(claims)
    except (JoseError, ValueError) as error:
        raise NotMicrosoft("The token is not valid for this bot now.") from error
    return dict(claims)


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()
