"""`drift.toml`: what counts as drift, and what follows from it. One module a section; `SECTIONS` lists them."""

from keyturn.policy.drift.model import NO_DRIFT, DriftRules
from keyturn.policy.drift.sections import FILE, SECTIONS, read_drift

__all__ = ["FILE", "NO_DRIFT", "SECTIONS", "DriftRules", "read_drift"]
