"""What a walk over a script has found so far: steps, what was not understood, and where things stand."""

from __future__ import annotations

from keyturn.actions import Step, Unread
from keyturn.readers.shell.arguments import MAX_ALTERNATIVES
from keyturn.readers.shell.calls import Argument, Call
from keyturn.readers.shell.content import Trust
from keyturn.readers.shell.syntax import Function, Span

MAX_STEPS = 400
"""Most steps in one reading."""

Folders = frozenset[str | None]


class Results:
    """What one walk over one script finds; `steps` and `unread` grow in source order.

    `texts` are the scripts that the script itself gives as texts (`sh -c`, `eval`), by place, re-emitted.
    """

    def __init__(self, trust: Trust | None = None) -> None:
        self.trust = trust or Trust()
        self.steps: list[Step] = []
        self.unread: list[Unread] = []
        self.texts: dict[tuple[Span, str], str] = {}
        self._base: Span | None = None
        self._lines: tuple[Argument, ...] | None = None
        self._functions: dict[str, tuple[Function, ...]] = {}
        self._defined: set[str] = set()
        self._called: set[str] = set()
        self._running: list[str] = []
        self._aliases: set[str] = set()
        self._evaluated = 0

    def _step(self, call: Call, argv: tuple[str, ...]) -> None:
        for problem in call.problems:
            self._refuse(problem.why, problem.span)
        self._add(
            Step(
                call.program,
                argv,
                call.subcommand,
                tuple(dict.fromkeys(call.options)),
                tuple(dict.fromkeys(call.effects)),
                not call.problems,
                call.span,
                tuple(dict.fromkeys(call.code_paths)),
            )
        )

    def _add(self, step: Step) -> None:
        if len(self.steps) < MAX_STEPS:
            if step not in self.steps[-MAX_ALTERNATIVES:]:
                self.steps.append(step)
        else:
            self._refuse(f"More than {MAX_STEPS} commands", step.span)

    def _refuse(self, why: str, span: Span) -> None:
        where = self._span(span)
        note = Unread(where[0], where[1], why)
        if note not in self.unread and len(self.unread) < MAX_STEPS:
            self.unread.append(note)

    def _span(self, span: Span) -> Span:
        return self._base or span
