"""Settings of sinks, `[[sink]]` in `keyturn.toml`: tools that get every entry of the log. No section, no sink.

Secrets are never in the settings, only the paths of files that hold them; a relative path begins at the home.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct


class SinkSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A tool that gets every entry of the log, in order and at least once."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    """Its name in lists and metrics: lowercase letters, digits, hyphens. Where it stands in the log is kept under this name."""
    kind: Literal["http", "syslog", "otlp", "files", "parquet"]
    """`http` posts batches, `syslog` is RFC 5424 over TLS, `otlp` OpenTelemetry logs and spans; `files` and `parquet` write below `to`."""
    to: str
    """Where to: `https://…` (http, otlp), `tls://host:port` (syslog; `tcp://` only to a loopback address), a folder (files, parquet)."""
    format: Literal["ocsf", "cloudevents"] = "ocsf"
    """What one event is, for `http` and `files`."""
    disclose: Literal["digests", "content"] = "digests"
    """`content` sends what actions are made of, too: scripts, arguments, instructions, reasoning."""
    begin: Literal["now", "start"] = "now"
    """Where it begins when it is set up: with what comes, or with the first entry of the log."""
    secret_files: tuple[str, ...] = ()
    """Files with secrets (`whsec_…`) that sign each batch as webhooks are signed, for `http`."""
    token_file: str = ""
    """File with a token that is sent along as `Authorization: Bearer`, for `http` and `otlp`."""
    ca_file: str = ""
    """File with the certificates to trust instead of the system's."""
