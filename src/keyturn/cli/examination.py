"""What `keyturn doctor` looks at. Every look works without a server, and one that fails does not hide the others."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from keyturn.cli.client import TOKEN_FILE, URL, Client, NoToken, Unreachable, check_socket_paths, connect
from keyturn.cli.terminal import plural
from keyturn.errors import KeyturnError
from keyturn.home import VARIABLE, Home

if TYPE_CHECKING:
    from keyturn.gates.hooks.wiring import Scope

SCOPES: tuple[Scope, ...] = ("user", "project", "managed")
MIN_FREE_BYTES = 200 * 1024 * 1024
_OTHER_VARIABLES = frozenset(
    (VARIABLE, TOKEN_FILE, URL, "KEYTURN_DEBUG", "KEYTURN_SESSION", "KEYTURN_HOOK_ROOT", "KEYTURN_DEMO_KEEP")
)


class Finding(Struct, frozen=True):
    """One thing looked at: `ok`, `warn` or `bad`, what was found, how to mend it."""

    state: Literal["ok", "warn", "bad"]
    what: str
    mend: str = ""


Look = Callable[[Home], Iterator[Finding]]


def examine(home: Home) -> Iterator[Finding]:
    """Everything that can be seen from outside the server."""
    if not home.root.is_dir():
        yield Finding("bad", f"There is no home at {home.root}.", "Run `keyturn init`.")
        return
    if not os.access(home.root, os.X_OK | os.R_OK):
        step = "Run it as the account that the home belongs to."
        yield Finding("bad", f"{home.root} is closed to your account.", step)
        return
    if not home.exists:
        yield Finding(
            "bad",
            f"{home.root} is not a home: it has no {home.log_key.relative_to(home.root)}.",
            "Run `keyturn init`, or restore the keys from a copy.",
        )
        return
    for look in (
        _settings,
        _access,
        _room,
        _tokens,
        _parser,
        _policy,
        _ledger,
        _segments,
        _controls,
        _people,
        _channels,
        _conditions,
        _breakglass,
        _credentials,
        _server,
        _test_run,
        _hooks,
    ):
        yield from _guarded(look, home)


def _guarded(look: Look, home: Home) -> Iterator[Finding]:
    try:
        yield from look(home)
    except KeyturnError as error:
        yield Finding("bad", error.happened, error.do_next)
    except OSError as error:
        yield Finding(
            "bad", f"{error.filename or home.root}: {error.strerror}.", "Check its owner, mode and disk."
        )


# --- the home -----------------------------------------------------------------------------------------------------


def _settings(home: Home) -> Iterator[Finding]:
    import difflib

    from keyturn.service.settings import ENVIRONMENT_PREFIX, Settings, load

    known = {ENVIRONMENT_PREFIX + name.upper() for name in Settings.__struct_fields__} | _OTHER_VARIABLES
    for name in sorted(os.environ):
        if name.startswith(ENVIRONMENT_PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"Did you mean {near[0]}?" if near else "`keyturn config` lists the settings."
            yield Finding("warn", f"{name} is set, but is no setting of this version.", hint)
    settings = load(home.root)
    if not (settings.listen.startswith("127.") or settings.listen in ("localhost", "::1")):
        yield Finding(
            "warn",
            f"The page listens at {settings.listen}, in the clear.",
            "Leave `listen` on loopback and put a reverse proxy with TLS in front.",
        )
    check_socket_paths(home)


def _access(home: Home) -> Iterator[Finding]:
    loose = [p for p in (home.root, *_files(home.keys), *_files(home.tokens)) if _others_may(p)]
    if loose:
        yield Finding(
            "bad",
            f"Others than the owner can read {', '.join(map(str, loose))}.",
            f"chmod -R go= {home.root}; if somebody may have read a token, replace it with `keyturn person token`.",
        )
    else:
        yield Finding("ok", f"The home {home.root} is its owner's alone.")
    lost = [p for p in (home.permit_key, home.keys / "origin") if not p.exists()]
    if lost:
        yield Finding(
            "bad", f"{', '.join(map(str, lost))} is missing.", "Restore it from a copy of the home's keys."
        )
    foreign = [
        p for p in (home.root, home.keys, home.ledger) if p.exists() and p.stat().st_uid != os.getuid()
    ]
    if foreign:
        words = f"{', '.join(map(str, foreign))} belongs to another account than the one that runs this."
        yield Finding("warn", words, "Run Keyturn under one account, or chown the home to it.")
    unwritable = [p for p in (home.root, home.run) if p.is_dir() and not os.access(p, os.W_OK)]
    if unwritable:
        words = f"{', '.join(map(str, unwritable))} can't be written, so nothing can be recorded."
        yield Finding("bad", words, "Correct its owner, mode or mount.")


def _files(folder: Path) -> list[Path]:
    return [folder, *sorted(folder.iterdir())] if folder.is_dir() else []


def _others_may(path: Path) -> bool:
    return path.exists() and bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def _room(home: Home) -> Iterator[Finding]:
    free = shutil.disk_usage(home.root).free
    if free < MIN_FREE_BYTES:
        words = f"{free // 2**20} MiB are free; without room nothing is recorded and nothing runs."
        yield Finding("bad", words, "Free space on that disk.")


def _tokens(home: Home) -> Iterator[Finding]:
    names = [p.name for p in _files(home.tokens)[1:]]
    if len(names) > 1:
        yield Finding(
            "warn",
            f"Tokens of several people lie in this home ({', '.join(names)}): an agent with your account could be all of them.",
            "Give each person their own token and delete the others here.",
        )
    named = os.environ.get(TOKEN_FILE)
    if named and _others_may(Path(named)):
        yield Finding(
            "bad",
            f"Others than the owner can read {named}.",
            f"chmod go= {named}; then `keyturn person token`.",
        )


# --- what decides -------------------------------------------------------------------------------------------------


def _parser(home: Home) -> Iterator[Finding]:
    from keyturn import readers
    from keyturn.actions import Shell
    from keyturn.resources import Surroundings

    reading = readers.read(Shell("echo ok"), Surroundings(cwd="/srv", workspace="/srv"))
    if reading.complete:
        yield Finding("ok", "The shell parser works.")
        return
    why = reading.unread[0].why if reading.unread else "it gave no answer"
    words = f"The shell parser does not work, so every command is held: {why}."
    yield Finding("bad", words, "Reinstall Keyturn; it brings shfmt with it.")


def _policy(home: Home) -> Iterator[Finding]:
    from keyturn import policy as policies
    from keyturn.evidence import catalogue

    try:
        loaded = policies.load(home.policy)
        catalogue.check(loaded.files)
    except KeyturnError as error:
        words = f"The policy folder {home.policy} is not valid; the version in force has not changed."
        yield Finding("bad", f"{words} {error.happened}", error.do_next)
        return
    report = policies.run_tests(loaded)
    if report.green:
        yield Finding("ok", f"The policy folder is valid and its {report.total} cases are right.")
    else:
        words = f"{len(report.failures)} of the policy folder's {report.total} cases are wrong."
        yield Finding("bad", words, "Run `keyturn policy test`.")
    digest, mode = _in_force(home)
    if digest and digest != loaded.digest:
        words = "The policy folder is not the version in force."
        yield Finding(
            "warn", words, "Publish it with `keyturn policy publish`, or leave it until it is ready."
        )
    if mode == "observe":
        words = "The policy in force observes: what would be held runs, and is recorded."
        yield Finding("warn", words, 'Set mode = "enforce" in policy.toml and publish it.')


def _in_force(home: Home) -> tuple[str, str]:
    """Digest and mode of the active policy, from the store; empty when that can't be read (then `_ledger` says why)."""
    from keyturn.cli.ledger import reading

    try:
        with reading(home) as store:
            digest = str((store.row("policy-active", "active") or {}).get("digest", ""))
            return digest, str((store.row("policy", digest) or {}).get("mode", ""))
    except (KeyturnError, ValueError):
        return "", ""


