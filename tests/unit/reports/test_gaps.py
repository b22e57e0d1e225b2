"""What a source left out is unknown in the report and told; it is never a number, and never reassuring."""

import msgspec
import pytest

from services.reports import render
from services.reports.analyse import analyse
from services.reports.insight.write import by_template
from services.reports.sources import sample
from services.reports.sources.base import Finding
from services.reports.sources.coingecko import read_identity, read_market
from services.reports.sources.reading import whole
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


def page(analysis, language="en"):
    return render.html(analysis, by_template(analysis, language))


def failing(token, source, reason="timeout"):
    return [Finding(source, "failed", reason=reason) if f.source == source else f for f in sample.findings(token)]


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


@pytest.mark.parametrize(
    ("told", "uncapped"),
    [
        ({"max_supply": None, "circulating_supply": 5.0}, True),
        ({"max_supply": 9.0, "circulating_supply": 5.0}, False),
        ({"circulating_supply": 5.0}, None),
        ({"max_supply": 0, "circulating_supply": 5.0}, None),
        ({"max_supply": None}, None),
        ({"max_supply_infinite": True}, True),
    ],
)
def test_only_a_null_in_the_place_of_the_limit_is_the_lack_of_one(told, uncapped):
    assert read_market(told)["uncapped"] is uncapped


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
    analysis = analyse(request("squid-game"), found)
    counts = {fact.id: (fact.value, fact.source) for fact in analysis.facts if fact.id.startswith("alarms_")}
    assert counts == {"alarms_critical": (2, "honeypot"), "alarms_high": (1, "dexscreener")}


def test_checks_half_of_which_were_made_found_nothing_only_in_that_half():
    def half(data):
        data["flags"] |= {"hidden_owner": None, "transfer_pausable": None}

    analysis = analyse(request("aave"), changed("aave", "goplus", half))
    assert value(analysis, "checks_known") == pytest.approx(16 / 18)
    assert (value(analysis, "alarms_critical"), value(analysis, "alarms_high")) == (None, None)
    assert next(row for row in analysis.scores if row["dimension"] == "security")["score"] is None
    assert not [claim for claim in by_template(analysis, "en").claims if claim.chapter == "security"]


def test_a_few_holders_do_not_stand_for_the_long_list():
    def few(data):
        data["holders"] = data["holders"][:9]

    found = analyse(request("squid-game"), changed("squid-game", "ethplorer", few))
    reasons = {fact.id: fact.reason for fact in found.facts if fact.id in ("holder_hhi", "holder_gini")}
    assert reasons == dict.fromkeys(("holder_hhi", "holder_gini"), "list_too_short")


def test_shares_of_nothing_or_of_more_than_there_is_are_no_holders():
    held = [{"share": 0.6}, {"share": 0.0}]
    assert whole(held) == [{"share": 0.6}]
    assert whole([*held, {"share": 0.6}]) == []


def test_a_proxy_that_one_source_saw_is_one_whatever_the_others_say():
    def unseen(data):
        data["proxy"] = False

    found = analyse(request(), changed("usd-coin", "etherscan", unseen))
    assert value(found, "proxy") is True
    assert "is_proxy" in {alarm["id"] for alarm in found.alarms}


def test_a_contract_made_tomorrow_has_no_age():
    def born(data):
        data["created_at"] = "2026-11-02T00:00:00+00:00"

    assert value(analyse(request("aave"), changed("aave", "ethplorer", born)), "contract_age") is None


def test_a_source_is_only_said_to_be_used_where_its_value_is_shown():
    used = {
        row["quantity"]: row["used"] for row in analyse(request("aave"), failing("aave", "coingecko")).disagreements
    }
    assert used == {"price": None, "supply": None, "holder_count": "ethplorer", "sell_tax": "worst"}


def test_what_a_failed_source_would_have_told_is_missing_for_that_reason():
    found = analyse(request("aave"), failing("aave", "coingecko"))
    reasons = {fact.reason for fact in found.facts if fact.source == "coingecko"}
    assert reasons == {"source_failed"}


def test_the_head_of_the_page_tells_what_a_source_lacked_in_the_readers_words():
    found = [msgspec.structs.replace(f, reason="no price and history") if f.source == "coingecko" else f
             for f in failing("aave", "goplus", "rate_limited")]  # fmt: skip
    english, chinese = (page(analyse(request("aave", language=language), found), language) for language in ("en", "zh"))
    assert "CoinGecko: answered in part (no price and history)" in english
    assert "GoPlus: no answer (too many requests)" in english
    assert "CoinGecko: 部分应答 (缺少价格、历史)" in chinese
    assert "rate_limited" not in english + chinese


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


def test_closes_that_ended_weeks_ago_are_told_whatever_the_stamp_says():
    def ended(data):
        data["history"] = {name: values[:-20] for name, values in data["history"].items()}

    old = analyse(request("aave"), changed("aave", "coingecko", ended))
    assert [(row["source"], row["as_of"]) for row in old.quality["late"]] == [
        ("coingecko", "2026-10-11T00:00:00+00:00")
    ]
    assert "its data was old, of 2026-10-11 00:00 UTC" in page(old)


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
