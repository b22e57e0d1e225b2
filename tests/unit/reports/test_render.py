"""The files: one page that asks for nothing, escapes everything and says what it is; PDF, JSON, CSV, PNG."""

import itertools
import json
import re
import zlib
from html.parser import HTMLParser

import msgspec
import pytest

from services.reports import figures, render
from services.reports.analyse import analyse
from services.reports.charts.bars import grouped
from services.reports.charts.draw import draw
from services.reports.charts.line import apart
from services.reports.charts.scale import date_marks, ticks
from services.reports.insight.write import by_template
from services.reports.sources import sample
from services.reports.sources.base import Finding
from services.reports.usage_render import GROUPS, usage_files
from services.reports.usage_report import Taken
from tests.fakes.market_data import HOSTILE


def made(token="usd-coin", language="en", findings=None, **rest):
    request = {
        "token": token,
        "address": "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48",
        "chain": "Ethereum",
        "days": 365,
        "as_of_ms": sample.as_of_ms(),
        "sample": True,
        "language": language,
        **rest,
    }
    found = analyse(request, findings or sample.findings(token))
    return found, by_template(found, language)


class Page(HTMLParser):
    """Collects tags, and every address a browser would fetch by itself."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.fetched, self.handlers = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "srcset", "poster", "data", "xlink:href", "background") or (
                name == "href" and tag not in ("a",)
            ):
                self.fetched.append(value)
            if name.startswith("on"):
                self.handlers.append(value)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("token", ["usd-coin", "aave", "squid-game"])
def test_the_page_is_one_file_without_scripts_or_requests(token, language):
    text = render.html(*made(token, language))
    page = Page(text)
    assert page.fetched == []
    assert page.handlers == []
    assert not {"script", "link", "iframe", "img", "object", "form"} & set(page.tags)
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src 'none'" in text
    assert text.count("<svg") >= 10
    assert len(text.encode()) < 700_000


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_sample_says_so_on_its_face_and_names_no_provider_as_its_source(language):
    text = render.html(*made(language=language))
    assert "sample" in text.split("<h1>")[0].split("<body>")[1].lower()
    assert ("合成示例数据" in text) == (language == "zh")
    assert "https://" not in text


def test_a_report_of_real_sources_carries_their_attributions_and_no_sample_label():
    text = render.html(*made(sample=False))
    for words in ("Data powered by CoinGecko", "Powered by Ethplorer.io", "Powered by Etherscan"):
        assert words in text
    assert "sample data" not in text.lower()


def hostile_findings():
    found = []
    for finding in sample.findings("aave"):
        data = msgspec.json.decode(msgspec.json.encode(finding.data))
        if finding.source == "coingecko":
            data["identity"] |= {"name": HOSTILE, "symbol": HOSTILE, "notice": HOSTILE}
            data["venues"][0]["venue"] = HOSTILE
        if finding.source == "dexscreener":
            data["pools"][0] |= {"pair": HOSTILE, "dex": '"><script>'}
        if finding.source == "ethplorer":
            data["holders"][0] |= {"tag": HOSTILE, "address": "</svg><script>"}
        if finding.source == "defillama":
            data["protocol"]["chains"] = {HOSTILE: 5.0, "</title><script>": 4.0}
        found.append(Finding(finding.source, "ok", data, HOSTILE, finding.as_of))
    return found


def test_markup_in_names_stays_text_everywhere():
    analysis, insight = made("aave", findings=hostile_findings(), sample=False)
    for text in (render.html(analysis, insight), render.html(analysis, insight, for_print=True)):
        page = Page(text)
        assert "script" not in page.tags
        assert "img" not in page.tags
        assert page.handlers == []
        assert "&lt;script&gt;" in text
    assert "<script" not in render.html(analysis, insight).lower()


def test_missing_figures_are_dashes_with_their_reason():
    findings = [Finding("coingecko", "failed", reason="timeout"), *sample.findings("aave")[1:]]
    text = render.html(*made("aave", findings=findings, sample=False))
    assert "the source did not answer" in text
    assert "What is missing from this report" in text
    assert "CoinGecko: no answer (timeout)" in text


def test_every_chart_has_words_for_those_who_do_not_see_it_and_a_table_behind_it():
    text = render.html(*made("aave"))
    charts = re.findall(r'<figure id="g-(\w+)">(.*?)</figure>', text, re.S)
    assert len(charts) >= 11
    for _, inside in charts:
        assert re.search(r'role="img" aria-label="[^"]{10,}"', inside)
        assert "<table>" in inside


def test_every_cited_fact_has_its_anchor():
    for token in ("usd-coin", "aave", "squid-game"):
        text = render.html(*made(token))
        assert set(re.findall(r'href="#f-(\w+)"', text)) <= set(re.findall(r'id="f-(\w+)"', text))


def test_the_json_holds_every_fact_with_source_time_and_reason():
    analysis, insight = made("squid-game")
    body = json.loads(render.facts_json(analysis, insight))
    assert body["sample"] is True
    assert {fact["id"] for fact in body["facts"]} == {fact.id for fact in analysis.facts}
    assert all(fact["as_of"] and fact["source"] for fact in body["facts"])
    assert all("{{" not in claim["rendered"] for claim in body["insight"]["claims"])


def test_csv_cells_are_no_formulas():
    text = render.spreadsheet(["a"], [["=1+1"], ["+x"], ["-x"], ["@x"], ["\tx"], ["plain"], [-1.5], [None]]).decode()
    assert text.splitlines() == ["a", "'=1+1", "'+x", "'-x", "'@x", "'\tx", "plain", "-1.5", '""']


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "usd", "–"),
        (True, "flag", "yes"),
        (1234567.0, "usd", "$1.23m"),
        (999_960_000.0, "usd", "$1.00bn"),
        (-5.5, "usd", "−$5.50"),
        (0.000012345, "usd", "$0.00001234"),
        (1.00012, "usd", "$1.0001"),
        (0.0, "usd", "$0.00"),
        (-0.0123, "change", "−1.2%"),
        (0.5, "change", "+50.0%"),
        (-1e-9, "change", "0.000%"),
        (0.00012, "percent", "0.012%"),
        (1.0, "days", "1 day"),
        (2.5, "days", "2.5 days"),
        (-32.25, "bps", "−32.2 bps"),
        (42.0, "rank", "#42"),
    ],
)
def test_figures_for_people(value, unit, text):
    assert figures.write(value, unit) == text


def test_chinese_figures():
    assert figures.write(123_456_789.0, "usd", "zh") == "1.23亿美元"
    assert figures.write(3.0, "days", "zh") == "3 天"


def test_axis_marks_are_round_and_enclose_the_data():
    assert ticks(0.0, 97.0) == [0, 25, 50, 75, 100]
    assert ticks(-3.2, 4.1)[0] <= -3.2
    assert len(ticks(5.0, 5.0)) >= 2
    assert all(len(date_marks(list(range(19_000, 19_000 + n)), "en", 4)) <= 6 for n in (2, 5, 31, 90, 365, 900))


def test_labels_at_line_ends_do_not_overlap():
    placed = apart({0: 100.0, 1: 102.0, 2: 99.0}, 200.0)
    ordered = sorted(placed.values())
    assert min(b - a for a, b in itertools.pairwise(ordered)) >= 15.0


def test_long_bar_charts_show_weekly_means():
    assert grouped(list(range(14)), [1.0] * 14) == [(i, 1.0) for i in range(14)]
    weekly = grouped(list(range(140)), [float(i) for i in range(140)])
    assert len(weekly) == 20
    assert weekly[0] == (0, 3.0)


def test_a_chart_with_holes_breaks_its_line():
    spec = {
        "kind": "line",
        "unit": "usd",
        "days": [1, 2, 3, 4],
        "series": [{"name": "price", "values": [1.0, None, 2.0, 3.0]}],
    }
    assert draw(spec, {}, "en", narrow=False, label="x").count("M") >= 2


def usage_export(**changes):
    """The ledger's export as the usage service writes it."""
    groups = {f"breakdown_{name}": [] for name in GROUPS}
    row = b'{"name": %s, "calls": 3, "tokens": 30, "cost": 12345678901.000000003, "success_rate": 66.67}'
    body = {
        "period_days": 7, "from": "2026-11-15", "to": "2026-11-21", "timezone": "Asia/Shanghai", "currency": "CNY",
        "generated_at": "2026-11-21T08:00:00+08:00", "total_calls": 3, "total_tokens": 30,
        "total_cost": msgspec.Raw(b"12345678901.000000003"), "success_rate": 66.67, "unpriced_calls": 1, "estimated_calls": 0,
        "by_model": {}, "top_users": [], "daily": [{"date": "2026-11-16", "calls": 3, "tokens": 30, "cost": 1.5}],
        **groups, "breakdown_model": [msgspec.Raw(row % json.dumps(HOSTILE).encode())],
        "breakdown_function": [msgspec.Raw(row % b"null")],
    }  # fmt: skip
    return Taken(msgspec.json.encode(body | changes), zlib.compress(b"event_id,model\r\ne1,'=cmd()\r\n"))


