"""A made-up past of any length as Parquet files in the analytics tables' shape: deterministic, with planted truths.

90 days, 40 agents of ten rules each, 12 targets, 60 categories. Every number is arithmetic over the row's number: the same count gives the
same rows on every machine. What is planted, so that the queries have something to find:

- `agent-07` does nothing but `shell deletes:home secret` on the last day;
- `agent-03` reads 214 × 9,000 rows of `db-7` in one hour of the last day;
- `agent-11` uses `rule-39` after its end; `rule-40` is never used;
- `pat` approves own requests, and `kim` and `lee` each other's;
- every 20th day a `target_event` of `db-1` has no action behind it; the change `policy-9` has no approval, `policy-8` is late.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb

from keyturn.store.analytics.tables import TABLES, types

BASE = 1_790_812_800
"""The first second: 2026-10-01T00:00Z."""
DAYS = 90
UNTIL = BASE + DAYS * 86_400
SINCE = UNTIL - 86_400
"""The last day."""
AGENTS, TARGETS, CATEGORIES, RULES, PEOPLE = 40, 12, 60, 40, 16
EACH = 25_000
"""Actions in one folder: four entries each, so it is as long as a segment gets (`segments.MOST`)."""
_VERBS = "['reads', 'writes', 'executes', 'connects', 'deletes', 'sends']"
_ZONES = "['workspace', 'home', 'temporary', 'system', 'network', 'outside', 'database', 'cluster', 'bucket', 'queue']"
_PERSON = "list_extract(['ada', 'bo', 'cy', 'di', 'ed', 'flo', 'gus', 'hal', 'ivy', 'jo', 'kim', 'lee', 'max', 'nia', 'oz', 'pat'], {})"


def make(folder: Path, count: int, *, each: int = EACH) -> list[Path]:
    """Write *count* actions and all that goes with them below *folder*; gives the folders, in order."""
    made = []
    config = {"memory_limit": "1GB", "threads": "2", "temp_directory": str(folder / ".spilled")}
    with duckdb.connect(config=config) as database:
        database.execute("set enable_progress_bar = false")
        for number, start in enumerate(range(0, count, each)):
            part = folder / f"{number:04d}"
            part.mkdir(parents=True)
            for table, select in selects(start, min(start + each, count), count):
                database.execute(
                    f"copy ({select}) to '{part / table}.parquet' (format parquet, compression zstd)"
                )
            made.append(part)
    return made


def selects(start: int, end: int, count: int) -> Iterator[tuple[str, str]]:
    """(table, select) for the actions `[start, end)` of *count*, in the order of their entries."""
    for table in TABLES:
        given, source = _MADE.get(table, ({}, "select 0 as i where false"))
        cells = [
            f"cast({given.get(name, _nothing(kind))} as {kind}) as {name}"
            for name, kind in types(table).items()
        ]
        source = source.format(start=start, end=end, count=count)
        yield table, f"select {', '.join(cells)} from ({source})"


def _nothing(kind: str) -> str:
    return "''" if kind == "VARCHAR" else "null"


_ROLLED = f"""
select i, {BASE} + i * {DAYS * 86_400} // {{count}} as sec, ((i * 48271 + 16807) * 48271) % 2147483647 as r,
  ((i * 69621 + 11) * 40692) % 2147483399 as q, ((i * 40014 + 7) * 40014) % 2147483563 as p
from (select range as i from range({{start}}, {{end}}))
"""
_SHAPED = f"""
select *, 'agent-' || lpad(cast(r % {AGENTS} as varchar), 2, '0') as who, least(q % {CATEGORIES}, p % {CATEGORIES}) as c,
  sec >= {SINCE} as today, i % 33 = 0 as held, i // 13 as run, 'db-' || (p % {TARGETS}) as aim,
  1 + cast(floor(sqrt(q % 1521)) as bigint) as rule_n, {_PERSON.format(f"1 + (r // 64) % {PEOPLE}")} as human,
  {_PERSON.format(f"1 + (q // 64) % {PEOPLE}")} as second
