"""Entries as rows of the evidence tables: each row follows from one entry alone, so the entry's proof proves the row.

Rules kept here:

- Pure, and the standard library alone: Keyturn makes the tables of a pack with these functions, `verify.py` makes them again from
  the pack's log, and both must give the same bytes. Whatever needs two entries is a join, and stands in a query.
- The first two columns of every table are `entry`, its index in the log, and `ts_ms`, when it was recorded.
- Text that there is none of is '', a number that there is none of is None; yes and no are 1 and 0; lists are joined by a blank;
  times are milliseconds since 1970 (UTC). No column holds what an agent was told, thought or would run, nor a person's free text.
- A field without which a row says too little, and that is not disclosed, gives a row of `blind`: a test that rests on it is
  not passed by what it can't see.
"""

import re
from hashlib import sha256

INTEGER, REAL, TEXT = "INTEGER", "REAL", "TEXT"
REMEMBERED = 512
"""Values of one kind of which is kept what rows are made of."""
LONGEST = 200
"""Characters of a name; in place of a longer one stands its digest."""

_AT = (("entry", INTEGER, "index of the entry in the log"), ("ts_ms", INTEGER, "when it was recorded"))


def _table(*columns):
    return (*_AT, *columns)


TABLES = {
    "event": _table(
        ("type", TEXT, "the entry's type"),
        ("session", TEXT, "session that it belongs to"),
        ("n", INTEGER, "its number in that session"),
        ("fields_n", INTEGER, "how many fields it has"),
        ("withheld_n", INTEGER, "how many of them are not disclosed"),
    ),
    "action": _table(
        ("action", TEXT, "its id"),
        ("session", TEXT, "its session"),
        ("digest", TEXT, "the action digest: what would happen, under which policy and definition"),
        ("kind", TEXT, "shell, sql, http, tool, file"),
        ("verdict", TEXT, "run, hold, refuse"),
        ("would", TEXT, "what enforce mode would have answered"),
        ("mode", TEXT, "observe or enforce"),
        ("agent", TEXT, "the agent"),
        ("client", TEXT, "program that runs it"),
        ("owner", TEXT, "who owns the agent"),
        ("person", TEXT, "on whose behalf it acts"),
        ("person_how", TEXT, "how that is known: os-uid, token, declared"),
        ("definition", TEXT, "digest of what the agent is"),
        ("gate", TEXT, "gate that asked"),
        ("assurance", TEXT, "the gate's level"),
        ("policy", TEXT, "version that decided"),
        ("published", TEXT, "version in force, where a workspace has rules of its own beside it"),
        ("rules", TEXT, "rules that decided"),
        ("reasons_n", INTEGER, "reasons that it was given"),
        ("requires", TEXT, "what policy asks of people, where it holds"),
        ("needed_n", INTEGER, "how many people that is"),
        ("asked_assurance", TEXT, "how they have to approve: click, signed"),
        ("missing", TEXT, "parts of the attribution that were not given"),
        ("instructed", INTEGER, "1 where a human's instruction is recorded"),
        ("reasoned", INTEGER, "1 where the agent's reasoning is recorded"),
        ("permit", TEXT, "permit that left with the decision"),
        ("expires_ms", INTEGER, "until when that permit is good"),
        ("complete", INTEGER, "1 where it was read to the last byte"),
        ("programs", TEXT, "programs of its steps"),
        ("verbs", TEXT, "verbs of its effects"),
        ("zones", TEXT, "zones of its effects"),
        ("effects", TEXT, "verb:zone of its effects"),
        ("labels", TEXT, "labels of what it touches"),
        ("changed", TEXT, "labels of what it changes, and does not only read"),
        ("facts", TEXT, "facts of drift that policy knew"),
        ("counted_n", INTEGER, "counters of limits that it adds to"),
        ("exceeded_n", INTEGER, "limits that it would exceed"),
        ("sealed", INTEGER, "1 where secrets were taken out of it"),
        ("parents_n", INTEGER, "sessions above its own"),
        ("part_of", TEXT, "action that was allowed, of whose code it is a part"),
    ),
    "permit": _table(
        ("event", TEXT, "issued, consumed, refused; one that left with a decision is issued there"),
        ("permit", TEXT, "its id"),
        ("action", TEXT, "action that it is for"),
        ("request", TEXT, "request that it came from"),
        ("gate", TEXT, "gate that it is for, or that used it"),
        ("digest", TEXT, "digest that it is for"),
        ("expires_ms", INTEGER, "until when it is good"),
        ("code", TEXT, "why it was refused"),
    ),
    "receipt": _table(
        ("action", TEXT, "action"),
        ("session", TEXT, "session"),
        ("permit", TEXT, "permit under which it ran"),
        ("outcome", TEXT, "done, failed, not-run, unknown"),
        ("ran", TEXT, "digest of what really ran"),
        ("exit_code", INTEGER, "the program's"),
        ("row_count", INTEGER, "rows that it read or changed"),
        ("byte_count", INTEGER, "bytes that it gave out"),
    ),
    "started": _table(
        ("action", TEXT, "action that a hook allowed"),
        ("gate", TEXT, "gate that saw it start"),
    ),
    "request": _table(
        ("request", TEXT, "its id"),
        ("subject", TEXT, "action, plan, or what would be changed"),
        ("action", TEXT, "the action"),
        ("session", TEXT, "session"),
        ("digest", TEXT, "digest of what is asked for"),
        ("kind", TEXT, "kind of the action"),
        ("policy", TEXT, "version under which it was held"),
        ("initiator", TEXT, "on whose behalf it is asked for"),
        ("owner", TEXT, "owner of the agent"),
        ("agent", TEXT, "the agent"),
        ("gate", TEXT, "gate that asked"),
        ("requires", TEXT, "what is asked of people"),
        ("needed_n", INTEGER, "how many people that is"),
        ("assurance", TEXT, "how they have to approve"),
        ("tier", TEXT, "its risk: low, medium, high, critical"),
        ("reason_required", INTEGER, "1 where they have to say why"),
        ("ticket_required", INTEGER, "1 where an approved change must be named"),
        ("expires_ms", INTEGER, "until when it waits"),
        ("parties", TEXT, "people who can't approve it: behind the sessions above"),
        ("authors", TEXT, "people who wrote what would be changed, or what decided"),
        ("uids", TEXT, "operating-system accounts (uid:0) behind it, whose owners can't approve it either"),
        ("extra_n", INTEGER, "people more that it takes, one a stage, where nobody knows who asked"),
    ),
    "ended": _table(
        ("request", TEXT, "the request"),
        ("state", TEXT, "approved, denied, expired, withdrawn, superseded"),
        ("by", TEXT, "who ended it"),
    ),
    "placed": _table(
        ("request", TEXT, "an approved request"),
        ("person", TEXT, "who filled a place of what it required"),
        ("stage", INTEGER, "which stage"),
    ),
    "approval": _table(
        ("request", TEXT, "the request"),
        ("person", TEXT, "who decided"),
        ("choice", TEXT, "approve or deny"),
        ("digest", TEXT, "digest that was decided on"),
        ("display", TEXT, "digest of what was shown"),
        ("policy", TEXT, "version it was given under"),
        ("channel", TEXT, "where: page, terminal, slack"),
        ("assurance", TEXT, "what was verified: click, signed"),
        ("signed", INTEGER, "1 with a signature, or a provider's word, over the statement"),
        ("key", TEXT, "the key"),
        ("on_behalf", TEXT, "people for whom they stood in"),
        ("nonce", TEXT, "its nonce"),
        ("grant_for", TEXT, "how far it goes: once, 600s, break-glass"),
        ("reasoned", INTEGER, "1 with a reason"),
        ("ticketed", INTEGER, "1 with a ticket that was looked up"),
        ("dwell_ms", INTEGER, "how long the page says it was visible"),
        ("looked_ms", INTEGER, "time since it was first served to that person"),
        ("batch", INTEGER, "1 where it was decided together with others"),
    ),
    "voice": _table(
        ("request", TEXT, "the request"),
        ("person", TEXT, "who approved"),
        ("voice", TEXT, "they themselves, or somebody for whom they stood in: together one voice"),
    ),
    "drill": _table(
        ("request", TEXT, "the request that was a drill"),
        ("person", TEXT, "who decided it; empty: nobody"),
        ("choice", TEXT, "approve or deny"),
        ("caught", INTEGER, "1 where it was seen through"),
    ),
    "grant_event": _table(
        ("event", TEXT, "opened, used, revoked"),
        ("grant_id", TEXT, "the grant"),
        ("request", TEXT, "request that it came from"),
        ("action", TEXT, "action that it came from, or that ran under it"),
        ("digest", TEXT, "digest that it is for"),
        ("requires", TEXT, "what was asked of people"),
        ("needed_n", INTEGER, "how many people that is"),
        ("approvers", TEXT, "who gave it"),
        ("agent", TEXT, "whom it is for"),
        ("session", TEXT, "the only session where it holds; empty: any"),
        ("ends_ms", INTEGER, "until when it holds"),
        ("uses", INTEGER, "at most so many times; 0 for no limit"),
        ("by", TEXT, "who revoked it"),
    ),
    "plan_event": _table(
        ("event", TEXT, "opened, advanced, stopped, ended"),
        ("plan_id", TEXT, "the plan"),
        ("request", TEXT, "request that it came from"),
        ("action", TEXT, "action that was let go, or that left it"),
        ("requires", TEXT, "what was asked of people"),
        ("needed_n", INTEGER, "how many people that is"),
        ("approvers", TEXT, "who approved it"),
        ("steps", INTEGER, "how many steps it has"),
        ("ends_ms", INTEGER, "until when it holds"),
        ("by", TEXT, "who revoked it"),
        ("step", INTEGER, "number of the step that was let go"),
    ),
    "plan_step": _table(
        ("plan_id", TEXT, "the plan"),
        ("step", INTEGER, "number of a step that needs people"),
        ("digest", TEXT, "digest that it is for"),
    ),
    "breakglass": _table(
        ("event", TEXT, "used or reviewed"),
        ("use_id", TEXT, "the use"),
        ("request", TEXT, "request that was released"),
        ("action", TEXT, "its action"),
        ("person", TEXT, "who released it, or who reviewed that"),
        ("verdict", TEXT, "justified or unjustified"),
        ("assurance", TEXT, "what was verified"),
        ("review_by_ms", INTEGER, "until when it has to be reviewed"),
    ),
    "session": _table(
        ("session", TEXT, "its id"),
        ("agent", TEXT, "the agent"),
        ("client", TEXT, "program that runs it"),
        ("owner", TEXT, "owner of the agent"),
        ("person", TEXT, "the person"),
        ("person_how", TEXT, "how that is known"),
        ("definition", TEXT, "digest of what the agent is"),
        ("gate", TEXT, "gate"),
        ("assurance", TEXT, "the gate's level"),
        ("parent", TEXT, "session that it was started from"),
        ("holder", TEXT, "who speaks for it"),
        ("credential", TEXT, "credential that opened it"),
        ("machine", TEXT, "machine that it was opened from"),
        ("chain_n", INTEGER, "people behind the agent's token"),
    ),
    "closed": _table(
        ("event", TEXT, "closed or stopped"),
        ("session", TEXT, "the session"),
        ("count_n", INTEGER, "entries that it says it has"),
        ("by", TEXT, "who stopped it"),
    ),
    "change": _table(
        ("type", TEXT, "the entry's type"),
        ("kind", TEXT, "policy, person, key, gate, credential, definition, configuration…"),
        ("object", TEXT, "what was changed"),
        ("agent", TEXT, "agent that it is about"),
        ("by", TEXT, "who did it"),
        ("request", TEXT, "request under which it was approved"),
        ("genesis", INTEGER, "1 for what a house begins with"),
        ("alone", INTEGER, "1 where there was nobody else to approve it"),
        ("gains", INTEGER, "1 where it names groups, roles or accounts"),
        ("digest", TEXT, "digest of what it is now"),
    ),
    "person": _table(
        ("event", TEXT, "enrolled, changed, removed, restored"),
        ("person", TEXT, "the person's id"),
        ("roles", TEXT, "roles, where they are named"),
        ("groups", TEXT, "groups, where they are named"),
        ("names", TEXT, "which of roles and groups are named"),
        ("by", TEXT, "who did it"),
        ("request", TEXT, "request under which it was approved"),
        ("alone", INTEGER, "1 where there was nobody else to approve it"),
    ),
    "holds": _table(
        ("person", TEXT, "the person's id"),
        (
            "kind",
            TEXT,
            "role, group, account (at a provider), uid (of a machine), mistake (an account said never to be theirs)",
        ),
        ("what", TEXT, "which; empty for the row that says that this kind is named"),
    ),
    "person_key": _table(
        ("event", TEXT, "enrolled or revoked"),
        ("key", TEXT, "the key's id"),
        ("person", TEXT, "whose it is"),
        ("form", TEXT, "passkey or ssh"),
        ("provider", INTEGER, "1 where an identity provider's token commits to it"),
        ("attested", INTEGER, "1 where the device is attested"),
        ("genesis", INTEGER, "1 for the first person's key, which nobody approved"),
        ("request", TEXT, "request under which it was approved"),
        ("by", TEXT, "who revoked it"),
    ),
    "gate_event": _table(
        ("event", TEXT, "enrolled, started, removed"),
        ("gate", TEXT, "the gate"),
        ("assurance", TEXT, "its level"),
        ("version", TEXT, "its version"),
        ("by", TEXT, "who did it"),
    ),
    "heartbeat": _table(
        ("number", INTEGER, "counts the heartbeats of one run of the server, from 1"),
        ("since_ms", INTEGER, "what it speaks for begins here"),
        ("interval_s", INTEGER, "when the next one is due"),
        ("gates", TEXT, "gates that asked since the one before"),
        ("silent", TEXT, "gates that should have and did not"),
    ),
    "credential": _table(
        ("event", TEXT, "issued, rotated, revoked"),
        ("credential", TEXT, "its id"),
        ("kind", TEXT, "gate, agent, person"),
        ("name", TEXT, "whose"),
        ("form", TEXT, "signed, opaque, certificate, spiffe"),
        ("person", TEXT, "for whom an agent acts"),
        ("owner", TEXT, "who answers for it"),
        ("expires_ms", INTEGER, "until when it is good"),
        ("parent", TEXT, "credential it was made from"),
        ("next", TEXT, "the one in its place"),
        ("by", TEXT, "who did it"),
    ),
    "policy": _table(
        ("event", TEXT, "proposed or published"),
        ("policy", TEXT, "digest of the version"),
        ("mode", TEXT, "observe or enforce"),
        ("by", TEXT, "who did it"),
        ("request", TEXT, "request under which it was approved"),
        ("genesis", INTEGER, "1 for the first one, which nobody approved"),
        ("tests_n", INTEGER, "test files in it"),
        ("replayed", INTEGER, "1 where it was tried on the recorded past"),
    ),
    "finding": _table(
        ("finding", TEXT, "its id"),
        ("kind", TEXT, "its kind"),
        ("area", TEXT, "policy area"),
        ("severity", TEXT, "low, medium, high, critical"),
        ("agent", TEXT, "agent that it is about"),
        ("person", TEXT, "person that it is about"),
        ("session", TEXT, "session"),
        ("action", TEXT, "action"),
        ("credential", TEXT, "credential"),
        ("grade", TEXT, "how sure the explanation is"),
        ("state", TEXT, "open, or explained at once"),
        ("since_ms", INTEGER, "when it began, at the earliest"),
    ),
    "finding_move": _table(
        ("event", TEXT, "viewed, acknowledged, explained, accepted, closed, reopened"),
        ("finding", TEXT, "the finding"),
        ("by", TEXT, "who; empty: the server"),
        ("apart", INTEGER, "1 where they have no part in it"),
        ("reasoned", INTEGER, "1 with a reason"),
        ("outcome", TEXT, "fixed, explained, false-alarm"),
        ("change", TEXT, "approved change that explains it"),
        ("until_ms", INTEGER, "until when it is accepted"),
    ),
    "response": _table(
        ("event", TEXT, "begun or lifted"),
        ("response", TEXT, "its id"),
        ("finding", TEXT, "the finding"),
        ("does", TEXT, "step-up, suspend, stop"),
        ("about_kind", TEXT, "agent, definition, session"),
        ("about", TEXT, "which"),
        ("ends_ms", INTEGER, "when it ends by itself; 0: when people lift it"),
        ("request", TEXT, "request that lifted it"),
        ("by", TEXT, "who asked for that"),
    ),
    "reconciled": _table(
        ("run", TEXT, "its id"),
        ("source", TEXT, "whose log"),
        ("target", TEXT, "the target"),
        ("by", TEXT, "who gave it"),
        ("since_ms", INTEGER, "the period that was judged, by the target's clock"),
        ("until_ms", INTEGER, "its end"),
        ("skew_ms", INTEGER, "the target's clock minus ours"),
        ("lines_n", INTEGER, "lines read"),
        ("broken_n", INTEGER, "lines that could not be read"),
        ("events_n", INTEGER, "what agents' accounts did"),
        ("accounted_n", INTEGER, "of these, with an action behind it"),
        ("bypasses_n", INTEGER, "of these, without one"),
        ("missing_n", INTEGER, "actions that the target did not see"),
        ("stopped", INTEGER, "1 where reading stopped early"),
    ),
    "definition": _table(
        ("event", TEXT, "seen, approved, withdrawn"),
        ("agent", TEXT, "the agent"),
        ("digest", TEXT, "what it is"),
        ("place", TEXT, "where it works"),
        ("told", INTEGER, "1 where the gate told its parts"),
        ("by", TEXT, "who"),
        ("request", TEXT, "request under which it was approved"),
    ),
    "configuration": _table(
        ("event", TEXT, "seen or approved"),
        ("source", TEXT, "what kind of target"),
        ("target", TEXT, "the target"),
        ("digest", TEXT, "its state"),
        ("changed_n", INTEGER, "fields that changed since the look before"),
        ("drifted_n", INTEGER, "fields that differ from what people approved"),
        ("first", INTEGER, "1 at the first look"),
        ("grade", TEXT, "how sure the explanation is"),
        ("change", TEXT, "approved change that explains it"),
        ("request", TEXT, "request under which a change was approved"),
        ("opens_ms", INTEGER, "begin of its window"),
        ("closes_ms", INTEGER, "end of its window"),
        ("by", TEXT, "who"),
    ),
    "artefact": _table(
        ("event", TEXT, "written, deleted"),
        ("artefact", TEXT, "its id"),
        ("rule", TEXT, "retention rule"),
        ("labels", TEXT, "labels of what it was made of"),
        ("due_ms", INTEGER, "by when it has to be gone"),
        ("action", TEXT, "action that wrote or deleted it"),
        ("how", TEXT, "how its deletion is known: action, attested, scan"),
        ("by", TEXT, "who said so"),
    ),
    "labelled": _table(
        ("session", TEXT, "session that labelled data came into"),
        ("labels", TEXT, "its labels"),
        ("action", TEXT, "action that read it"),
    ),
    "erasure": _table(
        ("erasure", TEXT, "its id"),
        ("scope", TEXT, "person, session, action"),
        ("until_entry", INTEGER, "entries before this one"),
        ("fields_n", INTEGER, "fields that were erased"),
        ("entries_n", INTEGER, "entries that they stood in"),
        ("request", TEXT, "request under which it was approved"),
        ("by", TEXT, "who asked"),
        ("reasoned", INTEGER, "1 with a reason"),
        ("subject", TEXT, "what it was about"),
    ),
    "hold": _table(
        ("event", TEXT, "placed or lifted"),
        ("hold", TEXT, "the legal hold"),
        ("scope", TEXT, "everything, person, session, agent, label"),
        ("subject", TEXT, "what it is about"),
        ("request", TEXT, "request under which it was lifted"),
        ("by", TEXT, "who"),
    ),
    "probe": _table(
        ("gate", TEXT, "gate that was probed"),
        ("client", TEXT, "its client"),
        ("stopped", INTEGER, "1 where the client stopped when told to"),
    ),
    "login": _table(
        ("event", TEXT, "opened, refused, closed"),
        ("person", TEXT, "who"),
        ("how", TEXT, "link or provider"),
        ("expires_ms", INTEGER, "until when"),
    ),
    "delegation": _table(
        ("event", TEXT, "opened or ended"),
        ("delegation", TEXT, "its id"),
        ("person", TEXT, "who hands over"),
        ("deputy", TEXT, "who stands in"),
        ("groups", TEXT, "whose places"),
        ("since_ms", INTEGER, "from when"),
        ("until_ms", INTEGER, "until when"),
        ("by", TEXT, "who ended it"),
    ),
    "oncall": _table(
        ("group_name", TEXT, "the group"),
        ("people_n", INTEGER, "how many are on call"),
        ("until_ms", INTEGER, "until when that is known"),
    ),
    "notice": _table(
        ("event", TEXT, "sent or failed"),
        ("about", TEXT, "request, or use of break-glass"),
        ("phase", TEXT, "opened, reminded, changed, ended, alarm"),
        ("channel", TEXT, "channel"),
        ("person", TEXT, "receiver; empty for a shared place"),
        ("final", INTEGER, "1 where it is given up"),
    ),
    "review": _table(
        ("policy", TEXT, "version whose rules are up for review"),
        ("rules_n", INTEGER, "how many"),
        ("by", TEXT, "who; empty: the server"),
    ),
    "access_review": _table(
        ("review", TEXT, "its id"),
        ("by", TEXT, "who looked"),
        ("person", TEXT, "at whose rights"),
        ("admin", INTEGER, "1 where that is an administrator"),
        ("own", INTEGER, "1 where that is who looked"),
    ),
    "clock": _table(
        ("clock_ms", INTEGER, "what the clock said"),
        ("log_ms", INTEGER, "time of the entry before"),
    ),
    "tested": _table(
        ("run", TEXT, "the run's id"),
        ("since_ms", INTEGER, "begin of the period"),
        ("until_ms", INTEGER, "its end"),
        ("size", INTEGER, "entries that it looked at"),
        ("test", TEXT, "the test"),
        ("query", TEXT, "digest of its text"),
        ("population", INTEGER, "members"),
        ("exceptions", INTEGER, "exceptions"),
        ("untested", INTEGER, "members that can't be tested"),
        ("verdict", TEXT, "pass, fail, not-tested, no-population"),
    ),
    "exported": _table(
        ("pack", TEXT, "its id"),
        ("framework", TEXT, "the framework"),
        ("since_ms", INTEGER, "begin of the period"),
        ("until_ms", INTEGER, "its end"),
        ("size", INTEGER, "entries when it was asked for"),
        ("disclosure", TEXT, "digests or content"),
        ("by", TEXT, "who made it"),
        ("auditor", TEXT, "for whom"),
    ),
    "viewed": _table(
        ("by", TEXT, "who read"),
        ("what", TEXT, "controls, control, pack, entry, proof"),
        ("of", TEXT, "which"),
        ("times", INTEGER, "how often within the hour"),
    ),
    "blind": _table(
        ("type", TEXT, "the entry's type"),
        (
            "field",
            TEXT,
            "field that is not disclosed, without which its row says too little; empty: one that nobody withholds by rule",
        ),
    ),
}
"""Table → columns (name, type, meaning)."""

