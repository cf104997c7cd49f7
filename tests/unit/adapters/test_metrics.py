import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from skd_cluster.adapters.metrics import Exposition, reference
from skd_cluster.core.checks import CheckState
from skd_cluster.core.histogram import JITTER_BOUNDS, LAG_BOUNDS, LATENESS_BOUNDS, TAKEOVER_BOUNDS
from skd_cluster.core.model import Nanos, Reason, Role
from skd_cluster.core.status import Refusals, Snapshot
from skd_cluster.core.totals import HOOK_BOUNDS
from tests.fakes.supervised import change, replicated, report

DOCS = Path(__file__).parents[3] / "docs"

CONTRACT = """
gauge build_info{version} role{role} fault{fault} pair_info{pair,node} epoch takeover_confirmed_seconds peer_up peer_hears_us
gauge address_held{address} replication_oldest_pending_seconds replication_pending replication_in_sync history_generations conflicts
gauge dead_interval_seconds drift_conflicts transport{transport}
gauge check_healthy{check} config_last_reload_successful realtime_scheduling start_time_seconds role_age_seconds
counter crashes_total failovers_total{to,reason} advertisements_sent_total advertisements_received_total
counter advertisements_lost_total advertisements_dropped_total{reason} address_lease_renewals_total foreign_arp_total replication_runs_total{result}
counter replication_bytes_total replication_files_total gate_refusals_total hook_failures_total{hook} log_lines_dropped_total
histogram advertisement_jitter_seconds elector_lateness_seconds takeover_seconds replication_lag_seconds
histogram hook_duration_seconds{hook}
"""
"""All of them, with their types: DESIGN calls it a contract. Add, but never rename or remove."""

EMPTY = Snapshot("lb1", "3.0.0", "192.0.2.1", "192.0.2.2")


def scraped(snapshot, now=0):
    exposition = Exposition(lambda: snapshot, lambda: Nanos(now))
    families = text_string_to_metric_families(exposition.text().decode())
    return {
        (
            sample.name.removeprefix("skd_cluster_"),
            *sorted(value for name, value in sample.labels.items() if name != "le"),
        ): (sample.value)
        for family in families
        for sample in family.samples
    }


def contract():
    for line in CONTRACT.strip().splitlines():
        kind, *names = line.split()
        for one in names:
            name, _, labels = one.removesuffix("}").partition("{")
            yield f"skd_cluster_{name}", kind, set(filter(None, labels.split(",")))


def text(snapshot=EMPTY):
    return Exposition(lambda: snapshot, lambda: Nanos(0)).text().decode()


def test_names_and_types_are_those_of_the_contract_from_the_start():
    found = re.findall(r"^# TYPE (\S+) (\w+)$", text(), re.MULTILINE)
    assert sorted(found) == sorted((name, kind) for name, kind, _ in contract())


def series(snapshot):
    return {line.rpartition(" ")[0] for line in text(snapshot).splitlines() if not line.startswith("#")}


def everything(role):
    return replace(
        EMPTY,
        elector=report(role),
        replication=replicated() if role is Role.MASTER else None,
        checks=(CheckState("web", healthy=True, detail=""),),
    )


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("reason", list(Reason))
def test_no_series_comes_or_goes_with_a_role(role, reason):
    before = everything(Role.BACKUP)
    after = replace(everything(role), epoch=7).with_role(change(Role.BACKUP, role, reason=reason))
    assert series(after) == series(before)
    assert series(before) - series(EMPTY) == {
        'skd_cluster_check_healthy{check="web"}',
        'skd_cluster_address_held{address="203.0.113.10"}',
    }


def test_promtool_has_nothing_to_say_but_that_us_might_be_microseconds():
    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input=text(everything(Role.MASTER)),
        capture_output=True,
        text=True,
        check=False,
    )
    said = (done.stdout + done.stderr).strip()
    assert (
        said == "skd_cluster_peer_hears_us metric names should not contain abbreviated units"
    )  # a pronoun, and a contract


