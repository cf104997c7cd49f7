"""What all kinds of panels are drawn with: what was recorded, words and colours for numbers, times below and names at the bottom."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from dashboards import shapes
from dashboards.shapes import MIDDLE, box, text

SMALL: Final = 11
MARK: Final = "#b877d9"


Said = tuple[float, str, str, str]
"""A line of the journal: when, on which node, the event, the sentence."""


@dataclass(frozen=True)
class Line:
    """A query's line: its legend, and a number or nothing for each point."""

    legend: str
    values: Sequence[float | None]

    @property
    def last(self) -> float | None:
        """The newest number."""
        return next((one for one in reversed(self.values) if one is not None), None)


@dataclass(frozen=True)
class Record:
    """What was recorded, and when."""

    start: int
    end: int
    step: int
    answers: Mapping[str, Any]
    journal: Sequence[Said] = ()
    marks: Sequence[float] = ()
    """When something happened that is marked in every panel."""

    def marked(self, page: Mapping[str, Any]) -> "Record":
        """Return it with the times that a dashboard marks: where a number of one of its annotations begins to be there."""
        found = [line["values"] for one in page["annotations"].get("list", ()) for line in self.answers[one["expr"]]]
        begins = {
            number for values in found for number in range(1, len(values)) if values[number] and not values[number - 1]
        }
        return replace(self, marks=[self.start + self.step * number for number in sorted(begins)])

    def lines(self, panel: Mapping[str, Any]) -> list[Line]:
        """Return the lines of a panel. KeyError where one of its queries was not asked."""
        return [
            Line(_legend(target["legendFormat"], one["labels"]), one["values"])
            for target in panel["targets"]
            for one in self.answers[target["expr"]]
        ]


def _legend(pattern: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), pattern)


@dataclass(frozen=True)
class Frame:
    """A rectangle of the picture."""

    x: float
    y: float
    width: float
    height: float


def shown(config: Mapping[str, Any], value: float | None) -> tuple[str, str]:
    """Return the words and the colour for a number: its mapping's, or its own and that of the threshold it is over."""
    if value is None:
        return config.get("noValue", "No data"), shapes.GRID
    steps = config.get("thresholds", {}).get("steps", [])
    colour = next((one["color"] for one in reversed(steps) if one["value"] is None or value >= one["value"]), "green")
    for mapping in config.get("mappings", []):
        if found := mapping["options"].get(f"{value:g}"):
            return found.get("text", f"{value:g}"), found.get("color", colour)
    return shapes.said(value, config.get("unit", "")), colour


def times(body: Frame, record: Record) -> Iterator[str]:
    """Yield the minutes below, as many as there is room for."""
    marks = shapes.minutes(record.start, record.end)
    every = next(one for one in (1, 2, 5, 10, 30) if len(marks) / one * 52 < body.width or one == 30)
    for at in marks[::every]:
        x = body.x + body.width * (at - record.start) / (record.end - record.start)
        yield box(x, body.y, 1, body.height, shapes.GRID, ' fill-opacity="0.6"')
        if body.x + 14 < x < body.x + body.width - 14:
            yield text(x, body.y + body.height + 14, shapes.clock(at)[:5], SMALL, shapes.FAINT, MIDDLE)
    for at in record.marks:
        x = body.x + body.width * (at - record.start) / (record.end - record.start)
        yield box(x, body.y, 1, body.height, MARK, ' fill-opacity="0.8"')
        yield f'<path d="M{x - 3.5:.1f} {body.y + body.height + 5:.1f}h8l-4 -5z" fill="{MARK}"/>'


def _room(legend: str) -> float:
    return shapes.width_of(legend, SMALL) + 30


def rows_for(width: float, legends: Sequence[str]) -> int:
    """Return how many rows the legend takes."""
    rows, used = 1, 0.0
    for legend in legends:
        if used and used + _room(legend) > width:
            rows, used = rows + 1, 0.0
        used += _room(legend)
    return rows


def names(frame: Frame, named: Sequence[tuple[str, str]], rows: int) -> Iterator[str]:
    """Yield the legend, at the bottom."""
    x, y = frame.x, frame.y + frame.height - 16 * (rows - 1)
    for legend, colour in named:
        if x > frame.x and x + _room(legend) > frame.x + frame.width:
            x, y = frame.x, y + 16
        yield box(x, y - 6, 14, 4, shapes.colour(colour), ' rx="2"')
        yield text(x + 19, y, legend, SMALL)
        x += _room(legend)
