"""The server's log without secrets: what is logged may quote what somebody sent (promise 9).

Every record of this process passes here before any handler sees it: its words, and its traceback, which quotes values.
"""

from __future__ import annotations

import contextlib
import io
import logging
import traceback
from collections.abc import Iterator
from typing import Any

from keyturn.service.redacting import Redaction


@contextlib.contextmanager
def redacted(redaction: Redaction) -> Iterator[None]:
    """As long as it lasts, no record of `logging` has a secret in it."""
    before = logging.getLogRecordFactory()

    def made(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = before(*args, **kwargs)
        try:
            record.msg, record.args = redaction.text(record.getMessage()), ()
            if record.exc_info and record.exc_info[0] is not None:
                told = io.StringIO()
                traceback.print_exception(*record.exc_info, file=told)
                record.exc_text = redaction.text(told.getvalue().rstrip("\n"))
        except Exception:  # a record that can't be written as text is not written at all
            record.msg, record.args, record.exc_info = "A record of the log could not be read.", (), None
        return record

    logging.setLogRecordFactory(made)
    try:
        yield
    finally:
        logging.setLogRecordFactory(before)


__all__ = ["redacted"]
