"""What an agent proposes, what it would do, and who stands behind it.

Frozen data, and the digests that bind approvals, permits and receipts to exact bytes (design §2.4).

The *action digest* covers everything that decides what happens: kind, content (script, arguments, edit),
working directory, selected environment, target, the digests of scripts and binaries that would be
executed, the agent's definition, and the policy version under which it was decided. It does not cover who asked or when:
the same bytes asked again are the same action.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct, to_builtins

from keyturn import canonical
from keyturn.errors import Malformed, TooLarge

Kind = Literal["shell", "file", "tool", "http"]
"""Kinds this version reads. Others are refused by name, never guessed at."""

Assurance = Literal["advisory", "cooperative", "enforced", "credentialed"]
"""How sure it is that the gate can't be walked around (design §3)."""

MAX_CONTENT_BYTES = 1_048_576
"""Largest canonical content of one action (1 MiB). More is refused as `input.too_large`."""


class Shell(Struct, frozen=True, tag="shell", tag_field="kind"):
    """A command line given to a shell. `script` is the exact text."""

    script: str
    dialect: Literal["bash", "posix"] = "bash"


class FileEdit(Struct, frozen=True, tag="file", tag_field="kind"):
    """A change of one file's bytes, or of its existence.

    `before`/`after` are `sha256:<hex>` of the whole file, None where there is none or it isn't known;
    `diff` is a unified diff (or the replacement asked for) shown to reviewers and covered by the digest.
    """

    path: str
    operation: Literal["create", "write", "edit", "delete", "read"]
    before: str | None = None
    after: str | None = None
    diff: str = ""


class ToolCall(Struct, frozen=True, tag="tool", tag_field="kind"):
    """A call of a named tool with JSON arguments, e.g. over MCP. `server` is empty for a client's own tools."""

    tool: str
    arguments: dict[str, Any] = {}
    server: str = ""


class HttpRequest(Struct, frozen=True, tag="http", tag_field="kind"):
    """A request to a URL. `body` is the digest of the body, if there is one."""

    url: str
    method: str = "GET"
    body: str | None = None


Content = Shell | FileEdit | ToolCall | HttpRequest


class Text(Struct, frozen=True):
    """Words somebody gave: an instruction, a reason. Never trusted, never part of a decision.

    `source` says where they were taken from (e.g. `hook:UserPromptSubmit`, `transcript`).
    """

    text: str
    source: str


class Human(Struct, frozen=True):
    """The human on whose behalf the agent acts. `how` says by what evidence: `os-uid`, `token`, `declared`."""

    person: str
    how: str
    os_uid: int | None = None


class Agent(Struct, frozen=True):
    """The program that proposes actions: `name` identifies it in policy; `client` and `version` say what runs it."""

    name: str
    client: str = ""
    version: str = ""
    model: str = ""
    owner: str | None = None


class Attribution(Struct, frozen=True):
    """Human · instruction · reasoning · agent · definition · parents. None means *missing*, never invented."""

    agent: Agent
    human: Human | None = None
    instruction: Text | None = None
    reasoning: Text | None = None
    definition: str | None = None
    parents: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the parts that the client did not give, sorted."""
        if None not in (self.definition, self.human, self.instruction, self.reasoning):
            return ()
        parts = ("definition", "human", "instruction", "reasoning")
        return tuple(name for name in parts if getattr(self, name) is None)


class Gate(Struct, frozen=True):
    """Where the action was intercepted. `name` is the gate a permit is bound to, e.g. `hooks:claude-code@host`."""

    name: str
    assurance: Assurance = "advisory"
    version: str = ""


class Action(Struct, frozen=True):
    """One thing an agent proposes to do.

    `session` groups an agent run; `call` is the client's own id for this call, so that asking twice about
    one call is one action; `environment` holds only variables that change what the action does;
    `executes` maps paths of scripts and binaries that would be executed to their content digests.
    """

    content: Content
    attribution: Attribution
    gate: Gate
    session: str
    cwd: str = "/"
    environment: dict[str, str] = {}
    target: str = "local"
    executes: dict[str, str] = {}
    call: str | None = None

    @property
    def kind(self) -> Kind:
        """The content's kind, as policy and log name it."""
        return content_kind(self.content)


_NOT_JSON = (bytes, bytearray, memoryview, datetime, date, time, timedelta, UUID, Decimal)
"""Types that a binary encoding can put into a tool's arguments. Written as text they would share a digest with that text."""


