"""From findings to facts: class, chapters, missing values, disagreement, alarms, scores."""

import pytest

from services.reports import scores
from services.reports.analyse import analyse
from services.reports.asset import classify
from services.reports.history import read, side_by_side
from services.reports.sources import sample
from services.reports.sources.base import Finding

ADDRESS = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"


def request(token="usd-coin", days=365, **rest):
    return {
        "token": token,
        "address": ADDRESS,
        "chain": "Ethereum",
        "days": days,
        "as_of_ms": sample.as_of_ms(),
        **rest,
    }


def value(analysis, name):
    return next(fact for fact in analysis.facts if fact.id == name).value


def without(token, *sources):
    return [Finding(f.source, "failed", reason="timeout") if f.source in sources else f for f in sample.findings(token)]


def test_a_stablecoin_gets_peg_and_flows_and_no_sharpe():
    found = analyse(request(), sample.findings("usd-coin"))
    assert found.subject["class"] == "stable"
    assert found.chapters[:2] == ["peg", "flows"]
    assert not {"sharpe", "beta_btc", "vol_90d"} & {fact.id for fact in found.facts}
    assert value(found, "peg_worst") == pytest.approx(-322.56, abs=0.01)


def test_only_the_sections_that_were_asked_for_are_shown_and_the_scores_stay():
    whole = analyse(request("aave"), sample.findings("aave"))
    part = analyse(request("aave", sections=["security", "risk", "peg"]), sample.findings("aave"))
    assert part.chapters == ["risk", "security"]
    assert {chart["chapter"] for chart in part.charts} == {"risk"}
    assert {table["chapter"] for table in part.tables} == {"risk"}
    assert (part.scores, part.facts) == (whole.scores, whole.facts)


def test_every_chapter_can_be_asked_for():
    from typing import get_args

    from services.reports.asset import CHAPTERS
    from services.reports.request import Section

    assert set(get_args(Section)) == {chapter for chapters in CHAPTERS.values() for chapter in chapters}


def test_other_tokens_get_risk_and_the_market():
    found = analyse(request("aave"), sample.findings("aave"))
    assert found.subject["class"] == "protocol"
    assert {"risk", "comovement", "defi"} <= set(found.chapters)
    assert value(found, "beta_btc") is not None


def test_a_trap_is_named_and_scores_nothing_for_security():
    found = analyse(request("squid-game", sample=True), sample.findings("squid-game"))
    assert value(found, "honeypot") is True
    assert {alarm["id"] for alarm in found.alarms if alarm["severity"] == "critical"} >= {"is_honeypot", "sell_tax"}
    assert next(row for row in found.scores if row["dimension"] == "security")["score"] == 0
    assert found.subject["total_score"] < 25


def test_issuer_powers_of_a_trusted_token_are_no_scam_flags():
    found = analyse(request(), sample.findings("usd-coin"))
    assert {alarm["severity"] for alarm in found.alarms} == {"issuer"}


def test_a_sample_does_not_inherit_the_standing_of_a_real_address():
    found = analyse(request("squid-game", sample=True), sample.findings("squid-game"))
    assert "issuer" not in {alarm["severity"] for alarm in found.alarms}


@pytest.mark.parametrize("source", ["coingecko", "defillama", "dexscreener", "goplus", "honeypot", "ethplorer"])
@pytest.mark.parametrize("token", ["usd-coin", "aave", "squid-game"])
def test_without_a_source_its_facts_are_missing_with_a_reason_and_never_zero(token, source):
    found = analyse(request(token), without(token, source))
    missing = [fact for fact in found.facts if fact.value is None]
    assert missing or source in ("honeypot", "ethplorer")
    assert all(fact.reason for fact in missing)
    assert all(fact.reason is None for fact in found.facts if fact.value is not None)


def test_with_no_source_at_all_nothing_is_known_and_nothing_is_scored():
    found = analyse(request(), without("usd-coin", *(f.source for f in sample.findings("usd-coin"))))
    assert all(fact.value is None for fact in found.facts)
    assert found.subject["total_score"] is None
    assert found.quality["grade"] == "D"
    assert found.charts == []


@pytest.mark.parametrize("token", ["usd-coin", "aave", "squid-game"])
def test_missing_data_does_not_lift_the_total(token):
    full = analyse(request(token), sample.findings(token)).subject["total_score"]
    for finding in sample.findings(token):
        thinner = analyse(request(token), without(token, finding.source)).subject["total_score"]
        assert thinner is None or thinner <= full + 3


