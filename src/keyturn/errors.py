"""Errors as part of the interface: a stable code, what happened, what did *not* happen, what to do.

Every error that a person, an agent or a script can meet is a subclass of `KeyturnError` with a
`code` that never changes meaning. `docs/reference/errors.md` lists them all; a test compares.
"""

from __future__ import annotations

from typing import Any, ClassVar


class ExitCode:
    """Process exit codes (design §10). `keyturn run` passes its child's code on and uses `RUN_*` for its own."""

    DONE = 0
    INTERNAL = 1
    USAGE = 2
    REFUSED = 3
    DENIED = 4
    EXPIRED = 5
    WAITING = 6
    DAMAGED = 7
    DRIFT = 8
    UNREACHABLE = 9

    RUN_INTERNAL = 240
    RUN_USAGE = 241
    RUN_REFUSED = 243
    RUN_DENIED = 244
    RUN_EXPIRED = 245
    RUN_UNREACHABLE = 249


class KeyturnError(Exception):
    """Base of all errors that are shown to anyone.

    `code` is stable; `status` is the HTTP status; `exit_code` the process's; `not_done` says what did
    not happen; `next_step` what to do now. Subclasses set them as class attributes.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = ExitCode.INTERNAL
    not_done: ClassVar[str] = "Nothing ran."
    next_step: ClassVar[str] = "Look at the server's log, then run `keyturn doctor`."

    catalogue: ClassVar[dict[str, type[KeyturnError]]] = {}

    def __init__(self, happened: str, *, next_step: str | None = None, **details: Any) -> None:
        super().__init__(happened)
        self.happened = happened
        self.details = details
        self.do_next = next_step or self.next_step

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "code" in cls.__dict__:
            known = KeyturnError.catalogue.setdefault(cls.code, cls)
            if known.__qualname__ != cls.__qualname__:
                raise TypeError(f"error code {cls.code!r} is used by {known} and {cls}")

    def as_json(self) -> dict[str, Any]:
        """The error as every interface shows it: `{"error": {"code", "happened", "not_done", "next", …}}`."""
        body: dict[str, Any] = {
            "code": self.code,
            "happened": self.happened,
            "not_done": self.not_done,
            "next": self.do_next,
        }
        if self.details:
            body["details"] = self.details
        return {"error": body}

    def __str__(self) -> str:
        return f"{self.happened} {self.not_done} {self.do_next} [{self.code}]"


class Malformed(KeyturnError):
    """The input is not what the interface describes."""

    code = "input.malformed"
    status = 400
    exit_code = ExitCode.USAGE
    next_step = "Correct the input; the API is described at /v1/openapi.json."


class TooLarge(KeyturnError):
    """A body, command or field is over its named limit."""

    code = "input.too_large"
    status = 413
    exit_code = ExitCode.USAGE
    next_step = "Send less, or split it; limits are listed in docs/reference/settings.md."


class NotFound(KeyturnError):
    """Nothing has that name or id."""

    code = "not_found"
    status = 404
    exit_code = ExitCode.USAGE
    not_done = "Nothing was changed."
    next_step = "Check the id; `keyturn requests --all` and `keyturn ledger log` list what exists."
