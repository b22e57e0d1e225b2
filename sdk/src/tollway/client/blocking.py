"""The blocking client."""

import time
from collections.abc import Iterator, Mapping, Sequence
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


class UsageQueries:
    """Everything under /api/ai_usage."""

    def __init__(self, client: TollwayClient) -> None:
        self._client = client

    def current(self) -> CurrentStats:
        return self._client.send(ask.current())

    def hourly(self, hours_ago: int = 0) -> Summary:
        return self._client.send(ask.hourly(hours_ago))

    def daily(self, days_ago: int = 0) -> Summary:
        return self._client.send(ask.daily(days_ago))

    def monthly(self, year: int | None = None, month: int | None = None) -> Summary:
        return self._client.send(ask.monthly(year, month))

    def session(self, session_id: str) -> SessionStats:
        return self._client.send(ask.session(session_id))

    def top_users(self, limit: int = 10, days: int = 7) -> list[TopUser]:
        return self._client.send(ask.top_users(limit, days))

    def cost_trend(self, days: int = 30) -> list[CostPoint]:
        return self._client.send(ask.cost_trend(days))

    def breakdown(self, by: BreakdownBy = "model", days: int = 7) -> Breakdown:
        return self._client.send(ask.breakdown(by, days))

    def events(
        self, *, request_id: str | None = None, session_id: str | None = None, page: int = 100
    ) -> Iterator[Event]:
        """Every matching event, newest first, fetched page by page."""
        cursor: str | None = None
        while True:
            told = self._client.send(ask.events(request_id, session_id, page, cursor))
            yield from told.events
            cursor = told.next_cursor
            if cursor is None:
                return

    def forecast(self) -> dict[str, Any]:
        return self._client.send(ask.figures("forecast"))

    def advice(self) -> dict[str, Any]:
        return self._client.send(ask.figures("advice"))

    def budgets(self) -> dict[str, Any]:
        return self._client.send(ask.figures("budgets"))

    def prices(self) -> dict[str, Any]:
        return self._client.send(ask.figures("prices"))

    def health(self) -> dict[str, Any]:
        return self._client.send(ask.figures("health"))

    def dashboard(self) -> dict[str, Any]:
        return self._client.send(ask.figures("dashboard"))

    def export_report(self, days: int = 7, format: ExportFormat = "json") -> ExportedReport:  # noqa: A002 - the contract's own word
        return self._client.send(ask.export_report(days, format))

    def download_report(self, report: ExportedReport) -> bytes:
        return self._client.send(ask.download(report.download_url))

    def record(self, events: Sequence[Mapping[str, Any]]) -> Recorded:
        """Books what was spent elsewhere; the seed's record fields, with `event_id` against doubles."""
        return self._client.send(ask.record(events))


class ReportJobs:
    """Everything under /v1/reports."""

    def __init__(self, client: TollwayClient) -> None:
        self._client = client

    def create_token_report(  # noqa: PLR0913 - the fields of the contract
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
        return self._client.send(ask.create_report(wanted, idempotency_key))

    def create_usage_report(
        self,
        days: int = 7,
        *,
        formats: Sequence[ReportFormat] | None = None,
        webhook_url: str | None = None,
        idempotency_key: str | None = None,
    ) -> ReportJob:
        """Queues a report about usage."""
        wanted = {"type": "usage", "days": days, "formats": formats, "webhook_url": webhook_url}
        return self._client.send(ask.create_report(wanted, idempotency_key))

    def all(self) -> list[ReportJob]:
        """Every job this key may see."""
        return self._client.send(ask.list_reports())

    def get(self, job_id: str) -> ReportJob:
        return self._client.send(ask.get_report(job_id))

    def cancel(self, job_id: str) -> ReportJob:
        return self._client.send(ask.cancel_report(job_id))

    def delete(self, job_id: str) -> None:
        self._client.send(ask.delete_report(job_id))

    def events(self, job_id: str, last_event_id: str | None = None) -> Iterator[JobEvent]:
        """The job each time it changes, ending with its final state."""
        return self._client.stream(ask.report_events(job_id, last_event_id))

    def wait(self, job_id: str, timeout: float = 600.0, every: float = 0.5) -> ReportJob:
        """The job once it is finished; TimeoutError when that takes too long."""
        end = time.monotonic() + timeout
        while not (job := self.get(job_id)).finished:
            if time.monotonic() + every > end:
                msg = f"job {job_id} is still {job.status} after {timeout:g} s"
                raise TimeoutError(msg)
            time.sleep(every)
        return job

    def artifact(self, job: ReportJob, format: ReportFormat = "html") -> bytes:  # noqa: A002 - the contract's own word
        """The content of one of the job's files."""
        return self._client.send(ask.artifact(job.artifact(format)))

    def save(self, job: ReportJob, path: str | Path, format: ReportFormat = "html") -> Path:  # noqa: A002 - the contract's own word
        """Writes one of the job's files and returns its path."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(self.artifact(job, format))
        return target
