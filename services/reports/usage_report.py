"""Collects what a usage report shows: the ledger's own export, whose sums are right to the last unit."""

import asyncio
import csv
import io
import zlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from services.reports.errors import BuildError, UsageUnavailableError
from services.reports.reach import UsageClient

# Totals and events are two answers; between them something may be booked.
TRIES = 4
MOST_CSV_BYTES = 128 << 20

# Costs stay decimal: a binary float would lose the last unit of a large sum.
_figures = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


class SpanTooLargeError(BuildError):
    """There are too many events in this period for one report."""

    code = "too_many_events"


class Taken(msgspec.Struct):
    """The export as it came: JSON of the sums, compressed CSV of the events, and a word on what does not fit."""

    summary: bytes
    events: bytes | None = None
    warning: str | None = None


def figures_of(taken: Taken) -> dict[str, Any]:
    return _figures.decode(taken.summary)


async def collect(client: UsageClient, period: Mapping[str, Any], key_id: str | None, *, with_events: bool) -> Taken:
    """Sums, and every event too when a format needs them: of one moment, or with a warning that they are not."""
    counted = told = (0, 0)
    summary, events = b"", b""
    for _ in range(TRIES):
        summary = await client.export(period, "json", key_id)
        told = _sums(summary)
        if not with_events:
            return Taken(summary)
        events = await client.export(period, "csv", key_id)
        if len(events) > MOST_CSV_BYTES:
            raise SpanTooLargeError
        counted = await asyncio.to_thread(_counted, events)
        if counted == told:
            break
    warning = None if counted == told else f"events: {counted[0]} model calls in the CSV, {told[0]} in the sums"
    return Taken(summary, await asyncio.to_thread(zlib.compress, events), warning)


def _sums(summary: bytes) -> tuple[int, int]:
    try:
        figures = _figures.decode(summary)
        return int(figures["total_calls"]), int(figures["total_tokens"])
    except (msgspec.DecodeError, LookupError, TypeError, ValueError) as error:
        raise UsageUnavailableError("the usage service's answer has another shape") from error


def _counted(events: bytes) -> tuple[int, int]:
    """Model calls and their tokens; other kinds have figures of their own."""
    calls = tokens = 0
    for row in csv.DictReader(io.StringIO(events.decode("utf-8"), newline="")):
        if row.get("kind") == "model":
            calls += 1
            tokens += int(row.get("total_tokens") or 0)
    return calls, tokens
