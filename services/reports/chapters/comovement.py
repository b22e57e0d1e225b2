"""How the token moves with Bitcoin and Ether, over the days both have closes for."""

from typing import Any

from services.reports import metrics
from services.reports.chapters.market import SOURCE
from services.reports.chapters.material import Material, rounded
from services.reports.history import side_by_side

SHORT = {"bitcoin": "btc", "ethereum": "eth"}
ROLLING_DAYS = 90


def write(material: Material) -> None:
    lines: list[dict[str, Any]] = []
    rebased: list[dict[str, Any]] = []
    days: list[int] = []
    for name, history in material.benchmarks.items():
        shared, ours, theirs = side_by_side(material.history, history)
        if len(shared) < 3:
            continue
        returns, market = metrics.simple_returns(ours), metrics.simple_returns(theirs)
        _facts(material, SHORT[name], returns, market)
        rolling = metrics.rolling_correlation(returns, market, ROLLING_DAYS)
        shown = min(len(rolling), material.days)
        if shown > 1:
            days = shared[-shown:]
            lines.append({"name": SHORT[name], "days": days, "values": rounded(rolling[-shown:], 3)})
        rebased.append(_rebased(SHORT[name], shared, theirs, material.days))
    if lines:
        material.chart(
            "correlation",
            "comovement",
            "line",
            unit="ratio",
            days=days,
            floor=0.0,
            ceiling=1.0,
            series=lines,
        )
    _compare(material, rebased)


def _facts(material: Material, short: str, returns: metrics.Array, market: metrics.Array) -> None:
    book = material.book
    window, other = returns[-material.days :], market[-material.days :]
    slope = metrics.beta(window, other)
    book.add(f"beta_{short}", slope, "ratio", SOURCE, formula="cov(r, r_m) / var(r_m)")
    for span in (30, 90):
        value = metrics.correlation(returns, market, span)
        book.add(f"corr_{short}_{span}d", value, "ratio", SOURCE, formula="corr(r, r_m)")
    extra = metrics.alpha(window, other)
    book.add(f"alpha_{short}", extra, "change", SOURCE, formula="mean(r - beta * r_m) * 365")
    error = metrics.tracking_error(window, other)
    book.add(f"tracking_{short}", error, "percent", SOURCE, formula="std(r - r_m) * sqrt(365)")


def _rebased(name: str, days: list[int], prices: metrics.Array, span: int) -> dict[str, Any]:
    shown = prices[-(span + 1) :]
    return {"name": name, "days": days[-len(shown) :], "values": rounded(100 * shown / shown[0], 5)}


def _compare(material: Material, others: list[dict[str, Any]]) -> None:
    window = material.history.last(material.days)
    if len(window) < 2 or not others:
        return
    ours = {"name": "token", "values": rounded(100 * window.prices / window.prices[0], 5), "strong": True}
    spans = {tuple(other["days"]) for other in others} | {tuple(window.days)}
    # Rebasing only compares like with like when every line starts on the same day.
    if len(spans) == 1:
        material.chart("compare", "comovement", "line", unit="index", days=window.days, series=[ours, *others])