NAMES = {table: tuple(column[0] for column in columns) for table, columns in TABLES.items()}


# --- values ------------------------------------------------------------------------------------------------------


def _text(value):
    """A name. One that is too long is told from others by its digest: an agent that names itself has a name all the same."""
    if not isinstance(value, str):
        return ""
    if len(value) <= LONGEST:
        return value
    return "sha256:" + sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


def _named(value):
    """A name: the text itself, or the `name` or `id` of what it names."""
    if isinstance(value, dict):
        value = value.get("name") or value.get("id")
    return _text(value)


def _whole(value):
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53 else None


def _yes(value):
    return 1 if value else 0


def _list(value):
    return value if isinstance(value, list) else []


def _dict(value):
    return value if isinstance(value, dict) else {}


def _words(values):
    return " ".join(one for one in values if isinstance(one, str))


_NEED = re.compile(r"(?:^|[^\w.@-])(\d{1,3}) of ")


def needed(requires):
    """How many people a requirement's text takes: `2 of dba, 1 of security` are three."""
    return sum(map(int, _NEED.findall(requires))) if isinstance(requires, str) else 0


# --- one entry ---------------------------------------------------------------------------------------------------


def rows(header, fields, shown=None):
    """The rows of one entry, as (table, values) in a fixed order.

    *header*: (index, time, type, session or None, n or None, number of fields); *fields*: the disclosed ones, name → value, those
    that are kept apart (`{"blob", "size"}`) put in. *shown*: how many are disclosed, where *fields* has only those that count here.
    """
    index, time, kind, session, n, count = header
    hidden = count - (len(fields) if shown is None else shown)
    made = [("event", (index, time, kind, session or "", n, count, hidden))]
    if hidden and kind in MAKERS and hidden > _may_hide(kind, fields):
        made.append(("blind", (index, time, kind, "")))
    for name in NEEDED.get(kind, ()):
        if name not in fields:
            made.append(("blind", (index, time, kind, name)))
    maker = MAKERS.get(kind)
    if maker is not None:
        for table, values in maker(kind, session or "", fields):
            made.append((table, (index, time, *values)))
    return made


