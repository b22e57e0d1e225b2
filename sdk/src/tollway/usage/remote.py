"""The monitor on a Tollway server: records go out in the background, statistics come from the server."""

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tollway.usage.figures import Figures, Record
from tollway.usage.local import write_whole
from tollway.usage.monitor import UsageMonitor
from tollway.usage.outbox import Outbox
from tollway.usage.pricing import ModelPricing
from tollway.usage.record import Usage

if TYPE_CHECKING:
    from tollway.client import TollwayClient

QUERY_FLUSH_SECONDS = 2.0


class ServerUsageMonitor(UsageMonitor):
    """Books at a server. Recording never raises; statistics raise a `TollwayError` without an answer."""

    def __init__(
        self, url: str, key: str | None, directory: str | Path, pricing: type[ModelPricing] = ModelPricing
    ) -> None:
        super().__init__(pricing)
        self.url = url
        self.directory = Path(directory)
        self._key = key
        self._clients: dict[int, TollwayClient] = {}
        self._outbox = Outbox(self.directory / "outbox", self._deliver)

    @property
    def outbox(self) -> Outbox:
        return self._outbox

    @property
    def _client(self) -> "TollwayClient":
        # one for each process: a fork must not share its parent's connections
        if os.getpid() not in self._clients:
            # the HTTP client takes long to load, so the sender's thread does it, not the first tracked call
            client = importlib.import_module("tollway.client").TollwayClient(self.url, self._key, timeout=10.0)
            self._clients.setdefault(os.getpid(), client)
        return self._clients[os.getpid()]

    def _store(self, record: Record) -> None:
        self._outbox.put(record)

    def _outgoing(self, usage: Usage, record: Record) -> Record:
        # the server has its own prices; it is told a cost only where the program itself set it
        if usage.cost is not None or self.pricing.is_custom(usage.model):
            return record
        return {**record, "cost": None, "currency": None}

    def _deliver(self, records: list[Record]) -> None:
        self._client.usage.record(records)

    def flush(self, timeout_seconds: float = 5.0) -> bool:
        self._store_waiting()
        return self._outbox.flush(timeout_seconds) and super().flush()

    def close(self) -> None:
        super().close()
        self._outbox.close()
        client = self._clients.pop(os.getpid(), None)
        if client is not None:
            client.close()

    def get_current_stats(self) -> Figures:
        figures = self._settled().usage.current().model_dump()
        return Figures(current_hour=Figures(figures["current_hour"]), today=Figures(figures["today"]))

    def get_session_stats(self, session_id: str) -> Figures:
        return Figures(self._settled().usage.session(session_id).model_dump())

    def get_hourly_summary(self, hours_ago: int = 0) -> Figures:
        return Figures(self._settled().usage.hourly(hours_ago).model_dump())

    def get_daily_summary(self, days_ago: int = 0) -> Figures:
        return Figures(self._settled().usage.daily(days_ago).model_dump())

    def get_monthly_summary(self, year: int | None = None, month: int | None = None) -> Figures:
        return Figures(self._settled().usage.monthly(year, month).model_dump())

    def get_top_users(self, limit: int = 10, days: int = 7) -> list[dict[str, Any]]:
        return [user.model_dump() for user in self._settled().usage.top_users(limit, days)]

    def get_cost_trend(self, days: int = 30) -> list[dict[str, Any]]:
        return [point.model_dump() for point in self._settled().usage.cost_trend(days)]

    def export_report(self, output_path: str | Path | None = None, days: int = 7) -> Path:
        usage = self._settled().usage
        made = usage.export_report(days, "json")
        path = Path(output_path) if output_path is not None else self.directory / Path(made.report_path).name
        write_whole(path, usage.download_report(made))
        return path

    def _settled(self) -> "TollwayClient":
        # what this process has just recorded belongs into the answer, if the server takes it soon
        self.flush(QUERY_FLUSH_SECONDS)
        return self._client
