"""Each rule of dashboards/alerts, by promtool: a pair that is well is silent, each trouble has exactly its own alerts.

A case is what differs from a pair that is well, and at which minute what fires. Values are promtool's: `1x30` is 1 for thirty
minutes, `0+2x30` rises by 2 each minute, `_x5` is missing for five.
"""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from skd_cluster.adapters.metrics import Exposition
from skd_cluster.cli.main import VERBS
from skd_cluster.config.schema import KEYS
from skd_cluster.core.events import EVENTS
from skd_cluster.core.model import Fault, Nanos
from skd_cluster.core.status import Snapshot
from tests.lab.runbooks import SCENES, first_command, seen_part
from tests.labkit.monitoring import squeezed

REPOSITORY = Path(__file__).parents[2]
RULES = REPOSITORY / "dashboards" / "alerts" / "skd-cluster.rules.yaml"
EXAMPLE = RULES.with_name("alertmanager.yaml")
RUNBOOKS = REPOSITORY / "docs" / "runbooks"
DOCUMENT = yaml.safe_load(RULES.read_text())
ALERTS = {rule["alert"]: rule for group in DOCUMENT["groups"] for rule in group["rules"] if "alert" in rule}
RECORDS = {rule["record"] for group in DOCUMENT["groups"] for rule in group["rules"] if "record" in rule}

LONG = "x90"
PAIR = "10.77.0.1,10.77.0.2"
ADDRESS = "10.77.0.100"


def well(node):
    master = node == "lb1"
    found = {
        f'pair_info{{pair="{PAIR}",node="{node}"}}': "1",
        'build_info{version="3.0.0"}': "1",
        **{f'fault{{fault="{fault}"}}': "0" for fault in Fault},
        'failovers_total{to="master",reason="peer_silent"}': "3",
        'failovers_total{to="backup",reason="command"}': "3",
        "start_time_seconds": "1000",
        "crashes_total": "2",
        "epoch": "7",
        "peer_up": "1",
        "peer_hears_us": "1",
        "dead_interval_seconds": "0.6125",
        'advertisement_jitter_seconds_bucket{le="0.25"}': "0+300",
        'advertisement_jitter_seconds_bucket{le="1.0"}': "0+300",
        'advertisement_jitter_seconds_bucket{le="+Inf"}': "0+300",
        'takeover_seconds_bucket{le="0.5"}': "3",
        'takeover_seconds_bucket{le="0.75"}': "3",
        'takeover_seconds_bucket{le="+Inf"}': "3",
        "replication_oldest_pending_seconds": "0",
        "replication_in_sync": "1",
        'replication_runs_total{result="ok"}': "0+5",
        'replication_runs_total{result="failed"}': "2",
        'replication_runs_total{result="refused"}': "0",
        "elector_lateness_seconds_count": "0+600",
        'elector_lateness_seconds_bucket{le="0.1"}': "0+600",
        "realtime_scheduling": "1",
        'hook_failures_total{hook="up"}': "1",
        'check_healthy{check="web"}': "1",
        "config_last_reload_successful": "1",
        "conflicts": "0",
        "drift_conflicts": "0",
        "gate_refusals_total": "4",
        'advertisements_dropped_total{reason="bad_key"}': "7",
        'advertisements_dropped_total{reason="duplicate"}': "0+600",
        "foreign_arp_total": "1",
    }
    values = {(node, name): f"{value}{LONG}" if "+" in value else f"{value}+0{LONG}" for name, value in found.items()}
    return values | role(node, "master" if master else "backup")


def role(node, word):
    words = ("master", "backup", "fault", "standby")
    held = {(node, f'address_held{{address="{ADDRESS}"}}'): f"{int(word == 'master')}+0{LONG}"}
    return {(node, f'role{{role="{one}"}}'): f"{int(one == word)}+0{LONG}" for one in words} | held


def gone(node, after=5):
    return {key: value.replace(LONG, f"x{after}") + " stale" for key, value in well(node).items()}


