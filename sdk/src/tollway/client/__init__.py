"""A typed client of a Tollway server, blocking and asynchronous: report jobs and usage queries."""

from tollway.client.asynchronous import AsyncTollwayClient
from tollway.client.blocking import TollwayClient
from tollway.client.shapes import (
    Artifact,
    Breakdown,
    BreakdownRow,
    CostPoint,
    CurrentStats,
    Event,
    EventPage,
    ExportedReport,
    GroupFigures,
    HourFigures,
    JobError,
    JobEvent,
    Recorded,
    ReportJob,
    SessionStats,
    Summary,
    TodayFigures,
    TopUser,
)

__all__ = [
    "Artifact",
    "AsyncTollwayClient",
    "Breakdown",
    "BreakdownRow",
    "CostPoint",
    "CurrentStats",
    "Event",
    "EventPage",
    "ExportedReport",
    "GroupFigures",
    "HourFigures",
    "JobError",
    "JobEvent",
    "Recorded",
    "ReportJob",
    "SessionStats",
    "Summary",
    "TodayFigures",
    "TollwayClient",
    "TopUser",
]