def _may_hide(kind, fields):
    """How many fields of this entry are withheld or erased at most, if nothing else is: which they are, nobody sees."""
    named = fields.keys()
    never = set() if "proof" in named or kind == "notice.sent" else {"shown"}
    if kind == "request.opened" and fields.get("subject") not in ("action", "plan"):
        never |= {"environment", "risk"}
    return sum(1 for name in MAY_HIDE.get(kind, ()) if name not in named and name not in never)


_LOOKS = ("reads", "connects")
"""Verbs that leave a thing as it is."""


def _remembered(make):
    """*make*, which looks at one value and keeps nothing: what it made of the very same object is made once.

    Readers give the same object for the same bytes, and nobody changes it. What large contents are made of is not asked for here.
    """
    known = {}

    def made(value):
        found = known.get(id(value))
        if found is not None and found[0] is value:
            return found[1]
        if len(known) >= REMEMBERED:
            known.clear()
        what = make(value)
        known[id(value)] = (value, what)
        return what

    return made


def _steps(reading):
    programs, verbs, zones, effects, labels, changed = {}, set(), set(), set(), set(), set()
    for step in _list(reading.get("steps")):
        programs[_text(step.get("program"))] = 1
        for one in _list(step.get("effects")):
            verb, zone = _text(one.get("verb")), _text(one.get("zone"))
            verbs.add(verb)
            zones.add(zone)
            effects.add(verb + ":" + zone)
            named = {name for name in _list(one.get("labels")) if isinstance(name, str)}
            labels |= named
            changed |= named if verb not in _LOOKS else set()
    return (
        _words(programs),
        _words(sorted(verbs)),
        _words(sorted(zones)),
        _words(sorted(effects)),
        _words(sorted(labels)),
        _words(sorted(changed)),
    )


