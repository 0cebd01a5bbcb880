"""Commands and texts with a secret in them, made by rule: shapes of secrets × forms in which agents write them. Nothing in it is real.

python -m benchmarks.secret_shapes [SEED]     # prints what was missed
"""

# ruff: noqa: E501 (a pattern or a case stands on one line)
from __future__ import annotations

import base64
import json
import random
import string
import sys
from collections.abc import Callable, Iterator

from msgspec import Struct

LOWER, UPPER, DIGITS = string.ascii_lowercase, string.ascii_uppercase, string.digits
ALNUM = LOWER + UPPER + DIGITS
HEX = "0123456789abcdef"
URLSAFE = ALNUM + "-_"
BASE32 = UPPER + "234567"
B64 = ALNUM + "+/"

Make = Callable[[random.Random], str]


class Case(Struct, frozen=True):
    """A text, the secret in it (any of `parts` left standing is a miss), its shape and its form."""

    text: str
    secret: str
    shape: str
    form: str
    parts: tuple[str, ...] = ()


def _some(rng: random.Random, letters: str, count: int) -> str:
    while True:
        made = "".join(rng.choice(letters) for _ in range(count))
        if count < 6 or len(set(made)) > 3:
            return made


def _like(template: str) -> Make:
    """`AKIA{U16}`: U upper and digits, a alnum, h hex, u URL-safe, l lower and digits, d digits, b base64, B base32."""
    sets = {
        "U": UPPER + DIGITS,
        "a": ALNUM,
        "h": HEX,
        "u": URLSAFE,
        "l": LOWER + DIGITS,
        "d": DIGITS,
        "b": B64,
        "B": BASE32,
    }

    def make(rng: random.Random) -> str:
        made, rest = "", template
        while rest:
            head, brace, tail = rest.partition("{")
            made += head
            if not brace:
                break
            kind, _, rest = tail.partition("}")
            first = rng.choice(ALNUM) if sets[kind[0]] == URLSAFE else ""
            made += first + _some(rng, sets[kind[0]], int(kind[1:]) - len(first))
        return made

    return make


def _jwt(rng: random.Random) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    claims = {"sub": _some(rng, DIGITS, 8), "iat": rng.randrange(10**9, 2 * 10**9)}
    return f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}.{_some(rng, URLSAFE, 43)}"


def _word_password(rng: random.Random) -> str:
    word = rng.choice(("sunflower", "Winter", "hunter", "dragon", "Marathon", "tiger", "Falcon", "raspberry"))
    return (
        word.replace("e", rng.choice("3e"))
        + rng.choice("!#_-.") * rng.randrange(2)
        + str(rng.randrange(10, 9999))
    )


def _phrase(rng: random.Random) -> str:
    words = ("correct", "horse", "battery", "staple", "orange", "lantern", "copper", "meadow", "violin")
    return "-".join(rng.sample(words, 4)) + str(rng.randrange(10))


def _strong_password(rng: random.Random) -> str:
    return rng.choice(ALNUM) + _some(rng, ALNUM + "!#%*+,-./:=?@^_~", 14) + rng.choice(ALNUM)


