"""The asynchronous client: the blocking one's methods, awaited."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2

from tollway.client import ask
from tollway.client.ask import Ask
from tollway.client.connect import connection, job_event, own_path, readable
from tollway.client.shapes import (
    Breakdown,
    BreakdownBy,
    CostPoint,
    CurrentStats,
    Event,
    ExportedReport,
    ExportFormat,
    JobEvent,
    Recorded,
    ReportFormat,
    ReportJob,
    SessionStats,
    Summary,
    TopUser,
)
from tollway.errors import ServerUnreachableError, server_error

T = TypeVar("T")


class AsyncTollwayClient:
    """Report jobs (`client.reports`) and usage (`client.usage`) of one server.

    Without arguments it speaks to TOLLWAY_URL with TOLLWAY_ADMIN_TOKEN or TOLLWAY_API_KEY.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float = 30.0,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        url, headers = connection(base_url, api_key)
        self._http = httpx2.AsyncClient(base_url=url, headers=headers, timeout=timeout, transport=transport)
        self.usage = AsyncUsageQueries(self)
        self.reports = AsyncReportJobs(self)

    async def send(self, request: Ask[T]) -> T:
        """Sends one request and reads its answer."""
        try:
            answer = await self._http.request(
                request.method,
                own_path(self._http.base_url, request.path),
                params=dict(request.params) or None,
                json=request.json,
                headers=dict(request.headers),
            )
        except httpx2.TransportError as error:
            msg = f"{self._http.base_url}: {error}"
            raise ServerUnreachableError(msg) from error
        if answer.status_code >= 400:
            raise server_error(answer.status_code, answer.content)
        return readable(request, answer.content)

    async def stream(self, request: Ask[ReportJob]) -> AsyncIterator[JobEvent]:
        """The server-sent events of one request, until the server ends them."""
        try:
            async with self._http.sse(request.path, headers=dict(request.headers), timeout=None) as source:
                if source.response.status_code >= 400:
                    raise server_error(source.response.status_code, await source.response.aread())
                async for event in source:
                    if event.data:
                        yield job_event(request, event.id, event.data)
        except httpx2.TransportError as error:
            msg = f"{self._http.base_url}: {error}"
            raise ServerUnreachableError(msg) from error

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class AsyncUsageQueries:
    """Everything under /api/ai_usage."""

    def __init__(self, client: AsyncTollwayClient) -> None:
        self._client = client

    async def current(self) -> CurrentStats:
        return await self._client.send(ask.current())

    async def hourly(self, hours_ago: int = 0) -> Summary:
        return await self._client.send(ask.hourly(hours_ago))

    async def daily(self, days_ago: int = 0) -> Summary:
        return await self._client.send(ask.daily(days_ago))

    async def monthly(self, year: int | None = None, month: int | None = None) -> Summary:
        return await self._client.send(ask.monthly(year, month))

    async def session(self, session_id: str) -> SessionStats:
        return await self._client.send(ask.session(session_id))

    async def top_users(self, limit: int = 10, days: int = 7) -> list[TopUser]:
        return await self._client.send(ask.top_users(limit, days))

    async def cost_trend(self, days: int = 30) -> list[CostPoint]:
        return await self._client.send(ask.cost_trend(days))

    async def breakdown(self, by: BreakdownBy = "model", days: int = 7) -> Breakdown:
        return await self._client.send(ask.breakdown(by, days))

    async def events(
        self, *, request_id: str | None = None, session_id: str | None = None, page: int = 100
    ) -> AsyncIterator[Event]:
        """Every matching event, newest first, fetched page by page."""
        cursor: str | None = None
        while True:
            told = await self._client.send(ask.events(request_id, session_id, page, cursor))
            for event in told.events:
                yield event
            cursor = told.next_cursor
            if cursor is None:
                return

    async def forecast(self) -> dict[str, Any]:
        return await self._client.send(ask.figures("forecast"))

    async def advice(self) -> dict[str, Any]:
        return await self._client.send(ask.figures("advice"))

    async def budgets(self) -> dict[str, Any]:
        return await self._client.send(ask.figures("budgets"))

    async def prices(self) -> dict[str, Any]:
        return await self._client.send(ask.figures("prices"))

    async def health(self) -> dict[str, Any]:
        return await self._client.send(ask.figures("health"))

    async def dashboard(self) -> dict[str, Any]:
        return await self._client.send(ask.figures("dashboard"))

    async def export_report(self, days: int = 7, format: ExportFormat = "json") -> ExportedReport:  # noqa: A002 - the contract's own word
        return await self._client.send(ask.export_report(days, format))

    async def download_report(self, report: ExportedReport) -> bytes:
        return await self._client.send(ask.download(report.download_url))

    async def record(self, events: Sequence[Mapping[str, Any]]) -> Recorded:
        """Books what was spent elsewhere; the seed's record fields, with `event_id` against doubles."""
        return await self._client.send(ask.record(events))