def _reading_part(value):
    """complete, programs, verbs, zones, effects, labels, changed."""
    reading = _dict(value)
    return _yes(reading.get("complete") and not reading.get("unread")), *_steps(reading)


def _decision_part(value):
    """would, mode, policy, rules, reasons_n, requires, needed_n, asked_assurance (as they are if it is held), part_of."""
    decision = _dict(value)
    asks = _dict(decision.get("obligations"))
    hits = {_text(hit.get("rule")): 1 for hit in _list(decision.get("rules")) if isinstance(hit, dict)}
    requires = _text(asks.get("approve"))
    return (
        _text(decision.get("would")),
        _text(decision.get("mode")),
        _text(decision.get("policy")),
        _words(hits),
        len(_list(decision.get("reasons"))),
        requires,
        needed(requires),
        _text(asks.get("assurance")),
        decision.get("would") == "hold",
        _part_of(decision),
    )


def _agent_part(value):
    agent = _dict(value)
    return _text(agent.get("name")), _text(agent.get("client")), _text(agent.get("owner"))


def _human_part(value):
    human = _dict(value)
    return _text(human.get("person")), _text(human.get("how"))


def _gate_part(value):
    gate = _dict(value)
    return _text(gate.get("name")), _text(gate.get("assurance"))


_AFRESH = (_reading_part, _decision_part, _agent_part, _human_part, _gate_part)
_ONCE = tuple(map(_remembered, _AFRESH))


