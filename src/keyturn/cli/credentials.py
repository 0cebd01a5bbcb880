"""`keyturn credential`: what gates and agents prove themselves with. A secret is never an argument, and is shown once."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import IO, Any

import click

from keyturn.cli.client import Client, as_option, connect, home_of, home_option, json_option, segment
from keyturn.cli.terminal import say, say_json, visible
from keyturn.errors import ExitCode, KeyturnError

_SPAN = re.compile(r"(\d{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
MAX_TOKEN_FILE = 16_384
MAX_CSR = 8192


class OutTaken(KeyturnError):
    """The file for a new secret is there already."""

    code = "credential.file_taken"
    status = 409
    exit_code = ExitCode.USAGE
    not_done = "Nothing was issued."
    next_step = "Name another file, or move that one away."


class NoCredential(KeyturnError):
    """The file holds no credential that can be renewed."""

    code = "credential.no_file"
    status = 400
    exit_code = ExitCode.USAGE
    not_done = "Nothing was renewed."
    next_step = "Name the file with the gate's token; `keyturn gate add NAME --out FILE` writes one."


def span(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """`30d`, `12h`, `15m`, `90s` as seconds."""
    if value is None:
        return None
    found = _SPAN.fullmatch(value)
    if found is None:
        raise click.BadParameter("a number with s, m, h or d, as in 12h or 30d")
    return int(found[1]) * _SECONDS[found[2]]


expires_option = click.option(
    "--expires", callback=span, metavar="SPAN", help="How long it lasts: 90s, 15m, 12h, 7d (default: a day)."
)
grace_option = click.option(
    "--grace",
    callback=span,
    metavar="SPAN",
    help="How long the old one is still good beside the new (default: 60s; 0s ends it at once).",
)
out_option = click.option(
    "--out", metavar="FILE", help="Write the secret there, readable by you alone, instead of printing it."
)


@click.group()
def credential() -> None:
    """Credentials of gates and agents: issue, list, rotate, renew, revoke."""


@credential.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that open nothing any more.")
@home_option
@as_option
@json_option
def list_(everything: bool, home_path: str | None, person: str | None, as_json: bool) -> None:
    """All credentials of gates and agents, newest first."""
    found = connect(home_path, person).get("/v1/credentials?limit=1000")
    if not everything:
        found = [one for one in found if one["state"] in ("active", "rotated")]
    show(found, as_json, "No gate or agent has a credential.")


def show(found: list[dict[str, Any]], as_json: bool, none: str) -> None:
    """A list of credentials."""
    if as_json:
        say_json(found)
        return
    for one in found:
        say(line(one))
    if not found:
        say(none)


def line(one: dict[str, Any]) -> str:
    """One credential in one line."""
    acts = f" for {one['person']}" if one["person"] and one["kind"] != "person" else ""
    above = f" under {', '.join(one['actors'][1:])}" if one["actors"][1:] else ""
    scopes = f"  {' '.join(one['scopes'])}" if one["scopes"] else ""
    where = f"  {one['machine']}" if one["machine"] else ""
    note = f"  ({one['note']})" if one["note"] else ""
    return visible(
        f"{one['id']}  {one['state']:<8} {one['kind']}:{one['name']}{acts}{above}  {one['form']}  "
        f"until {when(one['expires'])}{scopes}{where}{note}"
    )


def when(ms: int) -> str:
    """A moment, to the minute, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(ms / 1000))


@credential.command()
@click.option("--gate", default="", metavar="NAME", help="The enrolled gate that it is for.")
@click.option("--agent", default="", metavar="NAME", help="The agent that it is for.")
@click.option("--owner", metavar="PERSON", help="Who answers for the agent (default: you).")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    help="A kind of action that the agent may propose: shell, file, tool, http (repeat).",
)
@click.option(
    "--csr",
    type=click.File("r"),
    metavar="FILE",
    help="A certificate request (PKCS #10, PEM) of the gate: a client certificate over its key instead of a token.",
)
@click.option(
    "--spiffe",
    default="",
    metavar="ID",
    help="The workload (spiffe://…) whose SVIDs are this gate's or agent's.",
)
@click.option(
    "--bound",
    default="",
    metavar="FINGERPRINT",
    help="The client certificate with which alone the token is good.",
)
@click.option("--machine", default="", help="The machine it is for, as people call it.")
@click.option("--note", default="", help="What it is for.")
@expires_option
@out_option
@home_option
@as_option
@json_option
def issue(
    gate: str,
    agent: str,
    owner: str | None,
    scopes: tuple[str, ...],
    csr: IO[str] | None,
    spiffe: str,
    bound: str,
    machine: str,
    note: str,
    expires: int | None,
    out: str | None,
    home_path: str | None,
    person: str | None,
    as_json: bool,
) -> None:
    """Issue a credential to a gate or an agent (administrators). The secret is shown once and stored nowhere."""
    if csr and spiffe:
        raise click.UsageError("--csr excludes --spiffe.")
    body = {
        "form": "certificate" if csr else "spiffe" if spiffe else "signed",
        "csr": csr.read(MAX_CSR) if csr else "",
        "spiffe": spiffe,
        "bound": bound,
        "gate": gate, "agent": agent, "owner": owner, "machine": machine, "note": note, "seconds": expires,
        "scopes": scopes or (("shell", "file", "tool", "http") if agent else ()),
    }  # fmt: skip
    check_out(out)
    made = connect(home_path, person).post("/v1/credentials", body)
    words = f"{'The agent ' + agent if agent else 'The gate ' + gate} speaks with this token"
    if spiffe:
        say_json(made) if as_json else say(line(made["credential"]))
        return
    if csr:
        words = f"The gate {gate} shows this certificate"
    hand_over(
        made, made["certificate"].strip() or made["token"], words, made["credential"]["expires"], out, as_json
    )


