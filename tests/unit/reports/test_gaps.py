"""What a source left out is unknown in the report and told; it is never a number, and never reassuring."""

import msgspec
import pytest

from services.reports import render
from services.reports.analyse import analyse
from services.reports.insight.write import by_template
from services.reports.sources import sample
from services.reports.sources.base import Finding
from services.reports.sources.coingecko import read_identity
from tests.fakes.market_data import MarketData
from tests.unit.reports.test_analysis import request, value
from tests.unit.reports.test_sources import gathered


def changed(token, source, change):
    """The sample's findings with one source's data changed."""
    found = []
    for finding in sample.findings(token):
        if finding.source == source:
            data = msgspec.msgpack.decode(msgspec.msgpack.encode(finding.data))
            change(data)
            finding = Finding(source, "ok", data)
        found.append(finding)
    return found


def each_pool(**values):
    def change(data):
        for pool in data["pools"]:
            pool.update(values)

    return change


def page(analysis):
    return render.html(analysis, by_template(analysis, "en"))


@pytest.mark.parametrize(("told", "rank"), [(7, 7), (0, None), (-32, None), (1.5, None), ("x", None)])
def test_a_rank_is_a_whole_number_from_one(told, rank):
    assert read_identity({"market_cap_rank": told})["rank"] == rank


def test_pools_of_unknown_depth_are_not_shallow_pools():
    found = analyse(request("aave"), changed("aave", "dexscreener", each_pool(liquidity_usd=None)))
    assert value(found, "deep_pools") is None
    assert value(found, "pool_depth") is None


def test_pools_of_unknown_volume_do_not_stand_still():
    found = analyse(request("aave"), changed("aave", "dexscreener", each_pool(volume_24h=None)))
    assert value(found, "pool_churn") is None


def test_unknown_sales_are_no_lack_of_sales():
    found = analyse(request("aave"), changed("aave", "dexscreener", each_pool(buys_24h=500.0, sells_24h=None)))
    assert value(found, "sell_share") is None
    assert "hardly_any_sales" not in {alarm["id"] for alarm in found.alarms}


def test_a_limit_nobody_told_of_is_not_the_lack_of_one():
    def nothing(data):
        data["market"] = dict.fromkeys(data["market"]) | {"changes": {}}

    found = analyse(request("aave"), changed("aave", "coingecko", nothing))
    assert value(found, "uncapped") is None

    def no_limit(data):
        data["market"] |= {"max": None, "uncapped": None}

    assert value(analyse(request("aave"), changed("aave", "coingecko", no_limit)), "uncapped") is True


@pytest.mark.parametrize("gone", ["failed", "empty"])
def test_a_contract_nobody_checked_has_no_count_of_findings(gone):
    def nothing(data):
        data["flags"] = dict.fromkeys(data["flags"])

    found = changed("aave", "goplus", nothing)
    if gone == "failed":
        found = [Finding("goplus", "failed", reason="timeout") if f.source == "goplus" else f for f in found]
    analysis = analyse(request("aave"), found)
    assert value(analysis, "honeypot") is False
    assert value(analysis, "alarms_critical") is None
    assert value(analysis, "alarms_high") is None
    assert next(row for row in analysis.scores if row["dimension"] == "security")["score"] is None
    assert not [claim for claim in by_template(analysis, "en").claims if claim.chapter == "security"]
    assert "None of the checks found" not in page(analysis)


def test_what_the_other_sources_found_is_told_without_the_first():
    found = [
        Finding("goplus", "failed", reason="timeout") if f.source == "goplus" else f
        for f in sample.findings("squid-game")
    ]
    assert value(analyse(request("squid-game"), found), "alarms_critical") == 2


@pytest.mark.parametrize(
    ("source", "scenario", "reason"),
    [
        ("coingecko", "nulls", "no price"),
        ("dexscreener", "negative", "no liquidity"),
        ("goplus", "nulls", "no checks"),
    ],
)
async def test_an_answer_without_what_it_is_asked_for_is_told(source, scenario, reason):
    finding = (await gathered(MarketData(scenarios={source: scenario})))[source]
    assert (finding.status, finding.reason and reason in finding.reason) == ("ok", True)


def stamped(token, source, as_of):
    return [
        Finding(f.source, f.status, f.data, as_of=as_of if f.source == source else f.as_of)
        for f in sample.findings(token)
    ]


def test_old_data_is_told_and_lowers_the_grade():
    fresh, old = (
        analyse(request("aave"), stamped("aave", "coingecko", as_of))
        for as_of in ("2026-10-30T12:00:00+00:00", "2026-10-02T12:00:00+00:00")
    )
    assert fresh.quality["late"] == []
    assert [(row["source"], row["hours"]) for row in old.quality["late"]] == [("coingecko", 684.0)]
    assert (fresh.quality["grade"], old.quality["grade"]) == ("A", "A")
    assert "its data was old, of 2026-10-02 12:00 UTC" in page(old)
    every = [msgspec.structs.replace(f, as_of="2026-10-02T12:00:00+00:00") for f in sample.findings("aave")]
    assert analyse(request("aave"), every).quality["grade"] == "D"


def test_a_fact_is_of_the_time_its_own_source_says():
    found = analyse(request("aave"), stamped("aave", "coingecko", "2026-10-30T12:00:00+00:00"))
    times = {fact.source: fact.as_of for fact in found.facts}
    assert times["coingecko"] == "2026-10-30T12:00:00+00:00"
    assert times["goplus"] == times["ethplorer"] == "2026-10-31T00:00:00+00:00"


def test_growth_a_year_is_told_of_a_year_only():
    found = analyse(request("aave"), sample.findings("aave"))
    prices = sample.data_set()["assets"]["large"]["coingecko"]["history"]["price"]
    assert value(found, "cagr") == pytest.approx((prices[-1] / prices[0]) ** (365 / 399) - 1, abs=1e-9)


@pytest.mark.parametrize(
    ("holders", "locked"),
    [
        ([("0x1", None, 0.5)], None),
        ([("0x1", True, 0.6), ("0x2", False, 0.3)], 0.6),
        ([("0x000000000000000000000000000000000000dead", None, 0.95), ("0x2", False, 0.05)], 0.95),
        ([("0x1", False, 1.0)], 0.0),
    ],
)
def test_the_share_of_the_pool_that_cannot_be_drawn_out(holders, locked):
    def change(data):
        data["pool_shares"] = [
            {"address": address, "tag": None, "contract": None, "locked": told, "share": share}
            for address, told, share in holders
        ]

    found = analyse(request("aave"), changed("aave", "goplus", change))
    assert not [fact for fact in analyse(request("aave"), sample.findings("aave")).facts if fact.id == "lp_locked"]
    assert value(found, "lp_locked") == (locked if locked is None else pytest.approx(locked))
