"""The JSON files are what the code says, ask only for what there is, and lead only to what there is."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from skd_cluster.adapters.metrics import Exposition
from skd_cluster.core.events import reference as logging_reference
from skd_cluster.core.model import Nanos
from skd_cluster.core.status import Snapshot

REPOSITORY = Path(__file__).parents[2]
FOLDER = REPOSITORY / "dashboards"
FILES = ("fleet.json", "pair.json")
RULES = FOLDER / "alerts.yaml"
RUNBOOKS = REPOSITORY / "docs" / "runbooks.md"

NUMBERS = {
    "pair.json": """
        11 Role, 12 The other could take over now, 13 Faults, 14 Has that role since,
        21 Masters, 22 Roles, 23 Why roles changed,
        31 Floating addresses, 32 Faults and checks, 33 Takeovers,
        41 In sync, 42 From a change to the peer's confirmation, 43 Changes that wait, 44 Batches sent,
        51 History, 52 Conflicts that wait, 53 Strangers,
        61 Jitter of the peer's advertisements, 62 Loss, 63 Lateness of the elector, 64 Advertisements,
        71 Hooks, 72 Hooks that failed, 81 Journal
    """,
    "fleet.json": """
        11 Pairs, 12 No metrics, 13 No master, 14 Two masters, 15 No ready backup, 16 Not in sync, 17 Faults, 18 Conflicts,
        21 Pairs, 31 Pairs that need somebody, 41 Takeovers, 42 The latest electors (p99), 43 Versions
    """,
}
"""Alerts, bookmarks and other people's dashboards name panels by number. Add, but never renumber."""


def page(name):
    return json.loads((FOLDER / name).read_text())


def panels(name):
    return [one for one in page(name)["panels"] if one["type"] != "row"]


def known_metrics():
    text = Exposition(lambda: Snapshot("", "", "", ""), lambda: Nanos(0)).text().decode()
    known = set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))
    return known | {f"{one}{end}" for one in known for end in ("_bucket", "_count", "_sum")}


def test_the_files_are_made_of_the_code():
    from dashboards.write import texts  # with a tool of development, which Debian has not got

    made = texts()
    assert set(made) == {one.name for one in FOLDER.glob("*.json")} == set(FILES)
    for name, text in made.items():
        assert (FOLDER / name).read_text() == text, f"dashboards/{name} is another: run script/dashboards"


@pytest.mark.parametrize("name", FILES)
def test_every_panel_has_a_description_and_asks_for_what_there_is(name):
    found = [one for one in panels(name) if one["type"] != "logs"]
    assert len(found) > 5
    for panel in found:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"]
            assert set(re.findall(r"skd_cluster_\w+", target["expr"])) <= known_metrics(), panel["title"]


@pytest.mark.parametrize("name", FILES)
def test_panels_keep_their_numbers(name):
    wanted = {int(one.split()[0]): one.split(maxsplit=1)[1] for one in re.split(r",\s+", NUMBERS[name].strip())}
    found = {one["id"]: one["title"].replace(", p99", " (p99)") for one in panels(name)}
    assert found == wanted


@pytest.mark.parametrize("name", FILES)
def test_panels_do_not_overlap(name):
    found = page(name)["panels"]
    assert len({one["id"] for one in found}) == len(found)
    for one in found:
        letters = [target["refId"] for target in one.get("targets", ())]
        assert letters == list("ABCDEFGH"[: len(letters)])
    places = [one["gridPos"] for one in found]
    taken = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(taken) == len(set(taken))
    assert all(0 <= x < 24 for x, _ in taken)


def test_a_number_of_pairs_in_trouble_is_not_green():
    counts = [one for one in panels("fleet.json") if one["type"] == "stat" and one["title"] != "Pairs"]
    assert len(counts) == 7
    for panel in counts:
        first, *more = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert first == {"color": "green", "value": None}
        assert [one["value"] for one in more] == [1], panel["title"]
        assert {one["color"] for one in more} <= {"red", "yellow"}


