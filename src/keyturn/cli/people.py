"""`keyturn login` and `keyturn person`."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import click

from keyturn.cli.client import Unreachable, as_option, connect, home_of, home_option, json_option, segment
from keyturn.cli.credentials import when
from keyturn.cli.delegate import moment
from keyturn.cli.terminal import say, say_json, visible

ROLES = click.Choice(["member", "author", "auditor", "admin"])


@click.command()
@home_option
@as_option
@json_option
def login(home_path: str | None, person: str | None, as_json: bool) -> None:
    """Make a one-time link to the page, valid for a few minutes."""
    client = connect(home_path, person)
    code = client.post("/v1/login")["code"]
    url = f"{client.url or _page(home_path)}/login?code={code}"
    say_json({"url": url}) if as_json else say(url)


def _page(home_path: str | None) -> str:
    try:
        return str(json.loads(home_of(home_path).server.read_bytes())["url"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unreachable("The server did not say where its page is.") from error


@click.group()
def person() -> None:
    """People: list, add, change, link, unlink, remove, token, review."""


@person.command("list")
@home_option
@as_option
@json_option
def list_people(home_path: str | None, person: str | None, as_json: bool) -> None:
    """Everybody, with groups and roles."""
    everybody = connect(home_path, person).get("/v1/people")
    if as_json:
        say_json(everybody)
        return
    for one in everybody:
        say(_line(one))


def _line(one: dict[str, Any]) -> str:
    name = f"  ({visible(one['name'])})" if one["name"] else ""
    accounts = f"  accounts: {', '.join(map(str, one['os_uids']))}" if one["os_uids"] else ""
    signs_in = f"  signs in as: {', '.join(map(visible, one['accounts']))}" if one["accounts"] else ""
    gone = "  REMOVED" if one["removed"] else ""
    gone += "  SHARED" if one["shared"] else ""
    if one["away_until"] > time.time() * 1000:
        gone += f"  on leave until {when(one['away_until'])}"
    groups, roles = (", ".join(one[key]) or "-" for key in ("groups", "roles"))
    return f"{visible(one['id']):<20} groups: {groups}  roles: {roles}{accounts}{signs_in}{name}{gone}"


@person.command("add")
@click.argument("person_id", metavar="PERSON")
@click.option("--name", default="", help="As shown.")
@click.option("--group", "groups", multiple=True, help="A group whose stages they count for (repeat).")
@click.option(
    "--role", "roles", multiple=True, type=ROLES, help="What else they may do (repeat; default: member)."
)
@click.option(
    "--os-uid", "os_uids", multiple=True, type=int, help="Operating-system account that is theirs (repeat)."
)
@click.option(
    "--account", "accounts", multiple=True, metavar="ISSUER|SUBJECT", help="Account at a provider (repeat)."
)
@home_option
@as_option
@json_option
def add(
    person_id: str,
    name: str,
    groups: tuple[str, ...],
    roles: tuple[str, ...],
    os_uids: tuple[int, ...],
    accounts: tuple[str, ...],
    home_path: str | None,
    person: str | None,
    as_json: bool,
) -> None:
    """Enrol a person. Their token is printed once and stored only as a hash."""
    body = {
        "id": person_id,
        "name": name,
        "groups": groups,
        "roles": roles or ("member",),
        "os_uids": os_uids,
        "accounts": accounts,
    }
    made = connect(home_path, person).post("/v1/people", body)
    if as_json:
        say_json(made)
        return
    done = _waits(made) if "request" in made else f"Enrolled {person_id}."
    say(f"{done} Give them this token over a safe channel; it is not shown again:")
    say(made["token"])


@person.command("change")
@click.argument("person_id", metavar="PERSON")
@click.option("--name", help="As shown from now on.")
@click.option("--group", "groups", multiple=True, help="The groups they are in from now on (repeat).")
@click.option("--no-group", is_flag=True, help="In no group from now on.")
@click.option("--role", "roles", multiple=True, type=ROLES, help="The roles they have from now on (repeat).")
@click.option(
    "--os-uid", "os_uids", multiple=True, type=int, help="The accounts that are theirs from now on (repeat)."
)
@click.option("--no-os-uid", is_flag=True, help="No account is theirs from now on.")
@click.option(
    "--away-until", metavar="TIME", help="They are on leave until then: 2w, 2026-12-24 or 2026-12-24T08:00Z."
)
@click.option("--back", is_flag=True, help="They are not on leave any more.")
@click.option(
    "--shared/--not-shared", default=None, help="Whether several people use this name, as a mailbox."
)
@home_option
@as_option
@json_option
def change(
    person_id: str,
    name: str | None,
    groups: tuple[str, ...],
    no_group: bool,
    roles: tuple[str, ...],
    os_uids: tuple[int, ...],
    no_os_uid: bool,
    away_until: str | None,
    back: bool,
    shared: bool | None,
    home_path: str | None,
    person: str | None,
    as_json: bool,
) -> None:
    """Change a person's name, groups, roles, accounts or leave. What isn't named stays. Nobody changes their own."""
    if (groups and no_group) or (os_uids and no_os_uid) or (away_until and back):
        raise click.UsageError(
            "--no-group excludes --group, --no-os-uid excludes --os-uid, and --back excludes --away-until."
        )
    body: dict[str, Any] = {}
    if name is not None:
        body["name"] = name
    if groups or no_group:
        body["groups"] = groups
    if roles:
        body["roles"] = roles
    if os_uids or no_os_uid:
        body["os_uids"] = os_uids
    if away_until or back:
        body["away_until"] = moment(away_until, int(time.time() * 1000)) if away_until else 0
    if shared is not None:
        body["shared"] = shared
    if not body:
        raise click.UsageError("It is not said what to change.")
    after = connect(home_path, person).patch(f"/v1/people/{segment(person_id)}", body)
    say_json(after) if as_json else say(_waits(after) if "request" in after else _line(after))


def _waits(made: dict[str, Any]) -> str:
    """A change that gives somebody power, and that another administrator has to approve first."""
    return (
        f"Asked for, and waiting for {made['approve']}: request {made['request']}. Nothing was changed yet."
    )


@person.command("link")
@click.argument("person_id", metavar="PERSON")
@click.argument("account", metavar="ACCOUNT")
@home_option
@as_option
@json_option
def link(person_id: str, account: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """Link an account at the provider to a person. ACCOUNT is `ISSUER|SUBJECT`, as a refused sign-in shows it.

    From then on whoever has that account is this person, in requests that wait, too. Another administrator has to approve it.
    """
    path = f"/v1/people/{segment(person_id)}/accounts/link"
    after = connect(home_path, person).post(path, {"account": account})
    say_json(after) if as_json else say(_waits(after) if "request" in after else _line(after))


@person.command("unlink")
@click.argument("person_id", metavar="PERSON")
@click.argument("account", metavar="ACCOUNT")
@click.option("--mistake", is_flag=True, help="It never was theirs: whoever has it is another person.")
@home_option
@as_option
@json_option
def unlink(
    person_id: str, account: str, mistake: bool, home_path: str | None, person: str | None, as_json: bool
) -> None:
    """Unlink an account: it opens nothing any more. Whoever has it still counts as the same person, but for --mistake."""
    path = f"/v1/people/{segment(person_id)}/accounts/unlink"
    after = connect(home_path, person).post(path, {"account": account, "mistake": mistake})
    say_json(after) if as_json else say(_waits(after) if "request" in after else _line(after))


@person.command("remove")
@click.argument("person_id", metavar="PERSON")
@home_option
@as_option
@json_option
def remove(person_id: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """From now on that person decides nothing, their keys are revoked, and their tokens and sessions open nothing."""
    after = connect(home_path, person).post(f"/v1/people/{segment(person_id)}/remove")
    say_json(after) if as_json else say(f"Removed {visible(after['id'])}.{_revoked(after)}")


def _revoked(after: dict[str, Any]) -> str:
    """What was revoked with the removal, in words."""
    counts = ((len(after["revoked_keys"]), "key"), (len(after["revoked_credentials"]), "token"))
    said = [f"{n} {what}{'s' if n != 1 else ''}" for n, what in counts if n]
    return f" Revoked with that: {' and '.join(said)}." if said else ""


@person.command("review")
@click.option(
    "--record", "digest", metavar="DIGEST", help="Record that you looked through the list of this digest."
)
@click.option("--note", default="", help="What you have to say about it, with --record.")
@home_option
@as_option
@json_option
def review(digest: str | None, note: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """Look through who may do what here: people, groups, roles, keys, tokens, grants, agents, gates. Then record that you did.

    What should not be there is taken away first (`person change`, `person remove`, `key revoke`, `grants revoke`, …); then look again.
    A list that has changed since it was shown is not recorded.
    """
    if note and digest is None:
        raise click.UsageError("--note goes with --record.")
    client = connect(home_path, person)
    if digest is None:
        seen = client.get("/v1/access")
        say_json(seen) if as_json else _say_access(seen)
        return
    made = client.post("/v1/access/review", {"digest": digest, "note": note})
    if as_json:
        say_json(made)
        return
    say(f"Recorded as entry {made['entry']}: you looked through {_counted(made['counts'])}.")
    say(f"Taken away since the last review: {len(made['taken'])}.")


def _say_access(seen: dict[str, Any]) -> None:
    """The list, by kind; then what is gone since the last review, and how to record this one."""
    kind = ""
    for right in seen["rights"]:
        if right["kind"] != kind:
            kind = right["kind"]
            say(f"{kind}: {seen['counts'][kind]}")
        yours = "  (you)" if right["person"] in seen["own"] else ""
        say(f"  {visible(right['name']):<30} {visible(right['what'])}{yours}".rstrip())
    for right in seen["taken"]:
        say(
            f"taken away since the last review: {right['kind']} {visible(right['name'])} {visible(right['what'])}".rstrip()
        )
    last = seen["last"]
    say(
        f"Last reviewed by {visible(last['by'])}: entry {last['entry']}."
        if last
        else "Never reviewed before."
    )
    if seen["own"]:
        say("What you may do yourself counts as reviewed only when another administrator looks.")
    say(f"When you have looked through it: keyturn person review --record {seen['digest']}")


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} of {kind}" for kind, count in counts.items())


@person.command("token")
@home_option
@as_option
@json_option
def token(home_path: str | None, person: str | None, as_json: bool) -> None:
    """Replace your own token, in the file it was read from. The old one is void at once."""
    client = connect(home_path, person)
    me = client.get("/v1/me")["id"]
    made = client.post(f"/v1/people/{me}/token")["token"]
    file = client.source
    assert file is not None
    try:
        _replace(file, made)
    except OSError as error:
        # The old token is void already: now or never.
        say(f"{file}: {error.strerror}. Keep this token yourself; it is not shown again:", err=True)
        say_json({"id": me, "token": made}) if as_json else say(made)
        return
    words = f"The token of {me} in {file} is a new one; the old one is void."
    say_json({"id": me, "token_file": str(file)}) if as_json else say(words)


def _replace(file: Path, token: str) -> None:
    """Put *token* in place of the old one, in one step, readable by its owner alone."""
    real = file.resolve()
    new = real.with_name(f".{real.name}.new")
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            opened.write(token + "\n")
            opened.flush()
            os.fsync(opened.fileno())
        new.replace(real)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
