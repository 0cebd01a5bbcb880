"""The SCIM routes. Each write ends in a ledger entry (`service.scim`); errors are SCIM's own (RFC 7644 §3.12), with our code in words."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from litestar import Request, Response, Router, delete, get, patch, post, put, route
from litestar.exceptions import HTTPException
from litestar.params import FromPath
from pydantic import ValidationError
from scim2_models import (
    Context,
    Error,
    ListResponse,
    PatchOp,
    Resource,
    ResourceType,
    ResponseParameters,
    Schema,
    SCIMException,
    SearchRequest,
)

from keyturn import metrics
from keyturn.channels.api.access import bearer, machine_of
from keyturn.channels.scim.resources import (
    CONFIG,
    KINDS,
    MAX_RESULTS,
    POLICY,
    PROVIDER,
    Group,
    User,
    kept,
    shown,
)
from keyturn.errors import KeyturnError
from keyturn.service import scim
from keyturn.service.errors import Unauthenticated
from keyturn.service.keyturn import Keyturn

AnyRequest = Request[Any, Any, Any]
TYPE = "application/scim+json"
TYPES = {400: "invalidValue", 409: "uniqueness"}
_BY_NAME = re.compile(r'\s*userName\s+eq\s+"([^"\\]*)"\s*', re.IGNORECASE)


def scim_routes(service: Keyturn, path: str) -> Router:
    """The router under *path*."""
    handlers = [
        *_discovery(service, path),
        *_resources(service, path, User, "/Users"),
        *_resources(service, path, Group, "/Groups"),
        _search_all(service, path),
        _nothing,
    ]
    return Router(
        path,
        route_handlers=handlers,
        include_in_schema=False,
        exception_handlers={Exception: _refused, HTTPException: _refused, KeyturnError: _refused},
    )


def _require_client(request: AnyRequest, service: Keyturn) -> None:
    """Raises `Unauthenticated` for whoever is not the SCIM client."""
    machine = machine_of(request)
    service.attempts.check(machine)
    if not scim.is_token(service.core, bearer(request)):
        service.attempts.failed(machine)
        raise Unauthenticated("That is not the SCIM client's token.")


@route("/{rest:path}", http_method=["GET", "POST", "PUT", "PATCH", "DELETE"])
async def _nothing(rest: FromPath[str]) -> None:
    """What isn't there is said in SCIM's words, too."""
    raise _Refusal(404, "", "There is nothing at that address.")


def _discovery(service: Keyturn, path: str) -> list[Any]:
    @get("/ServiceProviderConfig")
    async def config(request: AnyRequest) -> Response[bytes]:
        _require_client(request, service)
        return _answer({**_dump(CONFIG), "meta": _meta(request, path, "ServiceProviderConfig", "")})

    def published(kind: type[Resource[Any]], name: str, all_of: Callable[[], list[Any]]) -> list[Any]:
        def one(request: AnyRequest, each: Any) -> dict[str, Any]:
            return {**_dump(each), "meta": _meta(request, path, name, f"s/{each.id}")}

        @get(f"/{name}s")
        async def many(request: AnyRequest) -> Response[bytes]:
            _require_client(request, service)
            if "filter" in request.query_params:  # RFC 7644 §4
                raise _Refusal(403, "", "These can't be filtered.")
            return _answer(_list([one(request, each) for each in all_of()], 1, None))

        @get(f"/{name}s/{{id:str}}")
        async def single(request: AnyRequest, id: FromPath[str]) -> Response[bytes]:
            _require_client(request, service)
            found = next((each for each in all_of() if each.id == id), None)
            if found is None:
                raise _Refusal(404, "", f"There is no {name} {id[:80]!r}.")
            return _answer(one(request, found))

        return [many, single]

    return [
        config,
        *published(ResourceType, "ResourceType", lambda: list(PROVIDER.resource_types)),
        *published(Schema, "Schema", lambda: list(PROVIDER.schemas)),
    ]


def _resources(service: Keyturn, path: str, model: type[Resource[Any]], where: str) -> list[Any]:
    core, kind = service.core, KINDS[model]
    save = scim.save_user if model is User else scim.save_group

    def answer(
        request: AnyRequest, row: dict[str, Any], context: Context, status: int = 200
    ) -> Response[bytes]:
        resource = shown(model, row, _base(request, path))
        body = resource.model_dump(scim_ctx=context, response_parameters=_wanted(request, model))
        headers = {"etag": resource.meta.version}
        if status == 201:
            headers["location"] = resource.meta.location
        return _answer(body, status, headers)

    @get(where)
    async def search(request: AnyRequest) -> Response[bytes]:
        _require_client(request, service)
        asked = SearchRequest[model].model_validate(dict(request.query_params), scim_policy=POLICY)  # type: ignore[valid-type]
        return _found(service, request, path, (model,), asked)

    @post(where + "/.search", status_code=200)
    async def search_by_post(request: AnyRequest) -> Response[bytes]:
        _require_client(request, service)
        asked = SearchRequest[model].model_validate(  # type: ignore[valid-type]
            await _body(request), scim_ctx=Context.SEARCH_REQUEST, scim_policy=POLICY
        )
        return _found(service, request, path, (model,), asked)

    @get(where + "/{id:str}")
    async def one(request: AnyRequest, id: FromPath[str]) -> Response[bytes]:
        _require_client(request, service)
        row = scim.found(core, kind, id)
        if request.headers.get("if-none-match") == f'W/"{row["entry"]}"':
            return Response(b"", status_code=304, headers={"etag": f'W/"{row["entry"]}"'})
        return answer(request, row, Context.RESOURCE_QUERY_RESPONSE)

    @post(where, status_code=201)
    async def create(request: AnyRequest) -> Response[bytes]:
        _require_client(request, service)
        given = model.model_validate(
            await _body(request), scim_ctx=Context.RESOURCE_CREATION_REQUEST, scim_policy=POLICY
        )
        row = await save(core, kept(given))
        return answer(request, row, Context.RESOURCE_CREATION_RESPONSE, 201)

    @put(where + "/{id:str}")
    async def replace(request: AnyRequest, id: FromPath[str]) -> Response[bytes]:
        _require_client(request, service)
        original = shown(model, scim.found(core, kind, id), _base(request, path))
        given = model.model_validate(
            await _body(request),
            scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST,
            scim_policy=POLICY,
        )
        given.replace(original)
        row = await save(core, kept(given), id, _version(request))
        return answer(request, row, Context.RESOURCE_REPLACEMENT_RESPONSE)

    @patch(where + "/{id:str}")
    async def change(request: AnyRequest, id: FromPath[str]) -> Response[bytes]:
        _require_client(request, service)
        row = scim.found(core, kind, id)
        resource = shown(model, row, _base(request, path))
        operations = PatchOp[model].model_validate(  # type: ignore[valid-type]
            await _body(request), scim_ctx=Context.RESOURCE_PATCH_REQUEST, scim_policy=POLICY
        )
        if operations.patch(resource, scim_policy=POLICY):
            # What was patched is what was read: somebody else's write in between is not lost.
            row = await save(core, kept(resource), id, _version(request) or row["entry"])
        return answer(request, row, Context.RESOURCE_PATCH_RESPONSE)

    @delete(where + "/{id:str}", status_code=204)
    async def remove(request: AnyRequest, id: FromPath[str]) -> None:
        _require_client(request, service)
        await scim.remove(core, kind, id, _version(request))

    return [search, search_by_post, one, create, replace, change, remove]


def _search_all(service: Keyturn, path: str) -> Any:
    @post("/.search", status_code=200)
    async def search_all(request: AnyRequest) -> Response[bytes]:
        _require_client(request, service)
        asked = SearchRequest[User | Group].model_validate(
            await _body(request), scim_ctx=Context.SEARCH_REQUEST, scim_policy=POLICY
        )
        return _found(service, request, path, (User, Group), asked)

    return search_all


def _found(
    service: Keyturn, request: AnyRequest, path: str, models: Sequence[type[Resource[Any]]], asked: Any
) -> Response[bytes]:
    """The page of resources that *asked* wants (RFC 7644 §3.4.2)."""
    named = _BY_NAME.fullmatch(asked.filter) if asked.filter is not None and list(models) == [User] else None
    resources: list[Any] = []
    for model in models:
        if named:  # what clients ask before each write; never a walk over everybody
            row = scim.by_name(service.core, named[1])
            rows = [row] if row else []
        else:
            rows = scim.every(service.core, KINDS[model])
        resources += [shown(model, row, _base(request, path)) for row in rows]
    if asked.filter is not None:
        resources = [one for one in resources if asked.filter.match(one)]
    if asked.sort_by is not None:
        resources = asked.sort(resources)
    start = max(asked.start_index or 1, 1)
    count = MAX_RESULTS if asked.count is None else min(max(asked.count, 0), MAX_RESULTS)
    page = [
        one.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=asked)
        for one in resources[start - 1 : start - 1 + count]
    ]
    return _answer(_list(page, start, len(resources)))


def _list(page: list[dict[str, Any]], start: int, total: int | None) -> dict[str, Any]:
    return {
        "schemas": [str(ListResponse.__schema__)],
        "totalResults": len(page) if total is None else total,
        "startIndex": start,
        "itemsPerPage": len(page),
        "Resources": page,
    }


def _wanted(request: AnyRequest, model: type[Resource[Any]]) -> Any:
    """The attributes that the answer is to have (RFC 7644 §3.9)."""
    given = {k: v for k, v in request.query_params.items() if k in ("attributes", "excludedAttributes")}
    return ResponseParameters[model].model_validate(given, scim_policy=POLICY)  # type: ignore[valid-type]


async def _body(request: AnyRequest) -> Any:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in (
        TYPE,
        "application/json",
    ):
        raise _Refusal(415, "", f"Bodies are {TYPE}.")
    try:
        found = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise _Refusal(400, "invalidSyntax", "The body is no JSON.") from error
    if not isinstance(found, dict):
        raise _Refusal(400, "invalidSyntax", "The body is no JSON object.")
    return found


def _version(request: AnyRequest) -> int | None:
    """The version that the client means (`If-Match`); None where it means any."""
    given = request.headers.get("if-match", "").strip()
    if given in ("", "*"):
        return None
    found = re.fullmatch(r'(?:W/)?"(\d{1,15})"', given)
    return int(found[1]) if found else -1


def _base(request: AnyRequest, path: str) -> str:
    return f"{request.url.scheme}://{request.headers.get('host', '')}{path}"


def _meta(request: AnyRequest, path: str, name: str, rest: str) -> dict[str, str]:
    return {"resourceType": name, "location": f"{_base(request, path)}/{name}{rest}"}


def _dump(resource: Any) -> dict[str, Any]:
    found: dict[str, Any] = resource.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
    return found


def _answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response[bytes]:
    return Response(json.dumps(body).encode(), status_code=status, media_type=TYPE, headers=headers or {})


class _Refusal(Exception):
    """An error of the protocol itself."""

    def __init__(self, status: int, scim_type: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.scim_type, self.detail = status, scim_type, detail


def _refused(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Any exception as a SCIM error. Tracebacks go to the log, never to a client."""
    if isinstance(error, _Refusal):
        made = Error(status=error.status, scim_type=error.scim_type or None, detail=error.detail)
    elif isinstance(error, KeyturnError):
        words = f"{error.happened} {error.not_done} {error.do_next} [{error.code}]"
        made = Error(status=error.status, scim_type=TYPES.get(error.status), detail=words)
    elif isinstance(error, SCIMException):
        made = error.to_error()
    elif isinstance(error, ValidationError):
        made = Error.from_validation_errors(error)[0]
    elif isinstance(error, HTTPException):
        made = Error(status=error.status_code, detail=error.detail)
    else:
        metrics.log_failure(error)
        made = Error(status=500, detail="Keyturn failed inside. Nothing was changed.")
    status = int(made.status or 500)
    headers = {"www-authenticate": "Bearer"} if status == 401 else {}
    return _answer(made.model_dump(), status, headers)
