"""An action as it came, and as it is recorded: without its secrets, and sealed to its true bytes (promises 4 and 9, ADR 0027).

Rules kept here:

- What an action does is read from its true bytes, and the gate runs those. Everything else (ledger, pages, messages, risk, memory of
  what agents did) is made of the *recorded* action, in which a marker stands for each secret.
- The recorded digest covers the recorded action and its *seal*: the HMAC, under the home's redaction key, of the digest of the true
  bytes. So an approval is for these bytes and no others, whoever signs it can work its digest out, and nobody can try out secrets.
- The gate knows the digest of the true bytes only. Where it names that (claim, consume, receipt), the seal is made again and compared.
- An action without secrets is recorded as it came, byte for byte.
- The true reading of what was sealed stays in memory, for the gate that runs it; after a restart it is asked for again.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, to_builtins
from msgspec.structs import replace

from keyturn.actions import (
    Action,
    Agent,
    Attribution,
    Content,
    FileEdit,
    HttpRequest,
    Reading,
    Shell,
    Text,
    ToolCall,
    action_digest,
)
from keyturn.approvals.errors import SecretInReason
from keyturn.drift.remembering import Remembered
from keyturn.policy.decision import Decision
from keyturn.recent import Recent
from keyturn.redaction import Secrets
from keyturn.redaction.marker import OPEN, own
from keyturn.service.core import Core
from keyturn.service.redacting import Redaction

T = TypeVar("T", bound=Struct)
Row = dict[str, Any]


class Capture:
    """*raw* is what the gate will run, `recorded` what everybody else sees of it."""

    def __init__(self, redaction: Redaction, raw: Action) -> None:
        self._redaction = redaction
        self.raw = raw
        self._told = _told(raw)
        self.recorded = self._recorded()
        self.sealed = self.recorded is not raw
        self._pieces = False

    @cached_property
    def secrets(self) -> Secrets:
        """What was found in it."""
        return self._redaction.secrets()

    def _recorded(self) -> Action:
        clear = self._redaction.clear_actions
        if self._told and clear.has(self._told):
            return self.raw
        made = _taken_out(self.secrets, self.raw)
        if self._told and made is self.raw:
            clear.add(self._told)
        return made

    def digests(self, policy: str) -> tuple[str, str, str]:
        """(digest of the true bytes, recorded digest, seal); the first two are one, and the seal is empty, where there is no secret."""
        if not self.sealed:
            act = _digest(self.raw, self._told, policy)
            return act, act, ""
        act = action_digest(self.raw, policy)
        seal = self._redaction.keyed(act)
        return act, action_digest(self.recorded, policy, seal), seal

    def reading(self, reading: Reading) -> Reading:
        """*reading* of the true bytes as it is recorded and shown."""
        if not self.sealed:
            return self._put_together(reading)
        shown = self.struct(reading)
        moved = self._moved()
        return replace(
            shown,
            steps=tuple(
                replace(step, span=(moved(step.span[0]), moved(step.span[1]))) for step in shown.steps
            ),
            unread=tuple(replace(one, start=moved(one.start), end=moved(one.end)) for one in shown.unread),
        )

    def _put_together(self, reading: Reading) -> Reading:
        """*reading* without secrets that only it has: a shell puts together what its text says in pieces (`${A}${B}`).

        What may be run (`canonical`) is text of the action, and has none.
        """
        known = _SHOWN.of(reading, self._redaction, "", lambda: _shown(reading, self._redaction))
        self._pieces = known is not reading
        return known

    def struct(self, value: T) -> T:
        """*value*, which was made from the true bytes, without what was found in them or in their reading."""
        if self._pieces:
            return msgspec.convert(self._redaction.value(to_builtins(value)), type(value))
        if not self.sealed:
            return value
        return msgspec.convert(self.secrets.clean(to_builtins(value)), type(value))

    def decision(self, decision: Decision) -> Decision:
        """A decision whose rules say where in the recorded text they matched."""
        made = self.struct(decision)
        if not self.sealed:
            return made
        moved = self._moved()
        hits = tuple(
            replace(hit, matched=(moved(hit.matched[0]), moved(hit.matched[1]))) for hit in made.rules
        )
        return replace(made, rules=hits)

    def _moved(self) -> Callable[[int], int]:
        """From a place in the true script (UTF-8 bytes) to that in the recorded one."""
        raw, recorded = self.raw.content, self.recorded.content
        if not isinstance(raw, Shell) or not isinstance(recorded, Shell):
            return lambda at: at
        true, text = (
            raw.script.encode("utf-8", "surrogatepass"),
            recorded.script.encode("utf-8", "surrogatepass"),
        )
        pairs: list[tuple[int, int]] = []
        at = place = 0
        for start, end, _, _ in [*own(text, self._redaction.key), (len(text), len(text), "", "")]:
            found = true.find(text[at:start], place)
            place = found if found >= 0 else place
            pairs.append((place, at))
            place, at = place + start - at, end
            pairs.append((place, start))

        def moved(where: int) -> int:
            known = [pair for pair in pairs if pair[0] <= where]
            begin, new = known[-1] if known else (0, 0)
            return min(new + where - begin, len(text)) if begin in {a for a, _ in pairs[::2]} else new

        return moved


def captured(core: Core, action: Action) -> Capture:
    """*action*, of which who asks and why is free of secrets from here on."""
    return Capture(core.redaction, _attributed(core.redaction, action))


def _shown(reading: Reading, redaction: Redaction) -> Reading:
    told = to_builtins(reading)
    known = redaction.value(told)
    if known is told:
        return reading
    return replace(msgspec.convert(known, Reading), canonical=reading.canonical)


_SHOWN: Remembered[Reading] = Remembered()


def _attributed(redaction: Redaction, action: Action) -> Action:
    """*action* without secrets in what was said about it: none of that is part of its digest."""
    who = action.attribution
    if redaction.clear.has_all(_said(who, action.call)):
        return action  # nearly every one: its words came with the actions before it
    told = replace(
        who,
        agent=agent(redaction, who.agent),
        instruction=words(redaction, who.instruction),
        reasoning=words(redaction, who.reasoning),
        parents=tuple(map(redaction.text, who.parents)),
    )
    if told == who and (action.call is None or redaction.text(action.call) == action.call):
        return action
    return replace(
        action, attribution=told, call=None if action.call is None else redaction.text(action.call)
    )


def _said(who: Attribution, call: str | None) -> list[str]:
    """Every text in which somebody may have put a secret."""
    named = who.agent
    said = [named.name, named.client, named.version, named.model, *who.parents]
    for text in (who.instruction, who.reasoning):
        if text is not None:
            said += (text.text, text.source)
    if call is not None:
        said.append(call)
    return said


def agent(redaction: Redaction, who: Agent) -> Agent:
    """*who* without secrets in its names."""
    names = {field: getattr(who, field) for field in ("name", "client", "version", "model")}
    told = {field: redaction.text(name) for field, name in names.items()}
    return who if told == names else replace(who, **told)


def reason(redaction: Redaction, text: str, *, signed: bool) -> str:
    """A person's reason without secrets. Raises `SecretInReason` where a signature covers the text as they wrote it."""
    told = redaction.text(text)
    if signed and told != text:
        raise SecretInReason("There is a secret in your reason, and what you sign is kept as it is.")
    return told