SHAPES: dict[str, Make] = {
    "aws-access-key": _like("AKIA{U16}"), "aws-session-key": _like("ASIA{U16}"), "github": _like("ghp_{a36}"), "github-oauth": _like("gho_{a36}"),
    "github-server": _like("ghs_{a36}"), "github-fine": _like("github_pat_{a22}_{a59}"), "gitlab": _like("glpat-{u20}"), "gitlab-runner": _like("glrt-{u20}"),
    "slack-bot": _like("xoxb-{d12}-{d12}-{a24}"), "slack-user": _like("xoxp-{d12}-{d12}-{d12}-{h32}"), "slack-app": _like("xapp-1-{U11}-{d13}-{h64}"),
    "stripe": _like("sk_live_{a24}"), "stripe-restricted": _like("rk_live_{a24}"), "openai": _like("sk-{a48}"), "openai-project": _like("sk-proj-{u74}T3BlbkFJ{u74}"),
    "anthropic": _like("sk-ant-api03-{u93}AA"), "npm": _like("npm_{a36}"), "pypi": _like("pypi-AgEIcHlwaS5vcmc{u80}"), "rubygems": _like("rubygems_{h48}"),
    "google-api": _like("AIza{u35}"), "google-oauth": _like("ya29.{u60}"), "google-client": _like("GOCSPX-{u28}"), "jwt": _jwt,
    "azure-storage": _like("AccountKey={b86}=="), "azure-client": _like("{a3}8Q~{a34}"), "sendgrid": _like("SG.{u22}.{u43}"), "twilio": _like("SK{h32}"),
    "digitalocean": _like("dop_v1_{h64}"), "vault": _like("hvs.{u24}"), "vault-batch": _like("hvb.{u60}"), "docker": _like("dckr_pat_{u27}"),
    "age": _like("AGE-SECRET-KEY-1{U58}"), "telegram": _like("1{d9}:AA{u33}"), "mailgun": _like("key-{h32}"), "square": _like("sq0csp-{u43}"),
    "shopify": _like("shpat_{h32}"), "databricks": _like("dapi{h32}"), "linear": _like("lin_api_{a40}"), "notion": _like("ntn_{a46}"), "figma": _like("figd_{u40}"),
    "postman": _like("PMAK-{h24}-{h34}"), "newrelic": _like("NRAK-{U27}"), "grafana": _like("glsa_{a32}_{h8}"), "sentry": _like("sntrys_{a80}"),
    "planetscale": _like("pscale_tkn_{u43}"), "supabase": _like("sbp_{h40}"), "netlify": _like("nfp_{a36}"), "doppler": _like("dp.pt.{a43}"),
    "tailscale": _like("tskey-auth-{a12}CNTRL-{a32}"), "pulumi": _like("pul-{h40}"), "huggingface": _like("hf_{a34}"), "groq": _like("gsk_{a52}"),
    "replicate": _like("r8_{a37}"), "terraform": _like("{a14}.atlasv1.{u64}"), "atlassian": _like("ATATT3xFfGF0{u180}"), "webhook-secret": _like("whsec_{b32}"),
    "openshift": _like("sha256~{u43}"), "discord": _like("MT{a22}.{u6}.{u38}"), "brevo": _like("xkeysib-{h64}-{a16}"),
    "hex-32": _like("{h32}"), "hex-40": _like("{h40}"), "hex-64": _like("{h64}"), "aws-secret-key": _like("{b40}"), "base64-44": _like("{b43}="), "alnum-20": _like("{a20}"),
    "alnum-32": _like("{a32}"), "word-password": _word_password, "passphrase": _phrase, "strong-password": _strong_password,
}  # fmt: skip
"""Shapes by name. Those after `brevo` say nothing of themselves: only what stands beside them gives them away."""

NAMELESS = frozenset(
    ("hex-32", "hex-40", "hex-64", "aws-secret-key", "base64-44", "alnum-20", "alnum-32", "word-password", "passphrase", "strong-password")
)  # fmt: skip
WEAK = frozenset(("word-password", "passphrase", "strong-password"))


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"


def _basic(value: str) -> str:
    return base64.b64encode(f"deploy:{value}".encode()).decode()


NAMES = ("DB_PASSWORD", "API_TOKEN", "CLIENT_SECRET", "SECRET_KEY", "GITHUB_TOKEN", "ACCESS_TOKEN", "MYSQL_ROOT_PASSWORD", "STRIPE_API_KEY", "SESSION_SECRET", "REDIS_PASSWORD", "AUTH_TOKEN", "PRIVATE_KEY")  # fmt: skip

