"""Requests as values: what to ask the server and how to read its answer. Both clients send the same ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from pydantic import BaseModel

from tollway.client.shapes import (
    Artifact,
    Breakdown,
    BreakdownBy,
    CostPoint,
    CurrentStats,
    EventPage,
    ExportedReport,
    ExportFormat,
    Recorded,
    ReportJob,
    SessionStats,
    Summary,
    TopUser,
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
    return Ask("GET", f"{USAGE}/stats/current", _shape(CurrentStats))


def hourly(hours_ago: int) -> Ask[Summary]:
    return Ask("GET", f"{USAGE}/stats/hourly", _shape(Summary), {"hours_ago": hours_ago})


def daily(days_ago: int) -> Ask[Summary]:
    return Ask("GET", f"{USAGE}/stats/daily", _shape(Summary), {"days_ago": days_ago})


def monthly(year: int | None, month: int | None) -> Ask[Summary]:
    return Ask("GET", f"{USAGE}/stats/monthly", _shape(Summary), _given(year=year, month=month))


def session(session_id: str) -> Ask[SessionStats]:
    return Ask("GET", f"{USAGE}/stats/session/{quote(session_id, safe='')}", _shape(SessionStats))


def top_users(limit: int, days: int) -> Ask[list[TopUser]]:
    params = {"limit": limit, "days": days}
    return Ask("GET", f"{USAGE}/top_users", lambda body: _TopUsers.model_validate_json(body).top_users, params)


def cost_trend(days: int) -> Ask[list[CostPoint]]:
    return Ask("GET", f"{USAGE}/cost_trend", lambda body: _Trend.model_validate_json(body).data, {"days": days})


def breakdown(by: BreakdownBy, days: int) -> Ask[Breakdown]:
    return Ask("GET", f"{USAGE}/breakdown", _shape(Breakdown), {"by": by, "days": days})


def events(request_id: str | None, session_id: str | None, limit: int, cursor: str | None) -> Ask[EventPage]:
    params = _given(request_id=request_id, session_id=session_id, limit=limit, cursor=cursor)
    return Ask("GET", f"{USAGE}/events", _shape(EventPage), params)


def figures(name: str) -> Ask[dict[str, Any]]:
    """forecast, advice, budgets, prices, health, dashboard: as the server tells them."""
    return Ask("GET", f"{USAGE}/{name}", _free)


def export_report(days: int, form: ExportFormat) -> Ask[ExportedReport]:
    return Ask("POST", f"{USAGE}/export_report", _shape(ExportedReport), {"days": days, "format": form})


def download(url: str) -> Ask[bytes]:
    return Ask("GET", url, bytes)


def record(events: Sequence[Mapping[str, Any]]) -> Ask[Recorded]:
    return Ask("POST", f"{USAGE}/record", _shape(Recorded), json=[dict(event) for event in events])


def create_report(wanted: Mapping[str, Any], idempotency_key: str | None) -> Ask[ReportJob]:
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    return Ask("POST", "/v1/reports", _shape(ReportJob), json=_given(**wanted), headers=headers)


def list_reports() -> Ask[list[ReportJob]]:
    return Ask("GET", "/v1/reports", _read_jobs)


def get_report(job_id: str) -> Ask[ReportJob]:
    return Ask("GET", _job(job_id), _shape(ReportJob))


def cancel_report(job_id: str) -> Ask[ReportJob]:
    return Ask("POST", f"{_job(job_id)}/cancel", _shape(ReportJob))


def delete_report(job_id: str) -> Ask[None]:
    return Ask("DELETE", _job(job_id), _nothing)


def report_events(job_id: str, last_event_id: str | None) -> Ask[ReportJob]:
    headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
    return Ask("GET", f"{_job(job_id)}/events", _shape(ReportJob), headers=headers)


def artifact(made: Artifact) -> Ask[bytes]:
    return download(made.url)


def _job(job_id: str) -> str:
    return f"/v1/reports/{quote(job_id, safe='')}"


def _read_jobs(body: bytes) -> list[ReportJob]:
    if body.lstrip().startswith(b"["):
        body = b'{"data":' + body + b"}"
    told = _Jobs.model_validate_json(body)
    return told.data or told.jobs or told.reports or []


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
