"""What is shown is what the API said, to the last digit."""

import csv
import io
import json
from decimal import Decimal

from playwright.sync_api import expect

from tests.fakes import usage_data

COUNTED = {
    "spend_today",
    "spend_period",
    "month_to_date",
    "forecast",
    "calls",
    "success_rate",
    "tokens",
    "cache_share",
    "latency_p95_ms",
    "ttft_p95_ms",
    "tool_calls",
    "cache_hits",
}


def shown(text: str) -> Decimal:
    return Decimal(text.replace("¥", "").replace(",", "").replace("−", "-").replace("%", "").strip())


def test_every_card_carries_the_number_of_the_api(fake, visits):
    page = visits.open(fake.page)
    told = usage_data.dashboard(7)["cards"]
    for name in COUNTED:
        value = page.locator(f"[data-card={name}] .value .num").get_attribute("data-value")
        assert Decimal(value) == Decimal(json.dumps(told[name]["value"])), name
    for name in ("spend_today", "spend_period", "month_to_date", "calls", "tokens"):
        assert shown(page.locator(f"[data-card={name}] .value").inner_text()) == Decimal(
            json.dumps(told[name]["value"])
        ), name


def test_what_has_no_card_of_its_own_stands_in_a_second_line(fake, visits):
    page = visits.open(fake.page)
    for name, words in {
        "success_rate": "1,614 errors",
        "tokens": "700M in, 112.3M out",
        "cache_share": "8.32% of the output is reasoning",
    }.items():
        expect(page.locator(f"[data-card={name}] .more")).to_have_text(words)


def test_an_estimate_does_not_pretend_to_be_exact(fake, visits):
    page = visits.open(fake.page)
    told = Decimal(json.dumps(usage_data.dashboard(7)["cards"]["forecast"]["value"]))
    number = page.locator("[data-card=forecast] .value .num")
    assert shown(number.inner_text()) == round(told, 2)
    assert shown(number.get_attribute("title")) == told


def test_the_table_behind_a_chart_has_every_digit(fake, visits):
    page = visits.open(fake.page)
    page.get_by_role("button", name="Table: Spend over time").click()
    told = usage_data.dashboard(7)["spend"]
    rows = page.locator("[data-panel=spend] tbody tr")
    assert rows.count() == len(told["labels"])
    for place, label in enumerate(told["labels"]):
        cells = rows.nth(place).locator("th, td").all_inner_texts()
        assert cells[0] == label
        expected = [one["values"][place] for one in told["series"]] + [told["total"][place]]
        assert [shown(cell) for cell in cells[1:]] == [Decimal(json.dumps(one)) for one in expected]


def test_the_csv_holds_the_same_numbers(fake, visits):
    page = visits.open(fake.page)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="CSV: Spend by model").click()
    rows = list(csv.DictReader(io.StringIO(waiting.value.path().read_text())))
    told = usage_data.dashboard(7)["breakdowns"]["model"]
    assert [(row["name"], Decimal(row["cost"]), int(row["calls"])) for row in rows] == [
        (one["name"], Decimal(json.dumps(one["cost"])), one["calls"]) for one in told
    ]


def test_a_number_below_a_millionth_is_written_out_and_a_formula_is_disarmed(fake, visits):
    page = visits.open(fake.page)
    found = page.evaluate(
        """async () => {
            const format = await import('./js/format.js');
            const table = await import('./js/table.js');
            return {
                tiny: format.moneyText(1e-9, 'CNY'), large: format.moneyText(1234567.123456789, 'CNY'), less: format.moneyText(-0.5, 'USD'),
                split: format.splitMoney('¥0.001234567'), whole: format.splitMoney('¥12.345678'),
                csv: table.csv([{key: 'a'}, {key: 'b'}], [{a: '=1+1', b: -2}, {a: 'x,"y"', b: 1e-9}]),
            };
        }"""
    )
    assert found == {
        "tiny": "¥0.000000001",
        "large": "¥1,234,567.123456789",
        "less": "−$0.5",
        "split": ["¥0.001234", "567"],
        "whole": ["¥12.34", "5678"],
        "csv": 'a,b\r\n\'=1+1,-2\r\n"x,""y""",0.000000001\r\n',
    }


def test_a_session_tells_every_event_with_its_cost(fake, visits):
    page = visits.open(f"{fake.page}#/session?id=sess-7f3a")
    told = usage_data.timeline("sess-7f3a")["events"]
    rows = page.locator(".timeline > li")
    assert rows.count() == len(told)
    for place, event in enumerate(told):
        cost = rows.nth(place).locator(".cost").inner_text()
        assert cost == "–" if event["cost"] is None else shown(cost) == Decimal(json.dumps(event["cost"]))
    assert rows.nth(1).locator(".state").inner_text() == "error"


def test_pointing_at_a_bar_tells_its_parts_and_their_sum(fake, visits):
    page = visits.open(fake.page)
    page.wait_for_selector("[data-panel=spend] [data-drawn=yes]")
    box = page.locator("[data-panel=spend] canvas").bounding_box()
    page.mouse.move(box["x"] + 70, box["y"] + box["height"] / 2)
    tip = page.locator("[data-panel=spend] .tip")
    tip.wait_for()
    told = usage_data.dashboard(7)["spend"]
    assert tip.locator(".tip-head").inner_text() == told["labels"][0]
    shown_values = [shown(text) for text in tip.locator("b").all_inner_texts()]
    expected = [told["total"][0], *(one["values"][0] for one in told["series"])]
    assert shown_values == [Decimal(json.dumps(one)) for one in expected]
