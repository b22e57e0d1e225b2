"""The embedded composition: the same five services in one process, meeting without sockets."""

from collections.abc import Sequence
from typing import Any

from services.gateway.app import compose as compose_gateway
from services.reports.app import compose as compose_reports
from services.router.app import compose as compose_router
from services.tools.app import compose as compose_tools
from services.usage.app import compose as compose_usage
from shared.health import App, nothing
from shared.service import Part, Resources


class Door:
    """An app that is put in later: reports asks the gateway for insight, and the gateway forwards to reports."""

    def __init__(self) -> None:
        self.app: App = nothing

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Hand the request to whoever stands behind the door."""
        await self.app(scope, receive, send)


async def compose(resources: Resources) -> Sequence[Part]:
    """All five; the first one's routes are the process's."""
    door = Door()
    usage = await compose_usage(resources)
    router = await compose_router(resources)
    tools = await compose_tools(resources)
    reports = await compose_reports(resources, gateway=door, usage=usage.http)
    gateway = await compose_gateway(
        resources, router=router.router, forwards={"usage": usage.http, "reports": reports.http}
    )
    door.app = gateway.http
    return [gateway, router, tools, usage, reports]
