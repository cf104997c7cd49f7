"""Boots: of either node, of both at once, in order and by the power switch."""

import time

import pytest

from tests.labkit import CONFIG_TREE, eventually
from tests.labkit.appliance import CLUSTER, FLOATING, Appliances, floating_on
from tests.labkit.booted import BootedNode

PLANNED_MS = 250.0
"""Generous: what a planned failover takes is measured by `script/demo --booted`, this fails when it is no planned one."""


def one_master(pair: Appliances) -> bool:
    return sorted(pair.roles()) == ["backup", "master"]


def boot_both(pair: Appliances) -> tuple[BootedNode, BootedNode]:
    """Boot both nodes at once; return master and backup, when all addresses are on the one and none on the other."""
    for node in pair.nodes:
        node.boot(wait=False)
    for node in pair.nodes:
        node.wait_booted()
    eventually(lambda: one_master(pair), within=20, what="one master, one backup")
    master, backup = pair.nodes if pair.lb1.role() == "master" else pair.nodes[::-1]
    eventually(lambda: floating_on(master) == list(FLOATING), within=5, what="all addresses on the master")
    assert floating_on(backup) == []
    return master, backup


class TestOneNode:
    def test_reboot_of_the_master_is_a_planned_failover_to_the_client(self, pair: Appliances) -> None:
        with pair.client.probe(CLUSTER) as probe, pair.lab.watch_holders(CLUSTER) as watch:
            probe.wait_answer()
            mark, watched = probe.mark(), watch.mark()
            pair.lb1.reboot()
            eventually(lambda: pair.roles() == ("backup", "master"), within=20, what="lb1 is backup after its boot")
            probe.wait_answer()
            gap, overlap = probe.gap_since(mark), watch.overlap_seconds(watched)
        print(f"reboot of the master: the client's longest gap was {gap}, two holders for {overlap * 1000:.1f} ms")
        assert gap.ms < PLANNED_MS
        assert floating_on(pair.lb1) == []
        assert floating_on(pair.lb2) == list(FLOATING)
        assert pair.lb1.run("systemctl --failed --no-legend").stdout == ""

    def test_a_product_that_is_slow_to_stop_does_not_keep_the_address_here(self, pair: Appliances) -> None:
        """At a shutdown the addresses go first, to where farms are started, and only then do the farms here end."""
        pair.lb1.write("/usr/local/skudonet/slow", "4")
        farms_here = lambda: "nftlb" in pair.lb1.run("ps -ef", check=False).stdout  # noqa: E731
        eventually(farms_here, within=10, what="farms run on the master")
        began = time.monotonic()
        pair.lb1.run("systemctl --no-block reboot")
        eventually(lambda: pair.lb2.role() == "master", within=8, what="lb2 takes over")
        took = time.monotonic() - began
        print(f"reboot of a master whose product takes 4 s to stop: handed over after {took:.1f} s")
        pair.lb1.wait_off()
        pair.lb1.boot()
        pair.lb1.run("rm -f /usr/local/skudonet/slow")
        assert took < 2.5, "the farms ended before the addresses went"

    def test_reboot_of_the_backup_is_not_noticed(self, pair: Appliances) -> None:
        with pair.client.probe(CLUSTER) as probe:
            probe.wait_answer()
            mark = probe.mark()
            pair.lb2.reboot()
            pair.settled("master", "backup")
            probe.wait_answer()
            assert probe.gap_since(mark).lost == 0
        assert floating_on(pair.lb2) == []
        assert "nftlb" not in pair.lb2.run("ps -ef").stdout

    def test_power_loss_of_the_master(self, pair: Appliances) -> None:
        with pair.client.probe(CLUSTER) as probe:
            probe.wait_answer()
            mark = probe.mark()
            pair.lab.power_off(pair.lb1)
            eventually(lambda: pair.lb2.role() == "master", within=5, what="lb2 takes over")
            probe.wait_answer()
            print(f"power loss of the master: the client's longest gap was {probe.gap_since(mark)}")
            written = pair.lb2.path(CONFIG_TREE) / "zlb-stop"
            written.write_text("#!/bin/sh\n# while lb1 was away\n")
            mark = probe.mark()
            pair.lab.power_on(pair.lb1)
            pair.settled("backup", "master")
            probe.wait_answer()
            assert probe.gap_since(mark).lost == 0
        assert "while lb1 was away" in (pair.lb1.path(CONFIG_TREE) / "zlb-stop").read_text()
        assert pair.differences() == []


class TestBothNodes:
    @pytest.mark.parametrize("first", ["lb1", "lb2"])
    def test_booted_at_once_there_is_one_master_and_the_fresher_configuration_wins(
        self, pair: Appliances, first: str
    ) -> None:
        lb1, lb2 = pair.nodes
        pair.lab.power_off(lb1)
        eventually(lambda: lb2.role() == "master", within=5, what="lb2 takes over")
        (lb2.path(CONFIG_TREE) / "zlb-stop").write_text(f"#!/bin/sh\n# newer, {first} boots first\n")
        pending = lambda: lb2.status()["replication"]["pending"]  # noqa: E731
        eventually(pending, within=10, what="lb2 knows that lb1 lacks this")
        pair.lab.power_off(lb2)

        one, other = (lb1, lb2) if first == "lb1" else (lb2, lb1)
        one.boot(wait=False)
        other.boot(wait=False)
        for node in (one, other):
            node.wait_booted()
        eventually(lambda: one_master(pair), within=20, what="one master, one backup")
        eventually(lambda: pair.roles() == ("backup", "master"), within=20, what="the one with the newer configuration")
        pair.settled("backup", "master")
        assert f"newer, {first}" in (lb1.path(CONFIG_TREE) / "zlb-stop").read_text()
        assert floating_on(lb1) == []
        assert floating_on(lb2) == list(FLOATING)

    def test_nodes_whose_interfaces_only_the_product_raises(self, pair: Appliances) -> None:
        """As on an appliance: the product left nothing but `lo` to the system, and brings each NIC up when it starts."""
        network = "/etc/systemd/network/10-eth0.network"
        kept = [(node, node.path(network).read_text()) for node in pair.nodes]
        for node in pair.nodes:
            node.path(network).unlink()
            node.run("systemctl disable systemd-networkd systemd-networkd-wait-online")
            pair.lab.power_off(node)
        master, backup = boot_both(pair)
        assert backup.holds(backup.address)
        farms = lambda node: "nftlb" in node.run("ps -ef").stdout  # noqa: E731
        eventually(lambda: farms(master) and not farms(backup), within=10, what="farms on the master only")
        for node, text in kept:
            node.write(network, text)
            node.run("systemctl enable systemd-networkd")

    def test_after_both_lost_power_at_once(self, pair: Appliances) -> None:
        for node in pair.nodes:
            pair.lab.power_off(node)
        boot_both(pair)
