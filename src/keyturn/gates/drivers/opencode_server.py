"""The opencode server (`opencode serve`, HTTP and server-sent events; run with 1.18.33).

A `Send` is an HTTP request `{"tag", "method", "path", "body"}`; its response comes back through `receive` as
`{"type": "keyturn.response", "tag", "status", "body"}`, beside the server's own events `{"type", "properties"}`.

Rules kept here:

- The session is created with a rule of its own that asks about every tool; the only yes ever said is `once`.
- What a call would do is taken from its announced arguments; until they are there the question waits, unanswered.
- A question without a tool call, or about a call that was not announced, is rejected.
- The server listens on loopback, where the agent's own commands could answer its questions: an answer that is not
  ours ends the run and is reported.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from keyturn.gates.drivers.model import (
    Ask,
    Ended,
    Event,
    Finished,
    Observed,
    Opened,
    Said,
    Send,
    Verdict,
    clip,
)
from keyturn.gates.hooks.dialects import opencode
from keyturn.gates.hooks.model import Proposal
from keyturn.gates.hooks.payload import HookMalformed, Payload

RESPONSE = "keyturn.response"
ASK_ALWAYS = [{"permission": "*", "pattern": "*", "action": "ask"}]
_RUNNING = ("running", "completed", "error")


class _Text(Struct):
    """What one part of a message says so far."""

    thought: bool
    text: str = ""
    told: bool = False


class OpencodeServer:
    """One session with one prompt."""

    def __init__(self, cwd: str, prompt: str) -> None:
        self._cwd = cwd
        self._prompt = prompt
        self._session = ""
        self._busy = False
        self._ended = False
        self._model = ""
        self._parts: dict[str, dict[str, Any]] = {}  # call id → its latest part
        self._open: dict[str, str] = {}  # ask key (the question's id) → call id
        self._unclear: dict[str, dict[str, Any]] = {}  # question id → question
        self._answered: dict[str, str] = {}  # question id → our reply
        self._asked: set[str] = set()
        self._told: set[str] = set()
        self._texts: dict[str, _Text] = {}
        self._human: set[str] = set()
        self._acted = False

    def start(self) -> list[Event]:
        """Create the session."""
        return [_post("session", "/session", {"title": "keyturn", "permission": ASK_ALWAYS})]

    def receive(self, message: Any) -> list[Event]:
        """One event or response."""
        if self._ended or not isinstance(message, dict):
            return []
        if message.get("type") == RESPONSE:
            return self._response(message)
        properties = message.get("properties")
        if not isinstance(properties, dict):
            return []
        kind = message.get("type")
        if kind == "permission.asked":
            return self._question(properties)
        if kind == "permission.replied":
            return self._replied(properties)
        if kind == "message.part.updated" and isinstance(properties.get("part"), dict):
            return self._part(properties["part"])
        if kind == "message.part.delta":
            return self._delta(properties)
        if kind == "message.updated" and isinstance(properties.get("info"), dict):
            if properties["info"].get("role") == "user":
                self._human.add(str(properties["info"].get("id")))
            return []
        if properties.get("sessionID") != self._session or not self._session:
            return []
        return self._own_session(kind, properties)

    def _response(self, message: dict[str, Any]) -> list[Event]:
        tag, status, body = message.get("tag"), message.get("status"), message.get("body")
        good = isinstance(status, int) and 200 <= status < 300
        if tag == "session":
            number = body.get("id") if isinstance(body, dict) else None
            if not good or not isinstance(number, str) or not number.replace("_", "").isalnum():
                return self._end(False, f"opencode opened no session (HTTP {status}).")
            self._session = number
            version = body.get("version") if isinstance(body, dict) else None
            parts = [{"type": "text", "text": self._prompt}]
            opened = Opened(number, version if isinstance(version, str) else "")
            return [opened, _post("prompt", f"/session/{number}/prompt_async", {"parts": parts})]
        if tag == "prompt" and not good:
            return self._end(False, f"opencode did not take the prompt (HTTP {status}).")
        if tag == "reply" and not good:
            return [*self.interrupt(), *self._end(False, f"opencode did not take an answer (HTTP {status}).")]
        return []

    def _own_session(self, kind: Any, properties: dict[str, Any]) -> list[Event]:
        if kind == "session.status":
            status = properties.get("status")
            state = status.get("type") if isinstance(status, dict) else None
            if state == "busy":
                self._busy = True
            elif state == "idle" and self._busy:
                return [*self._tell(), *self._end(True, "")]
        elif kind == "session.idle" and self._busy:
            return [*self._tell(), *self._end(True, "")]
        elif kind == "session.error":
            return self._end(False, f"opencode says: {_error(properties.get('error'))}.")
        return []

    # --- what the agent does --------------------------------------------------------------------

    def _part(self, part: dict[str, Any]) -> list[Event]:
        kind = part.get("type")
        if kind in ("text", "reasoning"):
            return self._spoken(part, thought=kind == "reasoning")
        call = part.get("callID")
        if kind != "tool" or not isinstance(call, str) or not isinstance(part.get("state"), dict):
            return []
        self._acted = True
        self._parts[call] = part
        events = self._tell()
        if _announced(part):
            for question in [q for q in self._unclear.values() if q["tool"]["callID"] == call]:
                del self._unclear[question["id"]]
                events += self._ask(question, part)
        status = part["state"].get("status")
        if status in ("completed", "error") and call not in self._told:
            self._told.add(call)
            events += self._finished(call, part, status)
        return events

    def _finished(self, call: str, part: dict[str, Any], status: str) -> list[Event]:
        state = part["state"]
        events: list[Event] = []
        if status == "completed" and call not in self._asked:
            try:
                proposals, cwd = self._of_part(part)
            except HookMalformed:
                why = f"opencode ran {str(part.get('tool'))[:40]!r} without asking, and nobody can read what it did."
                return [*self.interrupt(), *self._end(False, why)]
            events.append(Observed(call, proposals, cwd, self._reasons()))
        metadata = state.get("metadata")
        code = metadata.get("exit") if isinstance(metadata, dict) else None
        output = state.get("output")
        events.append(
            Finished(
                call,
                "done" if status == "completed" else "failed",
                exit_code=code if isinstance(code, int) and not isinstance(code, bool) else None,
                output=output if isinstance(output, str) else None,
            )
        )
        return events

    def _spoken(self, part: dict[str, Any], *, thought: bool) -> list[Event]:
        """Remember what a part says so far; it is told when its end is known or something is done."""
        number, text, time = part.get("id"), part.get("text"), part.get("time")
        if not isinstance(number, str) or part.get("synthetic") or part.get("messageID") in self._human:
            return []
        if number not in self._texts:
            if self._acted:
                self._texts = {}
                self._acted = False
            self._texts[number] = _Text(thought)
        if isinstance(text, str) and text:
            self._texts[number].text = text
        ended = isinstance(time, dict) and time.get("end") is not None
        return self._tell() if ended else []

    def _delta(self, properties: dict[str, Any]) -> list[Event]:
        spoken, delta = self._texts.get(str(properties.get("partID"))), properties.get("delta")
        if spoken is not None and isinstance(delta, str) and properties.get("field") == "text":
            spoken.text += delta
        return []

    def _tell(self) -> list[Event]:
        fresh = [spoken for spoken in self._texts.values() if spoken.text.strip() and not spoken.told]
        for spoken in fresh:
            spoken.told = True
        return [Said(spoken.text, spoken.thought) for spoken in fresh]

    # --- what it asks ---------------------------------------------------------------------------

    def _question(self, question: dict[str, Any]) -> list[Event]:
        number, tool = question.get("id"), question.get("tool")
        if not isinstance(number, str) or not number.replace("_", "").isalnum():
            return []  # a question that can't be addressed can't be answered: it waits for ever
        if number in self._open or number in self._unclear or number in self._answered:
            return []
        call = tool.get("callID") if isinstance(tool, dict) else None
        if not isinstance(call, str) or not self._session:
            return self._no(number, "keyturn: refused. The question names no tool call. Nothing ran.")
        self._asked.add(call)
        part = self._parts.get(call)
        if part is None or not _announced(part):
            self._unclear[number] = {**question, "tool": {"callID": call}, "id": number}
            return []
        return self._ask({**question, "tool": {"callID": call}, "id": number}, part)

    def _ask(self, question: dict[str, Any], part: dict[str, Any]) -> list[Event]:
        number, call = question["id"], question["tool"]["callID"]
        try:
            proposals, cwd = self._of_part(part)
            _agree(question.get("metadata"), part["state"]["input"])
        except HookMalformed as error:
            return self._no(number, f"keyturn: refused. {error.happened} Nothing ran.")
        self._open[number] = call
        return [Ask(number, call, proposals, cwd, self._reasons())]

    def _of_part(self, part: dict[str, Any]) -> tuple[tuple[Proposal, ...], str]:
        given = part["state"].get("input")
        tool = part.get("tool")
        if not isinstance(given, dict) or not isinstance(tool, str) or not tool:
            raise HookMalformed("The call names no tool or no arguments.")
        payload = Payload(given)
        proposals, _ = opencode.proposed(tool, payload, self._cwd)
        return proposals, opencode.folder(tool, payload, self._cwd)

    def _replied(self, properties: dict[str, Any]) -> list[Event]:
        number = properties.get("requestID")
        ours = self._answered.get(str(number))
        reply = properties.get("reply")
        if ours == reply or (ours == "reject" and reply == "reject"):
            return []
        if ours is None and reply == "reject":
            self._open.pop(str(number), None)  # rejected with another one of its message: nothing ran
            self._unclear.pop(str(number), None)
            return []
        why = "Somebody else answered a question of the agent on opencode's own port. The run was stopped."
        return [*self.interrupt(), *self._end(False, why)]

    def answer(self, key: str, verdict: Verdict) -> list[Event]:
        """`once`, or `reject` with the words, which opencode gives to the agent."""
        if self._open.pop(key, None) is None or self._ended:
            return []
        if not verdict.allow:
            return self._no(key, verdict.words)
        self._answered[key] = "once"
        return [_post("reply", f"/permission/{key}/reply", {"reply": "once"})]

    def _no(self, number: str, words: str) -> list[Event]:
        self._answered[number] = "reject"
        return [_post("reply", f"/permission/{number}/reply", {"reply": "reject", "message": words})]

    def unclear(self) -> list[Event]:
        """Reject the questions whose arguments never came."""
        waiting = [*self._unclear]
        self._unclear.clear()
        words = "keyturn: refused, because opencode did not say what the call would do. Nothing ran."
        return [event for number in waiting for event in self._no(number, words)]

    @property
    def waiting_for_arguments(self) -> bool:
        """Whether `unclear` would have something to refuse."""
        return bool(self._unclear)

    def interrupt(self) -> list[Event]:
        """Reject everything open and abort the session."""
        waiting = [*self._open, *self._unclear]
        self._open.clear()
        self._unclear.clear()
        events = [event for number in waiting for event in self._no(number, "keyturn: the run was stopped.")]
        if self._session and not self._ended:
            events.append(_post("abort", f"/session/{self._session}/abort", {}))
        return events

    def _end(self, ok: bool, why: str) -> list[Event]:
        self._ended = True
        return [Ended(ok, why)]

    def _reasons(self) -> str:
        return clip("\n".join(spoken.text for spoken in self._texts.values() if spoken.text.strip()))


def _post(tag: str, path: str, body: dict[str, Any]) -> Send:
    return Send({"tag": tag, "method": "POST", "path": path, "body": body})


def _announced(part: dict[str, Any]) -> bool:
    return part["state"].get("status") in _RUNNING


def _agree(metadata: Any, given: dict[str, Any]) -> None:
    """What is asked must be what was announced."""
    for name in ("command", "url"):
        value = metadata.get(name) if isinstance(metadata, dict) else None
        if value is not None and value != given.get(name):
            raise HookMalformed(f"opencode announced one {name} and asks about another.")


def _error(error: Any) -> str:
    data = error.get("data") if isinstance(error, dict) else None
    said = data.get("message") if isinstance(data, dict) else None
    return str(said or (error.get("name") if isinstance(error, dict) else None) or "no words")[:300]
