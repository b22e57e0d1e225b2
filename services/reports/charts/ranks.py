"""Horizontal bars in order of size, each with its name and its value."""

from typing import Any

from services.reports import figures
from services.reports.charts.svg import Canvas, width_of

ROW, STACKED_ROW = 26.0, 38.0
NARROW = 500


def height(spec: dict[str, Any], width: float) -> float:
    row = ROW if width > NARROW else STACKED_ROW
    return float(row * len(spec["rows"]) + 6)


def draw(canvas: Canvas, spec: dict[str, Any], language: str, names: dict[str, str]) -> None:
    rows = [(names.get(str(name), str(name)), float(value)) for name, value in spec["rows"]]
    written = [figures.write(value, spec["unit"], language) for _, value in rows]
    room = max(width_of(text, 12, bold=True) for text in written) + 8
    longest = max(value for _, value in rows) or 1.0
    wide = canvas.width > NARROW
    left = min(240.0, max(width_of(name, 12) for name, _ in rows) + 10) if wide else 0.0
    row, thickness = (ROW, 15.0) if wide else (STACKED_ROW, 13.0)
    for index, ((name, value), text) in enumerate(zip(rows, written, strict=True)):
        y = index * row + 4
        bar_y = y if wide else y + 17
        length = (canvas.width - left - room) * value / longest
        canvas.rect(left, bar_y, max(1.0, length), thickness, "c1" if index == 0 else "bar", f"{name}: {text}")
        canvas.text(left + max(1.0, length) + 6, bar_y + thickness - 3, text, colour="ink", size=12, bold=index == 0)
        canvas.text(
            0,
            (bar_y + thickness - 3) if wide else y + 11,
            clipped(name, left if wide else canvas.width),
            colour="ink",
            size=12,
        )


def clipped(name: str, room: float) -> str:
    while len(name) > 3 and width_of(name, 12) > room:
        name = name[:-2] + "…"
    return name
