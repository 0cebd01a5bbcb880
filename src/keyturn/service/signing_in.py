"""Signing in with a provider, and the provider's word over a decision or a key.

Rules kept here:

- An account opens a session only if it is linked to exactly one person who is on the roster. An unknown account is refused in
  words, recorded once, and waits for people to link it: nobody gets in silently, and no claim (name, mail address) ever makes the link.
- What the claims give by the configured table is recorded as a change of the person, by `provider`, before the session is.
- A word over a decision or a key is only taken from an account of the person who is signed in, in the same web session, and only if
  they proved themselves there after it was asked for.
- If the provider is down, nothing of this happens and nothing is recorded. Sessions that are open stay open.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from keyturn.approvals.idp_proof import ProofNotTheProviders, verify_idp
from keyturn.approvals.proof import IdpProof, Verified
from keyturn.approvals.proof_errors import ProofRefused
from keyturn.errors import ExitCode, KeyturnError
from keyturn.identity import Person, Roster, claims, tokens
from keyturn.identity.id_token import MAX_AGE_MS, Demand, IdToken, TokenRefused, account_of, commitment
from keyturn.identity.keys import from_b64
from keyturn.ledger.entries import Draft, Rows
from keyturn.service import requests
from keyturn.service.core import Core
from keyturn.service.flows import (
    Commit,
    Decide,
    Flow,
    FlowRefused,
    Flows,
    Link,
    Purpose,
    SignIn,
    hashed,
    local_path,
)
from keyturn.service.people import last_administrator, open_session
from keyturn.service.people_settings import OidcSettings
from keyturn.service.provider import NoProvider, Provider

LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
WORD_MS = 10 * 60_000
"""How long the provider's word over something waits to be used."""


class AccountUnknown(KeyturnError):
    """The account at the provider is linked to nobody here."""

    code = "account.unknown"
    status = 403
    exit_code = ExitCode.REFUSED
    not_done = "Nobody was signed in."
    next_step = "Ask an administrator to link it: `keyturn person link PERSON ACCOUNT`."


class AccountOfAnother(KeyturnError):
    """At the provider somebody else is signed in than here."""

    code = "account.of_another"
    status = 403
    exit_code = ExitCode.REFUSED
    not_done = "Your decision was not recorded."
    next_step = "Sign out at the provider, then decide again and sign in there with your own account."


class Begun(Struct, frozen=True):
    """Where the browser goes, and what its page keeps: `state` finds `key` again on the way back."""

    location: str
    state: str
    key: str


class Word(Struct, frozen=True):
    """The provider's word: the token, and the digest of the recorded key set that checks it."""

    token: IdToken
    keys: str

    @property
    def account(self) -> str:
        """Whose word it is."""
        return account_of(self.token.issuer, self.token.subject)


class Finished(Struct, frozen=True):
    """What a journey came to. `key` is a new web session's; `next` where the page goes."""

    purpose: Purpose
    person: str
    next: str
    key: str = ""
    word: Word | None = None


