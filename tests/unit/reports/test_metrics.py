"""Every formula against a reference worked out independently: by hand, by `fractions`, or by the statistics module."""

import itertools
import math
import random
import statistics
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reports import metrics as m
from services.reports import peg_metrics as pm

YEAR = math.sqrt(365)
near = lambda value: pytest.approx(value, rel=1e-9, abs=1e-9)  # noqa: E731


def series(seed=1, count=400, start=100.0, sigma=0.03):
    rng = random.Random(seed)
    prices = [start]
    for _ in range(count - 1):
        prices.append(prices[-1] * math.exp(rng.gauss(0, sigma)))
    return prices


PRICES = series()
MARKET = series(seed=2, start=50.0)
RETURNS = [b / a - 1 for a, b in itertools.pairwise(PRICES)]
MARKET_RETURNS = [b / a - 1 for a, b in itertools.pairwise(MARKET)]
LOGS = [math.log(b / a) for a, b in itertools.pairwise(PRICES)]


def a(values):
    return m.array(values)


def test_returns_worked_by_hand():
    assert m.period_return(a([100, 110, 99]), 2) == near(-0.01)
    assert m.period_return(a([100, 110, 99]), 1) == near(-0.1)
    assert m.period_return(a([100, 110, 99]), 3) is None
    assert list(m.simple_returns(a([100, 110, 99]))) == near([0.1, -0.1])


def test_growth_needs_a_year_and_compounds():
    doubled = [100 * 2 ** (i / 365) for i in range(366)]
    assert m.growth_rate(a(doubled)) == near(1.0)
    assert m.growth_rate(a(doubled[:365])) is None
    quadrupled = [100 * 2 ** (i / 365) for i in range(731)]
    assert m.growth_rate(a(quadrupled)) == near(1.0)


def test_volatility_is_the_sample_deviation_of_log_returns_a_year():
    assert m.volatility(a(PRICES), 30) == near(statistics.stdev(LOGS[-30:]) * YEAR)
    assert m.volatility(a(PRICES), 90) == near(statistics.stdev(LOGS[-90:]) * YEAR)
    assert m.volatility(a(PRICES[:20])) is None


def test_range_volatility_is_parkinsons():
    high, low = [102.0, 101.0] * 15, [100.0, 99.0] * 15
    squares = 15 * (math.log(1.02) ** 2 + math.log(101 / 99) ** 2)
    assert m.range_volatility(a(high), a(low)) == near(math.sqrt(squares / (4 * 30 * math.log(2))) * YEAR)
    assert m.range_volatility(a(high[:27]), a(low[:27])) is None


def test_rolling_volatility_ends_with_the_plain_one():
    rolled = m.rolling_volatility(a(PRICES), 30)
    assert len(rolled) == len(LOGS) - 29
    assert rolled[0] == near(statistics.stdev(LOGS[:30]) * YEAR)
    assert rolled[-1] == near(m.volatility(a(PRICES), 30))


def test_downside_deviation_counts_good_days_as_zero():
    alternating = [0.02, -0.01] * 20
    assert m.downside_deviation(a(alternating)) == near(math.sqrt(0.0001 / 2) * YEAR)


def test_drawdown_worked_by_hand():
    prices = a([100, 120, 90, 108, 130, 117])
    assert list(m.drawdowns(prices)) == near([0, 0, -0.25, -0.1, 0, -0.1])
    assert m.max_drawdown(prices) == near(-0.25)
    assert m.ulcer_index(prices) == near(math.sqrt((0.0625 + 0.01 + 0.01) / 6))


def test_slumps_know_peak_trough_recovery_and_length():
    first, second = m.slumps(a([100, 120, 90, 108, 130, 117]))
    assert (first.peak, first.trough, first.recovered, first.length) == (1, 2, 4, 3)
    assert first.depth == near(-0.25)
    assert (second.peak, second.trough, second.recovered, second.length) == (4, 5, None, 1)


def test_sharpe_and_sortino_by_the_statistics_module():
    mean = statistics.fmean(RETURNS) * 365
    assert m.sharpe(a(RETURNS)) == near(mean / (statistics.stdev(RETURNS) * YEAR))
    assert m.sharpe(a(RETURNS), risk_free=0.05) == near((mean - 0.05) / (statistics.stdev(RETURNS) * YEAR))
    down = math.sqrt(statistics.fmean([min(r, 0) ** 2 for r in RETURNS])) * YEAR
    assert m.sortino(a(RETURNS)) == near(mean / down)
    assert m.sharpe(a(RETURNS[:89])) is None


def test_calmar_is_growth_over_the_deepest_fall():
    assert m.calmar(a(PRICES)) == near(m.growth_rate(a(PRICES)) / -m.max_drawdown(a(PRICES)))


def test_a_series_that_never_moves_has_no_ratio():
    assert m.sharpe(a([0.0] * 100)) is None
    assert m.correlation(a([0.0] * 100), a(MARKET_RETURNS[:100])) is None


def quantile(values, level):
    """Linear interpolation between order statistics (the definition most spreadsheets use)."""
    ordered = sorted(values)
    place = level * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


@pytest.mark.parametrize("level", [0.95, 0.99])
def test_value_at_risk_and_shortfall(level):
    limit = quantile(RETURNS, 1 - level)
    assert m.value_at_risk(a(RETURNS), level) == near(-limit)
    beyond = [r for r in RETURNS if r <= limit]
    assert m.expected_shortfall(a(RETURNS), level) == near(-statistics.fmean(beyond))


