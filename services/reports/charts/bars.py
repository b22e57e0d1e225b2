"""Bars over time: one per day on short spans, one per week (its daily mean) on long ones."""

from typing import Any

from services.reports import figures
from services.reports.charts.scale import Scale, date_marks, date_text, ticks
from services.reports.charts.svg import Canvas, width_of

MOST_BARS = 100


def draw(canvas: Canvas, spec: dict[str, Any], language: str, names: dict[str, str]) -> None:
    groups = grouped(spec["days"], spec["series"][0]["values"])
    marks = ticks(0.0, max((value for _, value in groups), default=1.0) or 1.0, 3)
    top, bottom, right = 18.0, canvas.height - 24, canvas.width - 2
    edge = max(width_of(figures.brief(mark, spec["unit"], language), 11) for mark in marks) + 8
    across = Scale(0, len(groups), edge, right)
    up = Scale(0.0, marks[-1], bottom, top)
    for mark in marks:
        y = up(mark)
        canvas.line(2, y, right, y, "axis" if mark == 0 else "rule")
        if mark:
            canvas.text(2, y - 4, figures.brief(mark, spec["unit"], language), size=11)
    gap = 0.8 if len(groups) > 60 else 2.0
    highest = max(range(len(groups)), key=lambda index: groups[index][1])
    for index, (first, value) in enumerate(groups):
        x, width = across(index), across(index + 1) - across(index)
        written = figures.write(value, spec["unit"], language)
        hover = f"{date_text(first, language, year=True)}: {written}"
        colour = "c1" if index == highest else "bar"
        canvas.rect(x + gap / 2, up(value), max(0.6, width - gap), bottom - up(value), colour, hover)
    _peak(canvas, spec, language, groups[highest], (across(highest + 0.5), up(groups[highest][1])))
    _dates(canvas, spec["days"], [first for first, _ in groups], across, bottom, language)


def grouped(days: list[int], values: list[float | None]) -> list[tuple[int, float]]:
    """Days as they are, or weeks by their daily mean, so that a short last week is not a fall."""
    size = 1 if len(days) <= MOST_BARS else 7
    groups = []
    for start in range(0, len(days), size):
        known = [value for value in values[start : start + size] if value is not None]
        if known:
            groups.append((days[start], sum(known) / len(known)))
    return groups


def _peak(
    canvas: Canvas,
    spec: dict[str, Any],
    language: str,
    peak: tuple[int, float],
    place: tuple[float, float],
) -> None:
    label = f"{figures.write(peak[1], spec['unit'], language)}, {date_text(peak[0], language)}"
    half = width_of(label, 11) / 2
    x = min(max(place[0], half + 40), canvas.width - half - 2)
    canvas.text(x, max(11.0, place[1] - 6), label, anchor="middle", colour="ink", halo=True)


def _dates(canvas: Canvas, days: list[int], firsts: list[int], across: Scale, bottom: float, language: str) -> None:
    most = 8 if canvas.width > 500 else 4
    for number, label in date_marks(days, language, most):
        index = max((i for i, first in enumerate(firsts) if first <= number), default=0)
        x = across(index + 0.5)
        half = width_of(label, 11) / 2
        canvas.line(x, bottom, x, bottom + 5, "axis")
        canvas.text(min(max(x, half + 2), canvas.width - half - 2), bottom + 18, label, anchor="middle", size=11)
