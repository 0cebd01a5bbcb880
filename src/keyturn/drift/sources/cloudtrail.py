"""AWS CloudTrail: files of `{"Records": […]}`, gzipped or not, or one record a line.

The tag is looked for, in this order, in the source identity (which stays through role chaining and can't be changed in a session),
in the role session's name, and in the user agent (`app/…`, the SDK's application id). Its MAC is checked wherever it stood.
Times have seconds only. Sources: CloudTrail User Guide "Record contents", "userIdentity element"; IAM User Guide "Monitor and
control actions taken with assumed roles".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from keyturn.drift import fingerprints, tags
from keyturn.drift.observed import MAX_STATEMENT, Observed
from keyturn.drift.sources.lines import NoTime, Sheet, moment, records, text_at


def read(stream: BinaryIO, sheet: Sheet) -> Iterator[Observed]:
    """Every call of AWS' API."""
    for number, record in records(stream, sheet, "Records"):
        service, operation = text_at(record, "eventSource"), text_at(record, "eventName")
        if not service or not operation:
            sheet.wrong(number, "a record without eventSource or eventName")
            continue
        try:
            at = moment(text_at(record, "eventTime"))
        except NoTime as error:
            sheet.wrong(number, str(error))
            continue
        arn = text_at(record, "userIdentity", "arn")
        context = ("userIdentity", "sessionContext")
        issuer = text_at(record, *context, "sessionIssuer", "arn")
        source = text_at(record, *context, "sourceIdentity")
        session = arn.rpartition("/")[2]
        named = f"{service.partition('.')[0]}:{operation}"
        failed = text_at(record, "errorCode")
        yield Observed(
            time=at,
            principal=issuer
            or arn
            or text_at(record, "userIdentity", "principalId")
            or text_at(record, "userIdentity", "invokedBy"),
            fingerprint=fingerprints.aws(service, operation),
            statement=f"{named} {_of(record)}{f' ({failed})' if failed else ''}".strip()[:MAX_STATEMENT],
            operation=named,
            object=_of(record)[:MAX_STATEMENT],
            target=text_at(record, "recipientAccountId"),
            tag=tags.found_in(source, session, text_at(record, "userAgent")),
            index=number,
        )


def _of(record: dict[str, object]) -> str:
    """What the call was about, as far as the record names it."""
    resources = record.get("resources")
    if isinstance(resources, list):
        named = [text_at(one, "ARN") or text_at(one, "arn") for one in resources]
        if any(named):
            return " ".join(filter(None, named))
    given = record.get("requestParameters")
    if not isinstance(given, dict):
        return ""
    return " ".join(f"{name}={value}" for name, value in given.items() if isinstance(value, (str, int)))


__all__ = ["read"]
