"""A scripted turn in the words of four model protocols, as one JSON answer or as a stream of server-sent events.

Sources: the public references of the Anthropic Messages API, the OpenAI Responses and Chat Completions APIs and
the Gemini `generateContent` API. An event is a pair: its name (empty where the protocol gives none) and its data.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

from model_script import Call, Turn, new_id

Event = tuple[str, Any]

WAIT = "write_stdin"
"""Codex's tool for a running command: without characters it waits for it."""


def count_results(request: dict[str, Any]) -> int:
    """How many tool results the conversation in *request* holds, whichever protocol it speaks."""
    count = 0
    for message in request.get("messages") or ():
        content = message.get("content")
        count += message.get("role") == "tool"
        if isinstance(content, list):
            count += sum(1 for block in content if block.get("type") == "tool_result")
    if isinstance(request.get("input"), list):
        count += sum(1 for item in request["input"] if _is_output(item))
        count -= sum(1 for item in request["input"] if _is_wait(item))
    for content in request.get("contents") or ():
        count += sum(1 for part in content.get("parts") or () if "functionResponse" in part)
    return count


STILL_RUNS = re.compile(r"^Process running with session ID (\d+)$", re.MULTILINE)
"""What Codex tells of a command that did not end in the time that a call waits for it (10 s unless the model says else)."""


def still_running(request: dict[str, Any]) -> int | None:
    """The session of the command that the newest result says still runs; a model waits for it (`wait_for`)."""
    items = request.get("input")
    if not isinstance(items, list) or not items or not _is_output(items[-1]):
        return None
    found = STILL_RUNS.search(str(items[-1].get("output")))
    return int(found[1]) if found else None


def wait_for(session: int) -> Turn:
    """The turn with which a model waits on for Codex's *session*. It is not counted as one of the script's."""
    return Turn(calls=(Call(WAIT, {"session_id": session, "chars": ""}),))


def _is_output(item: dict[str, Any]) -> bool:
    return str(item.get("type", "")).endswith("_call_output")


def _is_wait(item: dict[str, Any]) -> bool:
    return item.get("type") == "function_call" and item.get("name") == WAIT


# --- Anthropic Messages ---------------------------------------------------------------------------


def anthropic(turn: Turn, model: str) -> dict[str, Any]:
    """A `message` object."""
    content: list[dict[str, Any]] = []
    if turn.reasoning:
        content.append({"type": "thinking", "thinking": turn.reasoning, "signature": "c2lnbmVk"})
    if turn.text:
        content.append({"type": "text", "text": turn.text})
    for call in turn.calls:
        content.append(
            {"type": "tool_use", "id": new_id("toolu_"), "name": call.tool, "input": call.arguments}
        )
    return {
        "id": new_id("msg_"),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": "tool_use" if turn.calls else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 12,
            "output_tokens": 7,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
        },
    }


def anthropic_events(message: dict[str, Any]) -> Iterator[Event]:
    """The same message as a stream."""

    def event(kind: str, **members: Any) -> Event:
        return kind, {"type": kind, **members}

    yield event("message_start", message={**message, "content": [], "stop_reason": None})
    for index, block in enumerate(message["content"]):
        if block["type"] == "thinking":
            empty = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [
                {"type": "thinking_delta", "thinking": block["thinking"]},
                {"type": "signature_delta", "signature": block["signature"]},
            ]
        elif block["type"] == "text":
            empty = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": block["text"]}]
        else:
            empty = {**block, "input": {}}
            deltas = [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
        yield event("content_block_start", index=index, content_block=empty)
        for delta in deltas:
            yield event("content_block_delta", index=index, delta=delta)
        yield event("content_block_stop", index=index)
    stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield event("message_delta", delta=stop, usage={"output_tokens": 7})
    yield event("message_stop")


# --- OpenAI Responses -----------------------------------------------------------------------------


def responses(turn: Turn, model: str) -> dict[str, Any]:
    """A `response` object."""
    output: list[dict[str, Any]] = []
    if turn.reasoning:
        summary = [{"type": "summary_text", "text": turn.reasoning}]
        output.append(
            {"type": "reasoning", "id": new_id("rs_"), "summary": summary, "encrypted_content": None}
        )
    if turn.text:
        words = [{"type": "output_text", "text": turn.text, "annotations": []}]
        output.append(
            {
                "type": "message",
                "id": new_id("msg_"),
                "role": "assistant",
                "status": "completed",
                "content": words,
            }
        )
    output.extend(_response_call(call) for call in turn.calls)
    return {
        "id": new_id("resp_"),
        "object": "response",
        "created_at": int(time.time()),
        "status": "completed",
        "model": model,
        "output": output,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 12,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 19,
        },
    }