def moments():
    mean = statistics.fmean(RETURNS)
    second, third, fourth = (statistics.fmean([(r - mean) ** k for r in RETURNS]) for k in (2, 3, 4))
    return mean, third / second**1.5, fourth / second**2 - 3


def test_shape_by_population_moments():
    _, skew, kurtosis = moments()
    assert m.skewness(a(RETURNS)) == near(skew)
    assert m.excess_kurtosis(a(RETURNS)) == near(kurtosis)
    assert m.skewness(a(RETURNS[:100])) is None


def test_cornish_fisher_expansion():
    mean, skew, kurtosis = moments()
    z = statistics.NormalDist().inv_cdf(0.05)
    w = z + (z * z - 1) * skew / 6 + (z**3 - 3 * z) * kurtosis / 24 - (2 * z**3 - 5 * z) * skew**2 / 36
    assert m.cornish_fisher(a(RETURNS)) == near(-(mean + w * statistics.stdev(RETURNS)))


def test_beta_correlation_alpha_and_tracking_error():
    slope, intercept = statistics.linear_regression(MARKET_RETURNS, RETURNS)
    assert m.beta(a(RETURNS), a(MARKET_RETURNS)) == near(slope)
    assert m.alpha(a(RETURNS), a(MARKET_RETURNS)) == near(intercept * 365)
    assert m.correlation(a(RETURNS), a(MARKET_RETURNS)) == near(statistics.correlation(RETURNS, MARKET_RETURNS))
    short = statistics.correlation(RETURNS[-30:], MARKET_RETURNS[-30:])
    assert m.correlation(a(RETURNS), a(MARKET_RETURNS), 30) == near(short)
    gaps = [ours - theirs for ours, theirs in zip(RETURNS, MARKET_RETURNS, strict=True)]
    assert m.tracking_error(a(RETURNS), a(MARKET_RETURNS)) == near(statistics.stdev(gaps) * YEAR)


def test_rolling_correlation_window_by_window():
    rolled = m.rolling_correlation(a(RETURNS), a(MARKET_RETURNS), 90)
    for index in (0, 100, len(rolled) - 1):
        window = slice(index, index + 90)
        assert rolled[index] == near(statistics.correlation(RETURNS[window], MARKET_RETURNS[window]))


def test_amihud_leaves_out_days_without_volume():
    returns, volumes = [0.01, -0.02] * 40, [1e6, 0.0] * 40
    assert m.amihud(a(returns), a(volumes)) == near(0.01)
    assert m.amihud(a(returns[:10]), a(volumes[:10])) is None


def test_median_turnover():
    assert m.median_turnover(a([10.0] * 29 + [50.0]), a([100.0] * 30)) == near(0.1)
    assert m.median_turnover(a([10.0] * 29), a([100.0] * 29)) is None


def test_price_impact_of_a_constant_product_pool():
    assert m.price_impact(10_000, 90_000) == near(0.1)
    assert m.price_impact(10_000, 0) is None


def test_concentration_by_fractions():
    shares = [Fraction(5, 10), Fraction(3, 10), Fraction(2, 10)]
    assert m.herfindahl([float(s) for s in shares]) == near(float(sum(s * s for s in shares)))
    assert m.herfindahl([]) is None
    ordered = sorted(shares)
    pairs = sum(abs(x - y) for x in shares for y in shares)
    assert m.gini([float(s) for s in ordered]) == near(float(pairs / (2 * len(shares) * sum(shares))))
    assert m.top_share([0.1, 0.4, 0.2], 2) == near(0.6)
    assert m.top_share([0.1], 2) is None


def test_supply_change_and_its_yearly_rate():
    assert m.supply_change(a([100, 101, 103]), 2) == near(0.03)
    assert m.annualised(0.01, 73) == near(1.01**5 - 1)


def test_peg_measures_by_hand():
    deviation = pm.peg_deviation(a([1.0, 0.997, 1.0051, 0.989, 1.0]))
    assert list(deviation) == near([0, -30, 51, -110, 0])
    assert [pm.days_beyond(deviation, bps) for bps in (10, 50, 100)] == [3, 2, 1]
    assert pm.recovery_days(deviation, 25) == 3.0
    assert pm.recovery_days(deviation, 200) is None
    assert pm.percentile_deviation(deviation) is None
    long = [float(i) for i in range(101)]
    assert pm.percentile_deviation(a(long)) == near(95.0)


def test_half_life_of_a_known_decay():
    values = [0.0]
    rng = random.Random(3)
    for _ in range(4000):
        values.append(0.8 * values[-1] + rng.gauss(0, 1))
    mean = statistics.fmean(values)
    top = sum((x - mean) * (y - mean) for x, y in itertools.pairwise(values))
    phi = top / sum((x - mean) ** 2 for x in values[:-1])
    assert pm.half_life(a(values)) == near(math.log(0.5) / math.log(phi))
    assert pm.half_life(a(values)) == pytest.approx(math.log(0.5) / math.log(0.8), rel=0.1)


@given(st.lists(st.floats(0.01, 1e6), min_size=2, max_size=60))
def test_drawdowns_lie_between_minus_one_and_zero(prices):
    depth = m.drawdowns(a(prices))
    assert depth.max() <= 0
    assert depth.min() > -1
    assert m.max_drawdown(a(prices)) == min((s.depth for s in m.slumps(a(prices))), default=0.0)


@given(st.lists(st.floats(1e-6, 1.0), min_size=2, max_size=50))
def test_concentration_stays_in_its_range(shares):
    assert 1 / len(shares) - 1e-9 <= m.herfindahl(shares) <= 1 + 1e-9
    assert -1e-9 <= m.gini(shares) <= 1