def test_there_is_no_total_without_what_the_class_is_about_nor_without_security():
    for source, dimension in (("coingecko", "peg"), ("goplus", "security")):
        found = analyse(request(), without("usd-coin", source))
        assert {row["dimension"]: row["score"] for row in found.scores}[dimension] is None
        assert found.subject["total_score"] is None


def test_less_than_half_of_a_dimension_is_no_score():
    rows = analyse(request(), without("usd-coin", "ethplorer")).scores
    assert [(row["score"], row["coverage"]) for row in rows if row["dimension"] == "holders"] == [(None, 0.25)]


def test_a_short_history_gives_no_long_metrics():
    findings = sample.findings("aave")
    history = findings[0].data["history"]
    short = {name: values[-20:] for name, values in history.items()}
    changed = [Finding("coingecko", "ok", {**findings[0].data, "history": short}), *findings[1:]]
    found = analyse(request("aave"), changed)
    for name in ("vol_30d", "sharpe", "beta_btc", "return_90d", "skewness"):
        assert value(found, name) is None


def test_a_different_price_elsewhere_is_shown_as_disagreement():
    found = analyse(request("squid-game"), sample.findings("squid-game"))
    row = next(row for row in found.disagreements if row["quantity"] == "price")
    assert not row["agree"]
    assert row["spread"] > 0.005
    assert found.quality["disagreements"] >= 1


def test_the_providers_own_change_is_compared_with_ours():
    findings = sample.findings("aave")
    market = {**findings[0].data["market"], "changes": {"30": 55.0}}
    changed = [Finding("coingecko", "ok", {**findings[0].data, "market": market}), *findings[1:]]
    told = analyse(request("aave"), changed).quality["changed_elsewhere"]
    assert [row["fact"] for row in told] == ["return_30d"]


def test_a_label_alone_does_not_make_a_stablecoin():
    assert classify({"categories": ["Stablecoins"]}, None, [0.02] * 90)[0] == "general"
    assert classify({"categories": ["Stablecoins"]}, None, [1.0] * 90)[0] == "stable"
    assert classify({"categories": []}, {"peg": "peggedEUR"}, [1.08] * 90)[0] == "general"
    assert classify({"name": "Wrapped Thing", "categories": []}, None, [])[0] == "wrapped"


def test_short_holes_are_filled_and_counted_long_ones_cut_the_series():
    filled = read({"day": [1, 2, 4], "price": [1.0, 2.0, 8.0], "cap": [1, 2, 8], "volume": [1, 1, 1]})
    assert filled.days == [1, 2, 3, 4]
    assert filled.prices[2] == pytest.approx(4.0)
    assert filled.filled == 1
    assert read({"day": [1, 2, 30, 31], "price": [1.0, 1.0, 2.0, 2.0]}).days == [30, 31]
    assert len(read(None)) == 0


def test_two_histories_are_compared_on_shared_days_only():
    ours = read({"day": [1, 2, 3, 4], "price": [1.0, 2.0, 3.0, 4.0]})
    theirs = read({"day": [3, 4, 5], "price": [30.0, 40.0, 50.0]})
    days, mine, other = side_by_side(ours, theirs)
    assert days == [3, 4]
    assert list(mine) == [3.0, 4.0]
    assert list(other) == [30.0, 40.0]


def test_breakpoints_are_linear_between_and_flat_beyond():
    points = [[0.0, 100.0], [1.0, 50.0], [3.0, 0.0]]
    assert [scores.between(points, x) for x in (-1, 0, 0.5, 2, 9)] == [100.0, 100.0, 75.0, 25.0, 0.0]


def test_every_fact_and_chart_has_words_in_both_languages():
    from services.reports.layout import OWN_FACTS
    from services.reports.words import words

    for token in ("usd-coin", "aave", "squid-game"):
        found = analyse(request(token), sample.findings(token))
        for language in ("en", "zh"):
            w = words(language)
            assert {fact.id for fact in found.facts} <= set(w["facts"])
            assert {chart["id"] for chart in found.charts} <= set(w["charts"])
            assert {alarm["id"] for alarm in found.alarms} <= set(w["alarms"])
            assert {name for names in OWN_FACTS.values() for name in names.split()} <= set(w["facts"])
            assert {fact.reason for fact in found.facts if fact.reason} <= set(w["reasons"])
