"""Every query of every panel and every rule, asked of a real Prometheus that scrapes a real pair while faults happen."""

import itertools
import math
import re
from typing import Any

import pytest

from skd_cluster.core.histogram import JITTER_BOUNDS
from tests.labkit import CONFIG_TREE, Client, Lab, Node, eventually
from tests.labkit.prometheus import Prometheus, filled_in, panels, queries

ADDRESSES = ("10.77.0.1", "10.77.0.2")


@pytest.fixture
def prometheus(client: Client) -> Prometheus:
    found = Prometheus(client)
    found.start()
    return found


@pytest.fixture
def running(lab: Lab, lb1: Node, lb2: Node) -> tuple[Node, Node]:
    """A pair that replicates, lb1 master."""
    for number, node in enumerate((lb1, lb2)):
        node.make_tree(farms=5, seed=number)
        node.write_config(floating="listed", advert_interval="0.1", max_delete="100")
    lab.trust()
    lb1.add_address()
    for node, role in ((lb1, "master"), (lb2, "backup")):
        node.start_daemon()
        eventually(lambda node=node, role=role: node.role() == role, within=5, what="roles")
    eventually(lambda: lb1.status()["replication"]["in_sync"], within=30, what="in sync")
    return lb1, lb2


def test_all_panels_have_data_while_faults_happen(
    running: tuple[Node, Node], prometheus: Prometheus, lab: Lab, client: Client
) -> None:
    lb1, lb2 = running
    eventually(lambda: len(prometheus.ask("skd_cluster_pair_info")) == 2, within=20, what="both are scraped")
    eventually(lambda: role_of(prometheus, "master") == {"lb1"}, within=10)

    lb1.write(f"{CONFIG_TREE}/edited.cfg", "by somebody\n")
    confirmed = 'increase(skd_cluster_replication_lag_seconds_count{instance="10.77.0.1:9869"}[10s]) > 0'
    eventually(lambda: prometheus.ask(confirmed), within=20, what="a confirmed change is seen")
    client.run("echo garbage > /dev/udp/10.77.0.1/10112")
    dropped = "increase(skd_cluster_advertisements_dropped_total[10s]) > 0"
    eventually(lambda: prometheus.ask(dropped), within=20, what="a packet of a stranger is seen")
    lab.partition(lb1, lb2)
    eventually(lambda: role_of(prometheus, "master") == {"lb1", "lb2"}, within=20, what="two masters are seen")
    eventually(lambda: "SkdClusterTwoMasters" in prometheus.firing(), within=10, what="the alert")
    lab.heal()
    eventually(lambda: len(role_of(prometheus, "master")) == 1, within=20, what="one master is seen")
    master, backup = (lb1, lb2) if lb1.role() == "master" else (lb2, lb1)
    eventually(lambda: prometheus.ask("skd_cluster:pair_ready_backups == 1"), within=20, what="a ready backup is seen")
    eventually(lambda: "SkdClusterTwoMasters" not in prometheus.firing(), within=10, what="the alert ends")
    backup.run(["skd-cluster", "standby"])
    eventually(lambda: role_of(prometheus, "standby") == {backup.name}, within=20, what="standby is seen")
    eventually(lambda: "SkdClusterBackupNotReady" in prometheus.firing(), within=10, what="the alert")
    backup.run(["skd-cluster", "online"])
    eventually(lambda: prometheus.ask("skd_cluster:pair_ready_backups == 1"), within=20, what="it is ready again")
    master.kill_daemon()
    eventually(lambda: role_of(prometheus, "master") == {backup.name}, within=20, what="the takeover is seen")
    eventually(lambda: "SkdClusterNodeMissing" in prometheus.firing(), within=10, what="the alert")

    for name in ("pair.json", "fleet.json"):
        for title, target in queries(name):
            has_data(prometheus, f"{name}: {title}", target)
    heat = next(one for _, one in queries("pair.json") if one.get("format") == "heatmap")
    is_a_histogram(prometheus.over_time(filled_in(heat["expr"], ",".join(ADDRESSES)), 120))
    assert rows_of(prometheus, "State") == [2], "a pair without a backup"


def role_of(prometheus: Prometheus, role: str) -> set[str]:
    """Return the names of the nodes that have the role, as Prometheus knows it now."""
    query = f'(skd_cluster_role{{role="{role}"}} == 1) * on (instance) group_left (node) skd_cluster_pair_info'
    found = prometheus.ask(query)
    return {one["metric"]["node"] for one in found}


def is_a_histogram(found: list[dict[str, Any]]) -> None:
    """Each bucket counts those of the smaller bounds too, up to infinity."""
    assert {float(one["metric"]["le"]) for one in found} == {*JITTER_BOUNDS, math.inf}
    found.sort(key=lambda one: float(one["metric"]["le"]))
    counts = [dict(map(tuple, one["values"])) for one in found]
    for smaller, greater in itertools.pairwise(counts):
        assert all(float(count) <= float(greater[at]) * 1.0001 for at, count in smaller.items())
    assert any(float(count) > 0 for count in counts[-1].values())


def rows_of(prometheus: Prometheus, column: str) -> list[float]:
    """Return a column of the table of all pairs."""
    (table,) = [one for one in panels("fleet.json") if one["type"] == "table"]
    names = table["transformations"][1]["options"]["renameByName"]
    (target,) = [one for one in table["targets"] if names[f"Value #{one['refId']}"] == column]
    return [float(one["value"][1]) for one in prometheus.ask(filled_in(target["expr"], ""))]


MAY_BE_EMPTY = ("check_healthy", "skd_cluster_fault[")
"""The pair of this test has no health check and no fault."""


def has_data(prometheus: Prometheus, what: str, target: dict[str, Any]) -> None:
    """Ask a panel's query as Grafana would; there must be data, with what the legend wants, and numbers in it."""
    query = filled_in(target["expr"], ",".join(ADDRESSES))
    found = prometheus.ask(query) if target.get("instant") else prometheus.over_time(query, 120)
    if any(name in query for name in MAY_BE_EMPTY):
        return
    assert found, f"{what}: no data for {query}"
    wanted = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
    numbers = []
    for one in found:
        assert wanted <= set(one["metric"]), f"{what}: {target['legendFormat']} has no {wanted - set(one['metric'])}"
        numbers += [value for _, value in one.get("values") or [one["value"]] if value not in ("NaN", "+Inf", "-Inf")]
    assert numbers, f"{what}: only quantiles of nothing for {query}"
    legends = [tuple(one["metric"].get(name) for name in sorted(wanted)) for one in found]
    assert len(set(legends)) == len(legends), f"{what}: two lines have the same legend: {legends}"
