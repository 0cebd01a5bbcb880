"""Signed webhooks (Standard Webhooks): what happens to requests, for programs of the operator's."""

from keyturn.channels.webhooks.channel import WebhookChannel

__all__ = ["WebhookChannel"]
