"""Writes values for people: one rule per unit, in English and Chinese, the same everywhere."""

from collections.abc import Callable
from math import floor, log10

from services.reports.facts import Value

MISSING = "–"
STEPS = {
    "en": ((1e12, "tn"), (1e9, "bn"), (1e6, "m"), (1e3, "k")),
    "zh": ((1e12, "万亿"), (1e8, "亿"), (1e4, "万")),
}
SCALED_FROM = {"en": 1e6, "zh": 1e6}


def write(value: Value, unit: str, language: str = "en") -> str:
    """The value as text; unknown is a dash, never a zero."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return {"en": ("no", "yes"), "zh": ("否", "是")}[language][value]
    if isinstance(value, str):
        return value
    return _number(value, unit, language)


def brief(value: float, unit: str, language: str = "en") -> str:
    """The shortest form, for axes."""
    if unit in ("usd", "tokens", "count") and abs(value) >= 1_000:
        scaled, step = _scaled(value, language)
        text = f"{scaled:.3g}{step}" if abs(scaled) < 1000 else f"{scaled:,.0f}{step}"
        return _money(text, language) if unit == "usd" else _minus(text)
    if unit in ("percent", "change"):
        return _minus(f"{value * 100:.4g}%")
    if unit == "bps":
        return _minus(f"{value:,.0f}")
    if unit == "usd":
        return _money(f"{value:.4g}" if abs(value) >= 1e-4 or not value else _tiny(value), language)
    return _minus(_tiny(value) if 0 < abs(value) < 1e-3 else f"{value:.4g}")


def _number(value: float, unit: str, language: str) -> str:
    writer = WRITERS.get(unit)
    return _minus(f"{value:,.2f}") if writer is None else writer(value, language)


def _tokens(value: float, language: str) -> str:
    return _minus(_amount(value, language) if abs(value) >= 1 or not value else f"{value:.4g}")


def _points(value: float, language: str, *, signed: bool) -> str:
    figure = f"{value:+,.1f}" if signed else f"{value:,.1f}"
    return _minus(f"{figure} {'bps' if language == 'en' else '个基点'}")


def _cost(value: float, language: str) -> str:
    return _minus(_tiny(value) if 0 < abs(value) < 0.01 else f"{value:,.2f}")


def _amount(value: float, language: str) -> str:
    size = abs(value)
    if size >= SCALED_FROM[language]:
        scaled, step = _scaled(value, language)
        digits = 2 if abs(scaled) < 99.995 else 1 if abs(scaled) < 999.95 else 0
        return f"{scaled:,.{digits}f}{step}"
    if size >= 1_000:
        return f"{value:,.0f}"
    if 0.9 < size < 1.1 or 0.01 <= size < 1:
        return f"{value:.4f}"
    if size >= 1 or size == 0:
        return f"{value:.2f}"
    return _tiny(value)


def _tiny(value: float) -> str:
    digits = 3 - floor(log10(abs(value)))
    return f"{value:.{min(digits, 18)}f}"


def _scaled(value: float, language: str) -> tuple[float, str]:
    for size, step in STEPS[language]:
        # Rounding must not leave "1,000m" where "1bn" is meant.
        if abs(value) >= size * 0.9995:
            return value / size, step
    return value, ""


def _percent(value: float, *, signed: bool) -> str:
    percent = value * 100
    size = abs(percent)
    if size >= 1000 or percent in (0, 100):
        digits = 0
    elif size >= 0.1:
        digits = 1
    else:
        digits = 3 if size >= 0.001 or signed else 5
    # What rounds to nothing has no direction.
    signed = signed and round(percent, digits) != 0
    text = (
        f"{percent:+,.{digits}f}%"
        if signed
        else f"{abs(percent) if not round(percent, digits) else percent:,.{digits}f}%"
    )
    return _minus(text)


def _days(value: float, language: str) -> str:
    text = f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"
    if language == "zh":
        return f"{text} 天"
    return f"{text} day" if text == "1" else f"{text} days"


def _money(text: str, language: str) -> str:
    sign = "−" if text.startswith("-") else ""
    bare = text.lstrip("-")
    if language == "en":
        return f"{sign}${bare}"
    return f"{sign}{bare}{' ' if bare[-1].isdigit() else ''}美元"


def _minus(text: str) -> str:
    return text.replace("-", "−")


WRITERS: dict[str, Callable[[float, str], str]] = {
    "usd": lambda value, language: _money(_amount(value, language), language),
    "tokens": _tokens,
    "count": lambda value, language: _minus(f"{value:,.0f}"),
    "rank": lambda value, language: f"#{value:,.0f}",
    "change": lambda value, language: _percent(value, signed=True),
    "percent": lambda value, language: _percent(value, signed=False),
    "bps": lambda value, language: _points(value, language, signed=True),
    "distance": lambda value, language: _points(value, language, signed=False),
    "days": _days,
    "cost": _cost,
    "index": lambda value, language: _minus(f"{value:,.1f}"),
    "index1": lambda value, language: f"{value:.3f}",
}
