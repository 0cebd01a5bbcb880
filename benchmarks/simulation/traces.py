"""Traces of agents: 60 categories of actions, 8 types of tasks, each a Markov chain; sessions of about 13 actions.

One type (4 % of sessions) is the legitimate data task: it reads what is sensitive in bursts. Two worlds without drift (`null`,
`seasonal`: the mix of tasks follows the weekday, and every day has an effect of its own) and five with one, from session `CHANGE` on:

step       4 % more of the actions are sensitive reads, at once
ramp       the same, growing over 1,500 sessions
mix        a task that was rare (2 %) becomes usual (12 %; total variation 0.10), growing over 1,500 sessions
order      the order within a growing share of sessions is shuffled; how often each action occurs stays
novel      1 % of the actions are of categories that never occurred
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

BASELINE = 400
MONITORED = 3_000
CHANGE = 500
RAMP = 1_500
CATEGORIES = 60
SENSITIVE = (0, 1, 2)
TASKS = 8
DATA_TASK = 7
RARE_TASK = 6
NEW = 5
MEAN_LENGTH = 13
MOST = 200
A_DAY = 77
"""Sessions a day, for the seasons."""

SCENARIOS = ("null", "seasonal", "step", "ramp", "mix", "order", "novel")
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class World:
    """One agent's tasks: their chains and how often each is done."""

    def __init__(self, random: np.random.Generator) -> None:
        self.random = random
        self.shares = np.append(random.dirichlet(np.full(RARE_TASK, 5.0)) * 0.94, (0.02, 0.04))
        self.chains = [self._chain(task) for task in range(TASKS)]
        starts = [random.dirichlet(np.full(CATEGORIES, 0.1)) for _ in range(TASKS)]
        for start in starts:
            start[list(SENSITIVE)] = 0
        self.starts = np.cumsum(np.array([start / start.sum() for start in starts]), axis=1)
        other = [RARE_TASK, *random.permutation(RARE_TASK)]
        self.moved = self.shares.copy()
        self.moved[other[0]] += 0.10
        left = 0.10
        for task in other[1:]:
            taken = min(left, self.moved[task] * 0.8)
            self.moved[task] -= taken
            left -= taken

    def _chain(self, task: int) -> Floats:
        """Cumulative transition rows. A task uses a third of the categories, and after each action mostly three or so."""
        used = self.random.choice(np.arange(len(SENSITIVE), CATEGORIES), size=20, replace=False)
        rows = np.full((CATEGORIES, CATEGORIES), 0.0)
        for row in rows:
            row[used] = self.random.dirichlet(np.full(used.size, 0.15))
        rows = 0.98 * rows
        rows[:, used] += 0.02 / used.size
        if task == DATA_TASK:
            rows *= 0.85
            rows[:, SENSITIVE[0]] += 0.15
            for one in SENSITIVE:  # once in a burst it stays there for a while
                rows[one] *= 0.4
                rows[one, list(SENSITIVE)] += 0.2
        return np.cumsum(rows / rows.sum(axis=1, keepdims=True), axis=1)

    def sessions(self, scenario: str) -> Iterator[Ints]:
        """`BASELINE` + `MONITORED` sessions, one after another."""
        random = self.random
        count = BASELINE + MONITORED
        since = np.arange(count) - BASELINE - CHANGE
        grown = np.clip(since / RAMP, 0.0, 1.0)
        strength = np.where(since >= 0, 1.0 if scenario in ("step", "novel") else grown, 0.0)
        tasks = self._tasks(scenario, count, grown)
        lengths = np.clip(random.geometric(1 / MEAN_LENGTH, size=count), 1, MOST)
        for start in range(0, count, 500):
            part = slice(start, min(start + 500, count))
            walked = self._walk(tasks[part], lengths[part])
            for row, length, force in zip(walked, lengths[part], strength[part], strict=True):
                yield self._drifted(row[:length], scenario, float(force))

    def _tasks(self, scenario: str, count: int, grown: Floats) -> Ints:
        random = self.random
        shares = np.repeat(self.shares[None, :], count, axis=0)
        if scenario == "mix":
            shares = (1 - grown)[:, None] * shares + grown[:, None] * self.moved
        if scenario == "seasonal":
            days = np.arange(count) // A_DAY
            week = np.exp(random.normal(0, 0.3, size=(7, TASKS)))
            day = np.exp(random.normal(0, 0.2, size=(days[-1] + 1, TASKS)))
            shares = shares * week[days % 7] * day[days]
            shares /= shares.sum(axis=1, keepdims=True)
        found: Ints = (random.random(count)[:, None] > np.cumsum(shares, axis=1)).sum(axis=1)
        return np.minimum(found, TASKS - 1)

    def _walk(self, tasks: Ints, lengths: Ints) -> Ints:
        random = self.random
        steps = int(lengths.max())
        walked = np.zeros((tasks.size, steps), dtype=np.int64)
        chains = np.array(self.chains)
        here = (random.random(tasks.size)[:, None] > self.starts[tasks]).sum(axis=1)
        walked[:, 0] = np.minimum(here, CATEGORIES - 1)
        active = np.arange(tasks.size)
        for step in range(1, steps):
            active = active[lengths[active] > step]
            rows = chains[tasks[active], walked[active, step - 1]]
            drawn = (random.random(active.size)[:, None] > rows).sum(axis=1)
            walked[active, step] = np.minimum(drawn, CATEGORIES - 1)
        return walked

    def _drifted(self, session: Ints, scenario: str, force: float) -> Ints:
        if force <= 0:
            return session
        random = self.random
        if scenario in ("step", "ramp"):
            hit = random.random(session.size) < 0.04 * force
            return np.where(hit, random.choice(SENSITIVE, size=session.size), session)
        if scenario == "novel":
            hit = random.random(session.size) < 0.01
            return np.where(hit, CATEGORIES + random.integers(0, NEW, size=session.size), session)
        if scenario == "order" and random.random() < force:
            return random.permutation(session)
        return session
