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
    parts: list[Part] = []
    usage = await compose_usage(resources)
    router = await compose_router(resources, usage=usage.http)
    tools = await compose_tools(resources)
    # The gateway forwards to reports, and reports asks the gateway for insight: it finds it here once it is composed.
    reports = await compose_reports(resources, gateway=lambda: parts[0].http if parts else None, usage=usage.http)
    gateway = await compose_gateway(
        resources, router=router.router, forwards={"usage": usage.http, "reports": reports.http}
    )
    parts += [gateway, router, tools, usage, reports]
    return parts
