"""A house with keys: people who hold soft authenticators, a policy that wants signatures, and held actions to sign."""

from __future__ import annotations

from typing import Any

from service_world import World, person

from keyturn import policy as policies
from keyturn.approvals.statement import Statement, statement_bytes
from keyturn.identity.keys import commitment, from_b64, key_id, to_b64
from keyturn.service import keys
from keyturn.service.keys import ENROLMENT_NAMESPACE, PasskeyOffer, SshOffer, record_bytes, ssh_record
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import RequestView
from soft_authenticator import UP, UV, SoftPasskey, SoftSshKey, Vendor, register

PORT = 8765
ORIGIN = f"http://localhost:{PORT}"


def signed_policy(level: str = "signed", people: int = 1) -> dict[str, bytes]:
    """The starter policy, with removals held for people who sign."""
    rule = f"""
@id("signed-removals")
@hold
@approve("{people} of reviewers")
@assurance("{level}")
@within("30m")
@reason("required")
@because("Removing needs a signature.")
permit(principal, action, resource)
when {{ context.program == "rm" }};
"""
    files = dict(policies.read_folder(policies.STARTER))
    files["rules/signed.cedar"] = rule.encode()
    return files


async def ask(world: World, service: Keyturn, command: str = "rm -r build") -> str:
    """Dana's agent asks; the id of the request that waits."""
    session = await world.session(service, command)
    outcome = await service.authorize(world.action(session, command), world.around)
    assert outcome.request, outcome
    return outcome.request


def ssh_offer(service: Keyturn, name: str, soft: SoftSshKey, /, **changes: Any) -> SshOffer:
    """*name* offers *soft*, having signed its record."""
    random = to_b64(bytes(range(32)))
    record = ssh_record(service.core.origin, name, soft.line, random)
    signature = soft.sign(record_bytes(record), ENROLMENT_NAMESPACE)
    return SshOffer(
        **{"public_key": soft.line, "random": random, "signature": signature, "name": "laptop", **changes}
    )


def passkey_offer(
    service: Keyturn, name: str, soft: SoftPasskey, vendor: Vendor | None = None, /, **changes: Any
) -> PasskeyOffer:
    """*name* offers *soft*, made on our page."""
    options = keys.begin(service.core, person(service, name), ORIGIN)
    made = register(soft, name, options.random, vendor, origin=ORIGIN, log=service.core.origin)
    return PasskeyOffer(**{"random": options.random, **made, "name": "phone", **changes})


async def enrol(
    service: Keyturn,
    name: str,
    soft: SoftSshKey | SoftPasskey,
    by: str = "dana",
    vendor: Vendor | None = None,
) -> str:
    """Enrol *soft* for *name*, approved by *by* (by click, or with `by`'s own soft key in `service.softs`); the key's id."""
    service.core.port = PORT
    offer = (
        ssh_offer(service, name, soft)
        if isinstance(soft, SoftSshKey)
        else passkey_offer(service, name, soft, vendor)
    )
    view = await service.enrol_key(person(service, name), offer)
    await approve(service, view, by)
    return key_id(soft.blob if isinstance(soft, SoftSshKey) else soft.public)


async def approve(service: Keyturn, view: RequestView, by: str, reason: str = "seen") -> RequestView:
    """By click."""
    return await service.decide(
        view.id,
        person(service, by),
        "approve",
        reason=reason,
        digest=view.digest,
        display=view.display,
        channel="test",
    )


async def sign(
    service: Keyturn, request: str, by: str, soft: SoftSshKey | SoftPasskey, choice: Any = "approve",
    reason: str = "I read it", **how: Any,
) -> dict[str, Any]:  # fmt: skip
    """The arguments of `decide` for a decision that *by* signs with *soft*; *how* goes to the authenticator."""
    view = await service.request(request, person(service, by))
    asked = {"reason": reason, "digest": view.digest, "display": view.display}
    handed = await service.statement(request, person(service, by), choice, **asked)
    if isinstance(soft, SoftPasskey):
        how.setdefault("origin", ORIGIN)
    proof = soft.prove(from_b64(handed.bytes), **how)
    return {**asked, "channel": "test", "proof": proof, "statement_nonce": handed.statement["nonce"]}


async def decide(
    service: Keyturn, request: str, by: str, given: dict[str, Any], choice: Any = "approve"
) -> RequestView:
    """Hand a signed decision in."""
    return await service.decide(request, person(service, by), choice, **given)


def approvals(service: Keyturn, request: str) -> list[dict[str, Any]]:
    """The entries `approval.given` of a request."""
    found = service.core.ledger.entries(0, service.core.ledger.size)
    return [e.fields for e in found if e.type == "approval.given" and e.fields["request"] == request]


__all__ = [
    "ORIGIN", "PORT", "UP", "UV", "SoftPasskey", "SoftSshKey", "Statement", "Vendor", "approvals", "approve", "ask",
    "commitment", "decide", "enrol", "passkey_offer", "person", "sign", "signed_policy", "ssh_offer", "statement_bytes",
]  # fmt: skip