class SigningIn:
    """The journeys of one server."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.settings = core.settings.oidc
        self.provider = Provider(core, self.settings)
        self._flows = Flows()
        self._words: dict[tuple[str, str], tuple[Word, int]] = {}
        if self.settings.on:
            core.check_idp = self.check_proof

    @property
    def roster(self) -> Roster:
        """Everybody, as of now."""
        return self._core.roster

    # --- there -------------------------------------------------------------------------------------------------

    async def begin(
        self,
        purpose: Purpose,
        *,
        origin: str,
        next: str = "/",
        person: Person | None = None,
        cookie: str = "",
        nonce: str = "",
    ) -> Begun:
        """Send a browser to the provider. *origin* is our page's; *nonce* what the token must commit to.

        Raises `NoProvider`, `ProviderDown`, `NextRefused`.
        """
        now = self._core.now()
        key, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(64)
        flow = Flow(
            key=hashed(key),
            nonce=nonce or secrets.token_urlsafe(32),
            verifier=verifier,
            redirect_uri=f"{origin}/login/provider/callback",
            purpose=purpose,
            next=local_path(next),
            began_ms=now,
            expires_ms=now + self.settings.flow_seconds * 1000,
            person=person.id if person else None,
            cookie=tokens.hash_token(cookie) if cookie else "",
        )
        await self.provider.metadata()
        state = self._flows.begin(flow)
        given = {"state": state, "nonce": flow.nonce, **self._asked(purpose)}
        return Begun(await self.provider.authorization_url(flow.redirect_uri, verifier, **given), state, key)

    async def begin_decision(
        self, wanted: Decide, person: Person, *, origin: str, cookie: str, next: str
    ) -> Begun:
        """Send a browser to the provider for its word over one decision: the token's nonce commits to the statement.

        Raises what keeps *person* from deciding, `NoProvider`, `ProviderDown`.
        """
        view = requests.statement(
            self._core,
            wanted.request,
            person,
            wanted.choice,
            reason=wanted.reason,
            digest=wanted.digest,
            display=wanted.display,
            grant=wanted.grant,
            ticket=wanted.ticket,
        )
        wanted = msgspec.structs.replace(wanted, nonce=view.statement["nonce"])
        nonce = commitment(from_b64(view.bytes))
        return await self.begin(wanted, origin=origin, next=next, person=person, cookie=cookie, nonce=nonce)

    def _asked(self, purpose: Purpose) -> dict[str, str]:
        """Parameters beside those of every journey (OpenID Connect Core 1.0 §3.1.2.1)."""
        acr = self.settings.acr_values if isinstance(purpose, SignIn) else self.settings.decision_acr
        asked = {"acr_values": " ".join(acr)} if acr else {}
        return asked if isinstance(purpose, SignIn) else {**asked, "prompt": "login", "max_age": "0"}

    # --- and back ----------------------------------------------------------------------------------------------

    async def finish(self, state: str, key: str, code: str, issuer: str, cookie: str = "") -> Finished:
        """What came back. *issuer* is the `iss` of the answer (RFC 9207), empty without one; *cookie* the web session's.

        Raises `FlowRefused`, `TokenRefused`, `AccountUnknown`, `AccountOfAnother`, `ProviderDown`, `ProviderRefused`.
        """
        flow = self._flows.take(state, key, self._core.now())
        if flow.person is not None and (not cookie or tokens.hash_token(cookie) != flow.cookie):
            raise FlowRefused("You are no longer signed in here as you were when you left.")
        await self._check_issuer(issuer)
        raw = await self.provider.exchange(code, flow.redirect_uri, flow.verifier)
        word = self._by_subject(*await self.provider.verified(raw, self._demand(flow)))
        if isinstance(flow.purpose, SignIn):
            return await self._sign_in(flow, word)
        return self._with_word(flow, word)

    async def _check_issuer(self, issuer: str) -> None:
        """The answer is the provider's whom we asked (mix-up, RFC 9207 §2.4)."""
        promised = (await self.provider.metadata()).get(
            "authorization_response_iss_parameter_supported"
        ) is True
        if (issuer or promised) and issuer != self.settings.issuer:
            raise FlowRefused("The answer came from another provider than the one that was asked.")

    def _demand(self, flow: Flow) -> Demand:
        s, fresh = self.settings, not isinstance(flow.purpose, SignIn)
        return Demand(
            issuer=s.issuer,
            client_id=s.client_id,
            nonce=flow.nonce,
            algorithms=s.algorithms,
            skew_ms=s.skew_seconds * 1000,
            fresh_since_ms=flow.began_ms if fresh else None,
            acr=s.decision_acr if fresh else s.acr_values,
        )

    def _by_subject(self, token: IdToken, keys: str) -> Word:
        """The word under the subject that the setting `subject_claim` names."""
        return Word(by_subject(token, self.settings.subject_claim), keys)

    def _person(self, word: Word) -> Person | None:
        """The one person on the roster whose account that is."""
        return self._core.roster.by_account(word.account)

    async def _sign_in(self, flow: Flow, word: Word) -> Finished:
        person = self._person(word)
        if person is None:
            await self._record_unknown(word)
            raise AccountUnknown(
                f"The account {word.account} is linked to nobody here.", account=word.account
            )
        key = tokens.new_token("kts")
        how = {
            "how": "provider", "account": word.account, "acr": word.token.acr, "amr": list(word.token.amr),
            "auth_time": word.token.auth_ms, "provider_session": word.token.session, "keys": word.keys,
        }  # fmt: skip

        def plan(rows: Rows) -> Sequence[Draft]:
            return [
                *self._changed(rows, person.id, word.token),
                open_session(self._core, person.id, key, how),
            ]

        before = self._core.ledger.size
        await self._core.ledger.append(plan)
        if self._core.ledger.size > before + 1:
            self._core.people_changed()
        return Finished(flow.purpose, person.id, flow.next, key)

    async def _record_unknown(self, word: Word) -> None:
        """Once an account, so that a stranger can't fill the log."""

        def plan(rows: Rows) -> Sequence[Draft]:
            if rows.row("stranger", word.account) is not None:
                return []
            given = word.token.claims
            known_as = {n: str(given[n])[:200] for n in ("preferred_username", "email", "name") if n in given}
            return [Draft("login.refused", {"account": word.account, "said": known_as})]

        await self._core.ledger.append(plan)

    def _changed(self, rows: Rows, person: str, token: IdToken) -> Sequence[Draft]:
        """What the provider's groups change in *person*."""
        table = self.settings.table
        row = rows.row("person", person)
        if not table.claim or row is None:
            return []
        now = Person(person, groups=tuple(row["groups"]), roles=tuple(row["roles"]))
        changes = claims.mapped(now, claims.given(token.claims, table.claim), table)
        loses = "admin" in now.roles and "admin" not in changes.get("roles", ["admin"])
        if loses and last_administrator(self._core, person):
            changes["roles"] = sorted({*changes["roles"], "admin"})
        return [Draft("person.changed", {"id": person, **changes, "by": "provider"})] if changes else []

    def _with_word(self, flow: Flow, word: Word) -> Finished:
        """The provider's word over something that the signed-in person does here."""
        person = self._core.roster.get(flow.person)
        if person is None:
            raise FlowRefused("You are no longer on the roster.")
        if not isinstance(flow.purpose, Link) and word.account not in person.accounts:
            raise AccountOfAnother(
                f"At the provider you are {word.account}, which is not an account of {person.id}."
            )
        if isinstance(flow.purpose, Commit):
            now = self._core.now()
            self._words = {k: v for k, v in self._words.items() if v[1] > now}
            self._words[person.id, flow.nonce] = (word, now + WORD_MS)
        return Finished(flow.purpose, person.id, flow.next, word=word)

    # --- out ---------------------------------------------------------------------------------------------------

    async def place_to_sign_out(self, origin: str) -> str:
        """Where the provider ends its own session; empty where the settings don't want that, or it has no such place."""
        if not (self.settings.on and self.settings.sign_out_there):
            return ""
        return await self.provider.end_session_url(f"{origin}/login", secrets.token_urlsafe(8))

    async def signed_out_there(self, raw: str) -> int:
        """The provider says that it ended a session (OpenID Connect Back-Channel Logout 1.0 §2.6): ours of it end, too.

        Gives how many. Raises `TokenRefused`, `NoProvider`, `ProviderDown`.
        """
        if not self.settings.on:
            raise NoProvider("No provider is set up here.")
        said = await self.provider.verified_claims(raw)
        account, session = logout_of(said, self.settings, self._core.now())
        closed: list[Draft] = []

        def plan(rows: Rows) -> Sequence[Draft]:
            closed.clear()
            for cookie, one in (rows.row("login-account", account) or {"cookies": {}})["cookies"].items():
                row = rows.row("login", cookie)
                if row is not None and session in ("", one["session"]):
                    fields = {
                        "person": row["person"],
                        "cookie": cookie,
                        "expires": self._core.now(),
                        "by": "provider",
                    }
                    closed.append(Draft("login.closed", fields))
            return closed

        await self._core.ledger.append(plan)
        return len(closed)

    # --- the provider's word -----------------------------------------------------------------------------------

    def check_proof(
        self, statement: bytes, proof: IdpProof, person: str, rows: Rows
    ) -> Verified | ProofRefused:
        """Whether *proof* is the provider's word that *person* made *statement*, at this very moment of the log."""
        s, now = self.settings, self._core.now()
        current = rows.row("provider", s.issuer) or {}
        if current.get("digest") != proof.keys:
            return ProofNotTheProviders(
                "The token was checked with a key set that is not the provider's now.", why="keys"
            )
        demand = Demand(
            issuer=s.issuer,
            client_id=s.client_id,
            nonce="",
            algorithms=s.algorithms,
            skew_ms=s.skew_seconds * 1000,
            fresh_since_ms=now - s.flow_seconds * 1000,
            acr=s.decision_acr,
        )
        return verify_idp(
            statement,
            proof,
            accounts=tuple((rows.row("person", person) or {}).get("accounts", ())),
            jwks=self._core.full(current["jwks"]),
            demand=demand,
            subject_claim=s.subject_claim,
            now_ms=now,
        )

    def take_word(self, person: str, nonce: str) -> Word | None:
        """The provider's word for *person* over what *nonce* commits to; once."""
        word, until = self._words.pop((person, nonce), (None, 0))
        return word if until > self._core.now() else None


