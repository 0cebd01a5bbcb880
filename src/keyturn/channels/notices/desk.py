"""What people do in chats: the one way from a click to a decision.

Rules kept here:

- A click is a person's only if exactly that account is on the roster (`slack:TEAM|USER`); otherwise it is refused in words.
- What is decided is what the message showed: its digests go with the decision, and the machine refuses others (promise 4).
- Approve is worked out anew from the request as it is now; that a button was there is no reason to take it.
- A decision from a chat has the assurance `click`, never more: the operator of the chat could have made it.
"""

from __future__ import annotations

from collections.abc import Callable

from keyturn.approvals.errors import DecisionRefused
from keyturn.channels.notices.composing import beside, offer
from keyturn.errors import KeyturnError
from keyturn.identity import Person
from keyturn.service.core import Core
from keyturn.service.interface import Service
from keyturn.service.model import Choice, RequestView

MOST_REASON = 2_000
"""Characters of a reason."""


class ClickerUnknown(KeyturnError):
    """An account clicked in a chat that belongs to nobody on the roster."""

    code = "chat.unknown_person"
    status = 403
    not_done = "Nothing was decided."
    next_step = (
        "Have the account linked to you (docs/how-to/slack.md and teams.md say how), or decide on the page."
    )


class ApproveOnPage(DecisionRefused):
    """This request can't be approved in a chat."""

    code = "chat.approve_on_page"
    next_step = "Open the request's page and approve it there. Deny works here."


class ChatDesk:
    """Handed to channels that take clicks. *link* makes the address of a request's page."""

    def __init__(self, core: Core, service: Service, link: Callable[[str], str]) -> None:
        self._core = core
        self._service = service
        self.link = link

    def person(self, account: str) -> Person:
        """Whose account that is. Raises `ClickerUnknown`."""
        owners = [
            person
            for _, person in sorted(self._core.roster.people.items())
            if account in person.accounts and not person.removed
        ]
        if not owners:
            raise ClickerUnknown("This account is not linked to anybody in Keyturn.")
        return owners[0]  # several records with one account are one human

    async def request(self, request: str, person: Person) -> RequestView:
        """The request as *person* sees it."""
        return await self._service.request(request, person)

    def check(self, view: RequestView, choice: Choice, *, chat_approves: bool) -> None:
        """Raise `ApproveOnPage` if *choice* is to approve and that is not for a chat."""
        if choice == "approve":
            offered = offer(view, beside(view), chat_approves=chat_approves)
            if not offered.approve and view.state == "waiting":
                raise ApproveOnPage(f"This can't be approved here: {offered.why_not}")

    async def decide(
        self,
        request: str,
        person: Person,
        choice: Choice,
        *,
        reason: str,
        digest: str,
        display: str,
        channel: str,
        chat_approves: bool,
    ) -> RequestView:
        """Record what *person* decided on what they were shown."""
        view = await self.request(request, person)
        self.check(view, choice, chat_approves=chat_approves)
        return await self._service.decide(
            request,
            person,
            choice,
            reason=reason[:MOST_REASON],
            digest=digest,
            display=display,
            channel=channel,
        )
