"""The audit log of a Kubernetes API server: one `audit.k8s.io/v1` event a line, or lists of them (a webhook's batches).

A request has several events; the one of stage ResponseComplete (or Panic) stands for it, ResponseStarted for a watch, whose end
may be hours away. The tag is looked for in the impersonated user's and the user's extra field `keyturn.dev/tag`, then in the
user agent, which the client sets: there, too, its MAC is checked. Source: k8s.io/apiserver/pkg/apis/audit/v1 types.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from keyturn.drift import fingerprints, tags
from keyturn.drift.observed import MAX_STATEMENT, Observed
from keyturn.drift.sources.lines import NoTime, Sheet, moment, records, text_at

EXTRA = "keyturn.dev/tag"


def read(stream: BinaryIO, sheet: Sheet) -> Iterator[Observed]:
    """Every request, once."""
    for number, record in records(stream, sheet, "items"):
        verb, stage = text_at(record, "verb"), text_at(record, "stage")
        if not verb or not stage:
            sheet.wrong(number, "no audit event: it has no verb or no stage")
            continue
        if stage not in ("ResponseComplete", "Panic") and not (
            verb == "watch" and stage == "ResponseStarted"
        ):
            sheet.skipped()
            continue
        if verb == "watch" and stage == "ResponseComplete":
            sheet.skipped()  # its beginning stands for it
            continue
        try:
            at = moment(text_at(record, "requestReceivedTimestamp") or text_at(record, "stageTimestamp"))
        except NoTime as error:
            sheet.wrong(number, str(error))
            continue
        resource = "/".join(
            filter(
                None, (text_at(record, "objectRef", "resource"), text_at(record, "objectRef", "subresource"))
            )
        )
        where = "/".join(
            filter(None, (text_at(record, "objectRef", "namespace"), text_at(record, "objectRef", "name")))
        )
        what = resource or text_at(record, "requestURI").partition("?")[0]
        behind = text_at(record, "user", "username")
        acting = text_at(record, "impersonatedUser", "username")
        yield Observed(
            time=at,
            principal=behind,
            fingerprint=fingerprints.kubernetes(verb, what),
            statement=f"{verb} {what} {where}{f' as {acting}' if acting else ''}".strip()[:MAX_STATEMENT],
            operation=f"{verb} {what}",
            object=where,
            tag=tags.found_in(
                *_extra(record.get("impersonatedUser")),
                *_extra(record.get("user")),
                text_at(record, "userAgent"),
            ),
            index=number,
        )


def _extra(user: Any) -> list[str]:
    extra = user.get("extra") if isinstance(user, dict) else None
    values = extra.get(EXTRA) if isinstance(extra, dict) else None
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []


__all__ = ["EXTRA", "read"]
