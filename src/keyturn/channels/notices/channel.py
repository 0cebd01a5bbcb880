"""What the outbox needs of a channel, and how a channel says that it could not deliver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from keyturn.channels.notices.notice import Notice
from keyturn.errors import ExitCode, KeyturnError
from keyturn.identity import Person

if TYPE_CHECKING:
    from litestar.types import ControllerRouterHandler

    from keyturn.channels.notices.desk import ChatDesk

Follows = Literal["no", "end", "changes"]
"""What a channel does about a message it sent when the request goes on: nothing · says how it ended · shows every change."""


class Undelivered(KeyturnError):
    """A message did not get to its receiver. What it was about is decided all the same."""

    code = "notice.undelivered"
    status = 502
    exit_code = ExitCode.INTERNAL
    not_done = "That receiver was not told. The request waits as before."
    next_step = "`keyturn doctor` shows how each channel is; `keyturn channel test NAME` tries one."


class ChannelDown(Undelivered):
    """A channel doesn't take messages at the moment. It is tried again."""

    code = "notice.channel_down"

    def __init__(self, happened: str, *, retry_after: float = 0.0) -> None:
        super().__init__(happened)
        self.retry_after = retry_after


class ReceiverRefused(Undelivered):
    """One receiver can't be told through this channel: unknown, gone or closed. It is not tried again for this request."""

    code = "notice.receiver_refused"

    def __init__(self, happened: str, *, gone: bool = False) -> None:
        super().__init__(happened)
        self.gone = gone


class ChannelUnusable(KeyturnError):
    """A channel can't be used as it is set up: a file is missing, an address is not one, a library is not installed."""

    code = "channel.unusable"
    status = 500
    exit_code = ExitCode.USAGE
    not_done = "Nothing was sent through this channel; the others work."
    next_step = "Correct its section in keyturn.toml; docs/reference/settings.md describes it."


class Receipt(Struct, frozen=True):
    """What a channel says of a message it delivered: `ref` finds the message again, `digest` is of the bytes that were sent."""

    ref: dict[str, Any] = {}
    digest: str = ""


class Receiver(Struct, frozen=True):
    """Where a message goes: an address in the channel's own form, and the person behind it (empty for a shared place)."""

    to: str
    person: str = ""


class Channel:
    """One way to tell people. Sends as it is told; who, when and how often is the outbox's business."""

    name: str = ""
    """`slack`, `webhook:siem`."""
    follows: Follows = "no"
    """What it does about messages that it sent."""
    quiet: str = ""
    """The setting `quiet`."""
    approves: bool = False
    """Whether it may offer Approve."""

    most_a_minute: int = 10
    """New requests of one asker that a receiver is told of in a minute; the others follow. 0 for a receiver that is a program."""

    def shared(self) -> Sequence[str]:
        """Places that hear of every request."""
        return ()

    def addresses(self, person: Person, rows: Sequence[Mapping[str, Any]]) -> Sequence[str]:
        """Where *person* is told; *rows* are their browsers that asked for push messages."""
        return ()

    async def send(self, notice: Notice, receiver: Receiver, ref: Mapping[str, Any] | None) -> Receipt:
        """Deliver; with *ref*, change the message that lies there. Raises `ChannelDown` or `ReceiverRefused`."""
        raise ReceiverRefused("This channel sends nothing.")

    def routes(self, desk: ChatDesk) -> Sequence[ControllerRouterHandler]:
        """Addresses at which a service calls in; each checks by itself who calls."""
        return ()

    async def listen(self, desk: ChatDesk) -> None:
        """Begin to take what comes in by a connection of the channel's own."""

    def trouble(self) -> str:
        """Why nothing comes in at the moment, empty when it does or when nothing is to come in."""
        return ""

    async def close(self) -> None:
        """Let go of connections."""
