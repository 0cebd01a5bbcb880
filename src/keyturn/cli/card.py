"""One request as text for a terminal: the same things the page shows, in the same order, and nothing that hides.

What it does, the exact text, why it is held, where, who asked and for what, who may decide; the agent's own reasons last
and marked, because whoever wrote what the agent just read may have written them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from keyturn.cli.terminal import plural, visible
from keyturn.service.model import OF_AGENTS

Row = dict[str, Any]

MAX_REASONING = 1000
"""Characters of the agent's own explanation that are shown; it is no ground to decide on."""


def line(request: Row) -> str:
    """One request of a list."""
    state = f"{visible(request['id'])}  {visible(request['state']):<10} {left(request):>10}"
    return f"{state}  {visible(request['sentence'])}"


def card(view: Row) -> str:
    """The whole request. The last line is the digest that an approval names."""
    parts = (
        _head(view),
        _text(view),
        _risk(view),
        _why(view),
        _asked(view),
        _people(view),
        _conditions(view),
        _own_words(view),
    )
    lines = [one for part in parts for one in part]
    return "\n".join([*lines, f"  digest {visible(view['digest'])}"])


def left(request: Row) -> str:
    """`12:30 left`, or nothing once it has ended."""
    if request["state"] != "waiting":
        return ""
    seconds = max(0, int(request["expires"] / 1000 - time.time()))
    hours, minutes = divmod(seconds // 60, 60)
    if hours >= 48:
        return f"{hours // 24} days left"
    return (f"{hours}:{minutes:02d}" if hours else f"{minutes}") + f":{seconds % 60:02d} left"


def _head(view: Row) -> Iterator[str]:
    yield f"{visible(view['id'])}  {visible(view['state'])}  {left(view)}".rstrip()
    yield f"  {visible(view['sentence'])}"


def _text(view: Row) -> Iterator[str]:
    """The exact text. Only a line feed ends a line here: other characters that some programs break lines at stay visible."""
    text = view["text"]
    yield ""
    for one in text.removesuffix("\n").split("\n"):
        yield "  | " + visible(one, "\t")
    yield ""
    if not text.isascii():
        yield from _odd(text)
    for unread in view["reading"]["unread"]:
        yield f"  not understood: bytes {unread['start']}–{unread['end']}: {visible(unread['why'])}"


def _odd(text: str) -> Iterator[str]:
    from keyturn.channels.web.reveal import hidden_in, mixed_words

    for hidden in hidden_in(text):
        yield f"  CAUTION: {hidden.code} {hidden.name} is in the text, {plural(hidden.count, 'time')}; it can't be seen"
    for mixed in mixed_words(text):
        yield f"  CAUTION: {visible(mixed.word)} looks like another word: {', '.join(map(visible, mixed.letters))}"


def _risk(view: Row) -> Iterator[str]:
    """How much care it needs, and the lines that add up to it."""
    risk = view.get("risk")
    if risk:
        yield f"  risk: {visible(risk['tier'])} ({risk['score']} points)"
        for one in risk["lines"]:
            yield f"    +{one['points']} {visible(one['words'])}"
        if risk["tier"] == "critical":
            yield f"    approving it takes a reason and typing {visible(risk['target'])}"
        elif risk["tier"] == "high":
            yield "    approving it takes a reason"


def _why(view: Row) -> Iterator[str]:
    for reason in view["decision"]["reasons"]:
        yield f"  held: {visible(reason)}"
    replay = view["content"].get("replay") if view["subject"] == "policy" else None
    if replay:
        for change, count in sorted(replay["counts"].items()):
            yield f"  replayed: {visible(change)}: {count}"
        if view["content"].get("note"):
            yield f"  the author's note: {visible(view['content']['note'])}"


def _asked(view: Row) -> Iterator[str]:
    if view["cwd"]:
        yield f"  in {visible(view['cwd'])}"
    for name, value in sorted(view.get("environment", {}).items()):
        yield f"  with {visible(name)}={visible(value)}"
    for file, digest in sorted(view.get("executes", {}).items()):
        yield f"  runs the file {visible(file)}, which is {visible(digest)}"
    yield f"  at {visible(view['gate'])} ({visible(view['assurance'])})"
    who = view["attribution"]
    human = visible((who.get("human") or {}).get("person") or "nobody known")
    if view["subject"] not in OF_AGENTS:
        yield f"  proposed by {human}"
        return
    instruction = visible((who.get("instruction") or {}).get("text") or "(not given)")
    yield f"  asked by {visible((who.get('agent') or {}).get('name') or 'an unknown agent')} for {human}: {instruction}"
    if view.get("parties"):
        yield f"  also behind it, through the sessions above: {', '.join(map(visible, view['parties']))}"


def _asked_people(stage: Row) -> Iterator[str]:
    for person in stage["who"]:
        holder = stage.get("stands_in", {}).get(person)
        yield f"{visible(person)} (for {visible(holder)})" if holder else visible(person)


def _people(view: Row) -> Iterator[str]:
    waiting = view["state"] == "waiting"
    for stage in view["stages"]:
        still = ""
        if waiting and stage["have"] < stage["need"]:
            still = f"; may still decide: {', '.join(_asked_people(stage)) or 'nobody'}"
        group = visible(stage["group"].replace("|", " or "))
        yield f"  needs {stage['need']} of {group}, has {stage['have']}{still}"
    for given in view["approvals"]:
        reason = f": {visible(given['reason'])}" if given["reason"] else ""
        behalf = given.get("on_behalf_of") or ()
        who = f"{visible(given['person'])} for {visible(behalf[0])}" if behalf else visible(given["person"])
        yield f"  {who}: {visible(given['choice'])}{reason} (entry {given['entry']})"
    if not waiting:
        if view["ended_why"] and view["state"] not in ("approved", "denied"):
            yield f"  {visible(view['state'])}: {visible(view['ended_why'])}"
    elif view["may_decide"]:
        yield f"  You can't approve: {visible(view['may_decide'])}"
        if view["may_deny"] and view["may_deny"] != view["may_decide"]:
            yield f"  You can't deny: {visible(view['may_deny'])}"


def _conditions(view: Row) -> Iterator[str]:
    """What is asked beside people, and when what happens, in this machine's time."""
    given = view.get("conditions") or {}
    if given.get("window") and not given["closed"]:
        yield f"  only in the window {visible(given['window'])}" + (
            ", which is open" if view["state"] == "waiting" else ""
        )
    for words in (given.get("closed"), given.get("frozen")):
        if words:
            yield f"  {visible(words)}"
    if given.get("ticket"):
        known = f": {visible(given['reference'])}" if given.get("reference") else "; name it with --ticket"
        yield f"  needs an approved change{known}"
    if given.get("remind_at"):
        yield f"  at {_clock(given['remind_at'])} whoever can still decide is reminded"
    if given.get("escalate_at"):
        yield f"  at {_clock(given['escalate_at'])} it goes to {visible(given['escalate_to'])}, too"
    for one in given.get("escalated") or ():
        yield f"  went to {visible(one['to'])}, too, at {_clock(one['time'])}"


def _clock(ms: int) -> str:
    """`14:10`, with the day when it is not today's."""
    then = time.localtime(ms / 1000)
    today = then[:3] == time.localtime()[:3]
    return time.strftime("%H:%M" if today else "%Y-%m-%d %H:%M", then)


def _own_words(view: Row) -> Iterator[str]:
    reasoning = (view["attribution"].get("reasoning") or {}).get("text")
    if reasoning:
        cut = "…" if len(reasoning) > MAX_REASONING else ""
        yield f"  the agent's own words, unverified: {visible(reasoning[:MAX_REASONING])}{cut}"
