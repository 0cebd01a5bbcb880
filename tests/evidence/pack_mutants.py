"""What can be done to an evidence pack: every class of byte altered by anybody, and results bent by an operator who signs them again."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

from log_folder import signer

from keyturn import canonical
from keyturn.evidence.archive_writing import Archive
from keyturn.ledger import checkpoint, note
from keyturn.ledger.checkpoint import Signer
from keyturn.ledger.errors import NoteInvalid

Files = dict[str, bytes]


@dataclass(frozen=True)
class PackMutant:
    """One thing done to the bytes of a pack."""

    name: str
    cls: str
    mutate: Callable[[bytes], bytes]


def read_pack(data: bytes) -> Files:
    """Its files, in the order in which they lie in it."""
    with zipfile.ZipFile(io.BytesIO(data)) as read:
        return {
            one.filename: read.read(one) for one in sorted(read.infolist(), key=lambda one: one.header_offset)
        }


def signed_again(files: Mapping[str, bytes], by: Signer | None = None) -> bytes:
    """A pack of these files, its manifest signed by *by*: what an operator can do who holds the log's key."""
    by, rest = (
        by or signer(),
        {name: data for name, data in files.items() if not name.startswith("manifest.")},
    )
    listed = {name: {"size": len(data), "sha256": sha256(data).hexdigest()} for name, data in rest.items()}
    manifest = canonical.dumps({"v": 1, "files": listed})
    try:
        head = checkpoint.read_unverified(rest["log/checkpoint"])
    except NoteInvalid:
        head = checkpoint.Checkpoint(by.origin, 1, bytes(32))
    lines = ("keyturn.dev/evidence-pack/v1", head.origin, str(head.size), sha256(manifest).hexdigest())
    text = note.sign("\n".join(lines) + "\n", by.origin, by._private)
    return packed({**rest, "manifest.json": manifest, "manifest.note": text.encode()})


def packed(files: Mapping[str, bytes]) -> bytes:
    """A zip of the one strict form."""
    out = io.BytesIO()
    archive = Archive(out)
    for name, data in files.items():
        archive.add(name, data)
    archive.finish()
    return out.getvalue()


def bytes_altered(pack: bytes, seed: int = 5, each: int = 2) -> Iterator[PackMutant]:
    """One bit anywhere: in every file, in every kind of header, in the directory, in the end."""
    dice = random.Random(seed)
    with zipfile.ZipFile(io.BytesIO(pack)) as read:
        infos = sorted(read.infolist(), key=lambda one: one.header_offset)
    for one in infos:
        start = one.header_offset + 30 + len(one.filename)
        places = {
            start,
            start + one.file_size - 1,
            *(start + dice.randrange(one.file_size) for _ in range(each)),
        }
        for at in sorted(places):
            yield _flip(
                at, dice, f"{one.filename}: byte {at - start}", f"content {one.filename.split('/')[0]}"
            )
        at = one.header_offset + dice.randrange(30 + len(one.filename))
        yield _flip(at, dice, f"{one.filename}: header byte {at - one.header_offset}", "local header")
    for field in range(30):
        yield _flip(
            infos[1].header_offset + field, dice, f"{infos[1].filename}: header byte {field}", "local header"
        )
    directory = struct.unpack_from("<L", pack, len(pack) - 6)[0]
    for field in range(46):
        yield _flip(directory + field, dice, f"directory: byte {field}", "directory")
    for at in dice.sample(range(directory, len(pack) - 22), 60):
        yield _flip(at, dice, f"directory: byte {at - directory}", "directory")
    for at in range(len(pack) - 22, len(pack)):
        yield _flip(at, dice, f"end: byte {at - len(pack) + 22}", "end")


def _flip(at: int, dice: random.Random, name: str, cls: str) -> PackMutant:
    bit = 1 << dice.randrange(8)
    return PackMutant(name, f"flip {cls}", lambda data: data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :])


