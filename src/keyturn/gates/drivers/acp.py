"""The Agent Client Protocol, version 1, as its client: Keyturn drives the agent and answers `session/request_permission`.

Rules kept here (protocol: agentclientprotocol.com, §Tool Calls, §Prompt Turn; run with Gemini CLI 0.61, opencode 1.18,
Copilot CLI 1.0.102):

- The only option ever selected is one of kind `allow_once`; a question without one is rejected.
- A session mode or option that grants by itself (`yolo`, `autoEdit`, `autopilot`, `allow_all`) is left before the
  prompt is sent, or the run ends; one that appears later ends it at once.
- What was announced about a call and what is asked about it must agree, else it is rejected.
- Keyturn offers the agent no file system and no terminal of its own; every other request is an error in words.
- A rejection has no room for words, so they follow as the next prompt when the turn ends (`MAX_FOLLOW_UPS` times).
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from keyturn.gates.drivers import rpc
from keyturn.gates.drivers.acp_contents import proposals_of
from keyturn.gates.drivers.acp_options import model_of, modes_of, option, rejection, safe, self_granting
from keyturn.gates.drivers.model import (
    Ask,
    Ended,
    Event,
    Finished,
    Observed,
    Opened,
    Said,
    Verdict,
    clip,
)
from keyturn.gates.hooks.payload import HookMalformed

VERSION = 1
MAX_FOLLOW_UPS = 5


class _Call(Struct):
    """What is known about one tool call. `announced` is its first title: some agents' name for the tool."""

    announced: str = ""
    title: str = ""
    kind: str = ""
    status: str = ""
    raw: dict[str, Any] = {}
    content: list[Any] = []
    locations: list[Any] = []
    asked: bool = False
    seen: bool = False