def logout_of(said: dict[str, Any], settings: OidcSettings, now_ms: int) -> tuple[str, str]:
    """Account and session (empty: all) that a logout token's claims end. Raises `TokenRefused`."""
    skew = settings.skew_seconds * 1000
    issued = said.get("iat")
    right = (
        said.get("iss") == settings.issuer
        and said.get("aud") in (settings.client_id, [settings.client_id])
        and "nonce" not in said
        and isinstance(said.get("events"), dict)
        and LOGOUT_EVENT in said["events"]
        and isinstance(said.get(settings.subject_claim), str)
        and isinstance(issued, int)
        and now_ms - MAX_AGE_MS - skew <= issued * 1000 <= now_ms + skew
    )
    if not right:
        raise TokenRefused("logout", "This is no logout token of the provider for Keyturn.")
    return account_of(settings.issuer, said[settings.subject_claim]), str(said.get("sid", ""))


def by_subject(token: IdToken, claim: str) -> IdToken:
    """*token* with the subject that *claim* names. Raises `AccountUnknown` when it has none."""
    subject = token.claims.get(claim)
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isprintable():
        raise AccountUnknown(f"The token has no claim {claim!r} that names an account.")
    return msgspec.structs.replace(token, subject=subject)


__all__ = [
    "AccountOfAnother", "AccountUnknown", "Begun", "Commit", "Decide", "Finished", "Link", "SignIn",
    "SigningIn", "Word", "by_subject",
]  # fmt: skip
