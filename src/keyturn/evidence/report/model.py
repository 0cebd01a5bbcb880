"""What a report tells: results that were worked out elsewhere, and the frame they were worked out in. Frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from keyturn.evidence.history import Interval, Span
from keyturn.evidence.testing import ControlResult, Day, Test, TestResult


class ControlText(Protocol):
    """A control as its catalogue has it (`catalogue.Control`)."""

    @property
    def id(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def gist(self) -> str: ...
    @property
    def how(self) -> str: ...
    @property
    def also(self) -> str: ...


class Assessed(Struct, frozen=True):
    """One control: what it asks for, what it came to, and how it did over the period."""

    control: ControlText
    result: ControlResult
    history: tuple[Interval, ...] = ()
    days: tuple[Day, ...] = ()


class Tested(Struct, frozen=True):
    """One test: what it looks at, and what it came to."""

    test: Test
    result: TestResult


class KeptHead(Struct, frozen=True):
    """An earlier checkpoint that somebody else kept: whether this log goes on from it."""

    kept_by: str
    size: int
    prefix: bool


class Frame(Struct, frozen=True):
    """What was looked at, by whom and for whom. Times in milliseconds since 1970.

    `head`: when the log's last entry was recorded. `recorded`: whether the making of this pack is itself an entry of the log.
    """

    pack: str
    framework: str
    framework_title: str
    edition: str
    since: int
    until: int
    origin: str
    vkey: str
    size: int
    root: str
    head: int
    by: str
    auditor: str
    disclosure: str
    recorded: bool


class Report(Struct, frozen=True):
    """All of a report. `figures`: words → number, in order; `approvals`: assurance → how many; `cannot`: what no query here can show."""

    frame: Frame
    controls: tuple[Assessed, ...]
    tests: Mapping[str, Tested]
    figures: tuple[tuple[str, int], ...] = ()
    approvals: tuple[tuple[str, int], ...] = ()
    alive: tuple[Span, ...] = ()
    heads: tuple[KeptHead, ...] = ()
    cannot: tuple[str, ...] = ()
