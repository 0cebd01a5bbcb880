"""Secrets that say themselves what they are: a prefix that their issuer gave them, or an armour around them.

Rules kept here:

- Each rule names what must occur (`hint`, RE2 patterns without case): a text without any of them is not searched for it.
- Group 1 is the secret. What only names an account (a user's id, a key's id without its key) is no secret, with one exception:
  AWS access key ids, which are published with their keys so often that showing one is a finding.
- Lengths are the issuers' own as far as they say them, with some room: what is longer than a rule expects is taken whole.

Sources: the issuers' documentation of their token formats; RFC 7468 (PEM), RFC 7519 (JWT).
"""

# ruff: noqa: E501 (a pattern or a case stands on one line)
from __future__ import annotations

from msgspec import Struct


class Rule(Struct, frozen=True):
    """One kind of secret: `kind` names it in markers and findings, `hint` are patterns of which one must occur, `pattern` is RE2's."""

    kind: str
    hint: tuple[str, ...]
    pattern: str
    mixed: bool = False
    """Whether a digit and a letter must both occur: for prefixes that are words as well."""


def _rule(kind: str, hints: str, pattern: str, *, mixed: bool = False) -> Rule:
    return Rule(kind, tuple(hints.split(" ")), pattern, mixed)


_HEX = r"[0-9a-fA-F]"
_PEM_END = r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"

