"""Entries as rows of the analytics tables. Pure: entry and projections in, rows out; the same log gives the same rows.

A row stands where its first entry stands (an action at its decision) and says what came of it as far as the log went when it was made:
`segments` makes it again when more comes of it. Fields that are withheld or erased give empty columns, never an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any

import msgspec

from keyturn import canonical
from keyturn.drift import seen
from keyturn.errors import KeyturnError
from keyturn.ledger import leaf
from keyturn.ledger.entries import Entry
from keyturn.policy import Policy
from keyturn.requirement import InvalidRequirement, parse_requirement
from keyturn.store.analytics.tables import blank

Row = dict[str, Any]
Look = Callable[[str, str], Row | None]
"""(kind, key) → projection row."""

_STRONGEST = ("grants", "configures", "deletes", "writes", "sends", "executes", "connects", "reads")
_OBJECTS = ("id", "request", "action", "person", "name", "group", "digest", "credential", "object", "source")
CHANGES = frozenset(
    (
        "policy",
        "definition",
        "configuration",
        "person",
        "key",
        "gate",
        "credential",
        "scim",
        "provider",
        "oncall",
    )
)
"""First words of entry types that change what counts."""
_NO_CHANGE = frozenset(("policy.proposed", "definition.seen", "configuration.seen", "gate.started"))


class Shaper:
    """Gives each entry's rows. Remembers the rules of the last few policies."""

    def __init__(self, look: Look, blob: Callable[[str], bytes | None]) -> None:
        self.look, self.blob = look, blob
        self._rules = lru_cache(maxsize=32)(self._rules_of)

    def rows(self, entry: Entry) -> Iterator[tuple[str, Row]]:
        """(table, row) for everything *entry* begins."""
        yield "event", _event(entry)
        made = _MAKERS.get(entry.type)
        if made is not None:
            yield from made(self, entry)
        if entry.type.partition(".")[0] in CHANGES and entry.type not in _NO_CHANGE:
            yield "change", self._change(entry)

    def opened(self, value: Any) -> Any:
        """A field's value, or what the blob holds that stands for it; None where that was erased."""
        if isinstance(value, dict) and value.keys() == {"blob", "size"}:
            data = self.blob(value["blob"])
            return None if data is None else msgspec.json.decode(data)
        return value

    # --- actions ---------------------------------------------------------------------------------------------------

    def action(self, entry: Entry) -> Iterator[tuple[str, Row]]:
        """An action, and the rules that decided it."""
        f = {name: self.opened(value) for name, value in entry.fields.items()}
        now = self.look("action", str(f.get("id"))) or {}
        request = self.look("request", now["request"]) if now.get("request") else None
        decision = f.get("decision") or {}
        policy = str(decision.get("policy", ""))
        rules = self._rules(policy)
        uses = list(self._uses(entry, f, decision, rules, request))
        row = _placed("action", entry) | _who(f) | _what(f) | _people(request)
        permit = now.get("permit") or f.get("permit") or {}
        receipt = now.get("receipt") or {}
        row |= {
            "policy": policy,
            "mode": decision.get("mode", ""),
            "would": decision.get("would", ""),
            "rules": _joined(use["rule"] for use in uses),
            "by_exception": int(any(use["exception"] for use in uses) and f.get("verdict") == "run"),
            "requires": (decision.get("obligations") or {}).get("approve", "")
            if f.get("verdict") == "hold"
            else "",
            "grant_id": now.get("grant") or "",
            "plan_id": now.get("plan") or "",
            "permit": permit.get("id", ""),
            "ran_s": _seconds(permit.get("consumed")),
            "receipt": receipt.get("entry"),
            "outcome": receipt.get("outcome", ""),
            "exit_code": receipt.get("exit_code"),
            "ran_sha": receipt.get("ran") or "",
            "row_count": receipt.get("rows"),
            "byte_count": receipt.get("output_bytes"),
        }
        row["needed_n"] = needed(row["requires"]) if row["requires"] else 0
        yield "action", row
        for use in uses:
            yield "rule_use", use

    def _uses(
        self, entry: Entry, f: Row, decision: Row, rules: Mapping[str, Any], request: Row | None
    ) -> Iterator[Row]:
        hits = {hit["rule"]: hit["verdict"] for hit in decision.get("rules", ())}
        for name, verdict in hits.items():
            known = rules.get(name)
            until = known.until if known is not None else None
            yield _placed("rule_use", entry) | {
                "action": f.get("id", ""),
                "agent": (f.get("agent") or {}).get("name", ""),
                "policy": decision.get("policy", ""),
                "rule": name,
                "verdict": verdict,
                "until_s": _seconds(until),
                "exception": int(known is not None and bool(known.until or known.lifts)),
                "expired": int(until is not None and entry.time >= until),
                "state": _state(request),
                "waited_s": _waited(request),
            }

    def _rules_of(self, policy: str) -> Mapping[str, Any]:
        parsed = self._policy(policy)
        return {rule.id: rule for rule in parsed.rules} if parsed else {}

    def _policy(self, digest: str) -> Policy | None:
        """A recorded version; None where it is not recorded, erased, or of a form that this program does not know."""
        row = self.look("policy", digest)
        if row is None:
            return None
        try:
            files = {path: self.blob(digest) for path, digest in self.opened(row["files"]).items()}
            return Policy.parse({path: data for path, data in files.items() if data is not None})
        except (KeyturnError, KeyError, AttributeError):
            return None

    # --- people ----------------------------------------------------------------------------------------------------

    def request(self, entry: Entry) -> Iterator[tuple[str, Row]]:
        """What waits for people."""
        f = {
            name: self.opened(value)
            for name, value in entry.fields.items()
            if name not in ("reading", "content")
        }
        now = self.look("request", str(f.get("id"))) or {}
        asked = f.get("obligations") or {}
        people = _people(now)
        given = now.get("approvals", ())
        yield (
            "request",
            _placed("request", entry)
            | {
                **{
                    name: f.get(name) or ""
                    for name in ("subject", "action", "digest", "kind", "initiator", "owner", "agent")
                },
                "request": f.get("id", ""),
                "policy": now.get("policy") or (f.get("decision") or {}).get("policy", ""),
                "gate": (f.get("gate") or {}).get("name", ""),
                "requires": asked.get("approve", ""),
                "needed_n": needed(asked.get("approve", "")),
                "tier": people["tier"],
                "reason_required": int(bool(asked.get("reason_required"))),
                "ticket_required": int(bool(asked.get("ticket_required"))),
                "assurance": asked.get("assurance", ""),
                "window": asked.get("window", ""),
                "expires_s": _seconds(f.get("expires")),
                "escalated": int(bool(now.get("escalated"))),
                "state": people["state"],
                "ended_s": _seconds(now.get("ended")),
                "ended_by": str(now.get("ended_by") or ""),
                "waited_s": people["waited_s"],
                "approvals_n": people["approvers_n"],
                "denials_n": sum(one["choice"] == "deny" for one in given),
                "approvers": people["approvers"],
                "permit": now.get("permit") or "",
                "drill": int(self.look("drill", str(f.get("id"))) is not None),
            },
        )

    def approval(self, entry: Entry) -> Iterator[tuple[str, Row]]:
        """One person's word."""
        f = {
            name: self.opened(value) for name, value in entry.fields.items() if name not in ("shown", "proof")
        }
        request = self.look("request", str(f.get("request"))) or {}
        gesture = f.get("gesture") or {}
        opened = request.get("opened")
        yield (
            "approval",
            _placed("approval", entry)
            | {
                **{
                    name: f.get(name) or ""
                    for name in ("request", "person", "choice", "channel", "digest", "policy", "key")
                },
                **{
                    name: request.get(name) or ""
                    for name in ("subject", "action", "initiator", "owner", "agent")
                },
                "session": request.get("session") or "",
                "on_behalf": _joined(f.get("on_behalf_of") or ()),
                "assurance": f.get("assurance", "click"),
                "signed": int(bool(f.get("key") or f.get("how"))),
                "same_digest": int(f.get("digest") == request.get("digest")),
                "tier": (request.get("risk") or {}).get("tier", ""),
                "waited_s": (entry.time - opened) / 1000 if opened else None,
                "looked_s": _thousandth(gesture.get("looked_ms")),
                "dwell_s": _thousandth(gesture.get("dwell_ms")),
                "batch": int(bool(gesture.get("batch"))),
                "grant_for": f.get("grant", "once"),
                "reason_sha": _sha(f.get("reason")),
            },
        )

    # --- what counts -----------------------------------------------------------------------------------------------

    def _change(self, entry: Entry) -> Row:
        f = {
            name: self.opened(value)
            for name, value in entry.fields.items()
            if name not in ("files", "evidence", "record")
        }
        request = self.look("request", str(f["request"])) if f.get("request") else None
        content = self.opened(request["content"]) if request and request.get("content") else {}
        window = (content.get("window") if isinstance(content, dict) else None) or {}
        people = _people(request)
        approved = people["state"] == "approved"
        return _placed("change", entry) | {
            "type": entry.type,
            "kind": entry.type.partition(".")[0],
            "object": _object(f, ("object", "id", "name", "credential", "group", "digest", "issuer")),
            "agent": _name(f.get("agent")),
            "person": str(f.get("by") or ""),
            "genesis": int(bool(f.get("genesis")) or f.get("by") == "genesis"),
            "alone": int(bool(f.get("alone"))),
            "request": str(f.get("request") or ""),
            "asked_by": str((request or {}).get("initiator") or ""),
            "approvers": people["approvers"] if approved else "",
            "approvers_n": people["approvers_n"] if approved else 0,
            "approved_s": _seconds((request or {}).get("ended")) if approved else None,
            "from_s": _seconds(window.get("from")) if isinstance(window, dict) else None,
            "until_s": _seconds(window.get("until")) if isinstance(window, dict) else None,
            "digest": str(f.get("digest") or ""),
        }

    def published(self, entry: Entry) -> Iterator[tuple[str, Row]]:
        """The rules of a version that took effect."""
        digest = str(entry.fields.get("digest", ""))
        policy = self._policy(digest)
        row = self.look("policy", digest) or {}
        for rule in policy.rules if policy else ():
            yield (
                "rule",
                _placed("rule", entry)
                | {
                    "policy": digest,
                    "rule": rule.id,
                    "verdict": rule.verdict,
                    "file": rule.file,
                    "line": rule.line,
                    "kinds": _joined(sorted(rule.kinds)),
                    "programs_n": len(rule.programs) if rule.programs is not None else None,
                    "requires": rule.asks.approve if rule.asks else "",
                    "until_s": _seconds(rule.until),
                    "lifts": _joined(rule.lifts),
                    "because_sha": _sha(rule.because),
                    "replaced_s": _seconds(row.get("until")),
                },
            )

    def session(self, entry: Entry) -> Iterator[tuple[str, Row]]:
        """An agent's run."""
        f = {name: self.opened(value) for name, value in entry.fields.items()}
        now = self.look("session", entry.session or "") or {}
        opener = f.get("opener") or {}
        row = _placed("session", entry) | {
            name: value for name, value in _who(f).items() if name in blank("session")
        }
        yield (
            "session",
            row
            | {
                "opener": opener.get("holder") or "",
                "credential": opener.get("credential") or "",
                "machine": opener.get("machine") or "",
                "chain_n": len(f.get("chain") or ()),
                "closed_s": _seconds(now.get("closed")),
                "count_n": now.get("count"),
                "stopped_s": _seconds(now.get("stopped")),
                "stopped_by": now.get("stopped_by") or "",
            },
        )

    def reconciled(self, entry: Entry) -> Iterator[tuple[str, Row]]:
        """The events of a target's own log, as they were compared."""
        found, f = self.opened(entry.fields.get("seen")), entry.fields
        for one in seen.given_back(found) if found else ():
            yield (
                "target_event",
                _placed("target_event", entry)
                | {
                    **{name: str(f.get(name) or "") for name in ("source", "target")},
                    "event": one.line,
                    "happened_s": one.time // 1000,
                    "credential": one.credential,
                    "agent": one.agent,
                    "tag": {"tagged": one.action, "in_session": one.session}.get(one.how, ""),
                    "action": one.action,
                    "session": one.session,
                    "how": one.how,
                    "events_n": one.count,
                    "stmt_sha": one.statement,
                    "row_count": one.rows,
                },
            )

    def finding(self, entry: Entry) -> Iterator[tuple[str, Row]]:
        """What was observed that should not be."""
        f = {name: self.opened(value) for name, value in entry.fields.items()}
        now = self.look("finding", str(f.get("id"))) or {}
        subject, why = f.get("subject") or {}, now.get("explanation") or f.get("explanation") or {}
        size = f.get("magnitude") or {}
        yield (
            "finding",
            _placed("finding", entry)
            | {
                "finding": f.get("id", ""),
                **{name: str(f.get(name) or "") for name in ("kind", "area")},
                "severity": str(now.get("severity") or f.get("severity") or ""),
                **{name: _name(subject.get(name)) for name in ("agent", "person", "action")},
                "session": entry.session or _name(subject.get("session")),
                "grade": str(why.get("grade") or "NONE"),
                "change": str(why.get("change") or ""),
                "since_s": _seconds((f.get("since") or {}).get("earliest")),
                **{name: _float(size.get(name)) for name in ("value", "baseline", "evidence")},
                "state": str(now.get("state") or "open"),
                "seen_s": _seconds(now.get("seen")),
                "closed_s": _seconds(now.get("closed")),
            },
        )


