"""Email over SMTP: told by message, decided on the page."""

from keyturn.channels.mail.channel import EmailChannel

__all__ = ["EmailChannel"]
