"""The queue one request after the other, in lines: for terminals without the extra `tui`, for screen readers, for logs."""

from __future__ import annotations

import click

from keyturn.cli.card import card
from keyturn.cli.reviewing.deciding import Answer, Desk, Row, failure
from keyturn.cli.reviewing.gesture import gesture
from keyturn.cli.reviewing.queue import Queue, refreshed, tier
from keyturn.cli.terminal import plural, say, visible
from keyturn.errors import KeyturnError

CHOICES = "[a]pprove  [d]eny  [s]kip  [r]efresh  [q]uit"


def walk(desk: Desk) -> None:
    """Show what waits, most dangerous first, and ask about each. Ends when nothing is left or on `q`."""
    skipped: set[str] = set()
    while True:
        waiting = [row for row in desk.waiting() if row["id"] not in skipped]
        queue = refreshed(Queue(), waiting)
        if queue.current is None:
            say(
                "Nothing is waiting." if not skipped else f"Nothing else is waiting; skipped: {len(skipped)}."
            )
            return
        say(f"\n{plural(len(queue.rows), 'request')} waiting. Risk: {tier(queue.current)}.\n")
        view = desk.view(queue.current["id"])
        say(card(view))
        answer = click.prompt(CHOICES, default="s", show_default=False).strip().lower()[:1]
        if answer == "q":
            return
        if answer == "s":
            skipped.add(view["id"])
        elif answer in ("a", "d"):
            _decide(desk, view, "approve" if answer == "a" else "deny", skipped)


def _decide(desk: Desk, view: Row, choice: str, skipped: set[str]) -> None:
    asked = gesture(view, choice)
    if asked.refused:
        say(f"You can't {choice}: {visible(asked.refused)}")
        skipped.add(view["id"])
        return
    signed = choice == "approve" and desk.signs
    if asked.signed and not signed:
        say("Policy asks for a signature: come back with `keyturn review --sign`.")
        skipped.add(view["id"])
        return
    typed = ticket = ""
    if asked.typed and not signed:
        typed = click.prompt(f"It is critical. Type {visible(asked.typed)} to approve it", default="")
    if asked.ticket:
        known = visible(asked.reference)
        ticket = click.prompt("Ticket", default=known, show_default=bool(known)).strip()
    reason = click.prompt("Why", default="", show_default=False) if asked.reason or choice == "deny" else ""
    try:
        say(desk.decide(view, choice, Answer(reason, typed, ticket), signed=signed))
        skipped.add(view["id"])  # it may still wait for others
    except KeyturnError as error:
        say(failure(error))
