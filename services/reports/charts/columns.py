"""A few labelled columns above and below zero, one per month."""

from typing import Any

from services.reports import figures
from services.reports.charts.scale import Scale, month_name
from services.reports.charts.svg import Canvas


def draw(canvas: Canvas, spec: dict[str, Any], language: str, names: dict[str, str]) -> None:
    rows = [(str(name), float(value)) for name, value in spec["rows"]]
    if canvas.width < 500:
        rows = rows[-6:]
    highest = max(0.0, *(value for _, value in rows))
    lowest = min(0.0, *(value for _, value in rows))
    up = Scale(lowest, highest if highest > lowest else lowest + 1, canvas.height - 56, 18.0)
    step = canvas.width / len(rows)
    zero = up(0.0)
    for index, (name, value) in enumerate(rows):
        x, y = index * step + step * 0.14, up(value)
        colour = "bar" if value >= 0 else "bad"
        text = figures.write(value, spec["unit"], language)
        canvas.rect(x, min(y, zero), step * 0.72, abs(y - zero), colour, f"{name}: {text}")
        middle = index * step + step / 2
        canvas.text(middle, y - 5 if value >= 0 else y + 13, text, colour="ink", size=10.5, anchor="middle")
        year, month = name.split("-")
        label = month_name(int(month), language)
        canvas.text(middle, canvas.height - 16, label, anchor="middle")
        if index == 0 or month == "01":
            canvas.text(middle, canvas.height - 3, year, anchor="middle", size=10)
    canvas.line(0, zero, canvas.width, zero, "axis")
