"""Adding events up: which rollup rows an event belongs to and what it adds to each. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import log2
from typing import Any

import msgspec

from services.usage.event import CORRECTION, Event, standing
from services.usage.tables import LATENCY_KEYS, MEASURES, ROLLUP_KEYS
from services.usage.zone import DAY, HOUR, Zone, utc_day

ALL_TIME = 0
# Events whose figures are collected by row before they are added up: column by column costs half of one by one.
MOST_WAITING = 5_000
STEPS_PER_DOUBLING = 8
_LEAST_MS = 0.1
# Between function and model in the names of the dimension `use`.
USE = "\x1f"

# A correction is no call: it changes nothing but the cost of the models' figures.
COUNTED_AS_MODEL = ("model", CORRECTION)


def _row_type(name: str, keys: Sequence[str], summed: Sequence[str] = ()) -> type[msgspec.Struct]:
    """Rows as they travel to the database: sums that are nothing are left out, which is half of all."""
    fields: list[str | tuple[str, Any, Any]] = [*keys, *((measure, int, 0) for measure in summed)]
    return msgspec.defstruct(name, fields, omit_defaults=True, gc=False)


SumsRow = _row_type("SumsRow", ROLLUP_KEYS, MEASURES)
LatencyRow = _row_type("LatencyRow", (*LATENCY_KEYS, "count"))
SessionRow = _row_type("SessionRow", ("scope", "session_id", "user_id", "first_us", "last_us"))

Key = tuple[str, str, int, int, str]
LatencyKey = tuple[str, str, int, str, int, int]


class Rollup:
    """What a set of events adds to the rollups, by row key."""

    def __init__(self, zone: Zone) -> None:
        self._sums: dict[Key, list[int]] = {}
        self._waiting: defaultdict[Key, list[list[int]]] = defaultdict(list)
        self._waiting_events = 0
        self.counts: dict[LatencyKey, int] = {}
        self.sessions: dict[tuple[str, str], list[Any]] = {}
        self._zone = zone

    @property
    def sums(self) -> dict[Key, list[int]]:
        """What has been added to each row, in the order of `MEASURES`."""
        self._add_up()
        return self._sums

    def _add_up(self) -> None:
        for key, vectors in self._waiting.items():
            if (found := self._sums.get(key)) is not None:
                vectors.append(found)
            self._sums[key] = list(map(sum, zip(*vectors, strict=True))) if len(vectors) > 1 else vectors[0]
        self._waiting.clear()
        self._waiting_events = 0

    def add(self, event: Event) -> None:
        """Count one event in every row it belongs to."""
        if self._waiting_events >= MOST_WAITING:
            self._add_up()
        self._waiting_events += 1
        bucket = self._zone.bucket(event.at)
        values = measures(event)
        lasted = [(measure, name, step_of(milliseconds)) for measure, name, milliseconds in durations(event)]
        for scope, places in _scopes(event):
            for dimension, name in places:
                self._sum((scope, dimension, HOUR, bucket, name), values)
            if event.session_id:
                self._session(scope, event, values)
            for measure, name, step in lasted:
                self._count((scope, measure, HOUR, name, bucket, step))

    def add_standing(self, event: Event, corrections: Iterable[Any]) -> None:
        """Count one event as it stands: with the corrections that count where it counts."""
        self.add(event)
        for entry in standing(event, corrections):
            self.correct(event, entry.base_nano, entry.priced)

    def keep_sessions(self) -> None:
        """Leave only the totals of sessions, which are of no day."""
        self._sums = {key: values for key, values in self.sums.items() if key[2] == ALL_TIME}
        self.counts.clear()

    def keep_days(self) -> None:
        """Leave only what is of a day."""
        self._sums = {key: values for key, values in self.sums.items() if key[2] != ALL_TIME}
        self.sessions.clear()

    def add_days(self) -> None:
        """Derive the rows of whole UTC days from the hours added so far; call once, at the end."""
        for (scope, dimension, grain, bucket, name), values in list(self.sums.items()):
            if grain == HOUR:
                self._sum((scope, dimension, DAY, utc_day(bucket), name), values)
        for (scope, measure, grain, name, bucket, step), count in list(self.counts.items()):
            if grain == HOUR:
                day = (scope, measure, DAY, name, utc_day(bucket), step)
                self.counts[day] = self.counts.get(day, 0) + count

    def correct(self, event: Event, base_nano: int, priced: int) -> None:
        """Change what an event already counted cost: by an amount, and whether it is priced now.

        A correction of a closed month has an event of its own and is not told here.
        """
        values = [0] * len(MEASURES)
        values[MEASURES.index("cost_nano")] = base_nano
        values[MEASURES.index("unpriced")] = -priced
        bucket = self._zone.bucket(event.at)
        for scope, places in _scopes(event):
            for dimension, name in places:
                self._sum((scope, dimension, HOUR, bucket, name), values)
            if event.session_id and event.kind == "model":
                self._sum((scope, "session", ALL_TIME, 0, event.session_id), values)

    def rows(self) -> list[msgspec.Struct]:
        """Rollup rows in the order of their key, so that two writers never wait for each other in a circle."""
        return [SumsRow(*key, *values) for key, values in sorted(self.sums.items())]

    def latency_rows(self) -> list[msgspec.Struct]:
        """Histogram rows in the order of their key."""
        return [LatencyRow(*key, count) for key, count in sorted(self.counts.items())]

    def session_rows(self) -> list[msgspec.Struct]:
        """When each session was first and last seen."""
        return [SessionRow(*key, *seen) for key, seen in sorted(self.sessions.items())]

    def _sum(self, key: Key, values: list[int]) -> None:
        self._waiting[key].append(values)

    def _count(self, key: LatencyKey) -> None:
        self.counts[key] = self.counts.get(key, 0) + 1

    def _session(self, scope: str, event: Event, values: list[int]) -> None:
        session_id = event.session_id or ""
        dimension = "session" if event.kind in COUNTED_AS_MODEL else f"session {event.kind}"
        self._sum((scope, dimension, ALL_TIME, 0, session_id), values)
        if event.kind == CORRECTION:
            return
        seen = self.sessions.setdefault((scope, session_id), [event.user_id, event.at_us, event.at_us])
        seen[0] = event.user_id or seen[0]
        seen[1] = min(seen[1], event.at_us)
        seen[2] = max(seen[2], event.at_us)


def _scopes(event: Event) -> Iterable[tuple[str, list[tuple[str, str]]]]:
    """The scopes that an event counts in, each with the rows of one hour: everybody's and its key's."""
    places = dimensions(event)
    if not event.key_id:
        return (("", places),)
    # What function uses what model is kept for everybody together: per key it would be most of the rows.
    return ("", places), (event.key_id, [place for place in places if place[0] != "use"])


def dimensions(event: Event) -> list[tuple[str, str]]:
    """The rows of one hour that an event counts in: `total` is by kind, the others are of its kind alone."""
    if event.kind not in COUNTED_AS_MODEL:
        return [("total", event.kind), (event.kind, event.model or "")]
    model, function = event.model or event.requested_model or "", event.function or ""
    return [
        ("total", "model"),
        ("model", model),
        ("function", function),
        ("user", event.user_id or ""),
        ("key", event.key_id or ""),
        ("anchor", event.anchor_id or ""),
        ("provider", event.provider or ""),
        ("status", event.status),
        ("use", f"{function}{USE}{model}"),
    ]


def measures(event: Event) -> list[int]:
    """What an event adds to each of its rows, in the order of `MEASURES`."""
    if event.kind == CORRECTION:
        return [*(0,) * (len(MEASURES) - 1), event.base_nano or 0]
    status = event.status
    return [
        1,
        1 if event.attempt == 1 else 0,
        1 if status == "ok" else 0,
        1 if status == "error" else 0,
        1 if status == "aborted" else 0,
        1 if status == "interrupted" else 0,
        1 if event.usage_source == "estimated" else 0,
        event.unpriced,
        event.input_tokens or 0,
        event.output_tokens or 0,
        event.cache_read_tokens or 0,
        event.cache_write_tokens or 0,
        event.reasoning_tokens or 0,
        event.total_tokens or 0,
        event.base_nano or 0,
    ]


def durations(event: Event) -> Iterable[tuple[str, str, float]]:
    """The durations worth a histogram: those of answers that came, not of failures."""
    if event.status != "ok":
        return
    name = event.model or event.requested_model or ""
    if event.kind == "tool" and event.duration_ms is not None:
        yield "tool", name, event.duration_ms
    elif event.kind == "model":
        for measure, value in (("duration", event.duration_ms), ("ttft", event.ttft_ms)):
            if value is not None:
                yield measure, "", value
                if name:
                    yield measure, name, value


def step_of(milliseconds: float) -> int:
    """The histogram step of a duration."""
    return int(log2(max(milliseconds, _LEAST_MS)) * STEPS_PER_DOUBLING // 1)


def quantile(counts: Iterable[tuple[int, int]], share: float) -> float | None:
    """The duration in milliseconds below which a share of the calls lies; about 4 % exact."""
    steps = sorted(counts)
    total = sum(count for _, count in steps)
    if not total:
        return None
    wanted, seen = share * total, 0
    for step, count in steps:
        if seen + count >= wanted:
            inside = (wanted - seen) / count
            return round(float(2 ** ((step + inside) / STEPS_PER_DOUBLING)), 1)
        seen += count
    return None
