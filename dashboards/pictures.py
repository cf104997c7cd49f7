"""Draw the dashboards as they look in Grafana, from what a real Prometheus answered to their queries in the lab."""

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from dashboards import cells, shapes
from dashboards.plots import SMALL, Frame, Line, Record, names, rows_for, shown, times
from dashboards.screens import screens
from dashboards.shapes import BOLD, END, MIDDLE, box, text

FOLDER: Final = Path(__file__).parents[1] / "docs" / "pictures"
RECORD: Final = FOLDER / "recorded.json.gz"

_COLUMN, _ROW, _GAP, _HEAD = 58, 34, 8, 52
_EDGE = 10
_BOLD: Final = 1.1
"""How much wider bold letters are."""


def recorded() -> dict[str, Any]:
    """Return all that was recorded."""
    found: dict[str, Any] = json.loads(gzip.decompress(RECORD.read_bytes()))
    return found


def draw(page: Mapping[str, Any], record: Record) -> str:
    """Return the picture of a dashboard."""
    panels, record = page["panels"], record.marked(page)
    width = 24 * _COLUMN + _GAP
    height = _HEAD + _ROW * max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in panels) + _GAP
    about = f"recorded in the lab, {shapes.clock(record.start)} to {shapes.clock(record.end)} UTC"
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
            ' font-family="Inter, Helvetica, Arial, sans-serif">'
        ),
        f"<title>{escape(page['title'])}</title>",
        box(0, 0, width, height, shapes.PAGE),
        text(16, 33, page["title"], 20, more=BOLD),
        text(width - 16, 33, about, 13, shapes.FAINT, END),
    ]
    for panel in panels:
        lines += _panel(panel, record)
    return "\n".join([*lines, "</svg>", ""])


def _panel(panel: Mapping[str, Any], record: Record) -> Iterator[str]:
    place = panel["gridPos"]
    x, y = place["x"] * _COLUMN + _GAP, place["y"] * _ROW + _HEAD
    if panel["type"] == "row":
        yield text(x + 2, y + 22, panel["title"], 15, more=BOLD)
        return
    frame = Frame(x, y, place["w"] * _COLUMN - _GAP, place["h"] * _ROW - _GAP)
    yield box(frame.x, frame.y, frame.width, frame.height, shapes.PANEL, f' rx="3" stroke="{shapes.BORDER}"')
    yield text(
        frame.x + _EDGE, frame.y + 20, shapes.cut(panel["title"], (frame.width - 2 * _EDGE) / _BOLD, 13), 13, more=BOLD
    )
    inner = Frame(frame.x + _EDGE, frame.y + 32, frame.width - 2 * _EDGE, frame.height - 32 - _EDGE)
    if panel["type"] in cells.KINDS:
        yield from cells.KINDS[panel["type"]](panel, inner, record)
        return
    lines = record.lines(panel)
    if not any(line.last is not None for line in lines):
        nothing = panel["fieldConfig"]["defaults"].get("noValue", "No data")
        yield text(frame.x + frame.width / 2, frame.y + frame.height / 2, nothing, 14, shapes.FAINT, MIDDLE)
        return
    kinds = {"stat": _stat, "state-timeline": _timeline, "timeseries": _graph}
    yield from kinds[panel["type"]](panel["fieldConfig"]["defaults"], inner, lines, record)


# --- numbers ---------------------------------------------------------------------------------


def _stat(config: Mapping[str, Any], frame: Frame, lines: Sequence[Line], _: Record) -> Iterator[str]:
    width = (frame.width - 4 * (len(lines) - 1)) / len(lines)
    for number, line in enumerate(lines):
        x = frame.x + number * (width + 4)
        words, colour = shown(config, line.last)
        background = shapes.colour(colour)
        ink = shapes.on(background)
        yield box(x, frame.y, width, frame.height, background, ' rx="3"')
        size = next(
            one for one in (34, 28, 24, 20, 16, 13) if shapes.width_of(words, one) * _BOLD < width - 8 or one == 13
        )
        yield text(x + width / 2, frame.y + 18, line.legend, 13, ink, MIDDLE)
        yield text(x + width / 2, frame.y + frame.height / 2 + 20, words, size, ink, MIDDLE + BOLD)


# --- states ----------------------------------------------------------------------------------


