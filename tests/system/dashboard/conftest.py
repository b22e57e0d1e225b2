"""A real Chromium, the dashboard's fake server, and visits that fail on any error the page reports."""

import os
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.fakes.usage_api import FakeUsage

HERE = pathlib.Path(__file__).parent
# Chromium cuts every transfer when any interface of the machine comes or goes, as beside containers that start.
NETWORK_CHANGED = "net::ERR_NETWORK_CHANGED"
expect.set_options(timeout=15_000)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        yield found
        found.close()


@pytest.fixture
def fake() -> Iterator[FakeUsage]:
    with FakeUsage() as running:
        yield running


class Visits:
    """Pages opened by one test, with everything they complained about and every address they asked."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self.complaints: list[str] = []
        self.addresses: list[str] = []
        self.expected: list[str] = [NETWORK_CHANGED]

    def open(self, address: str, *, width: int = 1440, before: str = "", **options: Any) -> Page:
        settings = {
            "locale": "en-US",
            "color_scheme": "light",
            "reduced_motion": "reduce",
            "accept_downloads": True,
            **options,
        }
        context = self._browser.new_context(viewport={"width": width, "height": 900}, **settings)
        context.set_default_timeout(15_000)
        self._contexts.append(context)
        if before:
            context.add_init_script(before)
        page = context.new_page()
        page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.addresses.append(request.url))
        page.goto(address)
        if any(NETWORK_CHANGED in one for one in self.complaints):
            page.reload()
        settle(page)
        return page

    def close(self) -> None:
        while self._contexts:
            self._contexts.pop().close()

    def unexpected(self) -> list[str]:
        return [one for one in self.complaints if not any(re.search(known, one) for known in self.expected)]


@pytest.fixture
def visits(browser: Browser) -> Iterator[Visits]:
    """Opens pages. A test that makes a request fail on purpose names Chromium's line about it in `expected`."""
    found = Visits(browser)
    yield found
    found.close()
    assert found.unexpected() == []


def settle(page: Page) -> None:
    """Until the screen has its data."""
    page.wait_for_selector("main:not([aria-busy])")
    for unsettled in (".loading", ".room[aria-busy]"):
        page.wait_for_selector(unsettled, state="detached")


@pytest.fixture(name="settle")
def settle_fixture() -> Callable[[Page], None]:
    return settle


@pytest.fixture
def axe() -> Callable[[Page], list[str]]:
    """The accessibility faults of a page as it stands, one sentence each."""
    script = (HERE / "vendor" / "axe.min.js").read_text()

    def check(page: Page) -> list[str]:
        page.evaluate(script)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{one['id']}: {node['target']} {node['failureSummary']}"
            for one in found["violations"]
            for node in one["nodes"]
        ]

    return check


@pytest.fixture
def picture(tmp_path: pathlib.Path) -> Callable[[Page, str], None]:
    """Writes a screenshot for people to look at, to TOLLWAY_SCREENSHOTS when that is set."""
    folder = pathlib.Path(os.environ.get("TOLLWAY_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)

    def take(page: Page, name: str) -> None:
        page.screenshot(path=folder / f"{name}.png", full_page=True)

    return take
