"""Usage reports: the ledger's figures to the last unit, a key's own only, and what happens while usage is away."""

import json
from urllib.parse import parse_qs

from services.reports.charts.scale import EPOCH
from shared import clock
from tests.integration.reports.desk import service

ADMIN = {"x-tollway-admin": "1"}


class Usage:
    """Answers as the usage service does; remembers who it was asked for."""

    def __init__(self):
        self.asked, self.status = [], 200
        now = clock.now()
        self.events = [
            {
                "event_id": f"e{i}",
                "timestamp": now - i,
                "model": "m",
                "cost": 1e-9,
                "currency": "CNY",
                "total_tokens": 2,
                "function": "=f()",
            }
            for i in range(1203)
        ] + [{"event_id": "old", "timestamp": now - 40 * 86_400, "model": "m", "cost": 5.0}]

    async def __call__(self, scope, receive, send):
        headers = {k.decode(): v.decode() for k, v in scope["headers"]}
        query = {k: v[0] for k, v in parse_qs(scope["query_string"].decode()).items()}
        path = scope["path"].removeprefix("/api/ai_usage/")
        self.asked.append((path, headers))
        body = json.dumps(self.answer(path, query)).encode()
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": body})

    def answer(self, path, query):
        if path == "events":
            start, size = int(query.get("cursor", 0)), int(query["limit"])
            end = start + size
            return {"events": self.events[start:end], "next_cursor": str(end) if end < len(self.events) else None}
        if path == "cost_trend":
            from datetime import date

            today = date.today().toordinal() - EPOCH
            return {
                "data": [
                    {"date": date.fromordinal(today - i + EPOCH).isoformat(), "cost": 0.1}
                    for i in range(int(query["days"]))
                ][::-1]
            }
        rows = [
            {"name": "a", "calls": 2, "tokens": 20, "cost": 0.1, "success_rate": 100.0},
            {"name": "b", "calls": 1, "tokens": 5, "cost": 0.2, "success_rate": 0.0},
        ]
        return {"by": query["by"], "data": rows}


async def made(client, body, headers=None):
    status, job = await client("POST", "/v1/reports", body, headers or {})
    assert status == 202, job
    return await client.ended(job["id"])


async def test_totals_groups_and_every_event_of_the_period(tmp_path):
    usage = Usage()
    async with service(tmp_path, usage=usage) as client:
        job = await made(client, {"type": "usage", "days": 7, "formats": ["json", "csv", "html"]}, ADMIN)
        assert job["status"] == "succeeded", job
        bodies = {a["format"]: (await client("GET", a["url"], headers=ADMIN))[1] for a in job["artifacts"]}
        totals = bodies["json"]
        assert (totals["total_calls"], totals["total_tokens"], totals["total_cost"]) == (3, 25, 0.3)
        assert totals["by_model"]["a"]["cost"] == 0.1
        lines = bodies["csv"].decode().splitlines()
        assert len(lines) == 1204
        assert "'=f()" in lines[1]
        assert b"<svg" in bodies["html"]


async def test_a_key_gets_its_own_usage_only(tmp_path):
    usage = Usage()
    async with service(tmp_path, usage=usage) as client:
        await made(client, {"type": "usage"}, {"x-tollway-key-id": "alice"})
        assert usage.asked
        assert all(headers.get("x-tollway-key-id") == "alice" for _, headers in usage.asked)
        assert not any("x-tollway-admin" in headers or "authorization" in headers for _, headers in usage.asked)


async def test_while_usage_is_away_the_job_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr("services.reports.build.RETRY_SECONDS", (0,))
    usage = Usage()
    usage.status = 503
    async with service(tmp_path, usage=usage) as client:
        job = await made(client, {"type": "usage"}, ADMIN)
        assert (job["status"], job["error"]["code"], job["attempt"]) == ("failed", "usage_unavailable", 5)


async def test_a_span_longer_than_the_breakdowns_is_added_up_from_the_events(tmp_path):
    usage = Usage()
    async with service(tmp_path, usage=usage) as client:
        job = await made(client, {"type": "usage", "days": 366}, ADMIN)
        _, totals = await client("GET", job["artifacts"][0]["url"], headers=ADMIN)
        assert (totals["total_calls"], totals["total_tokens"]) == (1204, 2406)
        assert totals["total_cost"] == 0.000001203
        assert len(totals["daily"]) == 366
        assert {path for path, _ in usage.asked} == {"events"}
