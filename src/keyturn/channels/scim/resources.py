"""What a SCIM user and group are here: the few attributes that mean something. Everything else that a client sends is left out.

Personal data that nobody needs for approvals (addresses, telephone numbers, titles) is not kept, and the schemas say so.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field
from scim2_models import (
    AuthenticationScheme,
    Bulk,
    CaseExact,
    ChangePassword,
    ComplexAttribute,
    Context,
    ETag,
    Filter,
    Meta,
    Mutability,
    Patch,
    Reference,
    Required,
    Resource,
    ScimPolicy,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
    Uniqueness,
)
from scim2_models.urn import URN

MAX_RESULTS = 1_000


class User(Resource[Any]):
    """A person, as the client knows them."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:User")

    user_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    """Unique name of the user; the person's id here is made of it."""

    display_name: str | None = None
    """As shown."""

    active: bool | None = None
    """Whether the person is on the roster."""


class Member(ComplexAttribute):
    """A member of a group: a user."""

    value: Annotated[str | None, Mutability.immutable, Required.true, CaseExact.true] = None
    """The user's id."""

    ref: Annotated[Reference[User] | None, Mutability.immutable] = Field(
        None, serialization_alias="$ref", validation_alias="$ref"
    )
    """The user's address."""


class Group(Resource[Any]):
    """A group there; the setting `scim.groups` says which of ours it fills."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:Group")

    display_name: Annotated[str | None, Required.true] = None
    """Unique name of the group."""

    members: list[Member] | None = None
    """Users in the group."""


POLICY = ScimPolicy(unknown=ScimPolicy.Unknown.ignore)
CONFIG = ServiceProviderConfig(
    patch=Patch(supported=True),
    bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
    filter=Filter(supported=True, max_results=MAX_RESULTS),
    change_password=ChangePassword(supported=False),
    sort=Sort(supported=True),
    etag=ETag(supported=True),
    authentication_schemes=[
        AuthenticationScheme(
            type=AuthenticationScheme.Type.oauthbearertoken,
            name="Bearer token",
            description="The token of `keyturn scim token`.",
        )
    ],
)
PROVIDER = ScimProvider(models=[User, Group], config=CONFIG, policy=POLICY)
KINDS: dict[type[Resource[Any]], str] = {User: "user", Group: "group"}


def shown(model: type[Resource[Any]], row: dict[str, Any], base: str) -> Any:
    """The resource that *row* keeps."""
    kept = row["resource"]
    given = {k: v for k, v in kept.items() if k != "members"}
    if model is Group:
        given["members"] = [
            {"value": member, "$ref": f"{base}/Users/{member}"} for member in kept["members"]
        ] or None
    made = model.model_validate(
        {"schemas": [str(model.__schema__)], "id": row["id"], **given}, scim_policy=POLICY
    )
    name = "User" if model is User else "Group"
    made.meta = Meta(
        resource_type=name,
        created=_time(row["created"]),
        last_modified=_time(row["modified"]),
        location=f"{base}/{name}s/{row['id']}",
        version=f'W/"{row["entry"]}"',
    )
    return made


def kept(resource: Any) -> dict[str, Any]:
    """What is recorded of *resource*."""
    given: dict[str, Any] = resource.model_dump(scim_ctx=Context.DEFAULT)
    fields = {
        k: given[k] for k in ("userName", "displayName", "externalId", "active") if given.get(k) is not None
    }
    if isinstance(resource, Group):
        fields["members"] = [member.value for member in resource.members or () if member.value]
    return fields


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
