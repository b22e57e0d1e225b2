"""The few SVG elements the charts are made of, and the two colour sets they can be fixed to."""

import re
from dataclasses import dataclass, field
from html import escape

SANS = (
    "'Helvetica Neue', 'Liberation Sans', Arial, 'Noto Sans', "
    "'Noto Sans CJK SC', 'PingFang SC', 'WenQuanYi Micro Hei', sans-serif"
)
LIGHT = {
    "paper": "#fffdf9",
    "ink": "#1d1c1a",
    "soft": "#5c5852",
    "rule": "#e2ddd3",
    "axis": "#8f897f",
    "c1": "#0b5c7e",
    "c2": "#b4551d",
    "c3": "#6f7f3a",
    "wash": "#dbe8ee",
    "bar": "#7ea9bd",
    "bad": "#a8281f",
    "badwash": "#f3d9d3",
}
DARK = {
    "paper": "#171614",
    "ink": "#efece6",
    "soft": "#b0aaa0",
    "rule": "#35322d",
    "axis": "#857f75",
    "c1": "#6cb8d6",
    "c2": "#e5925b",
    "c3": "#b3c172",
    "wash": "#203740",
    "bar": "#3f7f99",
    "bad": "#ef8277",
    "badwash": "#46231f",
}
_VARIABLE = re.compile(r"var\(--(\w+)\)")
_HOVER = re.compile(r"<title>[^<]*</title>")


def fixed(svg: str, palette: dict[str, str] = LIGHT) -> str:
    """Variables replaced by colours, for readers that know no CSS variables and no pointer (PDF, PNG)."""
    return _VARIABLE.sub(lambda match: palette.get(match.group(1), "#000"), _HOVER.sub("", svg))


def width_of(text: str, size: float, *, bold: bool = False) -> float:
    """How wide a text can get in the widest of our fonts (DejaVu); wide characters count double."""
    narrow = size * (0.69 if bold else 0.6)
    return sum(size if ord(char) > 0x2E80 else narrow * (0.55 if char in " .,:" else 1) for char in text)


@dataclass(slots=True)
class Canvas:
    """Collects elements; every text and number that enters is escaped or rounded here."""

    width: float
    height: float
    parts: list[str] = field(default_factory=list)

    def line(self, x1: float, y1: float, x2: float, y2: float, colour: str, stroke: float = 1.0) -> None:
        self.parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            f'stroke="var(--{colour})" stroke-width="{stroke:g}"/>'
        )

    def rect(self, x: float, y: float, width: float, height: float, colour: str, title: str | None = None) -> None:
        hover = f"<title>{escape(title)}</title>" if title else ""
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(0.0, width):.1f}" height="{max(0.0, height):.1f}" '
            f'fill="var(--{colour})">{hover}</rect>'
        )

    def path(self, data: str, colour: str, stroke: float = 1.8) -> None:
        self.parts.append(
            f'<path d="{data}" fill="none" stroke="var(--{colour})" stroke-width="{stroke:g}" '
            'stroke-linejoin="round" stroke-linecap="round"/>'
        )

    def area(self, data: str, colour: str) -> None:
        self.parts.append(f'<path d="{data}" fill="var(--{colour})"/>')

    def dot(self, x: float, y: float, colour: str, *, hollow: bool = False) -> None:
        fill, edge = ("paper", colour) if hollow else (colour, "paper")
        self.parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" fill="var(--{fill})" '
            f'stroke="var(--{edge})" stroke-width="1.4"/>'
        )

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        colour: str = "soft",
        size: float = 11,
        anchor: str = "start",
        bold: bool = False,
        halo: bool = False,
    ) -> None:
        weight = ' font-weight="700"' if bold else ""
        if halo:
            # The outline keeps a label readable where it crosses a line; a copy, since not all readers
            # know paint-order.
            self.parts.append(
                f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" text-anchor="{anchor}" '
                f'fill="none" stroke="var(--paper)" stroke-width="3.5" stroke-linejoin="round"{weight}>'
                f"{escape(text)}</text>"
            )
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" text-anchor="{anchor}" '
            f'fill="var(--{colour})"{weight}>{escape(text)}</text>'
        )

    def document(self, label: str, css_class: str = "", *, namespace: bool = False) -> str:
        name = ' xmlns="http://www.w3.org/2000/svg"' if namespace else ""
        kind = f' class="{escape(css_class)}"' if css_class else ""
        return (
            f'<svg{name}{kind} viewBox="0 0 {self.width:g} {self.height:g}" role="img" '
            f'aria-label="{escape(label)}" font-family="{escape(SANS)}">{"".join(self.parts)}</svg>'
        )
