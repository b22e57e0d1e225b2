"""Risk: how far the price swings and falls, and what was earned for bearing it."""

from services.reports import metrics
from services.reports.chapters.market import SOURCE
from services.reports.chapters.material import Material, rounded

WORST = 5


def write(material: Material) -> None:
    reason = "too_short" if len(material.history) else material.reason(SOURCE)
    _swings(material, reason)
    _falls(material, reason)
    _rewards(material, reason)
    _tails(material, reason)
    if len(material.history) > 1:
        _charts(material)


def _swings(material: Material, reason: str) -> None:
    prices, book = material.history.prices, material.book
    formula = "std(ln(P_t / P_t-1), ddof 1) * sqrt(365)"
    for span in (30, 90):
        value = metrics.volatility(prices, span)
        book.add(f"vol_{span}d", value, "percent", SOURCE, formula=formula, reason=reason)
    ranges = material.of(SOURCE).get("ranges")
    value = metrics.range_volatility(*(metrics.array(ranges[edge]) for edge in ("high", "low"))) if ranges else None
    formula = "sqrt(sum(ln(H / L)^2) / (4 n ln 2)) * sqrt(365)"
    why = reason if ranges else material.reason(SOURCE)
    book.add("range_vol_30d", value, "percent", SOURCE, formula=formula, reason=why)
    returns = metrics.simple_returns(material.history.last(material.days).prices)
    value = metrics.downside_deviation(returns)
    formula = "sqrt(mean(min(r, 0)^2)) * sqrt(365)"
    book.add("downside_dev", value, "percent", SOURCE, formula=formula, reason=reason)


def _falls(material: Material, reason: str) -> None:
    prices, book = material.history.last(material.days).prices, material.book
    formula = "P_t / max(P_s, s <= t) - 1"
    book.add("max_drawdown", metrics.max_drawdown(prices), "change", SOURCE, formula=formula, reason=reason)
    now = float(metrics.drawdowns(prices)[-1]) if len(prices) > 1 else None
    book.add("current_drawdown", now, "change", SOURCE, formula=formula, reason=reason)
    found = metrics.slumps(prices) if len(prices) > 1 else []
    longest = float(max((slump.length for slump in found), default=0)) if len(prices) > 1 else None
    book.add("longest_slump", longest, "days", SOURCE, reason=reason)
    book.add(
        "ulcer_index",
        metrics.ulcer_index(prices),
        "percent",
        SOURCE,
        formula="sqrt(mean(D^2))",
        reason=reason,
    )
    start = material.history.last(material.days).days
    rows = [
        [
            start[slump.peak],
            start[slump.trough],
            start[slump.recovered] if slump.recovered is not None else None,
            slump.depth,
            float(slump.length),
        ]
        for slump in found[:WORST]
        if slump.depth < -0.01
    ]
    columns = [
        ("peak", "date"),
        ("trough", "date"),
        ("recovered", "date"),
        ("depth", "change"),
        ("length", "days"),
    ]
    material.table("slumps", "risk", columns, rows)


def _rewards(material: Material, reason: str) -> None:
    window = material.history.last(material.days)
    returns = metrics.simple_returns(window.prices)
    book = material.book
    book.add(
        "sharpe",
        metrics.sharpe(returns),
        "ratio",
        SOURCE,
        formula="mean(r) * 365 / (std(r) * sqrt(365)), r_f = 0",
        reason=reason,
    )
    formula = "mean(r) * 365 / downside deviation"
    book.add("sortino", metrics.sortino(returns), "ratio", SOURCE, formula=formula, reason=reason)
    book.add("calmar", metrics.calmar(window.prices), "ratio", SOURCE, formula="growth / |max fall|", reason=reason)


def _tails(material: Material, reason: str) -> None:
    returns = metrics.simple_returns(material.history.last(material.days).prices)
    book = material.book
    for level in (95, 99):
        value = metrics.value_at_risk(returns, level / 100)
        formula = f"-quantile(r, {100 - level} %)"
        book.add(f"var_{level}", value, "percent", SOURCE, formula=formula, reason=reason)
    worst = metrics.expected_shortfall(returns)
    book.add("cvar_95", worst, "percent", SOURCE, formula="-mean(r | r <= -VaR)", reason=reason)
    corrected = metrics.cornish_fisher(returns)
    book.add("cf_var_95", corrected, "percent", SOURCE, formula="Cornish-Fisher", reason=reason)
    book.add("skewness", metrics.skewness(returns), "ratio", SOURCE, formula="g1", reason=reason)
    book.add("kurtosis", metrics.excess_kurtosis(returns), "ratio", SOURCE, formula="g2", reason=reason)


def _charts(material: Material) -> None:
    window = material.history.last(material.days)
    material.chart(
        "drawdown",
        "risk",
        "line",
        unit="change",
        days=window.days,
        ceiling=0.0,
        lowest=-1.0,
        series=[{"name": "drawdown", "values": rounded(metrics.drawdowns(window.prices), 4), "area": True}],
    )
    rolling = metrics.rolling_volatility(material.history.prices)
    shown = min(len(rolling), material.days)
    if shown > 1:
        material.chart(
            "volatility",
            "risk",
            "line",
            unit="percent",
            days=material.history.days[-shown:],
            floor=0.0,
            series=[{"name": "vol_30d", "values": rounded(rolling[-shown:], 4)}],
        )
