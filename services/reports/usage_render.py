"""Usage figures as files: the export's JSON, a CSV of events, a page with charts. Runs in the workshop process."""

import zlib
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
from markupsafe import Markup

from services.reports.charts.draw import draw
from services.reports.charts.scale import EPOCH
from services.reports.charts.svg import fixed
from services.reports.render import environment, pdf, style
from services.reports.usage_report import Taken, figures_of
from services.reports.words import words

SHOWN_ROWS = 12
UNNAMED = "unknown"  # as in the statistics
GROUPS = ("model", "function", "user", "key", "provider", "anchor")
_encoder = msgspec.json.Encoder(decimal_format="number")


def usage_files(taken: Taken, key_id: str | None, language: str, formats: list[str]) -> dict[str, bytes]:
    usage = read(figures_of(taken), key_id, language)
    makers = {
        "json": lambda: export(usage),
        "csv": lambda: zlib.decompress(taken.events or b""),
        "html": lambda: html(usage).encode("utf-8"),
        "pdf": lambda: pdf(html(usage, for_print=True)),
    }
    return {form: makers[form]() for form in formats}


def read(figures: dict[str, Any], key_id: str | None, language: str) -> dict[str, Any]:
    """The export's figures under the names a report uses; every day of the period is there."""
    totals = {name: value for name, value in figures.items() if not isinstance(value, dict | list)}
    first, last = date.fromisoformat(figures["from"]), date.fromisoformat(figures["to"])
    spent = {row["date"]: row for row in figures["daily"]}
    days = [date.fromordinal(number).isoformat() for number in range(first.toordinal(), last.toordinal() + 1)]
    return {
        **{name: value for name, value in totals.items() if name not in ("from", "to")},
        "first_day": figures["from"],
        "last_day": figures["to"],
        "key_id": key_id,
        "language": language,
        "success_rate": figures["success_rate"] if figures["total_calls"] else None,
        "groups": {group: figures[f"breakdown_{group}"] for group in GROUPS},
        "days": [spent.get(on, {"date": on, "calls": 0, "tokens": 0, "cost": 0}) for on in days],
    }


def export(usage: dict[str, Any]) -> bytes:
    """The seed's export: totals on top, then every grouping by name."""
    body = {name: value for name, value in usage.items() if name not in ("groups", "days", "language")}
    body["period"] = f"{usage['period_days']} days"
    for group, rows in usage["groups"].items():
        body[f"by_{group}"] = {
            row["name"] or UNNAMED: {
                "calls": row["calls"],
                "total_tokens": row["tokens"],
                "cost": row["cost"],
                "success_rate": row.get("success_rate"),
            }
            for row in rows
        }
    body["daily"] = usage["days"]
    return msgspec.json.format(_encoder.encode(body), indent=1)


def html(usage: dict[str, Any], *, for_print: bool = False) -> str:
    language = usage["language"]
    u, currency = words(language)["usage"], usage["currency"]
    spent = any(row["cost"] for row in usage["days"])
    charts = [_daily(usage, u, currency, language, for_print=for_print)] if spent else []
    for group, rows in usage["groups"].items():
        named = [row for row in rows if row["calls"]]
        # A group of nothing but the nameless only says the total again.
        if any(row["name"] for row in named):
            charts.append(_group(group, named, u, currency, language, for_print=for_print))
    totals = [
        {"label": u["total_calls"], "text": f"{usage['total_calls']:,}"},
        {"label": u["total_tokens"], "text": f"{usage['total_tokens']:,}"},
        {"label": u["total_cost"], "text": money(usage["total_cost"], currency)},
        {
            "label": u["success_rate"],
            "text": "–" if usage["success_rate"] is None else f"{usage['success_rate']:.1f}%",
        },
    ]
    return (
        environment()
        .get_template("usage.html.j2")
        .render(
            lang={"en": "en", "zh": "zh-CN"}[language],
            w=words(language),
            u=u,
            usage=usage,
            totals=totals,
            remarks=_remarks(usage, u),
            charts=charts,
            css=style(for_print=for_print),
            for_print=for_print,
        )
    )


def _remarks(usage: dict[str, Any], u: dict[str, Any]) -> list[str]:
    """What a reader of the sums has to know: calls without a price, calls whose tokens were estimated."""
    return [u[name].format(count=f"{usage[name]:,}") for name in ("unpriced_calls", "estimated_calls") if usage[name]]


def money(value: Decimal | None, currency: str) -> str:
    return "–" if value is None else f"{value:,.{digits_for([value])}f} {currency}"


def digits_for(costs: list[Decimal]) -> int:
    """As many places as the smallest cost needs, so that a column stands under its points."""
    smallest = min((abs(cost) for cost in costs if cost), default=1)
    return 2 if smallest >= 1 else 4 if smallest >= Decimal("0.01") else 9


def _daily(
    usage: dict[str, Any], u: dict[str, Any], currency: str, language: str, *, for_print: bool
) -> dict[str, Any]:
    days = [date.fromisoformat(row["date"]).toordinal() - EPOCH for row in usage["days"]]
    values = [float(row["cost"] or 0.0) for row in usage["days"]]
    spec = {"kind": "bars", "unit": "cost", "days": days, "series": [{"name": "cost", "values": values}]}
    title, subtitle = u["daily"]
    return _figure(spec, title, subtitle.format(currency=currency), [], [], language, for_print=for_print)


def _group(
    group: str, rows: list[dict[str, Any]], u: dict[str, Any], currency: str, language: str, *, for_print: bool
) -> dict[str, Any]:
    title, subtitle = u[group]
    named = [(row["name"] or u["none"], row) for row in rows]
    # Where nothing cost anything, calls are what there is to compare.
    measure, unit = ("cost", "cost") if any(row["cost"] for row in rows) else ("calls", "count")
    if measure == "calls":
        named.sort(key=lambda item: -item[1]["calls"])
        subtitle = u["calls"]
    shown = [[name, float(row[measure] or 0.0)] for name, row in named[:SHOWN_ROWS]]
    spec = {"kind": "ranks", "unit": unit, "rows": shown}
    head = [u["name"], u["calls"], u["tokens"], u["cost_in"].format(currency=currency), u["success_rate"]]
    digits = digits_for([row["cost"] for _, row in named])
    table = [
        [
            name,
            f"{row['calls']:,}",
            f"{row['tokens']:,}",
            f"{row['cost']:,.{digits}f}",
            "–" if row.get("success_rate") is None else f"{row['success_rate']:.1f}%",
        ]
        for name, row in named
    ]
    return _figure(spec, title, subtitle.format(currency=currency), head, table, language, for_print=for_print)


def _figure(
    spec: dict[str, Any],
    title: str,
    subtitle: str,
    head: list[str],
    rows: list[list[str]],
    language: str,
    *,
    for_print: bool,
) -> dict[str, Any]:
    wide, narrow = (draw(spec, {}, language, narrow=small, label=title) for small in (False, True))
    # Safe: the canvas escapes every text it is given.
    return {
        "title": title,
        "subtitle": subtitle,
        "head": head,
        "rows": rows,
        "wide": Markup(fixed(wide) if for_print else wide),  # noqa: S704 -- drawn by our canvas
        "narrow": Markup(narrow),  # noqa: S704 -- drawn by our canvas
    }