Form = Callable[[str, random.Random], str]
FORMS: dict[str, Form] = {
    "option": lambda s, r: f"deploy --region eu {r.choice(('--token', '--password', '--api-key', '--client-secret'))} {_quoted(s)} web",
    "option-equals": lambda s, r: f"tool login {r.choice(('--password', '--token', '--secret', '--access-token'))}={_quoted(s)}",
    "export": lambda s, r: f"export {r.choice(NAMES)}={_quoted(s)}",
    "assignment-before": lambda s, r: f"{r.choice(NAMES)}={_quoted(s)} ./run.sh --fast",
    "env-double": lambda s, r: f'env {r.choice(NAMES)}="{s}" node server.js',
    "docker-e": lambda s, r: f"docker run --rm -e {r.choice(NAMES)}={_quoted(s)} image:1",
    "heredoc-env": lambda s, r: f"cat > .env <<'EOF'\nPORT=8080\n{r.choice(NAMES)}={s}\nDEBUG=1\nEOF",
    "heredoc-yaml": lambda s, r: f"cat <<EOF > config.yml\ndb:\n  user: app\n  {r.choice(('password', 'api_key', 'secret', 'auth_token'))}: \"{s}\"\nEOF",
    "redirect": lambda s, r: f"echo {r.choice(NAMES)}={_quoted(s)} >> .env",
    "redirect-file": lambda s, r: f"echo {_quoted(s)} > /run/secrets/{r.choice(('db_password', 'api_token', 'client_secret'))}",
    "tee": lambda s, r: f"printf '%s' {_quoted(s)} | sudo tee /etc/app/{r.choice(('token', 'secret.txt', 'password'))}",
    "header-bearer": lambda s, r: f"curl -sS -H 'Authorization: Bearer {s}' https://api.example.com/v1/things",
    "header-token": lambda s, r: f"curl -H \"{r.choice(('X-Api-Key', 'PRIVATE-TOKEN', 'X-Auth-Token', 'X-Vault-Token'))}: {s}\" https://git.example.com/api",
    "json-body": lambda s, r: "curl -d '" + json.dumps({"user": "app", r.choice(("password", "token", "api_key", "client_secret")): s}) + "' https://x.example/login",
    "json-file": lambda s, r: json.dumps({"name": "app", "auth": {r.choice(("password", "apiKey", "clientSecret", "accessToken")): s}}, indent=2),
    "python": lambda s, r: f"python3 -c 'import api; api.connect(password=\"{s}\", host=\"db\")'",
    "output": lambda s, r: f"Created key.\n{r.choice(('token', 'api_key', 'secret', 'password'))}: {s}\nKeep it safe.\n",
    "output-env": lambda s, r: f"HOME=/root\nLANG=C\n{r.choice(NAMES)}={s}\nTERM=xterm\n",
    "kubectl": lambda s, r: f"kubectl create secret generic app --from-literal={r.choice(('password', 'token'))}={_quoted(s)}",
    "toml": lambda s, r: f"[db]\nuser = \"app\"\n{r.choice(('password', 'secret_key', 'api_token'))} = \"{s}\"\n",
    "diff": lambda s, r: f"@@ -1 +1,2 @@\n DEBUG=1\n+{r.choice(NAMES)}={s}\n",
    "xml": lambda s, r: f"<server><id>main</id><password>{s}</password></server>",
    "sed": lambda s, r: f"sed -i \"s|^{r.choice(NAMES)}=.*|{r.choice(NAMES)}={s}|\" .env",
    "sql": lambda s, r: f"psql -c \"ALTER USER app WITH PASSWORD '{s}'\"",
}  # fmt: skip
"""Forms that fit any secret."""

PASSWORD_FORMS: dict[str, Form] = {
    "mysql": lambda s, r: f"mysql -h db -u root -p{_quoted(s)} -e 'select 1'",
    "sshpass": lambda s, r: f"sshpass -p {_quoted(s)} ssh deploy@host uptime",
    "curl-user": lambda s, r: f"curl -u {_quoted('deploy:' + s)} https://registry.example.com/v2/",
    "pgpassword": lambda s, r: f"PGPASSWORD={_quoted(s)} psql -h db -U app -c 'select 1'",
    "sudo-stdin": lambda s, r: f"echo {_quoted(s)} | sudo -S apt-get update",
    "docker-login": lambda s, r: f"echo {_quoted(s)} | docker login -u ci --password-stdin registry.example.com",
    "docker-login-p": lambda s, r: f"docker login -u ci -p {_quoted(s)} registry.example.com",
    "redis": lambda s, r: f"redis-cli -h cache -a {_quoted(s)} ping",
    "basic": lambda s, r: f"curl -H 'Authorization: Basic {_basic(s)}' https://x.example/",
    "netrc": lambda s, r: f"cat >> ~/.netrc <<EOF\nmachine git.example.com\nlogin ci\npassword {s}\nEOF",
    "netrc-line": lambda s, r: f"echo 'machine git.example.com login ci password {s}' >> ~/.netrc",
    "here-string": lambda s, r: f"docker login --password-stdin -u ci <<< {_quoted(s)}",
    "openssl": lambda s, r: f"openssl enc -aes-256-cbc -pass pass:{s} -in a -out b",
    "zip": lambda s, r: f"zip -P {_quoted(s)} out.zip data.csv",
    "gpg": lambda s, r: f"gpg --batch --passphrase {_quoted(s)} -c file",
    "chpasswd": lambda s, r: f"echo 'app:{s}' | chpasswd",
    "htpasswd": lambda s, r: f"htpasswd -bc .htpasswd admin {_quoted(s)}",
    "ldap": lambda s, r: f"ldapsearch -x -D cn=admin -w {_quoted(s)} -b dc=x",
    "prose": lambda s, r: f"Use the staging database; the password is {s} and the user is app.",
}  # fmt: skip
"""Forms of passwords: programs' own ways."""

