"""The Codex app-server (JSON-RPC over lines; schema: `codex app-server generate-json-schema`; run with 0.169.0).

Rules kept here:

- The thread is started with `approvalPolicy: untrusted` and a human reviewer: everything is asked about, from version
  0.169.0 on. An older one, or a thread that came out otherwise, ends the run before the prompt is sent.
- It is started without a sandbox of Codex's own. In one, an allowed command would start inside it, fail where it writes, and
  be started again outside, unasked and only if it failed at once: twice for one permit, or half.
- The only yes ever said is `accept`, for this one call; never for the session, never a new rule, never a permission.
- What an item announced and what is asked about it must agree, else it is declined.
- A decline has no room for words, so they are put into the running turn first (`turn/steer`).
- What ran without a question (a search by the provider, typing, which `launch` switches off) is reported as `Observed`.
"""

from __future__ import annotations

import re
import shlex
from typing import Any

from keyturn.actions import FileEdit, HttpRequest, Shell, ToolCall
from keyturn.gates.drivers import rpc
from keyturn.gates.drivers.codex_thread import ASKING, otherwise, too_old, version_of
from keyturn.gates.drivers.model import Ask, Ended, Event, Finished, Observed, Opened, Said, Verdict, clip
from keyturn.gates.hooks import tools
from keyturn.gates.hooks.model import Edit, Proposal
from keyturn.gates.hooks.payload import HookMalformed, Payload, joined

NAME = "codex"
COMMAND = "item/commandExecution/requestApproval"
FILES = "item/fileChange/requestApproval"
ELICITATION = "mcpServer/elicitation/request"
PERMISSIONS = "item/permissions/requestApproval"

_ASKED_FIRST = ("commandExecution", "fileChange", "mcpToolCall")
_HARMLESS = (
    "userMessage", "agentMessage", "reasoning", "plan", "contextCompaction", "hookPrompt", "enteredReviewMode",
    "exitedReviewMode", "sleep",
)  # fmt: skip
_SHELLS = re.compile(r"(?:/(?:usr/)?bin/)?(?:ba|da)?sh\Z")


