"""A request as a `Notice`, and what may be decided about it in a chat. Pure.

Rules kept here:

- Deny is offered as long as the request waits. Approve is offered in a chat only where the operator switched it on, policy is
  content with a click, the risk tier is low or medium, everything was understood, nothing in it is invisible or poses as
  something else, no ticket is asked for, and all of it fits in one message. Otherwise the message says why, and leads to the page.
- What a lock screen may show has no word of the action: tier, agent and verbs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from keyturn.channels.notices.notice import Line, Notice, Offer, Phase
from keyturn.channels.web.reveal import hidden_in, mixed_words
from keyturn.channels.web.wording import moment
from keyturn.service.model import OF_AGENTS, RequestView

MOST_APPROVABLE = 1_500
"""Bytes (UTF-8) of everything an approval is for, above which a chat message offers no Approve: nobody reads more of it there."""
CHAT_TIERS = ("low", "medium")

TITLES: dict[str, str] = {
    "waiting": "Waiting for approval",
    "approved": "Approved",
    "denied": "Denied",
    "expired": "Expired: nobody approved it in time",
    "withdrawn": "Withdrawn",
    "superseded": "No longer valid: the policy changed",
}
_VERBS = {
    "reads": "read",
    "writes": "write",
    "deletes": "delete",
    "executes": "run programs",
    "connects": "connect",
    "sends": "send data",
    "grants": "grant access",
    "configures": "change configuration",
}


def compose(view: RequestView, phase: Phase, key: str, link: str, *, chat_approves: bool) -> Notice:
    """What to say about *view*; *key* tells its messages apart. *chat_approves*: whether the channel may offer Approve at all."""
    attribution = view.attribution or {}
    agent = _named(attribution.get("agent"), "name")
    also = beside(view)
    return Notice(
        about=view.id,
        phase=phase,
        key=key,
        title=_title(view, phase),
        sentence=view.sentence or "No sentence could be made of this: read the bytes.",
        kind=view.kind if view.subject == "action" else view.subject,
        tier=tier_of(view),
        text=view.text,
        beside=also,
        who=tuple(_who(attribution, view)),
        why=tuple(_why(view)),
        stages=tuple(f"{s.have} of {s.need} {s.group}" for s in view.stages),
        effects=_effects(view),
        state=view.state,
        outcome=_outcome(view),
        opened=view.opened,
        expires=view.expires,
        digest=view.digest,
        display=view.display,
        link=link,
        offer=offer(view, also, chat_approves=chat_approves),
        reason_required=view.obligations.reason_required,
        shown=shown(view),
        agent=agent,
    )


def compose_alarm(view: RequestView, glass: Mapping[str, Any], link: str) -> Notice:
    """What to say about broken glass: *glass* is its row, *view* the request that was released."""
    said = compose(view, "alarm", "alarm", link, chat_approves=False)
    review = f"Somebody of {glass['reviewers']} has to review it by {moment(glass['review_by'])}."
    return replace(
        said,
        about=glass["id"],
        title=f"BREAK-GLASS: {glass['person']} released this alone",
        state="alarm",
        outcome=f"{glass['person']} says why: {glass['reason']}. {review}",
        offer=Offer(False, False, "It was released."),
        shown="alarm",
    )


def shown(view: RequestView) -> str:
    """Tells two states of the same request apart: `waiting:1`, `denied:2`."""
    return f"{view.state}:{len(view.approvals)}"


def tier_of(view: RequestView) -> str:
    """The risk tier, empty when none was worked out."""
    return view.risk.tier if view.risk is not None else ""


def offer(view: RequestView, also: Iterable[Line], *, chat_approves: bool) -> Offer:
    """What a chat may offer about *view*."""
    if view.state != "waiting":
        return Offer(False, False, "It has ended.")
    why_not = _why_no_approve(view, also, chat_approves)
    return Offer(True, not why_not, why_not)


def _why_no_approve(view: RequestView, also: Iterable[Line], chat_approves: bool) -> str:
    if not chat_approves:
        return "Approving is not switched on in this channel."
    if view.subject == "plan":
        return "Plans are approved on the page."
    if view.subject != "action":
        return "Changes are approved on the page."
    if view.obligations.assurance != "click":
        return f"Policy wants more than a click: {view.obligations.assurance}."
    if view.obligations.ticket_required:
        return "Policy wants a ticket with it."
    if tier_of(view) not in CHAT_TIERS:
        return "Its risk is not low or medium."
    if not view.reading.complete or view.reading.unread:
        return "Not everything in it was understood."
    if not _all_there(view):
        return "Not all of its content is in the message."
    texts = [view.text, view.sentence, *(line.text for line in also)]
    if any(hidden_in(text) or mixed_words(text) for text in texts):
        return "It has characters that are invisible or pose as others."
    if sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) > MOST_APPROVABLE:
        return "It is too long to be read in a message."
    return ""


def _all_there(view: RequestView) -> bool:
    """Whether the text is the whole content: a body or a file that is known by its digest alone is not."""
    content = view.content
    if view.kind == "http":
        return not content.get("body")
    if view.kind == "file":
        return bool(content.get("diff")) or content.get("operation") in ("delete", "read")
    return view.kind in ("shell", "tool")


def _title(view: RequestView, phase: Phase) -> str:
    tier = tier_of(view)
    title = TITLES.get(view.state, view.state)
    if view.drill is not None:
        return "That was a drill: nothing could have run"
    if view.state != "waiting":
        return title
    words = {"reminded": "Still waiting for approval"}.get(phase, title)
    return f"{tier.capitalize()} risk: {words[0].lower()}{words[1:]}" if tier else words


def _outcome(view: RequestView) -> str:
    """Who decided, in one line; empty while nobody has."""
    said = [
        f"{'approved' if given.choice == 'approve' else 'denied'} by {given.person}"
        for given in view.approvals
    ]
    words = "; ".join(said)
    if view.drill is not None:  # how the one who decided did is theirs to know, not a channel's
        return view.drill.why
    if view.ended_why:
        words = f"{words}: {view.ended_why}" if words else view.ended_why
    return words[:1].upper() + words[1:]


def beside(view: RequestView) -> tuple[Line, ...]:
    """What else the approval is for."""
    lines = [Line("Folder", view.cwd)] if view.cwd else []
    if view.kind == "file" and view.subject == "action":
        lines.append(Line("File", str(view.content.get("path", ""))))
    lines += [Line(f"Variable {name}", value) for name, value in sorted(view.environment.items())]
    lines += [Line(f"Runs file {path}", digest) for path, digest in sorted(view.executes.items())]
    return tuple(lines)


def _who(attribution: dict[str, Any], view: RequestView) -> Iterable[Line]:
    agent, human = attribution.get("agent"), attribution.get("human")
    if view.subject in OF_AGENTS:
        yield Line("Agent", _named(agent, "name") or "unknown")
        yield Line("For", _named(human, "person") or "nobody known")
    else:
        yield Line("Proposed by", _named(human, "person") or "nobody known")


def _why(view: RequestView) -> Iterable[str]:
    """Each rule that holds it, in its own words; the decision's reasons where no rule speaks."""
    said = [hit.because for hit in view.decision.rules if hit.verdict != "run" and hit.because]
    return dict.fromkeys(said or view.decision.reasons or ("No rule allows it.",))


def _effects(view: RequestView) -> tuple[str, ...]:
    verbs = {effect.verb for step in view.reading.steps for effect in step.effects}
    return tuple(words for verb, words in _VERBS.items() if verb in verbs)


def _named(value: Any, member: str) -> str:
    return str(value.get(member) or "") if isinstance(value, dict) else ""
