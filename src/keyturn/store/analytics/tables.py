"""The tables that queries see, and what each column means. docs/reference/analytics.md is made from this; a test compares.

Rules kept here, so that the same queries run on DuckDB, PostgreSQL and ClickHouse:

- Three types only: `BIGINT`, `DOUBLE`, `VARCHAR`. Yes and no are 1 and 0. Times are seconds since 1970 (`…_s`).
- Text that there is none of is empty, never NULL; a number that there is none of is NULL. Several words are joined by one blank.
- No free text that people or agents wrote, and no content of an action: its digests stand for it. Names, paths and reasons stay in the
  ledger, where they can be erased.
"""

from __future__ import annotations

from msgspec import Struct


class Column(Struct, frozen=True):
    """One column."""

    name: str
    type: str
    meaning: str


_TYPES = {"n": "BIGINT", "x": "DOUBLE", "t": "VARCHAR"}


def _columns(text: str) -> tuple[Column, ...]:
    """`name type meaning`, one a line."""
    lines = [line.strip().split(" ", 2) for line in text.splitlines() if line.strip()]
    return tuple(Column(name, _TYPES[kind], meaning) for name, kind, meaning in lines)


_PLACE = """
    entry n index of the entry in the ledger
    ts_s n when it was recorded
"""

TABLES: dict[str, tuple[Column, ...]] = {
    "event": _columns(
        _PLACE
        + """
    ts_ms n the same in milliseconds
    type t the entry's type
    session t session that it belongs to
    n n its number in that session
    object t what it is about: the first of its id, request, action, person, name, digest
    person t who did it (`by`, or the person of an approval)
    request t request that it names
    action t action that it names
    gate t gate that it names
    state t outcome, verdict, state, choice or code that it gives
    missing_n n how many of its fields are not disclosed any more
    """
    ),
    "action": _columns(
        _PLACE
        + """
    action t its id
    digest t its digest: what would happen, under which policy and definition
    stmt_sha t digest of its content alone: the same statement has the same one
    session t session
    agent t the agent's name
    client t program that runs it
    client_version t that program's version
    model t model that it said it uses
    owner t person who owns the agent
    person t person on whose behalf it acts
    person_how t how that is known: os-uid, token, declared
    definition t digest of what the agent is
    parent t session that its own was started from
    missing t parts of the attribution that were not given
    instruction_sha t digest of the instruction
    reasoning_sha t digest of the stated reason
    gate t gate that asked
    assurance t the gate's level
    target t what it was aimed at
    kind t shell, file, tool, http
    program t program of its first step
    programs t programs of all steps
    steps n how many steps it has
    complete n 1 where it was read to the last byte
    category t kind and strongest effect, with its labels: what mixes are counted in
    effects t verb:zone of all effects
    verbs t verbs of all effects
    zones t zones of all effects
    labels t labels of all effects
    hosts n how many hosts it would talk to
    facts t facts of drift that policy knew: over, broken, first, findings, secrets, overdue, undeclared
    policy t version that decided
    mode t observe or enforce
    verdict t run, hold or refuse
    would t what enforce mode would have answered
    rules t rules that decided
    by_exception n 1 where an exception of the policy (@until or @lifts) let it run
    requires t what was asked of people
    needed_n n how many people that is
    request t its request
    tier t its risk, where it was held
    state t how the request ended: approved, denied, expired, withdrawn, superseded; waiting
    approvers t people who approved
    approvers_n n how many
    signed_n n how many of them signed with their own key
    waited_s x seconds from the request to its end
    grant_id t grant that covered it
    plan_id t plan that it was a step of
    breakglass n 1 where somebody released it alone
    permit t its permit
    ran_s n when the permit was used
    receipt n index of its receipt
    outcome t done, failed, not-run, unknown; empty without a receipt
    exit_code n the program's
    ran_sha t digest of what the gate says really ran
    row_count n rows that it read or changed
    byte_count n bytes that it gave out
    """
    ),
    "rule_use": _columns(
        _PLACE
        + """
    action t action that it decided
    session t its session
    agent t its agent
    policy t version of the policy
    rule t the rule's id
    verdict t what the rule says: run, hold, refuse
    until_s n when the rule ends
    exception n 1 for a rule with @until or @lifts
    expired n 1 where it had ended by then
    state t how the request ended, where it was held
    waited_s x seconds from the request to its end
    """
    ),
    "request": _columns(
        _PLACE
        + """
    request t its id
    subject t action, plan, or what would be changed
    action t the action
    session t session
    digest t digest of what is asked for
    kind t kind of the action
    policy t version under which it was held
    initiator t person on whose behalf it is asked for
    owner t owner of the agent
    agent t the agent
    gate t gate that asked
    requires t what is asked of people
    needed_n n how many people that is
    tier t its risk
    reason_required n 1 where approvers have to say why
    ticket_required n 1 where an approved change must be named
    assurance t how approvers have to approve
    window t time windows in which it may be approved and run
    expires_s n until when it waits
    escalated n 1 where it was escalated
    state t how it ended
    ended_s n when it ended
    ended_by t who ended it
    waited_s x seconds from its opening to its end
    approvals_n n approvals that count
    denials_n n denials
    approvers t people who approved
    permit t its permit
    drill n 1 where it was a drill
    """
    ),
    "approval": _columns(
        _PLACE
        + """
    request t the request
    subject t what it is about
    action t the action
    session t its session
    person t who decided
    on_behalf t people for whom they stood in
    choice t approve or deny
    channel t where: page, terminal, slack…
    assurance t what was verified
    signed n 1 with a key of their own
    key t that key
    digest t digest that was approved
    same_digest n 1 where it is the digest of the request
    policy t version it was given under
    tier t risk of the request
    waited_s x seconds from the request's opening to this
    looked_s x seconds from when it was first served to the person
    dwell_s x seconds for which the page says it was visible
    batch n 1 where it was decided together with others
    grant_for t how far it goes: once, 600s…, break-glass
    reason_sha t digest of the reason; empty without
    initiator t who asked
    owner t who owns the agent
    agent t the agent
    """
    ),
    "change": _columns(
        _PLACE
        + """
    type t the entry's type
    kind t policy, definition, configuration, person, key, gate, credential…
    object t what was changed
    agent t agent that it is about
    person t who did it
    genesis n 1 for what a home begins with
    alone n 1 where there was nobody else to approve it
    request t request under which it was approved
    asked_by t who asked
    approvers t people who approved
    approvers_n n how many
    approved_s n when
    from_s n begin of the window in which it was approved
    until_s n end of that window
    digest t digest of what it is now
    """
    ),
    "target_event": _columns(
        _PLACE
        + """
    source t importer: pgaudit, auditd, cloudtrail, kubernetes, github, lines
    event t line or record in the target's own log
    happened_s n when, by the target's clock
    target t the target
    credential t account or credential that did it
    agent t agent whose credential that is
    tag t action or session that its tag names, where the tag was made here
    action t action that it was matched with; empty where there is none
    session t session that stands behind it
    how t how it is accounted for: tagged, in_session, matched, counted; else within, untagged, unknown_tag, surplus
    events_n n how many events the row stands for
    stmt_sha t digest of the statement's form
    row_count n rows
    byte_count n bytes
    """
    ),
    "rule": _columns(
        _PLACE
        + """
    policy t version of the policy
    rule t its id
    verdict t run, hold, refuse
    file t where it stands
    line n line
    kinds t kinds of action that it can match
    programs_n n programs that it is limited to; NULL for any
    requires t what it asks of people
    until_s n when it ends
    lifts t rules that it is an exception of
    because_sha t digest of the words that say why
    replaced_s n when another version took effect
    """
    ),
    "session": _columns(
        _PLACE
        + """
    session t its id
    agent t the agent
    client t program that runs it
    model t model
    owner t owner of the agent
    person t person
    person_how t how that is known
    definition t digest of what the agent is
    gate t gate
    assurance t the gate's level
    parent t session that it was started from
    opener t who speaks for it
    credential t credential that opened it
    machine t machine that it was opened from
    chain_n n people behind the agent's token
    closed_s n when it was closed
    count_n n entries that it says it has
    stopped_s n when a person stopped it
    stopped_by t who
    """
    ),
    "finding": _columns(
        _PLACE
        + """
    finding t its id
    kind t its kind
    area t policy area
    severity t low, medium, high, critical
    agent t agent that it is about
    person t person that it is about
    session t session
    action t action
    grade t how sure the explanation is
    change t approved change that explains it
    since_s n when it began, at the earliest
    value x how large
    baseline x how large it was before
    evidence x e-value of a statistical detector
    state t open, or how it was closed
    seen_s n when a person first saw it
    closed_s n when it was closed
    """
    ),
}
"""Every table, in the order in which they are listed."""


def types(table: str) -> dict[str, str]:
    """Column → type, in order."""
    return {column.name: column.type for column in TABLES[table]}


def blank(table: str) -> dict[str, str | None]:
    """A row that says nothing: empty text, no numbers."""
    return {column.name: "" if column.type == "VARCHAR" else None for column in TABLES[table]}


__all__ = ["TABLES", "Column", "blank", "types"]
