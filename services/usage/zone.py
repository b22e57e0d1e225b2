"""The reporting zone: which hour bucket a moment falls into, where its days begin and what they are called. Pure."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

HOUR = 3600
DAY = 86_400
# No zone has offset changes off the quarter hour, so one answer holds for a quarter.
_QUARTER = 900


@dataclass(frozen=True, slots=True)
class Span:
    """Bucket starts from `start` up to but not including `end`, in Unix seconds."""

    start: int
    end: int


class Zone:
    """One time zone with the arithmetic of buckets."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._info = ZoneInfo(name)
        self._buckets: dict[int, int] = {}

    def bucket(self, at: float) -> int:
        """The start of the local hour that holds a moment: an instant, so day sums add up in every zone."""
        quarter = int(at // _QUARTER)
        found = self._buckets.get(quarter)
        if found is None:
            if len(self._buckets) > 100_000:
                self._buckets.clear()
            seconds = quarter * _QUARTER
            found = self._buckets[quarter] = seconds - (seconds + self.offset(seconds)) % HOUR
        return found

    def offset(self, at: float) -> int:
        """Seconds east of UTC at a moment."""
        shift = self.local(at).utcoffset()
        return 0 if shift is None else int(shift.total_seconds())

    def local(self, at: float) -> datetime:
        """The moment on the zone's clock."""
        return datetime.fromtimestamp(at, self._info)

    def iso(self, at: float) -> str:
        """The moment as ISO 8601 with the zone's offset, to the millisecond."""
        return self.local(at).isoformat(timespec="milliseconds")

    def today(self, at: float) -> date:
        """The zone's date at a moment."""
        return self.local(at).date()

    def start_of(self, day: date) -> int:
        """The instant at which a date begins."""
        return int(datetime.combine(day, time(), self._info).timestamp())

    def day(self, day: date) -> Span:
        """The buckets of one date."""
        return self.days(day, day)

    def days(self, first: date, last: date) -> Span:
        """The buckets of all dates from the first to the last, both included."""
        return Span(self.start_of(first), self.start_of(last + timedelta(days=1)))

    def last_days(self, count: int, at: float) -> Span:
        """The buckets of the last dates, today included."""
        today = self.today(at)
        return self.days(today - timedelta(days=count - 1), today)

    def month(self, year: int, month: int) -> Span:
        """The buckets of a calendar month."""
        return self.days(date(year, month, 1), last_of_month(date(year, month, 1)))

    def offsets(self, span: Span) -> list[tuple[int, int]]:
        """Pairs of a moment and the offset that holds until then, covering the span: what SQL needs to name days."""
        edges = [span.start]
        step = DAY
        for start in range(span.start, span.end, step):
            end = min(start + step, span.end)
            if self.offset(start) != self.offset(end):
                edges.append(self._change(start, end))
        edges.append(span.end)
        return [(until, self.offset(since)) for since, until in pairwise(edges) if until > since]

    def _change(self, low: int, high: int) -> int:
        before = self.offset(low)
        while high - low > 1:
            middle = (low + high) // 2
            if self.offset(middle) == before:
                low = middle
            else:
                high = middle
        return high


@lru_cache(maxsize=64)
def zone_of(name: str) -> Zone:
    """The zone of a name, with what it has already worked out."""
    return Zone(name)


def last_of_month(day: date) -> date:
    """The last date of the date's month."""
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


def months_before(day: date, count: int) -> date:
    """The first of the month some months earlier."""
    index = day.year * 12 + day.month - 1 - count
    return date(index // 12, index % 12 + 1, 1)


def dates(first: date, last: date) -> list[date]:
    """All dates from the first to the last, both included."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def date_of(day_number: int) -> date:
    """The date of a day counted from 1970-01-01."""
    return date(1970, 1, 1) + timedelta(days=day_number)


def utc_day(bucket: int) -> int:
    """The start of the UTC day that a bucket belongs to."""
    return bucket - bucket % DAY


def utc_date(seconds: int) -> date:
    """The UTC date of a moment."""
    return datetime.fromtimestamp(seconds, UTC).date()
