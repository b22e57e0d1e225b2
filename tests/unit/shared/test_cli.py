"""The command line: what makes no sense ends with one line and exit 1, never with a traceback."""

import json
from collections.abc import Sequence
from typing import Any

import httpx2
import pytest

from services import cli


def ran(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    told = capsys.readouterr()
    return int(ended.value.code or 0), told.out, told.err


@pytest.mark.parametrize(
    ("variable", "value", "arguments"),
    [
        ("TOLLWAY_URL", "nonsense", ["usage"]),
        ("TOLLWAY_URL", "nonsense", ["keys", "list"]),
        ("TOLLWAY_BUS_URL", "kafka://x", ["up"]),
        ("TOLLWAY_CACHE_URL", "localhost", ["serve", "router", "--workers", "2"]),
        ("TOLLWAY_PORT", "99999", ["up"]),
    ],
)
def test_settings_that_make_no_sense_are_one_line(
    variable: str, value: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, value)
    code, out, err = ran(arguments, capsys)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"tollway: {variable.removeprefix('TOLLWAY_').lower()}: ")


@pytest.mark.parametrize(
    ("arguments", "path", "parameters"),
    [
        ([], "stats/current", {}),
        (["hourly", "--hours-ago", "2"], "stats/hourly", {"hours_ago": 2}),
        (["monthly", "--year", "2025", "--month", "9"], "stats/monthly", {"year": 2025, "month": 9}),
        (["session", "--session-id", "a/b c"], "stats/session/a%2Fb%20c", {}),
        (["dashboard", "--days", "30"], "dashboard", {"days": 30}),
    ],
)
def test_usage_asks_what_the_page_asks(
    arguments: list[str],
    path: str,
    parameters: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[tuple[str, Any]] = []

    def answer(_: str, url: str, **request: Any) -> httpx2.Response:
        asked.append((url, request["params"]))
        return httpx2.Response(200, json={"calls": 1})

    monkeypatch.setattr(httpx2, "request", answer)
    code, out, _ = ran(["usage", *arguments], capsys)
    assert (code, json.loads(out)) == (0, {"calls": 1})
    assert asked == [(f"http://127.0.0.1:8080/api/ai_usage/{path}", parameters)]
