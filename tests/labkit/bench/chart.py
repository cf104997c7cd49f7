"""The picture in docs/: medians of the client's blackouts, on a logarithmic scale, as SVG."""

import math
import statistics
from collections.abc import Iterable, Iterator
from html import escape
from typing import Final

from .rows import Row, Table, number

COLOURS: Final = {"skd-cluster": "#1f77b4", "keepalived": "#ff7f0e", "ucarp": "#7f7f7f"}
LEFT, WIDTH, BAR, SPACE, TOP = 430, 560, 13, 10, 50
LEAST, MOST = 0.5, 20_000.0
"""Milliseconds at the ends of the scale."""


def draw(tables: Iterable[Table]) -> str:
    """Return the chart of every row in milliseconds that has a peer to compare with."""
    rows = [(f"{table.title}, {row.what}", row) for table in tables for row in table.rows if _drawn(table, row)]
    height = TOP + sum(BAR * len(row.found) + SPACE for _, row in rows) + 30
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 70}" height="{height}">',
        "<style>text { font-family: sans-serif; font-size: 12px }</style>",
        '<rect width="100%" height="100%" fill="white"/>',
        *_legend(),
        *_scale(height),
    ]
    y = TOP
    for what, row in rows:
        lines += _bars(what, row, y)
        y += BAR * len(row.found) + SPACE
    return "\n".join([*lines, "</svg>", ""])


def _drawn(table: Table, row: Row) -> bool:
    return row.unit == "ms" and len(row.found) > 1 and not table.title.startswith("Jitter")


def _x(milliseconds: float) -> float:
    share = math.log(min(max(milliseconds, LEAST), MOST) / LEAST) / math.log(MOST / LEAST)
    return LEFT + WIDTH * share


def _legend() -> Iterator[str]:
    yield f'<text x="10" y="20" font-weight="bold">{escape("Median, logarithmic scale; shorter is better")}</text>'
    for place, (name, colour) in enumerate(COLOURS.items()):
        x = LEFT + 120 * place
        yield f'<rect x="{x}" y="10" width="12" height="12" fill="{colour}"/><text x="{x + 18}" y="20">{name}</text>'


def _scale(height: int) -> Iterator[str]:
    for value, text in ((1, "1 ms"), (10, "10 ms"), (100, "100 ms"), (1000, "1 s"), (10_000, "10 s")):
        x = _x(value)
        yield f'<line x1="{x:.0f}" y1="{TOP - 8}" x2="{x:.0f}" y2="{height - 25}" stroke="#ddd"/>'
        yield f'<text x="{x:.0f}" y="{height - 8}" text-anchor="middle" fill="#555">{text}</text>'


def _bars(what: str, row: Row, y: int) -> Iterator[str]:
    middle = y + BAR * len(row.found) / 2 + 4
    yield f'<text x="{LEFT - 8}" y="{middle:.0f}" text-anchor="end">{escape(what.replace("`", ""))}</text>'
    for place, (name, values) in enumerate(row.found.items()):
        median = statistics.median(values)
        top = y + BAR * place
        text = number(median) if math.isinf(median) else f"{number(median)} ms"
        width = max(1.0, _x(median) - LEFT)
        yield f'<rect x="{LEFT}" y="{top}" width="{width:.0f}" height="{BAR - 2}" fill="{COLOURS[name]}"/>'
        yield f'<text x="{LEFT + width + 5:.0f}" y="{top + BAR - 3}">{text}</text>'
