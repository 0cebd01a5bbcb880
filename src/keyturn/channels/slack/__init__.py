"""Slack: messages, buttons, a window for the reason. Needs the extra `slack`."""

from keyturn.channels.slack.channel import SlackChannel

__all__ = ["SlackChannel"]
