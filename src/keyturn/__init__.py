"""Keyturn stands between AI agents and everything they act on."""

__version__ = "0.1.0"
