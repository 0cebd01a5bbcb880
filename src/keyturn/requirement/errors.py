"""How a requirement's text is refused: with the place."""

from __future__ import annotations

from keyturn.errors import Malformed


class InvalidRequirement(Malformed):
    """A requirement's text can't be read. `why` says it in short; `caret` is the text with a line that points at the place."""

    code = "requirement.invalid"
    not_done = "Nothing was changed."
    next_step = (
        "Write it like `2 of dba, 1 of security` (together), `2 of dba then 1 of security` (in order) or "
        "`1 of dba|security` (out of either)."
    )

    def __init__(self, why: str, text: str, at: int) -> None:
        shown = text[:200].replace("\n", " ").replace("\t", " ")
        super().__init__(
            f"The requirement can't be read at column {at + 1}: {why}.", text=shown, column=at + 1
        )
        self.why = why
        self.caret = f"{shown}\n{' ' * min(at, len(shown))}^"


class TooManyPeople(InvalidRequirement):
    """Several requirements together ask for more than one requirement can say."""

    code = "requirement.too_many"
    next_step = "Ask for fewer people or fewer groups in the rules that hold the same actions."