def words(redaction: Redaction, said: Text | None) -> Text | None:
    """*said* without secrets."""
    if said is None:
        return None
    done, source = redaction.text(said.text), redaction.text(said.source)
    return said if (done, source) == (said.text, said.source) else Text(done, source)


def _told(raw: Action) -> bytes:
    """All that is looked through of *raw*, to be known again; empty where two that differ could look the same in it."""
    if isinstance(raw.content, ToolCall):  # numbers and dates of many kinds
        return b""
    try:
        return _ENCODE((raw.content, raw.cwd, raw.environment, raw.target, raw.executes))
    except (TypeError, ValueError, OverflowError):
        return b""


_ENCODE = msgspec.msgpack.Encoder().encode


def _digest(raw: Action, told: bytes, policy: str) -> str:
    """`action_digest` of an action without secrets, remembered."""
    if not 0 < len(told) <= MOST_TOLD:
        return action_digest(raw, policy)
    key = (told, raw.attribution.definition, policy)
    digest = _DIGESTS.get(key)
    if digest is None:
        digest = action_digest(raw, policy)
        _DIGESTS.keep(key, digest)
    return digest


_DIGESTS: Recent[tuple[bytes, str | None, str], str] = Recent()
MOST_TOLD = 4_096
"""Bytes of an action of which the digest is remembered: of a longer one, working it out is not what costs."""


