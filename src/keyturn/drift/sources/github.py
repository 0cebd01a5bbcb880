"""GitHub's audit log, as exported (JSON), as the REST API gives it (`GET /orgs/ORG/audit-log`), or as it is streamed (a record a line).

GitHub has no place for a tag but the client's user agent, which it records for calls of its API. Source: GitHub Docs, "Audit log
events for your organization", fields `@timestamp`, `action`, `actor`, `org`, `repo`, `user_agent`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from keyturn.drift import tags
from keyturn.drift.observed import MAX_STATEMENT, Observed
from keyturn.drift.sources.lines import Sheet, records, text_at


def read(stream: BinaryIO, sheet: Sheet) -> Iterator[Observed]:
    """Every event."""
    for number, record in records(stream, sheet):
        action = text_at(record, "action")
        at = record.get("@timestamp", record.get("created_at"))
        if not action or not isinstance(at, (int, float)) or not 0 < at < 1e14:
            sheet.wrong(number, "a record without action or @timestamp")
            continue
        about = text_at(record, "repo") or text_at(record, "repository") or text_at(record, "org")
        yield Observed(
            time=int(at),
            principal=text_at(record, "actor"),
            fingerprint=f"github:{action}",
            statement=f"{action} {about}".strip()[:MAX_STATEMENT],
            operation=action,
            object=about,
            target=text_at(record, "org"),
            tag=tags.found_in(text_at(record, "user_agent")),
            index=number,
        )


__all__ = ["read"]
