"""Wiring a client to Keyturn, and taking that back byte for byte.

What a file held before is kept beside Keyturn's home. If nobody changed it since, `uninstall` puts back those very
bytes; if somebody did, only Keyturn's entries are taken out, and that is said.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from keyturn.errors import ExitCode, KeyturnError
from keyturn.gates.hooks import client as hook_client
from keyturn.gates.hooks import codex_trust, merging
from keyturn.gates.hooks.dialects import dialect_of
from keyturn.gates.hooks.wiring import CLIENT_FILE, MANAGED_FOLDER, Scope, Target, Wire, targets


class NotInstallable(KeyturnError):
    """The hooks can't be written or can't be relied on as asked."""

    code = "hooks.not_installable"
    status = 409
    exit_code = ExitCode.USAGE
    not_done = "Nothing was changed."
    next_step = "Correct what the message names, then run the command again."


class Kept(Struct, frozen=True):
    """One file of an installation: what it held before (None: it wasn't there) and the digest of what was written."""

    path: str
    before: bytes | None
    after: str
    made: tuple[str, ...] = ()
    """Folders that were made for it."""


class Journal(Struct, frozen=True):
    """What one installation wrote. `wire` is what its hooks run."""

    client: str
    scope: Scope
    home: str
    cwd: str
    wire: Wire
    files: tuple[Kept, ...] = ()


class Change(Struct, frozen=True):
    """One file changed: a unified diff, and whether it was restored exactly (uninstalling only)."""

    path: str
    diff: str
    exact: bool = True


class Installation(Struct, frozen=True):
    """What was done: files changed (none: it was so already), what is left to do by hand, what this can't stop."""

    client: str
    scope: Scope
    changes: tuple[Change, ...]
    left: tuple[str, ...] = ()
    holes: tuple[str, ...] = ()
    assurance: str = "cooperative"


class Status(Struct, frozen=True):
    """Whether a client is wired: `installed`, `changed` (paths that are no longer as written), `left` to do by hand."""

    client: str
    scope: Scope
    installed: bool
    changed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    assurance: str = "cooperative"


class Place(Struct, frozen=True):
    """Where to install: the user's `home`, the project's `cwd`, Keyturn's own home, and a prefix for system paths."""

    home: str
    cwd: str
    keyturn: str
    root: str = ""


def install(client: str, scope: Scope, place: Place, *, socket: str, python: str) -> Installation:
    """Wire *client*. Doing it again changes nothing; with another socket it rewires. Atomic for each file.

    Raises `UnreadableSettings` before anything was written, `NotInstallable`, `NotManageable`, `UnknownClient`.
    """
    dialect = dialect_of(client)
    wire = Wire(python, _script(scope, place), socket)
    _trusted_by_all(scope, wire, place)
    journal = _read(client, scope, place) or Journal(client, scope, place.home, place.cwd, wire)
    plans = [_planned(target, journal, place) for target in _targets(journal, wire)]
    journal = msgspec.structs.replace(journal, wire=wire, files=tuple(plan.kept for plan in plans))
    _write(journal, place)
    _copy_client(scope, place)
    changes = [change for plan in plans if (change := _applied(plan))]
    left: tuple[str, ...] = ()
    if client == "codex" and scope != "managed":
        journal, trusted, left = _trust(journal, place)
        changes += trusted
    return Installation(client, scope, tuple(changes), left, dialect.holes, dialect.assurance)


def uninstall(client: str, scope: Scope, place: Place) -> Installation:
    """Take Keyturn's wiring out. Files that nobody else changed get their bytes back. Raises `NotInstalled`."""
    journal = _read(client, scope, place)
    if journal is None:
        raise NotInstalled(f"{dialect_of(client).title} is not wired here ({scope}).")
    known = {_real(target.path, place, scope): target for target in _targets(journal, journal.wire)}
    changes = [_restore(kept, known.get(kept.path)) for kept in reversed(journal.files)]
    _journal_path(client, scope, place).unlink(missing_ok=True)
    return Installation(client, scope, tuple(changes))


class NotInstalled(KeyturnError):
    """There is nothing of Keyturn's to take out."""

    code = "hooks.not_installed"
    status = 404
    exit_code = ExitCode.USAGE
    not_done = "Nothing was changed."
    next_step = "See `keyturn hook status`."


def status(client: str, scope: Scope, place: Place) -> Status:
    """Whether *client* is wired as it was written."""
    dialect = dialect_of(client)
    journal = _read(client, scope, place)
    if journal is None:
        return Status(client, scope, installed=False)
    changed = [kept.path for kept in journal.files if _digest(_present(kept.path)) != kept.after]
    script = Path(journal.wire.script)
    if _present(str(script)) != _client_bytes():
        changed.append(str(script))
    left = []
    if (
        client == "codex"
        and scope != "managed"
        and not any(k.path.endswith("config.toml") for k in journal.files)
    ):
        left.append(codex_trust.BY_HAND)
    return Status(client, scope, True, tuple(changed), tuple(left), dialect.assurance)


def wire_of(client: str, scope: Scope, place: Place) -> Wire:
    """What the installed hooks run. Raises `NotInstalled`."""
    journal = _read(client, scope, place)
    if journal is None:
        raise NotInstalled(f"{dialect_of(client).title} is not wired here ({scope}).")
    return journal.wire


# --- files ----------------------------------------------------------------------------------------


def _targets(journal: Journal, wire: Wire) -> tuple[Target, ...]:
    found = targets(journal.client, journal.scope, journal.home, journal.cwd, wire)
    trusted = [kept for kept in journal.files if _is_trust(kept.path)]
    return found + tuple(_trust_target(kept.path, {}) for kept in trusted)


def _real(path: str, place: Place, scope: Scope) -> str:
    """Where *path* really lies: links are followed, so that a linked settings file stays a link."""
    return os.path.realpath(place.root + path if scope == "managed" else path)


def _present(path: str) -> bytes | None:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotInstallable(f"{path} can't be read: {error.strerror}.") from error


class Plan(Struct, frozen=True):
    """One file to be written: what is kept of it, its bytes now and then."""

    kept: Kept
    before: bytes | None
    after: bytes
    mode: int


def _planned(target: Target, journal: Journal, place: Place) -> Plan:
    path = _real(target.path, place, journal.scope)
    before = _present(path)
    after = target.add(before)
    earlier = next((kept for kept in journal.files if kept.path == path), None)
    if earlier is None:
        made = tuple(str(folder) for folder in reversed(Path(path).parents) if not folder.exists())
        return Plan(Kept(path, before, _digest(after), made), before, after, target.mode)
    untouched = _digest(before) == earlier.after
    original = earlier.before if untouched or before is None else target.remove(before, earlier.before)
    return Plan(Kept(path, original, _digest(after), earlier.made), before, after, target.mode)


def _applied(plan: Plan) -> Change | None:
    if plan.before == plan.after:
        return None
    _write_atomically(plan.kept.path, plan.after, plan.mode)
    return Change(plan.kept.path, _diff(plan.kept.path, plan.before, plan.after))


def _restore(kept: Kept, target: Target | None) -> Change:
    now = _present(kept.path)
    exact = _digest(now) == kept.after or now is None
    if now is None:
        return Change(kept.path, "", exact=True)
    rest = kept.before if exact or target is None else target.remove(now, kept.before)
    if rest is None:
        Path(kept.path).unlink(missing_ok=True)
        for folder in reversed(kept.made):
            with suppress(OSError):
                Path(folder).rmdir()
    else:
        _write_atomically(kept.path, rest, 0o644)
    return Change(kept.path, _diff(kept.path, now, rest), exact)


def _write_atomically(path: str, data: bytes, mode: int) -> None:
    """Replace the file in one step, keeping its mode and owner."""
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        old = target.stat() if target.exists() else None
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(descriptor, "wb") as out:
                out.write(data)
                os.fchmod(out.fileno(), stat.S_IMODE(old.st_mode) if old else mode)
                if old and (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(out.fileno(), old.st_uid, old.st_gid)
                out.flush()
                os.fsync(out.fileno())
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise NotInstallable(f"{path} can't be written: {error.strerror}.") from error


def _diff(path: str, before: bytes | None, after: bytes | None) -> str:
    old, new = (
        (data or b"").decode("utf-8", "replace").splitlines(keepends=True) for data in (before, after)
    )
    names = ("/dev/null" if before is None else path, "/dev/null" if after is None else path)
    return "".join(
        line if line.endswith("\n") else line + "\n" for line in difflib.unified_diff(old, new, *names)
    )


def _digest(data: bytes | None) -> str:
    return "" if data is None else hashlib.sha256(data).hexdigest()


# --- the hook client's own file -------------------------------------------------------------------


def _script(scope: Scope, place: Place) -> str:
    if scope == "managed":
        return f"{place.root}{MANAGED_FOLDER}/{CLIENT_FILE}"
    return f"{place.keyturn}/hooks/{CLIENT_FILE}"


def _client_bytes() -> bytes:
    return Path(hook_client.__file__).read_bytes()


def _copy_client(scope: Scope, place: Place) -> None:
    """A copy in a place that policy protects: the package itself may lie in a folder that the agent works on."""
    path, data = _script(scope, place), _client_bytes()
    if _present(path) != data:
        _write_atomically(path, data, 0o755 if scope == "managed" else 0o500)


def _trusted_by_all(scope: Scope, wire: Wire, place: Place) -> None:
    """A managed hook must not run what the agent's user can change."""
    if scope != "managed" or place.root:
        return
    if os.geteuid() != 0:
        raise NotInstallable("Managed hooks are written by root only.", next_step="Run it with sudo.")
    real = Path(wire.python).resolve()
    for path in (real, *real.parents):
        status = path.stat()
        if status.st_uid != 0 or status.st_mode & 0o022:
            raise NotInstallable(
                f"{path} can be changed by others than root, and managed hooks would run {real}.",
                next_step="Give a system interpreter, e.g. --python /usr/bin/python3.",
            )


# --- Codex' trust ---------------------------------------------------------------------------------


def _is_trust(path: str) -> bool:
    return path.endswith("/.codex/config.toml")


def _trust_target(path: str, hashes: dict[str, str]) -> Target:
    tail = merging.codex_trust(hashes)
    return Target(
        path,
        lambda before: merging.with_blocks(before, "", tail, path) if hashes else before or b"",
        lambda now, before: merging.without_blocks(now),
        mode=0o600,
    )


def _trust(journal: Journal, place: Place) -> tuple[Journal, list[Change], tuple[str, ...]]:
    """Have Codex trust Keyturn's hooks, or say how to do it by hand."""
    hashes = codex_trust.hashes(place.cwd, place.home)
    if not hashes:
        return journal, [], (codex_trust.BY_HAND,)
    path = f"{place.home}/.codex/config.toml"
    plan = _planned(_trust_target(path, hashes), journal, place)
    others = tuple(kept for kept in journal.files if kept.path != plan.kept.path)
    journal = msgspec.structs.replace(journal, files=(*others, plan.kept))
    _write(journal, place)
    change = _applied(plan)
    return journal, [change] if change else [], ()


# --- the journal ----------------------------------------------------------------------------------


def _journal_path(client: str, scope: Scope, place: Place) -> Path:
    below = {"user": place.home, "project": place.cwd, "managed": place.root}[scope]
    name = f"{client}.{scope}.{hashlib.sha256(below.encode()).hexdigest()[:16]}"
    return Path(place.keyturn) / "installed" / f"{name}.json"


def _read(client: str, scope: Scope, place: Place) -> Journal | None:
    path = _journal_path(client, scope, place)
    data = _present(str(path))
    if data is None:
        return None
    try:
        return msgspec.json.decode(data, type=Journal)
    except msgspec.DecodeError as error:
        raise NotInstallable(
            f"{path} is damaged: {error}.", next_step="Restore it, or remove Keyturn's entries by hand."
        ) from error


def _write(journal: Journal, place: Place) -> None:
    path = _journal_path(journal.client, journal.scope, place)
    _write_atomically(str(path), msgspec.json.format(msgspec.json.encode(journal), indent=1) + b"\n", 0o600)
