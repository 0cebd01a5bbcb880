"""What an action costs in detectors, beside decoding its reading, which has to be done anyway; and what an agent's state weighs.

Events are those of the simulation's agents, each with a reading as it lies in the log. Amortised over sessions: an action's
category and its place in a sliding window at once; at the end of its session novelty, surprise of its pairs, the portfolio.
What a full window tells people (since when, by which entries) is asked only of one that is too full, so it is a row of its own, as is
recording the state. The state of an agent grows no further than the number of different scores.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec
import numpy as np

from benchmarks.bench_web import row
from benchmarks.simulation.traces import SENSITIVE, World
from keyturn.drift import windows
from keyturn.drift.baseline import Baseline, Measured, baseline
from keyturn.drift.features import Session, doing, session
from keyturn.drift.stream import AgentStream, Promise, Step, Surprisal
from keyturn.drift.stream.conformal import DAY_MS
from keyturn.drift.stream.hours import HOUR_MS
from keyturn.ledger import values

PINNED = 400
WATCHED = 3_000
MANY = 10_000
A_DAY = 20
"""Sessions, between eight and eighteen o'clock: twenty days are pinned, so there is a model of hours."""
LABELS = ("secret",)
WINDOW = 3_600_000
"""One limit that counts every action, for an hour. Each further one costs as much again."""
CHUNK = 500
RECORDING = "recording"
PARTS = ("category", "a sliding window", "session's end", RECORDING)
_decode = msgspec.json.decode


def run() -> list[dict[str, Any]]:
    """All rows."""
    readings = [msgspec.json.encode(_reading(one)) for one in range(80)]
    traces = [trace.tolist() for trace in World(np.random.default_rng([1, 9])).sessions("null")]
    pinned = _pinned(traces, readings)
    floor = min(_floor(traces[PINNED : PINNED + CHUNK], readings) for _ in range(5))
    parts, stream = _watched(traces[PINNED:], readings, pinned)
    recording = parts.pop(RECORDING)
    whole = "detectors for one action, amortised: window, novelty, pairs, portfolio"
    rows = [row(whole, sum(parts.values()), "µs", floor, 10)]
    rows += [row(f"  of these: {name}", value, "µs", floor, 10) for name, value in parts.items()]
    rows.append(row("what a window tells when it is too full", _told(), "µs", floor, 100))
    rows.append(row("recording the state, amortised: two rows a session", recording, "µs", floor, 20))
    size = sum(len(values.encode(part)) for part in stream.rows())
    rows.append(row(f"state of one agent after {WATCHED:,} sessions", size / 1024, "KiB", None, 64))
    many, late = _grown(pinned)
    rows.append(row(f"state of one agent after {MANY:,} sessions", many / 1024, "KiB", None, 64))
    rows.append(row(f"one session's step after {MANY:,} sessions", late, "µs", None, 200))
    return rows


def _reading(number: int) -> dict[str, Any]:
    labels = ["secret"] if number in SENSITIVE else []
    effects = [
        {"verb": "reads", "what": f"/project/{number}", "zone": "workspace", "labels": labels},
        {"verb": "reads", "what": f"/tmp/{number}", "zone": "temporary", "labels": []},
    ]
    steps = [
        {"program": f"program{number}", "effects": effects[:1]},
        {"program": "tee", "effects": effects[1:]},
    ]
    return {"kind": "shell", "complete": True, "steps": steps}


def _ended(number: int) -> int:
    """When the session of that *number* ended, in milliseconds."""
    day, place = divmod(number, A_DAY)
    return day * DAY_MS + 8 * HOUR_MS + place * (10 * HOUR_MS // A_DAY)


def _pinned(traces: list[list[int]], readings: list[bytes]) -> Baseline:
    made = [session([doing(_decode(readings[one]), LABELS) for one in trace]) for trace in traces[:PINNED]]
    return baseline("bench", "", "", [Measured(_ended(number), one) for number, one in enumerate(made)])


def _floor(traces: list[list[int]], readings: list[bytes]) -> float:
    """Decoding each action's reading, in microseconds."""
    began = time.process_time()
    for trace in traces:
        for one in trace:
            _decode(readings[one])
    return (time.process_time() - began) / sum(map(len, traces)) * 1e6


def _watched(
    traces: list[list[int]], readings: list[bytes], pinned: Baseline
) -> tuple[dict[str, float], AgentStream]:
    """(microseconds an action by part, the state afterwards): of each part its best chunk, so that a neighbour's load is not measured."""
    decoded = [_decode(data) for data in readings]
    ready = Surprisal(pinned.model)
    stream = AgentStream("r_bench", pinned.portfolio(), pinned.volume(), hours=pinned.at_work())
    cells: list[windows.Cell] = []
    best: dict[str, float] = {}
    now = 0
    for start in range(0, len(traces), CHUNK):
        chunk = traces[start : start + CHUNK]
        clock = [time.process_time()]
        doings = [[doing(decoded[one], LABELS) for one in trace] for trace in chunk]
        clock.append(time.process_time())
        for trace in chunk:
            for _ in trace:
                now += 7_000
                cells = windows.added(cells, now, WINDOW, 1, 1, now)
                windows.held(cells, now, WINDOW)
        clock.append(time.process_time())
        states = []
        for number, one in enumerate(doings, start):
            stream, _ = stream.after(_step(number, session(one), pinned, ready))
            states.append(stream)
        clock.append(time.process_time())
        for state in states:
            for part in state.rows():
                values.encode(part)
        clock.append(time.process_time())
        actions = sum(map(len, chunk))
        for name, began, ended in zip(PARTS, clock, clock[1:], strict=False):
            best[name] = min((ended - began) / actions * 1e6, best.get(name, 1e9))
    return best, stream


def _told() -> float:
    """Microseconds of all that a full window says."""
    cells: list[windows.Cell] = []
    for now in range(0, 2 * WINDOW, 7_000):
        cells = windows.added(cells, now, WINDOW, 1, 1, now)
    began = time.process_time()
    for _ in range(CHUNK):
        windows.total(cells, now, WINDOW)
    return (time.process_time() - began) / CHUNK * 1e6


def _step(number: int, done: Session, pinned: Baseline, ready: Surprisal) -> Step:
    novel = bool(pinned.novel(done))
    score = ready.score(done.categories)
    ended, promise = _ended(number + PINNED), Promise(1e5, 1e3)
    unusual, day = pinned.hours.score(ended), ended // DAY_MS
    return Step(f"s_{number}#1", len(done.categories), done.sensitive, score, novel, day, promise, unusual)


def _grown(pinned: Baseline) -> tuple[int, float]:
    """(bytes of the state after many sessions, microseconds of one more)."""
    random = np.random.default_rng(5)
    stream = AgentStream("r_bench", pinned.portfolio(), pinned.volume(), hours=pinned.at_work())
    scores = random.normal(0, 250, size=MANY).astype(int).tolist()
    took = 0.0
    for number, score in enumerate(scores):
        step = Step(
            f"s_{number}#1", 13, 0, score, False, _ended(number + PINNED) // DAY_MS, Promise(1e9, 1e9)
        )
        began = time.process_time()
        stream, _ = stream.after(step)
        took = (
            time.process_time() - began if number == 0 else 0.99 * took + 0.01 * (time.process_time() - began)
        )
    return sum(len(values.encode(part)) for part in stream.rows()), took * 1e6