_MAKERS: dict[str, Callable[[Shaper, Entry], Iterable[tuple[str, Row]]]] = {
    "action.decided": Shaper.action,
    "request.opened": Shaper.request,
    "approval.given": Shaper.approval,
    "policy.published": Shaper.published,
    "session.opened": Shaper.session,
    "finding.opened": Shaper.finding,
    "source.reconciled": Shaper.reconciled,
}


def owner(entry: Entry, look: Look) -> Iterator[int]:
    """Indexes of earlier entries whose rows change by *entry*."""
    f = entry.fields
    for kind, name in (("action", "action"), ("request", "request"), ("finding", "finding")):
        row = look(kind, f[name]) if isinstance(f.get(name), str) else None
        if row is not None and "entry" in row:
            yield int(row["entry"])
            if kind == "request" and row.get("action"):
                action = look("action", row["action"])
                yield from (int(action["entry"]),) if action else ()
    if entry.type in ("session.closed", "session.stopped"):
        session = look("session", entry.session or "")
        yield from (int(session["entry"]),) if session else ()


def needed(requires: str) -> int | None:
    """How many people a requirement takes; None where its text is not understood."""
    try:
        return sum(stage.need for stage in parse_requirement(requires).stages)
    except InvalidRequirement:
        return None


def _placed(table: str, entry: Entry) -> Row:
    row: Row = blank(table) | {"entry": entry.index, "ts_s": entry.time // 1000}
    if "session" in row:
        row["session"] = entry.session or ""
    return row


def _event(entry: Entry) -> Row:
    f = entry.fields
    return _placed("event", entry) | {
        "ts_ms": entry.time,
        "type": entry.type,
        "n": entry.n,
        "object": _object(f, _OBJECTS),
        "person": _name(f.get("by") or f.get("person")),
        "request": _name(f.get("request")),
        "action": _name(f.get("action")),
        "gate": _name(f.get("gate")),
        "state": next(
            (str(f[k]) for k in ("outcome", "verdict", "state", "choice", "code", "ok") if k in f), ""
        ),
        "missing_n": len(leaf.read_header(entry.leaf)._sd) - len(f),
    }


def _who(f: Row) -> Row:
    agent, human, gate = f.get("agent") or {}, f.get("human") or {}, f.get("gate") or {}
    return {
        "agent": agent.get("name", ""),
        "client": agent.get("client", ""),
        "client_version": agent.get("version", ""),
        "model": agent.get("model", ""),
        "owner": agent.get("owner") or "",
        "person": human.get("person", ""),
        "person_how": human.get("how", ""),
        "definition": f.get("definition") or "",
        "parent": next(iter(f.get("parents") or ()), ""),
        "missing": _joined(f.get("missing") or ()),
        "instruction_sha": _sha((f.get("instruction") or {}).get("text")),
        "reasoning_sha": _sha((f.get("reasoning") or {}).get("text")),
        "gate": gate.get("name", ""),
        "assurance": gate.get("assurance", ""),
    }


def _what(f: Row) -> Row:
    action, reading = f.get("action") or {}, f.get("reading") or {}
    steps = reading.get("steps") or ()
    effects = [effect for step in steps for effect in step.get("effects", ())]
    programs = list(dict.fromkeys(step["program"] for step in steps))
    content = action.get("content")
    return {
        "action": f.get("id", ""),
        "digest": f.get("digest", ""),
        "stmt_sha": canonical.digest(content)[7:39] if content else "",
        "target": action.get("target", ""),
        "kind": f.get("kind", ""),
        "program": programs[0] if programs else "",
        "programs": _joined(programs),
        "steps": len(steps),
        "complete": int(bool(reading.get("complete")) and not reading.get("unread")),
        "category": category(f.get("kind", ""), effects),
        "effects": _joined(sorted({f"{one['verb']}:{one['zone']}" for one in effects})),
        "verbs": _joined(sorted({one["verb"] for one in effects})),
        "zones": _joined(sorted({one["zone"] for one in effects})),
        "labels": _joined(sorted({label for one in effects for label in one.get("labels", ())})),
        "hosts": len({one["what"] for one in effects if one["zone"] in ("network", "loopback")}),
        "facts": _joined(sorted(f.get("facts") or {})),
        "verdict": f.get("verdict", ""),
    }


def category(kind: str, effects: list[Row]) -> str:
    """What an action counts as in its agent's mix: its kind and strongest effect, with that one's labels."""
    if not effects:
        return kind
    known = [one for one in effects if one["verb"] in _STRONGEST] or effects
    most = min(known, key=lambda one: (_rank(one["verb"]), one["zone"], one.get("labels") or []))
    marks = "".join(f" {label}" for label in most.get("labels") or ())
    return f"{kind} {most['verb']}:{most['zone']}{marks}"


def _rank(verb: str) -> int:
    return _STRONGEST.index(verb) if verb in _STRONGEST else len(_STRONGEST)


def _people(request: Row | None) -> Row:
    """What people did about a request."""
    if not request:
        return {
            "request": "",
            "state": "",
            "tier": "",
            "approvers": "",
            "approvers_n": 0,
            "signed_n": 0,
            "waited_s": None,
        }
    good = [one for one in request.get("approvals", ()) if one["choice"] == "approve" and not one.get("void")]
    names = sorted({one["person"] for one in good})
    return {
        "request": request["id"],
        "state": _state(request),
        "tier": (request.get("risk") or {}).get("tier", ""),
        "approvers": _joined(names),
        "approvers_n": len(names),
        "signed_n": len({one["person"] for one in good if one.get("key")}),
        "waited_s": _waited(request),
        **({"breakglass": 1} if request.get("breakglass") else {}),
    }


def _state(request: Row | None) -> str:
    return str(request["state"]) if request else ""


def _waited(request: Row | None) -> float | None:
    return (request["ended"] - request["opened"]) / 1000 if request and request.get("ended") else None


def _object(f: Mapping[str, Any], names: Iterable[str]) -> str:
    return next((name for name in (_name(f.get(one)) for one in names) if name), "")


def _name(value: Any) -> str:
    """A name: the text itself, or the `name` or `id` of what it names; nothing else is shown."""
    if isinstance(value, dict):
        value = value.get("name") or value.get("id")
    return value if isinstance(value, str) and len(value) <= 200 else ""


def _joined(words: Iterable[str]) -> str:
    return " ".join(words)


def _seconds(ms: Any) -> int | None:
    return int(ms) // 1000 if isinstance(ms, int | float) and not isinstance(ms, bool) else None


def _thousandth(ms: Any) -> float | None:
    return ms / 1000 if isinstance(ms, int | float) else None


def _float(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _sha(text: Any) -> str:
    return (
        sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        if isinstance(text, str) and text
        else ""
    )


__all__ = ["CHANGES", "Look", "Shaper", "category", "needed", "owner"]
