"""Draws one chart specification at one size, for a page or to stand alone."""

from typing import Any

from services.reports.charts import bars, columns, line, ranks
from services.reports.charts.svg import Canvas

KINDS = {"line": line.draw, "bars": bars.draw, "ranks": ranks.draw, "columns": columns.draw}
WIDE, NARROW = (720.0, 270.0), (350.0, 250.0)


def draw(spec: dict[str, Any], names: dict[str, str], language: str, *, narrow: bool, label: str) -> str:
    """`names` turns series and row keys into words; `label` is what a screen reader says."""
    canvas = _canvas(spec, narrow=narrow)
    KINDS[spec["kind"]](canvas, spec, language, names)
    return canvas.document(label, "narrow" if narrow else "wide")


def alone(spec: dict[str, Any], names: dict[str, str], language: str, caption: dict[str, str]) -> str:
    """A chart with its title, subtitle and source on paper, for an image file."""
    inner = _canvas(spec, narrow=False)
    KINDS[spec["kind"]](inner, spec, language, names)
    outer = Canvas(inner.width + 48, inner.height + 112)
    outer.rect(0, 0, outer.width, outer.height, "paper")
    outer.text(24, 36, caption["title"], colour="ink", size=18, bold=True)
    outer.text(24, 57, caption["subtitle"], size=13)
    outer.parts.append(f'<g transform="translate(24,72)">{"".join(inner.parts)}</g>')
    outer.text(24, outer.height - 14, caption["source"], size=11)
    return outer.document(caption["title"], namespace=True)


def _canvas(spec: dict[str, Any], *, narrow: bool) -> Canvas:
    width, height = NARROW if narrow else WIDE
    if spec["kind"] == "ranks":
        height = ranks.height(spec, width)
    elif spec["kind"] == "columns":
        height = 196.0
    return Canvas(width, height)