def _action(kind, session, f):
    # values that lie apart are larger than what is worth keeping
    reading_of, decision_of, agent_of, human_of, gate_of = _ONCE if type(f) is dict else _AFRESH
    complete, programs, verbs, zones, effects, labels, changed = reading_of(f.get("reading"))
    would, mode, policy, hits, reasons_n, requires, needed_n, assurance, held, part_of = decision_of(
        f.get("decision")
    )
    agent, client, owner = agent_of(f.get("agent"))
    person, how = human_of(f.get("human"))
    gate, level = gate_of(f.get("gate"))
    permit = _dict(f.get("permit"))
    verdict = _text(f.get("verdict"))
    if verdict != "hold" and not held:
        requires, needed_n, assurance = "", 0, ""
    missing = _list(f.get("missing"))
    yield (
        "action",
        (
            _text(f.get("id")),
            session,
            _text(f.get("digest")),
            _text(f.get("kind")),
            verdict,
            would,
            mode,
            agent,
            client,
            owner,
            person,
            how,
            _text(f.get("definition")),
            gate,
            level,
            policy,
            _text(f.get("published")),
            hits,
            reasons_n,
            requires,
            needed_n,
            assurance,
            _words(missing),
            _yes("instruction" not in missing),
            _yes("reasoning" not in missing),
            _text(permit.get("id")),
            _whole(permit.get("expires")),
            complete,
            programs,
            verbs,
            zones,
            effects,
            labels,
            changed,
            _words(sorted(_dict(f.get("facts")))),
            len(_list(_dict(f.get("limits")).get("counts"))),
            len(_list(f.get("exceeded"))),
            _yes(f.get("sealed")),
            len(_list(f.get("parents"))),
            part_of,
        ),
    )


_PART = re.compile(r"It is part of (a_\w+), which was allowed and runs code\.")


def _part_of(decision):
    """The action that the first reason names, where policy lets something run as a part of one that was allowed."""
    reason = next(iter(_list(decision.get("reasons"))), "")
    found = _PART.fullmatch(reason) if isinstance(reason, str) else None
    return found[1] if found else ""


def _permit(kind, session, f):
    given = f.get("permit")
    yield (
        "permit",
        (
            kind[7:],
            _named(given),
            _text(f.get("action")),
            _text(f.get("request")),
            _text(f.get("gate")),
            _text(f.get("digest")),
            _whole(_dict(given).get("expires")),
            _text(f.get("code")),
        ),
    )


def _receipt(kind, session, f):
    yield (
        "receipt",
        (
            _text(f.get("action")),
            session,
            _text(f.get("permit")),
            _text(f.get("outcome")),
            _text(f.get("ran")),
            _whole(f.get("exit_code")),
            _whole(f.get("rows")),
            _whole(f.get("output_bytes")),
        ),
    )


def _started(kind, session, f):
    yield "started", (_text(f.get("action")), _text(f.get("gate")))


def _request(kind, session, f):
    asks = _dict(f.get("obligations"))
    requires = _text(asks.get("approve"))
    decision = _dict(f.get("decision"))
    human = _dict(_dict(f.get("attribution")).get("human"))
    parties = _list(f.get("party_uids"))
    uids = {f.get("initiator_uid"), human.get("os_uid"), *filter(_is_uid, parties)}
    account = human.get("os_uid") if "attribution" in f else next(iter(parties), None)
    known = f.get("initiator") or _is_uid(f.get("initiator_uid")) or _is_uid(account)
    yield (
        "request",
        (
            _text(f.get("id")),
            _text(f.get("subject")),
            _text(f.get("action")),
            session,
            _text(f.get("digest")),
            _text(f.get("kind")),
            _text(f.get("policy")) or _text(decision.get("policy")),
            _text(f.get("initiator")),
            _text(f.get("owner")),
            _named(f.get("agent")),
            _named(f.get("gate")),
            requires,
            needed(requires),
            _text(asks.get("assurance")),
            _text(_dict(f.get("risk")).get("tier")),
            _yes(asks.get("reason_required")),
            _yes(asks.get("ticket_required")),
            _whole(f.get("expires")),
            _words(_list(f.get("parties"))),
            _words(_list(f.get("authors"))),
            _words(f"uid:{uid}" for uid in sorted(filter(_is_uid, uids))),
            0 if known else len(_NEED.findall(requires)),
        ),
    )