RULES: tuple[Rule, ...] = (
    _rule(
        "private-key",
        "private",
        r"(-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:(?s:.*?)" + _PEM_END + r"|[A-Za-z0-9+/=\s\\:,.]*))",
    ),
    _rule("private-key", "private-lines", r"Private-Lines: \d+\r?\n((?:[A-Za-z0-9+/=]+\r?\n?)+)"),
    _rule("aws-access-key", "akia asia abia acca", r"(?:\b|_)((?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16})(?:[^A-Za-z0-9]|\z)"),
    _rule("github-token", "ghp_ gho_ ghu_ ghs_ ghr_", r"(gh[pousr]_[A-Za-z0-9]{20,255})"),
    _rule("github-token", "github_pat_", r"(github_pat_[A-Za-z0-9_]{20,255})"),
    _rule(
        "gitlab-token",
        "glpat- glptt- gldt- glrt- glcbt- glft- glimt- glagent- glsoat- gloas- glffct-",
        r"(gl(?:pat|ptt|dt|rt|cbt|ft|imt|agent|soat|oas|ffct)-[A-Za-z0-9_=.-]{16,})",
    ),
    _rule("gitlab-token", "gr1348941", r"(GR1348941[\w-]{20,})"),
    _rule("slack-token", "xox[abceoprs][-.]", r"(xox[abceoprs](?:-|\.xox[bp]-)[A-Za-z0-9-]{10,})"),
    _rule("slack-token", "xapp-", r"(xapp-[A-Za-z0-9-]{12,})"),
    _rule("slack-webhook", r"hooks\.slack\.com", r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9+/_-]{16,})"),
    _rule("discord-webhook", "/api/webhooks/", r"discord(?:app)?\.com/api/webhooks/\d+/([\w-]{30,})"),
    _rule("teams-webhook", "webhookb2", r"webhook\.office\.com/webhookb2/([\w@/-]{40,})"),
    _rule("stripe-key", "sk_live_ rk_live_ sk_test_ rk_test_", r"([sr]k_(?:live|test)_[A-Za-z0-9]{10,})"),
    _rule("webhook-secret", "whsec_", r"(whsec_[A-Za-z0-9+/=]{20,})"),
    _rule("model-api-key", r"\bsk-[\w-]{8} _sk-", r"(?:\b|_)(sk-[A-Za-z0-9_-]{20,})", mixed=True),
    _rule("model-api-key", "gsk_ xai- pplx-", r"((?:gsk_|xai-|pplx-)[A-Za-z0-9]{30,})", mixed=True),
    _rule("model-api-key", "hf_", r"(?:\b|_)(hf_[A-Za-z0-9]{30,})", mixed=True),
    _rule("model-api-key", "r8_", r"(?:\b|_)(r8_[A-Za-z0-9]{30,})", mixed=True),
    _rule("npm-token", "npm_", r"(npm_[A-Za-z0-9]{30,})", mixed=True),
    _rule("pypi-token", "pypi-", r"(pypi-[A-Za-z0-9_-]{40,})", mixed=True),
    _rule("rubygems-key", "rubygems_", r"(rubygems_[a-f0-9]{40,})"),
    _rule("nuget-key", "oy2[a-z0-9]{4}", r"\b(oy2[a-z0-9]{43})\b"),
    _rule("crates-token", "cio[a-z0-9]{8}", r"\b(cio[A-Za-z0-9]{32})\b", mixed=True),
    _rule("google-key", "aiza", r"(AIza[\w-]{35,})"),
    _rule("google-token", r"ya29\.", r"(ya29\.[\w.-]{20,})"),
    _rule("google-secret", "gocspx-", r"(GOCSPX-[\w-]{20,})"),
    _rule("google-token", r"1//0[\w-]{8}", r"\b(1//0[\w-]{30,})"),
    _rule("jwt", "eyj", r"(eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*(?:\.[\w-]+){0,2})"),
    _rule("azure-key", "accountkey sharedaccesskey", r"(?i:(?:account|sharedaccess)key)=([A-Za-z0-9+/]{30,}={0,2})"),
    _rule("azure-secret", "q~", r"([\w~.-]{3}\dQ~[\w~.-]{31,34})"),
    _rule("azure-sas", "sig=", r"[?&;]sig=([A-Za-z0-9%+/=_-]{20,})", mixed=True),
    _rule("sendgrid-key", r"sg\.[\w-]{4}", r"(?:\b|_)(SG\.[\w-]{16,}\.[\w-]{16,})"),
    _rule("twilio-key", "sk[0-9a-f]{8}", r"\b(SK[0-9a-f]{32})\b"),
    _rule("mailgun-key", "key-[0-9a-f]{8}", r"\b(key-[0-9a-f]{32})\b"),
    _rule("mailchimp-key", r"-us\d", r"\b([0-9a-f]{32}-us\d{1,2})\b"),
    _rule("brevo-key", "xkeysib-", r"(xkeysib-[a-f0-9]{40,}(?:-[A-Za-z0-9]{8,})?)"),
    _rule("digitalocean-token", "doo_v1_ dop_v1_ dor_v1_", r"(do[opr]_v1_[a-f0-9]{40,})"),
    _rule("vault-token", r"hv[sbr]\.", r"(?:\b|_)(hv[sbr]\.[\w-]{20,})"),
    _rule("terraform-token", r"\.atlasv1\.", r"([A-Za-z0-9]{14}\.atlasv1\.[\w=-]{40,})"),
    _rule("docker-token", "dckr_", r"(dckr_(?:pat|oat)_[\w-]{20,})"),
    _rule("age-key", "age-secret-key-", r"(AGE-SECRET-KEY-1[0-9A-Z]{50,})"),
    _rule("telegram-token", ":aa", r"\b(\d{8,10}:AA[\w-]{32,34})"),
    _rule("heroku-key", "hrku-", r"(HRKU-[\w-]{30,})"),
    _rule("square-token", "sq0", r"(sq0[a-z]{3}-[\w-]{20,})"),
    _rule("square-token", r"eaaa[\w-]{6}", r"\b(EAAA[\w-]{56,})", mixed=True),
    _rule("shopify-token", "shpat_ shpca_ shppa_ shpss_", r"(shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32,})"),
    _rule("databricks-token", "dapi", r"\b(dapi[a-f0-9]{32}(?:-\d)?)"),
    _rule("linear-key", "lin_api_ lin_oauth_", r"(lin_(?:api|oauth)_[A-Za-z0-9]{30,})"),
    _rule("notion-token", "ntn_ secret_", r"\b((?:ntn_[A-Za-z0-9]{40,}|secret_[A-Za-z0-9]{43}))\b", mixed=True),
    _rule("figma-token", "figd_", r"(figd_[\w-]{36,})"),
    _rule("postman-key", "pmak-", r"(PMAK-[a-f0-9]{24}-[a-f0-9]{34})"),
    _rule("newrelic-key", "nrak- nrjs- nrii- nrra-", r"(NR(?:AK|JS|II|RA)-[A-Za-z0-9-]{19,})"),
    _rule("grafana-token", "glsa_ glc_", r"((?:glsa|glc)_[A-Za-z0-9+/=_]{32,})"),
    _rule("sentry-token", "sntry", r"(sntry[sua]_[A-Za-z0-9+/=_-]{40,})"),
    _rule("planetscale-secret", "pscale_", r"(pscale_(?:pw|tkn|oauth)_[\w.=-]{30,})"),
    _rule("supabase-key", "sbp_ sb_secret_", r"((?:sbp_[a-f0-9]{40}|sb_secret_[\w-]{20,}))"),
    _rule("netlify-token", "nfp_", r"\b(nfp_[A-Za-z0-9]{30,})"),
    _rule("doppler-token", r"dp\.(?:pt|st|ct|sa|scim|audit)\.", r"\b(dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[\w-]{2,35}\.)?[A-Za-z0-9]{40,44})"),
    _rule("fly-token", "fm1r_ fm2_ fo1_ flyv1", r"((?:fm1r_|fm2_|fo1_)[\w+/=-]{40,})"),
    _rule("artifactory-key", "akcp[a-z0-9]{8}", r"\b(AKCp[A-Za-z0-9]{60,})"),
    _rule("artifactory-token", "cmvmdgtu", r"\b(cmVmdGtu[A-Za-z0-9]{50,})"),
    _rule("atlassian-token", "atatt3 atbb atctt3", r"\b(AT(?:ATT3|CTT3|BB)[\w=-]{24,})", mixed=True),
    _rule("onepassword-token", "ops_eyj", r"(ops_eyJ[\w+/=-]{50,})"),
    _rule("tailscale-key", "tskey-", r"(tskey-[a-z]+-[\w-]{16,})"),
    _rule("pulumi-token", "pul-", r"\b(pul-[a-f0-9]{40})\b"),
    _rule("facebook-token", "eaa[a-z0-9]{10}", r"\b(EAA[A-Za-z0-9]{80,})"),
    _rule("twitter-bearer", "aaaaaaaaaaaaaaaa", r"\b(A{16,22}[A-Za-z0-9%]{60,})"),
    _rule("airtable-token", "pat[a-z0-9]{14}[.]", r"\b(pat[A-Za-z0-9]{14}\.[a-f0-9]{64})\b"),
    _rule("adafruit-key", "aio_", r"\b(aio_[A-Za-z0-9]{28})\b", mixed=True),
    _rule("alibaba-key", "ltai[a-z0-9]{6}", r"\b(LTAI[A-Za-z0-9]{12,24})\b", mixed=True),
    _rule("tencent-key", "akid[a-z0-9]{8}", r"\b(AKID[A-Za-z0-9]{32})\b"),
    _rule("easypost-key", "ezak ezth eztk", r"\b(EZ[AT][KH][a-z0-9]{50,})"),
    _rule("dynatrace-token", r"dt0[a-z]\d\d", r"(dt0[a-z]\d\d\.[A-Z0-9]{24}\.[A-Z0-9]{64})"),
    _rule("clojars-token", "clojars_", r"(CLOJARS_[a-z0-9]{50,})"),
    _rule("prefect-key", "pnu_", r"\b(pnu_[A-Za-z0-9]{36})\b"),
    _rule("readme-key", "rdme_", r"(rdme_[a-z0-9]{60,})"),
    _rule("shippo-key", "shippo_", r"(shippo_(?:live|test)_[a-f0-9]{40})"),
    _rule("openshift-token", "sha256~", r"(sha256~[\w-]{43})"),
    _rule("cloudflare-key", r"v1\.0-[a-f0-9]", r"(v1\.0-[a-f0-9]{24}-[a-f0-9]{100,})"),
    _rule("ngrok-token", "ngrok", r"(?i:authtoken)[ =:]+([A-Za-z0-9_]{30,})"),
    _rule("password-hash", r"\$(?:2[aby]|1|5|6|y|apr1|argon2\w*)\$", r"(\$(?:2[aby]\$\d\d\$[./A-Za-z0-9]{53}|(?:1|5|6|y|apr1|argon2(?:id|i|d))\$[^\s'\":$]{2,80}\$[^\s'\":]{16,120}))"),
    _rule("launchdarkly-key", "(?:sdk|mob)-[0-9a-f]{8}", rf"\b((?:sdk|mob)-{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}})\b"),
    _rule("discord-token", r"\.[\w-]{6}\.[\w-]{27}", r"\b([MNO][A-Za-z\d_-]{23,27}\.[\w-]{6}\.[\w-]{27,40})\b", mixed=True),
)  # fmt: skip
"""All of them. docs/reference/redaction.md lists the kinds; a test compares."""