def _ledger(home: Home) -> Iterator[Finding]:
    from keyturn.cli.ledger import verified

    try:
        verdict = verified(home)
    except KeyturnError as error:
        yield Finding("bad", f"The ledger can't be verified: {error.happened}", error.do_next)
        return
    if verdict.intact:
        yield Finding("ok", f"The ledger verifies: {plural(verdict.entries, 'entry', 'entries')}.")
        return
    places = f" ({plural(verdict.damaged, 'place')})" if verdict.damaged > 1 else ""
    words = f"The ledger is damaged{places}: {verdict.problems[0].words}"
    step = "Keep a copy as it is; `keyturn ledger verify` names every place; docs/how-to/damaged-ledger.md."
    yield Finding("bad", words, step)


def _segments(home: Home) -> Iterator[Finding]:
    """Whether what questions over the past are answered from is far behind the log: a server seals it by itself."""
    import time

    from keyturn.cli.ledger import reading
    from keyturn.ledger import checkpoint
    from keyturn.service.sealing import overdue, sealed

    end = sealed(home.segments)
    try:
        with reading(home) as store:
            head = store.head()
            size = checkpoint.read_unverified(head).size if head else 0
            late = overdue(
                lambda n: next(iter(store.entries(n, n + 1))).time, end, size, int(time.time() * 1000)
            )
    except (KeyturnError, StopIteration):
        return  # named by the look at the ledger
    if end > size:
        words = f"The segments go up to entry {end:,}, the ledger only to {size:,}: they are of another time."
        yield Finding("warn", words, "`keyturn drift segments` makes them again, from the ledger alone.")
    elif late:
        words = f"Segments are behind: they go up to entry {end:,} of {size:,}, so questions over the past take longer."
        step = "`keyturn drift segments` seals them now; a running server does it by itself, and its log says why it did not."
        yield Finding("warn", words, step)
    elif end:
        yield Finding("ok", f"Segments are sealed up to entry {end:,} of {size:,}.")


