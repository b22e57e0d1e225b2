"""A Tollway in miniature: its documented surfaces as far as the library uses them, with books a test can read."""

import json
import threading
import uuid
from collections import defaultdict

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from tests.integration.sdk.serve import Served

REPORT = {
    "type": "token",
    "stages": [],
    "warnings": [],
    "error": None,
    "created_at": "2026-11-21T10:00:00Z",
}


class FakeTollway:
    """Knobs: `failing` statuses to answer first, `refusing` event ids that are never taken."""

    token = "admin-token-of-the-fake"

    def __init__(self):
        self.records = {}
        self.batches = []
        self.asked = []
        self.failing = []
        self.refusing = set()
        self.jobs = {}
        self.received = threading.Condition()
        self.app = FastAPI()
        self._route()
        self._served = Served(self.app)

    def __enter__(self):
        self._served.__enter__()
        return self

    def __exit__(self, *exc):
        self._served.__exit__(*exc)

    @property
    def url(self):
        return self._served.url

    def wait_records(self, count, seconds=20):
        with self.received:
            arrived = self.received.wait_for(lambda: len(self.records) >= count, seconds)
        assert arrived, f"{len(self.records)} of {count} records arrived"
        return list(self.records.values())

    def _route(self):
        app = self.app

        @app.middleware("http")
        async def guard(request: Request, call_next):
            if self.failing:
                return JSONResponse({"error": {"message": "not now", "code": "busy"}}, status_code=self.failing.pop(0))
            if request.headers.get("authorization") != f"Bearer {self.token}":
                return JSONResponse({"error": {"message": "who are you?", "code": "invalid_api_key"}}, 401)
            return await call_next(request)

        app.post("/v1/chat/completions")(self._chat)
        app.post("/api/ai_usage/record")(self._record)
        app.get("/api/ai_usage/{name:path}")(self._usage)
        app.post("/api/ai_usage/export_report")(self._export)
        app.post("/v1/reports")(self._create)
        app.get("/v1/reports")(self._list)
        app.get("/v1/reports/{job_id}")(self._job)
        app.get("/v1/reports/{job_id}/events")(self._events)
        app.get("/v1/reports/{job_id}/artifact.html")(self._artifact)
        app.post("/v1/reports/{job_id}/cancel")(self._cancel)
        app.delete("/v1/reports/{job_id}")(self._delete)

    async def _chat(self, request: Request):
        body = await request.json()
        self.asked.append(body)
        message, finish = answer_to(body)
        head = {"id": "chatcmpl-1", "created": 1, "model": body["model"]}
        usage = {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19}
        if not body.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": finish}
            return {**head, "object": "chat.completion", "choices": [choice], "usage": usage}

        def frames():
            for delta in deltas_of(message):
                yield {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
            yield {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
            if (body.get("stream_options") or {}).get("include_usage"):
                yield {"choices": [], "usage": usage}

        async def stream():
            for frame in frames():
                yield f"data: {json.dumps({**head, 'object': 'chat.completion.chunk', **frame})}\n\n"
            yield "data: [DONE]\n\n"

        return StreamingResponse(stream(), media_type="text/event-stream")

    async def _record(self, request: Request):
        events = await request.json()
        events = events if isinstance(events, list) else [events]
        if any(event["event_id"] in self.refusing for event in events):
            return JSONResponse({"error": {"message": "model: too long", "code": "invalid"}}, status_code=422)
        with self.received:
            self.batches.append(len(events))
            new = [event for event in events if event["event_id"] not in self.records]
            self.records.update({event["event_id"]: priced(event) for event in new})
            self.received.notify_all()
        ids = [event["event_id"] for event in events]
        return {"accepted": len(new), "duplicates": len(events) - len(new), "event_ids": ids}

    async def _usage(self, name: str, request: Request):
        self.asked.append((name, dict(request.query_params)))
        days = int(request.query_params.get("days", 7))
        kind, _, rest = name.partition("/")
        if kind == "stats":
            return self._stats(rest)
        if name == "top_users":
            users = defaultdict(list)
            for record in self.records.values():
                users[record["user_id"]].append(record)
            data = [{"user_id": user, **sums(records)} for user, records in users.items() if user]
            return {"period_days": days, "top_users": sorted(data, key=lambda user: -user["cost"])}
        if name == "cost_trend":
            data = [{"date": f"2026-11-{day + 1:02}", "cost": float(day)} for day in range(days)]
            return {"period_days": days, "data": data}
        if name == "events":
            start = int(request.query_params.get("cursor", 0))
            limit = int(request.query_params.get("limit", 100))
            rows = list(self.records.values())
            more = str(start + limit) if start + limit < len(rows) else None
            return {"events": rows[start : start + limit], "next_cursor": more}
        if name == "breakdown":
            return {"by": request.query_params["by"], "period_days": days, "data": []}
        if name == "download_report":
            return Response(json.dumps({"period_days": days, "total_calls": len(self.records)}))
        if name in ("forecast", "advice", "budgets", "prices", "health", "dashboard"):
            return {"told": name}
        return JSONResponse({"error": {"message": "no such statistics"}}, 404)

    def _stats(self, name):
        records = list(self.records.values())
        whole = sums(records)
        by_model = defaultdict(list)
        for record in records:
            by_model[record["model"]].append(record)
        groups = {
            model: {"calls": len(part), "total_tokens": sums(part)["tokens"], "cost": sums(part)["cost"]}
            for model, part in by_model.items()
        }
        if name == "current":
            return {
                "current_hour": {**whole, "success_rate": 100},
                "today": {**whole, "by_model": groups, "by_function": {}},
            }
        kind, _, session = name.partition("/")
        if kind == "session":
            return sums([record for record in records if record["session_id"] == session])
        totals = {"total_calls": whole["calls"], "total_tokens": whole["tokens"], "total_cost": whole["cost"]}
        return {"period": kind, "date": "2026-11-21", **totals, "by_model": groups}

    async def _export(self, request: Request):
        name = f"usage_report_20261121_101500.{request.query_params['format']}"
        url = f"/api/ai_usage/download_report?path={name}"
        return {"success": True, "report_path": f"records/ai_usage/{name}", "download_url": url}

    async def _create(self, request: Request):
        body = await request.json()
        key = request.headers.get("idempotency-key")
        known = next((job for job in self.jobs.values() if key and job["key"] == key), None)
        job = known or {**REPORT, "id": uuid.uuid4().hex, "key": key, "body": body, "step": 0}
        self.jobs[job["id"]] = job
        return JSONResponse(self._shown(job), 202, headers={"location": f"/v1/reports/{job['id']}"})

    async def _list(self):
        return {"data": [self._shown(job) for job in self.jobs.values()]}

    async def _job(self, job_id: str):
        if job_id not in self.jobs:
            return JSONResponse({"error": {"message": "no such job", "code": "not_found"}}, 404)
        self.jobs[job_id]["step"] += 1
        return self._shown(self.jobs[job_id])

    def _shown(self, job):
        step = job["step"]
        status = job.get("status") or ("queued", "running", "succeeded")[min(step, 2)]
        url = f"/v1/reports/{job['id']}/artifact.html"
        artifacts = [{"format": "html", "bytes": 12, "sha256": "0", "url": url}] if status == "succeeded" else []
        shown = {name: job[name] for name in (*REPORT, "id")}
        return {**shown, "status": status, "stage": "render", "progress": min(step, 2) / 2, "artifacts": artifacts}

    async def _events(self, job_id: str, request: Request):
        first = int(request.headers.get("last-event-id", -1)) + 1

        async def stream():
            for step in range(first, 3):
                yield ": ping\n\n"
                yield f"id: {step}\ndata: {json.dumps(self._shown({**self.jobs[job_id], 'step': step}))}\n\n"

        return StreamingResponse(stream(), media_type="text/event-stream")

    async def _artifact(self, job_id: str):
        return Response("<svg></svg>\n", media_type="text/html")

    async def _cancel(self, job_id: str):
        self.jobs[job_id]["status"] = "cancelled"
        return self._shown(self.jobs[job_id])

    async def _delete(self, job_id: str):
        self.jobs.pop(job_id, None)
        return Response(status_code=204)


def priced(event):
    """The ledger prices what comes without a cost."""
    prices = {"qwen-plus": (0.0004, 0.002), "qwen-turbo": (0.0003, 0.0006), "qwen-max": (0.02, 0.06)}
    if event["cost"] is None and event["model"] in prices:
        read, written = prices[event["model"]]
        event["cost"] = round((event["input_tokens"] * read + event["output_tokens"] * written) / 1000, 9)
    return event


def sums(records):
    return {
        "calls": len(records),
        "tokens": sum(record["total_tokens"] or 0 for record in records),
        "cost": round(sum(record["cost"] or 0 for record in records), 9),
    }


def answer_to(body):
    """Remembers names, calls the first offered tool once, and else repeats what it heard."""
    messages = body["messages"]
    last = messages[-1]
    if last["role"] == "tool":
        return {"role": "assistant", "content": f"根据{last['content']}"}, "stop"
    heard = last.get("content") or ""
    if body.get("tools"):
        name = body["tools"][0]["function"]["name"]
        function = {"name": name, "arguments": json.dumps({"query": heard}, ensure_ascii=False)}
        calls = [{"index": 0, "id": "call_1", "type": "function", "function": function}]
        return {"role": "assistant", "content": None, "tool_calls": calls}, "tool_calls"
    if "我叫什么名字" in heard:
        said = [message["content"] for message in messages if message["role"] == "user"]
        names = [text.removeprefix("我叫") for text in said if text.startswith("我叫") and "什么" not in text]
        return {"role": "assistant", "content": f"你叫{names[-1]}" if names else "我不知道"}, "stop"
    return {"role": "assistant", "content": f"收到：{heard}"}, "stop"


def deltas_of(message):
    yield {"role": "assistant", "content": ""}
    for call in message.get("tool_calls") or []:
        arguments = call["function"]["arguments"]
        yield {"tool_calls": [{**call, "function": {**call["function"], "arguments": ""}}]}
        yield {"tool_calls": [{"index": 0, "function": {"arguments": arguments[:5]}}]}
        yield {"tool_calls": [{"index": 0, "function": {"arguments": arguments[5:]}}]}
    for piece in message.get("content") or "":
        yield {"content": piece}