@pytest.mark.parametrize("name", FILES)
def test_what_is_chosen_is_used_and_what_is_used_can_be_chosen(name):
    variables = {one["name"]: one for one in page(name)["templating"]["list"]}
    rest = json.dumps({**page(name), "templating": [one["query"] for one in variables.values()]})
    used = {one for one in re.findall(r"\$\{?(\w+)", rest) if not one.startswith("__")}
    assert used == set(variables)
    for variable in variables.values():
        if variable["type"] == "query":
            assert set(re.findall(r"skd_cluster_\w+", variable["query"])) <= known_metrics()


def test_every_panel_of_a_pair_shows_the_chosen_nodes():
    for panel in panels("pair.json"):
        for target in panel["targets"]:
            assert ('node=~"$node"' in target["expr"]) is (panel["title"] != "Masters")


def test_role_changes_are_marked():
    (marks,) = page("pair.json")["annotations"]["list"]
    assert marks["enable"]
    assert "skd_cluster_failovers_total" in marks["expr"]
    assert (marks["titleFormat"], marks["textFormat"]) == ("{{node}} is {{to}}", "{{reason}}")


def test_the_heat_map_takes_the_buckets_as_they_are():
    (panel,) = [one for one in panels("pair.json") if one["type"] == "heatmap"]
    (target,) = panel["targets"]
    assert target["format"] == "heatmap"
    assert target["legendFormat"] == "{{le}}"
    assert target["expr"].startswith("sum by (le) (")
    assert panel["options"]["calculate"] is False


def test_the_journal_is_asked_for_in_logql_by_our_unit_and_a_field_that_there_is():
    """As far as it can be seen without Loki: a selector, and stages that hand on what the next one reads."""
    (panel,) = [one for one in panels("pair.json") if one["type"] == "logs"]
    (target,) = panel["targets"]
    assert panel["datasource"] == target["datasource"] == {"type": "loki", "uid": "${logs}"}
    selector, *stages = target["expr"].split(" | ")
    matchers = dict(re.findall(r'(\w+)=~?"([^"]+)"', selector))
    assert re.fullmatch(r'\{(\w+=~?"[^"]+"(, )?)+\}', selector)
    assert (REPOSITORY / "units" / matchers["unit"]).exists()
    assert matchers["node"] == "$node"
    parse, select, form = stages
    fields = dict(re.findall(r'(\w+)="(\w+)"', parse.removeprefix("json ")))
    assert parse == "json " + ", ".join(f'{label}="{field}"' for label, field in fields.items())
    assert all(f"`{field}`" in logging_reference() for field in fields.values())
    assert select == 'event=~"$event"'
    assert set(re.findall(r"\{\{\.(\w+)\}\}", form)) <= {*fields, *matchers}
    promised = (REPOSITORY / "docs" / "monitoring.md").read_text()
    assert all(f'target_label = "{label}"' in promised for label in matchers), "what makes these labels"


# --- ways from one thing to another ----------------------------------------------------------


def links(found):
    """Yield every URL, wherever it is."""
    if isinstance(found, dict):
        yield from [found["url"]] if "url" in found else []
        found = list(found.values())
    if isinstance(found, list):
        for one in found:
            yield from links(one)


def test_each_dashboard_leads_to_the_other_and_a_pair_of_the_fleet_to_its_page():
    pages = {name: page(name) for name in FILES}
    uids = {one["uid"] for one in pages.values()}
    assert uids == {"skd-cluster-pair", "skd-cluster-fleet"}
    for name, one in pages.items():
        ways = [found for found in links(one) if found]
        assert {re.fullmatch(r"/d/([\w-]+)\?.*", found)[1] for found in ways} == uids - {one["uid"]}, name
        assert all("var-datasource=${datasource}" in found for found in ways)
    (listing,) = [one for one in panels("fleet.json") if one["type"] == "table"]
    (look,) = [one for one in listing["fieldConfig"]["overrides"] if one["matcher"]["options"] == "Pair"]
    assert "var-pair=${__value.raw}" in next(links(look))


