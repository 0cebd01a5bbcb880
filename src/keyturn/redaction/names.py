"""What a name says about the value beside it: how sure it is that a secret stands there. Pure.

Rules kept here:

- Names are taken apart at `_`, `-`, `.` and at capitals; what counts is what the name *ends* in: `DB_PASSWORD` is one, `password_file`
  names a file, `max_tokens` a number. Words that only say which one (`prod`, `2`, `base`, `value`) are looked past.
- CERTAIN: anything beside it but a reference or a placeholder is a secret. LIKELY: what is no word and no number. POSSIBLE: only what
  looks random.
"""

# ruff: noqa: E501 (a pattern or a case stands on one line)
from __future__ import annotations

import re
from enum import IntEnum
from functools import lru_cache


class Sure(IntEnum):
    """How sure."""

    NOT = 0
    POSSIBLE = 1
    LIKELY = 2
    CERTAIN = 3


_PARTS = re.compile(rb"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_PAST = frozenset(
    b"prod production dev devel staging stage test tests qa old new current value val default base string str plain plaintext text raw "
    b"data encoded b64 base64 live primary secondary backup main local remote server client0 here env1 enc admin root x".split()
)
_OTHER = frozenset(
    b"file files path paths dir folder url uri urls link endpoint name names id ids type types kind count counts len length size ttl expiry expires "
    b"expiration expire policy policies prompt hint min max env var field column header algorithm alg format mode stdin less manager "
    b"store provider reset change changed required age version limit limits usage title label prefix suffix char chars list index ring "
    b"board map regex pattern rule rules check checker validator generator strength error errors message reviewer page form input "
    b"row rows table set get fn func function class handler service services port host hosts user username email budget window "
    b"per second minute rate cost price used left total count0 tokens tokenizer keys words pairs permission permissions mask "
    b"only exists enabled disabled attempts retries timeout lifetime rotation arn ref selector usages author authors authority "
    b"issuer audience scope scopes scheme method methods status state code lang bindings press up down event events stroke code0 "
    b"space frame frames note notes signature signatures fingerprint fingerprints".split()
)
_CERTAIN = re.compile(
    rb"(?:pw|pass(?:word|wd|phrase|code|wrd)?|passw|psw|secret|secrets|secretkey|secretaccesskey|apikey|apisecret|appsecret|accesskey|privatekey|"
    rb"authtoken|accesstoken|refreshtoken|sessiontoken|securitytoken|bearertoken|bottoken|apitoken|deploytoken|personaltoken|accountkey|"
    rb"encryptionkey|encryptkey|signingkey|masterkey|sharedkey|sharedaccesskey|storagekey|bindpw|rootpw|adminpw|userpw|dbpw|"
    rb"requirepass|masterauth|secretkeybase|unsealkey|clientkeydata|presharedkey|psk|mnemonic|seedphrase|"
    rb"githubtoken|gitlabtoken|npmtoken|slacktoken|vaulttoken|connectionstring)\Z"
)
_LIKELY = re.compile(
    rb"(?:pwd|token|jwt|pat|cred|creds|credential|credentials|licensekey|deploykey|authkey|consumerkey|appkey|servicekey|subscriptionkey|"
    rb"integrationkey|writekey|apiauth|csrf|otp|totp|pin|passkey|dsn|sessionid|sessionkey|privkey|sshkey|encryptedkey|"
    rb"hostkey|functionkey|cookie|sid|apikeys|bearer)\Z"
)
_POSSIBLE = re.compile(rb"(?:key|auth|sig|salt|session|license|webhook|hash|nonce|sas|authorization)\Z")


@lru_cache(maxsize=8192)
def sureness(name: bytes) -> Sure:
    """How sure it is that a secret stands beside *name*."""
    parts = [part.lower() for part in _PARTS.findall(name)]
    while len(parts) > 1 and (parts[-1] in _PAST or parts[-1].isdigit()):
        parts.pop()
    if not parts or (parts[-1] in _OTHER):
        return Sure.NOT
    for count in (3, 2, 1):
        last = b"".join(parts[-count:])
        if _CERTAIN.match(last):
            return Sure.CERTAIN
    ends = parts[-1]
    if ends.endswith((b"password", b"passwd", b"passphrase", b"secret", b"apikey")) or (
        ends.endswith((b"pass", b"pwd"))
        and len(ends) > 4
        and ends not in (b"bypass", b"compass", b"encompass", b"trespass", b"surpass", b"openpass")
    ):
        return Sure.CERTAIN
    if ends == b"pwd" and len(parts) > 1:
        return Sure.CERTAIN
    for count in (2, 1):
        if _LIKELY.match(b"".join(parts[-count:])):
            return Sure.LIKELY
    if ends.endswith(b"token"):
        return Sure.LIKELY
    return Sure.POSSIBLE if _POSSIBLE.match(ends) else Sure.NOT
