"""What the server answers, as frozen models. Fields the server adds later are kept, never refused."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

ReportFormat = Literal["html", "pdf", "json"]
UsageReportFormat = Literal["html", "pdf", "json", "csv"]
ExportFormat = Literal["json", "csv", "html"]
BreakdownBy = Literal["model", "function", "user", "key", "anchor", "provider"]


class Shape(BaseModel):
    """Anything the server sends."""

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())


class HourFigures(Shape):
    calls: int = 0
    tokens: int = 0
    cost: float = 0.0
    success_rate: float | None = None


class GroupFigures(Shape):
    calls: int = 0
    total_tokens: int = 0
    cost: float = 0.0


class TodayFigures(Shape):
    calls: int = 0
    tokens: int = 0
    cost: float = 0.0
    by_model: dict[str, GroupFigures] = {}
    by_function: dict[str, GroupFigures] = {}


class CurrentStats(Shape):
    current_hour: HourFigures
    today: TodayFigures


class Summary(Shape):
    """A whole hour, day or month."""

    period: str
    date: str | None = None
    total_calls: int = 0
    total_tokens: int = 0
    total_cost: float = 0.0
    success_rate: float | None = None
    by_model: dict[str, GroupFigures] = {}
    by_function: dict[str, GroupFigures] = {}


class SessionStats(Shape):
    calls: int = 0
    tokens: int = 0
    cost: float = 0.0


class TopUser(Shape):
    user_id: str | None
    calls: int
    tokens: int
    cost: float


class CostPoint(Shape):
    date: str
    cost: float


class BreakdownRow(Shape):
    name: str | None
    calls: int
    tokens: int
    cost: float
    success_rate: float | None = None


class Breakdown(Shape):
    by: str
    period_days: int
    data: list[BreakdownRow]


class Event(Shape):
    """One booked attempt; what is not known is None."""

    event_id: str
    request_id: str | None = None
    attempt: int | None = None
    timestamp: Any = None
    kind: str = "model"
    key_id: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    anchor_id: str | None = None
    function: str | None = None
    provider: str | None = None
    model: str | None = None
    requested_model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cost: float | None = None
    currency: str | None = None
    unpriced: bool = False
    usage_source: str | None = None
    duration_ms: float | None = None
    ttft_ms: float | None = None
    success: bool | None = None
    status: str | None = None
    error_msg: str | None = None


class EventPage(Shape):
    events: list[Event]
    next_cursor: str | None = None


class ExportedReport(Shape):
    success: bool
    report_path: str
    download_url: str


class Recorded(Shape):
    accepted: int
    duplicates: int = 0
    event_ids: list[str] = []


class Artifact(Shape):
    """One file a report job made."""

    format: str
    url: str
    bytes: int | None = None
    sha256: str | None = None


class JobError(Shape):
    message: str | None = None
    code: str | None = None


class ReportJob(Shape):
    """A report job as it stands."""

    id: str
    type: str | None = None
    status: Literal["queued", "running", "succeeded", "partial", "failed", "cancelled"]
    stage: str | None = None
    progress: float = 0.0
    stages: list[Any] = []
    warnings: list[Any] = []
    error: JobError | str | None = None
    artifacts: list[Artifact] = []
    created_at: Any = None

    @property
    def finished(self) -> bool:
        return self.status in ("succeeded", "partial", "failed", "cancelled")

    def artifact(self, format: str = "html") -> Artifact:  # noqa: A002 - the contract's own word
        """The file of one format; KeyError when the job has none (yet)."""
        for made in self.artifacts:
            if made.format == format:
                return made
        msg = f"job {self.id} ({self.status}) has no {format} artifact"
        raise KeyError(msg)


class JobEvent(Shape):
    """One step of a running job, with the id to resume after."""

    id: str | None
    job: ReportJob