def _timeline(config: Mapping[str, Any], frame: Frame, lines: Sequence[Line], record: Record) -> Iterator[str]:
    widest = max(shapes.width_of(line.legend, SMALL) for line in lines)
    left = min(widest + 8, frame.width * 0.4)
    body = Frame(frame.x + left, frame.y, frame.width - left, frame.height - 40)
    height = body.height / len(lines)
    yield from times(body, record)
    for number, line in enumerate(lines):
        y = body.y + number * height
        label = shapes.cut(line.legend, left - 8, SMALL)
        yield text(body.x - 8, y + height / 2 + 4, label, SMALL, shapes.FAINT, END)
        for begin, end, value in _stretches(line.values):
            words, colour = shown(config, value)
            x = body.x + begin * body.width / len(line.values)
            width = (end - begin) * body.width / len(line.values)
            yield box(x, y + height * 0.08, width, height * 0.84, shapes.colour(colour), ' fill-opacity="0.75"')
            if shapes.width_of(words, SMALL) < width - 6 and height > 13:
                yield text(x + 4, y + height / 2 + 4, words, SMALL, shapes.on(shapes.colour(colour)))
    yield from _states(config, frame, {value for line in lines for value in line.values if value is not None})


def _stretches(values: Sequence[float | None]) -> Iterator[tuple[int, int, float]]:
    """Yield from where to where the same number stays."""
    begin = 0
    for end in range(1, len(values) + 1):
        if end == len(values) or values[end] != values[begin]:
            if (value := values[begin]) is not None:
                yield begin, end, value
            begin = end


def _states(config: Mapping[str, Any], frame: Frame, values: set[float]) -> Iterator[str]:
    yield from names(frame, [shown(config, value) for value in sorted(values)], 1)


# --- graphs ----------------------------------------------------------------------------------


def _graph(config: Mapping[str, Any], frame: Frame, lines: Sequence[Line], record: Record) -> Iterator[str]:
    lines = [line for line in lines if line.last is not None]
    rows = rows_for(frame.width, [line.legend for line in lines])
    unit = config.get("unit", "")
    marks = shapes.ticks(max((value for line in lines for value in line.values if value is not None), default=1.0))
    left = max(shapes.width_of(shapes.said(one, unit), SMALL) for one in marks) + 8
    body = Frame(frame.x + left, frame.y, frame.width - left, frame.height - 22 - 16 * rows)
    for mark in marks:
        y = body.y + body.height * (1 - mark / marks[-1])
        yield box(body.x, y, body.width, 1, shapes.GRID)
        yield text(body.x - 6, y + 4, shapes.said(mark, unit), SMALL, shapes.FAINT, END)
    yield from times(body, record)
    for number, line in enumerate(lines):
        yield from _curve(body, line.values, marks[-1], shapes.LINES[number % len(shapes.LINES)])
    named = [(line.legend, shapes.LINES[number % len(shapes.LINES)]) for number, line in enumerate(lines)]
    yield from names(frame, named, rows)


def _curve(body: Frame, values: Sequence[float | None], top: float, colour: str) -> Iterator[str]:
    step = body.width / max(1, len(values) - 1)
    bottom = body.y + body.height
    points = [
        None if value is None else (body.x + number * step, bottom - body.height * value / top)
        for number, value in enumerate(values)
    ]
    for piece in shapes.paths(points):
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in piece)
        if len(piece) == 1:
            yield f'<circle cx="{piece[0][0]:.1f}" cy="{piece[0][1]:.1f}" r="2" fill="{colour}"/>'
            continue
        ends = f"{piece[-1][0]:.1f},{bottom:.1f} {piece[0][0]:.1f},{bottom:.1f}"
        yield f'<polygon points="{drawn} {ends}" fill="{colour}" fill-opacity="0.1"/>'
        yield f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="1.3"/>'


def pictures() -> dict[str, str]:
    """Return each dashboard's picture by the name of its file."""
    found = recorded()
    record = Record(found["start"], found["end"], found["step"], found["answers"], found["journal"])
    folder = Path(__file__).parent
    return {
        f"{name}.svg": draw(json.loads((folder / f"{name}.json").read_text()), record) for name in ("pair", "fleet")
    }


def main() -> None:
    """Write them."""
    for name, picture in {**pictures(), **screens(recorded())}.items():
        (FOLDER / name).write_text(picture)


if __name__ == "__main__":
    main()
