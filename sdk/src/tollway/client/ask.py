"""Requests as values: what to ask the server and how to read its answer. Both clients have a method for each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from pydantic import BaseModel

from tollway.client.shapes import (
    Breakdown,
    BreakdownBy,
    CostPoint,
    CurrentStats,
    EventPage,
    ExportedReport,
    ExportFormat,
    Recorded,
    ReportFormat,
    ReportJob,
    SessionStats,
    Summary,
    TopUser,
    UsageReportFormat,
)

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
USAGE = "/api/ai_usage"


@dataclass(frozen=True, slots=True)
class Ask(Generic[T]):
    """One request; `read` turns the answer's body into what the caller gets."""

    method: str
    path: str
    read: Callable[[bytes], T]
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


def _shape(model: type[M]) -> Callable[[bytes], M]:
    return model.model_validate_json


class _Free(BaseModel):
    model_config = {"extra": "allow"}


def _free(body: bytes) -> dict[str, Any]:
    return _Free.model_validate_json(body).model_dump()


def _nothing(_body: bytes) -> None:
    return None


class _TopUsers(BaseModel):
    top_users: list[TopUser]


class _Trend(BaseModel):
    data: list[CostPoint]


class _Jobs(BaseModel):
    model_config = {"extra": "allow"}
    data: list[ReportJob] | None = None
    jobs: list[ReportJob] | None = None
    reports: list[ReportJob] | None = None


def current() -> Ask[CurrentStats]:
    """This hour and today."""
    return Ask("GET", f"{USAGE}/stats/current", _shape(CurrentStats))


def hourly(hours_ago: int = 0) -> Ask[Summary]:
    """One whole hour."""
    return Ask("GET", f"{USAGE}/stats/hourly", _shape(Summary), {"hours_ago": hours_ago})


def daily(days_ago: int = 0) -> Ask[Summary]:
    """One whole day."""
    return Ask("GET", f"{USAGE}/stats/daily", _shape(Summary), {"days_ago": days_ago})


def monthly(year: int | None = None, month: int | None = None) -> Ask[Summary]:
    """One whole month; this month when none is given."""
    return Ask("GET", f"{USAGE}/stats/monthly", _shape(Summary), _given(year=year, month=month))


def session(session_id: str) -> Ask[SessionStats]:
    """The figures of one session; zeros when it is unknown."""
    return Ask("GET", f"{USAGE}/stats/session/{quote(session_id, safe='')}", _shape(SessionStats))


def top_users(limit: int = 10, days: int = 7) -> Ask[list[TopUser]]:
    """The users who cost most, dearest first."""
    params = {"limit": limit, "days": days}
    return Ask("GET", f"{USAGE}/top_users", lambda body: _TopUsers.model_validate_json(body).top_users, params)


def cost_trend(days: int = 30) -> Ask[list[CostPoint]]:
    """The cost of every day up to today, oldest first."""
    return Ask("GET", f"{USAGE}/cost_trend", lambda body: _Trend.model_validate_json(body).data, {"days": days})


def breakdown(by: BreakdownBy = "model", days: int = 7) -> Ask[Breakdown]:
    """What each model, function, user, key, anchor or provider cost, dearest first."""
    return Ask("GET", f"{USAGE}/breakdown", _shape(Breakdown), {"by": by, "days": days})


def events(request_id: str | None, session_id: str | None, limit: int, cursor: str | None) -> Ask[EventPage]:
    """One page of events, newest first."""
    params = _given(request_id=request_id, session_id=session_id, limit=limit, cursor=cursor)
    return Ask("GET", f"{USAGE}/events", _shape(EventPage), params)


def forecast() -> Ask[dict[str, Any]]:
    """What the month will cost."""
    return Ask("GET", f"{USAGE}/forecast", _free)


def advice() -> Ask[dict[str, Any]]:
    """What would cost less."""
    return Ask("GET", f"{USAGE}/advice", _free)


def budgets() -> Ask[dict[str, Any]]:
    """What is left of every budget."""
    return Ask("GET", f"{USAGE}/budgets", _free)


def prices() -> Ask[dict[str, Any]]:
    """The prices in force."""
    return Ask("GET", f"{USAGE}/prices", _free)


def health() -> Ask[dict[str, Any]]:
    """Whether the figures are complete and fresh."""
    return Ask("GET", f"{USAGE}/health", _free)


def dashboard() -> Ask[dict[str, Any]]:
    """Everything the dashboard's first screen shows."""
    return Ask("GET", f"{USAGE}/dashboard", _free)


def export_report(days: int = 7, format: ExportFormat = "json") -> Ask[ExportedReport]:  # noqa: A002 - the contract's own word
    """Makes a usage report on the server."""
    return Ask("POST", f"{USAGE}/export_report", _shape(ExportedReport), {"days": days, "format": format})


def download_report(report: ExportedReport) -> Ask[bytes]:
    """The content of an exported report."""
    return Ask("GET", report.download_url, bytes)


def record(events: Sequence[Mapping[str, Any]]) -> Ask[Recorded]:
    """Books what was spent elsewhere; the seed's record fields, with `event_id` against doubles."""
    return Ask("POST", f"{USAGE}/record", _shape(Recorded), json=[dict(event) for event in events])


def create_token_report(  # noqa: PLR0913 - the fields of the contract
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
) -> Ask[ReportJob]:
    """Queues a report about a token; the same idempotency key gives the same job again."""
    wanted = _given(chain=chain, days=days, formats=formats, insight=insight, sample=sample, webhook_url=webhook_url)
    return _create({"type": "token", "token": token, "address": address, **wanted}, idempotency_key)


def create_usage_report(
    days: int = 7,
    *,
    formats: Sequence[UsageReportFormat] | None = None,
    webhook_url: str | None = None,
    idempotency_key: str | None = None,
) -> Ask[ReportJob]:
    """Queues a report about usage."""
    return _create(_given(type="usage", days=days, formats=formats, webhook_url=webhook_url), idempotency_key)


def all_reports() -> Ask[list[ReportJob]]:
    """Every job this key may see."""
    return Ask("GET", "/v1/reports", _read_jobs)


def report(job_id: str) -> Ask[ReportJob]:
    """The job as it stands."""
    return Ask("GET", _job(job_id), _shape(ReportJob))


def cancel_report(job_id: str) -> Ask[ReportJob]:
    """Stops a job."""
    return Ask("POST", f"{_job(job_id)}/cancel", _shape(ReportJob))


def delete_report(job_id: str) -> Ask[None]:
    """Forgets a job and its files."""
    return Ask("DELETE", _job(job_id), _nothing)


def report_events(job_id: str, last_event_id: str | None = None) -> Ask[ReportJob]:
    """The job each time it changes."""
    headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
    return Ask("GET", f"{_job(job_id)}/events", _shape(ReportJob), headers=headers)


def artifact(job: ReportJob, format: UsageReportFormat = "html") -> Ask[bytes]:  # noqa: A002 - the contract's own word
    """The content of one of the job's files."""
    return Ask("GET", job.artifact(format).url, bytes)


def _create(wanted: Mapping[str, Any], idempotency_key: str | None) -> Ask[ReportJob]:
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    return Ask("POST", "/v1/reports", _shape(ReportJob), json=wanted, headers=headers)


def _job(job_id: str) -> str:
    return f"/v1/reports/{quote(job_id, safe='')}"


def _read_jobs(body: bytes) -> list[ReportJob]:
    if body.lstrip().startswith(b"["):
        body = b'{"data":' + body + b"}"
    told = _Jobs.model_validate_json(body)
    return told.data or told.jobs or told.reports or []


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
