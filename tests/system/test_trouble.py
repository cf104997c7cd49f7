"""What others do to a node: the product started by hand, networkd restarted, a full disk."""

from collections.abc import Iterator

import pytest

from tests.labkit import CONFIG_TREE, STATUS_FILE, eventually
from tests.labkit.appliance import CLUSTER, FLOATING, Appliances, floating_on
from tests.labkit.booted import SERVICE, BootedNode

PRODUCT = "/etc/init.d/skudonet"


@pytest.fixture
def full(pair: Appliances) -> Iterator[BootedNode]:
    """lb1, the master, whose disk is full; mended afterwards."""
    pair.lb1.fill_disk()
    yield pair.lb1
    pair.lb1.free_disk()


class TestProduct:
    def test_started_by_hand_on_the_backup_its_addresses_go_at_once(self, pair: Appliances) -> None:
        with pair.client.probe(CLUSTER) as probe, pair.lab.watch_holders(CLUSTER) as watch:
            probe.wait_answer()
            mark, watched = probe.mark(), watch.mark()
            pair.lb2.run(f"SYSTEMCTL_SKIP_REDIRECT=1 {PRODUCT} start")
            eventually(lambda: floating_on(pair.lb2) == [], within=5, what="the guard removed them all")
            probe.wait_answer()
            print(f"product by hand on the backup: client's gap {probe.gap_since(mark)},", end=" ")
            print(f"two holders for {watch.overlap_seconds(watched) * 1000:.1f} ms")
            assert probe.gap_since(mark).ms < 1000
        assert pair.roles() == ("master", "backup")
        assert floating_on(pair.lb1) == list(FLOATING)
        eventually(lambda: "appeared on this node, which is not master" in pair.lb2.output(), what="the journal tells")
        pair.lb2.run(f"SYSTEMCTL_SKIP_REDIRECT=1 {PRODUCT} stop")

    def test_systemd_does_not_start_it_on_the_backup(self, pair: Appliances) -> None:
        pair.lb2.run("systemctl start skudonet", check=False)
        assert "nftlb" not in pair.lb2.run("ps -ef").stdout
        assert floating_on(pair.lb2) == []
        assert pair.lb2.run("systemctl --failed --no-legend").stdout == ""

    def test_stopped_by_hand_on_the_master_the_addresses_stay(self, pair: Appliances) -> None:
        pair.lb1.run(f"SYSTEMCTL_SKIP_REDIRECT=1 {PRODUCT} stop")
        eventually(lambda: floating_on(pair.lb1) == list(FLOATING), within=5, what="the elector adds them again")
        assert pair.lb1.role() == "master"
        pair.lb1.run(f"SYSTEMCTL_SKIP_REDIRECT=1 {PRODUCT} start")


class TestNetworkd:
    def test_a_restart_costs_no_role(self, pair: Appliances) -> None:
        with pair.client.probe(CLUSTER) as probe:
            probe.wait_answer()
            mark = probe.mark()
            pair.lb1.run("systemctl restart systemd-networkd")
            eventually(lambda: floating_on(pair.lb1) == list(FLOATING), within=5, what="all addresses are back")
            probe.wait_answer()
            gap = probe.gap_since(mark)
            print(f"networkd restarted on the master: client's gap {gap}")
        assert gap.ms < 1000
        eventually(lambda: pair.roles() == ("master", "backup"), within=5, what="roles as before")


class TestFullDisk:
    def test_the_role_can_still_change_and_the_status_file_does_not_lie(
        self, pair: Appliances, full: BootedNode
    ) -> None:
        full.run("skd-cluster failover")
        eventually(lambda: pair.lb2.role() == "master", within=5, what="lb2 is master")
        eventually(lambda: full.role() in {"backup", ""}, within=5, what="lb1 does not say master")
        assert floating_on(full) == []
        full.free_disk()
        eventually(lambda: full.path(STATUS_FILE).read_text() == "backup\n", within=30, what="the word is back")

    def test_it_may_become_master_and_the_service_start(self, pair: Appliances, full: BootedNode) -> None:
        full.run(f"systemctl restart {SERVICE}")
        assert full.unit()["ActiveState"] == "active"
        # A restart that is announced keeps the mastership, and nobody asks for that with a full disk.
        holders = lambda: sorted(len(floating_on(node)) for node in pair.nodes)  # noqa: E731
        eventually(lambda: holders() == [0, len(FLOATING)], within=10, what="one of the nodes has all addresses")
        pair.lab.power_off(pair.lb2)
        eventually(lambda: floating_on(full) == list(FLOATING), within=5, what="lb1 takes over with a full disk")
        pair.lb2.boot()

    def test_of_the_backup_costs_only_time(self, pair: Appliances) -> None:
        file = pair.lb1.path(CONFIG_TREE) / "big.conf"
        pair.lb2.fill_disk()
        try:
            file.write_bytes(b"x" * 3_000_000)
            behind = lambda: pair.lb1.status()["replication"]["last_error"]  # noqa: E731
            eventually(behind, within=20, what="lb1 says that it cannot be written")
            assert pair.roles() == ("master", "backup")
        finally:
            pair.lb2.free_disk()
        pair.lb1.run("skd-cluster sync", check=False)
        pair.settled("master", "backup", within=60)
        assert pair.differences() == []
        file.unlink()