def _controls(home: Home) -> Iterator[Finding]:
    """Whether the controls are tested as often as they should be: where they are not, the evidence has a gap."""
    import time

    from keyturn.cli.ledger import reading
    from keyturn.service.control_views import LATE
    from keyturn.service.settings import load

    every = load(home.root).evidence.every
    try:
        with reading(home) as store:
            run, first = store.row("control-run", "latest"), next(iter(store.entries(0, 1)), None)
    except KeyturnError:
        return  # named by the look at the ledger
    step = "A running server tests by itself, and its log says why it did not; `keyturn evidence test` tests now, and says what is wrong."
    if not every:
        words = (
            "Controls are tested only when somebody asks: `[evidence] every` is 0, so the evidence has gaps."
        )
        yield Finding("warn", words, "Set `every = 3600` under [evidence] in keyturn.toml.")
    since = run["time"] if run else first.time if first else None
    seconds = 0 if since is None else int(time.time()) - since // 1000
    if every and seconds > LATE * every:
        gone = _long(seconds)
        words = (
            f"The controls were last tested {gone} ago"
            if run
            else f"The controls were never tested in {gone}"
        )
        yield Finding("warn", f"{words}, and should be every {_long(every)}: the evidence has a gap.", step)
    elif run:
        yield Finding("ok", f"The controls were tested {_long(seconds)} ago.")
    for problem in (run or {}).get("problems", ())[:5]:
        yield Finding(
            "warn",
            f"The last run of the control tests says: {problem}",
            "`keyturn evidence controls` shows what came of it.",
        )


