"""Web push (RFC 8030, 8291, 8292): a line on a locked phone, which opens the request's page. Needs the extra `push`."""

from keyturn.channels.push.channel import PushChannel

__all__ = ["PushChannel"]
