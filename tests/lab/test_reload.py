"""An edited configuration file on a running pair: what changes by a reload, and that nobody's role does."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.labkit import Client, Lab, Node, eventually

BASE = {"floating": "listed", "advert_interval": "0.1"}


@pytest.fixture
def pair(lab: Lab, lb1: Node, lb2: Node) -> Iterator[tuple[Node, Node]]:
    """Start lb1 as master, lb2 as backup; at the end they must be that still, never having been anything else."""
    for node in (lb1, lb2):
        node.write_config(**BASE)
    lb1.add_address()
    for node in (lb1, lb2):
        node.start_daemon()
        eventually(lambda node=node: node.role() == ("master" if node is lb1 else "backup"), within=5, what="roles")
    eventually(lambda: lb1.status()["peer"]["heard"] and lb2.status()["peer"]["heard"], within=5, what="both heard")
    since = [node.status()["since"] for node in (lb1, lb2)]
    yield lb1, lb2
    assert (lb1.role(), lb2.role()) == ("master", "backup")
    for node, before in zip((lb1, lb2), since, strict=True):
        assert abs(node.status()["since"] - before) < 0.5  # wall time is computed anew for each answer
        assert "Traceback" not in node.output()


def reload(node: Node, **values: str | None) -> str:
    """Write these keys beside the base, reload, and return what the journal says about it."""
    before = node.output().count("config_reloaded")
    node.write_config(**{**BASE, **values})
    os.kill(node.daemon_pids()["skd-cluster"], signal.SIGHUP)
    eventually(lambda: node.output().count("config_reloaded") > before, within=5, what="it was reloaded")
    return [line for line in node.output().splitlines() if "config_reloaded" in line][-1]


def counters(node: Node) -> dict[str, int]:
    found: dict[str, int] = node.status()["counters"]
    return found


def test_password_is_changed_without_a_gap_by_reloads_alone(pair: tuple[Node, Node], lab: Lab, client: Client) -> None:
    steps = (
        {"password": "secret", "password_also": "new one"},
        {"password": "new one", "password_also": "secret"},
        {"password": "new one"},
    )
    client.prepare()
    with client.probe("10.77.0.100") as prober, lab.watch_holders() as holders:
        prober.wait_answer()
        for step in steps:
            for node in pair:
                assert "needs a restart" not in reload(node, **step)
                heard = counters(node)["received"]
                eventually(lambda node=node, heard=heard: counters(node)["received"] > heard + 5, what="still heard")
        assert prober.longest_gap().ms < 100
        assert holders.overlap_seconds() == 0
    for node in pair:
        assert "dropped.bad_key" not in counters(node)
        assert "is not heard" not in " ".join(node.status()["problems"])


@pytest.mark.parametrize("interval", ["1", "0.1", "0.15"])
def test_pace_lease_and_rank_change_on_both_one_after_the_other(pair: tuple[Node, Node], interval: str) -> None:
    changed = {
        "advert_interval": interval,
        "dead_ratio": "4",
        "vip_lease": "5",
        "priority": "50",
        "detection": "probing",
        "garp_refresh": "2",
    }
    for node in pair:
        assert "needs a restart" not in reload(node, **changed)
    lease = pair[0].run("ip -o address show to 10.77.0.100").stdout
    assert "valid_lft 5sec" in lease or "valid_lft 4sec" in lease
    heard = counters(pair[1])["received"]
    eventually(lambda: counters(pair[1])["received"] > heard + 2, within=8, what="goes on at the new pace")


def test_second_cable_and_witness_are_added_and_taken_away(pair: tuple[Node, Node], lab: Lab, client: Client) -> None:
    client.prepare()
    first, second = pair
    lab.second_cable(first, second, "10.78.0.1", "10.78.0.2")
    reload(first, heartbeat_links="10.78.0.1>10.78.0.2", witness="10.77.0.50")
    reload(second, heartbeat_links="10.78.0.2>10.78.0.1", witness="10.77.0.50")
    for node in pair:
        eventually(
            lambda node=node: [one["alive"] for one in node.status()["peer"]["links"]] == [True, True], what="two links"
        )
    for node in pair:
        reload(node)
        assert len(node.status()["peer"]["links"]) == 1


def test_metrics_move_and_addresses_are_added(pair: tuple[Node, Node]) -> None:
    first, second = pair
    more = {"cluster_ip": "10.77.0.100/24 10.77.0.101/24", "metrics_listen": "10.77.0.1:9870"}
    assert "in force: cluster_ip metrics_listen" in reload(first, **more)
    eventually(lambda: first.holds("10.77.0.101"), what="the new address is held")
    moved = ["curl", "-fsS", "http://10.77.0.1:9870/metrics"]
    eventually(lambda: "skd_cluster_" in first.run(moved, check=False).stdout, what="metrics on the new port")
    assert first.run(["curl", "-sS", "http://10.77.0.1:9869/metrics"], check=False).returncode == 7
    reload(second, cluster_ip=more["cluster_ip"])
    assert first.holds()
    assert not second.holds("10.77.0.101")
    reload(first)
    eventually(lambda: not first.holds("10.77.0.101"), what="it is let go")


def test_what_needs_a_restart_is_named_and_not_done(pair: tuple[Node, Node]) -> None:
    said = reload(pair[1], udp_port="10113", priority="120")

    assert "in force: priority; needs a restart: udp_port" in said
    assert pair[1].status()["peer"]["alive"]


def test_file_with_errors_leaves_everything_in_force_and_one_line(pair: tuple[Node, Node]) -> None:
    first, _ = pair
    first.write_config(**BASE, priority="300", password_also="x", cluster_id="900")
    os.kill(first.daemon_pids()["skd-cluster"], signal.SIGHUP)
    eventually(lambda: "config_refused" in first.output(), what="it is refused")
    assert len([line for line in first.output().splitlines() if "config_refused" in line]) == 1
    metrics = first.run(["curl", "-fsS", "http://10.77.0.1:9869/metrics"]).stdout
    assert "skd_cluster_config_last_reload_successful 0.0" in metrics
    reload(first, priority="90")
    metrics = first.run(["curl", "-fsS", "http://10.77.0.1:9869/metrics"]).stdout
    assert "skd_cluster_config_last_reload_successful 1.0" in metrics