def _long(seconds: int) -> str:
    """`40 seconds`, `3 hours`, `2 days`: roughly."""
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= 2 * size:
            return plural(seconds // size, unit)
    return plural(max(0, seconds), "second")


def _test_run(home: Home) -> Iterator[Finding]:
    """What the server says of its last run of the control tests, where that came to nothing."""
    try:
        run = connect(str(home.root), None).get("/v1/controls")["run"]
    except KeyturnError:
        return  # no server, or nobody that it answers: named by the look at it
    if run["trouble"]:
        yield Finding(
            "warn",
            f"The last run of the control tests came to nothing: {run['trouble']}",
            _mend(run["trouble"]),
        )


def _mend(trouble: str) -> str:
    if "exit code -9" in trouble:
        return "Something killed it, most often for want of memory: see the machine's log; `keyturn evidence test` tries it."
    if "took longer" in trouble:
        return (
            "Raise `limit` under [evidence] in keyturn.toml; `keyturn evidence test` shows how long it takes."
        )
    return (
        "`keyturn evidence test` on this machine says what is wrong; the server tries again in an interval."
    )


def _people(home: Home) -> Iterator[Finding]:
    from keyturn.cli.ledger import reading

    try:
        with reading(home) as store:
            rows = store.rows("person", limit=100_000)
    except KeyturnError:
        return  # named by the look at the ledger
    deciding = [row for row in rows if not row.get("removed") and row.get("groups")]
    if len(deciding) < 2:
        yield Finding(
            "warn",
            "Fewer than two people are in a group. Nobody approves what their own agent asks, so what is held can only expire.",
            "keyturn person add NAME --group reviewers --group policy",
        )


def _channels(home: Home) -> Iterator[Finding]:
    from keyturn.cli.channel import examined
    from keyturn.service.settings import load

    told = False
    for one in examined(home):
        state: Literal["ok", "warn", "bad"] = "warn" if one.state == "warning" else one.state
        yield Finding(state, f"Channel {one.name}: {one.words}", one.mend)
        told = True
    if told and not load(home.root).public_url:
        words = "Messages lead to the address that the server listens at, which other machines can't open."
        yield Finding("warn", words, 'Set public_url = "https://…" in keyturn.toml.')


def _conditions(home: Home) -> Iterator[Finding]:
    """What the policy in force asks that nobody could meet, by the store: without a server, too."""
    import time

    from keyturn.cli.ledger import reading
    from keyturn.policy import Policy
    from keyturn.service.conditions.health import unmet
    from keyturn.service.conditions.sources import CredentialsInvalid, Sources
    from keyturn.service.roster import roster_in

    try:
        with reading(home) as store:
            digest = str((store.row("policy-active", "active") or {}).get("digest", ""))
            files = (store.row("policy", digest) or {}).get("files", {})
            if not isinstance(files, dict) or files.keys() == {"blob", "size"}:
                files = json.loads(store.blob(files["blob"]) or b"{}")
            policy = Policy.parse({path: store.blob(blob) or b"" for path, blob in files.items()})
            roster = roster_in(store)
    except (KeyturnError, ValueError):
        return  # named by the look at the ledger
    try:
        credentials: list[str] | None = list(Sources(home.root).credentials())
    except CredentialsInvalid as error:
        credentials = None
        yield Finding("bad", error.happened, error.do_next)
    for one in unmet(policy, roster, credentials, int(time.time() * 1000)):
        yield Finding(one.state, one.what, one.mend)


def _breakglass(home: Home) -> Iterator[Finding]:
    """Uses of break-glass that nobody reviewed: a failing control until somebody else did."""
    import time

    from keyturn.cli.ledger import reading

    try:
        with reading(home) as store:
            found = [
                row
                for state in ("overdue", "unreviewed")
                for row in store.rows("breakglass", state=state, newest_first=False, limit=100)
            ]
    except KeyturnError:
        return  # named by the look at the ledger
    for row in found[:5]:
        late = row["review_by"] <= time.time() * 1000
        words = f"{row['person']} broke the glass for {row['request']}, and nobody reviewed it{' in time' if late else ' yet'}."
        yield Finding(
            "bad" if late else "warn", words, f"Somebody of {row['reviewers']}: `keyturn breakglass list`."
        )
    if len(found) > 5:
        yield Finding(
            "warn",
            f"{plural(len(found) - 5, 'more use', 'more uses')} of break-glass to review.",
            "`keyturn breakglass list`.",
        )


def _credentials(home: Home) -> Iterator[Finding]:
    """Findings that nobody has dealt with, and gates' tokens of earlier versions, which have no end."""
    from keyturn.cli.ledger import reading

    try:
        with reading(home) as store:
            found = store.rows("finding", state="open", limit=1000)
            old = [row["name"] for row in store.rows("gate", limit=1000) if row.get("token")]
    except KeyturnError:
        return  # named by the look at the ledger
    for one in found[:5]:
        yield Finding(
            "warn", one["words"], "`keyturn findings`; docs/how-to/credentials.md says what each means."
        )
    if len(found) > 5:
        yield Finding("warn", f"{plural(len(found) - 5, 'more finding')}.", "`keyturn findings` lists them.")
    if old:
        words = f"The token of {', '.join(old)} is of an earlier version and has no end."
        yield Finding("warn", words, "keyturn gate add NAME gives it one that has; the old one is then void.")


# --- what runs ----------------------------------------------------------------------------------------------------


def _server(home: Home) -> Iterator[Finding]:
    from keyturn import __version__

    about = _announced(home)
    try:
        ready = Client(home, "").text("/readyz").strip()
    except Unreachable:
        words = "No server runs, so every gate refuses everything."
        if about:
            words = f"The server (process {about.get('pid')}) ended without saying so; every gate refuses everything."
        yield Finding("warn", words, "Run `keyturn serve`.")
        yield from _port(home)
        return
    except KeyturnError as error:
        yield Finding(
            "bad", f"The server can't record: {error.happened}", "Look at its log, and free disk space."
        )
        return
    where = f"process {about.get('pid', 'unknown')}, page at {about.get('url', 'an unknown address')}"
    yield Finding("ok", f"The server answers: {ready} ({where}).")
    if about.get("version") not in (None, __version__):
        words = f"The server is version {about['version']}, this command line {__version__}."
        yield Finding("warn", words, "Restart the server.")
    yield from _me(home)


def _port(home: Home) -> Iterator[Finding]:
    """Whether another program, perhaps another home's server, has the port that this one's would take."""
    import socket

    from keyturn.service.settings import load

    settings = load(home.root)
    family = socket.AF_INET6 if ":" in settings.listen else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.listen, settings.port))
        except OSError as error:
            words = f"{settings.listen}:{settings.port} can't be listened on: {error.strerror}."
            yield Finding("bad", words, "Set another `port` in keyturn.toml, or `keyturn serve --port 0`.")


