"""The asynchronous client: the blocking one's methods, awaited."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx2

from tollway.client import ask
from tollway.client.ask import Ask
from tollway.client.connect import connection, job_event, own_path, readable
from tollway.client.methods import AwaitedMethods, ReportMethods, UsageMethods
from tollway.client.shapes import Event, JobEvent, ReportJob, UsageReportFormat
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


class AsyncUsageQueries(UsageMethods, AwaitedMethods):
    """Everything under /api/ai_usage."""

    async def events(
        self, *, request_id: str | None = None, session_id: str | None = None, page: int = 100
    ) -> AsyncIterator[Event]:
        """Every matching event, newest first, fetched page by page."""
        cursor: str | None = None
        while True:
            told = await self.client.send(ask.events(request_id, session_id, page, cursor))
            for event in told.events:
                yield event
            cursor = told.next_cursor
            if cursor is None:
                return


class AsyncReportJobs(ReportMethods, AwaitedMethods):
    """Everything under /v1/reports."""

    async def events(self, job_id: str, last_event_id: str | None = None) -> AsyncIterator[JobEvent]:
        """The job each time it changes, ending with its final state."""
        async for step in self.client.stream(ask.report_events(job_id, last_event_id)):
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

    async def save(self, job: ReportJob, path: str | Path, format: UsageReportFormat = "html") -> Path:  # noqa: A002 - the contract's own word
        """Writes one of the job's files and returns its path."""
        target = Path(path)
        content = await self.artifact(job, format)
        await asyncio.to_thread(_write, target, content)
        return target


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
