"""The JSON API under /v1: what the command line, remote gates and other programs use."""

from keyturn.channels.api.routes import routes

__all__ = ["routes"]
