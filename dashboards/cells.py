"""Drawing what is no line and no number alone: how often which values were seen, a table, the journal."""

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from dashboards import shapes
from dashboards.plots import SMALL, Frame, Record, shown, times
from dashboards.shapes import BOLD, END, MIDDLE, box, text

_HOT: Final = "#ff9830"
_COLUMNS: Final = 60
"""So many moments of a heat map are drawn: it is a picture of some hundred kilobytes, not more."""
_LINE: Final = 17
"""The height of a line of text."""

Panel = Mapping[str, Any]


def heat(panel: Panel, frame: Frame, record: Record) -> Iterator[str]:
    """Yield a histogram over time: the more often a value was seen, the brighter."""
    rows = _buckets(panel, record)
    most = max(count for _, counts in rows for count in counts)
    names = [shapes.said(bound, panel["options"]["yAxis"]["unit"]) for bound, _ in rows]
    left = max(shapes.width_of(name, SMALL) for name in names) + 8
    body = Frame(frame.x + left, frame.y, frame.width - left, frame.height - 22)
    height = body.height / len(rows)
    for number, ((_, counts), name) in enumerate(zip(rows, names, strict=True)):
        y = body.y + body.height - (number + 1) * height
        yield text(body.x - 6, y + 5, name, SMALL, shapes.FAINT, END)
        width = body.width / len(counts)
        for column, count in enumerate(counts):
            if count:
                strength = f' fill-opacity="{0.12 + 0.88 * (count / most) ** 0.5:.2f}"'
                yield box(body.x + column * width, y + 0.5, width - 0.5, height - 1, _HOT, strength)
    yield from times(body, record)


def _buckets(panel: Panel, record: Record) -> list[tuple[float, list[float]]]:
    """Return what was in each bucket between two bounds at each moment, from the first with something to the last."""
    (target,) = panel["targets"]
    found = sorted((float(one["labels"]["le"]), one["values"]) for one in record.answers[target["expr"]])
    below = [0.0] * _COLUMNS
    rows = []
    for bound, values in found:
        up_to = _thinned([value or 0.0 for value in values])
        rows.append((bound, [max(0.0, one - less) for one, less in zip(up_to, below, strict=True)]))
        below = up_to
    some = [number for number, (_, counts) in enumerate(rows) if any(counts)]
    return [one for one in rows[some[0] : some[-1] + 1] if one[0] != float("inf")]


def _thinned(values: list[float]) -> list[float]:
    """Return the mean of as many stretches as are drawn."""
    edges = [round(number * len(values) / _COLUMNS) for number in range(_COLUMNS + 1)]
    return [sum(values[one:two]) / (two - one) for one, two in pairwise(edges)]


def table(panel: Panel, frame: Frame, record: Record) -> Iterator[str]:
    """Yield a line for each thing that has a name, sorted as the panel says."""
    headings = panel["transformations"][1]["options"]["renameByName"]
    label, *_ = headings
    columns = {
        headings[f"Value #{target['refId']}"]: {
            one["labels"][label]: one["values"][-1] for one in record.answers[target["expr"]]
        }
        for target in panel["targets"]
    }
    worst = columns[panel["options"]["sortBy"][0]["displayName"]]
    looks = {
        one["matcher"]["options"]: {look["id"]: look["value"] for look in one["properties"]}
        for one in panel["fieldConfig"]["overrides"]
    }
    width = frame.width / (len(columns) + 1)
    for number, heading in enumerate(headings.values()):
        yield text(frame.x + number * width + 8, frame.y + 14, heading, SMALL, shapes.FAINT, BOLD)
    for row, name in enumerate(sorted(worst, key=lambda name: (-worst[name], name))):
        y = frame.y + 24 + row * 34
        yield box(frame.x, y, frame.width, 1, shapes.GRID)
        yield text(frame.x + 8, y + 22, name, 13, shapes.COLOURS["blue"])
        for number, (heading, values) in enumerate(columns.items()):
            place = Frame(frame.x + (number + 1) * width, y, width, 34)
            yield from _cell(looks.get(heading, {}), place, values.get(name))


def _cell(look: Mapping[str, Any], place: Frame, value: float | None) -> Iterator[str]:
    if value is None:
        return
    words, colour = shown(look, value)
    ink = shapes.INK
    if look:
        background = shapes.colour(colour)
        ink = shapes.on(background)
        yield box(place.x + 1, place.y + 2, place.width - 2, place.height - 3, background)
    yield text(place.x + place.width / 2, place.y + 22, words, 13, ink, MIDDLE)


def journal(_: Panel, frame: Frame, record: Record) -> Iterator[str]:
    """Yield the last lines, the newest first, as many as there is room for."""
    lines = sorted(record.journal, reverse=True)[: int(frame.height // _LINE)]
    for row, (at, node, event, sentence) in enumerate(lines):
        y = frame.y + 12 + row * _LINE
        yield text(frame.x, y, shapes.clock(at), 12, shapes.FAINT)
        yield text(frame.x + 70, y, shapes.cut(f"{node} {event}: {sentence}", frame.width - 70, 12), 12)


KINDS: Final[Mapping[str, Callable[[Panel, Frame, Record], Iterator[str]]]] = {
    "heatmap": heat,
    "table": table,
    "logs": journal,
}
