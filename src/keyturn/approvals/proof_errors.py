"""Why a proof is no approval: each with a code of its own, because each asks for something else to be done."""

from __future__ import annotations

from keyturn.approvals.errors import DecisionRefused


class ProofRefused(DecisionRefused):
    """The signature that came with a decision does not prove it."""

    code = "proof.refused"
    next_step = "Load the request again and sign what it shows now."


class ProofMalformed(ProofRefused):
    """The proof can't be read: not the form that authenticators or ssh-keygen write."""

    code = "proof.malformed"
    status = 400
    next_step = "Send what `navigator.credentials.get` or `ssh-keygen -Y sign` gave, unchanged."


class ProofWrongSite(ProofRefused):
    """A passkey signed for another site (RP id) than the one it is enrolled for."""

    code = "proof.wrong_site"
    next_step = "Open the page under the name for which the passkey was enrolled."


class ProofWrongOrigin(ProofRefused):
    """A page of another origin asked the passkey to sign."""

    code = "proof.wrong_origin"
    next_step = "Sign on Keyturn's own page only. If you were on it, the setting `hosts` lacks its name."


class ProofOtherStatement(ProofRefused):
    """The signature is real, but for another statement: another request, decision, text, reason or nonce."""

    code = "proof.other_statement"
    status = 409


class ProofUnverifiedUser(ProofRefused):
    """The authenticator did not check who was using it (PIN, fingerprint or face)."""

    code = "proof.user_unverified"
    next_step = "Use an authenticator that asks for a PIN, a fingerprint or your face, and let it."


class ProofNobodyPresent(ProofRefused):
    """The authenticator signed without anybody touching it."""

    code = "proof.nobody_present"
    next_step = "Touch the key when it blinks; a key made with `no-touch-required` can't approve."


class ProofBadSignature(ProofRefused):
    """The signature does not fit the key and the bytes: something was altered."""

    code = "proof.bad_signature"


class ProofWrongNamespace(ProofRefused):
    """The SSH signature was made for another purpose."""

    code = "proof.wrong_namespace"
    next_step = "Sign with `ssh-keygen -Y sign -n approval@keyturn`."


class ProofReplayed(ProofRefused):
    """This statement was used already: each is good for one decision."""

    code = "proof.replayed"
    status = 409


class ProofOtherKey(ProofRefused):
    """The proof was made by another key, or another kind of key, than the one that it names."""

    code = "proof.other_key"


class KeyNotEnrolled(ProofRefused):
    """No key of that id is enrolled."""

    code = "key.unknown"
    next_step = "Enrol it with `keyturn key add` or on the page You; another administrator approves it."


class KeyOfAnother(ProofRefused):
    """The key is enrolled for another person."""

    code = "key.other_person"
    next_step = "Sign with a key of your own."


class KeyRevoked(ProofRefused):
    """The key was revoked, so nothing that it signs counts any more."""

    code = "key.revoked"
    next_step = "Sign with another of your keys, or enrol a new one."