CASES = [
    ("a pair that is well", {}, {}),
    (
        "no master",
        role("lb1", "backup"),
        {"0m": {}, "5m": {"SkdClusterNoMaster": 1, "SkdClusterAddressMissing": 1}},
    ),
    (
        "a master without the address",
        {("lb1", f'address_held{{address="{ADDRESS}"}}'): "1x5 0x20 1x60"},
        {"5m": {}, "7m": {"SkdClusterAddressMissing": 1}, "30m": {}},
    ),
    (
        "the address is on both",
        {("lb2", f'address_held{{address="{ADDRESS}"}}'): f"1{LONG}"},
        {"0m": {}, "1m": {"SkdClusterAddressOnBackup": 1}},
    ),
    ("two masters", {**role("lb2", "master")}, {"0m": {}, "1m": {"SkdClusterTwoMasters": 1}}),
    (
        "the backup is off",
        gone("lb2") | {("lb1", "peer_up"): "1x5 0x85"},
        {"4m": {}, "7m": {"SkdClusterPeerDown": 1}, "9m": {"SkdClusterPeerDown": 1, "SkdClusterNodeMissing": 1}},
    ),
    (
        "both are off",
        gone("lb1") | gone("lb2"),
        {"4m": {}, "8m": {"SkdClusterPairMissing": 1}},
    ),
    (
        "the backup does not hear",
        {("lb2", "peer_up"): f"0{LONG}"},
        {
            "0m": {},
            "1m": {"SkdClusterPeerDown": 1},
            "3m": {"SkdClusterPeerDown": 1, "SkdClusterBackupNotReady": 1},
        },
    ),
    (
        "packets come late",
        {("lb2", 'advertisement_jitter_seconds_bucket{le="0.25"}'): "0+300x5 1799+299x80"},
        {"5m": {}, "9m": {"SkdClusterJitterHigh": 1}},
    ),
    (
        "packets come late, and nobody minds at this pace",
        {
            ("lb2", 'advertisement_jitter_seconds_bucket{le="0.25"}'): "0+300x5 1799+299x80",
            ("lb2", "dead_interval_seconds"): f"30.6{LONG}",
        },
        {"5m": {}, "9m": {}},
    ),
    (
        "the backup is not heard by the master",
        {("lb2", "peer_hears_us"): f"0{LONG}"},
        {"1m": {}, "3m": {"SkdClusterBackupNotReady": 1}},
    ),
    (
        "a fault on the backup",
        role("lb2", "fault") | {("lb2", 'fault{fault="interface"}'): f"1{LONG}"},
        {"0m": {}, "1m": {"SkdClusterFault": 1}, "3m": {"SkdClusterFault": 1, "SkdClusterBackupNotReady": 1}},
    ),
    (
        "standby, forgotten",
        role("lb2", "standby"),
        {
            "1m": {},
            "30m": {"SkdClusterBackupNotReady": 1},
            "61m": {"SkdClusterBackupNotReady": 1, "SkdClusterStandby": 1},
        },
    ),
    (
        "three failovers in an hour",
        {("lb1", 'failovers_total{to="master",reason="peer_silent"}'): "0x9 1x19 2x19 3x40"},
        {"35m": {}, "55m": {}},
    ),
    (
        "they take over from each other",
        {(node, 'failovers_total{to="master",reason="peer_silent"}'): "0x5 1 2 3 4 4x60" for node in ("lb1", "lb2")},
        {"5m": {}, "10m": {"SkdClusterFlapping": 1}, "40m": {}},
    ),
    ("one restart", {("lb1", "start_time_seconds"): "1000x10 2000x60"}, {"11m": {}}),
    (
        "restarted by systemd again and again",
        {("lb1", "start_time_seconds"): "1000x5 2000 3000 4000 4000x60"},
        {"5m": {}, "10m": {"SkdClusterRestarting": 1}, "40m": {}},
    ),
    (
        "ended by the watchdog",
        {("lb1", "start_time_seconds"): "1000x10 2000x80", ("lb1", "crashes_total"): "2x10 3x80"},
        {"10m": {}, "12m": {"SkdClusterCrashed": 1}, "80m": {}},
    ),
    (
        "a change does not arrive",
        {("lb1", "replication_oldest_pending_seconds"): "0x5 0+60x10 0x60"},
        {"5m": {}, "8m": {"SkdClusterReplicationLag": 1}, "20m": {}},
    ),
    (
        "one that is large",
        {("lb1", "replication_oldest_pending_seconds"): "0x5 9 0x80"},
        {"6m": {}, "8m": {}},
    ),
    (
        "half an upgrade",
        {
            ("lb2", 'build_info{version="3.0.0"}'): "1x5 stale",
            ("lb2", 'build_info{version="3.1.0"}'): f"_x5 1{LONG}",
        },
        {"5m": {}, "50m": {}, "80m": {"SkdClusterVersionsDiffer": 1}},
    ),
    ("out of sync", {("lb1", "replication_in_sync"): f"0{LONG}"}, {"4m": {}, "6m": {"SkdClusterNotInSync": 1}}),
    ("out of sync for a moment", {("lb1", "replication_in_sync"): "1x5 0x3 1x60"}, {"8m": {}, "15m": {}}),
    ("a backup that does not know", {("lb2", "replication_in_sync"): f"0{LONG}"}, {"30m": {}}),
    (
        "replication fails",
        {("lb1", 'replication_runs_total{result="failed"}'): "2x5 2+1x85"},
        {"5m": {}, "15m": {"SkdClusterReplicationFailing": 1}},
    ),
    (
        "replication is refused",
        {("lb1", 'replication_runs_total{result="refused"}'): "0x5 0+1x20 20x60"},
        {"5m": {}, "15m": {"SkdClusterReplicationFailing": 1}, "60m": {}},
    ),
    (
        "the host takes the processor away",
        {("lb1", 'elector_lateness_seconds_bucket{le="0.1"}'): "0+600x5 3000+590x80"},
        {"4m": {}, "12m": {"SkdClusterElectorLate": 1}},
    ),
    (
        "no real-time scheduling",
        {("lb2", "realtime_scheduling"): f"0{LONG}"},
        {"4m": {}, "6m": {"SkdClusterNotRealtime": 1}},
    ),
    (
        "a hook fails",
        {("lb1", 'hook_failures_total{hook="up"}'): "1x5 2x80"},
        {"5m": {}, "7m": {"SkdClusterHookFailing": 1}, "30m": {}},
    ),
    (
        "a check fails",
        {("lb1", 'check_healthy{check="web"}'): f"0{LONG}"},
        {"0m": {}, "1m": {"SkdClusterCheckFailing": 1}},
    ),
    (
        "a file with errors",
        {("lb1", "config_last_reload_successful"): f"0{LONG}"},
        {"0m": {}, "2m": {"SkdClusterReloadFailed": 1}},
    ),
    ("a conflict waits", {("lb2", "conflicts"): f"2{LONG}"}, {"0m": {}, "2m": {"SkdClusterConflict": 1}}),
    (
        "edited on the backup",
        {("lb2", "conflicts"): f"1{LONG}", ("lb2", "drift_conflicts"): f"1{LONG}"},
        {"0m": {}, "2m": {"SkdClusterDrift": 1}},
    ),
    (
        "the key was tried",
        {("lb2", "gate_refusals_total"): "4x5 5x85"},
        {"5m": {}, "7m": {"SkdClusterGateRefused": 1}, "80m": {}},
    ),
    (
        "another password",
        {("lb2", 'advertisements_dropped_total{reason="bad_key"}'): f"7+300{LONG}"},
        {"0m": {}, "3m": {"SkdClusterBadKey": 1}},
    ),
    (
        "two masters met a moment ago",
        {("lb1", "foreign_arp_total"): "1x5 2x80", ("lb1", "epoch"): "7x5 9x80"},
        {"5m": {}, "7m": {}, "30m": {}},
    ),
    (
        "two masters that do not know each other",
        {("lb1", "foreign_arp_total"): "1x5 2x80", ("lb2", 'role{role="master"}'): "0x4 1x2 0x80"},
        {"8m": {}, "20m": {}, "30m": {}},
    ),
    (
        "somebody else has the address",
        {("lb1", "foreign_arp_total"): "1x5 2x80"},
        {"5m": {}, "7m": {"SkdClusterForeignArp": 1}, "30m": {}},
    ),
]