def _taken_out(secrets: Secrets, raw: Action) -> Action:
    content = _content(secrets, raw.content)
    cwd = secrets.redacted(raw.cwd, fresh=True).text
    environment = secrets.taken(raw.environment) if raw.environment else raw.environment
    target = secrets.redacted(raw.target, fresh=True).text
    executes = {
        secrets.cleaned(secrets.redacted(path, fresh=True).text): digest
        for path, digest in raw.executes.items()
    }
    made = replace(
        raw,
        content=content,
        cwd=cwd,
        environment=environment,
        target=secrets.cleaned(target),
        executes=executes,
    )
    return raw if made == raw else made


def _content(secrets: Secrets, content: Content) -> Content:
    match content:
        case Shell(script):
            return replace(content, script=secrets.redacted(script, fresh=True).text)
        case FileEdit(path, _, before, after, diff):
            shown = secrets.redacted(diff, fresh=True).text
            where = secrets.redacted(path, fresh=True).text
            if (shown, where) == (diff, path):
                return content
            # The digest of a short file with a secret in it is as good as the secret to who can try.
            known = {
                name: secrets.keyed(value) for name, value in (("before", before), ("after", after)) if value
            }
            return replace(content, path=where, diff=shown, **known)
        case ToolCall(tool, arguments, server):
            kept = secrets.taken(to_builtins(arguments))
            names = {"tool": secrets.cleaned(tool), "server": secrets.cleaned(server)}
            return replace(content, arguments=kept if kept != arguments else arguments, **names)
        case HttpRequest(url, method):
            return replace(
                content, url=secrets.redacted(url, fresh=True).text, method=secrets.cleaned(method)
            )


# --- what the gate names by its true digest ------------------------------------------------------------------------


def is_for(core: Core, row: Row, digest: str) -> bool:
    """Whether *digest*, which a gate worked out from the true bytes, is that of the recorded *row* (of an action or a request)."""
    seal = row.get("sealed")
    if not seal:
        return bool(row["digest"] == digest)
    return hmac.compare_digest(str(seal).encode(), core.redaction.keyed(digest).encode())


def recordable(core: Core, row: Row | None, digest: str | None) -> str | None:
    """*digest*, which a gate named, as it may be recorded: the row's own where it is meant, else one that nobody can guess from."""
    if digest is None:
        return None
    if row is not None and is_for(core, row, digest):
        return str(row["digest"])
    return core.redaction.keyed(digest)


def received(core: Core, row: Row, ran: str | None, output: str | None) -> Row:
    """What a receipt's digests are recorded as: of what had a secret in it, none that somebody could guess from."""
    fields = {} if ran is None else {"ran": recordable(core, row, ran)}
    return {**fields, "output": core.redaction.keyed(output)} if output and row.get("sealed") else fields


# --- what policy and people hear of it -----------------------------------------------------------------------------


def kinds(core: Core, action: Action, reading: Reading) -> dict[str, Any]:
    """The fact `secrets`: kinds of those for which a marker stands in the recorded *action*."""
    found = {kind for kind, _ in marked(core, action)}
    return {"secrets": tuple(sorted(found))} if found else {}


def marked(core: Core, action: Action) -> list[tuple[str, str]]:
    """(kind, digest) of each secret for which a marker stands in the recorded *action*, once."""
    data = msgspec.json.encode([action.content, action.cwd, action.environment])
    if OPEN.encode() not in data:
        return []
    return list(dict.fromkeys((kind, digest) for _, _, kind, digest in own(data, core.redaction.key)))


def kinds_in(action: Action) -> tuple[str, ...]:
    """Kinds of secrets in a true *action*: for decisions that record nothing (`keyturn policy decide`)."""
    capture = Capture(Redaction(b"nothing is recorded under this"), action)
    return capture.secrets.kinds


__all__ = [
    "Capture",
    "agent",
    "captured",
    "is_for",
    "kinds",
    "kinds_in",
    "marked",
    "reason",
    "received",
    "recordable",
    "words",
]
