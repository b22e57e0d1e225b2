"""Generated answers in the shapes of the usage API, the same for the same seed: what the dashboard's fake server says."""

import math
import random
from typing import Any

from services.usage.advice import METHODS

ZONE = "Asia/Shanghai"
STANDING = {"spent_today": 4.5, "spent_this_month": 1312.000000007, "reserved": 0.0}
NOW = "2026-11-21T19:20:11.123+08:00"
MODELS = [
    "claude-sonnet-4-5",
    "gpt-4o",
    "qwen-max",
    "gpt-4o-mini",
    "qwen-plus",
    "claude-haiku-4-5",
    "deepseek-v3",
    "qwen-turbo",
    "other",
]
NAMES: dict[str, list[str | None]] = {
    "model": [*MODELS[:-1]],
    "function": [
        "stream_commentary",
        "report_insight",
        "moderation",
        "title_writer",
        "gift_thanks",
        "summarise_chat",
        None,
    ],
    "user": ["liu.yang", "zhang.wei", "anna.kowalski", "匿名观众-0042", "svc-batch", "test"],
    "anchor": ["live-room-88213", "live-room-10007", "晚间直播·第七场", "doc-5521", None],
    "key": ["key_01harbour", "key_02studio", "key_03batch"],
    "provider": ["openai", "claude", "dashscope", "demo"],
    "session": ["sess-7f3a", "sess-91bc", "sess-0d4e"],
}


def cost(chance: random.Random, scale: float) -> float:
    return round(chance.uniform(0.2, 1.0) * scale, 9)


def trust() -> dict[str, Any]:
    return {
        "freshness_seconds": 1.2, "lag_seconds": 0.4, "queue_depth": 0, "spool_events": 0, "gaps": 0, "unpriced": 0, "unpriced_days": 7, "quarantined": 0,
        "drift_events": 0, "drift_checked_at": "2026-11-21T03:00:00+08:00", "last_event_at": NOW, "prices_at": "2026-11-20T08:00:00+08:00",
        "events_total": 1204331, "complete_until": NOW,
    }  # fmt: skip


def day_labels(count: int) -> list[str]:
    return [f"{10 if day <= 31 else 11}-{day if day <= 31 else day - 31:02d}" for day in range(53 - count, 53)]


def spend(chance: random.Random, labels: list[str], *, ahead: bool) -> dict[str, Any]:
    series = []
    for place, name in enumerate(MODELS):
        wave = [cost(chance, 60 / (place + 1)) * (1 + 0.4 * math.sin(index / 3)) for index in range(len(labels))]
        series.append({"name": name, "values": [round(one, 9) for one in wave]})
    total = [round(sum(one["values"][index] for one in series), 9) for index in range(len(labels))]
    mid = [round(total[-1] * (1 + 0.02 * index), 9) for index in range(9)]
    forecast = {
        "labels": [f"11-{day}" for day in range(22, 31)],
        "mid": mid,
        "low": [round(one * (0.9 - 0.02 * index), 9) for index, one in enumerate(mid)],
        "high": [round(one * (1.1 + 0.03 * index), 9) for index, one in enumerate(mid)],
    }
    return {
        "labels": labels,
        "series": series,
        "total": total,
        "forecast": forecast if ahead else None,
        "budget": {"name": "daily", "limit": 260.0},
    }


def card(value: float | None, change: float | None, chance: random.Random, **more: Any) -> dict[str, Any]:
    before = None if change is None or value is None else round(value / (1 + change / 100), 9)
    return {
        "value": value,
        "previous": before,
        "change": change,
        "spark": [round(chance.uniform(0.3, 1), 3) for _ in range(14)],
        **more,
    }


def cards(chance: random.Random, pictured: dict[str, Any]) -> dict[str, Any]:
    period = round(sum(pictured["total"]), 9)
    return {
        "spend_today": card(pictured["total"][-1], 12.4, chance),
        "spend_period": card(period, -3.1, chance),
        "month_to_date": card(3120.450000001, 8.25, chance),
        "forecast": card(4471.123456789, 6.0, chance, low=4102.5, high=4893.25),
        "calls": card(184213, 4.1, chance),
        "success_rate": card(99.1234, -0.2, chance),
        "tokens": card(812345678, 9.0, chance),
        "input_tokens": card(700000001, 9.0, chance),
        "output_tokens": card(112345677, 9.0, chance),
        "cache_share": card(37.25, 2.5, chance),
        "latency_p95_ms": card(4210, -8.0, chance),
        "ttft_p95_ms": card(812, 3.0, chance),
        "tool_calls": card(2381, None, chance),
        "cache_hits": card(991, 0.0, chance),
        "errors": card(1614, 2.0, chance),
        "reasoning_tokens": card(9345678, 1.0, chance),
    }


