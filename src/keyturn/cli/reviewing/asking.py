"""What the screen asks before it decides: a reason, the name of what is hit, typed; and the page of keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from keyturn.cli.reviewing.deciding import Answer
from keyturn.cli.reviewing.gesture import Gesture
from keyturn.cli.terminal import visible

KEYS = """\
j, ↓      next request           k, ↑       previous request
space     read on                b          back
a         approve                d          deny, with a reason for the agent
r         look again             q          leave

Low and medium risk take one key. High asks for a reason. Critical asks for the name of
what it hits, typed, or for a signature (keyturn review --sign).
Approve is open once all of the request was on the screen. Holding a key decides nothing.
Nothing runs before the ledger has your decision; its entry's number is shown.

Esc closes this."""


class Ask(ModalScreen[Answer | None]):
    """Asks for what a decision takes. Enter goes on, Esc decides nothing."""

    CSS = """
    Ask { align: center middle; }
    #box { width: 76; max-width: 96%; height: auto; border: heavy $panel; padding: 1 2; background: $surface; }
    #trouble { color: $error; height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "nothing is decided", priority=True)]

    def __init__(self, choice: str, asked: Gesture) -> None:
        super().__init__()
        self._choice, self._asked = choice, asked

    def compose(self) -> ComposeResult:
        """Only the fields that are asked for."""
        with Vertical(id="box"):
            yield Static(Text("Approve exactly this" if self._choice == "approve" else "Deny this"))
            if self._asked.typed:
                yield Static(Text(f"It is critical. Type what it hits: {visible(self._asked.typed)}"))
                yield Input(id="typed")
            if self._asked.ticket:
                yield Static(Text("Ticket: the approved change that this belongs to"))
                yield Input(self._asked.reference, id="ticket")
            yield Static(Text("Why" + ("" if self._asked.reason else " (may be empty; the agent is told)")))
            yield Input(id="reason")
            yield Static("", id="trouble")
            yield Static(Text("Enter: record it. Esc: decide nothing."))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter: the next field that lacks something, else done."""
        for field, lacks, words in self._lacking():
            if lacks:
                if event.input is field or field.value:
                    self.query_one("#trouble", Static).update(Text(words))
                field.focus()
                return
        reason = self.query_one("#reason", Input)
        if event.input is not reason and not reason.value:
            reason.focus()
            return
        self.dismiss(Answer(reason.value.strip(), self._value("typed"), self._value("ticket")))

    def _lacking(self) -> Iterator[tuple[Input, bool, str]]:
        """The fields in order: whether something is missing, and the words for it."""
        if self._asked.typed:
            wrong = self._value("typed") != self._asked.typed
            yield self.query_one("#typed", Input), wrong, "That is not the name it hits."
        if self._asked.ticket:
            yield self.query_one("#ticket", Input), not self._value("ticket"), "Policy asks for a ticket."
        empty = self._asked.reason and not self._value("reason")
        yield self.query_one("#reason", Input), empty, "It needs a reason."

    def _value(self, name: str) -> str:
        found = self.query(f"#{name}")
        return found.first(Input).value.strip() if found else ""

    def action_cancel(self) -> None:
        """Esc."""
        self.dismiss(None)


class Help(ModalScreen[None]):
    """The keys."""

    CSS = """
    Help { align: center middle; }
    #keys { width: 92; max-width: 98%; height: auto; border: heavy $panel; padding: 1 2; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark", "dismiss", "close")]

    def compose(self) -> ComposeResult:
        """One text."""
        yield Static(Text(KEYS), id="keys")
