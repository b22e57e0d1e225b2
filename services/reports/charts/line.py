"""Lines over time, labelled at their ends and at their extremes instead of in a legend."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from services.reports import figures
from services.reports.charts.scale import Scale, date_marks, date_text, ticks
from services.reports.charts.svg import Canvas, width_of

COLOURS = ("c1", "c2", "c3")


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the plot lies on the canvas, and the scales inside it."""

    x: Scale
    y: Scale
    left: float
    right: float
    top: float
    bottom: float


def draw(canvas: Canvas, spec: dict[str, Any], language: str, names: dict[str, str]) -> None:
    series, unit = spec["series"], spec["unit"]
    labels = [_end_label(one, unit, language, names, alone=len(series) == 1) for one in series]
    room = max(width_of(label, 12, bold=True) for label in labels) + 12
    marks = _marks(spec)
    edge = max(width_of(figures.brief(mark, unit, language), 11) for mark in marks) + 10
    frame = _frame(canvas, spec, marks, (edge, room))
    _bands(canvas, spec, frame)
    _axes(canvas, spec, frame, marks, language)
    for position, one in enumerate(series):
        _line(canvas, spec["days"], one, frame, COLOURS[position % 3], thin=len(series) > 1 and position > 0)
    if len(series) == 1:
        _extremes(canvas, spec, frame, language)
    _ends(canvas, spec, frame, labels)


def _end_label(one: dict[str, Any], unit: str, language: str, names: dict[str, str], *, alone: bool) -> str:
    last = _last(one["values"])
    value = figures.MISSING if last is None else figures.write(last, unit, language)
    return value if alone else f"{names.get(one['name'], one['name'])} {value}"


def _last(values: list[float | None]) -> float | None:
    return next((value for value in reversed(values) if value is not None), None)


def _marks(spec: dict[str, Any]) -> list[float]:
    known = [value for one in spec["series"] for value in one["values"] if value is not None]
    low, high = min(known), max(known)
    low = min(low, spec["floor"]) if "floor" in spec else low
    high = max(high, spec["ceiling"]) if "ceiling" in spec else high
    marks = [mark for mark in ticks(low, high) if mark >= spec.get("lowest", mark)]
    # Room for the label under the lowest point, where the axis is free to go lower.
    tight = (low - marks[0]) / (marks[-1] - marks[0]) < 0.1
    below = marks[0] - (marks[1] - marks[0])
    lowest = spec.get("lowest", 0.0 if marks[0] >= 0 else below)
    if len(spec["series"]) == 1 and "floor" not in spec and tight and below >= lowest:
        marks.insert(0, round(below, 12))
    return marks


def _frame(canvas: Canvas, spec: dict[str, Any], marks: list[float], rooms: tuple[float, float]) -> Frame:
    left, right, top, bottom = 0.0, canvas.width - rooms[1], 18.0, canvas.height - 24
    days = spec["days"]
    return Frame(
        Scale(days[0], days[-1], rooms[0], right),
        Scale(marks[0], marks[-1], bottom, top),
        left,
        right,
        top,
        bottom,
    )


def _bands(canvas: Canvas, spec: dict[str, Any], frame: Frame) -> None:
    for low, high in spec.get("bands", []):
        top = max(frame.top, min(frame.bottom, frame.y(high)))
        bottom = max(frame.top, min(frame.bottom, frame.y(low)))
        canvas.rect(frame.left, top, frame.right - frame.left, bottom - top, "wash")


def _axes(canvas: Canvas, spec: dict[str, Any], frame: Frame, marks: list[float], language: str) -> None:
    zero = spec.get("baseline", 0.0 if marks[0] <= 0 <= marks[-1] else marks[0])
    for mark in marks:
        y = frame.y(mark)
        heavy = abs(mark - zero) < 1e-12
        canvas.line(frame.left, y, frame.right, y, "axis" if heavy else "rule", 1.0)
        canvas.text(frame.left, y - 4, figures.brief(mark, spec["unit"], language), size=11)
    most = 8 if canvas.width > 500 else 4
    for number, label in date_marks(spec["days"], language, most):
        x = frame.x(number)
        canvas.line(x, frame.bottom, x, frame.bottom + 5, "axis")
        half = width_of(label, 11) / 2
        place = min(max(x, frame.left + half), canvas.width - half)
        canvas.text(place, frame.bottom + 18, label, anchor="middle", size=11)


def _line(canvas: Canvas, days: list[int], one: dict[str, Any], frame: Frame, colour: str, *, thin: bool) -> None:
    pieces: list[list[tuple[float, float]]] = [[]]
    for number, value in zip(days, one["values"], strict=True):
        if value is None:
            pieces.append([])
        else:
            pieces[-1].append((frame.x(number), frame.y(value)))
    drawn = [piece for piece in pieces if piece]
    # An area is honest only down (or up) to a zero that is on the axis.
    zero = frame.y(0.0)
    if one.get("area") and frame.top - 0.5 <= zero <= frame.bottom + 0.5:
        for piece in drawn:
            outline = "L".join(f"{x:.1f},{y:.1f}" for x, y in piece)
            canvas.area(f"M{piece[0][0]:.1f},{zero:.1f}L{outline}L{piece[-1][0]:.1f},{zero:.1f}Z", "wash")
    path = "".join("M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in piece) for piece in drawn)
    canvas.path(path, colour, 1.3 if thin else 1.9)


def _extremes(canvas: Canvas, spec: dict[str, Any], frame: Frame, language: str) -> None:
    values, days = spec["series"][0]["values"], spec["days"]
    known = [(value, number) for value, number in zip(values, days, strict=True) if value is not None]
    last_day = known[-1][1]
    span = max(1, days[-1] - days[0])
    for value, number, above in ((*max(known), True), (*min(known), False)):
        # The end of the line has its own label, and the edge of the axis says itself.
        if value == spec.get("ceiling"):
            continue
        if (last_day - number) / span < 0.04 or abs(frame.y(max(known)[0]) - frame.y(min(known)[0])) < 24:
            continue
        label = f"{figures.write(value, spec['unit'], language)}, {date_text(number, language)}"
        x, y = frame.x(number), frame.y(value)
        half = width_of(label, 11) / 2
        place = min(max(x, frame.x.start + half), frame.right - half - 4)
        canvas.dot(x, y, "c1", hollow=True)
        lower = y + 17 if y + 17 < frame.bottom - 2 else y - 9
        canvas.text(
            place,
            max(y - 9, 11) if above else lower,
            label,
            anchor="middle",
            colour="ink",
            halo=True,
        )


def _ends(canvas: Canvas, spec: dict[str, Any], frame: Frame, labels: list[str]) -> None:
    last = [_last(one["values"]) for one in spec["series"]]
    shown = [position for position, value in enumerate(last) if value is not None]
    heights = {position: frame.y(value) for position in shown if (value := last[position]) is not None}
    places = apart(heights, canvas.height - 26)
    for position in shown:
        colour = COLOURS[position % 3]
        canvas.dot(frame.right, heights[position], colour)
        canvas.text(frame.right + 8, places[position] + 4, labels[position], colour=colour, size=12, bold=True)


def apart(heights: dict[int, float], lowest: float, gap: float = 15.0) -> dict[int, float]:
    """Labels that would overlap are pushed down one after the other, then up from the lower edge."""
    order = sorted(heights, key=lambda key: heights[key])
    places = dict(heights)
    for upper, lower in pairwise(order):
        places[lower] = max(places[lower], places[upper] + gap)
    for key in reversed(order):
        places[key] = min(places[key], lowest)
        lowest = places[key] - gap
    return places
