"""The JSON files are what the code says, and ask only for metrics that there are."""

import json
import re
from pathlib import Path

import pytest

from skd_cluster.adapters.metrics import Exposition
from skd_cluster.core.model import Nanos
from skd_cluster.core.status import Snapshot

FOLDER = Path(__file__).parents[2] / "dashboards"
FILES = ("fleet.json", "pair.json")


def test_the_files_are_made_of_the_code():
    from dashboards.write import texts  # with a tool of development, which Debian has not got

    made = texts()
    assert set(made) == {one.name for one in FOLDER.glob("*.json")} == set(FILES)
    for name, text in made.items():
        assert (FOLDER / name).read_text() == text, f"dashboards/{name} is another: run script/dashboards"


@pytest.mark.parametrize("name", FILES)
def test_every_panel_has_a_description_and_asks_for_what_there_is(name):
    text = Exposition(lambda: Snapshot("", "", "", ""), lambda: Nanos(0)).text().decode()
    known = set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))
    known |= {f"{one}{end}" for one in known for end in ("_bucket", "_count", "_sum")}
    panels = [one for one in json.loads((FOLDER / name).read_text())["panels"] if one["type"] != "row"]
    assert len(panels) > 5
    for panel in panels:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        for target in panel["targets"]:
            assert set(re.findall(r"skd_cluster_\w+", target["expr"])) <= known, panel["title"]


@pytest.mark.parametrize("name", FILES)
def test_panels_do_not_overlap_and_have_numbers_of_their_own(name):
    panels = json.loads((FOLDER / name).read_text())["panels"]
    assert [one["id"] for one in panels] == list(range(1, len(panels) + 1))
    for one in panels:
        letters = [target["refId"] for target in one.get("targets", ())]
        assert letters == list("ABCDEFGH"[: len(letters)])
    places = [one["gridPos"] for one in panels]
    taken = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(taken) == len(set(taken))
    assert all(0 <= x < 24 for x, _ in taken)


def test_a_number_of_pairs_in_trouble_is_not_green():
    panels = json.loads((FOLDER / "fleet.json").read_text())["panels"]
    counts = [one for one in panels if one["type"] == "stat" and one["title"] != "Pairs"]
    assert len(counts) == 5
    for panel in counts:
        first, *more = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert first == {"color": "green", "value": None}
        assert [one["value"] for one in more] == [1], panel["title"]
        assert {one["color"] for one in more} <= {"red", "yellow"}