def test_every_alert_has_one_panel_which_links_to_its_runbook():
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    anchors = {one.lower() for one in re.findall(r"^## (\w+)$", RUNBOOKS.read_text(), re.MULTILINE)}
    descriptions = [panel["description"] for name in FILES for panel in panels(name)]
    found = re.findall(r"\[(\w+)\]\(\$\{runbooks\}#(\w+)\)", "\n".join(descriptions))
    assert sorted(alert for alert, _ in found) == sorted(rule["alert"] for rule in rules if "alert" in rule)
    assert all(anchor == alert.lower() and anchor in anchors for alert, anchor in found)


# --- what the page of all pairs says, by promtool --------------------------------------------

WELL = {"role/master": (1, 0), "role/backup": (0, 1), "in_sync": (1, 1), "fault": (0, 0), "conflicts": (0, 0)}
CASES = {
    "well": (0, {}),
    "waiting": (1, {"conflicts": (1, 1)}),
    "late": (1, {"in_sync": (0, 0)}),
    "lame": (2, {"role/backup": (0, 0), "fault": (0, 1)}),
    "alone": (2, {}),
    "torn": (3, {"role/master": (1, 1), "role/backup": (0, 0)}),
    "headless": (3, {"role/master": (0, 0), "in_sync": (0, 0)}),
    "gone": (4, {}),
}
METRICS = {
    "role/master": 'role{role="master",',
    "role/backup": 'role{role="backup",',
    "in_sync": "replication_in_sync{",
    "fault": 'fault{fault="check",',
    "conflicts": "conflicts{",
}


def series():
    """Yield what Prometheus has of a pair for each case: for ten minutes, or for five where it is gone."""
    for pair, (_, changes) in CASES.items():
        for number, node in enumerate("ab"):
            if (pair, node) == ("alone", "b"):
                continue
            who = f'job="skd-cluster",instance="{pair}-{node}"'
            values = {METRICS[key]: both[number] for key, both in {**WELL, **changes}.items()}
            values |= {"peer_up{": 1, "peer_hears_us{": 1, f'pair_info{{pair="{pair}",node="{node}",': 1}
            for name, value in values.items():
                ends = f"{value}x5 stale" if pair == "gone" else f"{value}x10"
                yield {"series": f"skd_cluster_{name}{who}}}", "values": ends}


def asked(panel, letter="A"):
    (found,) = [one for one in panels("fleet.json") if one["id"] == panel]
    (target,) = [one for one in found["targets"] if one["refId"] == letter]
    return target["expr"].replace("$__range", "15m").replace("$__rate_interval", "1m")


def test_the_worst_that_is_true_of_a_pair_is_said_of_it(tmp_path):
    states = {pair: state for pair, (state, _) in CASES.items()}
    counts = {11: 7, 12: 1, 13: 1, 14: 1, 15: 3, 16: 1, 17: 1, 18: 1}

    def expected(wanted):
        return [{"labels": f'{{pair="{pair}"}}', "value": value} for pair, value in wanted.items()]

    questions = [
        {"expr": asked(21), "eval_time": "10m", "exp_samples": expected(states)},
        {
            "expr": asked(31),
            "eval_time": "10m",
            "exp_samples": expected({pair: value for pair, value in states.items() if value}),
        },
        *(
            {"expr": asked(panel), "eval_time": "10m", "exp_samples": [{"labels": "{}", "value": value}]}
            for panel, value in counts.items()
        ),
    ]
    story = {
        "rule_files": [],
        "tests": [{"interval": "1m", "input_series": list(series()), "promql_expr_test": questions}],
    }
    (tmp_path / "story.yaml").write_text(yaml.safe_dump(story))
    command = ["promtool", "test", "rules", tmp_path / "story.yaml"]
    found = subprocess.run(command, check=False, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
