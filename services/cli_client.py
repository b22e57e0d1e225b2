"""`tollway keys`, `usage` and `prices`: the HTTP surfaces for a terminal, at TOLLWAY_URL with TOLLWAY_ADMIN_TOKEN."""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import msgspec

from shared.arguments import Refused
from shared.settings import read_settings

SECONDS = 60.0
# A proof reads every event there is, an export every event of its days.
LONG_SECONDS = 3600.0
DRIFT = 3


def keys(options: argparse.Namespace) -> int:
    """Create, list, revoke."""
    if options.action == "create":
        print(_ask("POST", "/admin/keys", json=_key_fields(options))["key"])
    elif options.action == "list":
        _show_keys(_ask("GET", "/admin/keys"), as_json=options.json)
    else:
        _ask("DELETE", f"/admin/keys/{options.id}")
        print(f"revoked {options.id}", file=sys.stderr)
    return 0


def usage(options: argparse.Namespace) -> int:
    """Statistics as the server tells them."""
    if options.what == "export":
        return _export(options)
    if options.what == "proof":
        return _proof(options)
    if options.what == "session" and not options.session_id:
        raise Refused("usage session needs --session-id")
    days = 7 if options.days is None else options.days
    paths: dict[str, tuple[str, dict[str, Any]]] = {
        "current": ("stats/current", {}),
        "hourly": ("stats/hourly", {"hours_ago": options.hours_ago}),
        "daily": ("stats/daily", {"days_ago": options.days_ago}),
        "monthly": ("stats/monthly", {"year": options.year, "month": options.month}),
        "session": (f"stats/session/{quote(options.session_id or '', safe='')}", {}),
        "top": ("top_users", {"limit": options.limit, "days": days}),
        "trend": ("cost_trend", {"days": days}),
        "breakdown": ("breakdown", {"by": options.by, "days": days}),
        "events": (
            "events",
            {"limit": options.limit, "request_id": options.request_id, "session_id": options.session_id},
        ),
        "dashboard": ("dashboard", {"days": days}),
    }
    path, parameters = paths.get(options.what, (options.what, {}))
    _print(_send("GET", f"/api/ai_usage/{path}", params=_given(parameters)))
    return 0


def prices(options: argparse.Namespace) -> int:
    """Show, add, re-price."""
    path = "/api/ai_usage/prices"
    if options.action == "add":
        names = (
            "model", "input", "output", "cache_read", "cache_write", "reasoning", "currency", "provider",
            "display_name", "valid_from",
        )  # fmt: skip
        _print(_send("POST", path, json=_given({name: getattr(options, name) for name in names})))
    elif options.action == "rate":
        body = {
            "from": options.source, "to": options.target, "rate": options.rate, "valid_from": options.valid_from,
        }  # fmt: skip
        _print(_send("POST", "/api/ai_usage/rates", json=_given(body)))
    elif options.action == "reprice":
        body = {"from": options.start, "to": options.end, "model": options.model, "dry_run": not options.apply}
        _print(_send("POST", f"{path}/reprice", seconds=LONG_SECONDS, json=_given(body)))
    elif options.action == "corrections":
        _print(_send("GET", f"{path}/corrections", params=_given({"run_id": options.run_id, "limit": options.limit})))
    else:
        _print(_send("GET", path))
    return 0


def _proof(options: argparse.Namespace) -> int:
    """0 when all sums are right, 3 when some were not."""
    parameters = {"days": options.days, "repair": "true" if options.repair else None}
    answer = _send("POST", "/api/ai_usage/proof", seconds=LONG_SECONDS, params=_given(parameters))
    _print(answer)
    return 0 if _json(answer)["ok"] else DRIFT


def _key_fields(options: argparse.Namespace) -> dict[str, Any]:
    fields: dict[str, Any] = {"name": options.name}
    for name in ("models", "tools", "default_tools"):
        if (given := getattr(options, name)) is not None:
            fields[name] = [part.strip() for part in given.split(",") if part.strip()]
    for name in ("owner", "requests_per_minute", "tokens_per_minute", "expires_at"):
        if (given := getattr(options, name)) is not None:
            fields[name] = given
    for name in ("budget_per_day", "budget_per_month"):
        if (given := getattr(options, name)) is not None:
            fields[name] = float(given)
    return fields


def _show_keys(answer: Any, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    rows: list[dict[str, Any]] = answer["keys"]
    for row in rows:
        state = "revoked" if row.get("revoked_at") else "active"
        print(f"{row['id']}  {state:8} {row['name']:24} {row.get('owner') or '-'}")


def _export(options: argparse.Namespace) -> int:
    period = {"days": options.days, "from": options.first, "to": options.last}
    parameters = {**_given(period), "format": options.format}
    made = _json(_send("POST", "/api/ai_usage/export_report", seconds=LONG_SECONDS, params=parameters))
    path = Path(options.out or Path(made["report_path"]).name)
    try:
        with path.open("wb") as file, _streamed(made["download_url"]) as answer:
            for piece in answer.iter_bytes():
                file.write(piece)
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}") from error
    print(path)
    return 0


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _ask(method: str, path: str, **request: Any) -> Any:
    answer = _send(method, path, **request)
    return _json(answer) if answer.content else None


def _send(method: str, path: str, seconds: float = SECONDS, **request: Any) -> httpx2.Response:
    with _reaching() as (url, headers):
        answer = httpx2.request(method, url + path, headers=headers, timeout=seconds, **request)
    return _accepted(answer, url)


@contextmanager
def _streamed(path: str) -> Iterator[httpx2.Response]:
    with _reaching() as (url, headers), httpx2.stream("GET", url + path, headers=headers, timeout=SECONDS) as answer:
        if answer.status_code >= 400:
            answer.read()
        yield _accepted(answer, url)


@contextmanager
def _reaching() -> Iterator[tuple[str, dict[str, str]]]:
    """Where the server is and how it knows us; that it is not there is told in one line."""
    settings = read_settings()
    token = settings.admin_token or settings.token
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}
    try:
        yield settings.url.rstrip("/"), headers
    except httpx2.HTTPError as error:
        reason = str(error) or type(error).__name__
        raise Refused(f"{settings.url} cannot be reached: {reason} (TOLLWAY_URL says where Tollway is)") from error


def _accepted(answer: httpx2.Response, url: str) -> httpx2.Response:
    if answer.status_code < 400:
        return answer
    hint = " (the token is taken from TOLLWAY_ADMIN_TOKEN)" if answer.status_code in (401, 403) else ""
    raise Refused(f"{url} answered {answer.status_code}: {_told(answer)}{hint}")


def _json(answer: httpx2.Response) -> Any:
    try:
        return answer.json()
    except ValueError as error:
        raise Refused(f"{answer.url} did not answer in JSON: is that Tollway?") from error


def _told(answer: httpx2.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return " ".join(answer.text[:300].split())
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict):
        return str(error.get("message", error))
    return str(body)[:300]


def _print(answer: httpx2.Response) -> None:
    """The answer with line breaks; numbers stay as the server wrote them, never 2.8e-06."""
    _json(answer)
    print(msgspec.json.format(answer.content, indent=2).decode())