def series(found):
    rows = []
    for (node, name), values in found.items():
        full, _, labels = f"skd_cluster_{name}".partition("{")
        own = labels.removesuffix("}")
        rows.append({"series": f'{full}{{job="skd",instance="{node}"{own and f",{own}"}}}', "values": values})
    return rows


RECORDED = [
    # what differs from a pair that is well, the minute, and what a question gives then: by pair
    ("skd_cluster:pair_masters", {}, {}, "5m", 1),
    ("skd_cluster:pair_masters", role("lb2", "master"), {}, "5m", 2),
    ("skd_cluster:pair_nodes", {}, {}, "5m", 2),
    ("skd_cluster:pair_nodes", gone("lb2"), {}, "9m", 1),
    ("skd_cluster:pair_ready_backups", {}, {}, "5m", 1),
    ("skd_cluster:pair_ready_backups", role("lb2", "fault"), {}, "5m", 0),
    ("skd_cluster:pair_address_held", {}, {"address": ADDRESS}, "5m", 1),
    ("skd_cluster:pair_address_held", role("lb1", "backup"), {"address": ADDRESS}, "5m", 0),
    ("skd_cluster:address_available", {}, {"address": ADDRESS}, "5m", 1),
    ("skd_cluster:address_available", role("lb1", "backup"), {"address": ADDRESS}, "5m", 0),
    ("skd_cluster:address_available", gone("lb2"), {"address": ADDRESS}, "9m", 1),
    ("skd_cluster:address_available", gone("lb1") | gone("lb2"), {"address": ADDRESS}, "9m", 0),
    ("skd_cluster:address_availability:avg_30d", {}, {"address": ADDRESS}, "60m", 1),
    (
        "skd_cluster:address_availability:avg_30d",
        {("lb1", f'address_held{{address="{ADDRESS}"}}'): "1x29 0x60"},
        {"address": ADDRESS},
        "60m",
        0.5,
    ),
    ("skd_cluster:takeover_seconds:p99_30d", {}, {}, "60m", None),
    (
        "skd_cluster:takeover_seconds:p99_30d",
        {
            ("lb2", 'takeover_seconds_bucket{le="0.75"}'): "3x5 4x85",
            ("lb2", 'takeover_seconds_bucket{le="+Inf"}'): "3x5 4x85",
        },
        {},
        "60m",
        0.75,
    ),
]