class AsyncReportJobs:
    """Everything under /v1/reports."""

    def __init__(self, client: AsyncTollwayClient) -> None:
        self._client = client

    async def create_token_report(  # noqa: PLR0913 - the fields of the contract
        self,
        token: str,
        address: str,
        *,
        chain: str | None = None,
        days: int | None = None,
        formats: Sequence[ReportFormat] | None = None,
        insight: bool | None = None,
        sample: bool | None = None,
        webhook_url: str | None = None,
        idempotency_key: str | None = None,
    ) -> ReportJob:
        """Queues a report about a token; the same idempotency key gives the same job again."""
        wanted: dict[str, Any] = {
            "type": "token",
            "token": token,
            "address": address,
            "chain": chain,
            "days": days,
        }
        wanted |= {"formats": formats, "insight": insight, "sample": sample, "webhook_url": webhook_url}
        return await self._client.send(ask.create_report(wanted, idempotency_key))

    async def create_usage_report(
        self,
        days: int = 7,
        *,
        formats: Sequence[ReportFormat] | None = None,
        webhook_url: str | None = None,
        idempotency_key: str | None = None,
    ) -> ReportJob:
        """Queues a report about usage."""
        wanted = {"type": "usage", "days": days, "formats": formats, "webhook_url": webhook_url}
        return await self._client.send(ask.create_report(wanted, idempotency_key))

    async def all(self) -> list[ReportJob]:
        """Every job this key may see."""
        return await self._client.send(ask.list_reports())

    async def get(self, job_id: str) -> ReportJob:
        return await self._client.send(ask.get_report(job_id))

    async def cancel(self, job_id: str) -> ReportJob:
        return await self._client.send(ask.cancel_report(job_id))

    async def delete(self, job_id: str) -> None:
        await self._client.send(ask.delete_report(job_id))

    async def events(self, job_id: str, last_event_id: str | None = None) -> AsyncIterator[JobEvent]:
        """The job each time it changes, ending with its final state."""
        async for step in self._client.stream(ask.report_events(job_id, last_event_id)):
            yield step

    async def wait(self, job_id: str, timeout: float = 600.0, every: float = 0.5) -> ReportJob:
        """The job once it is finished; TimeoutError when that takes too long."""
        end = asyncio.get_running_loop().time() + timeout
        while not (job := await self.get(job_id)).finished:
            if asyncio.get_running_loop().time() + every > end:
                msg = f"job {job_id} is still {job.status} after {timeout:g} s"
                raise TimeoutError(msg)
            await asyncio.sleep(every)
        return job

    async def artifact(self, job: ReportJob, format: ReportFormat = "html") -> bytes:  # noqa: A002 - the contract's own word
        """The content of one of the job's files."""
        return await self._client.send(ask.artifact(job.artifact(format)))

    async def save(self, job: ReportJob, path: str | Path, format: ReportFormat = "html") -> Path:  # noqa: A002 - the contract's own word
        """Writes one of the job's files and returns its path."""
        target = Path(path)
        content = await self.artifact(job, format)
        await asyncio.to_thread(_write, target, content)
        return target


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