def shapes_altered(pack: bytes, seed: int = 6) -> Iterator[PackMutant]:
    """Cut off, put together, padded, and zips that other programs would read."""
    dice, size = random.Random(seed), len(pack)
    directory = struct.unpack_from("<L", pack, size - 6)[0]
    for at in sorted(
        {
            0,
            1,
            3,
            21,
            22,
            size - 1,
            size - 22,
            size - 23,
            directory,
            *(dice.randrange(size) for _ in range(20)),
        }
    ):
        yield PackMutant(f"cut off at {at}", "cut", lambda data, at=at: data[:at])
        yield PackMutant(f"begins at {at + 1}", "cut", lambda data, at=at: data[at + 1 :])
    edits: dict[str, Callable[[bytes], bytes]] = {
        "something before": lambda data: b"#!/bin/sh\n" + data,
        "something behind": lambda data: data + b"\0",
        "a comment": lambda data: data[:-2] + b"\2\0hi",
        "twice": lambda data: data + data,
        "a gap before the directory": lambda data: _moved(data, directory, b"\0" * 7),
        "zeros": lambda data: bytes(len(data)),
        "made by another program": lambda data: _by_zipfile(read_pack(data), zipfile.ZIP_STORED),
        "made by another program, deflated": lambda data: _by_zipfile(read_pack(data), zipfile.ZIP_DEFLATED),
        "a bomb": lambda data: _by_zipfile({"manifest.json": bytes(1 << 24)}, zipfile.ZIP_DEFLATED),
        "nothing in it": lambda data: packed({}),
        "a file more": lambda data: packed({**read_pack(data), "more.txt": b"more"}),
        "a name that leads out": lambda data: data.replace(b"results.json", b"../sults.json"[:12]),
        "a name that is absolute": lambda data: data.replace(b"results.json", b"/esults.json"),
        "a name with NUL": lambda data: data.replace(b"results.json", b"resul\0s.json"),
        "two names that differ by case": lambda data: data.replace(b"results.json", b"Readme.txt\0\0"[:12]),
        "a count of 65,535": lambda data: data[:-14] + b"\xff\xff\xff\xff" + data[-10:],
        "a directory of 4 GiB": lambda data: data[:-10] + b"\xff\xff\xff\xff" + data[-6:],
        "a directory that begins later": lambda data: data[:-6] + b"\xff\xff\xff\xff" + data[-2:],
        "a size of 4 GiB": lambda data: data[: directory + 20] + b"\xff" * 8 + data[directory + 28 :],
        "a deep manifest": lambda data: packed({**read_pack(data), "manifest.json": b"[" * 500_000}),
        "a manifest of nothing": lambda data: packed({**read_pack(data), "manifest.json": b"{}"}),
        "a manifest of numbers": lambda data: packed(
            {**read_pack(data), "manifest.json": b'{"files":{"a":1},"v":1}'}
        ),
        "no manifest": lambda data: packed(_without(read_pack(data), "manifest.json")),
        "no signature": lambda data: packed(_without(read_pack(data), "manifest.note")),
        "a signature of nothing": lambda data: packed({**read_pack(data), "manifest.note": b""}),
        "signed by a stranger": lambda data: signed_again(read_pack(data), _stranger()),
        "the checkpoint as its signature": lambda data: packed(
            {**read_pack(data), "manifest.note": read_pack(data)["log/checkpoint"]}
        ),
    }
    for name, edit in edits.items():
        yield PackMutant(name, "shape", edit)
    for name in read_pack(pack):
        yield PackMutant(
            f"{name} is not there",
            "file gone",
            lambda data, name=name: packed(_without(read_pack(data), name)),
        )


def _moved(data: bytes, directory: int, gap: bytes) -> bytes:
    return data[:directory] + gap + data[directory:-6] + struct.pack("<L", directory + len(gap)) + data[-2:]


def _without(files: Files, name: str) -> Files:
    return {one: data for one, data in files.items() if one != name}