def ask_promtool(folder, found, questions):
    """Have each question (expression, when, samples) answered as expected about these series."""
    tests = [
        {
            "expr": expression,
            "eval_time": at,
            "exp_samples": [
                {"labels": "{" + ",".join(f'{key}="{one}"' for key, one in labels.items()) + "}", "value": value}
                for labels, value in samples
            ],
        }
        for expression, at, samples in questions
    ]
    file = folder / "test.yaml"
    cases = {"rule_files": [str(RULES)], "evaluation_interval": "15s"}
    cases["tests"] = [{"interval": "1m", "input_series": series(found), "promql_expr_test": tests}]
    file.write_text(yaml.safe_dump(cases))
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def names(found):
    return {name.partition("{")[0] for _, name in found}


@pytest.mark.parametrize(("what", "differs", "expected"), CASES, ids=[case[0] for case in CASES])
def test_what_fires_and_what_does_not(what, differs, expected, tmp_path):
    assert names(differs) <= names(well("lb1"))
    questions = [
        (
            'count by (alertname) (ALERTS{alertstate="firing"})',
            at,
            [({"alertname": name}, count) for name, count in firing.items()],
        )
        for at, firing in (expected or {"1m": {}, "30m": {}, "80m": {}}).items()
    ]
    ask_promtool(tmp_path, well("lb1") | well("lb2") | differs, questions)


@pytest.mark.parametrize(("record", "differs", "labels", "at", "value"), RECORDED)
def test_what_is_recorded(record, differs, labels, at, value, tmp_path):
    samples = [] if value is None else [({"pair": PAIR, **labels}, value)]
    ask_promtool(tmp_path, well("lb1") | well("lb2") | differs, [(f"round({record}, 0.01)", at, samples)])


def test_every_alert_has_a_case_in_which_it_fires_and_a_time_when_it_does_not():
    for name in ALERTS:
        own = [expected.values() for _, _, expected in CASES if any(name in firing for firing in expected.values())]
        assert own, f"{name} fires in no case"
        assert any(name not in firing for expected in own for firing in expected), f"{name} is never silent"
    assert {name for _, _, expected in CASES for firing in expected.values() for name in firing} == set(ALERTS)


def test_every_record_has_two_values():
    assert {record for record, *_ in RECORDED} == RECORDS
    for record in RECORDS:
        assert len({value for name, *_, value in RECORDED if name == record}) > 1, record


