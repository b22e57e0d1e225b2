"""What the page is made of: small enough, from one origin, without inline code, in words that both languages have."""

import hashlib
import pathlib
import re

from services.usage.advice import METHODS as ADVICE_METHODS
from services.usage.forecast import METHOD as FORECAST_METHOD
from tests.fakes.usage_api import STATIC

MOST_BYTES = 700_000
OURS = sorted(path for path in STATIC.rglob("*.js") if "vendor" not in path.parts)


def test_the_first_view_stays_under_700_kb_and_asks_one_origin(fake, visits):
    page = visits.open(fake.page)
    page.wait_for_selector("[data-panel=latency] [data-drawn=yes]")
    weights = page.evaluate(
        "performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation')).map((one) => one.transferSize)"
    )
    assert 600_000 < sum(weights) <= MOST_BYTES
    assert {one.split("/")[2] for one in visits.addresses} == {fake.url.split("/")[2]}


def test_the_page_has_no_inline_code_and_its_policy_holds_without_the_header(fake, visits):
    page = (STATIC / "ai_usage_monitor.html").read_text()
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=|javascript:", page)
    assert "script-src 'self'" in page
    assert not [
        path.name
        for path in OURS
        if re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", path.read_text())
    ]


def test_every_module_can_be_read_in_one_sitting():
    assert [path.name for path in OURS if len(path.read_text().splitlines()) > 400] == []


def test_every_sentence_has_its_chinese():
    said = {found for path in OURS for found in re.findall(r'\bt\(\s*"((?:[^"\\]|\\.)*)"', path.read_text())}
    words = "".join(path.read_text() for path in (STATIC / "js" / "words").glob("*.js"))
    known = {one or other for one, other in re.findall(r'^\s+(?:"((?:[^"\\]|\\.)*)"|(\w+)):', words, re.M)}
    assert len(said) > 300
    assert (said | {FORECAST_METHOD, *ADVICE_METHODS.values()}) - known == set()


def test_every_failure_the_services_know_has_its_chinese():
    import services.gateway.app
    import services.reports.app
    import services.usage.app  # noqa: F401 -- they make subclasses
    from shared.errors import TollwayError

    def below(kind: type) -> set[type]:
        return {kind}.union(*(below(one) for one in kind.__subclasses__()))

    words = (STATIC / "js" / "words" / "zh_refusals.js").read_text()
    ours = [
        one
        for one in below(TollwayError)
        if one.__module__.startswith(("shared.", "services.gateway", "services.reports", "services.usage"))
    ]
    assert len(ours) > 25
    assert [
        one.__name__ for one in ours if (one.__doc__ or "").strip() and f'"{one.__doc__.strip()}":' not in words
    ] == []


def test_the_vendored_files_are_the_ones_that_were_vendored():
    for folder in (STATIC / "vendor", pathlib.Path(__file__).parent / "vendor"):
        for checksum, name in re.findall(r"sha256\s+([0-9a-f]{64})\s+(\S+)", (folder / "README.md").read_text()):
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == checksum


def test_what_the_first_view_needs_is_asked_for_at_once():
    needed, looked = set(), [STATIC / "js" / "main.js", STATIC / "js" / "screens" / "overview.js"]
    while looked:
        path = looked.pop()
        if path not in needed:
            needed.add(path)
            looked += [
                (path.parent / name).resolve()
                for name in re.findall(r'^(?:import|\}).* from "([^"]+)"', path.read_text(), re.M)
            ]
    page = (STATIC / "ai_usage_monitor.html").read_text()
    asked = set(re.findall(r'<link rel="modulepreload" href="([^"]+)"', page)) | {"js/main.js"}
    assert asked == {str(path.relative_to(STATIC)) for path in needed} | {"vendor/echarts.js"}
