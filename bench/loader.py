"""Fills a Postgres ledger with synthetic events and the rollups that booking them would have made, by SQL alone.

    python -m bench.loader postgresql+asyncpg://… --events 10000000 --days 60 [--measure] [--prove-days 1]

Ten million events take minutes instead of hours. `--prove-days` compares rollups with events through the service's own
proof, and `--measure` asks every endpoint of the dashboard and prints its times.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import Table, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from services.usage import app as usage
from services.usage.ledger import Ledger
from services.usage.store import events as store
from services.usage.tables import events, rollups
from services.usage.zone import DAY
from shared.bus import make_bus
from shared.cache import make_cache
from shared.config import Config, LiveConfig
from shared.database import Database
from shared.health import Health
from shared.http_client import HttpClient
from shared.lifecycle import Lifecycle
from shared.service import Resources
from shared.settings import settings_from
from shared.spool import Spool
from shared.tasks import Tasks

CHUNK = 500_000

# Users follow a long tail; a fifth of calls have a session; a fiftieth fail. Costs are those of qwen-max.
EVENTS = """
INSERT INTO usage_events (event_id, at_us, request_id, attempt, kind, key_id, user_id, session_id, anchor_id, function,
  provider, model, requested_model, input_tokens, output_tokens, total_tokens, cost_nano, currency, base_nano, unpriced,
  usage_source, duration_ms, ttft_ms, status, booked_us)
SELECT (lpad(to_hex(at_us / 1000), 12, '0') || '7' || substr(noise, 1, 3) || '8' || substr(noise, 4, 15))::uuid,
  at_us, 'req_' || noise, 1, 'model', 'key_' || h % 20, 'user_' || floor(1000 * power(r, 3))::int,
  CASE WHEN h % 5 = 0 THEN 'session_' || i / 40 END, 'anchor_' || h % 50, 'function_' || h % 12, 'provider_' || m % 3,
  'model_' || m, 'model_' || m, tin, tout, tin + tout, cost, 'CNY', cost, 0, 'provider', 200 + 3000 * r, 80 + 200 * r,
  CASE WHEN h % 50 = 0 THEN 'error' ELSE 'ok' END, at_us
FROM (SELECT i, md5(i::text) AS noise, :start_us + (i - :first) * :step_us AS at_us, abs(hashint8(i)::bigint) AS h,
        abs(hashint8(i * 7 + 1)::bigint) % 8 AS m, (abs(hashint8(i * 13 + 5)::bigint) % 1000000) / 1000000.0 AS r,
        500 + abs(hashint8(i * 3)::bigint) % 3000 AS tin, 50 + abs(hashint8(i * 5)::bigint) % 900 AS tout,
        (500 + abs(hashint8(i * 3)::bigint) % 3000) * 20000 + (50 + abs(hashint8(i * 5)::bigint) % 900) * 60000 AS cost
      FROM generate_series(CAST(:low AS bigint), CAST(:high AS bigint)) AS i) made
ON CONFLICT DO NOTHING
"""

SUMS = """count(*), count(*) FILTER (WHERE attempt = 1), count(*) FILTER (WHERE status = 'ok'),
  count(*) FILTER (WHERE status = 'error'), 0, 0, 0, 0, sum(input_tokens), sum(output_tokens), 0, 0, 0,
  sum(total_tokens), sum(base_nano)"""
COLUMNS = """scope, dimension, grain, bucket, name, calls, requests, ok, errors, aborted, interrupted, estimated, unpriced,
  input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, tokens, cost_nano"""
_USE = "function || E'\\x1f' || model"
HOURS = f"""
INSERT INTO usage_rollups ({COLUMNS})
SELECT {{scope}}, CASE WHEN grouping(kind) = 0 THEN 'total' WHEN grouping(model) = 0 THEN 'model'
    WHEN grouping(function) = 0 THEN 'function' WHEN grouping(user_id) = 0 THEN 'user' WHEN grouping(anchor_id) = 0 THEN 'anchor'
    WHEN grouping(provider) = 0 THEN 'provider' WHEN grouping(status) = 0 THEN 'status' {{use_name}} ELSE 'key' END,
  3600, at_us / 3600000000 * 3600,
  coalesce(CASE WHEN grouping(kind) = 0 THEN kind END, CASE WHEN grouping(model) = 0 THEN model END,
    CASE WHEN grouping(function) = 0 THEN function END, CASE WHEN grouping(user_id) = 0 THEN user_id END,
    CASE WHEN grouping(anchor_id) = 0 THEN anchor_id END, CASE WHEN grouping(provider) = 0 THEN provider END,
    CASE WHEN grouping(status) = 0 THEN status END, {{use_value}} key_id), {SUMS}
