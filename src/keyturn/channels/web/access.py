"""Who may do what here: looked through by administrators, who record that they did; auditors look at it, and at the last review."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Annotated

from litestar import Response, get, post
from litestar.params import JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Meta, Struct

from keyturn.channels.web.site import AnyRequest, Site
from keyturn.service.access_review import MAX_NOTE, AccessView, LastReview, LastUse, Right

OF_PEOPLE = ("role", "group", "os-account", "account", "key", "token", "stands-in")
"""Kinds of rights that are shown beside whose they are."""


class Review(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /access/review`: the digest of the list that was shown."""

    digest: Annotated[str, Meta(max_length=100)]
    note: Annotated[str, Meta(max_length=MAX_NOTE)] = ""


class Recorded(Struct, frozen=True):
    """The answer, given only once the ledger has the entry."""

    words: str


class Holder(Struct, frozen=True):
    """A person and what they may do; `used`: when they last did, None for never; `own`: whoever looks.

    `looked`: when somebody else last looked through it, None for never.
    """

    id: str
    rights: Mapping[str, tuple[Right, ...]]
    used: LastUse | None
    own: bool
    looked: LastReview | None = None


def holders(view: AccessView, used: Mapping[str, LastUse], looked: Mapping[str, LastReview]) -> list[Holder]:
    """Everybody in the list, administrators first."""
    found = []
    for one in view.rights:
        if one.kind == "person":
            theirs = [each for each in view.rights if each.person == one.name and each.kind in OF_PEOPLE]
            by_kind = {kind: tuple(listed) for kind, listed in groupby(theirs, key=lambda each: each.kind)}
            own, name = one.name in view.own, one.name
            found.append(Holder(name, by_kind, used.get(name), own, looked.get(name)))
    return sorted(found, key=lambda each: (each.id not in view.administrators, each.id))


def others(view: AccessView) -> dict[str, tuple[Right, ...]]:
    """What is no person's: kind → rights."""
    listed = [one for one in view.rights if one.kind not in ("person", *OF_PEOPLE)]
    return {kind: tuple(each) for kind, each in groupby(listed, key=lambda one: one.kind)}


def handlers(site: Site) -> list[ControllerRouterHandler]:
    """`/access`."""

    @get("/access")
    async def access(request: AnyRequest) -> Response[str]:
        viewer = site.viewer(request)
        view, used, looked = await site.web.access(viewer)
        alone = not set(view.administrators) - set(view.own)
        return site.page(
            request, "access.html", person=viewer, view=view, holders=holders(view, used, looked), others=others(view),
            admin="admin" in viewer.roles, alone=alone,
        )  # fmt: skip

    @post("/access/review", status_code=200)
    async def review(request: AnyRequest, data: JSONBody[Review]) -> Recorded:
        made = await site.web.review_access(site.viewer(request), data.digest, data.note)
        return Recorded(f"Recorded as entry {made.entry}.")

    return [access, review]
