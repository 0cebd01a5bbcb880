"""Verifies entries of an exported Keyturn log with scitt-cose, and nothing of Keyturn's.

    python check_receipt.py VKEY FOLDER RECEIPT...

VKEY is the log's key as you got it from somebody you trust. Each RECEIPT is a file N.cose: the COSE receipt (RFC 9942) of entry N.
With - for FOLDER, lines {"folder": "...", "receipts": [...]} are read from standard input. One line of JSON answers each.
"""

import base64
import hashlib
import json
import sys
from pathlib import Path

from scitt_cose import merkle_root, verify_receipt

ED25519 = bytes.fromhex("302a300506032b6570032100")


def pem_of(vkey):
    """The key of a line <name>+<id>+<base64 of 1 and the Ed25519 key> (c2sp.org/signed-note)."""
    name, key_id, typed = vkey.split("+", 2)
    data = base64.b64decode(typed, validate=True)
    if (
        len(data) != 33
        or data[0] != 1
        or hashlib.sha256(name.encode() + b"\n" + data).hexdigest()[:8] != key_id
    ):
        sys.exit("not a key of a log")
    der = base64.encodebytes(ED25519 + data[1:]).decode()
    return name, f"-----BEGIN PUBLIC KEY-----\n{der}-----END PUBLIC KEY-----\n"


def read(path):
    """A plain file: a pipe would keep us waiting."""
    if path.is_symlink() or not path.is_file():
        raise ValueError(f"{path} is no plain file")
    return path.read_bytes()


def entries_of(folder, size):
    """The first *size* entries of the log, in hexadecimal (c2sp.org/tlog-tiles)."""
    found = []
    for first in range(0, size, 256):
        digits = str(first // 256)
        groups = [digits[max(0, at - 3) : at].zfill(3) for at in range(len(digits), 0, -3)][::-1]
        bundle = folder / "tile/entries" / "/".join(["x" + group for group in groups[:-1]] + groups[-1:])
        if not bundle.exists():  # the last one; it may have grown since
            bundle = max(bundle.with_name(bundle.name + ".p").iterdir(), key=lambda one: int(one.name))
        data, at = read(bundle), 0
        while at < len(data):
            end = at + 2 + int.from_bytes(data[at : at + 2], "big")
            found.append(data[at + 2 : end].hex())
            at = end
        width = int(bundle.name) if bundle.parent.name.endswith(".p") else 256
        if at != len(data) or len(found) != first + width:
            raise ValueError(f"{bundle} does not hold {width} whole entries")
    return found[:size]


def check(folder, receipts, origin, pem):
    """What the receipts prove of the folder. Raises `ValueError`."""
    for path in receipts:
        number = int(path.name.split(".")[0])
        receipt = read(path)
        entry = entries_of(folder, number + 1)[number]
        result = verify_receipt(receipt, leaf_entry_hex=entry, log_public_key_pem=pem)
        if not result.ok:
            raise ValueError(f"{path.name}: {'; '.join(result.errors)}")
        if result.leaf_index != number or result.issuer != origin or result.subject != f"entry {number}":
            raise ValueError(f"{path.name} is of another entry, or of another log")
        if merkle_root(entries_of(folder, result.tree_size)) != result.root:
            raise ValueError(f"the first {result.tree_size} entries are not those that {path.name} is about")
    root = base64.b64encode(bytes.fromhex(result.root)).decode()
    return {"intact": True, "origin": origin, "size": result.tree_size, "root": root}


def answer(folder, receipts, origin, pem):
    """Say what `check` found; whether it is intact."""
    try:
        said = check(Path(folder), [Path(one) for one in receipts], origin, pem)
    except (ValueError, OSError) as error:
        said = {"intact": False, "why": str(error)}
    print(json.dumps(said), flush=True)
    return said["intact"]


if __name__ == "__main__":
    if len(sys.argv) < 3 or (sys.argv[2] != "-" and len(sys.argv) < 4):
        sys.exit("usage: python check_receipt.py VKEY FOLDER RECEIPT...")
    vkey, folder, *receipts = sys.argv[1:]
    trusted = pem_of(vkey)
    if folder != "-":
        sys.exit(0 if answer(folder, receipts, *trusted) else 7)
    for line in sys.stdin:
        asked = json.loads(line)
        answer(asked["folder"], asked["receipts"], *trusted)
