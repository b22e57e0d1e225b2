"""A report job: its states, its stages and the shape the outside sees."""

from typing import Any

import msgspec

from shared.clock import from_unix

QUEUED, RUNNING = "queued", "running"
SUCCEEDED, PARTIAL, FAILED, CANCELLED = "succeeded", "partial", "failed", "cancelled"
TERMINAL = (SUCCEEDED, PARTIAL, FAILED, CANCELLED)
STATUSES = (QUEUED, RUNNING, *TERMINAL)
# The format of what a report can be made again from; beside the artefacts, since it is not for everybody's eyes.
EVIDENCE = "zip"
# Stage and the progress reached when it is done.
STAGES: dict[str, dict[str, float]] = {
    "token": {
        "resolve": 0.05,
        "fetch": 0.35,
        "compute": 0.5,
        "insight": 0.7,
        "render": 0.95,
        "store": 0.99,
        "notify": 1.0,
    },
    "usage": {"fetch": 0.4, "render": 0.95, "store": 0.99, "notify": 1.0},
}


class Job(msgspec.Struct):
    """One row of `report_jobs`."""

    id: str
    owner: str
    type: str
    request: dict[str, Any]
    request_hash: str
    status: str = QUEUED
    stage: str | None = None
    progress: float = 0.0
    stages: list[dict[str, Any]] = []
    warnings: list[str] = []
    error: dict[str, Any] | None = None
    artifacts: list[dict[str, Any]] = []
    usage: dict[str, Any] | None = None
    idempotency_key: str | None = None
    attempt: int = 0
    failures: int = 0
    sequence: int = 0
    lease_owner: str | None = None
    lease_until: float | None = None
    published_at: float = 0.0
    cancel_requested: bool = False
    webhook_url: str | None = None
    webhook_secret: str | None = None
    created_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    artifacts_until: float | None = None
    evidence: dict[str, Any] | None = None
    evidence_until: float | None = None

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL


def fresh_stages(kind: str) -> list[dict[str, Any]]:
    return [{"name": name, "status": "pending", "started": None, "ended": None} for name in STAGES[kind]]


def close(job: Job, status: str) -> None:
    """The stage that was running when the job ended badly says so."""
    job.stages = [row | {"status": status} if row["status"] == "running" else row for row in job.stages]


def shown(job: Job) -> dict[str, Any]:
    """The job as the outside sees it."""
    return {
        "id": job.id,
        "object": "report",
        "type": job.type,
        "status": job.status,
        "stage": job.stage,
        "progress": round(job.progress, 4),
        "stages": job.stages,
        "warnings": job.warnings,
        "error": job.error,
        "artifacts": job.artifacts,
        "evidence": job.evidence and job.evidence | {"expires_at": stamp(job.evidence_until)},
        "usage": job.usage,
        "attempt": job.attempt,
        "cancel_requested": job.cancel_requested,
        "request": {name: value for name, value in job.request.items() if name != "webhook_url"},
        "created_at": stamp(job.created_at),
        "started_at": stamp(job.started_at),
        "ended_at": stamp(job.ended_at),
        "expires_at": stamp(job.artifacts_until),
    }


def stamp(seconds: float | None) -> str | None:
    return None if seconds is None else from_unix(seconds).isoformat(timespec="milliseconds")


def artifact_url(job_id: str, form: str) -> str:
    """A path on the origin the client used, whichever that is."""
    return f"/v1/reports/{job_id}/{'evidence' if form == EVIDENCE else 'artifact'}.{form}"


def filename(request: dict[str, Any], form: str) -> str:
    """What a reader's own copy is called."""
    name = request.get("token")
    if not name:
        name = f"usage_{request['from']}_{request['to']}" if "from" in request else f"usage_{request['days']}d"
    return f"{name}_{'evidence' if form == EVIDENCE else 'report'}.{form}"
