"""The embedded composition: the same five services in one process, meeting without sockets."""

from collections.abc import Sequence

from services.gateway.app import compose as compose_gateway
from services.reports.app import compose as compose_reports
from services.router.app import compose as compose_router
from services.tools.app import compose as compose_tools
from services.usage.app import compose as compose_usage
from shared.service import Part, Resources


async def compose(resources: Resources) -> Sequence[Part]:
    """All five; the first one's routes are the process's."""
    usage = await compose_usage(resources)
    router = await compose_router(resources)
    tools = await compose_tools(resources)
    reports = await compose_reports(resources)
    gateway = await compose_gateway(
        resources, router=router.router, forwards={"usage": usage.http, "reports": reports.http}
    )
    return [gateway, router, tools, usage, reports]
