"""What is wrong with a policy, where, and what was probably meant.

Every problem names file, line and column, shows the line with a caret, and suggests the nearest known word.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from msgspec import Struct, convert, to_builtins

from keyturn.errors import ExitCode, KeyturnError


class Problem(Struct, frozen=True):
    """One mistake. `line` and `column` count from 1 (characters); 0 where the file as a whole is meant.

    `excerpt` is the line as written, `width` how many characters the carets underline.
    """

    file: str
    line: int
    column: int
    message: str
    excerpt: str = ""
    width: int = 1
    suggestion: str = ""

    def render(self) -> str:
        """The problem as a person reads it: place, words, the line, carets, suggestion."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        lines = [f"{place}: {self.message}"]
        if self.excerpt:
            shown = self.excerpt.replace("\t", " ")
            number = f"{self.line:>5} | "
            room = max(1, len(shown) - self.column + 1)
            carets = "^" * max(1, min(self.width, room))
            lines += [number + shown, " " * (len(number) - 2) + "| " + " " * (self.column - 1) + carets]
        if self.suggestion:
            lines.append(f"      help: {self.suggestion}")
        return "\n".join(lines)


class PolicyInvalid(KeyturnError):
    """The policy does not say what a policy can say. `problems` lists every mistake found."""

    code = "policy.invalid"
    status = 422
    exit_code = ExitCode.USAGE
    not_done = "The policy was not loaded; the one in force has not changed."
    next_step = "Correct the places named; docs/reference/policy.md lists the words that rules can use."

    def __init__(self, problems: Sequence[Problem]) -> None:
        count = len(problems)
        first = problems[0]
        place = f"{first.file}:{first.line}:{first.column}" if first.line else first.file
        more = "" if count == 1 else f" (and {count - 1} more)"
        hint = f" ({first.suggestion})" if first.suggestion else ""
        super().__init__(
            f"{place}: {first.message}{hint}{more}.", problems=[to_builtins(p) for p in problems[:100]]
        )

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The mistakes, at most a hundred; also after the error travelled as JSON."""
        return tuple(convert(p, Problem) for p in self.details.get("problems", ()))

    def render(self) -> str:
        """All problems with their carets, one after the other."""
        return "\n\n".join(problem.render() for problem in self.problems) or self.happened


def nearest(word: str, known: Iterable[str]) -> str:
    """`did you mean "…"?`, or nothing when no known word is near."""
    found = difflib.get_close_matches(word, sorted(set(known)), n=1, cutoff=0.6)
    return f'did you mean "{found[0]}"?' if found else ""
