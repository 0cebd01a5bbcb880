#!/usr/bin/env python3
"""Check signed approvals in an exported Keyturn log, with nothing but Python's standard library.

    python3 -I -S verify_approvals.py DIR [--key VKEY] [--json]

It shares no code with Keyturn. Ed25519 (RFC 8032), ECDSA on P-256 (FIPS 186-5) and RSA (RFC 8017) are written out below.

What it checks, over the whole log:

 1. The checkpoint is signed by the log's key (give the one that you trust with --key), and its root is that of all entries.
 2. Every field belongs to its entry (RFC 9901 digests), every blob has the digest it is named by.
 3. Each key: its record is the one committed to; it was made or signed by its person; an identity provider's token, where there
    is one, is signed and commits to the record; another administrator approved it, signed as soon as one of them had a key.
    Only the first entries of a log may hold a key that nobody approved, and it says `genesis`.
 4. Each signed approval: the statement made again from the entry; the signature over it, by a key of that person, enrolled
    before and not revoked before; its level; its nonce, used once; the reason's digest.
 5. What was shown: its digest is the statement's; it is what the request held; the action's digest is that of its bytes.
 6. Each approved request that asks for signatures has them, from everybody who counted; each permit is issued and used once.

What it can't show: that what a person saw on their screen was what the server says it showed (sign with `keyturn approve --sign`,
which works everything out again); that an attestation's certificates lead to the house's root (their digest is in the entry); that
the log is the only one (compare its checkpoint with one kept elsewhere). Approvals by click are counted, not shown. Those by
a provider's word are as good as the provider: its token over the statement is checked with its recorded keys.

Exit code: 0 everything holds, 7 something does not, 2 it could not be read.
"""

import base64
import functools
import hashlib
import json
import os
import sys

WIDTH = 256
UP, UV, BE = 1, 4, 8


class Bad(Exception):
    """One thing that does not hold."""


class Withheld(Exception):
    """A field that was withheld or erased, so that it can't be checked."""


def need(condition, words):
    if not condition:
        raise Bad(words)


# --- bytes and text ----------------------------------------------------------------------------------------------


def sha(data):
    return hashlib.sha256(data).digest()


def hexdigest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64u(text):
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    need(b64u(data) == text, "base64url that is not in its one form")
    return data


def no_repeats(pairs):
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a member is there twice")
    return made


def read_json(data):
    try:
        return json.loads(data, object_pairs_hook=no_repeats)
    except (ValueError, RecursionError):
        raise Bad("JSON that can't be read") from None


def jcs(value):
    """RFC 8785."""
    return _jcs(value).encode("utf-8")


def _jcs(value):
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, dict):
        # names of ASCII alone are in the same order by code units as by characters
        names = sorted(value, key=None if "".join(value).isascii() else _code_units)
        return "{" + ",".join([_quoted(name) + ":" + _jcs(value[name]) for name in names]) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_jcs, value)) + "]"
    if isinstance(value, float):
        return _number(value)
    return json.dumps(value, ensure_ascii=False)


_quoted = json.encoder.encode_basestring


def _code_units(name):
    return name.encode("utf-16-be")


def _number(value):
    """ECMA-262 Number::toString; Python finds the same shortest digits."""
    if value == int(value) and abs(value) < 2**53:
        return str(int(value))
    sign, text = ("-", repr(-value)) if value < 0 else ("", repr(value))
    mantissa, _, exponent = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    point = len(whole) + int(exponent or 0)
    digits = whole + fraction
    point -= len(digits) - len(digits.lstrip("0"))
    digits = digits.strip("0")
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    if 0 < point < len(digits):
        return sign + digits[:point] + "." + digits[point:]
    if 0 < point <= 21:
        return sign + digits + "0" * (point - len(digits))
    tail = "." + digits[1:] if len(digits) > 1 else ""
    return "%s%s%se%+d" % (sign, digits[0], tail, point - 1)


# --- signatures --------------------------------------------------------------------------------------------------

P25519 = 2**255 - 19
L25519 = 2**252 + 27742317777372353535851937790883648493
D25519 = -121665 * pow(121666, -1, P25519) % P25519


