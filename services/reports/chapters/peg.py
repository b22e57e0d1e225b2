"""The peg of a stablecoin: how far from its target, how often, how quickly back."""

import numpy as np

from services.reports import peg_metrics
from services.reports.chapters.market import SOURCE
from services.reports.chapters.material import Material, rounded

TARGET = 1.0
BANDS = (10, 50, 100)


def write(material: Material) -> None:
    window = material.history.last(material.days)
    deviation = peg_metrics.peg_deviation(window.prices, TARGET)
    book, known = material.book, len(deviation) > 0
    reason = "too_short" if known else material.reason(SOURCE)
    formula = "(P - 1) * 10^4"
    now = float(deviation[-1]) if known else None
    book.add("peg_now", now, "bps", SOURCE, formula=formula, reason=reason)
    mean = float(np.mean(np.abs(deviation))) if known else None
    book.add("peg_mean", mean, "distance", SOURCE, formula="mean |deviation|", reason=reason)
    p95 = peg_metrics.percentile_deviation(deviation)
    book.add("peg_p95", p95, "distance", SOURCE, formula="95th percentile of |deviation|", reason=reason)
    worst = float(deviation[np.argmax(np.abs(deviation))]) if known else None
    book.add("peg_worst", worst, "bps", SOURCE, formula="largest |deviation|, signed", reason=reason)
    for band in BANDS:
        days = float(peg_metrics.days_beyond(deviation, band)) if known else None
        book.add(f"peg_days_{band}", days, "days", SOURCE, reason=reason)
    back = peg_metrics.recovery_days(deviation) if known else None
    why = "never_left" if known else reason
    book.add("peg_recovery", back, "days", SOURCE, formula="median spell beyond 25 bps", reason=why)
    full = peg_metrics.peg_deviation(material.history.prices, TARGET)
    life = peg_metrics.half_life(full)
    book.add("peg_half_life", life, "days", SOURCE, formula="ln 0.5 / ln phi of an AR(1)", reason=reason)
    if len(deviation) > 1:
        material.chart(
            "peg",
            "peg",
            "line",
            unit="bps",
            days=window.days,
            bands=[[-50, 50]],
            baseline=0.0,
            series=[{"name": "peg", "values": rounded(deviation, 4)}],
        )
