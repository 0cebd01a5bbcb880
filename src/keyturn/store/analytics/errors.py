"""What can go wrong with a question over the past."""

from __future__ import annotations

from keyturn.errors import ExitCode, KeyturnError


class SegmentsUnusable(KeyturnError):
    """The segments' folder can't be read or written, or a segment could not be made."""

    code = "analytics.segments"
    status = 503
    exit_code = ExitCode.INTERNAL
    not_done = "Nothing was answered; the ledger is untouched."
    next_step = (
        "Check owner, mode and room of the home's folder `segments`; it may be deleted, and is made again."
    )


class SegmentsBusy(KeyturnError):
    """Another process makes segments in the same folder."""

    code = "analytics.busy"
    status = 503
    exit_code = ExitCode.UNREACHABLE
    not_done = "Nothing was answered."
    next_step = "Try again when it is done: it takes a few seconds for each 100,000 entries."


class QueryUnknown(KeyturnError):
    """There is no query of that name."""

    code = "analytics.unknown_query"
    status = 404
    exit_code = ExitCode.USAGE
    not_done = "Nothing was answered."
    next_step = "`keyturn drift query --list` names them all."


class QueryMalformed(KeyturnError):
    """A query was not given what it needs, or was given what it doesn't take."""

    code = "analytics.query"
    status = 400
    exit_code = ExitCode.USAGE
    not_done = "Nothing was answered."
    next_step = "`keyturn drift query --list` says what each one takes."


class QueryTooLarge(KeyturnError):
    """The answer needs more memory than a query may take."""

    code = "analytics.memory"
    status = 413
    exit_code = ExitCode.INTERNAL
    not_done = "Nothing was answered."
    next_step = "Ask for a shorter time (--since, --until), or allow more with --memory."
