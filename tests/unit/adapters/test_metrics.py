import re
from dataclasses import replace
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from skd_cluster.adapters.metrics import SnapshotCollector, reference
from skd_cluster.core.checks import CheckState
from skd_cluster.core.histogram import JITTER_BOUNDS
from skd_cluster.core.model import Nanos, Role
from skd_cluster.core.status import Refusals, Snapshot
from tests.fakes.supervised import replicated, report

DOCS = Path(__file__).parents[3] / "docs"

CONTRACT = """build_info role{role} failovers_total{to,reason} epoch advertisements_sent_total advertisements_received_total
advertisements_dropped_total{reason} advertisement_jitter_seconds elector_lateness_seconds takeover_seconds
takeover_confirmed_seconds peer_up peer_hears_us address_held{address} address_lease_renewals_total foreign_arp_total
replication_lag_seconds replication_oldest_pending_seconds replication_in_sync replication_runs_total{result}
replication_bytes_total replication_files_total history_generations hook_duration_seconds{hook} hook_failures_total{hook}
check_healthy{check} config_last_reload_successful log_lines_dropped_total realtime_scheduling"""

EMPTY = Snapshot("lb1", "3.0.0", "192.0.2.1", "192.0.2.2")


def scraped(snapshot, now=0):
    registry = CollectorRegistry()
    registry.register(SnapshotCollector(lambda: snapshot, lambda: Nanos(now)))
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (
            sample.name.removeprefix("skd_cluster_"),
            *sorted(value for name, value in sample.labels.items() if name != "le"),
        ): (sample.value)
        for family in families
        for sample in family.samples
    }


def test_every_name_of_the_contract_is_there_from_the_start():
    registry = CollectorRegistry()
    registry.register(SnapshotCollector(lambda: EMPTY, lambda: Nanos(0)))
    text = generate_latest(registry).decode()
    for wanted in CONTRACT.split():
        name = wanted.partition("{")[0]
        assert f"# TYPE skd_cluster_{name} " in text, name


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
        elector=report(Role.MASTER, jitter=jitter),
        replication=replicated(pending_since=1_000_000_000, sent_bytes=77),
        checks=(CheckState("web", healthy=False, detail="x"),),
        failovers={("master", "peer_silent"): 3},
        log_dropped=4,
        refusals=Refusals(7),
    )
    found = scraped(snapshot, Nanos(3_500_000_000))
    assert [found["role", word] for word in ("master", "backup", "fault", "standby")] == [1, 0, 0, 0]
    assert found["advertisement_jitter_seconds_count",] == 3
    assert found["advertisement_jitter_seconds_sum",] == 0.5
    assert found["replication_oldest_pending_seconds",] == 2.5
    assert found["replication_bytes_total",] == 77
    assert found["check_healthy", "web"] == 0
    assert found["failovers_total", "master", "peer_silent"] == 3
    assert found["address_held", "203.0.113.10"] == 1
    assert found["log_lines_dropped_total",] == 4
    assert found["gate_refusals_total",] == 7


def test_a_report_with_other_bounds_does_not_break_the_scrape():
    snapshot = replace(EMPTY, elector=report(jitter={"counts": [1], "total": 1.0}, lateness={}))
    assert scraped(snapshot)["elector_lateness_seconds_count",] == 0


def test_the_manual_lists_every_metric():
    assert (DOCS / "metrics.md").read_text() == reference(), "write adapters.metrics.reference() to docs/metrics.md"
    labels = {
        name: set(filter(None, labels.split(","))) for name, labels in re.findall(r"(\w+)(?:\{([\w,]+)\})?", CONTRACT)
    }
    for name, wanted in labels.items():
        row = next(line for line in reference().splitlines() if f"`skd_cluster_{name}`" in line)
        assert set(re.findall(r"`(\w+)`", row.split("|")[3])) == (
            wanted or ({"version"} if name == "build_info" else set())
        )