@credential.command()
@click.argument("credential_id", metavar="ID")
@grace_option
@out_option
@home_option
@as_option
@json_option
def rotate(
    credential_id: str,
    grace: int | None,
    out: str | None,
    home_path: str | None,
    person: str | None,
    as_json: bool,
) -> None:
    """Replace a credential by a new one. Both are good for the grace, then the old one opens nothing."""
    check_out(out)
    path = f"/v1/credentials/{segment(credential_id)}/rotate"
    made = connect(home_path, person).post(path, {"grace": grace})
    hand_over(made, made["token"], "The new token", made["credential"]["expires"], out, as_json)


@credential.command()
@click.argument("file", type=click.Path(dir_okay=False))
@grace_option
@home_option
@json_option
def renew(file: str, grace: int | None, home_path: str | None, as_json: bool) -> None:
    """Renew the credential in FILE with itself, within its life, and put the new one in its place. For timers."""
    client = Client(home_of(home_path), token_in(file), url=_url())
    made = client.post("/v1/credentials/renew", {"grace": grace})
    replace(Path(file), made["token"])
    made["token"] = ""
    words = f"The credential in {file} is {made['credential']['id']}, good until {when(made['credential']['expires'])}."
    say_json(made) if as_json else say(visible(words))


@credential.command()
@click.argument("credential_id", metavar="ID")
@click.option("--why", default="", help="Why. Recorded.")
@home_option
@as_option
@json_option
def revoke(credential_id: str, why: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """Revoke a credential: it and what was made from it open nothing from now on, and open connections are hung up."""
    path = f"/v1/credentials/{segment(credential_id)}/revoke"
    after = connect(home_path, person).post(path, {"why": why})
    say_json(after) if as_json else say(visible(f"Revoked {after['id']} of {after['kind']}:{after['name']}."))


def check_out(out: str | None) -> None:
    """Before anything is issued: a secret that has nowhere to go would be lost. Raises `OutTaken`."""
    if out and os.path.lexists(out):
        raise OutTaken(f"{out} is there already.")


def hand_over(made: Any, secret: str, words: str, expires: int, out: str | None, as_json: bool) -> None:
    """Give the secret once: into a file of the user's alone, or on stdout."""
    if out:
        write(Path(out), secret)
        made = {**made, "token": ""}
        secret = ""
    if as_json:
        say_json({**made, "file": out} if out else made)
    elif out:
        say(visible(f"{words}, in {out}, until {when(expires)}."))
    else:
        say(visible(f"{words} until {when(expires)}; it is not shown again:"), err=True)
        say(secret)


def write(path: Path, secret: str) -> None:
    """A new file with *secret*, readable by its owner alone. Raises `OutTaken`."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise OutTaken(f"{path} is there already.") from error
    with os.fdopen(handle, "w", encoding="utf-8") as opened:
        opened.write(secret + "\n")
        opened.flush()
        os.fsync(opened.fileno())


def replace(path: Path, secret: str) -> None:
    """Put *secret* in the file's place, in one step."""
    real = path.resolve()
    new = real.with_name(f".{real.name}.new")
    new.unlink(missing_ok=True)
    try:
        write(new, secret)
        new.replace(real)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def token_in(file: str) -> str:
    """The signed token in *file*; whatever else it holds is neither sent nor shown. Raises `NoCredential`."""
    from keyturn.identity.credentials import looks_signed

    try:
        with Path(file).open("rb") as opened:
            text = opened.read(MAX_TOKEN_FILE).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NoCredential(f"{file} can't be read as a credential.") from error
    if not looks_signed(text) or not re.fullmatch(r"[A-Za-z0-9_.-]+", text):
        raise NoCredential(f"{file} does not hold a credential.")
    return text


def _url() -> str:
    from keyturn.cli.client import URL, checked_url

    return checked_url(os.environ.get(URL, ""))
