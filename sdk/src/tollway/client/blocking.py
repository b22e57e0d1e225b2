"""The blocking client."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx2

from tollway.client import ask
from tollway.client.ask import Ask
from tollway.client.connect import connection, job_event, own_path, readable
from tollway.client.methods import BlockingMethods, ReportMethods, UsageMethods
from tollway.client.shapes import Event, JobEvent, ReportJob, UsageReportFormat
from tollway.errors import ServerUnreachableError, server_error

T = TypeVar("T")


class TollwayClient:
    """Report jobs (`client.reports`) and usage (`client.usage`) of one server.

    Without arguments it speaks to TOLLWAY_URL with TOLLWAY_ADMIN_TOKEN or TOLLWAY_API_KEY.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float = 30.0,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        url, headers = connection(base_url, api_key)
        self._http = httpx2.Client(base_url=url, headers=headers, timeout=timeout, transport=transport)
        self.usage = UsageQueries(self)
        self.reports = ReportJobs(self)

    def send(self, request: Ask[T]) -> T:
        """Sends one request and reads its answer."""
        try:
            answer = self._http.request(
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

    def stream(self, request: Ask[ReportJob]) -> Iterator[JobEvent]:
        """The server-sent events of one request, until the server ends them."""
        try:
            with self._http.sse(request.path, headers=dict(request.headers), timeout=None) as source:
                if source.response.status_code >= 400:
                    raise server_error(source.response.status_code, source.response.read())
                for event in source:
                    if event.data:
                        yield job_event(request, event.id, event.data)
        except httpx2.TransportError as error:
            msg = f"{self._http.base_url}: {error}"
            raise ServerUnreachableError(msg) from error

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class UsageQueries(UsageMethods, BlockingMethods):
    """Everything under /api/ai_usage."""

    def events(
        self, *, request_id: str | None = None, session_id: str | None = None, page: int = 100
    ) -> Iterator[Event]:
        """Every matching event, newest first, fetched page by page."""
        cursor: str | None = None
        while True:
            told = self.client.send(ask.events(request_id, session_id, page, cursor))
            yield from told.events
            cursor = told.next_cursor
            if cursor is None:
                return


class ReportJobs(ReportMethods, BlockingMethods):
    """Everything under /v1/reports."""

    def events(self, job_id: str, last_event_id: str | None = None) -> Iterator[JobEvent]:
        """The job each time it changes, ending with its final state."""
        return self.client.stream(ask.report_events(job_id, last_event_id))

    def wait(self, job_id: str, timeout: float = 600.0, every: float = 0.5) -> ReportJob:
        """The job once it is finished; TimeoutError when that takes too long."""
        end = time.monotonic() + timeout
        while not (job := self.get(job_id)).finished:
            if time.monotonic() + every > end:
                msg = f"job {job_id} is still {job.status} after {timeout:g} s"
                raise TimeoutError(msg)
            time.sleep(every)
        return job

    def save(self, job: ReportJob, path: str | Path, format: UsageReportFormat = "html") -> Path:  # noqa: A002 - the contract's own word
        """Writes one of the job's files and returns its path."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(self.artifact(job, format))
        return target
