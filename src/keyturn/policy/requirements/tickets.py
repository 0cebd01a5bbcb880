"""`[tickets]`: where approved changes are looked up, and when one of them covers an action. Reading and judging, no I/O.

    [tickets]
    source = "jira"                      # or "github", or "file"
    url = "https://jira.example.com"
    credential = "jira"                  # a section of the home's sources.toml; never the secret itself
    states = ["Approved", "In Progress"]
    from_field = "customfield_10010"
    until_field = "customfield_10011"

Rules kept here:

- A ticket counts only if it is the one asked for, its state is one of `states`, now lies in its time, and it covers the
  action: it names the action's target, or every label of what the action touches.
- What a source leaves out is never taken for granted: a ticket without a time, or that covers nothing by name, does not count
  unless the policy says that this is not looked at.
- A reference is letters, digits, `-`, `_`, `.` (and `OWNER/REPO#N` or `#N` for GitHub), so it can't lead anywhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from msgspec import Struct

from keyturn.policy.problems import nearest
from keyturn.policy.requirements.answers import Unreadable, json_of, time_of, toml_or_json
from keyturn.policy.requirements.part import Part
from keyturn.policy.requirements.windows import shown

Kind = Literal["file", "jira", "github"]
KINDS = ("file", "jira", "github")
MAX_WORDS = 200
"""Labels and targets of one ticket that are looked at."""

_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_ISSUE = re.compile(r"#?([1-9][0-9]{0,8})", re.ASCII)
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}/[A-Za-z0-9._-]{1,100}", re.ASCII)
_WINDOW = re.compile(r"^Window:[ \t]*(\S{10,40})[ \t]*/[ \t]*(\S{10,40})[ \t]*$", re.MULTILINE | re.ASCII)
_IN_TEXT = {
    "jira": re.compile(r"\b[A-Z][A-Z0-9]{1,9}-[1-9][0-9]{0,8}\b", re.ASCII),
    "file": re.compile(r"\b[A-Z][A-Z0-9]{1,9}-[1-9][0-9]{0,8}\b", re.ASCII),
    "github": re.compile(r"(?<![\w/#])#[1-9][0-9]{0,8}\b", re.ASCII),
}


class Tickets(Struct, frozen=True):
    """Where tickets are looked up and when they count. `where` is a path or the base of URLs."""

    source: Kind
    where: str
    credential: str = ""
    repository: str = ""
    states: tuple[str, ...] = ("approved",)
    covers: bool = True
    window: bool = True
    from_field: str = ""
    until_field: str = ""

    def request_of(self, reference: str) -> str:
        """The path or URL at which *reference* is looked up. Raises `ValueError` for what is no reference."""
        if self.source == "github":
            match = _ISSUE.fullmatch(reference)
            if match is None:
                raise ValueError(f"{reference[:80]!r} is no issue of {self.repository}: write #12")
            return f"{self.where}/repos/{self.repository}/issues/{match[1]}"
        if not _REFERENCE.fullmatch(reference):
            raise ValueError(f"{reference[:80]!r} is no reference to a ticket")
        if self.source == "file":
            return self.where
        fields = ",".join(filter(None, ("status", "labels", self.from_field, self.until_field)))
        return f"{self.where}/rest/api/2/issue/{quote(reference, safe='')}?fields={quote(fields, safe=',')}"

    def named_in(self, text: str) -> str:
        """The first reference in *text*, if there is one: what a person wrote to their agent, as a suggestion."""
        found = _IN_TEXT[self.source].search(text)
        return found[0] if found else ""


class Ticket(Struct, frozen=True):
    """A ticket as its source tells of it. `begins` and `ends` are milliseconds since 1970, None where it has none."""

    reference: str
    states: tuple[str, ...]
    begins: int | None = None
    ends: int | None = None
    covers: tuple[str, ...] = ()


def ticket_of(rule: Tickets, reference: str, answer: bytes, name: str = "") -> Ticket | None:
    """The ticket in *answer*, None when the source has none of that reference. Raises `Unreadable`."""
    if rule.source == "file":
        return _in_file(toml_or_json(answer, name), reference)
    body = json_of(answer)
    return _of_jira(rule, body, reference) if rule.source == "jira" else _of_github(body, reference)


def refusal(rule: Tickets, ticket: Ticket, *, now: int, target: str, labels: Iterable[str]) -> str:
    """Why *ticket* does not count for an action at *target* that touches things with *labels*; empty when it does."""
    states = {state.casefold() for state in rule.states}
    if not any(state.casefold() in states for state in ticket.states):
        has = ", ".join(ticket.states) or "nothing"
        return f"{ticket.reference} is {has[:100]}, not {' or '.join(rule.states)}."
    if rule.window:
        if ticket.begins is None or ticket.ends is None:
            return f"{ticket.reference} does not say from when until when."
        if not ticket.begins <= now < ticket.ends:
            return (
                f"{ticket.reference} is for {shown(ticket.begins)} to {shown(ticket.ends)}, which is not now."
            )
    wanted = sorted(set(labels))
    if rule.covers and target not in ticket.covers and not (wanted and set(wanted) <= set(ticket.covers)):
        needed = f"{target}, or {' and '.join(wanted)}" if wanted else target
        return (
            f"{ticket.reference} covers {', '.join(ticket.covers)[:200] or 'nothing by name'}, not {needed}."
        )
    return ""


# --- what sources answer ---------------------------------------------------------------------------------------


def _in_file(body: Any, reference: str) -> Ticket | None:
    listed = body.get("ticket", body.get("tickets")) if isinstance(body, dict) else body
    if not isinstance(listed, list):
        raise Unreadable("it has no list of tickets")
    found = [one for one in listed if isinstance(one, dict) and one.get("id") == reference]
    if not found:
        return None
    if len(found) > 1:
        raise Unreadable(f"it has {reference} more than once")
    one = found[0]
    covers = _words(one.get("labels")) + _words(one.get("targets"))
    return Ticket(
        reference, _words([one.get("state")]), time_of(one.get("from")), time_of(one.get("until")), covers
    )


def _of_jira(rule: Tickets, body: Any, reference: str) -> Ticket:
    fields = body.get("fields") if isinstance(body, dict) else None
    if not isinstance(fields, dict) or not isinstance(fields.get("status"), dict):
        raise Unreadable("it is no issue of Jira")
    if body.get("key") != reference:
        raise Unreadable(f"it answers with another issue than {reference}")
    begins, ends = (
        time_of(fields.get(name)) if name else None for name in (rule.from_field, rule.until_field)
    )
    state = _words([fields["status"].get("name")])
    return Ticket(reference, state, begins, ends, _words(fields.get("labels")))


def _of_github(body: Any, reference: str) -> Ticket:
    if not isinstance(body, dict) or not isinstance(body.get("labels"), list):
        raise Unreadable("it is no issue of GitHub")
    if str(body.get("number")) != reference.removeprefix("#"):
        raise Unreadable(f"it answers with another issue than {reference}")
    labels = _words([one.get("name") if isinstance(one, dict) else one for one in body["labels"]])
    window = _WINDOW.search(body["body"]) if isinstance(body.get("body"), str) else None
    begins, ends = (time_of(window[1]), time_of(window[2])) if window else (None, None)
    # A closed issue is a change that is over, whatever its labels say.
    return Ticket(reference, labels if body.get("state") == "open" else ("closed",), begins, ends, labels)


def _words(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(one for one in value if isinstance(one, str) and 0 < len(one) <= 200)[:MAX_WORDS]


# --- the section -----------------------------------------------------------------------------------------------


def read_tickets(part: Part) -> Tickets | None:
    """`[tickets]`."""
    part.known(
        "source", "path", "url", "credential", "repository", "states", "covers", "window", "from_field", "until_field"
    )  # fmt: skip
    source = part.text("source")
    if source not in KINDS:
        hint = nearest(source, KINDS) or "one of " + ", ".join(KINDS)
        part.wrong("source" if source else part.name, "a source of tickets is file, jira or github", hint)
        return None
    if source == "file":
        where = part.required("path", 'path = "changes.toml"')
    elif source == "github":
        where = part.text("url", "https://api.github.com")
    else:
        where = part.required("url", 'url = "https://jira.example.com"')
    if where and source != "file":
        check_url(part, "url", where)
    repository = part.required("repository", 'repository = "owner/name"') if source == "github" else ""
    if repository and not _REPOSITORY.fullmatch(repository):
        part.wrong("repository", "a repository is written owner/name")
    window = part.choice("window", ("required", "ignored"), "required") == "required"
    from_field, until_field = part.text("from_field"), part.text("until_field")
    if source == "jira" and window and not (from_field and until_field):
        part.wrong(
            part.name,
            "Jira's issues have no time of their own: name from_field and until_field",
            'or window = "ignored"',
        )
    states = part.texts("states") or ("approved",)
    covers = part.choice("covers", ("required", "ignored"), "required") == "required"
    kind: Kind = "file" if source == "file" else "jira" if source == "jira" else "github"
    return Tickets(
        kind, where.rstrip("/"), part.text("credential"), repository, states, covers, window, from_field, until_field
    )  # fmt: skip


def check_url(part: Part, key: str, url: str) -> None:
    """A URL of an outside source: https, or http on this machine; nothing that would hide where it leads."""
    try:
        split = urlsplit(url)
        host = split.hostname or ""
        port_known = split.port is None or split.port > 0
    except ValueError:
        part.wrong(key, f"{key} is no URL")
        return
    here = host in ("localhost", "127.0.0.1", "::1")
    if split.scheme != "https" and not (split.scheme == "http" and here):
        part.wrong(key, f"{key} is https://, or http:// on this machine only")
    elif not host or not port_known or split.username or split.password or split.query or split.fragment:
        part.wrong(key, f"{key} is a host and a path, and carries no name, password or query")
