"""Agents, and what they are: a list, and for each the history of its definitions and what is different between any two."""

from __future__ import annotations

from litestar import Response, get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from keyturn.channels.web.exact import exact
from keyturn.channels.web.site import AnyRequest, Site
from keyturn.errors import NotFound

LISTED = 100


def handlers(site: Site) -> list[ControllerRouterHandler]:
    """`/agents` and `/agents/{name}`."""

    @get("/agents")
    async def agents(request: AnyRequest) -> Response[str]:
        viewer = site.viewer(request)
        return site.page(request, "agents.html", person=viewer, agents=site.web.agents())

    @get("/agents/{agent:str}")
    async def agent(request: AnyRequest, agent: FromPath[str]) -> Response[str]:
        viewer = site.viewer(request)
        found = site.web.agent(agent)
        if found is None:
            raise NotFound(f"No agent {agent[:80]!r} was ever seen.")
        history = site.web.definitions(agent)[:LISTED]
        after = request.query_params.get("after", "") or (found.definition or "")
        before = request.query_params.get("before", "")
        compared = await site.web.compared(agent, before, after) if after else None
        diffs = [exact(part.diff, diff=True) for part in compared.parts] if compared else []
        return site.page(
            request, "agent.html", person=viewer, agent=found, history=history, compared=compared, diffs=diffs
        )

    return [agents, agent]
