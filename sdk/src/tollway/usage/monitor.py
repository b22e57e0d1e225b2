"""What every usage monitor offers: recording that never raises, and the seed's statistics."""

import abc
import logging
from collections import deque
from pathlib import Path
from typing import Any

from tollway.usage.figures import Figures
from tollway.usage.journal import encode
from tollway.usage.pricing import ModelPricing
from tollway.usage.record import Usage, make_record

log = logging.getLogger("tollway.usage")

MOST_WAITING = 10_000


class UsageMonitor(abc.ABC):
    """Books usage records and answers questions about them."""

    def __init__(self, pricing: type[ModelPricing] = ModelPricing) -> None:
        self.pricing = pricing
        self._waiting: deque[dict[str, Any]] = deque()

    def record(self, usage: Usage) -> dict[str, Any] | None:
        """Books one call and returns its record; whatever goes wrong is logged, never raised."""
        try:
            record = make_record(usage, self.pricing)
        except Exception:  # bookkeeping must never break the caller's call
            log.exception("a usage record could not be made from %r", usage)
            return None
        self.book(self._outgoing(usage, record))
        return record

    def _outgoing(self, usage: Usage, record: dict[str, Any]) -> dict[str, Any]:
        """The record as it is stored."""
        return record

    def book(self, record: dict[str, Any]) -> None:
        """Stores a finished record, after those that could not be stored before."""
        self._waiting.append(record)
        self._store_waiting()
        while len(self._waiting) > MOST_WAITING:
            self._give_up(self._waiting.popleft())

    def close(self) -> None:
        """One last try for everything; what cannot be stored even now is written to the log."""
        self._store_waiting()
        while self._waiting:
            self._give_up(self._waiting.popleft())

    def _store_waiting(self) -> None:
        while self._waiting:
            try:
                record = self._waiting.popleft()
            except IndexError:  # another thread was faster
                return
            try:
                self._store(record)
            except OSError:  # a full disk must not break the caller's call
                self._waiting.appendleft(record)
                log.exception("a usage record could not be stored; %d are kept in memory", len(self._waiting))
                return
            except Exception:  # a record that cannot be written at all must not hold up the others
                log.critical("this usage record is only in the log now: %r", record, exc_info=True)

    def _give_up(self, record: dict[str, Any]) -> None:
        log.critical("this usage record is only in the log now: %s", encode(record).decode())

    @abc.abstractmethod
    def _store(self, record: dict[str, Any]) -> None:
        """Puts the record where a crash cannot take it."""

    def flush(self, timeout_seconds: float = 5.0) -> bool:
        """Waits until every record has arrived; False when some are still on their way."""
        return not self._waiting

    @abc.abstractmethod
    def get_current_stats(self) -> Figures:
        """This hour and today."""

    @abc.abstractmethod
    def get_session_stats(self, session_id: str) -> Figures:
        """`calls`, `tokens` and `cost` of one session; zeros when it is unknown."""

    @abc.abstractmethod
    def get_hourly_summary(self, hours_ago: int = 0) -> Figures:
        """One whole hour."""

    @abc.abstractmethod
    def get_daily_summary(self, days_ago: int = 0) -> Figures:
        """One whole day."""

    @abc.abstractmethod
    def get_monthly_summary(self, year: int | None = None, month: int | None = None) -> Figures:
        """One whole month; this month when none is given."""

    @abc.abstractmethod
    def get_top_users(self, limit: int = 10, days: int = 7) -> list[dict[str, Any]]:
        """The users who cost most, dearest first: `user_id`, `calls`, `tokens`, `cost`."""

    @abc.abstractmethod
    def get_cost_trend(self, days: int = 30) -> list[dict[str, Any]]:
        """`date` and `cost` of every day up to today, oldest first."""

    @abc.abstractmethod
    def export_report(self, output_path: str | Path | None = None, days: int = 7) -> Path:
        """Writes a JSON report and returns where it is."""
