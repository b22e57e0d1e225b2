"""From values to places: round ticks, month marks, and the linear map between data and pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from math import ceil, floor, log10

EPOCH = date(1970, 1, 1).toordinal()
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight line from the data's range to the drawing's."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        span = self.high - self.low
        return self.start + (self.end - self.start) * ((value - self.low) / span if span else 0.5)


def ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers that enclose the range."""
    if high <= low:
        pad = abs(high) * 0.05 or 1.0
        low, high = low - pad, high + pad
    rough = (high - low) / max(1, wanted)
    power = 10 ** floor(log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def day(number: int) -> date:
    return date.fromordinal(number + EPOCH)


def month_name(month: int, language: str) -> str:
    return MONTHS[month - 1] if language == "en" else f"{month}月"


def date_text(number: int, language: str, *, year: bool = False) -> str:
    on = day(number)
    if language == "zh":
        return f"{on.year}年{on.month}月{on.day}日" if year else f"{on.month}月{on.day}日"
    return f"{on.day} {MONTHS[on.month - 1]} {on.year}" if year else f"{on.day} {MONTHS[on.month - 1]}"


def date_marks(days: Sequence[int], language: str, most: int) -> list[tuple[int, str]]:
    """Where to label the time axis: firsts of months on long spans, single days on short ones."""
    firsts = [number for number in days if day(number).day == 1]
    if len(days) > 120 and firsts:
        every = next(step for step in (1, 2, 3, 4, 6, 12) if len(firsts) / step <= most)
        chosen = [number for number in firsts if (day(number).month - 1) % every == 0]
        marks = []
        for number in chosen or firsts[:1]:
            on = day(number)
            name = month_name(on.month, language)
            shown_year = on.month == 1 or number == (chosen or firsts)[0]
            marks.append((number, f"{name} {on.year}" if shown_year and language == "en" else name))
        return marks
    count = max(2, min(most, len(days)))
    places = [round(index * (len(days) - 1) / (count - 1)) for index in range(count)]
    return [(days[place], date_text(days[place], language)) for place in sorted(set(places))]
