"""What the pictures of the dashboards are made of: colours, texts, axes and their ticks, as SVG. Pure, and the same on every machine."""

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Final

COLOURS: Final = {
    "green": "#73bf69",
    "blue": "#5794f2",
    "red": "#f2495c",
    "yellow": "#f2cc0c",
    "orange": "#ff9830",
}
"""Grafana's, by the names that the panels use."""

LINES: Final = (
    "#73bf69",
    "#f2cc0c",
    "#5794f2",
    "#ff9830",
    "#f2495c",
    "#b877d9",
    "#8ab8ff",
    "#ffa6b0",
    "#96d98d",
    "#ca95e5",
)
"""In the order in which Grafana gives them to the lines of a graph."""

PAGE, PANEL, BORDER, GRID, INK, FAINT = "#111217", "#181b1f", "#2c3235", "#2c3235", "#d8d9da", "#9fa7b3"
_WIDE: Final = "mwMW@%"
_NARROW: Final = "iljtfr.,:;|!'()[] "
_SECONDS: Final = ((1.0, 1.0, "s"), (1e-3, 1e3, "ms"), (0.0, 1e6, "µs"))
_ROUND: Final = (1, 2, 2.5, 5, 10)


def colour(name: str) -> str:
    """Return a colour as SVG wants it, by Grafana's name or as it is."""
    return COLOURS.get(name, name)


def text(x: float, y: float, words: str, size: int = 12, fill: str = INK, more: str = "") -> str:
    """Return words; `more` are further attributes."""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}"{more}>{escape(words)}</text>'


def on(background: str) -> str:
    """Return the colour of ink that can be read on this one."""
    return "#161719" if background == COLOURS["yellow"] else "#ffffff"


MIDDLE: Final = ' text-anchor="middle"'
END: Final = ' text-anchor="end"'
BOLD: Final = ' font-weight="600"'


def box(x: float, y: float, width: float, height: float, fill: str, more: str = "") -> str:
    """Return a rectangle."""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(0.0, width):.1f}" height="{height:.1f}" fill="{fill}"{more}/>'


def width_of(words: str, size: int = 12) -> float:
    """Return about how wide words are in DejaVu Sans, the widest of the usual fonts."""
    return size * sum(
        0.95 if one in _WIDE else 0.38 if one in _NARROW else 0.7 if one.isupper() else 0.63 for one in words
    )


def cut(words: str, room: float, size: int = 12) -> str:
    """Return as much of the words as there is room for."""
    if width_of(words, size) <= room:
        return words
    while words and width_of(words + "…", size) > room:
        words = words[:-1]
    return words + "…"


def said(value: float, unit: str) -> str:
    """Return a number with its unit, as Grafana says it."""
    if unit == "s" and value >= 60:
        return f"{value / 60:.3g} min"
    if unit == "s" and value > 0:
        factor, name = next((times, word) for least, times, word in _SECONDS if value >= least)
        return f"{_plain(value * factor)} {name}"
    if unit == "percentunit":
        return f"{_plain(value * 100)}%"
    return f"{_plain(value)}{' p/s' if unit == 'pps' else ' s' if unit == 's' else ''}"


def _plain(value: float) -> str:
    return f"{float(f'{value:.3g}'):g}"


def ticks(most: float, count: int = 4) -> list[float]:
    """Return round numbers from 0 up to the first that is no less than the greatest value."""
    if most <= 0:
        return [0.0, 1.0]
    rough = most / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(one * power for one in _ROUND if one * power >= rough * 0.999)
    return [step * number for number in range(math.ceil(most / step * 0.999) + 1)]


def clock(at: float) -> str:
    """Return the time of day, UTC: the same wherever it is drawn."""
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"


def minutes(start: float, end: float) -> list[float]:
    """Return the full minutes in between."""
    return [float(at) for at in range(math.ceil(start / 60) * 60, math.floor(end) + 1, 60)]


def paths(points: Sequence[tuple[float, float] | None]) -> Iterator[list[tuple[float, float]]]:
    """Yield the pieces of a line between its gaps."""
    piece: list[tuple[float, float]] = []
    for point in [*points, None]:
        if point is not None:
            piece.append(point)
        elif piece:
            yield piece
            piece = []
