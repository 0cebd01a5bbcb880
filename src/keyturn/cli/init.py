"""`keyturn init`."""

from __future__ import annotations

import getpass
import os
import re
import secrets
import shutil

import click

from keyturn.cli import as_json as to_json
from keyturn.cli.client import home_of, home_option, json_option
from keyturn.home import Home


@click.command()
@home_option
@click.option("--person", help="Id of the first person (default: your login name).")
@click.option("--name", default="", help="Their name, as shown.")
@click.option(
    "--mode",
    type=click.Choice(["enforce", "observe"]),
    default="enforce",
    help="observe: nothing is held, everything is recorded.",
)
@json_option
def init(home_path: str | None, person: str | None, name: str, mode: str, as_json: bool) -> None:
    """Make a home: keys, a starter policy, a first person."""
    home = home_of(home_path)
    chosen = person or _login_name()
    token_file = create(home, chosen, name, mode)
    if as_json:
        click.echo(
            to_json({"home": str(home.root), "person": chosen, "token_file": token_file, "mode": mode})
        )
        return
    click.echo(f"Made {home.root}.")
    click.echo(f"  You are {chosen}; your token is in {token_file} (only you can read it).")
    click.echo(f"  The starter policy is in {home.policy}; mode: {mode}.")
    click.echo("Nobody approves what their own agent asks, so add a colleague who reviews:")
    click.echo("  keyturn person add NAME --group reviewers --group policy")
    click.echo(
        "Next: `keyturn serve`, then `keyturn hook install claude-code` (or codex, gemini, copilot, opencode)."
    )


def create(
    home: Home,
    person: str,
    name: str,
    mode: str,
    *,
    os_uids: list[int] | None = None,
    policy: dict[str, bytes] | None = None,
) -> str:
    """Make the home and write its first entries; gives the path of the person's token. Raises `HomeExists`, `HomeUnwritable`."""
    from keyturn import policy as policies
    from keyturn.identity.names import check_person_id
    from keyturn.ledger import Ledger
    from keyturn.service import genesis
    from keyturn.service.projections import fold
    from keyturn.service.settings import store_url
    from keyturn.store import open_store

    check_person_id(person)
    if home.exists:
        raise genesis.HomeExists(f"{home.root} is a home already.")
    genesis.make_folders(home)
    try:
        files = dict(policy or policies.read_folder(policies.STARTER))
        files["policy.toml"] = _with_mode(files["policy.toml"], mode)
        write_policy(home, files)
        log_key, permit_key = genesis.make_key(home.log_key), genesis.make_key(home.permit_key)
        origin = f"keyturn.local/{secrets.token_hex(8)}"
        genesis.write_private(home.keys / "origin", origin.encode() + b"\n")
        ledger = Ledger.open(open_store(store_url(home)), log_key, origin, fold)
        try:
            first = {
                "id": person,
                "name": name,
                "groups": ["policy", "reviewers"],
                "roles": ["admin", "author", "member"],
                "os_uids": [os.getuid()] if os_uids is None else os_uids,
            }
            token = genesis.first_entries(
                ledger,
                origin=origin,
                log_key=log_key,
                permit_key=permit_key,
                person=first,
                policy_files=files,
            )
        finally:
            ledger.close()
        genesis.write_private(home.tokens / person, token.encode() + b"\n")
    except BaseException:
        # Half a home would look like one; nothing in it is worth keeping yet.
        for path in (home.keys, home.policy, home.tokens):
            shutil.rmtree(path, ignore_errors=True)
        for path in home.root.glob("ledger*"):
            path.unlink(missing_ok=True)
        raise
    return str(home.tokens / person)


def write_policy(home: Home, files: dict[str, bytes]) -> None:
    """The working copy of the policy, for editing."""
    for path, data in files.items():
        target = home.policy / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def _with_mode(text: bytes, mode: str) -> bytes:
    return re.sub(rb'(?m)^mode\s*=\s*"\w+"', f'mode = "{mode}"'.encode(), text)


def _login_name() -> str:
    name = re.sub(r"[^a-z0-9._-]", "-", getpass.getuser().lower())[:63]
    return name if name[:1].isalpha() else "owner"
