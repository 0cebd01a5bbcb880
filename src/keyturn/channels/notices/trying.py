"""The message with which somebody tries a channel out. Pure."""

from __future__ import annotations

from keyturn.channels.notices.notice import Notice, Offer


def trial(now: int, link: str) -> Notice:
    """A message about nothing: no request, no button. *link* is the page's address; *now* milliseconds since 1970."""
    return Notice(
        about=f"test-{now}",
        phase="test",
        key=f"test-{now}",
        title="A test message",
        sentence="This channel works. Nothing waits.",
        kind="test",
        tier="",
        text="nothing would run",
        beside=(),
        who=(),
        why=(),
        stages=(),
        effects=(),
        state="test",
        outcome="Sent by `keyturn channel test`.",
        opened=now,
        expires=now,
        digest="sha256:" + "0" * 64,
        display="sha256:" + "0" * 64,
        link=link,
        offer=Offer(False, False),
        reason_required=False,
        shown="test",
    )
