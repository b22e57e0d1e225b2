"""Money is exact in and out."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.usage.answer import encode
from shared.money import Money, decimal_of, divide, nano_of


@given(st.integers(min_value=-(10**17), max_value=10**17))
def test_nano_units_survive_the_way_through_a_json_number(nano: int) -> None:
    text = encode({"cost": decimal_of(nano)})
    assert nano_of(json.loads(text, parse_float=Decimal)["cost"]) == nano


def test_trailing_zeros_are_never_written() -> None:
    assert str(decimal_of(0)) == "0"
    assert str(decimal_of(10_000_000_000)) == "10"
    assert str(decimal_of(-100_000_000)) == "-0.1"
    assert format(decimal_of(1), "f") == "0.000000001"


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity", "x", None, True, [], "1e10", 10**12, float("nan")])
def test_what_is_not_a_sensible_number_is_refused(amount: object) -> None:
    with pytest.raises(ValueError, match=r"number|amount"):
        nano_of(amount)


def test_a_float_means_the_decimal_it_was_written_as() -> None:
    assert Money.of(0.1, "CNY").nano == 100_000_000
    assert Money.of("0.0000000005", "CNY").nano == 0
    assert Money.of("0.0000000015", "CNY").nano == 2


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**6))
def test_division_rounds_half_to_even_as_decimals_do(numerator: int, denominator: int) -> None:
    assert divide(numerator, denominator) == int(
        (Decimal(numerator) / Decimal(denominator)).to_integral_value(rounding="ROUND_HALF_EVEN")
    )