def ranked(chance: random.Random, by: str, count: int = 10) -> list[dict[str, Any]]:
    found = []
    for place, name in enumerate(NAMES[by][:count]):
        found.append({
            "name": name, "calls": chance.randint(100, 60000) // (place + 1), "tokens": chance.randint(10**5, 10**8), "cost": cost(chance, 800 / (place + 1)),
            "success_rate": round(chance.uniform(92, 100), 4), "previous_cost": cost(chance, 700 / (place + 1)) if place != 2 else None,
        })  # fmt: skip
    found.sort(key=lambda one: -one["cost"])
    whole = sum(one["cost"] for one in found)
    return [{**one, "share": round(100 * one["cost"] / whole, 4)} for one in found]


def budgets() -> list[dict[str, Any]]:
    common = {"currency": "CNY", "thresholds": [80, 100], "resets_at": "2026-11-22T00:00:00+08:00", "source": "config"}
    return [
        {"id": "b1", "name": "daily", "scope": "total", "scope_value": None, "period": "day", "limit": 260.0, "spent": 171.123456789, "used": 65.8167, "state": "ok", "next_threshold": 80, "projected": 214.5, **common},
        {"id": "b2", "name": "studio key", "scope": "key", "scope_value": "key_02studio", "period": "month", "limit": 1500.0, "spent": 1312.000000007, "used": 87.4667, "state": "warning", "next_threshold": 100, "projected": 1790.0, **common},
        {"id": "b3", "name": "commentary", "scope": "function", "scope_value": "stream_commentary", "period": "day", "limit": 90.0, "spent": 94.2, "used": 104.6667, "state": "exceeded", "next_threshold": None, "projected": None, **common},
    ]  # fmt: skip


def alerts() -> list[dict[str, Any]]:
    return [
        {"at": "2026-11-21T18:02:11+08:00", "kind": "budget", "budget": "commentary", "name": "stream_commentary", "currency": "CNY", "threshold": 100, "spent": 90.4, "limit": 90.0, "state": "firing", "text": "commentary: 100 % of the daily budget used", "delivered": True},
        {"at": "2026-11-20T22:41:00+08:00", "kind": "unpriced", "name": "deepseek-v3", "currency": None, "budget": "unpriced", "threshold": None, "spent": None, "limit": None, "state": "resolved", "text": "deepseek-v3 had no price", "delivered": True},
    ]  # fmt: skip


def advice() -> list[dict[str, Any]]:
    return [
        {"kind": "cheaper_model", "title": "Use qwen-turbo instead of gpt-4o for function 'title_writer'", "text": "qwen-turbo succeeded in 99.4 % …", "method": METHODS["cheaper_model"], "facts": {"model": "qwen-turbo", "instead_of": "gpt-4o", "function": "title_writer", "success_rate": 99.4, "calls": 4210, "success_rate_now": 99.5, "calls_now": 6120, "cost_then": 6.068, "cost_now": 24.272}, "sample_size": 4210, "saving": 18.204, "low": 15.1, "high": 20.9, "currency": "CNY", "period_days": 30},
        {"kind": "waste", "title": "Answers that were paid for and lost", "text": "131 of 6120 attempts did not end well.", "method": METHODS["waste"], "facts": {"calls": 131, "attempts": 6120, "cost": 6.4, "by_status": {"error": 100, "aborted": 31}}, "sample_size": 131, "saving": 3.2, "low": 0.0, "high": 6.4, "currency": "CNY", "period_days": 30},
    ]  # fmt: skip


def heat(chance: random.Random) -> list[list[int]]:
    shape = [
        max(0.02, math.sin((hour - 5) / 24 * math.pi) ** 2 + (0.6 if 19 <= hour <= 23 else 0)) for hour in range(24)
    ]
    return [[int(one * chance.randint(300, 900) * (1.4 if day > 4 else 1)) for one in shape] for day in range(7)]


