"""`keyturn key`: keys of your own with which you sign approvals."""

from __future__ import annotations

import base64
import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from keyturn.cli.client import Client, as_option, connect, home_option, json_option, segment
from keyturn.cli.terminal import say, say_json, visible
from keyturn.errors import KeyturnError


@click.group()
def key() -> None:
    """Keys with which people sign approvals: list, add, revoke."""


@key.command("list")
@home_option
@as_option
@click.option("--all", "everything", is_flag=True, help="Revoked ones, too.")
@json_option
def list_keys(home_path: str | None, person: str | None, everything: bool, as_json: bool) -> None:
    """Everybody's keys: compare a fingerprint with its person, by another way than this."""
    found = connect(home_path, person).get("/v1/keys")
    shown = [one for one in found if everything or one["revoked"] is None]
    if as_json:
        say_json(shown)
        return
    for one in shown:
        say(_line(one))
    if not shown:
        say("Nobody has a key yet.")


def _line(one: dict[str, Any]) -> str:
    since = datetime.fromtimestamp(one["enrolled"] / 1000, UTC).strftime("%Y-%m-%d")
    marks = [mark for mark, there in (("in hardware", one["attested"]), ("genesis", one["genesis"])) if there]
    if one["revoked"] is not None:
        marks.append(f"REVOKED by {one['revoked_by']}{': ' + one['why'] if one['why'] else ''}")
    kind = one["algorithm"] if one["type"] == "ssh" else f"passkey of {one['rp_id']}"
    words = "  ".join(map(visible, [kind, one["fingerprint"], one["name"], *marks]))
    return f"{visible(one['person']):<16} {one['id']}  {since}  {words}"


@key.command("add")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--name", default="", metavar="NAME", help="What you call it, such as the machine where it is.")
@home_option
@as_option
@json_option
def add_key(file: Path, name: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """Offer an SSH key of yours, security keys (`-sk`) included; another administrator approves it.

    FILE is the key, or the .pub of one that your ssh-agent or security key holds. Passkeys are added on the page You.
    """
    client = connect(home_path, person)
    origin = client.text("/v1/ledger/checkpoint").partition("\n")[0]
    offer = {"type": "ssh", **ssh_offer(origin, client.get("/v1/me")["id"], file, name)}
    try:
        view = client.post("/v1/keys", offer)
    except KeyturnError as error:
        if error.code != "key.unwitnessed" or as_json or not sys.stdin.isatty():
            raise
        _vouch(client, error)
        view = client.post("/v1/keys", offer)
    if as_json:
        say_json(view)
        return
    say(view["text"])
    say(
        f"{view['id']} waits for another administrator. Tell them the fingerprint yourself: they will compare it."
    )


def ssh_offer(origin: str, person: str, file: Path, name: str) -> dict[str, str]:
    """The key of *file*, having signed its own record for the log *origin*."""
    from keyturn.cli import ssh_keygen
    from keyturn.identity.keys import to_b64
    from keyturn.service.keys import ENROLMENT_NAMESPACE, record_bytes, ssh_record

    public = ssh_keygen.public_key(file)
    line = f"{public.algorithm} {base64.b64encode(public.blob).decode()}"
    random = to_b64(secrets.token_bytes(32))
    record = ssh_record(origin, person, line, random)
    signature = ssh_keygen.sign(record_bytes(record), ENROLMENT_NAMESPACE, file)
    return {"public_key": line, "random": random, "signature": signature, "name": name}


def _vouch(client: Client, error: KeyturnError) -> None:
    """Send the person to the page where the identity provider vouches for the key."""
    page = client.url or "the page"
    say(error.happened, err=True)
    say(
        f"Open {page}/you?vouch={error.details.get('commitment', '')} in your browser and sign in there.",
        err=True,
    )
    click.prompt("Then press Enter", default="", show_default=False, err=True)


@key.command("revoke")
@click.argument("key_id", metavar="KEY")
@click.option("--why", default="", metavar="WHY", help="Why; it is recorded.")
@home_option
@as_option
@json_option
def revoke_key(key_id: str, why: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """From now on a key signs nothing; what it signed no longer counts where people still decide."""
    gone = connect(home_path, person).post(f"/v1/keys/{segment(key_id)}/revoke", {"why": why})
    say_json(gone) if as_json else say(f"Revoked {gone['id']} of {visible(gone['person'])}.")
