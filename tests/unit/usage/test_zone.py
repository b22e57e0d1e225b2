"""Days and hours of a reporting zone: whatever the zone does, the days add up to the range."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.usage.proof import nightly
from services.usage.store.spans import pieces
from services.usage.zone import DAY, HOUR, Span, dates, months_before, zone_of

ZONES = sorted(name for name in available_timezones() if "/" in name and not name.startswith(("posix", "right", "Etc")))
# Half and quarter hours, midnight changes, half-hour daylight saving, and a sample of everything else.
YEAR_ZONES = (
    "Asia/Shanghai", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Havana", "Africa/Cairo",
    "America/Santiago", "Asia/Beirut", "Atlantic/Azores", "Pacific/Chatham", "America/St_Johns", "Africa/Casablanca",
    "Europe/Dublin", "America/New_York", *ZONES[::25],
)  # fmt: skip


@pytest.mark.parametrize("name", YEAR_ZONES)
def test_every_bucket_belongs_to_exactly_one_day_of_the_year(name: str) -> None:
    zone = zone_of(name)
    first, last = date(2026, 1, 1), date(2026, 12, 31)
    spans = [zone.day(day) for day in dates(first, last)]
    assert all(left.end == right.start for left, right in pairwise(spans))
    assert (spans[0].start, spans[-1].end) == (zone.days(first, last).start, zone.days(first, last).end)
    for day, span in zip(dates(first, last), spans, strict=True):
        assert zone.bucket(span.start) == span.start, "a day begins at a bucket"
        assert zone.today(span.start) == day
        assert zone.today(span.end - 1) == day


@settings(max_examples=300)
@given(st.sampled_from(ZONES), st.integers(int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()), 2_000_000_000))
def test_an_event_is_counted_on_its_own_local_day(name: str, at: int) -> None:
    zone = zone_of(name)
    bucket = zone.bucket(at)
    assert bucket <= at < bucket + 2 * HOUR
    span = zone.day(zone.today(at))
    assert span.start <= bucket < span.end


@settings(max_examples=200)
@given(st.sampled_from(ZONES), st.integers(1_500_000_000, 1_900_000_000), st.integers(1, 400))
def test_the_offsets_told_to_the_database_are_those_of_the_zone(name: str, start: int, days: int) -> None:
    zone = zone_of(name)
    span = Span(start, start + days * DAY)
    offsets = zone.offsets(span)
    assert offsets[-1][0] == span.end
    since = span.start
    for until, offset in offsets:
        for moment in (since, (since + until) // 2, until - 1):
            assert zone.offset(moment) == offset
        since = until


@given(st.integers(0, 2_000_000_000), st.integers(0, 40 * DAY))
def test_a_span_is_cut_into_whole_days_and_hours_without_overlap(start: int, length: int) -> None:
    span = Span(start, start + length)
    parts = sorted((low, high) for _, low, high in pieces(span))
    assert parts[0][0] == span.start
    assert parts[-1][1] == span.end
    assert all(left[1] == right[0] for left, right in pairwise(parts))
    assert all(low % DAY == 0 and high % DAY == 0 for grain, low, high in pieces(span) if grain == DAY)


def test_months_are_counted_backwards_over_the_new_year() -> None:
    assert months_before(date(2026, 2, 17), 3) == date(2025, 11, 1)
    assert zone_of("Asia/Shanghai").month(2026, 2).end - zone_of("Asia/Shanghai").month(2026, 2).start == 28 * DAY


def test_the_reporting_day_begins_at_its_own_midnight() -> None:
    start = zone_of("Asia/Shanghai").start_of(date(2026, 11, 21))
    assert datetime.fromtimestamp(start, UTC) == datetime(2026, 11, 21, tzinfo=UTC) - timedelta(hours=8)


def test_the_proof_runs_at_a_quarter_past_three_on_the_zones_clock() -> None:
    zone = zone_of("Asia/Shanghai")
    midnight = zone.start_of(date(2026, 11, 29))
    due = midnight + 3 * 3600 + 900
    assert nightly(zone, midnight) == due - midnight
    assert nightly(zone, due) == 86_400
    assert nightly(zone, due - 1) == 1
