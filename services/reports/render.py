"""Turns an analysis and its insight into files: one HTML page, PDF, JSON, CSV, PNG. Runs in the workshop process.

Jinja2 escapes every value; the only markup let through is SVG that our own charts drew from escaped text.
"""

import csv
import importlib
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import msgspec
from markupsafe import Markup

from services.reports.charts.draw import alone
from services.reports.charts.svg import fixed
from services.reports.facts import Analysis
from services.reports.insight.claims import Insight, by_id, fill
from services.reports.page import Page, series_names
from services.reports.words import words

TEMPLATES = Path(__file__).parent / "templates"
SCHEMA = 1


def environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def style(*, for_print: bool) -> Markup:
    """Our own files, safe by origin; print rules come last so that they win."""
    names = ("style.css", "print.css") if for_print else ("style.css",)
    return Markup("\n".join((TEMPLATES / name).read_text("utf-8") for name in names))  # noqa: S704  # ours


def html(analysis: Analysis, insight: Insight, *, for_print: bool = False) -> str:
    page = Page(analysis, insight, for_print=for_print)
    template = environment().get_template("token.html.j2")
    return template.render(css=style(for_print=for_print), for_print=for_print, **page.values())


def pdf(page: str) -> bytes:
    """A page made `for_print` as PDF. The fetcher answers nothing but `data:`: no file, no network."""
    weasyprint = importlib.import_module("weasyprint")
    urls = importlib.import_module("weasyprint.urls")

    fetcher = type("DataOnly", (urls.URLFetcher,), {"fetch": _only_data})
    written: bytes = weasyprint.HTML(string=page, url_fetcher=fetcher(allowed_protocols=["data"])).write_pdf()
    return written


def _only_data(self: Any, url: str, headers: Any = None) -> Any:
    if not url.startswith("data:"):
        raise ValueError("only data: addresses are read")
    return super(type(self), self).fetch(url, headers)


def facts_json(analysis: Analysis, insight: Insight) -> bytes:
    """Everything the report says, for machines; missing values are null with their reason."""
    language = analysis.subject["language"]
    facts = by_id(analysis.facts)
    body = {
        "schema": SCHEMA,
        "type": "token",
        "sample": analysis.subject["sample"],
        "note": words(language)["page"]["sample_badge"] if analysis.subject["sample"] else None,
        "generated_from": datetime.fromtimestamp(analysis.subject["as_of_ms"] / 1000, UTC).isoformat(),
        **msgspec.to_builtins(analysis),
        "insight": {
            **msgspec.to_builtins(insight),
            "claims": [
                {**msgspec.to_builtins(claim), "rendered": fill(claim.text, facts, language)}
                for claim in insight.claims
            ],
        },
        "disclaimer": words(language)["disclaimer"],
    }
    return msgspec.json.format(msgspec.json.encode(body), indent=1)


def facts_csv(analysis: Analysis) -> bytes:
    labels = words(analysis.subject["language"])["facts"]
    rows = [
        [
            fact.id,
            labels.get(fact.id, fact.id),
            fact.value,
            fact.unit,
            fact.source,
            fact.as_of,
            fact.reason,
            fact.formula,
        ]
        for fact in analysis.facts
    ]
    header = ["id", "label", "value", "unit", "source", "as_of", "reason", "formula"]
    if analysis.subject["sample"]:
        rows.insert(0, ["note", "synthetic sample data", "", "text", "sample", "", "", ""])
    return spreadsheet(header, rows)


def spreadsheet(header: list[str], rows: list[list[Any]]) -> bytes:
    """CSV whose cells no spreadsheet takes for formulas."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(header)
    writer.writerows([[_cell(value) for value in row] for row in rows])
    return buffer.getvalue().encode("utf-8")


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return "" if value is None else value


def png(analysis: Analysis) -> bytes:
    """All charts under one another as one image, each with its title and source."""
    language = analysis.subject["language"]
    text = words(language)
    kind = f" · {text['page']['sample_watermark']}" if analysis.subject["sample"] else ""
    drawn = []
    for spec in analysis.charts:
        title, subtitle = text["charts"][spec["id"]]
        caption = {
            "title": f"{analysis.subject['name']}: {title}",
            "subtitle": subtitle + kind,
            "source": text["page"]["footer"] + kind,
        }
        drawn.append(fixed(alone(spec, series_names(analysis), language, caption)))
    return stacked(drawn)


def stacked(drawn: list[str]) -> bytes:
    resvg = importlib.import_module("resvg_py")
    height, parts = 0.0, []
    for svg in drawn:
        tall = float(svg.split('viewBox="0 0 ', 1)[1].split('"', 1)[0].split()[1])
        parts.append(svg.replace("<svg ", f'<svg x="0" y="{height:g}" width="768" height="{tall:g}" ', 1))
        height += tall
    whole = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="768" height="{max(height, 1):g}">'
        f'<rect width="100%" height="100%" fill="#fffdf9"/>{"".join(parts)}</svg>'
    )
    return bytes(resvg.svg_to_bytes(svg_string=whole, zoom=2))


def token_files(analysis: Analysis, insight: Insight, formats: list[str]) -> dict[str, bytes]:
    """The artefacts asked for, by format."""
    makers = {
        "html": lambda: html(analysis, insight).encode("utf-8"),
        "pdf": lambda: pdf(html(analysis, insight, for_print=True)),
        "json": lambda: facts_json(analysis, insight),
        "csv": lambda: facts_csv(analysis),
        "png": lambda: png(analysis),
    }
    return {name: makers[name]() for name in formats}