def _response_call(call: Call) -> dict[str, Any]:
    if call.raw is not None:
        item = {"type": "custom_tool_call", "id": new_id("ctc_"), "input": call.raw}
    else:
        item = {"type": "function_call", "id": new_id("fc_"), "arguments": json.dumps(call.arguments)}
    namespace, dot, name = call.tool.rpartition(".")
    named = {"namespace": namespace, "name": name} if dot else {"name": call.tool}
    return {**item, **named, "call_id": new_id("call_"), "status": "completed"}


def responses_events(response: dict[str, Any]) -> Iterator[Event]:
    """The same response as a stream."""
    for number, (kind, members) in enumerate(_response_steps(response)):
        yield kind, {"type": kind, "sequence_number": number, **members}


def _response_steps(response: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "response.created", {"response": {**response, "status": "in_progress", "output": []}}
    for index, item in enumerate(response["output"]):
        place = {"item_id": item["id"], "output_index": index}
        yield "response.output_item.added", {"output_index": index, "item": {**item, "status": "in_progress"}}
        if item["type"] == "message":
            text = item["content"][0]["text"]
            yield "response.output_text.delta", {**place, "content_index": 0, "delta": text}
            yield "response.output_text.done", {**place, "content_index": 0, "text": text}
        elif item["type"] == "reasoning":
            text = item["summary"][0]["text"]
            empty = {"type": "summary_text", "text": ""}
            yield "response.reasoning_summary_part.added", {**place, "summary_index": 0, "part": empty}
            yield "response.reasoning_summary_text.delta", {**place, "summary_index": 0, "delta": text}
            yield "response.reasoning_summary_text.done", {**place, "summary_index": 0, "text": text}
        elif item["type"] == "function_call":
            yield "response.function_call_arguments.delta", {**place, "delta": item["arguments"]}
            yield "response.function_call_arguments.done", {**place, "arguments": item["arguments"]}
        yield "response.output_item.done", {"output_index": index, "item": item}
    yield "response.completed", {"response": response}


# --- OpenAI Chat Completions ----------------------------------------------------------------------

_CHAT_USAGE = {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19}


def chat(turn: Turn, model: str) -> dict[str, Any]:
    """A `chat.completion` object."""
    message: dict[str, Any] = {"role": "assistant", "content": turn.text or None}
    if turn.reasoning:
        message["reasoning_content"] = turn.reasoning
    if turn.calls:
        message["tool_calls"] = [_chat_call(call) for call in turn.calls]
    finish = "tool_calls" if turn.calls else "stop"
    return {
        "id": new_id("chatcmpl-"),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": _CHAT_USAGE,
    }


def _chat_call(call: Call) -> dict[str, Any]:
    function = {"name": call.tool, "arguments": json.dumps(call.arguments)}
    return {"id": new_id("call_"), "type": "function", "function": function}


def chat_events(completion: dict[str, Any]) -> Iterator[Event]:
    """The same completion as a stream of chunks."""
    base = {key: completion[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    choice = completion["choices"][0]
    message = choice["message"]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": message["reasoning_content"]}] if "reasoning_content" in message else []
    deltas += [{"content": message["content"]}] if message["content"] else []
    deltas += [{"tool_calls": [{"index": n, **call}]} for n, call in enumerate(message.get("tool_calls", ()))]
    for delta in deltas:
        yield "", {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield "", {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]}
    yield "", {**base, "choices": [], "usage": _CHAT_USAGE}
    yield "", "[DONE]"


# --- Gemini generateContent -----------------------------------------------------------------------

_ROUTING = {
    "model_choice": "flash",
    "reasoning": "scripted",
    "complexity_reasoning": "scripted",
    "complexity_score": 10,
}


def gemini(turn: Turn, model: str, *, wants_json: bool = False) -> dict[str, Any]:
    """A `GenerateContentResponse`. With *wants_json* it is a routing answer: the client asks which model to use."""
    parts: list[dict[str, Any]] = []
    if turn.reasoning:
        parts.append({"text": turn.reasoning, "thought": True})
    if turn.text:
        parts.append({"text": turn.text})
    for call in turn.calls:
        named = {"id": new_id("fc_"), "name": call.tool, "args": call.arguments}
        parts.append({"functionCall": named, "thoughtSignature": "c2lnbmVk"})
    if wants_json:
        parts = [{"text": json.dumps(_ROUTING)}]
    return {
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 12, "candidatesTokenCount": 7, "totalTokenCount": 19},
        "modelVersion": model,
        "responseId": new_id("g_"),
    }
