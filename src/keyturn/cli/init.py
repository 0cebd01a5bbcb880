"""`keyturn init`."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import secrets
import shutil
from pathlib import Path
from typing import Any

import click

from keyturn.cli.client import check_socket_paths, home_of, home_option, json_option
from keyturn.cli.terminal import say, say_json
from keyturn.errors import ExitCode, KeyturnError
from keyturn.home import Home


class FolderTaken(KeyturnError):
    """The folder that should become a home holds files under names that a home uses."""

    code = "home.folder_taken"
    status = 409
    exit_code = ExitCode.USAGE
    not_done = "Nothing was changed."
    next_step = "Name another folder with --home or KEYTURN_HOME, or move those files away."


@click.command()
@home_option
@click.option("--person", help="Id of the first person (default: your login name).")
@click.option("--name", default="", help="Their name, as shown.")
@click.option(
    "--mode",
    type=click.Choice(["enforce", "observe"]),
    default="enforce",
    show_default=True,
    help="observe: what would be held runs, and everything is recorded; refusals stand.",
)
@click.option(
    "--key",
    "key_file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="An SSH key of the first person, to sign approvals with. Later keys need another administrator's approval.",
)
@json_option
def init(
    home_path: str | None, person: str | None, name: str, mode: str, key_file: Path | None, as_json: bool
) -> None:
    """Make a home: keys, a starter policy, a first person."""
    home = home_of(home_path)
    check_socket_paths(home)
    chosen = person or _login_name()
    token_file = create(home, chosen, name, mode, key_file=key_file)
    if as_json:
        say_json({"home": str(home.root), "person": chosen, "token_file": token_file, "mode": mode})
        return
    say(f"Made {home.root}.")
    say(f"  You are {chosen}; your token is in {token_file} (only you can read it).")
    say(f"  The starter policy is in {home.policy}; mode: {mode}.")
    if mode == "observe":
        say("  What would be held runs, and is recorded with what would have been decided. Refusals stand.")
    say("Next:")
    say("  keyturn serve                       in a terminal of its own")
    say("  keyturn person add NAME --group reviewers --group policy")
    say("                                      a colleague: nobody approves what their own agent asks")
    say("  keyturn hook install claude-code    or codex, gemini, copilot, opencode")


def create(
    home: Home,
    person: str,
    name: str,
    mode: str,
    *,
    os_uids: list[int] | None = None,
    policy: dict[str, bytes] | None = None,
    key_file: Path | None = None,
) -> str:
    """Make the home and write its first entries; gives the path of the person's token.

    Raises `HomeExists`, `FolderTaken`, `HomeUnwritable`; whatever it raises, what it made is gone again.
    """
    from keyturn import policy as policies
    from keyturn.identity.names import check_person_id
    from keyturn.service import genesis

    check_person_id(person)
    files = dict(policy or policies.read_folder(policies.STARTER))
    files["policy.toml"] = _with_mode(files["policy.toml"], mode)
    first = {
        "id": person,
        "name": name,
        "groups": ["policy", "reviewers"],
        "roles": ["admin", "author", "member"],
        "os_uids": [os.getuid()] if os_uids is None else os_uids,
    }
    _check_free(home)
    new = not home.root.exists()
    try:
        genesis.make_folders(home)
        home.root.chmod(0o700)  # a folder that was there before may have been open to others
        write_policy(home, files)
        token = _begin(home, first, files, key_file)
        genesis.write_private(home.tokens / person, token.encode() + b"\n")
    except BaseException as error:
        _remove(home, whole=new)
        if isinstance(error, OSError):
            raise genesis.HomeUnwritable(f"{error.filename or home.root}: {error.strerror}.") from error
        raise
    return str(home.tokens / person)


def _check_free(home: Home) -> None:
    """Raise unless there is no home and nothing under the names that a home uses, settings and sockets' folder aside."""
    from keyturn.service.genesis import HomeExists, HomeUnwritable

    try:
        if home.exists:
            raise HomeExists(f"{home.root} is a home already.")
        there = sorted(path.name for path in home.root.iterdir()) if home.root.is_dir() else []
        ours = {path.name for path in _made(home)}
        taken = [
            name
            for name in there
            if name in ours and (home.root / name).exists() and _holds(home.root / name)
        ]
    except OSError as error:
        raise HomeUnwritable(f"{error.filename or home.root}: {error.strerror}.") from error
    if taken:
        raise FolderTaken(f"{home.root} is no home, but holds {', '.join(taken)}.")


def _holds(path: Path) -> bool:
    return not path.is_dir() or any(path.iterdir())


def _made(home: Home) -> list[Path]:
    """What `create` makes; a store of its own lies beside the SQLite file."""
    beside = [home.root / f"{home.ledger.name}{end}" for end in ("-wal", "-shm")]
    return [
        home.keys,
        home.policy,
        home.tokens,
        home.installed,
        home.ledger,
        home.ledger.with_suffix(".lock"),
        *beside,
    ]


def _remove(home: Home, *, whole: bool) -> None:
    """Half a home would look like one; nothing in it is worth keeping yet."""
    for path in [home.root] if whole else _made(home):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                path.unlink()
    if not whole and not home.run.is_symlink():
        with contextlib.suppress(OSError):
            home.run.rmdir()


def _begin(home: Home, person: dict[str, Any], files: dict[str, bytes], key_file: Path | None) -> str:
    """Make the keys and write the first entries; the person's token."""
    from keyturn.ledger import Ledger
    from keyturn.service import genesis
    from keyturn.service.projections import fold
    from keyturn.service.settings import store_url
    from keyturn.store import open_store

    log_key, permit_key = genesis.make_key(home.log_key), genesis.make_key(home.permit_key)
    genesis.redaction_key(home)
    origin = f"keyturn.local/{secrets.token_hex(8)}"
    genesis.write_private(home.keys / "origin", origin.encode() + b"\n")
    key = _first_key(origin, person["id"], key_file) if key_file is not None else None
    ledger = Ledger.open(open_store(store_url(home)), log_key, origin, fold)
    try:
        return genesis.first_entries(
            ledger,
            origin=origin,
            log_key=log_key,
            permit_key=permit_key,
            person=person,
            policy_files=files,
            key=key,
        )
    finally:
        ledger.close()


def _first_key(origin: str, person: str, file: Path) -> dict[str, Any]:
    """The first person's key, having signed its own record."""
    from keyturn.cli.key import ssh_offer
    from keyturn.service import keys

    return keys.first_key(origin, person, keys.SshOffer(**ssh_offer(origin, person, file, "")))


def write_policy(home: Home, files: dict[str, bytes]) -> None:
    """The working copy of the policy, for editing."""
    for path, data in files.items():
        target = home.policy / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def _with_mode(text: bytes, mode: str) -> bytes:
    return re.sub(rb'(?m)^mode\s*=\s*"\w+"', f'mode = "{mode}"'.encode(), text)


def _login_name() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as containers have
        user = ""
    name = re.sub(r"[^a-z0-9._-]", "-", user.lower())[:63]
    return name if name[:1].isalpha() else "owner"
