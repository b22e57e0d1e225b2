"""`tollway keys`, `usage` and `prices`: the HTTP surfaces for a terminal, at TOLLWAY_URL with TOLLWAY_ADMIN_TOKEN."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2

from shared.service import Refused
from shared.settings import read_settings

SECONDS = 60.0


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
        print(_pretty(_ask("POST", "/api/ai_usage/proof")))
        return 0
    if options.what == "session" and not options.session_id:
        raise Refused("usage session needs --session-id")
    days, by = options.days, options.by
    paths: dict[str, tuple[str, dict[str, Any]]] = {
        "current": ("stats/current", {}),
        "hourly": ("stats/hourly", {"hours_ago": options.hours_ago}),
        "daily": ("stats/daily", {"days_ago": options.days_ago}),
        "monthly": ("stats/monthly", {"year": options.year, "month": options.month}),
        "session": (f"stats/session/{quote(options.session_id or '', safe='')}", {}),
        "top": ("top_users", {"limit": options.limit, "days": days}),
        "trend": ("cost_trend", {"days": days}),
        "breakdown": ("breakdown", {"by": by, "days": days}),
        "events": (
            "events",
            {"limit": options.limit, "request_id": options.request_id, "session_id": options.session_id},
        ),
    }
    path, parameters = paths.get(options.what, (options.what, {}))
    given = {name: value for name, value in parameters.items() if value is not None}
    print(_pretty(_ask("GET", f"/api/ai_usage/{path}", params=given)))
    return 0


def prices(options: argparse.Namespace) -> int:
    """Show, add, re-price."""
    if options.action == "add":
        names = (
            "model",
            "input",
            "output",
            "cache_read",
            "cache_write",
            "reasoning",
            "currency",
            "provider",
            "valid_from",
        )
        body = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
        print(_pretty(_ask("POST", "/api/ai_usage/prices", json=body)))
    elif options.action == "reprice":
        body = {"from": options.start, "to": options.end, "dry_run": not options.apply}
        if options.model:
            body["model"] = options.model
        print(_pretty(_ask("POST", "/api/ai_usage/prices/reprice", json=body)))
    else:
        print(_pretty(_ask("GET", "/api/ai_usage/prices")))
    return 0


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
        print(_pretty(answer))
        return
    rows: list[dict[str, Any]] = answer["keys"]
    for row in rows:
        state = "revoked" if row.get("revoked_at") else "active"
        print(f"{row['id']}  {state:8} {row['name']:24} {row.get('owner') or '-'}")


def _export(options: argparse.Namespace) -> int:
    made = _ask("POST", "/api/ai_usage/export_report", params={"days": options.days, "format": options.format})
    answer = _send("GET", made["download_url"])
    path = Path(options.out or Path(made["report_path"]).name)
    path.write_bytes(answer.content)
    print(path)
    return 0


def _ask(method: str, path: str, **request: Any) -> Any:
    answer = _send(method, path, **request)
    return answer.json() if answer.content else None


def _send(method: str, path: str, **request: Any) -> httpx2.Response:
    settings = read_settings()
    token = settings.admin_token or settings.token
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}
    try:
        answer = httpx2.request(method, settings.url.rstrip("/") + path, headers=headers, timeout=SECONDS, **request)
    except httpx2.HTTPError as error:
        raise Refused(f"{settings.url} cannot be reached: {error}") from error
    if answer.status_code >= 400:
        raise Refused(f"{settings.url} answered {answer.status_code}: {_told(answer)}")
    return answer


def _told(answer: httpx2.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return answer.text[:300]
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict):
        return str(error.get("message", error))
    return str(body)[:300]


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