def test_each_alert_has_the_pair_by_which_alertmanager_groups():
    example = yaml.safe_load(EXAMPLE.read_text())
    for route in (example["route"], *example["route"]["routes"]):
        assert route["group_by"] == ["pair"]
    assert {name for rule in example["inhibit_rules"] for name in re.findall(r"SkdCluster\w+", str(rule))} <= set(
        ALERTS
    )
    for name, rule in ALERTS.items():
        assert re.search(
            r"by \(pair|skd_cluster:pair_|group_left \(pair, node\) skd_cluster_pair_info", rule["expr"]
        ), name


def test_amtool_accepts_the_example():
    done = subprocess.run(["amtool", "check-config", str(EXAMPLE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_the_rules():
    done = subprocess.run(["promtool", "check", "rules", str(RULES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_says_what_it_is_and_where_to_read_on():
    for name, rule in ALERTS.items():
        said = rule["annotations"]
        where = {"dashboard", "__dashboardUid__", "__panelId__"}  # tests/unit/test_dashboards.py
        assert set(said) == {"summary", "description", "runbook_url"} | where
        assert said["runbook_url"] == f"/usr/share/doc/skudonet-ce-cluster/runbooks/{name}.md"
        assert rule["labels"]["severity"] in ("critical", "warning", "info")


def test_each_alert_has_a_page_and_the_index_has_all():
    assert {file.stem for file in RUNBOOKS.glob("*.md")} - {"README"} == set(ALERTS)
    listed = re.findall(r"^\| \[(\w+)\]\(\1\.md\) \| (\w+) \|", (RUNBOOKS / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted((name, rule["labels"]["severity"]) for name, rule in ALERTS.items())


@pytest.mark.parametrize("name", ALERTS)
def test_a_page_begins_with_the_command_to_type(name):
    text = (RUNBOOKS / f"{name}.md").read_text()
    assert re.match(rf"# {name}\n\n    skd-cluster [^\n]+\n\n\S", text), text[:80]
    parts = ["What it means.", "What you see.", "What to do.", "It is over when"]
    assert re.findall(r"^\*\*(.+?)\*\*", text, re.MULTILINE) == parts


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda page: page.stem)
def test_pages_name_only_what_there_is(page):
    text = page.read_text()
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / link).resolve().exists(), link
    assert set(re.findall(r"(?:`|^    )skd-cluster (\w+)", text, re.MULTILINE)) <= set(VERBS)
    assert set(re.findall(r"SKD_EVENT=(\w+)", text)) <= set(EVENTS)
    assert set(re.findall(r"\$(\w+)", text)) <= set(KEYS)
    assert set(re.findall(r"SkdCluster\w+", text)) <= set(ALERTS)


def test_each_fault_is_named_on_the_page_of_faults():
    assert set(re.findall(r"`(\w+)`", (RUNBOOKS / "SkdClusterFault.md").read_text())) >= set(Fault)


def test_rules_ask_only_for_what_there_is():
    text = Exposition(lambda: Snapshot("", "", "", ""), lambda: Nanos(0)).text().decode()
    known = set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))
    known |= {f"{name}{end}" for name in known for end in ("_bucket", "_count", "_sum")}
    for rule in (rule for group in DOCUMENT["groups"] for rule in group["rules"]):
        assert set(re.findall(r"skd_cluster_\w+", rule["expr"])) <= known


def test_every_page_is_followed_in_the_lab_and_speaks_of_what_is_looked_for_there():
    told = [alert for scene in SCENES for alert in scene.shows]
    assert sorted(f"SkdCluster{alert}" for alert in told) == sorted(ALERTS)
    for scene in SCENES:
        for alert, (_, words, _) in scene.shows.items():
            assert [word for word in words if word not in seen_part(alert)] == []
            assert first_command(alert).startswith("skd-cluster ")


def test_the_lab_s_rules_differ_in_times_only():
    short = yaml.safe_load(squeezed(RULES.read_text()))
    times = r"\[\w+\]"
    for ours, theirs in zip(DOCUMENT["groups"], short["groups"], strict=True):
        for rule, other in zip(ours["rules"], theirs["rules"], strict=True):
            assert {key for key in rule if rule[key] != other[key]} <= {"for", "expr"}
            assert re.sub(times, "", rule["expr"]) == re.sub(times, "", other["expr"])
            assert other.get("for", "1s") in ("1s", "2s")
            assert set(re.findall(r"\[(\d+)s\]", other["expr"])) <= {"8", "9", "10", "11", "12"}