def _by_zipfile(files: Files, how: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as made:
        for name, data in sorted(files.items()):
            made.writestr(name, data)
    return out.getvalue()


def _stranger() -> Signer:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Signer(signer().origin, Ed25519PrivateKey.from_private_bytes(b"s" * 32))


# --- what an operator can do, who signs the manifest again ------------------------------------------------------------


def lies(pack: bytes) -> Iterator[PackMutant]:
    """Results, tables, tests, exceptions, proofs, controls, or the log in it, bent, and signed by the log's own key."""
    files = read_pack(pack)
    results = json.loads(files["results.json"])
    plan = json.loads(files["controls.json"])

    def put(name: str, cls: str, edits: Mapping[str, bytes | None]) -> PackMutant:
        rest = {one: data for one, data in {**files, **edits}.items() if data is not None}
        return PackMutant(name, f"lie {cls}", lambda data: signed_again(rest))

    def bent(name: str, cls: str, edit: Callable[[dict[str, object], dict[str, object]], None]) -> PackMutant:
        said, planned = json.loads(files["results.json"]), json.loads(files["controls.json"])
        edit(said, planned)
        return put(name, cls, {"results.json": _json(said), "controls.json": _json(planned)})

    for at, test in enumerate(results["tests"]):
        changes: dict[str, object] = {"population": test["population"] + 1}
        if test["verdict"] == "fail":
            changes |= {"verdict": "pass", "exceptions": test["exceptions"] - 1}
            yield bent(
                f"{test['test']} was not tested", "results", _test(at, verdict="not-tested", why="No time.")
            )
            yield bent(f"{test['test']} passes", "results", _test(at, verdict="pass", exceptions=0, why=""))
        if test["verdict"] in ("no-population", "not-tested"):
            changes |= {"verdict": "pass"}
        for name, value in changes.items():
            yield bent(f"{test['test']}: {name} {value}", "results", _test(at, **{name: value}))
        if test["days"]:
            yield bent(f"{test['test']}: a day less", "results", _test(at, days=test["days"][1:]))
        for name, value in test["settings"].items():
            yield bent(
                f"{test['test']}: ran with {name} {value + 1000}",
                "results",
                _test(at, settings={name: value + 1000}),
            )
        yield bent(
            f"{test['test']}: no result", "results", lambda said, planned, at=at: said["tests"].pop(at)
        )
    for at, control in enumerate(results["controls"]):
        if control["verdict"] != "pass":
            yield bent(f"{control['control']} passes", "controls", _control(at, verdict="pass", why=""))
        if control["verdict"] == "fail":
            yield bent(
                f"{control['control']}: no verdict",
                "controls",
                lambda said, planned, at=at: said["controls"].pop(at),
            )
    for at, control in enumerate(plan["controls"]):
        if any(one["verdict"] == "fail" for one in results["controls"] if one["control"] == control["id"]):
            yield bent(
                f"{control['id']} rests on nothing",
                "controls",
                lambda said, planned, at=at: planned["controls"][at].update(tests=[]),
            )
    for name, value in (
        ("since", results["since"] + 1), ("until", results["until"] - 1), ("size", results["size"] - 1), ("root", "00" * 32),
        ("origin", "elsewhere.local/log"), ("id", "pk_another"), ("tests", None), ("controls", {}), ("since", "yesterday"),
        ("tests", [1, 2]), ("until", 10**400), ("framework", None),
    ):  # fmt: skip
        yield bent(
            f"results.json: {name} is {str(value)[:20]}",
            "results",
            lambda said, planned, name=name, value=value: said.update({name: value}),
        )
    for text in (
        b"",
        b"null",
        b"[]",
        b"{}",
        b"[" * 300_000,
        b"\xff",
        b'{"a":NaN}',
        b'{"since":' + b"9" * 5000 + b"}",
    ):
        yield put(f"results.json is {text[:12]!r}", "form", {"results.json": text})
        yield put(f"controls.json is {text[:12]!r}", "form", {"controls.json": text})
    for name in sorted(
        one
        for one in files
        if (one.startswith("tables/") and one.endswith(".csv")) or one == "exceptions.csv"
    ):
        yield from _sheet(name, files[name], put)
    for name in sorted(one for one in files if one.startswith("queries/")):
        yield put(f"{name}: altered", "queries", {name: files[name] + b"\n"})
        yield put(f"{name}: gone", "queries", {name: None})
    yield put(
        "a query more",
        "queries",
        {"queries/more.sql": files[next(one for one in files if one.startswith("queries/"))]},
    )
    yield put("a query that reads a file", "queries", _other_text(files, "SELECT readfile('/etc/passwd')"))
    yield put("a query that never ends", "queries", _other_text(files, "SELECT 1"))
    proofs = sorted(one for one in files if one.startswith("proofs/"))
    for name, other in zip(proofs, [*proofs[1:], proofs[0]], strict=True):
        yield put(f"{name}: gone", "proofs", {name: None})
        if name != other:
            yield put(f"{name}: that of another", "proofs", {name: files[other]})
        yield put(f"{name}: cut", "proofs", {name: files[name].replace(b"\n", b"", 1)})
        yield put(f"{name}: of nothing", "proofs", {name: b""})
    yield put("a proof more", "proofs", {"proofs/0.tlog-proof": files[proofs[0]] if proofs else b"more"})
    yield from _other_logs(files, put)


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


Put = Callable[[str, str, Mapping[str, bytes | None]], PackMutant]


def _test(at: int, **members: object) -> Callable[[dict[str, object], dict[str, object]], None]:
    return lambda said, planned: said["tests"][at].update(members)  # type: ignore[index]


def _control(at: int, **members: object) -> Callable[[dict[str, object], dict[str, object]], None]:
    return lambda said, planned: said["controls"][at].update(members)  # type: ignore[index]


def _sheet(name: str, data: bytes, put: Put) -> Iterator[PackMutant]:
    rows = data.splitlines(keepends=True)
    if len(rows) > 1:
        yield put(f"{name}: its last row gone", "tables", {name: b"".join(rows[:-1])})
        yield put(f"{name}: a row twice", "tables", {name: data + rows[-1]})
        yield put(f"{name}: its first digit another", "tables", {name: _digit(rows)})
        yield put(f"{name}: lines that end otherwise", "tables", {name: data.replace(b"\n", b"\r\n")})
    yield put(f"{name}: another header", "tables", {name: b"x" + data})
    yield put(f"{name}: gone", "tables", {name: None})


def _digit(rows: list[bytes]) -> bytes:
    at = next(number for number, byte in enumerate(rows[1]) if chr(byte).isdigit())
    other = b"8" if rows[1][at : at + 1] != b"8" else b"7"
    return rows[0] + rows[1][:at] + other + rows[1][at + 1 :] + b"".join(rows[2:])


def _other_text(files: Files, text: str) -> dict[str, bytes | None]:
    """A query of another text, whose digest results and controls say."""
    name = "queries/no_self_approval.sql"
    head = files[name].decode().partition("\n\n")[0].partition("\nWITH")[0].partition("\nSELECT")[0]
    made = (head + "\n" + text + "\n").encode()
    old, new = sha256(files[name]).hexdigest().encode(), sha256(made).hexdigest().encode()
    return {
        name: made, "results.json": files["results.json"].replace(old, new), "controls.json": files["controls.json"].replace(old, new),
    }  # fmt: skip


def _other_logs(files: Files, put: Put) -> Iterator[PackMutant]:
    """The log's own files altered, in a pack that is signed again."""
    dice = random.Random(3)
    for name in sorted(one for one in files if one.startswith("log/")):
        data = files[name]
        for _ in range(3):
            at = dice.randrange(len(data))
            altered = data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]
            yield put(f"{name}: byte {at}", "log", {name: altered})
        yield put(f"{name}: gone", "log", {name: None} if name != "log/checkpoint" else {name: data[:-9]})
    lines = sorted(one for one in files if one.startswith("log/tile/disclosures/"))
    for name in lines:
        rows = files[name].splitlines()
        for at in dice.sample(range(len(rows)), 6):
            fields = json.loads(rows[at])
            if len(fields) > 1:
                rest = [*rows[:at], json.dumps(fields[1:], separators=(",", ":")).encode(), *rows[at + 1 :]]
                yield put(
                    f"{name}: a field of entry {at} dropped",
                    "log",
                    {name: b"".join(row + b"\n" for row in rest)},
                )


def every(pack: bytes) -> Iterator[PackMutant]:
    """All of them."""
    yield from bytes_altered(pack)
    yield from shapes_altered(pack)
    yield from lies(pack)
