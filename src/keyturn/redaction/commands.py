"""Secrets that programs take where no name stands beside them: `mysql -pX`, `curl -u me:X`, `echo X | docker login --password-stdin`,
`user:X@host` in an address. Pure.

Each rule names the words of which one must occur; it looks at one line, up to the end of the simple command. Group 1 is the value,
quotes included. Sources: the programs' manual pages; RFC 3986 §3.2.1 (userinfo); libpq's password file.
"""

# ruff: noqa: E501 (a pattern or a case stands on one line)
from __future__ import annotations

from msgspec import Struct


class Usage(Struct, frozen=True):
    """One way of handing over a secret. `hint` are RE2 patterns without case.

    `loose` values must look random, `mixed` ones have letters and digits; none is one of the words `unlike`.
    """

    kind: str
    hint: tuple[str, ...]
    pattern: str
    loose: bool = False
    mixed: bool = False
    unlike: str = ""


_OF_FIND = "rint rint0 rintf rune erm ath lugin rotocol ager ipe ort PASS ASS ASSWORD"
VALUE = r"""((?:[^\s'"\\;&|<>()]|\\.|\$?'[^'\n]*'|\$?"(?:[^"\\\n]|\\.)*")+)"""
"""One word as the shell takes it."""
ATTACHED = r"""((?:[^\s'"\\;&|<>()=-]|\$?'[^'\n]*'|\$?"(?:[^"\\\n]|\\.)*")(?:[^\s'"\\;&|<>()]|\\.|\$?'[^'\n]*'|\$?"(?:[^"\\\n]|\\.)*")*)"""
_REST = r"(?:[^|;&\n]|\\\n)*?"
_USER = r"""["']?[^\s'":;|&/]{0,128}:"""
_TAIL = r"""((?:[^\s'"\\;&|<>()]|\\.)+)"""
_ECHO = r"""\b(?:echo|print|printf)[ \t]+(?:-[neE]+[ \t]+|--[ \t]+|'%s(?:\\n)?'[ \t]+|"%s(?:\\n)?"[ \t]+|%s[ \t]+)*"""


def _usage(
    kind: str, hints: str, pattern: str, *, loose: bool = False, mixed: bool = False, unlike: str = ""
) -> Usage:
    return Usage(kind, tuple(hints.split(" ")), pattern, loose, mixed, unlike)