def test_usage_files_have_the_seeds_totals_and_every_event():
    files = usage_files(usage_export(), None, "en", ["json", "csv", "html"])
    body = json.loads(files["json"])
    assert (body["total_calls"], body["total_tokens"], len(body["daily"])) == (3, 30, 7)
    assert body["by_model"][HOSTILE]["calls"] == 3
    assert b"'=cmd()" in files["csv"]
    page = Page(files["html"].decode())
    assert "script" not in page.tags
    assert "svg" in page.tags


def test_a_sum_that_no_binary_float_holds_keeps_its_last_unit():
    assert b'"total_cost": 12345678901.000000003' in usage_files(usage_export(), None, "en", ["json"])["json"]


def test_calls_without_a_name_are_called_unknown():
    files = usage_files(usage_export(), None, "en", ["json", "html"])
    assert list(json.loads(files["json"])["by_function"]) == ["unknown"]
    assert b">None<" not in files["html"]


def test_calls_without_a_price_are_told_beside_the_sum():
    assert b"not in the cost: 1." in usage_files(usage_export(), None, "en", ["html"])["html"]
    assert b"not in the cost" not in usage_files(usage_export(unpriced_calls=0), None, "en", ["html"])["html"]


def test_an_empty_usage_report_says_so():
    empty = usage_export(total_calls=0, breakdown_model=[], breakdown_function=[], daily=[], success_rate=0)
    files = usage_files(empty, None, "en", ["html", "json"])
    assert b"no calls" in files["html"]
    assert json.loads(files["json"])["success_rate"] is None