class Acp:
    """One agent session with one prompt. `client` names the dialect: `gemini`, `copilot`, `opencode`."""

    def __init__(self, client: str, cwd: str, prompt: str) -> None:
        self._client = client
        self._cwd = cwd
        self._prompt = prompt
        self._calls = rpc.Calls()
        self._session = ""
        self._ready = False
        self._ended = False
        self._tools: dict[str, _Call] = {}
        self._open: dict[
            str, tuple[Any, str]
        ] = {}  # ask key → (the agent's request id, the option that allows)
        self._unclear: dict[
            str, dict[str, Any]
        ] = {}  # call id → request whose arguments were not announced yet
        self._reasoning: list[str] = []
        self._acted = False
        self._words: list[str] = []
        self._follow_ups = 0
        self._version = ""

    def start(self) -> list[Event]:
        """Say hello, offering nothing."""
        none = {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False}
        hello = {
            "protocolVersion": VERSION,
            "clientCapabilities": none,
            "clientInfo": {"name": "keyturn", "version": "1"},
        }
        return [self._calls.request("initialize", hello)]

    def receive(self, message: Any) -> list[Event]:
        """One message of the agent."""
        if self._ended or not isinstance(message, dict):
            return []
        if rpc.is_request(message):
            return self._request(message)
        method = self._calls.answered(message)
        if method is not None:
            return self._answered(method, message)
        if message.get("method") == "session/update":
            return self._update(message.get("params"))
        return []

    # --- our requests and their answers ---------------------------------------------------------

    def _answered(self, method: str, message: dict[str, Any]) -> list[Event]:
        result = message.get("result")
        if not isinstance(result, dict):
            if method == "session/set_mode" and "error" not in message:
                result = {}
            else:
                why = rpc.words_of(message.get("error"))
                return self._end(False, f"The agent refused {method}: {why}.")
        if method == "initialize":
            return self._initialized(result)
        if method == "session/new":
            return self._opened(result)
        if method == "session/set_mode":
            return self._send_prompt()
        if method == "session/prompt":
            return self._turn_ended(result)
        return []

    def _initialized(self, result: dict[str, Any]) -> list[Event]:
        if result.get("protocolVersion") != VERSION:
            return self._end(False, f"The agent speaks ACP {result.get('protocolVersion')!r}, not {VERSION}.")
        info = result.get("agentInfo")
        if isinstance(info, dict) and isinstance(info.get("version"), str):
            self._version = info["version"]
        return [self._calls.request("session/new", {"cwd": self._cwd, "mcpServers": []})]

    def _opened(self, result: dict[str, Any]) -> list[Event]:
        session = result.get("sessionId")
        if not isinstance(session, str) or not session:
            return self._end(False, "The agent opened a session without an id.")
        self._session = session
        if why := self_granting(result.get("configOptions")):
            return self._end(False, why)
        opened: list[Event] = [Opened(session, self._version, model_of(result))]
        mode, others = modes_of(result.get("modes"))
        if mode is None or safe(mode):
            return [*opened, *self._send_prompt()]
        calmer = next((other for other in others if safe(other)), None)
        if calmer is None:
            return [*opened, *self._end(False, f"The agent's mode {mode!r} acts without asking.")]
        return [*opened, self._calls.request("session/set_mode", {"sessionId": session, "modeId": calmer})]

    def _send_prompt(self) -> list[Event]:
        self._ready = True
        text = [{"type": "text", "text": self._prompt}]
        return [self._calls.request("session/prompt", {"sessionId": self._session, "prompt": text})]

    def _turn_ended(self, result: dict[str, Any]) -> list[Event]:
        reason = result.get("stopReason")
        refused = self._reject_all("The turn ended.")
        if reason == "end_turn" and self._words and self._follow_ups < MAX_FOLLOW_UPS:
            self._follow_ups += 1
            self._prompt = "\n".join(["Keyturn, which decides what may run here, says:", *self._words])
            self._words.clear()
            return [*refused, *self._send_prompt()]
        return [
            *refused,
            *self._end(reason == "end_turn", "" if reason == "end_turn" else f"The turn ended: {reason}."),
        ]

    # --- what the agent reports -----------------------------------------------------------------

    def _update(self, params: Any) -> list[Event]:
        update = params.get("update") if isinstance(params, dict) else None
        if not isinstance(update, dict) or params.get("sessionId") != self._session:
            return []
        kind = update.get("sessionUpdate")
        if kind in ("agent_thought_chunk", "agent_message_chunk"):
            return self._said(update, thought=kind == "agent_thought_chunk")
        if kind in ("tool_call", "tool_call_update"):
            return self._tool(update)
        if kind == "current_mode_update" and not safe(str(update.get("currentModeId"))):
            return self._unsafe(
                f"The agent changed to mode {update.get('currentModeId')!r}, which acts without asking."
            )
        if kind == "config_option_update" and (why := self_granting(update.get("configOptions"))):
            return self._unsafe(why)
        return []

    def _said(self, update: dict[str, Any], *, thought: bool) -> list[Event]:
        content = update.get("content")
        text = content.get("text") if isinstance(content, dict) else None
        if not isinstance(text, str) or not text:
            return []
        if self._acted:
            self._reasoning.clear()
            self._acted = False
        self._reasoning.append(text)
        return [Said(text, thought)]

    def _tool(self, update: dict[str, Any]) -> list[Event]:
        number = update.get("toolCallId")
        if not isinstance(number, str):
            return []
        call = self._tools.setdefault(number, _Call())
        _merge(call, update)
        self._acted = True
        events: list[Event] = []
        waiting = self._unclear.get(number)
        if waiting is not None and call.raw and call.status != "pending":
            del self._unclear[number]
            events += self._permission(waiting)
        if not call.asked and not call.seen and number not in self._unclear and self._runs(call):
            call.seen = True
            events += self._observe(number, call)
        if call.status in ("completed", "failed"):
            events.append(
                Finished(number, "done" if call.status == "completed" else "failed", output=_output(update))
            )
        return events

    def _runs(self, call: _Call) -> bool:
        """Whether it is certain that the call runs or ran. Only Gemini says `in_progress` of nothing but what it runs."""
        return call.status == "completed" or (self._client == "gemini" and call.status == "in_progress")

    def _observe(self, number: str, call: _Call) -> list[Event]:
        try:
            proposals, cwd = proposals_of(self._client, number, call, {}, self._cwd)
        except HookMalformed:
            return self._unsafe(
                f"The agent did {call.title[:80]!r} without asking, and nobody can read what it was."
            )
        return [Observed(number, proposals, cwd, self._reasons())]

    # --- what the agent asks --------------------------------------------------------------------

    def _request(self, message: dict[str, Any]) -> list[Event]:
        if message["method"] != "session/request_permission":
            words = f"keyturn offers no {str(message['method'])[:60]!r}; use the agent's own tools, which ask first."
            return [rpc.error(message["id"], rpc.METHOD_NOT_FOUND, words)]
        params = message.get("params")
        tool = params.get("toolCall") if isinstance(params, dict) else None
        number = tool.get("toolCallId") if isinstance(tool, dict) else None
        if (
            not isinstance(params, dict)
            or not isinstance(tool, dict)
            or not isinstance(number, str)
            or not number
        ):
            return [
                rpc.error(
                    message["id"],
                    rpc.INVALID_PARAMS,
                    "keyturn: the question names no tool call. Nothing ran.",
                )
            ]
        if not self._ready or params.get("sessionId") != self._session:
            return [rpc.error(message["id"], rpc.INVALID_PARAMS, "keyturn: no such session. Nothing ran.")]
        call = self._tools.setdefault(number, _Call())
        call.asked = True
        if self._client == "opencode" and not (call.raw and call.status == "in_progress"):
            if number in self._unclear:
                return self._reject(message, "keyturn: asked twice at once about one call.")
            self._unclear[number] = message
            return []
        return self._permission(message)

    def _permission(self, message: dict[str, Any]) -> list[Event]:
        params = message["params"]
        tool, number = params["toolCall"], params["toolCall"]["toolCallId"]
        allow = option(params.get("options"), "allow_once")
        if allow is None:
            return self._reject(message, "keyturn: the question has no option to allow it once.")
        try:
            proposals, cwd = proposals_of(self._client, number, self._tools[number], tool, self._cwd)
        except HookMalformed as error:
            return self._reject(message, f"keyturn: refused. {error.happened} Nothing ran.")
        key = f"{number}:{message['id']}"
        if key in self._open:
            return self._reject(message, "keyturn: the same question twice at once.")
        self._acted = True
        self._open[key] = (message["id"], allow)
        return [Ask(key, number, proposals, cwd, self._reasons())]

    def answer(self, key: str, verdict: Verdict) -> list[Event]:
        """Allow once, or reject and keep the words for the agent."""
        asked = self._open.pop(key, None)
        if asked is None or self._ended:
            return []
        number, allow = asked
        if verdict.allow:
            return [rpc.result(number, {"outcome": {"outcome": "selected", "optionId": allow}})]
        self._words.append(verdict.words)
        return [rpc.result(number, rejection(None))]

    def unclear(self) -> list[Event]:
        """Reject the questions whose arguments never came."""
        events: list[Event] = []
        for message in [*self._unclear.values()]:
            events += self._reject(
                message, "keyturn: refused, because the agent did not say what the call would do."
            )
        self._unclear.clear()
        return events

    @property
    def waiting_for_arguments(self) -> bool:
        """Whether `unclear` would have something to refuse."""
        return bool(self._unclear)

    def interrupt(self) -> list[Event]:
        """`session/cancel`; everything open is rejected."""
        refused = self._reject_all("The run was stopped.")
        if self._session and not self._ended:
            refused.append(rpc.notification("session/cancel", {"sessionId": self._session}))
        return refused

    def _reject(self, message: dict[str, Any], words: str) -> list[Event]:
        self._words.append(words)
        params = message.get("params")
        options = params.get("options") if isinstance(params, dict) else None
        return [rpc.result(message["id"], rejection(options))]

    def _reject_all(self, words: str) -> list[Event]:
        events: list[Event] = [rpc.result(number, rejection(None)) for number, _ in self._open.values()]
        events += [rpc.result(message["id"], rejection(None)) for message in self._unclear.values()]
        self._open.clear()
        self._unclear.clear()
        return events

    def _unsafe(self, why: str) -> list[Event]:
        return [*self.interrupt(), *self._end(False, why)]

    def _end(self, ok: bool, why: str) -> list[Event]:
        self._ended = True
        return [Ended(ok, why)]

    def _reasons(self) -> str:
        return clip("".join(self._reasoning).strip())


def _merge(call: _Call, update: dict[str, Any]) -> None:
    title, kind, status, raw = (update.get(name) for name in ("title", "kind", "status", "rawInput"))
    if isinstance(title, str):
        call.announced = call.announced or title
        call.title = title
    if isinstance(kind, str):
        call.kind = kind
    if isinstance(status, str):
        call.status = status
    if isinstance(raw, dict):
        call.raw = {**call.raw, **raw}
    for name in ("content", "locations"):
        value = update.get(name)
        if isinstance(value, list) and call.status not in ("completed", "failed"):
            setattr(call, name, value)


def _output(update: dict[str, Any]) -> str | None:
    parts = update.get("content")
    texts = [
        part["content"]["text"]
        for part in (parts if isinstance(parts, list) else ())
        if isinstance(part, dict)
        and isinstance(part.get("content"), dict)
        and isinstance(part["content"].get("text"), str)
    ]
    return "".join(texts) if texts else None
