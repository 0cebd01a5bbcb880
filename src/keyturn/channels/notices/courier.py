"""One channel's deliveries: a loop that looks at what is due, sends, records, and backs off when the channel is down.

Rules kept here:

- What is due is worked out from the ledger at the moment of sending, so a restart loses nothing, a message never tells of a
  state that is over, and what is recorded as sent is not sent again.
- A message that a service took and that could not be recorded before the process died is sent once more: at least once.
- A failure stops this channel only, for a time that doubles up to a limit. Nothing that people decide waits for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from keyturn.channels.notices import found
from keyturn.channels.notices.channel import Channel, ChannelDown, Receipt, Receiver, ReceiverRefused
from keyturn.channels.notices.composing import compose, compose_alarm
from keyturn.channels.notices.notice import Notice
from keyturn.channels.notices.pace import Bursts, Pace, delay
from keyturn.channels.notices.routing import Due, deciders, due, parse_quiet, receivers, wake_at
from keyturn.errors import KeyturnError
from keyturn.ledger.entries import Draft
from keyturn.ledger.errors import AlreadyDone, LedgerClosed
from keyturn.service import findings, requests
from keyturn.service.core import Core
from keyturn.service.model import RequestView

log = logging.getLogger("keyturn.notices")

MOST_RECEIVERS = 100_000
MOST_WORDS = 300
"""Characters of a reason that are recorded."""


class Courier:
    """Delivers what one channel has to deliver. `consider` names requests to look at; `work` runs until cancelled."""

    def __init__(self, core: Core, channel: Channel, link: Callable[[str], str], pace: Pace) -> None:
        self.channel = channel
        self._core = core
        self._link = link
        self._pace = pace
        self._quiet = parse_quiet(channel.quiet)
        self._todo: dict[str, None] = {}
        self._later: dict[str, int] = {}
        self._bursts = Bursts(channel.most_a_minute)
        self._tries: dict[tuple[str, str], int] = {}
        self._wake = asyncio.Event()
        self._paused = 0.0
        self._failures = int((core.ledger.row("channel", channel.name) or {}).get("failures", 0))

    def consider(self, about: str) -> None:
        """Something happened to that request: look whether anybody has to be told."""
        self._later.pop(about, None)
        self._todo[about] = None
        self._wake.set()

    async def work(self) -> None:
        """Deliver for ever."""
        while True:
            about = await self._next()
            try:
                await self._serve(about)
            except LedgerClosed:
                return
            except KeyturnError as error:  # a request that can't be read must not keep others from being told
                log.warning("nobody could be told about %s: %s", about, error)

    async def _next(self) -> str:
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            now = self._core.now()
            for about in [one for one, at in self._later.items() if at <= now]:
                del self._later[about]
                self._todo[about] = None
            if self._todo and loop.time() >= self._paused:
                about = next(iter(self._todo))
                del self._todo[about]
                return about
            await self._sleep(loop, now)

    async def _sleep(self, loop: asyncio.AbstractEventLoop, now: int) -> None:
        """Until there is something to do: a request to look at, the end of a pause, or of quiet hours."""
        if self._todo:
            await asyncio.sleep(max(0.0, self._paused - loop.time()))
            return
        soonest = min(self._later.values(), default=None)
        limit = None if soonest is None else min(max(0.0, (soonest - now) / 1000), 60.0)
        try:
            async with asyncio.timeout(limit):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _serve(self, about: str) -> None:
        """Tell everybody who is to be told about that request, that break-glass or that finding, now."""
        finding = self._core.ledger.row("finding", about)
        if finding is not None:
            await self._serve_finding(finding)
            return
        glass = self._core.ledger.row("breakglass", about)
        row = self._core.ledger.row("request", glass["request"] if glass else about)
        if row is None or (glass is not None and glass.get("review")):
            return
        view = requests.view(self._core, row["id"], None)
        link = self._link(view.id)
        for receiver, what, ref in list(self._alarms(glass) if glass else self._due(view, row)):
            if glass is not None:
                notice = compose_alarm(view, glass, link)
            else:
                notice = compose(view, what.phase, what.key, link, chat_approves=self.channel.approves)
            if not await self._tell(notice, receiver, what, ref):
                self._todo[about] = None  # again, after the pause and after all others
                return
            if what.phase == "opened":
                self._bursts.note(receiver.to, _asker(view), self._core.now())

    async def _serve_finding(self, row: dict[str, Any]) -> None:
        view, link = findings.view(self._core, row), self._link(row["id"])
        for receiver, what, ref in list(self._finding_due(row)):
            if not await self._tell(found.compose(view, row, what.key, link), receiver, what, ref):
                self._todo[row["id"]] = None  # again, after the pause and after all others
                return
            if what.key == "opened":
                self._bursts.note(receiver.to, _of_finding(row), self._core.now())

    def _finding_due(self, row: dict[str, Any]) -> Iterator[tuple[Receiver, Due, dict[str, Any]]]:
        told = {
            one["to"]: one
            for one in self._core.ledger.rows("notice", state=row["id"], limit=MOST_RECEIVERS)
            if one["channel"] == self.channel.name
        }
        groups = found.groups(self._core.policy.drift, row["kind"], row["severity"])
        people = [person.id for group in groups for person in self._core.roster.members(group)]
        wanted = {one.to: one for one in self._places(list(dict.fromkeys(people)))} if groups else {}
        now = self._core.now()
        for to in dict.fromkeys([*wanted, *told]):
            known = told.get(to)
            what = found.due(self.channel.follows, row, known, to in wanted)
            if what is None:
                continue
            receiver = wanted.get(to) or Receiver(to, known["person"] if known else "")
            wakes = self._bursts.free_at(to, _of_finding(row), now) if what.key == "opened" else now
            if row["severity"] != "critical" and receiver.person:
                wakes = max(wakes, wake_at(self._quiet, now))
            if wakes > now:
                self._later[row["id"]] = min(wakes, self._later.get(row["id"], wakes))
                continue
            yield receiver, what, known["ref"] if known else {}

    def _due(
        self, view: RequestView, row: Mapping[str, Any]
    ) -> Iterator[tuple[Receiver, Due, dict[str, Any]]]:
        ledger = self._core.ledger
        every = ledger.rows("notice", state=view.id, limit=MOST_RECEIVERS)
        told = {one["to"]: one for one in every if one["channel"] == self.channel.name}
        wanted = {receiver.to: receiver for receiver in self._receivers(view)}
        state = f"{view.state}:{len(view.approvals)}"
        for to in dict.fromkeys([*wanted, *told]):
            known = told.get(to)
            receiver = wanted.get(to) or Receiver(to, known["person"] if known else "")
            reminders = int(row.get("reminded") or 0)
            what = due(self.channel.follows, view.state, state, known, reminders, to in wanted)
            if what is None:
                continue
            wakes = self._wakes(view, receiver, what)
            if wakes > self._core.now():
                self._later[view.id] = min(wakes, self._later.get(view.id, wakes))
                continue
            yield receiver, what, known["ref"] if known else {}

    def _alarms(self, glass: Mapping[str, Any]) -> Iterator[tuple[Receiver, Due, dict[str, Any]]]:
        """Everybody in the groups that are told of broken glass, but whoever broke it; at any hour."""
        roster = self._core.roster
        people = [person.id for group in glass["notify"] for person in roster.members(group)]
        others = [one for one in dict.fromkeys(people) if not roster.same_human(one, glass["person"])]
        every = self._core.ledger.rows("notice", state=glass["id"], limit=MOST_RECEIVERS)
        told = {one["to"] for one in every if one["channel"] == self.channel.name}
        for receiver in self._places(others):
            if receiver.to not in told:
                yield receiver, Due("alarm", "alarm"), {}

    def _receivers(self, view: RequestView) -> tuple[Receiver, ...]:
        return self._places(deciders(view)) if view.state == "waiting" else ()

    def _places(self, people: Sequence[str]) -> tuple[Receiver, ...]:
        """Where this channel tells *people*, and its shared places."""
        ledger, roster = self._core.ledger, self._core.roster
        without: dict[str, list[str]] = {}
        browsers: dict[str, list[dict[str, Any]]] = {}
        for record in roster.people.values():
            if any(roster.same_human(record.id, person) for person in people):
                without[record.id] = (ledger.row("notice-choice", record.id) or {}).get("without", [])
                browsers[record.id] = ledger.rows("push", state=record.id)
        return receivers(self.channel, people, roster, without, browsers)

    def _wakes(self, view: RequestView, receiver: Receiver, what: Due) -> int:
        """When *receiver* may be told (ms): in quiet hours later, and if one asker makes too much of it."""
        now = self._core.now()
        if view.state != "waiting":
            return now
        critical = view.risk is not None and view.risk.tier == "critical"
        quiet = now if critical or not receiver.person else wake_at(self._quiet, now)
        free = self._bursts.free_at(receiver.to, _asker(view), now) if what.phase == "opened" else now
        return max(quiet, free)

    # --- sending ---------------------------------------------------------------------------------------------------

    async def _tell(self, notice: Notice, receiver: Receiver, what: Due, ref: dict[str, Any]) -> bool:
        """Send one message and record how it went; False when the channel is down."""
        try:
            async with asyncio.timeout(self._pace.send):
                receipt = await self.channel.send(notice, receiver, ref or None)
        except TimeoutError:
            down = ChannelDown(f"It did not answer within {self._pace.send:g} s.")
            return await self._failed(notice, receiver, what, down)
        except ChannelDown as error:
            return await self._failed(notice, receiver, what, error)
        except ReceiverRefused as error:
            await self._dropped(notice, receiver, error.happened, gone=error.gone)
        except Exception as error:  # a message that can't be made must not keep others from being told
            log.exception("a message for %s could not be made", self.channel.name)
            await self._dropped(notice, receiver, f"Keyturn failed inside ({type(error).__name__}).")
        else:
            await self._sent(notice, receiver, what, receipt)
        return True

    async def _sent(self, notice: Notice, receiver: Receiver, what: Due, receipt: Receipt) -> None:
        self._failures = 0
        self._tries.pop((notice.about, receiver.to), None)
        fields = {
            **self._about(notice, receiver),
            "phase": what.key,
            "shown": notice.shown,
            "ref": receipt.ref,
            "message": receipt.digest,
            "follows": self.channel.follows != "no",
        }
        once = f"notice.sent:{notice.about}:{self.channel.name}:{_short(receiver.to)}:{what.key}"
        await self._record([Draft("notice.sent", fields, once=once)])

    async def _failed(self, notice: Notice, receiver: Receiver, what: Due, error: ChannelDown) -> bool:
        """The channel is down. A message about what has ended is given up after some tries; True then."""
        key = (notice.about, receiver.to)
        self._tries[key] = self._tries.get(key, 0) + 1
        after = what.phase in ("ended", "changed") or what.key.startswith("changed:")
        if after and self._tries[key] >= self._pace.tries:
            words = f"Given up after {self._tries.pop(key)} tries: {error.happened}"
            await self._dropped(notice, receiver, words)
            return True
        self._failures += 1
        wait = delay(self._pace, self._failures, error.retry_after)
        self._paused = asyncio.get_running_loop().time() + wait
        fields = {
            **self._about(notice, receiver),
            "phase": what.key,
            "why": error.happened[:MOST_WORDS],
            "final": False,
            "retry": self._core.now() + int(wait * 1000),
        }
        await self._record([Draft("notice.failed", fields)])
        return False

    async def _dropped(self, notice: Notice, receiver: Receiver, why: str, *, gone: bool = False) -> None:
        fields = {
            **self._about(notice, receiver),
            "phase": notice.key,
            "why": why[:MOST_WORDS],
            "final": True,
            "retry": None,
        }
        drafts = [Draft("notice.failed", fields)]
        if gone and self._core.ledger.row("push", receiver.to) is not None:
            ended = {"id": receiver.to, "person": receiver.person, "why": why[:MOST_WORDS]}
            drafts.append(Draft("push.ended", ended))
        await self._record(drafts)

    def _about(self, notice: Notice, receiver: Receiver) -> dict[str, Any]:
        return {
            "about": notice.about,
            "channel": self.channel.name,
            "to": receiver.to,
            "person": receiver.person,
        }

    async def _record(self, drafts: list[Draft]) -> None:
        """Record, however long it takes: what was sent and isn't recorded would be sent again."""
        failures = 0
        while True:
            try:
                await self._core.ledger.append(drafts)
            except AlreadyDone:
                return
            except LedgerClosed:
                raise
            except KeyturnError as error:
                failures += 1
                log.warning("what %s sent could not be recorded yet: %s", self.channel.name, error)
                await asyncio.sleep(delay(self._pace, failures))
            else:
                return


def _of_finding(row: Mapping[str, Any]) -> str:
    """Under what findings are counted that come in a burst: those about one agent are told a few at a time."""
    return next((f"finding:{key}" for kind, key in row.get("about", ()) if kind == "agent"), "finding")


def _asker(view: RequestView) -> str:
    """Who makes requests: the human for whom an agent works, else the agent."""
    attribution = view.attribution or {}
    human, agent = attribution.get("human") or {}, attribution.get("agent") or {}
    return str(human.get("person") or agent.get("name") or "")


def _short(to: str) -> str:
    """An address in the form that a once key takes."""
    return hashlib.sha256(to.encode("utf-8", "surrogatepass")).hexdigest()[:32]