from ({_ROLLED})
"""
_BURST = "who = 'agent-03' and today and r % 7 < 3"
_STRANGE = "who = 'agent-07' and today"
_RULE = "'rule-' || lpad(cast(rule_n as varchar), 2, '0')"
_ACTION: dict[str, str] = {
    "entry": "i * 4",
    "ts_s": "sec",
    "action": "'a_' || i",
    "digest": "'sha256:' || r",
    "stmt_sha": "'stmt-' || (q % 5000)",
    "session": "'s_' || run",
    "agent": "who",
    "client": "'cli-' || (r % 4)",
    "owner": "'jo'",
    "person": "case when q % 50 = 0 then '' else human end",
    "person_how": "'token'",
    "definition": "'def-' || (r % 3)",
    "missing": "case when q % 50 = 0 then 'human' else '' end",
    "instruction_sha": "case when p % 40 = 0 then '' else 'ins-' || (run % 1000) end",
    "reasoning_sha": "case when p % 10 = 0 then '' else 'why-' || (i % 5000) end",
    "gate": "'gate-' || (r % 5)",
    "assurance": "'enforced'",
    "target": f"case when {_BURST} then 'db-7' else aim end",
    "kind": "'shell'",
    "program": f"case when {_STRANGE} then 'shred' else 'prog-' || (c % 30) end",
    "programs": "'prog-' || (c % 30)",
    "steps": "1",
    "complete": "1",
    "category": f"case when {_STRANGE} then 'shell deletes:home secret' else 'shell ' || list_extract({_VERBS}, 1 + c % 6) || ':' || "
    f"list_extract({_ZONES}, 1 + c // 6) end",
    "verbs": f"list_extract({_VERBS}, 1 + c % 6)",
    "zones": f"list_extract({_ZONES}, 1 + c // 6)",
    "policy": "'policy-1'",
    "mode": "'enforce'",
    "verdict": "case when held then 'hold' when q % 100 = 1 then 'refuse' else 'run' end",
    "would": "case when held then 'hold' else 'run' end",
    "rules": _RULE,
    "by_exception": "case when rule_n = 39 then 1 else 0 end",
    "requires": "case when held then '1 of reviewers' else '' end",
    "needed_n": "case when held then 1 else 0 end",
    "request": "case when held then 'r_' || i else '' end",
    "tier": "case when held then 'medium' else '' end",
    "state": "case when not held then '' when q % 15 = 0 then 'denied' else 'approved' end",
    "approvers": "case when held and q % 15 <> 0 then second else '' end",
    "approvers_n": "case when held and q % 15 <> 0 and p % 300 <> 0 then 1 else 0 end",
    "signed_n": "0",
    "waited_s": "case when held then (p % 9000) / 10.0 else null end",
    "permit": "'p_' || i",
    "ran_s": "case when (held and q % 15 = 0) or (not held and q % 100 = 1) then null else sec end",
    "receipt": "i * 4 + 2",
    "outcome": "'done'",
    "exit_code": "0",
    "row_count": f"case when {_BURST} then 9000 else q % 100 end",
    "byte_count": "r % 10000",
}
_PLACE = {"entry": "i * 4", "ts_s": "sec"}
_REQUEST = {
    **{
        name: _ACTION[name]
        for name in (
            "action",
            "session",
            "agent",
            "owner",
            "requires",
            "needed_n",
            "tier",
            "state",
            "waited_s",
        )
    },
    "request": "'r_' || i",
    "subject": "'action'",
    "initiator": "human",
    "policy": "'policy-1'",
}
_MADE: dict[str, tuple[dict[str, str], str]] = {
    "event": (
        {
            **_PLACE,
            "ts_ms": "sec * 1000",
            "type": "'action.decided'",
            "session": "'s_' || i // 13",
            "object": "'a_' || i",
        },
        _ROLLED,
    ),
    "action": (_ACTION, _SHAPED),
    "rule_use": (
        {
            **{
                name: _ACTION[name]
                for name in ("entry", "ts_s", "action", "session", "agent", "policy", "state", "waited_s")
            },
            "rule": _RULE,
            "verdict": "case when held then 'hold' else 'run' end",
            "until_s": f"case when rule_n = 39 then {BASE + 80 * 86400} else null end",
            "exception": _ACTION["by_exception"],
            "expired": f"case when rule_n = 39 and who = 'agent-11' and sec >= {BASE + 80 * 86400} then 1 else 0 end",
        },
        _SHAPED,
    ),
    "request": ({**_PLACE, **_REQUEST, "entry": "i * 4 + 1"}, f"select * from ({_SHAPED}) where held"),
    "approval": (
        {
            **_PLACE,
            "entry": "i * 4 + 2",
            "request": "'r_' || i",
            "subject": "'action'",
            "action": "'a_' || i",
            "session": "'s_' || run",
            "person": "case when human = 'kim' then 'lee' when human = 'lee' then 'kim' "
            "when human = 'pat' and p % 50 = 0 then 'pat' when second in ('kim', 'lee', human) then 'root' else second end",
            "choice": "case when q % 15 = 0 then 'deny' else 'approve' end",
            "channel": "'page'",
            "waited_s": "(p % 9000) / 10.0",
            "initiator": "human",
            "owner": "'jo'",
            "agent": "who",
        },
        f"select * from ({_SHAPED}) where held",
    ),
    "change": (
        {
            **_PLACE,
            "type": "'policy.published'",
            "kind": "'policy'",
            "object": "'policy-' || n",
            "person": "'ada'",
            "genesis": "case when n = 0 then 1 else 0 end",
            "alone": "0",
            "request": "case when n = 9 then '' else 'rp_' || n end",
            "asked_by": "'ada'",
            "approvers": "case when n = 9 then '' when n = 7 then 'ada' else 'bo' end",
            "approvers_n": "case when n = 9 then 0 else 1 end",
            "approved_s": "case when n = 9 then null else sec - 5 end",
            "from_s": "sec - 100",
            "until_s": "case when n = 8 then sec - 1 else sec + 100 end",
        },
        "select i, sec, i * 90 // {count} as n from ("
        + _ROLLED
        + ") where i * 90 // {count} <> (i - 1) * 90 // {count} or i = 0",
    ),
    "target_event": (
        {
            **_PLACE,
            "entry": "i * 4 + 3",
            "source": "'pgaudit'",
            "event": "'e_' || i",
            "happened_s": "sec",
            "target": "case when bypass then 'db-1' else aim end",
            "credential": "'svc-' || (r % 5)",
            "tag": "case when bypass then '' else 'a_' || i end",
            "action": "case when bypass then '' else 'a_' || i end",
            "stmt_sha": "'stmt-' || (q % 5000)",
            "row_count": "q % 100",
        },
        f"select *, sec // 86400 % 20 = 0 and i % 400 = 0 as bypass from ({_SHAPED}) where (i % 20 < 7 and not held and q % 100 <> 1) "
        "or (sec // 86400 % 20 = 0 and i % 400 = 0)",
    ),
    "rule": (
        {
            "entry": "0",
            "ts_s": str(BASE),
            "policy": "'policy-1'",
            "rule": "'rule-' || lpad(cast(n as varchar), 2, '0')",
            "verdict": "case when n % 5 = 0 then 'hold' else 'run' end",
            "until_s": f"case when n = 39 then {BASE + 80 * 86400} else null end",
        },
        f"select unnest(range(1, {RULES + 1})) as n, 0 as i where {{start}} = 0",
    ),
    "session": (
        {
            **_PLACE,
            "session": "'s_' || run",
            "agent": "who",
            "person": "human",
            "gate": "'gate-' || (r % 5)",
            "closed_s": "sec + 60",
            "count_n": "13",
        },
        f"select * from ({_SHAPED}) where i % 13 = 0",
    ),
    "finding": (
        {
            **_PLACE,
            "finding": "'f_' || i",
            "kind": "'behaviour.mix'",
            "severity": "'medium'",
            "agent": "who",
            "session": "'s_' || run",
            "state": "'open'",
        },
        f"select * from ({_SHAPED}) where i % 1009 = 0",
    ),
}

__all__ = ["BASE", "DAYS", "SINCE", "UNTIL", "make", "selects"]
