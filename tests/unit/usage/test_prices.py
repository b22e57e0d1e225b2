"""What calls cost: provider replies against amounts that were worked out by hand from the price lists."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import prices_genai
from shared.config.usage import Usage
from shared.money import Money
from shared.prices import BUILT_IN, Price, PriceBook, Tier, flat
from shared.rates import Rate, Rates
from shared.wire.usage import TokenUsage

GOLDEN = json.loads((Path(__file__).parent / "golden_prices.json").read_text(encoding="utf-8"))
NOW = datetime(2026, 11, 21, tzinfo=UTC).timestamp()
BOOK = PriceBook.of(Usage(), seed=prices_genai.find)


@pytest.mark.parametrize("case", GOLDEN, ids=[case["name"] for case in GOLDEN])
def test_a_providers_reply_costs_exactly_what_the_list_price_says(case: dict[str, Any]) -> None:
    read = TokenUsage.from_openai if case["dialect"] == "openai" else TokenUsage.from_anthropic
    price = BOOK.find(case["provider"], case["model"], None, NOW)
    assert price is not None
    assert price.cost(read(case["usage"])) == Money.of(case["cost"], case["currency"])


def test_there_are_enough_golden_cases() -> None:
    assert len(GOLDEN) >= 40


counts = st.integers(0, 10**7)


@given(counts, counts, counts, counts, counts)
def test_every_token_is_priced_once(fresh: int, read: int, write: int, spoken: int, thought: int) -> None:
    tier = Tier(input=3_000_000, output=15_000_000, cache_read=300_000, cache_write=3_750_000, reasoning=60_000_000)
    price = Price(model="m", currency="USD", tiers=(tier,))
    cost = price.cost(TokenUsage(fresh + read + write, spoken + thought, read, write, thought))
    thousandths = 3_000 * fresh + 300 * read + 3_750 * write + 15_000 * spoken + 60_000 * thought
    assert cost is not None
    assert abs(cost.nano * 1000 - thousandths) <= 500


@given(counts, counts)
def test_what_was_not_told_is_not_priced_and_zero_costs_zero(tokens: int, other: int) -> None:
    price = flat("m", "CNY", {"input": "1", "output": "2"})
    assert price.cost(None) is None
    assert price.cost(TokenUsage(None, None, tokens, other, None)) is None
    assert price.cost(TokenUsage(0, 0)) == Money(0, "CNY")
    assert price.cost(TokenUsage(None, tokens)) == Money(2_000_000 * tokens, "CNY")


def test_tokens_of_a_bucket_without_a_price_are_unpriced_and_never_free() -> None:
    embedding = Price(model="m", currency="USD", tiers=(Tier(input=20_000_000),))
    assert embedding.cost(TokenUsage(1000, 0)) == Money(20_000, "USD")
    assert embedding.cost(TokenUsage(1000, None)) == Money(20_000, "USD")
    assert embedding.cost(TokenUsage(1000, 1)) is None
    assert prices_genai.find("openai", "text-embedding-3-small", 1_790_000_000).cost(TokenUsage(1000, 5)) is None  # type: ignore[union-attr]


def test_the_first_source_that_knows_the_name_decides() -> None:
    section = Usage.model_validate(
        {"prices": {"qwen-plus": {"input": 1, "output": 1}, "gpt-4o": {"input": "2", "output": 3}}}
    )
    added = [flat("qwen-plus", "CNY", {"input": "5", "output": "5"}, valid_from=NOW)]
    book = PriceBook.of(section, added, prices_genai.find)

    def source(model: str, at: float) -> str | None:
        price = book.find(None, model, None, at)
        return price and price.source

    assert source("qwen-plus", NOW) == "ledger"
    assert source("qwen-plus", NOW - 1) == "config"
    assert source("qwen-max", NOW) == "built-in"
    assert source("gpt-4o", NOW) == "config"
    assert source("gpt-4o-mini", NOW) == "genai-prices"
    assert source("nobody-knows-this", NOW) is None


def test_of_dated_rows_the_last_that_began_holds() -> None:
    rows = [flat("m", "CNY", {"input": str(step), "output": "0"}, valid_from=NOW + step) for step in (1, 3, 2)]
    book = PriceBook(rows)
    found = [book.find(None, "m", None, NOW + step) for step in (0, 1, 2, 3, 9)]
    assert [price and price.tiers[0].input // 10**12 for price in found] == [None, 1, 2, 3, 3]


def test_a_row_of_the_provider_comes_before_one_for_everybody() -> None:
    rows = [
        flat("m", "CNY", {"input": "1", "output": "1"}),
        flat("m", "CNY", {"input": "2", "output": "2"}, provider="p"),
    ]
    book = PriceBook(rows)
    for provider, expected in (("p", 2), ("q", 1), (None, 1)):
        price = book.find(provider, "M", None, NOW)
        assert price is not None
        assert price.tiers[0].input == expected * 10**12


def test_rows_survive_the_way_to_the_other_services() -> None:
    price = BOOK.find("google", "gemini-2.5-pro", None, NOW)
    assert price is not None
    rows = json.loads(json.dumps([row.to_row() for row in (*BUILT_IN, price)]))
    book = PriceBook.from_rows(rows, [{"source": "USD", "target": "CNY", "value": "7.1", "valid_from": "2026-01-01"}])
    assert book.find("google", "gemini-2.5-pro", None, NOW) == price
    assert book.in_currency(Money(10, "USD"), "CNY", NOW) == Money(71, "CNY")


def test_rates_hold_from_their_day_and_back_to_the_beginning() -> None:
    def rate(value: str, day: str) -> Rate:
        return Rate(source="USD", target="CNY", value=value, valid_from=day)

    rates = Rates([rate("7", "2026-01-01"), rate("8", "2026-06-01")])
    january, june = (datetime(2026, month, 1, tzinfo=UTC).timestamp() for month in (1, 6))
    amount = Money(100, "USD")
    found = [rates.convert(amount, "CNY", at) for at in (0, january, june - 1, june)]
    assert [money and money.nano for money in found] == [700, 700, 700, 800]
    assert rates.convert(Money(700, "CNY"), "USD", 0) == Money(100, "USD")
    assert rates.convert(Money(1, "XYZ"), "CNY", 0) is None
    assert rates.convert(Money(0, "XYZ"), "CNY", 0) == Money(0, "CNY")


def test_the_configurations_rate_replaces_the_built_in_one() -> None:
    rates = Rates.given({"USD": 6.5}, "CNY")
    assert rates.convert(Money(10, "USD"), "CNY", NOW) == Money(65, "CNY")


@pytest.mark.parametrize("value", ["-1", "nan", "1e9", "x"])
def test_senseless_prices_are_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"price|number"):
        flat("m", "CNY", {"input": value, "output": "1"})


def test_names_of_test_models_are_not_mistaken_for_real_ones() -> None:
    for name in ("ok", "echo", "think", "cached", "long-100", "slow-20", "tool", "mock", "fake-model", "gpt"):
        assert BOOK.find("fake_openai", name, None, NOW) is None, name
