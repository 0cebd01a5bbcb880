"""Settings of a home (`keyturn.toml`). Every one is listed in docs/reference/settings.md; a test compares."""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from keyturn.errors import ExitCode, KeyturnError
from keyturn.home import Home


class SettingsInvalid(KeyturnError):
    """keyturn.toml or a KEYTURN_ variable has a value or a name that is not known."""

    code = "settings.invalid"
    status = 500
    exit_code = ExitCode.USAGE
    not_done = "Keyturn did not start."
    next_step = "Correct the named line; docs/reference/settings.md lists every setting."


class Settings(Struct, frozen=True, forbid_unknown_fields=True, rename=None):
    """What an operator may set. Times are seconds, sizes bytes."""

    store: str = ""
    """Where the ledger lies: empty for `ledger.db` in the home, or a `postgresql://` URL."""
    listen: str = "127.0.0.1"
    """Address of the page and API. Anything but loopback needs TLS in front."""
    port: Annotated[int, Meta(ge=0, le=65535)] = 8765
    """TCP port of the page and API; 0 takes a free one."""
    hosts: tuple[str, ...] = ()
    """Further host names under which the page may be opened (DNS rebinding is refused for others)."""
    max_body: Annotated[int, Meta(ge=1024)] = 2_097_152
    """Largest request body."""
    permit_seconds: Annotated[int, Meta(ge=1)] = 60
    """How long a permit may wait to be used."""
    claim_seconds: Annotated[int, Meta(ge=1)] = 3600
    """How long an approved request may wait for its gate to claim the permit."""
    login_seconds: Annotated[int, Meta(ge=60)] = 43_200
    """How long a web session lasts."""
    person: str = ""
    """The person whose token the command line uses when none is named."""


def store_url(home: Home, settings: Settings | None = None) -> str:
    """Where *home*'s ledger lies: the setting `store`, else a file in the home."""
    return (settings or load(home.root)).store or str(home.ledger)


ENVIRONMENT_PREFIX = "KEYTURN_"


def load(home: Path, environ: dict[str, str] | None = None) -> Settings:
    """Settings of *home*: `KEYTURN_<NAME>` > `<home>/keyturn.toml` > defaults. Raises `SettingsInvalid`."""
    values: dict[str, Any] = {}
    file = home / "keyturn.toml"
    if file.exists():
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsInvalid(f"{file}: {error}.") from error
    known = {f.name for f in msgspec.structs.fields(Settings)}
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f" Did you mean `{near[0]}`?" if near else ""
            raise SettingsInvalid(f"{file}: `{name}` is no setting.{hint}")
    for name in known:
        given = (environ if environ is not None else os.environ).get(ENVIRONMENT_PREFIX + name.upper())
        if given is not None:
            values[name] = [h for h in given.split(",") if h] if name == "hosts" else given
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsInvalid(f"{file}: {error}.") from error
