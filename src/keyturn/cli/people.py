"""`keyturn login`, `person`, `gate`."""

from __future__ import annotations

import json
from typing import Any

import click

from keyturn.cli import as_json as to_json
from keyturn.cli.client import Unreachable, as_option, connect, home_of, home_option, json_option


@click.command()
@home_option
@as_option
@json_option
def login(home_path: str | None, person: str | None, as_json: bool) -> None:
    """Make a one-time link to the page, valid for a few minutes."""
    code = connect(home_path, person).post("/v1/login")["code"]
    try:
        about = json.loads(home_of(home_path).server.read_bytes())
    except (OSError, ValueError) as error:
        raise Unreachable("The server did not say where its page is.") from error
    url = f"{about['url']}/login?code={code}"
    click.echo(to_json({"url": url}) if as_json else url)


@click.group()
def person() -> None:
    """People: list, add, change, remove, token."""


@person.command("list")
@home_option
@as_option
@json_option
def list_people(home_path: str | None, person: str | None, as_json: bool) -> None:
    """Everybody, with groups and roles."""
    everybody = connect(home_path, person).get("/v1/people")
    if as_json:
        click.echo(to_json(everybody))
        return
    for one in everybody:
        gone = "  (removed)" if one["removed"] else ""
        click.echo(
            f"{one['id']:<20} groups: {', '.join(one['groups']) or '-'}  roles: {', '.join(one['roles'])}{gone}"
        )


@person.command("add")
@click.argument("person_id")
@click.option("--name", default="", help="As shown.")
@click.option("--group", "groups", multiple=True, help="A group whose stages they count for (repeat).")
@click.option("--role", "roles", multiple=True, type=click.Choice(["member", "author", "auditor", "admin"]))
@click.option(
    "--os-uid", "os_uids", multiple=True, type=int, help="Operating-system account that is theirs (repeat)."
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
    }
    made = connect(home_path, person).post("/v1/people", body)
    if as_json:
        click.echo(to_json(made))
        return
    click.echo(f"Enrolled {person_id}. Give them this token over a safe channel; it is not shown again:")
    click.echo(made["token"])


@person.command("change")
@click.argument("person_id")
@click.option("--name")
@click.option("--group", "groups", multiple=True, help="The groups they are in from now on (repeat).")
@click.option("--role", "roles", multiple=True, type=click.Choice(["member", "author", "auditor", "admin"]))
@click.option("--os-uid", "os_uids", multiple=True, type=int)
@home_option
@as_option
@json_option
def change(
    person_id: str,
    name: str | None,
    groups: tuple[str, ...],
    roles: tuple[str, ...],
    os_uids: tuple[int, ...],
    home_path: str | None,
    person: str | None,
    as_json: bool,
) -> None:
    """Change a person's name, groups, roles or accounts. Nobody changes their own."""
    body: dict[str, Any] = {"name": name, "groups": groups, "roles": roles, "os_uids": os_uids}
    body = {key: value for key, value in body.items() if value}
    after = connect(home_path, person).patch(f"/v1/people/{person_id}", body)
    click.echo(to_json(after) if as_json else f"{after['id']}: groups {', '.join(after['groups']) or '-'}.")


@person.command("remove")
@click.argument("person_id")
@home_option
@as_option
@json_option
def remove(person_id: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """From now on that person decides nothing and their token opens nothing."""
    after = connect(home_path, person).post(f"/v1/people/{person_id}/remove")
    click.echo(to_json(after) if as_json else f"Removed {after['id']}.")


@person.command("token")
@home_option
@as_option
@json_option
def token(home_path: str | None, person: str | None, as_json: bool) -> None:
    """Replace your own token; the old one is void at once."""
    client = connect(home_path, person)
    me = client.get("/v1/me")["id"]
    made = client.post(f"/v1/people/{me}/token")
    file = home_of(home_path).tokens / me
    if file.exists():
        file.write_text(made["token"] + "\n", encoding="utf-8")
    click.echo(to_json(made) if as_json else made["token"])


@click.group()
def gate() -> None:
    """Gates on other machines: list, add, remove."""


@gate.command("list")
@home_option
@as_option
@json_option
def list_gates(home_path: str | None, person: str | None, as_json: bool) -> None:
    """All gates, with their assurance level and last probe."""
    gates = connect(home_path, person).get("/v1/gates")
    if as_json:
        click.echo(to_json(gates))
        return
    for one in gates:
        probe = one.get("probe")
        shown = (
            "not probed"
            if probe is None
            else "stopped the probe"
            if probe["stopped"]
            else "DID NOT STOP THE PROBE"
        )
        click.echo(f"{one['name']:<30} {one['assurance']:<12} {shown}")


@gate.command("add")
@click.argument("name")
@click.option("--assurance", type=click.Choice(["advisory", "cooperative"]), default="advisory")
@home_option
@as_option
@json_option
def add_gate(name: str, assurance: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """Give a gate on another machine its token, printed once."""
    made = connect(home_path, person).post("/v1/gates", {"name": name, "assurance": assurance})
    click.echo(to_json(made) if as_json else made["token"])


@gate.command("remove")
@click.argument("name")
@home_option
@as_option
@json_option
def remove_gate(name: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """Revoke a gate's token."""
    after = connect(home_path, person).post(f"/v1/gates/{name}/remove")
    click.echo(to_json(after) if as_json else f"Removed {after['gate']}.")
