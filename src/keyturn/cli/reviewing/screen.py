"""The queue as a full screen (textual, the extra `tui`): what waits on the left, exactly what would run on the right.

Nothing that came from outside is markup here: every text goes through `terminal.visible` and is drawn as it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

from msgspec.structs import replace
from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Footer, OptionList, Static
from textual.widgets.option_list import Option

from keyturn.cli.card import card, left
from keyturn.cli.reviewing.asking import Ask, Help
from keyturn.cli.reviewing.deciding import Answer, Desk, Row, failure
from keyturn.cli.reviewing.feed import Feed
from keyturn.cli.reviewing.gesture import gesture
from keyturn.cli.reviewing.guard import LOOK, KeyGuard
from keyturn.cli.reviewing.queue import Queue, chosen, moved, refreshed, tier
from keyturn.cli.terminal import visible
from keyturn.errors import KeyturnError

MARKS = {
    "critical": "‼ CRITICAL",
    "high": "! HIGH",
    "medium": "· medium",
    "low": "  low",
    "unknown": "? unrated",
}
COLOURS = {"critical": "bold white on red", "high": "bold red", "medium": "yellow", "low": "green"}


class Review(App[None]):
    """Keyboard only: j/k move, space scrolls, a approves, d denies, ? helps, q leaves."""

    ENABLE_COMMAND_PALETTE = False
    TITLE = "Keyturn"
    CSS = """
    #head { height: 1; padding: 0 1; background: $panel; }
    #queue { width: 46%; min-width: 30; border: none; }
    #side { width: 1fr; border-left: solid $panel; padding: 0 1; }
    #side.critical { border: heavy $error; }
    #said { height: auto; max-height: 4; padding: 0 1; }
    .narrow #body { layout: vertical; }
    .narrow #queue { width: 100%; height: 30%; }
    .narrow #side { width: 100%; border-left: none; border-top: solid $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "next"),
        Binding("k,up", "move(-1)", "previous"),
        Binding("space,pagedown", "page(1)", "read on"),
        Binding("b,pageup", "page(-1)", "back", show=False),
        Binding("a", "decide('approve')", "approve"),
        Binding("d", "decide('deny')", "deny"),
        Binding("r", "refresh", "refresh", show=False),
        Binding("question_mark", "help", "help"),
        Binding("q", "quit", "quit"),
    ]

    def __init__(self, desk: Desk, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.desk = desk
        self._now = clock
        self._queue = Queue()
        self._view: Row | None = None
        self._shown_at = 0.0
        self._guard = KeyGuard()
        self._state = "connecting"
        self._deciding = False
        self._feed = Feed(
            desk.client,
            lambda: self.call_from_thread(self._changed),
            lambda words: self.call_from_thread(self._lost, words),
        )

    def compose(self) -> ComposeResult:
        """The parts, top to bottom."""
        yield Static(id="head")
        with Horizontal(id="body"):
            yield OptionList(id="queue", markup=False)
            with VerticalScroll(id="side", can_focus=False):
                yield Static(id="card")
        yield Static(id="said")
        yield Footer()

    def on_mount(self) -> None:
        """Look, and listen from then on."""
        self.query_one(OptionList).can_focus = False
        self._head()
        self._feed.start()
        self.set_interval(1.0, self._clock)

    def on_unmount(self) -> None:
        """Stop listening."""
        self._feed.stop()

    def on_resize(self) -> None:
        """Narrow terminals have the request under the list."""
        self.screen.set_class(self.size.width < 90, "narrow")

    # --- what waits --------------------------------------------------------------------------------------------

    def _changed(self) -> None:
        self._state = "live"
        self.fetch()

    def _lost(self, words: str) -> None:
        self._state = "reconnecting, this may be stale"
        self._head()
        self.say(visible(words))

    @work(thread=True, exclusive=True, group="fetch")
    def fetch(self) -> None:
        """Look at what waits, and at the selected request."""
        try:
            rows = self.desk.waiting()
            queue = refreshed(self._queue, rows)
            view = self.desk.view(queue.selected) if queue.selected else None
        except KeyturnError as error:
            self.call_from_thread(self._lost, failure(error))
            return
        self.call_from_thread(self._take, rows, view)

    def _take(self, rows: list[Row], view: Row | None) -> None:
        self._queue = refreshed(self._queue, rows)
        self._draw_list()
        if view is not None and view["id"] == self._queue.selected:
            self._show(view)
        elif self._queue.selected:
            self.fetch()  # the selection moved meanwhile
        else:
            self._show(None)
        self._head()

    def _draw_list(self) -> None:
        listed = self.query_one(OptionList)
        listed.clear_options()
        listed.add_options([Option(row_text(row), id=row["id"]) for row in self._queue.rows])
        listed.highlighted = self._queue.place if self._queue.place >= 0 else None

    def _clock(self) -> None:
        listed = self.query_one(OptionList)
        for row in self._queue.rows[:60]:
            listed.replace_option_prompt(row["id"], row_text(row))
        self._head()

    def _head(self) -> None:
        counts = ", ".join(f"{count} {name}" for name, count in self._queue.counts.items())
        waiting = f"{len(self._queue.rows)} waiting" + (f" ({counts})" if counts else "")
        self.query_one("#head", Static).update(Text(f"Keyturn · {waiting} · {self._state}"))

    # --- the selected request ----------------------------------------------------------------------------------

    def _show(self, view: Row | None) -> None:
        if view is not None and self._view is not None and view == self._view:
            return
        fresh = view is None or self._view is None or view["id"] != self._view["id"]
        self._view = view
        side = self.query_one("#side", VerticalScroll)
        side.set_class(view is not None and tier(view) == "critical", "critical")
        self.query_one("#card", Static).update(Text(card(view) if view else "Nothing is waiting."))
        if fresh:
            side.scroll_home(animate=False)
            self._shown_at = self._now()

    def action_move(self, step: int) -> None:
        """Select the row *step* further."""
        self._queue = moved(self._queue, step)
        self.query_one(OptionList).highlighted = self._queue.place if self._queue.place >= 0 else None
        self.fetch()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """A click on a row selects it."""
        if event.option.id and event.option.id != self._queue.selected:
            self._queue = chosen(self._queue, event.option.id)
            self.fetch()

    def action_page(self, step: int) -> None:
        """Scroll the request."""
        side = self.query_one("#side", VerticalScroll)
        side.scroll_page_down(animate=False) if step > 0 else side.scroll_page_up(animate=False)

    def action_refresh(self) -> None:
        """Look again."""
        self.fetch()

    def action_help(self) -> None:
        """The keys and what they ask for."""
        self.push_screen(Help())

    # --- deciding ----------------------------------------------------------------------------------------------

    def action_decide(self, choice: str) -> None:
        """Approve or deny what is shown, with what its risk asks for."""
        now = self._now()
        fresh = self._guard.fresh(choice, now)
        view = self._view
        if view is None or self._deciding or not fresh or view["id"] != self._queue.selected:
            return
        if choice == "approve" and now - self._shown_at < LOOK:
            self.say("It came up just now: look, then press again.")
            return
        asked = gesture(view, choice)
        if asked.refused:
            self.say(f"You can't {choice}: {visible(asked.refused)}")
            return
        side = self.query_one("#side", VerticalScroll)
        if choice == "approve" and side.max_scroll_y - side.scroll_y > 0.5:
            self.say("Read to the end first: space reads on. Approve is open when all of it was shown.")
            return
        if choice == "approve" and asked.signed and not self.desk.signs:
            self.say("Policy asks for a signature: leave, and come back with `keyturn review --sign`.")
            return
        signed = choice == "approve" and self.desk.signs
        asked = replace(asked, typed="") if signed else asked

        def answered(answer: Answer | None) -> None:
            if answer is None:
                self.say("Nothing was decided.")
            else:
                self._send(view, choice, answer, signed)

        if asked.reason or asked.typed or asked.ticket or choice == "deny":
            self.push_screen(Ask(choice, asked), answered)
        else:
            self._send(view, choice, Answer(), signed)

    def _send(self, view: Row, choice: str, answer: Answer, signed: bool) -> None:
        self._deciding = True
        if signed:
            with self.suspend():  # ssh-keygen may ask for a passphrase, or for a touch
                print(f"Signing the approval of {visible(view['id'])}.", flush=True)
                words = self._decided(view, choice, answer, signed)
            self._sent(words)
            return
        self.say("Being recorded…")
        self.send(view, choice, answer)

    @work(thread=True, group="send")
    def send(self, view: Row, choice: str, answer: Answer) -> None:
        """Send it; what the server says is shown."""
        self.call_from_thread(self._sent, self._decided(view, choice, answer, False))

    def _decided(self, view: Row, choice: str, answer: Answer, signed: bool) -> str:
        try:
            return self.desk.decide(view, choice, answer, signed=signed)
        except KeyturnError as error:
            return failure(error)

    def _sent(self, words: str) -> None:
        self._deciding = False
        self.say(words)
        self.fetch()

    def say(self, words: str) -> None:
        """One line under the request."""
        self.query_one("#said", Static).update(Text(words))


def row_text(row: Row) -> Text:
    """One row: tier in words and colour, time left, sentence."""
    name = tier(row)
    text = Text(f"{MARKS[name]:<11}", style=COLOURS.get(name, ""))
    text.append(f" {left(row):>11}  ", style="")
    text.append(visible(row["sentence"] or row["id"]), style="")
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
