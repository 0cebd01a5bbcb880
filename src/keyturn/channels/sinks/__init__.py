"""Every entry, out to the tools that teams have: OCSF, CloudEvents, syslog, OpenTelemetry, files, Parquet; at least once, in order."""

from keyturn.channels.sinks.building import Sinks, build

__all__ = ["Sinks", "build"]
