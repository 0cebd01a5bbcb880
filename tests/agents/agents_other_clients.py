"""Recipes of Copilot CLI and opencode, and what their tests and those of `keyturn run` share."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agents_clients import RECIPES, Agent, ClientRecipe, modules
from agents_keyturn import KeyturnServer

MakeAgent = Callable[[str], Agent]

WHY = "I reason that the user wants proof.txt."
RUNS = {"reasoning": WHY, "text": "I will create it.", "shell": "echo RAN > proof.txt"}
HELD = {"reasoning": WHY, "text": "I will deploy it.", "shell": "./deploy.sh"}


def _copilot_settings(home: Path, url: str) -> dict[str, str]:
    return {"COPILOT_PROVIDER_BASE_URL": f"{url}/v1"}


def _opencode_settings(home: Path, url: str) -> dict[str, str]:
    folder = home / ".config" / "opencode"
    folder.mkdir(parents=True, exist_ok=True)
    model = {"name": "scripted", "tool_call": True, "limit": {"context": 100_000, "output": 8_000}}
    mine = {
        "autoupdate": False,
        "share": "disabled",
        "model": "scripted/scripted",
        "small_model": "scripted/scripted",
        "provider": {
            "scripted": {
                "npm": "@ai-sdk/openai-compatible",
                "name": "Scripted",
                "options": {"baseURL": f"{url}/v1", "apiKey": "test"},
                "models": {"scripted": model},
            }
        },
    }
    (folder / "opencode.json").write_text(json.dumps(mine))
    (home / ".npmrc").write_text("offline=true\nfetch-retries=0\nregistry=http://127.0.0.1:9/\n")
    return {}


RECIPES.setdefault(
    "copilot",
    ClientRecipe(
        "copilot",
        "copilot",
        lambda prompt: ["--no-auto-update", "--trust-folder", "-p", prompt],
        _copilot_settings,
        lambda path, text: {"tool": "create", "arguments": {"path": path, "file_text": text}},
        environment={
            "COPILOT_OFFLINE": "true",
            "COPILOT_PROVIDER_API_KEY": "test",
            "COPILOT_MODEL": "scripted",
            "COPILOT_AUTO_UPDATE": "false",
            "COPILOT_PROVIDER_MAX_PROMPT_TOKENS": "100000",
            "COPILOT_PROVIDER_MAX_OUTPUT_TOKENS": "8000",
        },
    ),
)
RECIPES.setdefault(
    "opencode",
    ClientRecipe(
        "opencode",
        "opencode",
        lambda prompt: ["run", prompt],
        _opencode_settings,
        lambda path, text: {"tool": "write", "arguments": {"filePath": path, "content": text}},
        reasons=False,
        environment={
            # Without these it asks registries and model lists that nobody can reach, and waits for them.
            "npm_config_offline": "true",
            "npm_config_registry": "http://127.0.0.1:9/",
            "npm_config_fetch_retries": "0",
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
            "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
        },
    ),
)


def script(*turns: dict[str, Any]) -> dict[str, Any]:
    """A scripted model that ends with words of its own."""
    return {"turns": list(turns), "final": "finished as scripted"}


def prepared(agent: Agent) -> Agent:
    """The agent with a script in its work folder that nobody has read."""
    deploy = agent.work / "deploy.sh"
    deploy.write_text("#!/bin/sh\nrm -rf released\necho RAN > proof.txt\n")
    deploy.chmod(0o755)
    return agent


def wired(keyturn: KeyturnServer, agent: Agent, *words: str) -> Agent:
    """The agent with Keyturn's hooks installed as its user would."""
    install = ["hook", "install", agent.recipe.name, "--yes", *words]
    keyturn.command(*install, environment=agent.environment, cwd=agent.work)
    return prepared(agent)


def proof(agent: Agent) -> str | None:
    """What the action wrote, if it ran."""
    path = agent.work / "proof.txt"
    return path.read_text() if path.exists() else None


class RunAgent(Agent):
    """A client started by `keyturn run` instead of by hand. `run_options` go before `--`; `prompted` gives it --prompt."""

    keyturn_home = ""
    run_options: tuple[str, ...] = ("--json",)
    prompted = True
    words: tuple[str, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """The client's, and where Keyturn's home is."""
        source = {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}
        return {**super().environment, **source, "KEYTURN_HOME": self.keyturn_home}

    def command(self, prompt: str) -> list[str]:
        """`keyturn run … -- CLIENT`."""
        start = [sys.executable, "-m", "keyturn", "run", *self.run_options]
        program = str(modules() / ".bin" / self.recipe.program)
        if self.prompted:
            return [*start, "--prompt", prompt, "--", program, *self.words]
        return [*start, "--", program, *self.recipe.arguments(prompt)]


def summary(said: str) -> dict[str, Any]:
    """The last JSON line that `keyturn run --json` printed."""
    _, start, rest = said.rpartition('{"session"')
    return json.loads(start + rest.splitlines()[0])  # type: ignore[no-any-return]
