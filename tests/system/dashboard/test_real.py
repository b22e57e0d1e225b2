"""The page in front of the real services, all five in one process, with a loaded ledger."""

import json
import os
import random
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.ports import free_port

TOKEN = "admin-token-of-the-browser-tests"
LOADED = 4000
START_SECONDS = 120
SIGHT_SECONDS = 30_000


class Real:
    """A running Tollway and the way to ask it beside the page."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.page = f"{url}/static/ai_usage_monitor.html"

    def ask(self, path: str, body: Any = None, token: str = TOKEN) -> Any:
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        request = urllib.request.Request(self.url + path, None if body is None else json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.loads(answer.read(), parse_float=Decimal)

    def is_up(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/ready", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False


def records(count: int) -> list[dict[str, Any]]:
    chance, now = random.Random(7), time.time()
    made = []
    for place in range(count):
        model, provider = chance.choice(
            [
                ("gpt-4o", "openai"),
                ("qwen-max", "dashscope"),
                ("claude-sonnet-4-5", "claude"),
                ("qwen-plus", "dashscope"),
            ]
        )
        failed = chance.random() < 0.03
        tokens = (
            {}
            if failed
            else {
                "input_tokens": chance.randint(50, 9000),
                "output_tokens": chance.randint(5, 900),
                "cache_read_tokens": chance.randint(0, 50),
            }
        )
        made.append({
            "model": model, "provider": provider, "timestamp": now - chance.random() * 20 * 86400, "function": chance.choice(["commentary", "titles", None]), "user_id": chance.choice(["anna", "观众-7", None]),
            "anchor_id": chance.choice(["room-1", "room-2"]), "session_id": f"sess-{place % 40}", "duration_ms": chance.randint(200, 9000), "ttft_ms": chance.randint(60, 900), "success": not failed,
            "error_msg": "503 overloaded" if failed else None, **tokens,
        })  # fmt: skip
    return made


@contextmanager
def serving(data: Path, *command: str, **more: str) -> Iterator[Real]:
    """A Tollway process on a free port, ready."""
    port = free_port()
    strange = ("TOLLWAY_", "OPENAI_", "ANTHROPIC_", "TOKEN")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
    started = subprocess.Popen(
        [Path(sys.executable).with_name("tollway"), *command, "--port", str(port), "--data", str(data)],
        env={**kept, **more},
        stdout=subprocess.DEVNULL,
        stderr=(data / "log").open("wb"),
    )
    running = Real(f"http://127.0.0.1:{port}")
    deadline = time.monotonic() + START_SECONDS
    try:
        while not running.is_up():
            gone = started.poll() is not None or time.monotonic() > deadline
            assert not gone, (data / "log").read_text()[-2000:]
            time.sleep(0.1)
        yield running
    finally:
        started.terminate()
        started.wait(40)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, chromium: str) -> Iterator[Real]:
    with serving(tmp_path_factory.mktemp("real"), "up", TOLLWAY_ADMIN_TOKEN=TOKEN) as running:
        yield running


@pytest.fixture(scope="module")
def loaded(real: Real) -> Real:
    assert real.ask("/api/ai_usage/record", records(LOADED))["accepted"] == LOADED
    return real


@pytest.fixture
def enter(visits: Any, settle: Callable[[Page], None]) -> Callable[..., Page]:
    """Opens an address and signs in with the admin token."""

    def open_page(address: str, **options: Any) -> Page:
        page = visits.open(address, **options)
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_label("Token").press("Enter")
        expect(page.get_by_role("heading", level=1)).not_to_have_text("Sign in")
        settle(page)
        return page

    return open_page


def test_an_empty_ledger_fills_with_the_first_call_of_the_playground(real, enter):
    page = enter(real.page)
    expect(page.get_by_role("heading", name="Nothing is booked yet")).to_be_visible()
    page.get_by_role("link", name="Or try it in the playground").click()
    page.get_by_label("Your message").fill("Say hello")
    page.get_by_role("button", name="Send").click()
    receipt = page.locator(".receipt")
    expect(receipt).to_contain_text("demo/demo", timeout=SIGHT_SECONDS)
    expect(receipt).to_contain_text("Cost ¥0", timeout=SIGHT_SECONDS)
    assert len(page.locator(".turn.assistant .said").inner_text()) > 5
    page.get_by_role("link", name="Overview", exact=True).click()
    expect(page.locator("[data-card=calls] .value")).to_have_text("1", timeout=SIGHT_SECONDS)


@pytest.mark.parametrize("days", [1, 30])
def test_every_number_of_the_first_screen_is_the_ledgers(days, loaded, enter):
    page = enter(f"{loaded.page}#/overview?days={days}")
    told = loaded.ask(f"/api/ai_usage/dashboard?days={days}")
    for name, card in told["cards"].items():
        place = page.locator(f"[data-card={name}] .value .num")
        if place.count() and card["value"] is not None and name != "forecast":
            assert Decimal(place.get_attribute("data-value")) == Decimal(card["value"]), name
    for by, rows in told["breakdowns"].items():
        shown = page.locator(f"[data-panel=by-{by}] .bar-value .num")
        values = [Decimal(shown.nth(place).get_attribute("data-value")) for place in range(shown.count())]
        assert values == [Decimal(row["cost"]) for row in rows[:6]], by
    page.get_by_role("button", name="Table: Spend over time").click()
    cells = page.locator("[data-panel=spend] tbody td:last-child .num")
    assert [Decimal(cells.nth(place).get_attribute("data-value") or 0) for place in range(cells.count())] == [
        Decimal(one) for one in told["spend"]["total"]
    ]


SCREENS = {
    "overview": "Overview",
    "overview?model=gpt-4o": "Overview",
    "explore": "Explore",
    "explore?measure=latency_p95_ms": "Explore",
    "session": "Sessions",
    "session?id=sess-7": "Sessions",
    "prices": "Prices",
    "keys": "Budgets & keys",
    "reports": "Report jobs",
    "playground": "Playground",
    "health": "Data health",
}


def test_every_screen_of_the_real_page_is_accessible_and_silent(loaded, enter, axe, picture, settle):
    page = enter(loaded.page)
    found = {}
    for screen, title in SCREENS.items():
        page.goto(f"{loaded.page}#/{screen}")
        expect(page.locator("h1")).to_have_text(title)
        settle(page)
        found[screen] = axe(page)
        picture(page, f"real-{screen.replace('?', '-').replace('=', '-')}")
    assert {screen: faults for screen, faults in found.items() if faults} == {}


def test_a_call_made_elsewhere_is_seen_without_a_reload(loaded, enter):
    page = enter(loaded.page)
    expect(page.locator(".live")).to_have_attribute("data-state", "live")
    loaded.ask(
        "/api/ai_usage/record",
        {"model": "qwen-max", "input_tokens": 123_456, "output_tokens": 789, "session_id": "live-one"},
    )
    today = loaded.ask("/api/ai_usage/stats/current")["today"]["cost"]
    expect(page.locator("[data-card=spend_today] .value .num")).to_have_attribute(
        "data-value", str(today), timeout=SIGHT_SECONDS
    )


def test_explore_adds_up_to_the_ledger(loaded, enter):
    page = enter(f"{loaded.page}#/explore?measure=tokens&by=user&days=30")
    told = loaded.ask("/api/ai_usage/explore?measure=tokens&by=user&days=30&compare=1")
    assert Decimal(page.locator(".totals .num").first.get_attribute("data-value")) == told["total"]
    rows = page.locator("[data-panel=rows] tbody tr")
    assert rows.count() == len(told["rows"])
    shown = [
        Decimal(rows.nth(place).locator("td .num").nth(1).get_attribute("data-value")) for place in range(rows.count())
    ]
    assert shown == [row["tokens"] for row in told["rows"]]


def test_a_key_made_on_the_page_works_and_sees_its_own_usage_only(loaded, visits, enter):
    page = enter(f"{loaded.page}#/keys")
    page.get_by_role("button", name="Create key").click()
    page.get_by_role("dialog").get_by_label("Name").fill("browser")
    page.get_by_role("dialog").get_by_role("button", name="Create key").click()
    key = page.locator(".once code").inner_text()

    visits.expected.append("Failed to load resource.*40[13]")
    other = visits.open(loaded.page)
    other.get_by_label("Token").fill(key)
    other.get_by_label("Token").press("Enter")
    expect(other.get_by_role("heading", name="Nothing is booked yet")).to_be_visible()

    loaded.ask("/v1/chat/completions", {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}, key)
    expect(other.locator("[data-card=calls] .value")).to_have_text("1")
    expect(other.locator("[data-panel=router]")).to_contain_text("needs the admin token")

    page.get_by_role("button", name="Revoke browser").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("button", name="Revoke browser")).to_have_count(0)


def test_a_sample_report_is_queued_followed_and_downloaded(loaded, enter):
    page = enter(f"{loaded.page}#/reports")
    page.get_by_role("button", name="New report").click()
    page.get_by_role("dialog").get_by_role("button", name="Queue it").click()
    job = page.locator(".job").first
    expect(job).to_have_attribute("data-status", "succeeded", timeout=40_000)
    with page.expect_download() as waiting:
        job.get_by_role("button", name="Download HTML").click()
    assert "<html" in waiting.value.path().read_text()
    with page.expect_download() as waiting:
        job.get_by_role("button", name="Download evidence").click()
    assert waiting.value.suggested_filename.endswith(".zip")
    assert "manifest.json" in zipfile.ZipFile(waiting.value.path()).namelist()


def test_the_proof_runs_from_the_page(loaded, enter):
    page = enter(f"{loaded.page}#/health")
    page.get_by_role("button", name="Prove now").click()
    expect(page.locator(".toast")).to_have_text("Proved: rollups equal events.", timeout=SIGHT_SECONDS)
    expect(page.locator("[data-panel=proof] .summary")).to_contain_text("equal.")


def test_the_usage_service_alone_shows_the_ledger_and_says_what_lives_elsewhere(visits, tmp_path, chromium):
    visits.expected.append("Failed to load resource.*404")
    with serving(tmp_path, "serve", "usage") as alone:
        alone.ask("/api/ai_usage/record", records(50))
        page = visits.open(alone.page)
        expect(page.locator("[data-card=calls]")).to_be_visible()
        expect(page.locator("[data-panel=router]")).to_contain_text("This part lives on the gateway")
        visits.close()


def test_the_first_view_of_the_real_page_is_light(loaded, visits):
    page = visits.open(loaded.page, before=f"sessionStorage.setItem('tollway.token', '{TOKEN}')")
    page.wait_for_selector("[data-panel=latency] [data-drawn=yes]")
    seen = page.evaluate(
        "({bytes: performance.getEntries().reduce((sum, one) => sum + (one.transferSize || 0), 0), ms: performance.now()})"
    )
    print(f"first view: {seen['bytes']} bytes, {seen['ms']:.0f} ms")
    assert 100_000 < seen["bytes"] <= 700_000
    assert {one.split("/")[2] for one in visits.addresses} == {loaded.url.split("/")[2]}


def test_the_api_document_can_be_read_without_anything_from_elsewhere(real, visits, axe, picture):
    page = visits.open(f"{real.url}/docs")
    page.get_by_text("/v1/chat/completions").first.click()
    expect(page.get_by_text(f"curl -X POST {real.url}/v1/chat/completions")).to_be_visible()
    assert axe(page) == []
    picture(page, "docs")
    assert {one.split("/")[2] for one in visits.addresses} == {real.url.split("/")[2]}


def test_the_chat_page_streams_an_answer(real, visits, axe, picture):
    page = visits.open(f"{real.url}/api/chat/page")
    page.get_by_label("Key").fill(TOKEN)
    page.get_by_label("Message").fill("Say hello")
    page.get_by_label("Message").press("Control+Enter")
    expect(page.locator(".turn .end")).to_contain_text("stop", timeout=SIGHT_SECONDS)
    assert len(page.locator(".turn .text").inner_text()) > 5
    assert axe(page) == []
    picture(page, "chat-page")


QUESTIONS = (
    "whoami",
    "dashboard?days=7",
    "explore?by=model&days=7&compare=1",
    "sessions",
    "session/sess-7f3a/timeline",
    "prices",
    "health",
    "budgets",
    "forecast",
    "events?limit=5",
)


def invented(fake: Any, real: Any, path: str = "") -> list[str]:
    """What the fake says and the service does not; an empty list or null on the service's side proves nothing."""
    if path.endswith(".models") and isinstance(
        fake, dict
    ):  # named by the operator, so only the shape behind the names counts
        return invented([*fake.values()], [*real.values()], path)
    if isinstance(fake, dict) and isinstance(real, dict):
        unknown = [f"{path}.{name}" for name in fake if name not in real]
        return unknown + [
            found for name in fake if name in real for found in invented(fake[name], real[name], f"{path}.{name}")
        ]
    if isinstance(fake, list) and isinstance(real, list) and fake and real:
        return invented(fake[0], real[0], f"{path}[]")
    return []


def test_the_fake_says_nothing_that_the_services_do_not_say(loaded, fake):
    found = []
    for question in QUESTIONS:
        path = f"/api/ai_usage/{question}"
        said = Real(fake.url).ask(path)
        known = loaded.ask(path.replace("sess-7f3a", "sess-7"))
        found += [f"{question.partition('?')[0]}{name}" for name in invented(said, known)]
    key = loaded.ask("/admin/keys", {"name": "compared", "budget_per_day": 5})["id"]
    said = Real(fake.url).ask("/admin/keys/key_02studio")
    found += [f"key{name}" for name in invented(said, loaded.ask(f"/admin/keys/{key}"))]
    for path in ("/admin/router", "/admin/keys", "/v1/models", "/v1/reports", "/api/tools"):
        found += [path + name for name in invented(Real(fake.url).ask(path), loaded.ask(path))]
    assert "\n".join(found) == ""
