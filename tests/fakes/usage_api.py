"""A small server with the dashboard's static files and generated answers: for looking at the page, and for the states
that a healthy stack cannot be brought into on demand. `python tests/fakes/usage_api.py [port]` runs it by hand."""

import json
import mimetypes
import queue
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.fakes import usage_data

STATIC = Path(__file__).resolve().parents[2] / "services" / "usage" / "static"
POLICY = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"


class FakeUsage:
    """Knobs first: a token that is wanted, an empty ledger, paths that fail, a service without the gateway's surfaces."""

    def __init__(self, port: int = 0) -> None:
        self.token: str | None = None
        self.role = "admin"
        self.empty = False
        self.gateway = True
        self.failing: dict[str, int] = {}
        self.refusal = "asked to fail"
        self.asked: list[str] = []
        self.last_event_ids: list[str] = []
        self.keys: list[dict[str, Any]] = [
            usage_data.key("key_02studio", "studio", budget_per_month=1500.0),
            usage_data.key("key_03batch", "batch", models=["qwen-*"], requests_per_minute=60),
        ]
        self.jobs: list[dict[str, Any]] = [
            usage_data.job("job_01", "succeeded", 1.0),
            usage_data.job("job_02", "running", 0.4),
        ]
        self.written: list[tuple[str, Any]] = []
        self._live: list[queue.Queue[dict[str, Any] | None]] = []
        self._sequence = 0
        fake = self

        class Handler(_Handler):
            owner = fake

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.page = f"{self.url}/static/ai_usage_monitor.html"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> "FakeUsage":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.hang_up()
        self._server.shutdown()
        self._server.server_close()

    def hang_up(self) -> None:
        """Ends every live stream, as a restarting server does."""
        for one in self._live:
            one.put(None)

    def push(self, cost: float) -> None:
        """One live message: today's spend is now `cost`."""
        self._sequence += 1
        for one in self._live:
            one.put(self._message(cost))

    def _message(self, cost: float) -> dict[str, Any]:
        today = {"calls": 10, "tokens": 100, "cost": cost}
        return {
            "type": "stats",
            "generated_at": usage_data.NOW,
            "trust": usage_data.trust(),
            "current_hour": {**today, "success_rate": 100},
            "today": today,
            "events": [],
            "sequence": self._sequence,
        }

    def listening(self) -> int:
        return len(self._live)

    def answer(self, path: str, asked: dict[str, list[str]]) -> Any:
        """The body for a GET, or None when there is no such surface."""
        first = {name: values[0] for name, values in asked.items()}
        if path.startswith("/api/ai_usage/"):
            return self._usage(path.removeprefix("/api/ai_usage/"), first)
        if not self.gateway:
            return None
        return self._gateway(path)

    def _usage(self, name: str, asked: dict[str, str]) -> Any:
        if name.startswith("session/"):
            return usage_data.timeline(unquote(name.split("/")[1]))
        sessions = [
            {
                "session_id": one,
                "user_id": "liu.yang",
                "calls": 4,
                "tokens": 5652,
                "cost": 0.312469137,
                "first_at": usage_data.NOW,
                "last_at": usage_data.NOW,
            }
            for one in usage_data.NAMES["session"]
        ]
        history = [{"month": "2026-10", "predicted": 4120.5, "actual": 4033.21, "low": 3800.0, "high": 4400.0}]
        found = {
            "dashboard": lambda: usage_data.dashboard(int(asked.get("days", 7)), empty=self.empty),
            "explore": lambda: usage_data.explore(asked.get("measure", "cost"), asked.get("by", "model"), asked.get("bucket", "auto")),
            "sessions": lambda: {"sessions": sessions},
            "prices": usage_data.prices,
            "health": usage_data.health,
            "budgets": lambda: {"budgets": usage_data.budgets(), "alerts": usage_data.alerts()},
            "forecast": lambda: {"month": "2026-11", "actual": 3120.45, "mid": 4471.123456789, "low": 4102.5, "high": 4893.25, "currency": "CNY", "method": "weekday factors", "enough_data": True, "history": history, "mape": 4.2, "coverage": 83.3, "days": []},
            "events": lambda: {"events": [usage_data.event(0), usage_data.event(2, kind="tool", model="time__get_current_time", provider="time", cost=0)], "next_cursor": None},
        }.get(name)  # fmt: skip
        return found() if found else None

    def _gateway(self, path: str) -> Any:
        return {
            "/admin/router": usage_data.router(),
            "/admin/keys": {"keys": self.keys},
            **{f"/admin/keys/{key['id']}": {**key, "standing": usage_data.STANDING} for key in self.keys},
            "/v1/models": {
                "object": "list",
                "data": [{"id": name, "object": "model"} for name in ("auto", "demo", "gpt-4o")],
            },
            "/v1/reports": {"object": "list", "data": self.jobs, "next_cursor": None},
            "/v1/reports/job_01": self.jobs[0],
            "/api/tools": {
                "tools": [
                    {
                        "name": "time__get_current_time",
                        "description": "The time in a zone.",
                        "input_schema": {},
                        "source": "time",
                        "supports_streaming": False,
                    }
                ]
            },
        }.get(path)

    def write(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """The answer to a write; what was written is kept for the tests to read."""
        self.written.append((f"{method} {path}", body))
        if path == "/admin/keys":
            made = usage_data.key(
                f"key_{len(self.keys) + 2:02d}",
                body["name"],
                **{name: value for name, value in body.items() if name != "name"},
            )
            self.keys.append(made)
            return 201, {**made, "key": "tw-generated-for-this-answer-only"}
        if path.startswith("/admin/keys/"):
            one = next(key for key in self.keys if key["id"] == path.rsplit("/", 1)[1])
            if method == "DELETE":
                self.keys.remove(one)
                return 204, None
            one.update(body)
            return 200, one
        if path == "/v1/reports":
            made = usage_data.job(f"job_{len(self.jobs) + 1:02d}", "queued", 0.0)
            self.jobs.insert(0, made)
            return 202, made
        if path.endswith("/reprice"):
            return 200, {
                "dry_run": body["dry_run"],
                "events": 31,
                "changed": 31,
                "before": 0,
                "after": 1.204,
                "delta": 1.204,
                "currency": "CNY",
                "rows": [{"model": "qwen-next-preview", "events": 31, "before": 0, "after": 1.204}],
            }
        if path.endswith("/proof"):
            return 200, usage_data.health()["drift"]
        return 201, body

    def live(self, last_event_id: str | None) -> Iterator[dict[str, Any] | None]:
        if last_event_id:
            self.last_event_ids.append(last_event_id)
        mine: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._live.append(mine)
        mine.put(self._message(usage_data.dashboard(7)["cards"]["spend_today"]["value"]))
        try:
            while (message := mine.get()) is not None:
                yield message
        finally:
            self._live.remove(mine)


class _Handler(BaseHTTPRequestHandler):
    owner: FakeUsage
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        return

    def _body(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"null")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.send_header("content-security-policy", POLICY)
        self.send_header("x-content-type-options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def _json(self, status: int, value: Any) -> None:
        self._send(status, b"" if status == 204 else json.dumps(value).encode(), "application/json")

    def _knows_token(self) -> bool:
        return self.owner.token is None or self.headers.get("authorization") == f"Bearer {self.owner.token}"

    def _refused(self, path: str) -> bool:
        if status := self.owner.failing.get(path):
            self._json(status, {"error": {"message": self.owner.refusal, "type": "server_error", "code": "fake"}})
            return True
        if not self._knows_token():
            self._json(
                401, {"error": {"message": "no such token", "type": "authentication_error", "code": "unauthorized"}}
            )
            return True
        return False

    def _whoami(self) -> None:
        role = (self.owner.role if self.owner.token else "open") if self._knows_token() else None
        self._json(200, {"role": role, "key_id": None})

    def do_GET(self) -> None:
        split = urlsplit(self.path)
        self.owner.asked.append(self.path)
        if split.path.startswith("/static/"):
            self._file(split.path.removeprefix("/static/"))
        elif split.path == "/api/ai_usage/whoami":
            self._whoami()
        elif self._refused(split.path):
            return
        elif split.path == "/api/ai_usage/live":
            self._stream(self.owner.live(self.headers.get("last-event-id")))
        elif split.path.endswith("/events") and split.path.startswith("/v1/reports/"):
            done = {
                **self.owner.jobs[1],
                "status": "succeeded",
                "progress": 1.0,
                "artifacts": self.owner.jobs[0]["artifacts"],
            }
            self._stream(iter([{**self.owner.jobs[1], "progress": 0.7, "stage": "insight"}, done]))
        elif "/artifact." in split.path:
            self._send(200, b"<!doctype html><title>report</title>", "text/html")
        else:
            found = self.owner.answer(split.path, parse_qs(split.query))
            self._json(
                200 if found is not None else 404,
                found if found is not None else {"error": {"message": "no such path"}},
            )

    def _write(self) -> None:
        path, body = urlsplit(self.path).path, self._body()
        if self._refused(path):
            return
        if path == "/v1/chat/completions":
            self._chat(body)
        elif not self.owner.gateway and not path.startswith("/api/ai_usage/"):
            self._json(404, {"error": {"message": "no such path"}})
        else:
            self._json(*self.owner.write(self.command, path, body))

    do_POST = do_PATCH = do_DELETE = _write

    def _file(self, name: str) -> None:
        path = (STATIC / name).resolve()
        if not path.is_relative_to(STATIC) or not path.is_file():
            self._json(404, {"error": {"message": "no such file"}})
            return
        kind = (
            {".js": "text/javascript"}.get(path.suffix)
            or mimetypes.guess_type(path.name)[0]
            or "application/octet-stream"
        )
        self._send(200, path.read_bytes(), kind)

    def _open(self, **headers: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("connection", "close")
        self.end_headers()

    def _stream(self, messages: Iterator[dict[str, Any] | None]) -> None:
        self._open()
        try:
            self.wfile.write(b"retry: 200\n: open\n\n")
            for place, message in enumerate(messages, 1):
                sequence = (message or {}).get("sequence", place)
                self.wfile.write(f"id: {sequence}\ndata: {json.dumps(message)}\n\n".encode())
        except (BrokenPipeError, ConnectionResetError):
            pass
        self.close_connection = True

    def _chat(self, body: Any) -> None:
        self.owner.written.append(("POST /v1/chat/completions", body))
        self._open(
            x_request_id="req-0",
            x_tollway_model="gpt-4o",
            x_tollway_provider="openai",
            x_tollway_attempts="2",
            x_tollway_cache="off",
        )
        for word in ("Tollway ", "carries ", "every ", "word."):
            chunk = {
                "id": "c",
                "object": "chat.completion.chunk",
                "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}],
            }
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        end = {"id": "c", "choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 4, "total_tokens": 16}}
        self.wfile.write(f"data: {json.dumps(end)}\n\ndata: [DONE]\n\n".encode())
        self.close_connection = True


if __name__ == "__main__":
    with FakeUsage(int(sys.argv[1]) if len(sys.argv) > 1 else 0) as running:
        print(running.page, flush=True)
        threading.Event().wait()