DSN_FORMS: dict[str, Form] = {
    "dsn-postgres": lambda s, r: f"psql postgresql://app:{s}@db.internal:5432/app",
    "dsn-mongo": lambda s, r: f"export MONGO_URL='mongodb+srv://app:{s}@cluster.example.net/x'",
    "dsn-redis": lambda s, r: f"redis-cli -u redis://:{s}@cache:6379/0",
    "dsn-amqp": lambda s, r: f'broker = "amqp://guest:{s}@mq:5672//"',
    "url-git": lambda s, r: f"git clone https://ci:{s}@git.example.com/team/app.git",
    "pgpass": lambda s, r: f"echo 'db.internal:5432:app:app:{s}' >> ~/.pgpass",
}  # fmt: skip
"""Forms of passwords without `@`, `/` and `:` in them."""


def _pieces(secret: str, rng: random.Random) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """A typed secret written in pieces: (form, text, what must not be left standing)."""
    at = rng.randrange(4, min(12, len(secret) - 4))
    first, rest = secret[:at], secret[at:]
    yield "pieces-quotes", f"curl -H X:'{first}'\"{rest}\" https://x.example", (rest,)
    yield "pieces-empty", f"send {first}''{rest}", (rest,)
    yield "pieces-continued", f"send {first}\\\n{rest}", (rest,)
    yield (
        "pieces-backslash",
        f"send {first}\\{rest}"
        if rest[0] in LOWER + UPPER and rest[0] not in "xu"
        else f'send {first}""{rest}',
        (rest,),
    )
    yield "pieces-hex", f"send $'\\x{ord(secret[0]):02x}{secret[1:]}'", (rest,)
    yield "pieces-zero-width", f"send {first}\u200b{rest}", (rest,)


def _pem(rng: random.Random, kind: str) -> str:
    body = "\n".join(_some(rng, B64, 64) for _ in range(6))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----"


def _blocks(rng: random.Random) -> Iterator[Case]:
    for kind in ("", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "):
        key = _pem(rng, kind)
        body = key.splitlines()[3]
        name = f"pem-{kind.strip().lower() or 'pkcs8'}"
        yield Case(f"cat > key.pem <<'EOF'\n{key}\nEOF\nchmod 600 key.pem", body, name, "heredoc")
        yield Case(json.dumps({"type": "service_account", "private_key": key + "\n"}), body, name, "json")
        yield Case(f'echo "{key}" | ssh-add -', body, name, "argv")
        yield Case(f"ok\n{key}\nbye\n", body, name, "output")
        escaped = key.replace("\n", "\\n")
        yield Case(f'export KEY="{escaped}"', body, name, "env")


def cases(seed: int = 1, rounds: int = 1) -> list[Case]:
    """The whole corpus; another *seed* gives other secrets."""
    rng = random.Random(seed)
    made: list[Case] = []
    for _ in range(rounds):
        for shape, make in SHAPES.items():
            forms = dict(FORMS)
            if shape in NAMELESS:
                forms |= PASSWORD_FORMS
            for form, write in (*forms.items(), *(DSN_FORMS.items() if shape in NAMELESS else ())):
                secret = make(rng)
                if form in DSN_FORMS or form in ("prose", "chpasswd"):
                    secret = "".join(c for c in secret if c not in "@/:#?%+=,.")
                if form in ("sed", "xml", "header-bearer", "output", "prose", "header-token"):
                    secret = "".join(c for c in secret if c not in "|,;&<>")
                shown = _basic(secret) if form == "basic" else secret
                made.append(Case(write(secret, rng), shown, shape, form))
            if (
                shape not in NAMELESS
                and not shape.startswith("azure")
                and shape not in ("jwt", "webhook-secret")
            ):
                secret = make(rng)
                made += [Case(text, secret, shape, form, left) for form, text, left in _pieces(secret, rng)]
        made += _blocks(rng)
    return made


def missed(case: Case, redacted: str) -> bool:
    """Whether the secret, or what must not be left of it, still stands in *redacted*."""
    bare = case.secret.removeprefix("AccountKey=")
    return bare in redacted or any(part in redacted for part in case.parts)


def main(seed: int) -> int:
    """Print what is missed."""
    from keyturn.redaction import redact

    everything = cases(seed)
    left = [case for case in everything if missed(case, redact(case.text, b"k" * 32).text)]
    for case in left:
        print(f"{case.shape} in {case.form}: {case.text!r}\n    {redact(case.text, b'k' * 32).text!r}")
    print(f"{len(everything) - len(left)} of {len(everything)}: {1 - len(left) / len(everything):.2%}")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1))