def dashboard(days: int, *, empty: bool = False) -> dict[str, Any]:
    chance = random.Random(days)
    labels = [f"{hour:02d}:00" for hour in range(20)] if days == 1 else day_labels(min(days, 52))
    pictured = spend(chance, labels, ahead=days > 1)
    calls = heat(chance)
    waves = {
        name: [chance.randint(low, low * 2) for _ in labels]
        for name, low in (("p50", 1200), ("p95", 3200), ("ttft_p50", 240), ("ttft_p95", 610))
    }
    movers = [
        {"by": "model", "name": "gpt-4o", "cost": 310.25, "previous": 201.000000001, "delta": 109.249999999},
        {"by": "user", "name": "svc-batch", "cost": 20.5, "previous": 61.0, "delta": -40.5},
        {"by": "function", "name": None, "cost": 12.0, "previous": 2.5, "delta": 9.5},
    ]
    return {
        "generated_at": NOW, "timezone": ZONE, "currency": "CNY", "empty": empty,
        "period": {"days": days, "from": "2026-11-15", "to": "2026-11-21", "bucket": "hour" if days == 1 else "day"},
        "trust": trust(), "cards": cards(chance, pictured), "spend": pictured,
        "heatmap": {"calls": calls, "cost": [[round(one * 0.0123, 9) for one in row] for row in calls]},
        "latency": {"labels": labels, **waves},
        "breakdowns": {by: ranked(chance, by) for by in ("model", "function", "user", "anchor", "key", "provider")},
        "movers": movers, "budgets": budgets(), "alerts": alerts(), "advice": advice(),
        "tools": [{"name": "time__get_current_time", "calls": 1210, "success_rate": 100.0, "p95_ms": 41}, {"name": "wiki__search", "calls": 1171, "success_rate": 93.6807, "p95_ms": 1830}],
    }  # fmt: skip


def explore(measure: str, by: str, bucket: str) -> dict[str, Any]:
    chance = random.Random(measure + by)
    labels = day_labels(21)
    counted = measure in ("calls", "tokens", "errors", "tool_calls") or measure.endswith("tokens")

    def value(scale: float) -> float:
        return chance.randint(1, int(scale * 40)) if counted else cost(chance, scale)

    names = NAMES[by][:8] if by != "none" else ["total"]
    series = [{"name": name, "values": [value(60 / (place + 1)) for _ in labels]} for place, name in enumerate(names)]
    series = [{**one, "total": round(sum(one["values"]), 9)} for one in series]
    before = [value(100) for _ in labels]
    rows = (
        [
            {
                **{name: value for name, value in one.items() if name not in ("previous_cost", "share")},
                "input_tokens": one["tokens"] - 100,
                "output_tokens": 100,
                "cache_read_tokens": 40,
                "reasoning_tokens": 0,
                "latency_p95_ms": 2200,
                "previous": one["previous_cost"],
                "change": 4.5,
            }
            for one in ranked(chance, by)
        ]
        if by != "none"
        else []
    )
    return {
        "measure": measure, "by": by, "bucket": "day" if bucket == "auto" else bucket, "from": "2026-11-01", "to": "2026-11-21", "previous_from": "2026-10-11",
        "previous_to": "2026-10-31", "timezone": ZONE, "currency": "CNY", "labels": labels, "series": series, "total": round(sum(one["total"] for one in series), 9),
        "previous": {"labels": labels, "values": before, "total": round(sum(before), 9)}, "rows": rows,
    }  # fmt: skip


def event(place: int, **more: Any) -> dict[str, Any]:
    return {
        "event_id": f"019a{place:04d}", "request_id": f"req-{place // 2}", "attempt": 1 + place % 2, "timestamp": 1795260000 + place * 3, "time": f"2026-11-21T19:{place % 60:02d}:03.250+08:00",
        "kind": "model", "key_id": "key_02studio", "user_id": "liu.yang", "session_id": "sess-7f3a", "anchor_id": "live-room-88213", "function": "stream_commentary", "provider": "openai",
        "model": "gpt-4o", "requested_model": "auto", "input_tokens": 1200 + place, "output_tokens": 210, "total_tokens": 1410 + place, "cache_read_tokens": 800, "cache_write_tokens": None,
        "reasoning_tokens": 0, "cost": round(0.031234567 + place / 1000, 9), "currency": "CNY", "unpriced": False, "usage_source": "provider", "duration_ms": 1830, "ttft_ms": 310,
        "success": True, "status": "ok", "error_msg": None, **more,
    }  # fmt: skip


def timeline(session: str) -> dict[str, Any]:
    unpaid = {
        "cost": None,
        "input_tokens": None,
        "output_tokens": None,
        "total_tokens": None,
        "cache_read_tokens": None,
        "usage_source": "none",
    }
    events = [
        event(0), event(1, status="error", success=False, error_msg="503 from upstream: overloaded", ttft_ms=None, **unpaid),
        event(2, kind="tool", provider="wiki", model="wiki__search", duration_ms=411, **{**unpaid, "cost": 0}),
        event(3, provider="claude", model="claude-sonnet-4-5", cost=0.214000003), event(4, kind="cache", **{**unpaid, "cost": 0}), event(5, status="aborted", success=False, usage_source="estimated"),
    ]  # fmt: skip
    events = [{**one, "offset_ms": place * 3210} for place, one in enumerate(events)]
    return {
        "session_id": session,
        "calls": 4,
        "tokens": 5652,
        "cost": 0.312469137,
        "currency": "CNY",
        "tool_calls": 1,
        "cache_hits": 1,
        "first_at": events[0]["time"],
        "last_at": events[-1]["time"],
        "events": events,
    }


