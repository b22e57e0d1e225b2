"""Where a stablecoin's supply goes: issued or redeemed, and on which chains it lives."""

from typing import Any

from services.reports import metrics
from services.reports.chapters.material import Material, rounded

SOURCE = "defillama"


def write(material: Material) -> None:
    stable: dict[str, Any] = material.of(SOURCE).get("stable") or {}
    reason = material.reason(SOURCE)
    book = material.book
    flow = stable.get("flow") or []
    by_day = {int(day): held for day, held in flow}
    last = max(by_day, default=0)
    for span in (1, 7, 30):
        before = by_day.get(last - span)
        change = by_day[last] / before - 1 if before else None
        book.add(f"flow_{span}d", change, "change", SOURCE, formula="S_T / S_T-k - 1", reason=reason)
    chains = stable.get("chains") or {}
    book.add("chain_count", float(len(chains)) if chains else None, "count", SOURCE, reason=reason)
    spread = metrics.herfindahl(list(chains.values())) if chains else None
    book.add("chain_hhi", spread, "index1", SOURCE, formula="sum of squared shares", reason=reason)
    book.add("mechanism", stable.get("mechanism"), "text", SOURCE, reason=reason)
    if len(flow) > 2:
        shown = flow[-(material.days + 1) :]
        material.chart(
            "flow",
            "flows",
            "line",
            unit="usd",
            days=[int(day) for day, _ in shown],
            series=[{"name": "circulating", "values": rounded([held for _, held in shown], 5), "area": True}],
        )
    _by_chain(material, chains)


def _by_chain(material: Material, chains: dict[str, float]) -> None:
    total = sum(chains.values())
    ranked = sorted(chains.items(), key=lambda item: -item[1])
    if total <= 0 or len(ranked) < 2:
        return
    rows = [[name, held / total] for name, held in ranked[:8]]
    rest = sum(held for _, held in ranked[8:])
    if rest > 0:
        rows.append(["…", rest / total])
    material.chart("chains", "flows", "ranks", unit="percent", rows=rows)