def _edwards(y, odd):
    square = (y * y - 1) * pow(D25519 * y * y + 1, -1, P25519) % P25519
    x = pow(square, (P25519 + 3) // 8, P25519)
    if (x * x - square) % P25519:
        x = x * pow(2, (P25519 - 1) // 4, P25519) % P25519
    if (x * x - square) % P25519 or (x == 0 and odd):
        return None
    x = P25519 - x if x % 2 != odd else x
    return (x, y, 1, x * y % P25519)


def _add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % P25519
    b = (p[1] + p[0]) * (q[1] + q[0]) % P25519
    c, d = 2 * D25519 * p[3] * q[3] % P25519, 2 * p[2] * q[2] % P25519
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P25519, g * h % P25519, f * g % P25519, e * h % P25519)


KEPT = 64
"""Points of which the doubles are kept: a house has few keys, and each makes many signatures."""
BITS = 257


@functools.lru_cache(KEPT)
def _doubles(p, add):
    """The point, twice, four times… up to 2^256 times it: made once, so that each signature takes additions alone."""
    found = [p]
    while len(found) < BITS:
        found.append(add(found[-1], found[-1]))
    return found


def _times(n, p):
    """n (under 2^255) times the point: of its doubles, each added or taken away so that two of three are left out."""
    found = (0, 1, 1, 0)
    for x, y, z, t in _doubles(p, _add):
        if n & 1:
            if n & 2:
                n += 1
                x, t = -x, -t
            found = _add(found, (x, y, z, t))
        n >>= 1
        if not n:
            break
    return found


B25519 = _edwards(4 * pow(5, -1, P25519) % P25519, 0)


@functools.lru_cache(KEPT)
def _compressed(data):
    y = int.from_bytes(data, "little")
    return _edwards(y & (2**255 - 1), y >> 255) if (y & (2**255 - 1)) < P25519 else None


def ed25519(public, signature, message):
    """Whether *signature* is *public*'s over *message* (RFC 8032 §5.1.7): its first half is the one form of the point sB - hA."""
    if len(public) != 32 or len(signature) != 64:
        return False
    a, s = _compressed(public), int.from_bytes(signature[32:], "little")
    if a is None or s >= L25519:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L25519
    minus = (P25519 - a[0], a[1], 1, P25519 - a[3])
    x, y, z, _ = _add(_times(s, B25519), _times(h, minus))
    one = pow(z, -1, P25519)
    form = y * one % P25519 | (x * one % P25519 & 1) << 255
    return signature[:32] == form.to_bytes(32, "little")


P256 = 2**256 - 2**224 + 2**192 + 2**96 - 1
N256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B256 = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G256 = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def _plus(p, q):
    if p is None or q is None:
        return p or q
    if p[0] == q[0]:
        if (p[1] + q[1]) % P256 == 0:
            return None
        slope = (3 * p[0] * p[0] - 3) * pow(2 * p[1], -1, P256)
    else:
        slope = (q[1] - p[1]) * pow(q[0] - p[0], -1, P256)
    x = (slope * slope - p[0] - q[0]) % P256
    return (x, (slope * (p[0] - x) - p[1]) % P256)


def _multiple(n, p):
    """n (under 2^256) times the point."""
    found = None
    for double in _doubles(p, _plus):
        if n & 1:
            found = _plus(found, double)
        n >>= 1
        if not n:
            break
    return found


def p256(x, y, r, s, message):
    """Whether (r, s) is the ECDSA signature with SHA-256 of the point (x, y) over *message*."""
    if not (0 < r < N256 and 0 < s < N256 and max(x, y) < P256) or (y * y - x * x * x + 3 * x - B256) % P256:
        return False
    w, e = pow(s, -1, N256), int.from_bytes(sha(message), "big")
    point = _plus(_multiple(e * w % N256, G256), _multiple(r * w % N256, (x, y)))
    return point is not None and point[0] % N256 == r


_INFO = {
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}


def rsa(n, e, signature, message, kind):
    """RSASSA-PKCS1-v1_5 (RFC 8017 §8.2.2)."""
    size = (n.bit_length() + 7) // 8
    if n.bit_length() < 2048 or len(signature) != size or int.from_bytes(signature, "big") >= n:
        return False
    info = _INFO[kind] + hashlib.new(kind, message).digest()
    wanted = b"\0\1" + b"\xff" * (size - len(info) - 3) + b"\0" + info
    return pow(int.from_bytes(signature, "big"), e, n) == int.from_bytes(wanted, "big")


def der_pair(data):
    """(r, s) of a DER ECDSA signature."""
    need(len(data) > 6 and data[0] == 0x30 and data[1] == len(data) - 2, "an ECDSA signature that is not DER")
    numbers, at = [], 2
    for _ in range(2):
        need(len(data) > at + 2 and data[at] == 2 and data[at + 1] > 0, "an ECDSA signature that is not DER")
        end = at + 2 + data[at + 1]
        numbers.append(int.from_bytes(data[at + 2 : end], "big"))
        at = end
    need(at == len(data), "an ECDSA signature with bytes left over")
    return numbers


# --- forms of others: CBOR, SSH, JOSE ----------------------------------------------------------------------------


def cbor(data, at=0, depth=0):
    """(value, end) of the CBOR item at *at* (RFC 8949); only what authenticators write."""
    need(at < len(data) and depth < 8, "CBOR that can't be read")
    kind, more = data[at] >> 5, data[at] & 31
    at += 1
    size = {24: 1, 25: 2, 26: 4, 27: 8}.get(more, 0)
    need(more < 28 and at + size <= len(data), "CBOR that can't be read")
    number = int.from_bytes(data[at : at + size], "big") if size else more
    at += size
    if kind in (0, 1):
        return (number if kind == 0 else -1 - number), at
    if kind in (2, 3):
        need(at + number <= len(data), "CBOR that ends too early")
        raw = bytes(data[at : at + number])
        return (raw if kind == 2 else raw.decode("utf-8")), at + number
    if kind in (4, 5):
        items = []
        for _ in range(number * (kind - 3)):
            item, at = cbor(data, at, depth + 1)
            items.append(item)
        return (items if kind == 4 else dict(zip(items[::2], items[1::2]))), at
    need(kind == 7 and number in (20, 21, 22), "CBOR of a kind that is not known here")
    return {20: False, 21: True, 22: None}[number], at


def cose_check(key, signature, message):
    """Whether *signature* is the COSE key's over *message*."""
    if key.get(3) == -7:
        need(key.get(1) == 2 and key.get(-1) == 1, "a key that is not on P-256")
        x, y = (int.from_bytes(key[name], "big") for name in (-2, -3))
        return p256(x, y, *der_pair(signature), message)
    if key.get(3) == -8:
        need(key.get(1) == 1 and key.get(-1) == 6, "a key that is not Ed25519")
        return ed25519(key[-2], signature, message)
    need(key.get(3) == -257 and key.get(1) == 3, "a key of a kind that is not known here")
    return rsa(int.from_bytes(key[-1], "big"), int.from_bytes(key[-2], "big"), signature, message, "sha256")


class Wire:
    """RFC 4251 §5."""

    def __init__(self, data):
        self.data = data

    def take(self, size):
        need(len(self.data) >= size, "an SSH blob that ends too early")
        found, self.data = self.data[:size], self.data[size:]
        return found

    def string(self):
        return self.take(int.from_bytes(self.take(4), "big"))

    def number(self):
        return int.from_bytes(self.string(), "big")

    def end(self):
        need(not self.data, "an SSH blob with bytes left over")


def string(data):
    return len(data).to_bytes(4, "big") + data


def ssh_check(public, armored, message, namespace):
    """The flags of a security key, None for another kind, if the armored signature is *public*'s over *message*."""
    lines = armored.strip().splitlines()
    need(lines[:1] == ["-----BEGIN SSH SIGNATURE-----"], "an SSH signature without its armor")
    wire = Wire(base64.b64decode("".join(lines[1:-1]), validate=True))
    need(wire.take(10) == b"SSHSIG\0\0\0\1", "no SSH signature")
    key, name, reserved, kind, blob = (wire.string() for _ in range(5))
    wire.end()
    need(key == public, "an SSH signature by another key")
    need(name == namespace, "an SSH signature for another purpose: %r" % name)
    need(kind in (b"sha256", b"sha512"), "an SSH signature with an unknown hash")
    digest = hashlib.new(kind.decode(), message).digest()
    signed = b"SSHSIG" + b"".join(map(string, (name, reserved, kind, digest)))
    wire, sig = Wire(public), Wire(blob)
    algorithm, given, raw = wire.string().decode(), sig.string().decode(), sig.string()
    security = algorithm.startswith("sk-")
    if algorithm in ("ssh-ed25519", "sk-ssh-ed25519@openssh.com"):
        point = wire.string()
    elif algorithm in ("ecdsa-sha2-nistp256", "sk-ecdsa-sha2-nistp256@openssh.com"):
        need(wire.string() == b"nistp256", "an SSH key on an unknown curve")
        point = wire.string()
    else:
        need(algorithm == "ssh-rsa", "an SSH key of an unknown kind")
        e, n = wire.number(), wire.number()
        need(given in ("rsa-sha2-256", "rsa-sha2-512"), "an RSA signature of an unknown kind")
        need(rsa(n, e, raw, signed, given.replace("rsa-sha2-", "sha")), "a signature that does not fit")
        return None
    need(given == algorithm, "an SSH signature of another kind than its key")
    rest = b""
    if security:
        rest = sig.take(5)
        signed = sha(wire.string()) + rest + sha(signed)
    wire.end(), sig.end()
    if "ed25519" in algorithm:
        right = ed25519(point, raw, signed)
    else:
        pair = Wire(raw)
        r, s = pair.number(), pair.number()
        right = p256(int.from_bytes(point[1:33], "big"), int.from_bytes(point[33:], "big"), r, s, signed)
    need(right, "a signature that does not fit")
    return rest[0] if security else None


def jwt_check(raw, keys):
    """The claims of a signed token, checked with a JWK set; None when its algorithm is not one of those written out here."""
    head, body, signature = raw.split(".")
    header, signed = read_json(unb64u(head)), (head + "." + body).encode()
    fitting = [k for k in keys["keys"] if header.get("kid") is None or k.get("kid") == header["kid"]]
    need(fitting, "an ID token signed with a key that the provider's recorded set does not have")
    signature, right, known = unb64u(signature), False, False
    for key in fitting:
        if header.get("alg") in ("RS256", "RS512") and key["kty"] == "RSA":
            n, e = (int.from_bytes(unb64u(key[name]), "big") for name in "ne")
            known, right = True, right or rsa(n, e, signature, signed, header["alg"].replace("RS", "sha"))
        elif header.get("alg") == "ES256" and key["kty"] == "EC":
            x, y = (int.from_bytes(unb64u(key[name]), "big") for name in "xy")
            r, s = (int.from_bytes(signature[at : at + 32], "big") for at in (0, 32))
            known, right = True, right or p256(x, y, r, s, signed)
        elif header.get("alg") == "EdDSA" and key["kty"] == "OKP":
            known, right = True, right or ed25519(unb64u(key["x"]), signature, signed)
    need(right or not known, "an ID token that the provider did not sign")
    return read_json(unb64u(body)) if known else None


# --- the log -----------------------------------------------------------------------------------------------------


def tile_path(kind, index, width):
    parts = ["%03d" % (index % 1000)]
    while index >= 1000:
        index //= 1000
        parts.insert(0, "x%03d" % (index % 1000))
    return "tile/%s/%s%s" % (kind, "/".join(parts), ".p/%d" % width if width < WIDTH else "")


class Entry:
    def __init__(self, index, header, fields, folder):
        self.index, self.type, self.fields, self.folder = index, header["type"], fields, folder

    def get(self, name):
        """A field, out of the blob that it stands for if it is one. Raises `Withheld`."""
        if name not in self.fields:
            raise Withheld("%s of entry %d was withheld" % (name, self.index))
        value = self.fields[name]
        if isinstance(value, dict) and set(value) == {"blob", "size"}:
            return read_json(self.folder.blob(value["blob"]))
        return value


class Folder:
    """An exported log (C2SP tlog-tiles, with disclosures and blobs beside it)."""

    def __init__(self, base, vkey):
        self.base = base
        self.given = vkey is not None
        self.vkey = vkey or self.read("log.vkey").decode().strip()

    def read(self, name):
        with open(os.path.join(self.base, name), "rb") as file:
            return file.read()

    def blob(self, digest):
        try:
            data = self.read("blobs/sha256/" + os.path.basename(digest.replace("sha256:", "")))
        except OSError:
            raise Withheld("the content %s is not in the export" % digest) from None
        need(
            hashlib.sha256(data).hexdigest() == digest.replace("sha256:", ""),
            "the blob %s holds something else" % digest,
        )
        return data

    def blobs(self):
        """Every blob of the export has the digest that it is named by."""
        place = os.path.join(self.base, "blobs", "sha256")
        for name in sorted(os.listdir(place)) if os.path.isdir(place) else ():
            self.blob(name)

    def checkpoint(self):
        """(origin, size, root), if the log's key signed it (C2SP signed-note, tlog-checkpoint)."""
        text, _, signatures = self.read("checkpoint").decode().partition("\n\n")
        text += "\n"
        name, key_id, key = self.vkey.split("+", 2)
        raw = base64.b64decode(key)
        need(raw[:1] == b"\1" and len(raw) == 33, "the log's key is not Ed25519")
        need(sha(name.encode() + b"\n" + raw)[:4].hex() == key_id, "the log's key has another id")
        origin, size, root = text.splitlines()[:3]
        need(origin == name, "the checkpoint is of another log: %s" % origin)
        for line in signatures.splitlines():
            _, who, signature = line.split(" ")
            data = base64.b64decode(signature)
            if who == name and data[:4].hex() == key_id and ed25519(raw[1:], data[4:], text.encode()):
                return origin, int(size), base64.b64decode(root)
        raise Bad("the checkpoint is not signed by the log's key")

    def entries(self, size, tree):
        """All entries, in order; *tree* is fed their leaves."""
        for index in range((size + WIDTH - 1) // WIDTH):
            width = min(WIDTH, size - index * WIDTH)
            data = self.read(tile_path("entries", index, width))
            lines = self.read(tile_path("disclosures", index, width)).splitlines()
            need(len(lines) == width, "disclosures are missing in tile %d" % index)
            at = 0
            for number in range(width):
                end = at + 2 + int.from_bytes(data[at : at + 2], "big")
                leaf, at = data[at + 2 : end], end
                tree.add(leaf)
                yield self.entry(index * WIDTH + number, leaf, lines[number])
            need(at == len(data), "tile %d has bytes left over" % index)

    def entry(self, index, leaf, line):
        header = read_json(leaf)
        need(header["index"] == index, "entry %d says that it is %s" % (index, header["index"]))
        committed, fields = set(header["_sd"]), {}
        for text in read_json(line):
            need(
                b64u(sha(text.encode())) in committed,
                "entry %d has a field that it does not commit to" % index,
            )
            _, name, value = read_json(unb64u(text))
            need(name not in fields, "entry %d has a field twice" % index)
            fields[name] = value
        return Entry(index, header, fields, self)


class Tree:
    """RFC 6962 §2.1, fed leaf by leaf."""

    def __init__(self):
        self.peaks = []

    def add(self, leaf):
        size, node = 1, sha(b"\0" + leaf)
        while self.peaks and self.peaks[-1][0] == size:
            node, size = sha(b"\1" + self.peaks.pop()[1] + node), size * 2
        self.peaks.append((size, node))

    @property
    def root(self):
        if not self.peaks:
            return sha(b"")
        node = self.peaks[-1][1]
        for _, left in reversed(self.peaks[:-1]):
            node = sha(b"\1" + left + node)
        return node


# --- the checks --------------------------------------------------------------------------------------------------


class Checks:
    """Reads the entries in order and holds what each has to be compared with."""

    def __init__(self, origin):
        self.origin = origin
        self.problems, self.unchecked, self.counts = [], [], {}
        self.keys, self.revoked, self.people, self.requests, self.actions = {}, {}, {}, {}, {}
        self.given, self.nonces, self.verified, self.jwks, self.permits = {}, {}, {}, {}, {}
        self.approved_keys = {}

    def run(self, entry):
        handler = getattr(self, "on_" + entry.type.replace(".", "_"), None)
        if handler is None:
            return
        try:
            handler(entry)
        except Bad as bad:
            self.problems.append((entry.index, entry.type, str(bad)))
        except Withheld as withheld:
            self.unchecked.append((entry.index, entry.type, str(withheld)))
        except (KeyError, ValueError, TypeError, IndexError, AttributeError, OverflowError) as error:
            self.problems.append(
                (entry.index, entry.type, "it can't be read (%s: %s)" % (type(error).__name__, error))
            )

    def count(self, name):
        self.counts[name] = self.counts.get(name, 0) + 1

    # people

    def on_person_enrolled(self, entry):
        self.people[entry.get("id")] = {"roles": entry.get("roles"), "removed": False}

    def on_person_changed(self, entry):
        if "roles" in entry.fields:
            self.people[entry.get("id")]["roles"] = entry.get("roles")

    def on_person_removed(self, entry):
        self.people[entry.get("id")]["removed"] = True

    def admins(self, other_than):
        return [
            p
            for p, row in self.people.items()
            if p != other_than and not row["removed"] and "admin" in row["roles"]
        ]

    # keys

    def on_provider_keys(self, entry):
        self.jwks[entry.get("digest")] = entry.get("jwks")

    def on_key_enrolled(self, entry):
        record, person = entry.get("record"), entry.get("person")
        committed, public = b64u(sha(jcs(record))), unb64u(record["public_key"])
        need(entry.get("commitment") == committed, "the record is not the one that was committed to")
        need(
            record["person"] == person and record["log"] == self.origin,
            "the record is another person's or log's",
        )
        need(entry.get("id") == "k_" + sha(b"keyturn/key/v1\n" + public).hex()[:32], "the key has another id")
        need(entry.get("id") not in self.keys, "the key was enrolled before")
        if record["type"] == "ssh":
            message = b"keyturn/key-record/v1\n" + jcs(record)
            ssh_check(public, entry.get("evidence")["signature"], message, b"enrolment@keyturn")
        else:
            self.registration(record, entry.get("evidence"), entry.get("backup"))
        if entry.get("provider"):
            self.token(entry.get("provider"), committed)
        self.vouched(entry, person)
        self.keys[entry.get("id")] = entry
        self.count("keys")

    def registration(self, record, evidence, backup):
        client = read_json(unb64u(evidence["client_data"]))
        members = {
            "log": self.origin,
            "person": record["person"],
            "random": record["random"],
            "rp_id": record["rp_id"],
        }
        challenge = b64u(sha(b"keyturn/enrolment/v1\n" + jcs(members)))
        need(
            client["type"] == "webauthn.create" and client["challenge"] == challenge,
            "it was made for something else",
        )
        need(own_origin(client, record["rp_id"]), "it was made on a page of %s" % client["origin"])
        made, _ = cbor(unb64u(evidence["attestation_object"]))
        data = made["authData"]
        need(data[:32] == sha(record["rp_id"].encode()), "it was made for another site")
        need(data[32] & UP and data[32] & UV, "it was made without its user being verified")
        need(bool(data[32] & BE) == backup, "whether it can be copied is recorded otherwise than it says")
        size = int.from_bytes(data[53:55], "big")
        need(b64u(data[55 : 55 + size]) == record["credential_id"], "it has another credential id")
        need(cbor(data, 55 + size)[0] == cbor(unb64u(record["public_key"]))[0], "it has another public key")

    def word(self, given, committed):
        """The claims of the provider's token, which commits to what it is said to be over."""
        keys = self.jwks.get(given["keys"])
        need(keys is not None, "the provider's key set was not recorded before")
        claims = jwt_check(given["id_token"], keys)
        if claims is None:
            raise Withheld("the ID token's algorithm is not written out in this program")
        need(claims.get("nonce") == committed, "the ID token does not commit to it")
        return claims

    def token(self, provider, committed):
        claims = self.word(provider, committed)
        need(
            provider["account"].startswith(str(claims.get("iss")) + "|"), "the ID token is another provider's"
        )
        self.count("keys vouched for by a provider")

    def vouched(self, entry, person):
        if entry.get("genesis"):
            need(
                entry.index <= 3 and not self.requests,
                "a key that nobody approved, later than the first entries",
            )
            self.count("keys of the beginning, approved by nobody")
            return
        request = self.requests.get(entry.get("request"))
        need(request is not None and request.get("subject") == "key", "no request asked for this key")
        asked = request.get("content")["key"]
        given = {name: entry.get(name) for name in entry.fields if name != "request"}
        need(asked == given, "what was approved is another key")
        approvals = [a for a in self.given.get(entry.get("request"), ()) if a.get("choice") == "approve"]
        need(approvals, "nobody approved this key")
        others = self.admins(person)
        for approval in approvals:
            stood_for = {approval.get("person"), *approval.fields.get("on_behalf_of", ())}
            need(stood_for & set(others), "%s could not approve this key" % approval.get("person"))
        held = [
            key
            for key in self.keys.values()
            if key.get("person") in others and key.get("id") not in self.revoked
        ]
        signed = any(approval.index in self.verified for approval in approvals)
        need(signed or not held, "it was approved by click although an administrator had a key")
        self.count("keys approved by signature" if signed else "keys approved by click")

    def on_key_revoked(self, entry):
        self.revoked.setdefault(entry.get("id"), entry.index)

    # requests and approvals

    def on_action_decided(self, entry):
        if entry.get("verdict") == "hold":
            self.actions[entry.get("id")] = entry

    def on_request_opened(self, entry):
        self.requests[entry.get("id")] = entry

    def on_approval_given(self, entry):
        self.given.setdefault(entry.get("request"), []).append(entry)
        nonce = entry.get("nonce")
        need(nonce not in self.nonces, "its nonce was used in entry %s" % self.nonces.get(nonce))
        self.nonces[nonce] = entry.index
        statement, data = self.statement(entry)
        need(entry.get("statement") == hexdigest(data), "its statement is another one than its fields make")
        if "reason" in entry.fields:
            hidden = {"nonce": nonce, "reason": entry.get("reason")}
            need(
                hexdigest(b"keyturn/reason/v1\n" + jcs(hidden)) == statement["reason"],
                "its reason was exchanged",
            )
        if entry.get("assurance") not in ("signed", "signed+hardware"):
            need(not entry.fields.get("key"), "it has a key and says that it is not signed")
            if entry.get("assurance") == "idp":
                self.word(entry.get("proof"), b64u(sha(data)))
                self.count("approvals by a provider's word")
                self.shown(entry)
            else:
                self.count("approvals by the operator's word")
            return
        self.signature(entry, data)
        # before what was shown: where that is withheld, the signature holds nevertheless
        self.verified[entry.index] = True
        self.count("approvals signed")
        self.shown(entry)

    def statement(self, entry):
        statement = {
            "v": 1, "log": self.origin, "request": entry.get("request"), "digest": entry.get("digest"),
            "display": entry.get("display"), "decision": entry.get("choice"), "person": entry.get("person"),
            "reason": entry.get("reason_digest"), "policy": entry.get("policy"), "nonce": entry.get("nonce"),
            "grant": entry.get("grant"),
            "ticket": entry.fields.get("ticket_named", ""),
            "behalf": entry.fields.get("behalf", ""),
        }  # fmt: skip
        return statement, b"keyturn/approval/v1\n" + jcs(statement)

    def signature(self, entry, data):
        person, proof, key = entry.get("person"), entry.get("proof"), self.keys.get(entry.get("key"))
        need(key is not None, "its key was not enrolled before, or its enrolment does not hold")
        need(proof["key"] == entry.get("key"), "its proof names another key")
        need(key.get("person") == person, "its key is %s's" % key.get("person"))
        need(key.get("id") not in self.revoked, "its key was revoked before")
        need(
            not self.people.get(person, {"removed": True})["removed"],
            "%s was removed, or never enrolled" % person,
        )
        record = key.get("record")
        public = unb64u(record["public_key"])
        need(proof["type"] == record["type"], "its proof is of another kind than its key")
        if record["type"] == "ssh":
            flags = ssh_check(public, proof["signature"], data, b"approval@keyturn")
            need(flags is None or flags & UP, "nobody touched the security key")
            hardware = flags is not None and bool(flags & UV)
        else:
            self.assertion(record, proof, data, key.get("backup"))
            hardware = bool(key.get("attested_by")) and not key.get("backup")
        level = "signed+hardware" if hardware else "signed"
        need(entry.get("assurance") == level, "it says %s and is %s" % (entry.get("assurance"), level))

    def assertion(self, record, proof, data, backup):
        client_raw, auth = unb64u(proof["client_data"]), unb64u(proof["authenticator_data"])
        client = read_json(client_raw)
        need(client["type"] == "webauthn.get", "its passkey did something else than sign")
        need(client["challenge"] == b64u(sha(data)), "its passkey signed another statement")
        need(own_origin(client, record["rp_id"]), "its passkey was asked by a page of %s" % client["origin"])
        need(auth[:32] == sha(record["rp_id"].encode()), "its passkey signed for another site")
        need(auth[32] & UP and auth[32] & UV, "its passkey did not verify its user")
        need(bool(auth[32] & BE) == backup, "its passkey says otherwise than before whether it can be copied")
        key, _ = cbor(public := unb64u(record["public_key"]))
        need(
            public and cose_check(key, unb64u(proof["signature"]), auth + sha(client_raw)),
            "a signature that does not fit",
        )

    def shown(self, entry):
        shown, request = entry.get("shown"), self.requests.get(entry.get("request"))
        need(request is not None, "there is no such request")
        need(
            hexdigest(b"keyturn/display/v1\n" + jcs(shown)) == entry.get("display"),
            "what was shown was exchanged",
        )
        need(
            shown["request"] == entry.get("request") and shown["digest"] == entry.get("digest"),
            "it shows another request",
        )
        need(request.get("digest") == entry.get("digest"), "it is for other bytes than the request")
        for name in shown:
            if name in request.fields and name not in ("request",):
                need(request.get(name) == shown[name], "the %s that was shown is not the request's" % name)
        need(
            shown["text"] == exact_text(request.get("subject"), shown["content"]),
            "the text that was shown is not what would run",
        )
        need(self.digest(request) == entry.get("digest"), "the digest is not that of what would be done")

    def digest(self, request):
        subject, content = request.get("subject"), request.get("content")
        if subject == "policy":
            return hexdigest(jcs({"policy": content["policy"], "before": content["before"]}))
        for number, step in enumerate(content["steps"] if subject == "plan" else (), 1):
            need(
                hexdigest(jcs(step["act"])) == step["digest"], "step %d is not what its digest is of" % number
            )
        if subject != "action":
            return hexdigest(jcs({"subject": subject, "content": content, "request": request.get("id")}))
        action = self.actions.get(request.get("action"))
        need(action is not None, "the action was not recorded before")
        act = action.get("action")
        need(
            act["content"] == content and act["cwd"] == request.get("cwd"), "the request holds another action"
        )
        members = {**act, "v": 1, "definition": action.get("definition"), "policy": request.get("policy")}
        return hexdigest(jcs(members))

    def on_request_ended(self, entry):
        try:
            self.ended(entry)
        finally:
            self.over(entry.fields.get("request"))

    def over(self, request):
        """What a request that is over leaves behind is small: nothing is decided on it any more, and a log has many."""
        opened = self.requests.get(request)
        if opened is not None:
            self.actions.pop(opened.fields.get("action"), None)
            for name in ("reading", "decision", "attribution", "environment", "risk", "sentence"):
                opened.fields.pop(name, None)
        for approval in self.given.get(request, ()):
            for name in ("shown", "proof"):
                approval.fields.pop(name, None)

    def ended(self, entry):
        request = self.requests.get(entry.get("request"))
        if request is None or entry.get("state") != "approved":
            return
        wanted = request.get("obligations").get("assurance", "click")
        if wanted not in ("signed", "signed+hardware"):
            return
        for person, _ in entry.get("placed"):
            good = [
                a for a in self.given.get(entry.get("request"), ())
                if a.get("person") == person and a.get("choice") == "approve" and a.index in self.verified
                and a.get("key") not in self.revoked and a.get("assurance") in (wanted, "signed+hardware")
            ]  # fmt: skip
            need(good, "it was approved without the signature of %s that it asks for" % person)
        self.count("approved requests that asked for signatures")

    def on_permit_issued(self, entry):
        need(entry.get("request") not in self.permits, "the request's permit was issued twice")
        self.permits[entry.get("request")] = entry.get("permit")["id"]

    def on_permit_consumed(self, entry):
        used = ("used", entry.get("permit"))
        need(used not in self.permits, "the permit was used twice")
        self.permits[used] = entry.index


def own_origin(client, rp_id):
    """Whether a page of the site itself asked, unframed: https, or http on the machine itself."""
    scheme, _, rest = client["origin"].partition("://")
    host = rest.rpartition(":")[0] if rest.rpartition(":")[2].isdigit() and ":" in rest else rest
    framed = client.get("crossOrigin") or client.get("topOrigin")
    return not framed and host == rp_id and (scheme == "https" or (scheme == "http" and host == "localhost"))


def exact_text(subject, content):
    """The exact text of what would run or be changed."""
    if subject != "action":
        return content["diff" if subject == "policy" else "text"]
    if content["kind"] == "shell":
        return content["script"]
    if content["kind"] == "file":
        return content.get("diff") or "%s %s\n" % (content["operation"], content["path"])
    if content["kind"] == "tool":
        server = content.get("server") or ""
        arguments = json.dumps(content["arguments"], indent=2, ensure_ascii=False, sort_keys=True)
        return "%s%s\n%s\n" % (server + "/" if server else "", content["tool"], arguments)
    return "%s %s\n" % (content["method"], content["url"])


def verify(base, vkey=None):
    """The whole verdict, as JSON values."""
    folder = Folder(base, vkey)
    said = {"key": folder.vkey, "key_from": "given" if folder.given else "export"}
    try:
        origin, size, root = folder.checkpoint()
        checks, tree = Checks(origin), Tree()
        for entry in folder.entries(size, tree):
            checks.run(entry)
        folder.blobs()
        need(tree.root == root, "the entries are not those of the checkpoint: the root differs")
    except Bad as bad:
        return {**said, "holds": False, "problems": [[None, "log", str(bad)]], "unchecked": [], "counts": {}}
    problems = [list(problem) for problem in checks.problems]
    return {
        **said, "holds": not problems, "origin": origin, "size": size, "root": root.hex(), "problems": problems,
        "unchecked": [list(one) for one in checks.unchecked], "counts": checks.counts,
    }  # fmt: skip


def main(arguments):
    as_json = "--json" in arguments
    rest = [one for one in arguments if one != "--json"]
    vkey = None
    if "--key" in rest:
        at = rest.index("--key")
        if at + 1 >= len(rest):
            rest = []
        else:
            vkey, rest = rest[at + 1], rest[:at] + rest[at + 2 :]
    if len(rest) != 1:
        print("usage: python3 -I -S verify_approvals.py DIR [--key VKEY] [--json]", file=sys.stderr)
        return 2
    try:
        verdict = verify(rest[0], vkey)
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        print("The export can't be read: %s" % ascii(str(error)), file=sys.stderr)
        return 2
    if as_json:
        print(json.dumps(verdict, sort_keys=True))
    else:
        for index, kind, words in verdict["problems"]:
            print(
                "WRONG  %s %s: %s" % (kind, "" if index is None else "(entry %d)" % index, ascii(words)[1:-1])
            )
        for index, kind, words in verdict["unchecked"]:
            print("not checked  %s (entry %d): %s" % (kind, index, ascii(words)[1:-1]))
        for name, number in sorted(verdict["counts"].items()):
            print("%6d  %s" % (number, name))
        if verdict["holds"]:
            print(
                "Everything holds: %d entries of %s, root %s."
                % (verdict["size"], verdict["origin"], verdict["root"])
            )
        if verdict["key_from"] == "export":
            print(
                "The log's key came from the export itself: compare it with one that you trust: %s"
                % verdict["key"]
            )
    return 0 if verdict["holds"] else 7


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
