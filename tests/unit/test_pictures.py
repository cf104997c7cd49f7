"""The pictures in docs/ are what the drawing code makes of what was recorded, and show every panel."""

import json
import re
from html import escape, unescape
from pathlib import Path

import pytest

from dashboards import cells
from dashboards.pictures import FOLDER, RECORD, pictures, recorded
from dashboards.plots import Frame, Record
from dashboards.screens import screens
from dashboards.shapes import cut, paths, said, ticks

MEND = "run script/dashboards --pictures, and --record first where panels ask for something else"
DASHBOARDS = Path(__file__).parents[2] / "dashboards"


@pytest.mark.parametrize("name", ["pair", "fleet"])
def test_a_dashboards_picture_is_what_is_drawn_of_the_record(name):
    drawn = pictures()[f"{name}.svg"]
    assert (FOLDER / f"{name}.svg").read_text() == drawn, f"docs/pictures/{name}.svg is another: {MEND}"


@pytest.mark.parametrize("name", ["pair", "fleet"])
def test_every_panel_is_drawn_with_data(name):
    picture = (FOLDER / f"{name}.svg").read_text()
    assert "No data" not in picture
    for panel in json.loads((DASHBOARDS / f"{name}.json").read_text())["panels"]:
        assert f">{escape(panel['title'])}</text>" in picture
        for target in panel.get("targets", ()):
            if target["datasource"]["type"] == "prometheus":
                assert target["expr"] in recorded()["answers"], f"{panel['title']}: {MEND}"


def test_a_heat_map_shows_what_is_between_two_bounds_and_no_rows_that_are_always_empty():
    panel = {"targets": [{"expr": "jitter"}], "options": {"yAxis": {"unit": "s"}}}
    up_to = {"0.001": 0, "0.01": 2, "0.1": 2, "1": 5, "10": 5, "+Inf": 5}
    answers = {"jitter": [{"labels": {"le": le}, "values": [count] * 120} for le, count in up_to.items()]}
    drawn = list(cells.heat(panel, Frame(0, 0, 300, 100), Record(0, 120, 1, answers)))
    assert [one for one in words("".join(drawn)).split() if one in ("ms", "s")] == ["ms", "ms", "s"]
    assert {float(one) for one in re.findall(r'fill-opacity="([\d.]+)"', "".join(drawn))} >= {1.0, 0.84}


def test_a_mark_is_where_something_begins():
    page = {"annotations": {"list": [{"expr": "changes"}]}}
    record = Record(100, 110, 2, {"changes": [{"values": [1, 1, None, 1, 1]}, {"values": [None, 1, None, 1, None]}]})
    assert record.marked(page).marks == [102, 106]


def test_a_terminals_picture_shows_what_is_drawn_of_the_record():
    """Not byte for byte: each version of rich writes another SVG."""
    made = screens(recorded())
    assert set(made) == {one.name for one in FOLDER.glob("watch-*.svg")}
    for name, picture in made.items():
        assert words(picture) == words((FOLDER / name).read_text()), f"docs/pictures/{name}: {MEND}"
        assert "heartbeat" in words(picture)


def words(picture: str) -> str:
    """Return all that can be read in a picture."""
    return " ".join(" ".join(unescape(one) for one in re.findall(r"<text[^>]*>([^<]*)</text>", picture)).split())


def test_pictures_fetch_nothing_and_are_small():
    for picture in FOLDER.glob("*.svg"):
        found = picture.read_text()
        assert set(re.findall(r"https?://[^\s\"']+", found)) == {"http://www.w3.org/2000/svg"}
        assert "@font-face" not in found
        assert len(found) < 400_000


def test_the_record_is_small_and_knows_only_the_labs_addresses_and_no_secret():
    assert RECORD.stat().st_size < 300_000
    found = json.dumps(recorded())
    addresses = set(re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", found))
    assert addresses <= {"10.77.0.1", "10.77.0.2", "10.77.0.3", "10.77.0.4", "10.77.0.50", "10.77.0.100", "10.77.0.101"}
    assert '"secret' not in found
    assert "PRIVATE KEY" not in found


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (0.00123, "s", "1.23 ms"),
        (0.000045, "s", "45 µs"),
        (0, "s", "0 s"),
        (1.5, "s", "1.5 s"),
        (90, "s", "1.5 min"),
        (10.04, "pps", "10 p/s"),
        (2, "short", "2"),
    ],
)
def test_numbers_have_the_unit_that_reads_best(value, unit, words):
    assert said(value, unit) == words


@pytest.mark.parametrize(
    ("most", "marks"),
    [(0, [0, 1]), (1, [0, 0.25, 0.5, 0.75, 1]), (0.0101, [0, 0.005, 0.01, 0.015]), (7, [0, 2, 4, 6, 8])],
)
def test_an_axis_has_round_numbers_up_to_the_greatest_value(most, marks):
    assert ticks(most) == pytest.approx(marks)


def test_a_line_breaks_where_there_is_no_number():
    assert list(paths([None, (0, 1), (1, 2), None, (3, 3)])) == [[(0, 1), (1, 2)], [(3, 3)]]


def test_words_that_do_not_fit_are_cut():
    assert cut("lateness", 100) == "lateness"
    assert cut("lateness of the elector", 60).endswith("…")
