"""Prices: the built-in table, a program's own, and what is not known."""

import json
from typing import ClassVar

import pytest
from tollway import ModelPricing, get_usage_monitor, record_ai_usage
from tollway.usage.tokens import Tokens


@pytest.mark.parametrize(
    ("model", "cost"),
    [("qwen-plus", 0.0024), ("qwen-turbo", 0.0009), ("qwen-max", 0.08), ("gpt-4", 0.63), ("gpt-3.5-turbo", 0.0105)],
)
def test_the_built_in_prices_are_the_contracts(model, cost):
    assert ModelPricing.cost(model, Tokens(1000, 1000)) == cost
    assert ModelPricing.cost(model.upper(), Tokens(1000, 1000)) == cost


def test_costs_are_exact_to_the_nano_unit():
    assert ModelPricing.cost("qwen-plus", Tokens(1, 1)) == 0.0000024
    assert json.dumps(ModelPricing.cost("qwen-turbo", Tokens(7, 0))) == "2.1e-06"
    assert ModelPricing.cost("qwen-turbo", Tokens(3, 3)) == 0.0000027


def test_an_unknown_model_has_no_cost_and_is_flagged():
    record = record_ai_usage("nobody-knows", "f", 10, 10)
    assert record["cost"] is None
    assert record["unpriced"] is True
    assert record["currency"] is None
    daily = get_usage_monitor().get_daily_summary()
    assert (daily.total_calls, daily.total_cost, daily.unpriced_calls) == (1, 0.0, 1)


def test_own_prices_win_and_may_tell_cached_input_apart(monkeypatch):
    own = {"qwen-plus": {"input": 1.0, "output": 2.0, "cache_read": 0.1, "cache_write": 1.25, "currency": "USD"}}
    monkeypatch.setattr(ModelPricing, "CUSTOM_PRICING", own)
    assert ModelPricing.cost("qwen-plus", Tokens(1000, 1000, cache_read=500, cache_write=100)) == 2.575
    assert record_ai_usage("qwen-plus", "f", 1, 1)["currency"] == "USD"


def test_a_cost_the_caller_knows_wins():
    record = record_ai_usage("nobody-knows", "f", 10, 10, cost=1.25, provider="elsewhere")
    assert (record["cost"], record["unpriced"], record["currency"]) == (1.25, False, "CNY")
    assert record["provider"] == "elsewhere"


def test_a_monitor_may_have_a_table_of_its_own(tmp_path):
    from tollway.usage import LocalUsageMonitor
    from tollway.usage.record import Usage

    class Mine(ModelPricing):
        CUSTOM_PRICING: ClassVar = {"m": {"input": 1.0, "output": 1.0}}

    monitor = LocalUsageMonitor(tmp_path / "own", pricing=Mine)
    assert monitor.record(Usage(model="m", function="f", tokens=Tokens(1000, 0)))["cost"] == 1.0
    assert ModelPricing.find("m") is None