class CodexAppServer:
    """One thread with one prompt."""

    def __init__(self, cwd: str, prompt: str) -> None:
        self._cwd = cwd
        self._prompt = prompt
        self._calls = rpc.Calls()
        self._thread = ""
        self._turn = ""
        self._version = ""
        self._ended = False
        self._items: dict[str, dict[str, Any]] = {}
        self._asked: set[str] = set()
        self._open: dict[str, tuple[Any, str]] = {}  # ask key → (request id, method)
        self._reasoning: list[str] = []
        self._acted = False

    def start(self) -> list[Event]:
        """Say hello."""
        info = {"name": "keyturn", "title": "Keyturn", "version": "1"}
        return [self._calls.request("initialize", {"clientInfo": info, "capabilities": {}})]

    def receive(self, message: Any) -> list[Event]:
        """One message of the app-server."""
        if self._ended or not isinstance(message, dict):
            return []
        params = message.get("params")
        if rpc.is_request(message):
            return self._request(message, params if isinstance(params, dict) else {})
        method = self._calls.answered(message)
        if method is not None:
            return self._answered(method, message)
        if not isinstance(params, dict):
            return []
        return self._notified(message.get("method"), params)

    def _answered(self, method: str, message: dict[str, Any]) -> list[Event]:
        result = message.get("result")
        if method in ("turn/steer", "turn/interrupt"):
            return []  # words that came too late stop nothing
        if not isinstance(result, dict):
            return self._end(False, f"Codex refused {method}: {rpc.words_of(message.get('error'))}.")
        if method == "initialize":
            self._version = version_of(result.get("userAgent"))
            if why := too_old(self._version):
                return self._end(False, why)
            return [
                rpc.notification("initialized", {}),
                self._calls.request("thread/start", {"cwd": self._cwd, **ASKING}),
            ]
        if method == "thread/start":
            return self._thread_started(result)
        turn = result.get("turn")
        if method == "turn/start" and isinstance(turn, dict) and isinstance(turn.get("id"), str):
            self._turn = turn["id"]
        return []

    def _thread_started(self, result: dict[str, Any]) -> list[Event]:
        thread = result.get("thread")
        number = thread.get("id") if isinstance(thread, dict) else None
        if not isinstance(number, str) or not number:
            return self._end(False, "Codex started a thread without an id.")
        if why := otherwise(result):
            return self._end(False, why)
        self._thread = number
        text = [{"type": "text", "text": self._prompt}]
        model = result.get("model")
        return [
            Opened(number, self._version, model if isinstance(model, str) else ""),
            self._calls.request("turn/start", {"threadId": number, "input": text}),
        ]

    # --- what Codex reports ---------------------------------------------------------------------

    def _notified(self, method: Any, params: dict[str, Any]) -> list[Event]:
        item = params.get("item")
        if method == "turn/started" and isinstance(params.get("turn"), dict):
            self._turn = str(params["turn"].get("id") or self._turn)
        elif method == "item/started" and isinstance(item, dict):
            self._items[str(item.get("id"))] = item
        elif method == "item/completed" and isinstance(item, dict):
            return self._completed(item)
        elif method == "item/commandExecution/terminalInteraction":
            self._acted = True
            typed = Payload({"process": params.get("processId"), "stdin": params.get("stdin")})
            return [
                self._observed(
                    str(params.get("itemId")), tools.unknown_call(NAME, "write_stdin", typed), self._cwd
                )
            ]
        elif method == "turn/completed" and params.get("threadId") == self._thread:
            return self._turn_completed(params.get("turn"))
        return []

    def _completed(self, item: dict[str, Any]) -> list[Event]:
        kind, number = item.get("type"), str(item.get("id"))
        if kind in ("agentMessage", "reasoning"):
            return self._said(item)
        if kind in _HARMLESS:
            return []
        self._acted = True
        events: list[Event] = []
        status = item.get("status")
        if number not in self._asked and status in ("completed", None):
            events.append(self._unasked(number, item))
        if kind in _ASKED_FIRST:
            code = item.get("exitCode")
            output = item.get("aggregatedOutput")
            events.append(
                Finished(
                    number,
                    {"completed": "done", "failed": "failed", "declined": "not-run"}.get(
                        str(status), "unknown"
                    ),  # type: ignore[arg-type]
                    exit_code=code if isinstance(code, int) and not isinstance(code, bool) else None,
                    output=output if isinstance(output, str) else None,
                )
            )
        return events

    def _unasked(self, number: str, item: dict[str, Any]) -> Observed:
        try:
            proposals, cwd = self._of_item(item, {})
        except HookMalformed:
            proposals, cwd = (
                tools.unknown_call(NAME, str(item.get("type")), Payload({"id": number})),
                self._cwd,
            )
        return self._observed(number, proposals, cwd)

    def _observed(self, number: str, proposals: tuple[Proposal, ...], cwd: str) -> Observed:
        return Observed(number, proposals, cwd, self._reasons())

    def _said(self, item: dict[str, Any]) -> list[Event]:
        thought = item.get("type") == "reasoning"
        parts = (
            [*_texts(item.get("summary")), *_texts(item.get("content"))] if thought else [item.get("text")]
        )
        text = "\n".join(part for part in parts if isinstance(part, str)).strip()
        if not text:
            return []
        if self._acted:
            self._reasoning.clear()
            self._acted = False
        self._reasoning.append(text)
        return [Said(text, thought)]

    def _turn_completed(self, turn: Any) -> list[Event]:
        status = turn.get("status") if isinstance(turn, dict) else None
        error = turn.get("error") if isinstance(turn, dict) else None
        if status == "completed":
            return self._end(True, "")
        why = error.get("message") if isinstance(error, dict) else ""
        return self._end(False, f"Codex ended the turn as {status!r}. {why or ''}".strip())

    # --- what Codex asks ------------------------------------------------------------------------

    def _request(self, message: dict[str, Any], params: dict[str, Any]) -> list[Event]:
        method, number = message["method"], message["id"]
        if method == PERMISSIONS:
            return [rpc.result(number, {"permissions": {}, "scope": "turn"})]
        if method not in (COMMAND, FILES, ELICITATION):
            words = f"keyturn answers no {method[:60]!r}. Nothing ran."
            return [rpc.error(number, rpc.METHOD_NOT_FOUND, words)]
        if not self._thread:
            return [rpc.error(number, rpc.REFUSED, "keyturn: no thread was started. Nothing ran.")]
        try:
            item = self._item_of(method, params)
            proposals, cwd = self._of_item(item, params)
        except HookMalformed as error:
            return self._say_no(number, method, f"keyturn: refused. {error.happened} Nothing ran.")
        call = str(item.get("id"))
        key = f"{call}:{number}"
        if key in self._open:
            return self._say_no(number, method, "keyturn: the same question twice at once.")
        self._open[key] = (number, method)
        self._asked.add(call)
        self._acted = True
        return [Ask(key, call, proposals, cwd, self._reasons())]

    def _item_of(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        if method == ELICITATION:
            return self._mcp_item(params)
        item = self._items.get(str(params.get("itemId")))
        wanted = "fileChange" if method == FILES else "commandExecution"
        if item is None or item.get("type") != wanted:
            raise HookMalformed("Codex asks about an item that it did not announce.")
        return item

    def _mcp_item(self, params: dict[str, Any]) -> dict[str, Any]:
        """The announced MCP call that an elicitation asks about: same server, tool and arguments."""
        meta = params.get("_meta")
        if not isinstance(meta, dict) or meta.get("codex_approval_kind") != "mcp_tool_call":
            raise HookMalformed("An MCP server asks the human something; nobody is here to answer it.")
        for item in reversed(self._items.values()):
            same = (item.get("server"), item.get("tool")) == (params.get("serverName"), meta.get("tool_name"))
            if item.get("type") == "mcpToolCall" and same and item.get("id") not in self._asked:
                if item.get("arguments") != meta.get("tool_params"):
                    raise HookMalformed(
                        "Codex announced an MCP call with other arguments than it asks about."
                    )
                return item
        raise HookMalformed("Codex asks about an MCP call that it did not announce.")

    def _of_item(self, item: dict[str, Any], asked: dict[str, Any]) -> tuple[tuple[Proposal, ...], str]:
        """What an item would do and where; *asked* are the question's own words (empty when nobody asked)."""
        kind = item.get("type")
        if kind == "commandExecution":
            return self._command(item, asked)
        if kind == "fileChange":
            if asked.get("grantRoot"):
                raise HookMalformed("Codex asks for more than this change: for write access to a folder.")
            return _changes(item.get("changes"), self._cwd), self._cwd
        if kind == "mcpToolCall":
            arguments = item.get("arguments")
            given = Payload(arguments if isinstance(arguments, dict) else {"arguments": arguments})
            named = tools.Named(str(item.get("server") or ""), str(item.get("tool") or ""))
            return tools.mcp_call(named, given, named.tool), self._cwd
        known = {
            name: value
            for name, value in item.items()
            if isinstance(value, str | int | bool) and name != "id"
        }
        return tools.one(ToolCall(str(kind), known, "client:codex"), str(kind)), self._cwd

    def _command(self, item: dict[str, Any], asked: dict[str, Any]) -> tuple[tuple[Proposal, ...], str]:
        network = asked.get("networkApprovalContext")
        if isinstance(network, dict):
            host, protocol = network.get("host"), network.get("protocol")
            if not isinstance(host, str) or not isinstance(protocol, str):
                raise HookMalformed("Codex asks for a connection without naming its host.")
            url = f"{protocol.lower()}://{host}/"
            return tools.one(HttpRequest(url, "CONNECT"), "network"), self._cwd
        command, cwd = item.get("command"), item.get("cwd")
        if not isinstance(command, str) or not isinstance(cwd, str):
            raise HookMalformed("Codex announced a command without its text or folder.")
        for name, value in (("command", command), ("cwd", cwd)):
            if asked.get(name) is not None and asked[name] != value:
                raise HookMalformed(f"Codex announced one {name} and asks about another.")
        return tools.one(Shell(_script(command)), "exec_command"), joined(self._cwd, cwd)

    def answer(self, key: str, verdict: Verdict) -> list[Event]:
        """Accept this one call, or decline it with the words."""
        asked = self._open.pop(key, None)
        if asked is None or self._ended:
            return []
        number, method = asked
        if not verdict.allow:
            return self._say_no(number, method, verdict.words)
        if method == ELICITATION:
            return [rpc.result(number, {"action": "accept", "content": {}})]
        return [rpc.result(number, {"decision": "accept"})]

    def _say_no(self, number: Any, method: str, words: str) -> list[Event]:
        no = {"action": "decline"} if method == ELICITATION else {"decision": "decline"}
        return [*self._steer(words), rpc.result(number, no)]

    def _steer(self, words: str) -> list[Event]:
        if not words or not self._turn:
            return []
        text = [{"type": "text", "text": f"Keyturn, which decides what may run here, says: {words}"}]
        steer = {"threadId": self._thread, "expectedTurnId": self._turn, "input": text}
        return [self._calls.request("turn/steer", steer)]

    def unclear(self) -> list[Event]:
        """Codex announces every item before it asks: nothing is ever unclear."""
        return []

    def interrupt(self) -> list[Event]:
        """Decline everything open and stop the turn."""
        events: list[Event] = []
        for number, method in self._open.values():
            no = {"action": "cancel"} if method == ELICITATION else {"decision": "cancel"}
            events.append(rpc.result(number, no))
        self._open.clear()
        if self._turn and not self._ended:
            events.append(
                self._calls.request("turn/interrupt", {"threadId": self._thread, "turnId": self._turn})
            )
        return events

    def _end(self, ok: bool, why: str) -> list[Event]:
        self._ended = True
        return [Ended(ok, why)]

    def _reasons(self) -> str:
        return clip("\n".join(self._reasoning))


def _script(command: str) -> str:
    """The script in `/bin/bash -lc '…'`, as Codex joins it (POSIX quoting); any other command line as it is."""
    try:
        words = shlex.split(command)
    except ValueError:
        return command
    if (
        len(words) == 3
        and _SHELLS.match(words[0])
        and words[1] in ("-lc", "-c")
        and shlex.join(words) == command
    ):
        return words[2]
    return command


def _changes(changes: Any, cwd: str) -> tuple[Proposal, ...]:
    """One proposal for each file that a patch touches; a move is a deletion and a write."""
    if not isinstance(changes, list) or not changes:
        raise HookMalformed("Codex asks about a patch without its changes.")
    found: list[Proposal] = []
    for change in changes:
        if not isinstance(change, dict) or not isinstance(change.get("path"), str) or not change["path"]:
            raise HookMalformed("Codex announced a change without a path.")
        found += _change(change, joined(cwd, change["path"]), cwd)
    return tuple(found)


def _change(change: dict[str, Any], path: str, cwd: str) -> list[Proposal]:
    kind, diff = change.get("kind"), change.get("diff")
    word = kind.get("type") if isinstance(kind, dict) else None
    if not isinstance(kind, dict) or not isinstance(diff, str):
        raise HookMalformed("Codex announced a change without saying what it is.")
    if word == "add":
        return [*tools.edited(path, "write", Edit(text=diff), "apply_patch")]
    if word == "delete":
        return [Proposal(FileEdit(path, "delete"), "apply_patch")]
    if word != "update":
        raise HookMalformed(f"Codex announced a change of kind {str(word)[:40]!r}.")
    target = kind.get("move_path")
    if isinstance(target, str) and target:
        moved = FileEdit(joined(cwd, target), "write", diff=diff)
        return [Proposal(FileEdit(path, "delete"), "apply_patch"), Proposal(moved, "apply_patch")]
    return [Proposal(FileEdit(path, "edit", diff=diff), "apply_patch")]


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list):
        return []
    return [
        part if isinstance(part, str) else str(part.get("text", ""))
        for part in value
        if isinstance(part, str | dict)
    ]