def content_kind(content: Content) -> Kind:
    """`shell`, `file`, `tool` or `http`."""
    return _KINDS[type(content)]


_KINDS: dict[type[Content], Kind] = {Shell: "shell", FileEdit: "file", ToolCall: "tool", HttpRequest: "http"}


def action_digest(action: Action, policy: str, sealed: str = "") -> str:
    """`sha256:<hex>` over what would happen, under the policy version *policy* (promise 4).

    *sealed*: of an action that is recorded without its secrets, the seal that binds it to its true bytes (ADR 0027).

    Raises `NotCanonical` for content without canonical bytes and `TooLarge` beyond `MAX_CONTENT_BYTES`.
    """
    body = canonical.dumps(
        {
            "v": 1,
            "content": to_builtins(action.content, builtin_types=_NOT_JSON),
            "cwd": action.cwd,
            "environment": action.environment,
            "target": action.target,
            "executes": action.executes,
            "definition": action.attribution.definition,
            "policy": policy,
            **({"sealed": sealed} if sealed else {}),
        }
    )
    if len(body) > MAX_CONTENT_BYTES:
        raise TooLarge(f"The action has {len(body):,} bytes; at most {MAX_CONTENT_BYTES:,} are read.")
    return canonical.digest_bytes(body)


# --- what a reading is ---------------------------------------------------------------------------

Verb = Literal["reads", "writes", "deletes", "executes", "connects", "sends", "grants", "configures"]


class Effect(Struct, frozen=True):
    """Verb + resource + labels: what one step would do.

    `what` is an absolute path, a host, a program or a tool; `zone` is where it lies, one word of
    `resources.ZONES`; `labels` are those of `resources.toml` (`secret`, `production`, …), sorted.
    """

    verb: Verb
    what: str
    zone: str
    labels: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """`verb:zone`, the form in which rules speak of effects."""
        return f"{self.verb}:{self.zone}"


class Unread(Struct, frozen=True):
    """Bytes of the content that were not understood: `[start, end)` offsets in UTF-8 bytes, and why."""

    start: int
    end: int
    why: str


class Step(Struct, frozen=True):
    """One simple command, edit or call inside an action: what policy decides on.

    `program` is the name that rules use (`git`, `ls`; a tool's `server/tool`; an edit's operation);
    `subcommand` the dispatching words (`push`, `remote add`); `argv` every word as it would reach the program;
    `options` the option names used, long form where known; `span` the bytes it comes from; `code` the absolute paths
    of files whose content it would run, which a gate digests into the action (promise 4).
    """

    program: str
    argv: tuple[str, ...] = ()
    subcommand: str = ""
    options: tuple[str, ...] = ()
    effects: tuple[Effect, ...] = ()
    complete: bool = True
    span: tuple[int, int] = (0, 0)
    code: tuple[str, ...] = ()


class Reading(Struct, frozen=True):
    """What an action would do, worked out from its content alone.

    `complete` is False as soon as one byte was not understood; `unread` says which and why.
    `canonical` is the re-emitted script that means exactly the steps (shell only, None elsewhere or when
    incomplete). `sentence` is for people, effect first.
    """

    kind: str
    complete: bool
    steps: tuple[Step, ...] = ()
    unread: tuple[Unread, ...] = ()
    sentence: str = ""
    canonical: str | None = None

    @property
    def effects(self) -> tuple[Effect, ...]:
        """All effects of all steps, in order, without repetition."""
        return tuple(dict.fromkeys(effect for step in self.steps for effect in step.effects))


def content_from_json(value: Any) -> Content:
    """Content out of `{"kind": …, …}`. Raises `Malformed`, naming the unknown kind or field."""
    import msgspec

    try:
        return msgspec.convert(value, Content)  # type: ignore[no-any-return]
    except msgspec.ValidationError as error:
        raise Malformed(f"The action's content is not one that is known: {error}.") from error


__all__ = [
    "MAX_CONTENT_BYTES", "Action", "Agent", "Assurance", "Attribution", "Content", "Effect", "FileEdit",
    "Gate", "HttpRequest", "Human", "Kind", "Reading", "Shell", "Step", "Text", "ToolCall", "Unread",
    "Verb", "action_digest", "content_from_json", "content_kind",
]  # fmt: skip