def _is_uid(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _ended(kind, session, f):
    yield "ended", (_text(f.get("request")), _text(f.get("state")), _text(f.get("by")))
    for one in _list(f.get("placed")):
        if isinstance(one, list) and len(one) == 2:
            yield "placed", (_text(f.get("request")), _text(one[0]), _whole(one[1]))


def _approval(kind, session, f):
    gesture = _dict(f.get("gesture"))
    yield (
        "approval",
        (
            _text(f.get("request")),
            _text(f.get("person")),
            _text(f.get("choice")),
            _text(f.get("digest")),
            _text(f.get("display")),
            _text(f.get("policy")),
            _text(f.get("channel")),
            _text(f.get("assurance")),
            _yes(f.get("proof")),
            _text(f.get("key")),
            _words(_list(f.get("on_behalf_of"))),
            _text(f.get("nonce")),
            _text(f.get("grant")),
            _yes(f.get("reason")),
            _yes(f.get("ticket")),
            _whole(gesture.get("dwell_ms")),
            _whole(gesture.get("looked_ms")),
            _yes(gesture.get("batch")),
        ),
    )
    if f.get("choice") == "approve":
        for voice in (f.get("person"), *_list(f.get("on_behalf_of"))):
            yield "voice", (_text(f.get("request")), _text(f.get("person")), _text(voice))


def _drill(kind, session, f):
    yield (
        "drill",
        (_text(f.get("request")), _text(f.get("person")), _text(f.get("choice")), _yes(f.get("caught"))),
    )


def _grant(kind, session, f):
    requires = _text(f.get("requires"))
    yield (
        "grant_event",
        (
            kind[6:],
            _text(f.get("id")) or _text(f.get("grant")),
            _text(f.get("request")),
            _text(f.get("action")),
            _text(f.get("digest")),
            requires,
            needed(requires),
            _words(_list(f.get("approvers"))),
            _named(f.get("agent")),
            _text(f.get("session")),
            _whole(f.get("ends")),
            _whole(f.get("uses")),
            _text(f.get("by")),
        ),
    )


def _plan(kind, session, f):
    requires = _text(f.get("requires"))
    yield (
        "plan_event",
        (
            kind[5:],
            _text(f.get("id")) or _text(f.get("plan")),
            _text(f.get("request")),
            _text(f.get("action")),
            requires,
            needed(requires),
            _words(_list(f.get("approvers"))),
            _whole(f.get("length")),
            _whole(f.get("ends")),
            _text(f.get("by")),
            _whole(f.get("step")),
        ),
    )
    for one in _list(f.get("places")):
        one = _dict(one)
        yield "plan_step", (_text(f.get("id")), _whole(one.get("number")), _text(one.get("digest")))


def _breakglass(kind, session, f):
    yield (
        "breakglass",
        (
            kind[11:],
            _text(f.get("id")),
            _text(f.get("request")),
            _text(f.get("action")),
            _text(f.get("person")) or _text(f.get("by")),
            _text(f.get("verdict")),
            _text(f.get("assurance")),
            _whole(f.get("review_by")),
        ),
    )


def _session(kind, session, f):
    agent, human, gate = _dict(f.get("agent")), _dict(f.get("human")), _dict(f.get("gate"))
    opener = _dict(f.get("opener"))
    yield (
        "session",
        (
            session,
            _text(agent.get("name")),
            _text(agent.get("client")),
            _text(agent.get("owner")),
            _text(human.get("person")),
            _text(human.get("how")),
            _text(f.get("definition")),
            _text(gate.get("name")),
            _text(gate.get("assurance")),
            _text(next(iter(_list(f.get("parents"))), "")),
            _text(opener.get("holder")),
            _text(opener.get("credential")),
            _text(opener.get("machine")),
            len(_list(f.get("chain"))),
        ),
    )


def _closed(kind, session, f):
    yield "closed", (kind[8:], session, _whole(f.get("count")), _text(f.get("by")))


def _change(kind, session, f):
    named = ("object", "id", "name", "credential", "key", "group", "digest", "issuer", "hold", "token")
    yield (
        "change",
        (
            kind,
            kind.partition(".")[0],
            next((name for name in (_named(f.get(one)) for one in named) if name), ""),
            _named(f.get("agent")),
            _text(f.get("by")),
            _text(f.get("request")),
            _yes(f.get("genesis") or f.get("by") == "genesis"),
            _yes(f.get("alone")),
            _yes(any(f.get(one) for one in ("groups", "roles", "accounts", "os_uids"))),
            _text(f.get("digest")),
        ),
    )


def _person(kind, session, f):
    yield from _change(kind, session, f)
    yield (
        "person",
        (
            kind[7:],
            _text(f.get("id")),
            _words(_list(f.get("roles"))),
            _words(_list(f.get("groups"))),
            _words(one for one in ("groups", "roles") if one in f),
            _text(f.get("by")),
            _text(f.get("request")),
            _yes(f.get("alone")),
        ),
    )
    for named, what in _HOLDS:
        if isinstance(f.get(named), list):
            yield "holds", (_text(f.get("id")), what, "")
            for one in f[named]:
                said = f"uid:{one}" if what == "uid" else _text(one)
                yield "holds", (_text(f.get("id")), what, said)


_HOLDS = (
    ("roles", "role"),
    ("groups", "group"),
    ("accounts", "account"),
    ("os_uids", "uid"),
    ("mistake", "mistake"),
)


def _person_key(kind, session, f):
    yield from _change(kind, session, f)
    record = _dict(f.get("record"))
    yield (
        "person_key",
        (
            kind[4:],
            _text(f.get("id")) or _text(f.get("key")),
            _text(f.get("person")) or _text(record.get("person")),
            _text(record.get("type")),
            _yes(f.get("provider")),
            _yes(f.get("attested_by")),
            _yes(f.get("genesis")),
            _text(f.get("request")),
            _text(f.get("by")),
        ),
    )


def _gate(kind, session, f):
    if kind != "gate.started":
        yield from _change(kind, session, f)
    yield (
        "gate_event",
        (
            kind[5:],
            _text(f.get("name")),
            _text(f.get("assurance")),
            _text(f.get("version")),
            _text(f.get("by")),
        ),
    )


def _heartbeat(kind, session, f):
    yield (
        "heartbeat",
        (
            _whole(f.get("number")),
            _whole(f.get("since")),
            _whole(f.get("interval_s")),
            _words(_named(one) for one in _list(f.get("gates"))),
            _words(_named(one) for one in _list(f.get("silent"))),
        ),
    )


def _credential(kind, session, f):
    yield from _change(kind, session, f)
    yield (
        "credential",
        (
            kind[11:],
            _text(f.get("id")) or _text(f.get("credential")),
            _text(f.get("kind")),
            _text(f.get("name")),
            _text(f.get("form")),
            _text(f.get("person")),
            _text(f.get("owner")),
            _whole(f.get("expires")) if kind == "credential.issued" else _whole(f.get("until")),
            _text(f.get("parent")),
            _text(f.get("next")),
            _text(f.get("by")),
        ),
    )


def _policy(kind, session, f):
    if kind == "policy.published":
        yield from _change(kind, session, f)
    yield (
        "policy",
        (
            kind[7:],
            _text(f.get("digest")),
            _text(f.get("mode")),
            _text(f.get("by")),
            _text(f.get("request")),
            _yes(f.get("genesis")),
            sum(path.startswith("tests/") for path in _dict(f.get("files"))),
            _yes(f.get("replay")),
        ),
    )


def _finding(kind, session, f):
    subject, why = _dict(f.get("subject")), _dict(f.get("explanation"))
    yield (
        "finding",
        (
            _text(f.get("id")),
            _text(f.get("kind")),
            _text(f.get("area")),
            _text(f.get("severity")),
            _named(subject.get("agent")),
            _named(subject.get("person")),
            session or _named(subject.get("session")),
            _named(subject.get("action")),
            _named(subject.get("credential")),
            _text(why.get("grade")),
            _text(f.get("state")),
            _whole(_dict(f.get("since")).get("earliest")),
        ),
    )


def _move(kind, session, f):
    yield (
        "finding_move",
        (
            kind[8:],
            _text(f.get("finding")),
            _text(f.get("by")),
            _yes(f.get("apart")) if "apart" in f else _yes(kind == "finding.viewed"),
            _yes(f.get("reason")),
            _text(f.get("outcome")),
            _text(f.get("change")),
            _whole(f.get("until")),
        ),
    )


def _response(kind, session, f):
    yield (
        "response",
        (
            kind[9:],
            _text(f.get("id")) or _text(f.get("response")),
            _text(f.get("finding")),
            _text(f.get("do")),
            *_pair(f.get("of")),
            _whole(f.get("ends")),
            _text(f.get("request")),
            _text(f.get("by")),
        ),
    )


def _pair(value):
    return tuple(map(_text, value)) if isinstance(value, list) and len(value) == 2 else ("", "")


def _reconciled(kind, session, f):
    n = _dict(f.get("counts"))
    accounted = _dict(n.get("accounted")) if isinstance(n.get("accounted"), dict) else n
    parts = [_whole(accounted.get(one)) or 0 for one in ("tagged", "in_session", "matched")]
    whole = _whole(n.get("accounted"))
    bypasses = n.get("bypasses")
    yield (
        "reconciled",
        (
            _text(f.get("id")),
            _text(f.get("source")),
            _text(f.get("target")),
            _text(f.get("by")),
            _whole(f.get("since")),
            _whole(f.get("until")),
            _whole(f.get("skew")),
            _whole(n.get("lines")),
            _whole(n.get("broken")),
            _whole(n.get("events")),
            sum(parts) if whole is None else whole,
            _sum(bypasses),
            _sum(n.get("missing")),
            _yes(f.get("stopped")),
        ),
    )


def _sum(value):
    """A count, or the sum of the counts that it is divided into."""
    if isinstance(value, dict):
        return sum(_whole(one) or 0 for one in value.values())
    return _whole(value)


def _definition(kind, session, f):
    if kind != "definition.seen":
        yield from _change(kind, session, f)
    yield (
        "definition",
        (
            kind[11:],
            _text(f.get("agent")),
            _text(f.get("digest")),
            _text(f.get("place")),
            _yes(f.get("told")),
            _text(f.get("by")),
            _text(f.get("request")),
        ),
    )


def _configuration(kind, session, f):
    if kind == "configuration.approved":
        yield from _change(kind, session, f)
    why = _dict(f.get("explanation"))
    yield (
        "configuration",
        (
            kind[14:],
            _text(f.get("source")),
            _text(f.get("target")),
            _text(f.get("digest")),
            sum(len(_dict(one)) for one in _dict(f.get("patch")).values()),
            _whole(f.get("drifted")),
            _yes(f.get("first")),
            _text(why.get("grade")),
            _text(why.get("change")),
            _text(f.get("request")),
            _whole(f.get("opens")),
            _whole(f.get("closes")),
            _text(f.get("by")),
        ),
    )


def _artefact(kind, session, f):
    yield (
        "artefact",
        (
            kind[9:],
            _text(f.get("id")) or _text(f.get("artefact")),
            _text(f.get("rule")),
            _words(_list(f.get("labels"))),
            _whole(f.get("due")),
            _text(f.get("action")),
            _text(f.get("how")),
            _text(f.get("by")),
        ),
    )


def _labelled(kind, session, f):
    yield "labelled", (session, _words(_list(f.get("labels"))), _text(f.get("action")))


def _erasure(kind, session, f):
    yield (
        "erasure",
        (
            _text(f.get("id")),
            _text(f.get("scope")),
            _whole(f.get("until")),
            _whole(f.get("fields")),
            _whole(f.get("entries")),
            _text(f.get("request")),
            _text(f.get("by")),
            _yes(f.get("why")),
            _text(f.get("of")),
        ),
    )


def _hold(kind, session, f):
    yield (
        "hold",
        (
            kind[10:],
            _text(f.get("id")) or _text(f.get("hold")),
            _text(f.get("scope")),
            _text(f.get("of")),
            _text(f.get("request")),
            _text(f.get("by")),
        ),
    )


def _probe(kind, session, f):
    yield "probe", (_text(f.get("gate")), _text(f.get("client")), _yes(f.get("stopped")))


def _login(kind, session, f):
    yield "login", (kind[6:], _text(f.get("person")), _text(f.get("how")), _whole(f.get("expires")))


def _delegation(kind, session, f):
    yield (
        "delegation",
        (
            kind[11:],
            _text(f.get("id")) or _text(f.get("delegation")),
            _text(f.get("person")),
            _text(f.get("to")),
            _words(_list(f.get("groups"))),
            _whole(f.get("since")),
            _whole(f.get("until")),
            _text(f.get("by")),
        ),
    )


def _oncall(kind, session, f):
    yield "oncall", (_text(f.get("group")), len(_list(f.get("people"))), _whole(f.get("until")))


def _notice(kind, session, f):
    yield (
        "notice",
        (
            kind[7:],
            _text(f.get("about")),
            _text(f.get("phase")),
            _text(f.get("channel")),
            _text(f.get("person")),
            _yes(f.get("final")),
        ),
    )


def _review(kind, session, f):
    yield "review", (_text(f.get("policy")), len(_list(f.get("rules"))), _text(f.get("by")))


def _access_review(kind, session, f):
    for one in _list(f.get("people")):
        one = one if isinstance(one, dict) else {}
        yield (
            "access_review",
            (
                _text(f.get("id")),
                _text(f.get("by")),
                _text(one.get("person")),
                _yes(one.get("admin")),
                _yes(one.get("own")),
            ),
        )


def _clock(kind, session, f):
    yield "clock", (_whole(f.get("clock")), _whole(f.get("log")))


def _tested(kind, session, f):
    frame = (_text(f.get("id")), _whole(f.get("since")), _whole(f.get("until")), _whole(f.get("size")))
    for one in _list(f.get("results")):
        if isinstance(one, dict):
            yield (
                "tested",
                (
                    *frame,
                    _text(one.get("test")),
                    _text(one.get("query")),
                    _whole(one.get("population")),
                    _whole(one.get("exceptions")),
                    _whole(one.get("untested")),
                    _text(one.get("verdict")),
                ),
            )


def _exported(kind, session, f):
    yield (
        "exported",
        (
            _text(f.get("id")),
            _text(f.get("framework")),
            _whole(f.get("since")),
            _whole(f.get("until")),
            _whole(f.get("size")),
            _text(f.get("disclosure")),
            _text(f.get("by")),
            _text(f.get("for")),
        ),
    )


def _viewed(kind, session, f):
    yield (
        "viewed",
        (_text(f.get("by")), _text(f.get("what")), _text(f.get("of")), _whole(f.get("times"))),
    )


_MOVES = ("viewed", "acknowledged", "explained", "accepted", "closed", "reopened")

MAKERS = {
    "action.decided": _action,
    "action.receipt": _receipt,
    "action.started": _started,
    "permit.issued": _permit,
    "permit.consumed": _permit,
    "permit.refused": _permit,
    "request.opened": _request,
    "request.ended": _ended,
    "approval.given": _approval,
    "drill.decided": _drill,
    "grant.opened": _grant,
    "grant.used": _grant,
    "grant.revoked": _grant,
    "plan.opened": _plan,
    "plan.advanced": _plan,
    "plan.stopped": _plan,
    "plan.ended": _plan,
    "breakglass.used": _breakglass,
    "breakglass.reviewed": _breakglass,
    "session.opened": _session,
    "session.closed": _closed,
    "session.stopped": _closed,
    "person.enrolled": _person,
    "person.changed": _person,
    "person.removed": _person,
    "person.restored": _person,
    "key.enrolled": _person_key,
    "key.revoked": _person_key,
    "gate.enrolled": _gate,
    "gate.started": _gate,
    "gate.removed": _gate,
    "gate.heartbeat": _heartbeat,
    "credential.issued": _credential,
    "credential.rotated": _credential,
    "credential.revoked": _credential,
    "policy.proposed": _policy,
    "policy.published": _policy,
    "finding.opened": _finding,
    **{"finding." + move: _move for move in _MOVES},
    "response.begun": _response,
    "response.lifted": _response,
    "source.reconciled": _reconciled,
    "definition.seen": _definition,
    "definition.approved": _definition,
    "definition.withdrawn": _definition,
    "configuration.seen": _configuration,
    "configuration.approved": _configuration,
    "baseline.pinned": _change,
    "scim.token": _change,
    "provider.keys": _change,
    "artefact.written": _artefact,
    "artefact.deleted": _artefact,
    "session.labelled": _labelled,
    "erasure.done": _erasure,
    "legalhold.placed": _hold,
    "legalhold.lifted": _hold,
    "probe.result": _probe,
    "login.opened": _login,
    "login.refused": _login,
    "login.closed": _login,
    "delegation.opened": _delegation,
    "delegation.ended": _delegation,
    "oncall.changed": _oncall,
    "notice.sent": _notice,
    "notice.failed": _notice,
    "review.opened": _review,
    "access.reviewed": _access_review,
    "clock.jumped": _clock,
    "control.tested": _tested,
    "evidence.exported": _exported,
    "evidence.viewed": _viewed,
}
"""Entry type → its rows. Types that are not here give a row of `event` alone."""

NEEDED = {
    "action.decided": (
        "id",
        "digest",
        "kind",
        "verdict",
        "gate",
        "agent",
        "human",
        "definition",
        "missing",
        "decision",
        "reading",
    ),
    "action.receipt": ("action", "outcome"),
    "action.started": ("action",),
    "permit.issued": ("permit", "action", "request", "digest", "gate"),
    "permit.consumed": ("permit", "action", "gate"),
    "permit.refused": ("code",),
    "request.opened": ("id", "subject", "digest", "obligations", "initiator", "owner", "expires"),
    "request.ended": ("request", "state"),
    "approval.given": ("request", "person", "choice", "digest", "policy", "assurance"),
    "drill.decided": ("request", "caught"),
    "grant.opened": ("id", "request", "digest", "requires", "approvers", "ends"),
    "grant.used": ("grant", "action"),
    "grant.revoked": ("grant", "by"),
    "plan.opened": ("id", "request", "requires", "approvers", "ends"),
    "plan.advanced": ("plan", "action"),
    "breakglass.used": ("id", "request", "action", "person", "review_by"),
    "breakglass.reviewed": ("id", "by", "verdict"),
    "session.opened": ("agent", "human", "gate", "definition"),
    "session.closed": ("count",),
    "session.stopped": ("by",),
    "person.enrolled": ("id", "by"),
    "person.changed": ("id", "by"),
    "person.removed": ("id", "by"),
    "key.enrolled": ("id", "person", "record"),
    "key.revoked": ("id",),
    "gate.enrolled": ("name", "by"),
    "gate.started": ("name", "assurance"),
    "gate.heartbeat": ("number", "since", "interval_s", "gates", "silent"),
    "credential.issued": ("id", "kind", "name", "expires", "by"),
    "credential.revoked": ("credential",),
    "policy.proposed": ("digest", "by"),
    "policy.published": ("digest", "mode", "by"),
    "finding.opened": ("id", "kind", "severity", "state"),
    **{"finding." + move: ("finding", "by") for move in _MOVES},
    "source.reconciled": ("source", "target", "since", "until", "counts"),
    "definition.approved": ("agent", "digest", "request", "by"),
    "configuration.seen": ("source", "target", "drifted", "explanation"),
    "configuration.approved": ("source", "target", "request", "by"),
    "artefact.written": ("id", "due"),
    "artefact.deleted": ("artefact",),
    "session.labelled": ("labels",),
    "erasure.done": ("id", "scope", "of", "request", "by"),
    "legalhold.placed": ("id", "by"),
    "legalhold.lifted": ("hold", "request"),
    "probe.result": ("gate", "stopped"),
    "access.reviewed": ("by", "people", "digest"),
    "control.tested": ("results", "size"),
    "evidence.exported": ("id", "framework", "size"),
    "evidence.viewed": ("by", "what"),
}
"""Entry type → fields without which its row says too little for a test."""

MAY_HIDE = {
    "action.decided": ("action", "call", "instruction", "reading", "reasoning", "sentence"),
    "action.receipt": ("note",),
    "request.opened": ("attribution", "content", "cwd", "environment", "reading", "risk", "sentence"),
    "request.ended": ("why",),
    "approval.given": ("reason", "shown"),
    "drill.decided": ("reason",),
    "grant.opened": ("sentence",),
    "grant.revoked": ("why",),
    "plan.opened": ("sentence",),
    "plan.stopped": ("why",),
    "breakglass.used": ("reason", "sentence", "shown"),
    "breakglass.reviewed": ("note", "shown"),
    "session.opened": ("cwd",),
    "session.stopped": ("why",),
    "delegation.opened": ("why",),
    "key.revoked": ("why",),
    "credential.revoked": ("why",),
    "person.enrolled": ("accounts", "name"),
    "person.changed": ("accounts", "name"),
    "person.restored": ("accounts", "name"),
    "login.refused": ("said",),
    "notice.sent": ("shown",),
    "source.reconciled": ("content",),
    "access.reviewed": ("note",),
}
"""Entry type → fields that are withheld from auditors, or that can be erased. `shown` is there only beside a `proof`, or in a notice;
`environment` and `risk` only in requests of agents.

Whatever else is missing was left out by somebody, and the entry's row says too little: its `blind` row names no field.
"""

PASSING = tuple(kind for kind, names in MAY_HIDE.items() if set(names) & set(NEEDED.get(kind, ())))
"""Types of which an erasure makes rows blind: those matter in the period in which they happened, and not for ever."""

GIVES = {
    _person: ("change", "person", "holds"),
    _person_key: ("change", "person_key"),
    _gate: ("change", "gate_event"),
    _credential: ("change", "credential"),
    _policy: ("change", "policy"),
    _definition: ("change", "definition"),
    _configuration: ("change", "configuration"),
    _ended: ("ended", "placed"),
    _approval: ("approval", "voice"),
    _grant: ("grant_event",),
    _plan: ("plan_event", "plan_step"),
    _move: ("finding_move",),
}
"""Makers that give rows of other tables than the one they are named after."""


def _sources():
    found = {table: [] for table in TABLES}
    for kind, maker in MAKERS.items():
        for table in GIVES.get(maker, (maker.__name__[1:],)):
            found[table].append(kind)
    return {table: tuple(kinds) for table, kinds in found.items()}


SOURCES = _sources()
"""Table → entry types that its rows come from; none for `event` and `blind`, which come from all."""
