"""Each alert of dashboards/alerts.yaml, by promtool: a pair that is well is silent, each trouble has exactly its own alerts.

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

REPOSITORY = Path(__file__).parents[2]
RULES = REPOSITORY / "dashboards" / "alerts.yaml"
RUNBOOKS = REPOSITORY / "docs" / "runbooks.md"
DOCUMENT = yaml.safe_load(RULES.read_text())
ALERTS = {rule["alert"]: rule for group in DOCUMENT["groups"] for rule in group["rules"] if "alert" in rule}

LONG = "x90"


def well(node):
    master = int(node == "lb1")
    roles = {"master": master, "backup": 1 - master, "fault": 0, "standby": 0}
    found = {
        f'pair_info{{pair="10.77.0.1,10.77.0.2",node="{node}"}}': "1",
        **{f'role{{role="{role}"}}': str(value) for role, value in roles.items()},
        **{f'fault{{fault="{fault}"}}': "0" for fault in Fault},
        'failovers_total{to="master",reason="peer_silent"}': "3",
        'failovers_total{to="backup",reason="command"}': "3",
        "start_time_seconds": "1000",
        "epoch": "7",
        "peer_up": "1",
        "peer_hears_us": "1",
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
        "gate_refusals_total": "4",
        'advertisements_dropped_total{reason="bad_key"}': "7",
        'advertisements_dropped_total{reason="duplicate"}': "0+600",
        "foreign_arp_total": "1",
    }
    return {(node, name): f"{value}{LONG}" if "+" in value else f"{value}+0{LONG}" for name, value in found.items()}


def gone(node, after=5):
    return {key: value.replace(LONG, f"x{after}") + " stale" for key, value in well(node).items()}


def role(node, word):
    words = ("master", "backup", "fault", "standby")
    return {(node, f'role{{role="{one}"}}'): f"{int(one == word)}+0{LONG}" for one in words}


CASES = [
    ("a pair that is well", {}, {}),
    ("no master", role("lb1", "backup"), {"0m": {}, "5m": {"SkdClusterNoMaster": 1}}),
    ("two masters", {**role("lb2", "master")}, {"0m": {}, "1m": {"SkdClusterTwoMasters": 1}}),
    ("the backup is off", gone("lb2"), {"4m": {}, "6m": {}, "9m": {"SkdClusterNodeMissing": 1}}),
    (
        "both are off",
        gone("lb1") | gone("lb2"),
        {"4m": {}, "8m": {"SkdClusterPairMissing": 1}},
    ),
    ("the backup is not heard", {("lb2", "peer_up"): f"0{LONG}"}, {"1m": {}, "3m": {"SkdClusterBackupNotReady": 1}}),
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


def promtool(folder, found, expected):
    tests = [
        {
            "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
            "eval_time": at,
            "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": count} for name, count in firing.items()],
        }
        for at, firing in expected.items()
    ]
    file = folder / "test.yaml"
    cases = {"rule_files": [str(RULES)], "evaluation_interval": "15s"}
    cases["tests"] = [{"interval": "1m", "input_series": series(found), "promql_expr_test": tests}]
    file.write_text(yaml.safe_dump(cases))
    return subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("what", "differs", "expected"), CASES, ids=[case[0] for case in CASES])
def test_what_fires_and_what_does_not(what, differs, expected, tmp_path):
    assert differs.keys() <= well("lb1").keys() | well("lb2").keys()
    done = promtool(tmp_path, well("lb1") | well("lb2") | differs, expected or {"1m": {}, "30m": {}, "80m": {}})
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case_in_which_it_fires():
    assert {name for _, _, expected in CASES for firing in expected.values() for name in firing} == set(ALERTS)


def test_promtool_accepts_the_rules():
    done = subprocess.run(["promtool", "check", "rules", str(RULES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_says_what_it_is_and_where_to_read_on():
    headings = re.findall(r"^## (\S+)$", RUNBOOKS.read_text(), re.MULTILINE)
    assert headings == list(ALERTS)
    for name, rule in ALERTS.items():
        said = rule["annotations"]
        assert set(said) == {"summary", "description", "runbook_url"}
        assert said["runbook_url"].endswith(f"/runbooks.md#{name.lower()}")
        assert rule["labels"]["severity"] in ("critical", "warning", "info")


def test_each_runbook_says_what_it_means_how_to_look_and_what_to_do():
    for page in re.split(r"^## ", RUNBOOKS.read_text(), flags=re.MULTILINE)[1:]:
        assert re.findall(r"^\*\*(.+?)\*\*", page, re.MULTILINE) == ["What it means.", "How to look.", "What to do."], (
            page[:60]
        )


def test_runbooks_name_only_what_there_is():
    text = RUNBOOKS.read_text()
    assert set(re.findall(r"`(?:skd-cluster )(\w+)", text)) <= set(VERBS)
    assert set(re.findall(r"SKD_EVENT=(\w+)", text)) <= set(EVENTS)
    assert set(re.findall(r"\$(\w+)", text)) <= set(KEYS)
    assert set(re.findall(r"`(\w+)`: ", text)) >= {*Fault} - {Fault.ADDRESS_REFUSED, Fault.ADDRESS_FOUGHT}


def test_rules_ask_only_for_what_there_is():
    text = Exposition(lambda: Snapshot("", "", "", ""), lambda: Nanos(0)).text().decode()
    known = set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))
    known |= {f"{name}{end}" for name in known for end in ("_bucket", "_count", "_sum")}
    for rule in (rule for group in DOCUMENT["groups"] for rule in group["rules"]):
        assert set(re.findall(r"skd_cluster_\w+", rule["expr"])) <= known