def _announced(home: Home) -> dict[str, Any]:
    try:
        about = json.loads(home.server.read_bytes())
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


def _me(home: Home) -> Iterator[Finding]:
    try:
        me = connect(str(home.root), None).get("/v1/me")
    except NoToken as error:
        yield Finding("warn", f"The command line does not know who you are: {error.happened}", error.do_next)
    except KeyturnError as error:
        yield Finding("warn", error.happened, error.do_next)
    else:
        yield Finding("ok", f"You are {me['id']}.")


def _hooks(home: Home) -> Iterator[Finding]:
    from keyturn.gates.hooks import install
    from keyturn.gates.hooks.dialects import DIALECTS

    place = install.Place(
        str(Path.home()), str(Path.cwd()), str(home.root), os.environ.get("KEYTURN_HOOK_ROOT", "")
    )
    wired = 0
    for client in DIALECTS:
        for scope in SCOPES:
            state = install.status(client, scope, place)
            if not state.installed:
                continue
            wired += 1
            if state.changed:
                words = f"{client} ({scope}): changed since it was wired: {', '.join(state.changed)}."
                again = {"user": "", "project": " --project", "managed": " --managed"}[scope]
                yield Finding("bad", words, f"keyturn hook install {client}{again}")
            else:
                yield Finding("ok", f"{client} ({scope}): wired, assurance {state.assurance}.")
            for left in state.left:
                yield Finding("warn", f"{client} ({scope}): one step is left.", left)
    if not wired:
        yield Finding(
            "warn",
            "No client is wired here, so no agent asks.",
            "keyturn hook install CLIENT, or keyturn run -- COMMAND",
        )