USAGES: tuple[Usage, ...] = (
    _usage("url-password", "://", r"""://[^\s/:@'"?#]*:([^\s/'"@]+)@"""),
    _usage(
        "url-password",
        "://",
        r"""(?i:postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|rediss?|amqps?|mssql|sqlserver|clickhouse|cockroachdb|oracle|ldaps?|smtps?|nats|kafka)(?:\+\w+)?://[^\s/:@'"]*:([^\s'"@]*[/@#?][^\s'"@]*)@[\w.\[-]""",
    ),
    _usage("url-password", "://", r"""://([A-Za-z0-9_.~%+=-]{16,})@""", loose=True),
    _usage("url-password", "@tcp[(] @unix[(]", r"""[\w.-]+:([^\s@:/'"]+)@(?:tcp|unix)\("""),
    _usage("command-password", "mysql mariadb mycli", r"\b(?:mysql\w*|mariadb[\w-]*|mycli)\b" + _REST + r"[ \t]-p" + ATTACHED, unlike=_OF_FIND),
    _usage("command-password", "sshpass", r"\bsshpass\b" + _REST + r"[ \t]-p[ \t]*" + VALUE),
    _usage("command-password", "curl wget http[[:space:]] https[[:space:]] xh", r"\b(?:curl|wget|https?|xh)\b" + _REST + r"""[ \t](?:-[a-zA-Z]*u|--user|--proxy-user|-U|-a|--auth|-b|--cookie)[ \t=]*""" + _USER + _TAIL),
    _usage("command-password", "curl", r"\bcurl\b" + _REST + r"""[ \t](?:-[a-zA-Z]*b|--cookie)[ \t=]*["']?[\w-]+=([^\s'";&|]{8,})""", mixed=True),
    _usage("command-password", "curl", r"\bcurl\b" + _REST + r"""[ \t](?:--pass|--proxy-pass|--key-pass|--oauth2-bearer|--tlspassword)[ \t=]+""" + VALUE),
    _usage("command-password", "docker podman helm skopeo buildah crane oras nerdctl az[[:space:]] cf[[:space:]] oc[[:space:]] argocd", r"\blogin\b" + _REST + r"[ \t](?:-p|--password|-t|--token)[ \t=]*" + VALUE),
    _usage("command-password", "redis", r"\bredis-(?:cli|benchmark)\b" + _REST + r"[ \t](?:-a|--pass)[ \t=]*" + VALUE),
    _usage("command-password", "mongo", r"\bmongo(?:sh|dump|restore|export|import|stat|top|files)?\b" + _REST + r"[ \t](?:-p|--password)[ \t=]*" + ATTACHED),
    _usage("command-password", "ldap", r"\bldap\w+\b" + _REST + r"[ \t]-w[ \t]*" + VALUE),
    _usage("command-password", "smb cifs rpcclient net[[:space:]] winexe crackmapexec", r"""\b(?:smb\w*|rpcclient|net|winexe)\b""" + _REST + r"""[ \t](?:-U|--user)[ \t=]*["']?[^\s'"%]{1,128}%""" + _TAIL),
    _usage("command-password", "sqlcmd bcp osql isql tsql", r"\b(?:sqlcmd|bcp|osql|isql|tsql)\b" + _REST + r"[ \t]-P[ \t]*" + VALUE),
    _usage("command-password", "sqlplus sqlldr expdp impdp rman", r"""\b(?:sqlplus|sqlldr|expdp|impdp|rman)\b""" + _REST + r"""[ \t]["']?[\w$#]+/([^\s'"@/]+)(?:@|["'\s]|\z)"""),
    _usage("command-password", "zip 7z rar", r"\b(?:zip|unzip)\b" + _REST + r"[ \t]-P[ \t]*" + VALUE),
    _usage("command-password", "7z rar unrar", r"\b(?:7z[arz]?|rar|unrar)\b" + _REST + r"[ \t]-h?p" + ATTACHED),
    _usage("command-password", "gpg qpdf", r"[ \t]--(?:passphrase|password|encrypt)[ \t=]+" + VALUE),
    _usage("command-password", "pass: -passin -passout -k[[:space:]]", r"""(?:^|[\s'"=])pass:""" + VALUE),
    _usage("command-password", "openssl", r"\bopenssl\b" + _REST + r"[ \t](?:-k|-K|-pass|-hmac|-macopt[ \t]+hexkey:)[ \t]*" + VALUE),
    _usage("command-password", "freerdp rdesktop wlfreerdp", r"\b(?:[xw]l?freerdp\w*|rdesktop)\b" + _REST + r"[ \t](?:/p:|-p[ \t]*)" + VALUE),
    _usage("command-password", "mosquitto", r"\bmosquitto_(?:pub|sub|rr)\b" + _REST + r"[ \t](?:-P|--pw)[ \t=]*" + VALUE),
    _usage("command-password", "mosquitto_passwd", r"\bmosquitto_passwd\b" + _REST + r"[ \t]-b[ \t]+\S+[ \t]+\S+[ \t]+" + VALUE),
    _usage("command-password", "htpasswd", r"\bhtpasswd\b" + _REST + r"[ \t]-[a-zA-Z]*b[a-zA-Z]*[ \t]+(?:-[a-zA-Z]+[ \t]+)*(?:[^\s-]\S*[ \t]+)?\S+[ \t]+" + VALUE + r"[ \t]*(?:$|[\n;&|>)])"),
    _usage("command-password", "ipmitool", r"\bipmitool\b" + _REST + r"[ \t]-P[ \t]*" + VALUE),
    _usage("command-password", "influx", r"\binflux\b" + _REST + r"[ \t]--?(?:password|token|t|p)[ \t=]+" + VALUE),
    _usage("command-password", "rabbitmqctl", r"\brabbitmqctl\b" + _REST + r"\b(?:add_user|change_password|authenticate_user)[ \t]+\S+[ \t]+" + VALUE),
    _usage("command-password", "snmp", r"\bsnmp\w+\b" + _REST + r"[ \t]-[AX][ \t]*" + VALUE),
    _usage("command-password", "snmp", r"\bsnmp(?:get|walk|set|bulkwalk|getnext|table)\b" + _REST + r"[ \t]-c[ \t]*" + VALUE, loose=True),
    _usage("command-password", "wpa_passphrase", r"\bwpa_passphrase[ \t]+(?:'[^']*'|\"[^\"]*\"|\S+)[ \t]+" + VALUE),
    _usage("command-password", "nmcli iwctl", r"\b(?:nmcli|iwctl)\b" + _REST + r"[ \t](?:password|--passphrase|wifi-sec\.psk)[ \t=]+" + VALUE),
    _usage("command-password", "useradd usermod", r"\b(?:useradd|usermod)\b" + _REST + r"[ \t](?:-p|--password)[ \t=]*" + VALUE),
    _usage("command-password", "ssh-keygen", r"\bssh-keygen\b" + _REST + r"[ \t]-[NP][ \t]*" + VALUE),
    _usage("command-password", "securestring", r"(?i:ConvertTo-SecureString)[ \t]+(?:-String[ \t]+)?" + VALUE),
    _usage("command-password", "beeline cqlsh snowsql trino cypher-shell arangosh netexec nxc evil-winrm vsql", r"\b(?:beeline|cqlsh|snowsql|trino|cypher-shell|arangosh|netexec|nxc|evil-winrm|vsql)\b" + _REST + r"[ \t]-[pw][ \t]+" + VALUE),
    _usage("command-password", "lftp", r"\blftp\b" + _REST + r"[ \t]-u[ \t]+[\"']?[^\s,'\"]+,([^\s'\"]+)"),
    _usage("command-password", "net[[:space:]]user", r"(?i:\bnet1?[ \t]+user[ \t]+\S+[ \t]+)([^\s/*-][^\s]*)"),
    _usage("command-password", "vault", r"\bvault[ \t]+(?:login|unwrap|operator[ \t]+unseal)[ \t]+(?:-[\w=-]+[ \t]+)*" + VALUE),
    _usage("command-password", "vault", r"\bvault[ \t]+(?:kv[ \t]+(?:put|patch)|write)[ \t]+(?:-[\w=/-]+[ \t]+)*\S+[ \t]+(?:\w+=(?:true|false|\d+[smhd]?)[ \t]+)*[\w-]+=" + VALUE),
    _usage("command-password", "from-literal", r"--from-literal[ \t=]*[\"']?[\w.-]+=([^\s'\"]+)"),
    _usage("command-password", "secret[[:space:]]", r"\bgh[ \t]+secret[ \t]+set\b" + _REST + r"[ \t](?:-b|--body)[ \t=]*" + VALUE),
    _usage("command-password", "secretsmanager put-parameter", r"[ \t]--(?:secret-string|secret-binary)[ \t=]+" + VALUE),
    _usage("command-password", "put-parameter", r"\bput-parameter\b(?:[^|;&\n]|\\\n)*?SecureString(?:[^|;&\n]|\\\n)*?[ \t]--value[ \t=]+" + VALUE),
    _usage("command-password", "put-parameter", r"\bput-parameter\b(?:[^|;&\n]|\\\n)*?[ \t]--value[ \t=]+" + VALUE + r"(?:[^|;&\n]|\\\n)*?SecureString"),
    _usage("command-password", "keyvault", r"\bkeyvault[ \t]+secret[ \t]+set\b" + _REST + r"[ \t]--value[ \t=]+" + VALUE),
    _usage("command-password", "security[[:space:]] keychain", r"\bsecurity[ \t]+(?:add-(?:generic|internet)-password|unlock-keychain|set-keychain-password|create-keychain|import)\b" + _REST + r"[ \t]-[wpP][ \t]+" + VALUE),
    _usage("command-password", "chpasswd", r"""["' \t\n][\w.-]{1,64}:((?:[^\s'"|<>])+)["']?[ \t]*(?:\\n["']?[ \t]*)?\|[^|\n]*\bchpasswd\b"""),
    _usage("command-password", "chpasswd", r"""\bchpasswd\b[^\n]*<<<?[ \t]*["']?[\w.-]{1,64}:([^\s'"]+)"""),
    _usage(
        "piped-password",
        "-stdin stdin sudo passwd login cryptsetup openssl gpg kinit smbpasswd vault su[[:space:]] secret",
        _ECHO + VALUE + r"""[ \t]*\|[ \t]*(?:[\w./]+/)?(?:sudo\b[^|\n]*[ \t]-\w*S|(?:[^|\n]*[ \t])?(?:passwd\b|--password-stdin|--stdin\b|--with-token|--pass(?:word|phrase)-(?:stdin|fd)|--data-file=-|--key-file[ =]-|-passin[ ]stdin|login\b)|cryptsetup\b|smbpasswd\b|kinit\b|su\b|vault\b|gh[ ]secret|docker[ ]secret|pass[ ]insert)""",
    ),
    _usage("piped-password", "<<<", r"""(?:--password-stdin|--with-token|--stdin|passwd|\bsudo\b[^|;\n]*[ \t]-\w*S|\bkinit\b|cryptsetup)[^|;\n]*?<<<[ \t]*""" + VALUE),
    _usage("piped-password", "--password-stdin --with-token --passphrase-fd --data-file=-", r"""(?:--password-stdin|--with-token|--passphrase-fd|--data-file=-)[^\n]*<<-?[ \t]*["']?\w+["']?[^\n]*\n[ \t]*([^\s]+)[ \t]*\n"""),
    _usage(
        "written-secret",
        "pass secret token key cred netrc htpasswd [.]env vault auth",
        _ECHO + VALUE + r"""[ \t]*(?:\|[ \t]*(?:base64|openssl|xxd|gpg|md5sum|sha256sum|tr)\b[^|;&\n>]*)?(?:[12]?>>?[ \t]*|\|[ \t]*(?:sudo[ \t]+)?tee[ \t]+(?:-a[ \t]+)?)["']?[^\s'"|;&]*(?i:passw|pass\b|\bpass|secret|token|api_?key|[._-]key\b|cred|netrc|htpasswd|\bauth)""",
    ),
    _usage("written-secret", "> tee", _ECHO + VALUE + r"""[ \t]*(?:[12]?>>?|\|[ \t]*(?:sudo[ \t]+)?tee\b)""", loose=True),
    _usage("written-secret", "secret token pass key cred", r"""(?:>>?|\btee\b(?:[ \t]+-a)?)[ \t]*["']?[^\s'"|;&<]*(?i:passw|secret|token|api_?key|[._-]key\b|cred)[^\s'"|;&<]*["']?[ \t]*<<-?[ \t]*\\?["']?\w+["']?[ \t]*\n[ \t]*(\S{6,})[ \t]*\n"""),
    _usage("pgpass", r":[*0-9]+:[^:\s]*:[^:\s]*: pgpass", r"""(?m:(?:^|["' ])[\w.*-]+:(?:\d{4,5}|\*):[\w.*-]+:[\w.*-]+:([^\s'"]+))"""),
    _usage("sql-password", "identified[[:space:]] password[[:space:]]", r"""(?i:\bIDENTIFIED[ \t]+(?:WITH[ \t]+\w+[ \t]+)?(?:BY|AS)[ \t]+(?:PASSWORD[ \t]+)?)(\\?["'](?:[^'"\\\n]|\\[^'"])+\\?["']|[^\s'";]+)"""),
    _usage("sql-password", "password", r"""(?i:\bPASSWORD[ \t]*(?:=[ \t]*)?\(?[ \t]*)(\\?'(?:[^'\\\n]|\\[^'])+\\?'|\$\$[^$\n]+\$\$|E'[^'\n]+')"""),
    _usage("docker-auth", r"""["']auth""", r"""["']auth["']\s*:\s*["']([A-Za-z0-9+/=]{12,})["']"""),
    _usage("basic-auth", "basic[[:space:]]", r"""(?i:\bbasic)[ \t]+([A-Za-z0-9+/_-]{12,}={0,2})(?:[\s'"\\]|\z)"""),
    _usage("registry-token", "_auth", r"""//[\w./-]+/?:_(?:authToken|auth|password)[ \t="']+([^\s'"]+)"""),
    _usage("wireguard-key", "privatekey presharedkey", r"""(?i:PrivateKey|PresharedKey)[ \t]*=[ \t]*([A-Za-z0-9+/]{43}=)"""),
    _usage("kubernetes-secret", "kind:[[:space:]]*secret kind.?:[[:space:]]?.secret", r"""(?m:^[ \t]+[\w.-]+:[ \t]+["']?([A-Za-z0-9+/]{8,}={0,2})["']?[ \t]*$)"""),
)  # fmt: skip
"""All of them. docs/reference/redaction.md lists the kinds; a test compares."""
