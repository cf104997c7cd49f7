"""The package's life on a pair that works: both nodes get a newer one, and no role changes; then the master loses it."""

from pathlib import Path

from tests.labkit import STATUS_FILE, eventually
from tests.labkit.appliance import CLUSTER, FLOATING, Appliances, floating_on
from tests.system.test_package import newer

APT = {"DEBIAN_FRONTEND": "noninteractive"}


def test_a_newer_package_on_both_nodes_then_none_on_the_master(pair: Appliances, package: Path, tmp_path: Path) -> None:
    following = newer(package, tmp_path)
    with pair.client.probe(CLUSTER) as probe, pair.lab.watch_holders(CLUSTER) as watch:
        probe.wait_answer()
        for node in (pair.lb2, pair.lb1):  # the backup first, as the manual says
            mark, watched, role = probe.mark(), watch.mark(), node.role()
            node.install(following)
            eventually(lambda: sorted(pair.roles()) == ["backup", "master"], within=20, what="one master, one backup")
            probe.wait_answer()
            gap, overlap = probe.gap_since(mark), watch.overlap_seconds(watched) * 1000
            print(f"newer package on the {role}: client's gap {gap}, {gap.lost} lost, two holders for {overlap:.1f} ms")
            assert gap.ms < 100  # the address stays: what is late is the probe
            assert overlap == 0
            assert node.role() == role
            assert node.status()["reason"] == ("restarted" if role == "master" else "peer_master")
            assert node.unit()["ActiveState"] == "active"
        pair.restore()
        assert pair.differences() == []

        mark = probe.mark()
        pair.lb1.run("apt-get remove -y skudonet-ce-cluster", env=APT, timeout=60)
        eventually(lambda: pair.lb2.role() == "master", within=5, what="lb2 takes over")
        probe.wait_answer()
        print(f"package removed from the master: client's gap {probe.gap_since(mark)}")
        assert probe.gap_since(mark).ms < 250
    assert floating_on(pair.lb1) == []
    assert floating_on(pair.lb2) == list(FLOATING)
    assert not pair.lb1.path(STATUS_FILE).exists()
    assert "skd" not in pair.lb1.run("ps -eo args | grep -v grep").stdout

    pair.lb1.run("apt-get purge -y skudonet-ce-cluster", env=APT, timeout=60)
    assert not pair.lb1.path("/var/lib/skd-cluster").exists()
    assert "skd-cluster" not in pair.lb1.path("/root/.ssh/authorized_keys").read_text()
    assert pair.lb1.run("ssh -o BatchMode=yes -o StrictHostKeyChecking=no root@lb2 true", check=False).returncode == 255