def prices() -> dict[str, Any]:
    base = {
        "provider": None,
        "display_name": None,
        "currency": "CNY",
        "cache_read": None,
        "cache_write": None,
        "reasoning": None,
        "valid_from": None,
        "valid_to": None,
        "source": "builtin",
        "version": None,
    }
    rows = [
        {**base, "model": "qwen-plus", "input": 0.0004, "output": 0.002}, {**base, "model": "qwen-turbo", "input": 0.0003, "output": 0.0006}, {**base, "model": "qwen-max", "input": 0.02, "output": 0.06},
        {**base, "model": "gpt-4o", "provider": "openai", "currency": "USD", "input": 0.0025, "output": 0.01, "cache_read": 0.00125, "source": "genai-prices", "version": "0.2.3"},
        {**base, "model": "my-model", "display_name": "My model", "input": 0.01, "output": 0.03, "source": "config", "valid_from": "2026-11-01"},
    ]  # fmt: skip
    return {
        "prices": rows,
        "unpriced_days": 30,
        "unpriced": [
            {"provider": "dashscope", "model": "qwen-next-preview", "events": 31, "tokens": 120331, "last_at": NOW}
        ],
        "rates": [{"from": "USD", "to": "CNY", "rate": 7.1, "date": "2026-11-01"}],
        "per": 1000,
    }


def health() -> dict[str, Any]:
    return {
        **trust(), "status": "ok", "timezone": ZONE, "currency": "CNY",
        "producers": [{"producer": "router-7d1f", "service": "router", "last_sequence": 1204310, "missing": [], "last_at": NOW}, {"producer": "gateway-19aa", "service": "gateway", "last_sequence": 21, "missing": [{"from": 7, "to": 9}], "last_at": NOW}],
        "unpriced_models": [], "quarantine": [{"at": NOW, "reason": "model is missing", "excerpt": "{\"kind\": \"model\"}"}],
        "drift": {"checked_at": "2026-11-21T03:00:00+08:00", "buckets": 2190, "events": 1204331, "drift_events": 0, "ok": True, "differences": []},
    }  # fmt: skip


def router() -> dict[str, Any]:
    target = {
        "provider": "openai", "model": "gpt-4o", "state": "ok", "why": "place 1 by success_rate", "success_rate": 0.994,
        "ttft_ms": 310.5, "cooldown_left_seconds": 0, "last_error": None,
    }  # fmt: skip
    cooling = {"state": "cooling", "success_rate": 0.61, "cooldown_left_seconds": 212.4, "last_error": "503 overloaded"}
    return {"models": {"gpt-4o": {"targets": [target, {**target, "provider": "azure", **cooling}], "fallbacks": []}}}


def key(key_id: str, name: str, **more: Any) -> dict[str, Any]:
    nothing: dict[str, Any] = dict.fromkeys(
        (
            "owner",
            "models",
            "tools",
            "requests_per_minute",
            "tokens_per_minute",
            "budget_per_day",
            "budget_per_month",
            "expires_at",
        )
    )
    return {"id": key_id, "name": name, "default_tools": [], **nothing, "created_at": "2026-11-01T10:00:00Z", **more}


def job(job_id: str, status: str, progress: float) -> dict[str, Any]:
    artifact = {"format": "html", "bytes": 184320, "sha256": "ab" * 32, "url": f"/v1/reports/{job_id}/artifact.html"}
    reached = {
        "resolve": 0.05,
        "fetch": 0.35,
        "compute": 0.5,
        "insight": 0.7,
        "render": 0.95,
        "store": 0.99,
        "notify": 1.0,
    }
    return {
        "id": job_id, "object": "report", "type": "token", "status": status, "stage": "compute", "progress": progress,
        "stages": [{"name": name, "status": "done" if progress >= at else "pending"} for name, at in reached.items()],
        "warnings": ["Etherscan: no key, holders left out"], "error": None, "artifacts": [artifact] if status == "succeeded" else [],
        "evidence": {"format": "zip", "bytes": 912_000, "sha256": "cd" * 32, "url": f"/v1/reports/{job_id}/evidence.zip", "expires_at": "2099-01-01T00:00:00+00:00"} if status == "succeeded" else None,
        "request": {"type": "token", "token": "usd-coin", "days": 90}, "created_at": "2026-11-21T11:20:11.123+00:00",
    }  # fmt: skip
