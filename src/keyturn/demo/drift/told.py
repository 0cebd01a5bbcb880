"""What a chapter of the drift story came to."""

from __future__ import annotations

from msgspec import Struct


class Told(Struct, frozen=True):
    """What a chapter found: kinds, their explanations' grades, and how long the chapter took (milliseconds), its acts included."""

    chapter: str
    area: str
    kinds: tuple[str, ...]
    grades: tuple[str, ...]
    milliseconds: int