FROM (SELECT *, {_USE} AS use FROM usage_events WHERE at_us >= :start_us AND at_us < :end_us) day
GROUP BY GROUPING SETS ({{sets}})
"""
DAYS = f"""
INSERT INTO usage_rollups ({COLUMNS})
SELECT scope, dimension, 86400, bucket / 86400 * 86400, name, sum(calls), sum(requests), sum(ok), sum(errors), sum(aborted),
  sum(interrupted), sum(estimated), sum(unpriced), sum(input_tokens), sum(output_tokens), sum(cache_read_tokens),
  sum(cache_write_tokens), sum(reasoning_tokens), sum(tokens), sum(cost_nano)
FROM usage_rollups WHERE grain = 3600 GROUP BY scope, dimension, bucket / 86400 * 86400, name
"""
SESSIONS = (
    f"""
INSERT INTO usage_rollups ({COLUMNS})
SELECT CASE WHEN grouping(key_id) = 0 THEN key_id ELSE '' END, 'session', 0, 0, session_id, {SUMS}
FROM usage_events WHERE session_id IS NOT NULL GROUP BY GROUPING SETS ((session_id), (key_id, session_id))
""",
    """
INSERT INTO usage_sessions (scope, session_id, user_id, first_us, last_us)
SELECT CASE WHEN grouping(key_id) = 0 THEN key_id ELSE '' END, session_id, min(user_id), min(at_us), max(at_us)
FROM usage_events WHERE session_id IS NOT NULL GROUP BY GROUPING SETS ((session_id), (key_id, session_id))
""",
)
_STEP = "floor(ln({column}) / ln(2) * 8)::int"
# In the order of their hours, as bookings would have left them.
LATENCY = """
INSERT INTO usage_latency (scope, measure, grain, name, bucket, step, count)
SELECT CASE WHEN grouping(key_id) = 0 THEN key_id ELSE '' END, '{measure}', {grain},
  CASE WHEN grouping(model) = 0 THEN model ELSE '' END, at_us / {grain}000000 * {grain}, {step}, count(*)
