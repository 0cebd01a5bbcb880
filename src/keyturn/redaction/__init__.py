"""Secrets are found and taken out where content comes in (promise 9)."""

from keyturn.redaction.redactor import Redacted, Secrets, Span, redact

__all__ = ["Redacted", "Secrets", "Span", "redact"]
