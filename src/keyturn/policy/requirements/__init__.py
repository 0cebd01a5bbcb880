"""`requirements.toml`: what policy asks of people beside what its rules say. One module a section; `SECTIONS` lists them."""

from keyturn.policy.requirements.model import NO_REQUIREMENTS, Requirements
from keyturn.policy.requirements.sections import FILE, SECTIONS, read_requirements

__all__ = ["FILE", "NO_REQUIREMENTS", "SECTIONS", "Requirements", "read_requirements"]