FROM usage_events WHERE status = 'ok'
GROUP BY GROUPING SETS ((5, 6, model), (5, 6), (5, 6, key_id, model), (5, 6, key_id)) ORDER BY 5
"""
SCREEN = (
    "dashboard?days=1", "dashboard?days=7", "dashboard?days=30", "dashboard?days=90", "stats/current", "stats/daily",
    "stats/monthly", "top_users?days=7", "top_users?days=90&limit=100", "cost_trend?days=30", "cost_trend?days=365",
    "breakdown?by=user&days=30", "breakdown?by=model&days=7", "explore?by=model&days=30", "explore?by=user&days=7",
    "explore?measure=latency_p95_ms&by=none&days=30", "sessions?days=7", "session/session_1/timeline",
    "stats/session/session_1", "events?limit=100", "forecast", "advice", "budgets", "alerts", "health", "prices",
)  # fmt: skip


async def fill(ledger: Ledger, count: int, days: int) -> None:
    """Events first, then everything that is added up from them."""
    end = int(time.time()) // 3600 * 3600
    start = end - days * DAY
    async with ledger.resources.database.begin() as connection:
        await store.ensure_partitions(connection, start - DAY, end + 4 * store.WEEK)
    # An engine of its own: the service's has a deadline on every statement.
    engine = create_async_engine(ledger.resources.database.engine.url)
    async with _without_indexes(engine, events):
        await _events(engine, count, start, days)
    async with _without_indexes(engine, rollups):
        await _sums(engine, start, end)
    state = f'{{"events": {count}, "at_us": {end}000000, "lag_seconds": 0, "last_event_us": {end}000000}}'
    statement = "INSERT INTO usage_state VALUES ('booked', :state) ON CONFLICT (name) DO UPDATE SET value = :state"
    await _step(engine, "state", statement, {"state": state})
    async with engine.connect() as connection:
        raw = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await raw.execute(text("VACUUM ANALYZE"))
    await engine.dispose()


async def _events(engine: AsyncEngine, count: int, start: int, days: int) -> None:
    step_us = days * DAY * 1_000_000 // count
    for low in range(0, count, CHUNK):
        high = min(low + CHUNK, count) - 1
        values = {"low": low, "high": high, "first": 0, "start_us": start * 1_000_000, "step_us": step_us}
        await _step(engine, f"events to {high + 1}", EVENTS, values)


async def _sums(engine: AsyncEngine, start: int, end: int) -> None:
    for day in range(start // DAY, end // DAY + 1):
        bounds = {"start_us": day * DAY * 1_000_000, "end_us": (day + 1) * DAY * 1_000_000}
        await _step(engine, f"hours of day {day}", _hours(keyed=False), bounds)
        await _step(engine, f"hours of day {day} by key", _hours(keyed=True), bounds)
    await _step(engine, "days", DAYS, {})
    for statement in SESSIONS:
        await _step(engine, "sessions", statement, {})
    for measure, column in (("duration", "duration_ms"), ("ttft", "ttft_ms")):
        for grain in (3600, 86_400):
            statement = LATENCY.format(measure=measure, grain=grain, step=_STEP.format(column=column))
            await _step(engine, f"{measure} by {grain} s", statement, {})


@asynccontextmanager
async def _without_indexes(engine: AsyncEngine, table: Table) -> AsyncIterator[None]:
    """Indexes beside the key are cheaper made at the end than kept up."""
    for index in table.indexes:
        async with engine.begin() as connection:
            await connection.run_sync(index.drop, checkfirst=True)
    yield
    for index in table.indexes:
        started = time.perf_counter()
        async with engine.begin() as connection:
            await connection.run_sync(index.create)
        print(f"{index.name}: {time.perf_counter() - started:.1f} s", flush=True)


def _hours(*, keyed: bool) -> str:
    dimensions = [
        "kind",
        "model",
        "function",
        "user_id",
        "anchor_id",
        "provider",
        "status",
        *([] if keyed else ["use"]),
    ]
    by = "3, 4, key_id" if keyed else "3, 4"
    sets = [f"({by}, {name})" for name in dimensions] + ["(3, 4, key_id)"]
    return HOURS.format(
        scope="key_id" if keyed else "''",
        use_name="" if keyed else "WHEN grouping(use) = 0 THEN 'use'",
        use_value="" if keyed else "CASE WHEN grouping(use) = 0 THEN use END,",
        sets=", ".join(sets).replace("3, 4", "at_us / 3600000000 * 3600"),
    )


async def _step(engine: AsyncEngine, name: str, statement: str, values: dict[str, Any]) -> None:
    started = time.perf_counter()
    async with engine.begin() as connection:
        await connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
        await connection.exec_driver_sql("SET LOCAL work_mem = '256MB'")
        await connection.execute(text(statement), values)
    print(f"{name}: {time.perf_counter() - started:.1f} s", flush=True)


async def measure(ledger: Ledger, rounds: int) -> None:
    """Every endpoint of the screens: right after a booking, when nothing is kept, and asked again."""
    transport = httpx2.ASGITransport(app=usage.routes(ledger))
    async with httpx2.AsyncClient(transport=transport, base_url="http://usage") as client:
        print(f"{'endpoint':48} {'fresh p50':>10} {'fresh p95':>10} {'warm p95':>10} {'kB':>7}")
        for path in SCREEN:
            fresh, size = await _times(ledger, client, path, rounds, touch=True)
            warm, _ = await _times(ledger, client, path, rounds, touch=False)
            half, most = fresh[len(fresh) // 2], int(0.95 * (rounds - 1))
            print(f"{path:48} {half:8.1f}ms {fresh[most]:8.1f}ms {warm[most]:8.1f}ms {size / 1000:7.1f}")


async def _times(
    ledger: Ledger, client: httpx2.AsyncClient, path: str, rounds: int, *, touch: bool
) -> tuple[list[float], int]:
    times: list[float] = []
    size = 0
    for _ in range(rounds + 2):
        if touch:
            ledger.live.touch()
        started = time.perf_counter()
        answer = await client.get(f"/api/ai_usage/{path}")
        times.append(1000 * (time.perf_counter() - started))
        size = len(answer.content)
        answer.raise_for_status()
    return sorted(times[2:]), size


async def main() -> None:
    """Parse, fill, prove, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--prove-days", type=int, default=0)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ledger = await _open(options.url, Path(folder))
        if options.events:
            await fill(ledger, options.events, options.days)
        if options.prove_days:
            print(await ledger.proof.run(options.prove_days))
        if options.measure:
            await measure(ledger, options.rounds)
        await ledger.resources.database.close()


async def _open(url: str, folder: Path) -> Ledger:
    settings = settings_from({"TOLLWAY_DATA": str(folder), "TOLLWAY_DATABASE_URL": url}, folder)
    config, lifecycle = LiveConfig(Config()), Lifecycle()
    resources = Resources(
        settings, config, make_bus("memory://"), make_cache("memory://"), HttpClient(),
        Spool(folder / "spool", limit_bytes=1 << 20), Tasks(), lifecycle, Health(config, lifecycle), Database(settings.database),
    )  # fmt: skip
    resources.database.require("usage", usage.MIGRATIONS)
    await resources.database.open()
    return usage.assemble(resources)


if __name__ == "__main__":
    asyncio.run(main())
