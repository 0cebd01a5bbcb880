"""Clients that ask twice: once at the gate, and again, in other words and without an id, before they do it.

Copilot does so for edits and MCP tools. The second question is answered by the first one's verdict only when it is
about exactly the same thing: the same tool call, or the same changed lines of the same file. Anything else is a
proposal of its own. A command is never confirmed: for it the first allow is enough, so a second question means that
the first went unanswered.
"""

from __future__ import annotations

import os
from collections import deque

from keyturn.actions import Content, FileEdit, ToolCall
from keyturn.gates.hooks.model import Proposal

MAX_OPEN = 64


class Confirmations:
    """Calls of one run that were allowed and may be asked about once more."""

    def __init__(self) -> None:
        self._open: deque[tuple[Content, ...]] = deque(maxlen=MAX_OPEN)

    def asked(self, proposals: tuple[Proposal, ...]) -> None:
        """A first question: what was left over about the same file or tool is void."""
        about = {_about(proposal.content) for proposal in proposals}
        kept = [one for one in self._open if about.isdisjoint(map(_about, one))]
        self._open = deque(kept, maxlen=MAX_OPEN)

    def allowed(self, contents: tuple[Content, ...]) -> None:
        """The first question, about *contents* as they were resolved, was answered with yes."""
        if contents and all(isinstance(content, FileEdit | ToolCall) for content in contents):
            self._open.append(contents)

    def confirm(self, proposals: tuple[Proposal, ...]) -> bool:
        """Whether a second question is about something that was allowed; each allow confirms once."""
        wanted = tuple(proposal.content for proposal in proposals)
        for one in self._open:
            if len(one) == len(wanted) and all(map(_same, one, wanted)):
                self._open.remove(one)
                return True
        return False


def _about(content: Content) -> str:
    if isinstance(content, FileEdit):
        return f"file {os.path.realpath(content.path)}"
    return f"tool {content.server}/{content.tool}" if isinstance(content, ToolCall) else "other"


def _same(allowed: Content, asked: Content) -> bool:
    if isinstance(allowed, FileEdit) and isinstance(asked, FileEdit):
        changed = changed_lines(asked.diff)
        return (
            allowed.path == os.path.realpath(asked.path)
            and bool(changed)
            and changed_lines(allowed.diff) == changed
        )
    return isinstance(allowed, ToolCall) and allowed == asked


def changed_lines(diff: str) -> list[str]:
    """The removed and added lines of a unified diff of one file, in order, without its headings."""
    lines = diff.splitlines()
    start = next((n for n, line in enumerate(lines) if line.startswith("@@")), len(lines))
    return [line for line in lines[start:] if line[:1] in ("+", "-")]