@pytest.mark.parametrize(
    ("bounds", "first"),
    [(JITTER_BOUNDS, 1e-5), (LATENESS_BOUNDS, 1e-5), (TAKEOVER_BOUNDS, 5e-3), (LAG_BOUNDS, 5e-3), (HOOK_BOUNDS, 1e-2)],
)
def test_buckets_begin_where_the_values_do_and_are_not_too_many(bounds, first):
    assert bounds[0] == first
    assert list(bounds) == sorted(set(bounds))
    assert len(bounds) <= 16


def test_the_client_chooses_the_format():
    exposition = Exposition(lambda: EMPTY, lambda: Nanos(0))
    kind, body = exposition.render("application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
    kind, body = exposition.render("")
    assert kind.startswith("text/plain")
    assert b"# EOF" not in body


def test_both_nodes_name_the_pair_alike():
    other = replace(EMPTY, node="lb2", local_ip=EMPTY.remote_ip, remote_ip=EMPTY.local_ip)
    assert 'pair_info{node="lb1",pair="192.0.2.1,192.0.2.2"} 1.0' in text(EMPTY)
    assert 'pair_info{node="lb2",pair="192.0.2.1,192.0.2.2"} 1.0' in text(other)


def test_counters_are_zero_before_anything_happens():
    found = scraped(EMPTY)
    assert found["failovers_total", "master", "peer_silent"] == 0
    assert found["advertisements_dropped_total", "replayed"] == 0
    assert found["replication_runs_total", "failed"] == 0
    assert found["hook_failures_total", "down"] == 0
    assert found["role", "master"] == 0


def test_the_numbers_are_those_of_the_snapshot():
    jitter = {"counts": [2, 1] + [0] * (len(JITTER_BOUNDS) - 1), "total": 0.5}
    snapshot = replace(
        EMPTY,
        elector=report(Role.MASTER, jitter=jitter, counters={"lost": 8}),
        replication=replicated(pending=6, pending_since=1_000_000_000, sent_bytes=77),
        checks=(CheckState("web", healthy=False, detail="x"),),
        failovers={("master", "peer_silent"): 3},
        log_dropped=4,
        refusals=Refusals(7),
        crashes=2,
        conflicts=("split-2026-11-24T21-55-32-lb1", "drift-2026-11-24T21-56-32-lb1"),
    )
    snapshot.elector.peer["patience"] = 612_500_000
    found = scraped(snapshot, Nanos(3_500_000_000))
    assert scraped(snapshot, snapshot.elector.since + 2_500_000_000)["role_age_seconds",] == 2.5
    assert [found["role", word] for word in ("master", "backup", "fault", "standby")] == [1, 0, 0, 0]
    assert found["advertisement_jitter_seconds_count",] == 3
    assert found["advertisement_jitter_seconds_sum",] == 0.5
    assert found["advertisements_lost_total",] == 8
    assert found["replication_oldest_pending_seconds",] == 2.5
    assert found["replication_pending",] == 6
    assert found["replication_bytes_total",] == 77
    assert found["check_healthy", "web"] == 0
    assert found["failovers_total", "master", "peer_silent"] == 3
    assert found["address_held", "203.0.113.10"] == 1
    assert found["log_lines_dropped_total",] == 4
    assert found["gate_refusals_total",] == 7
    assert found["crashes_total",] == 2
    assert (found["conflicts",], found["drift_conflicts",]) == (2, 1)
    assert found["dead_interval_seconds",] == 0.6125


def test_a_report_with_other_bounds_does_not_break_the_scrape():
    snapshot = replace(EMPTY, elector=report(jitter={"counts": [1], "total": 1.0}, lateness={}))
    assert scraped(snapshot)["elector_lateness_seconds_count",] == 0


def test_the_manual_lists_every_metric():
    assert (DOCS / "metrics.md").read_text() == reference(), "write adapters.metrics.reference() to docs/metrics.md"
    for name, _, labels in contract():
        row = next(line for line in reference().splitlines() if f"`{name}`" in line)
        assert set(re.findall(r"`(\w+)`", row.split("|")[3])) == labels
