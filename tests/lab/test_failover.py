"""A real pair: daemons, packets, addresses of the kernel. What must hold whatever dies."""

import json
import os
import signal

import pytest

from tests.labkit import CLUSTER_CONF, Lab, Node, eventually

VIP_LEASE = 2


@pytest.fixture
def pair(lab: Lab, lb1: Node, lb2: Node) -> Lab:
    """Start a pair, lb1 master; without ssh, so replication only waits and planned failovers need `--force`."""
    for node in (lb1, lb2):
        node.write_config(floating="listed", advert_interval="0.1")
    lb1.add_address()
    lb1.start_daemon()
    lb2.start_daemon()
    eventually(lambda: (lb1.role(), lb2.role()) == ("master", "backup"), within=5, what="lb1 master, lb2 backup")
    eventually(lambda: lb1.status()["peer"]["heard"], within=5, what="they hear each other")
    return lab


def roles(lb1: Node, lb2: Node, *wanted: str) -> None:
    eventually(lambda: (lb1.role(), lb2.role()) == wanted, within=6, what=f"roles {wanted}")


def test_the_address_that_was_up_is_kept_and_gets_a_lease(pair: Lab, lb1: Node, lb2: Node) -> None:
    (address,) = [
        one
        for link in json.loads(lb1.run("ip -j -4 addr show dev eth0").stdout)
        for one in link["addr_info"]
        if one["local"] == "10.77.0.100"
    ]

    assert 0 < address["valid_life_time"] <= VIP_LEASE
    assert address["prefixlen"] == 24
    assert lb1.status()["reason"] in ("address_present", "start")
    assert not lb2.holds()


def test_planned_failover_never_has_two_holders(pair: Lab, lb1: Node, lb2: Node) -> None:
    with pair.watch_holders() as watch:
        for source, wanted in ((lb1, ("backup", "master")), (lb2, ("master", "backup"))):
            source.run(["skd-cluster", "failover", "--force"])
            roles(lb1, lb2, *wanted)

        assert watch.overlap_seconds() == 0


def test_failover_on_the_backup_is_refused_with_a_reason(pair: Lab, lb2: Node) -> None:
    found = lb2.run(["skd-cluster", "failover"], check=False)

    assert found.returncode == 1
    assert "backup" in found.stdout + found.stderr


def test_failover_waits_for_the_newest_configuration(pair: Lab, lb1: Node, lb2: Node) -> None:
    """Without ssh nothing was replicated: handing over would leave changes behind."""
    eventually(lambda: lb1.status()["data"]["generation"] > 0, within=5, what="lb1 has a generation")
    found = lb1.run(["skd-cluster", "failover"], check=False)

    assert found.returncode == 1
    assert "newest configuration" in found.stdout + found.stderr
    assert (lb1.role(), lb2.role()) == ("master", "backup")


def test_standby_and_online(pair: Lab, lb1: Node, lb2: Node) -> None:
    lb1.run(["skd-cluster", "standby"])
    roles(lb1, lb2, "standby", "master")
    lb1.run(["skd-cluster", "online"])
    roles(lb1, lb2, "backup", "master")


def test_sigterm_hands_over_and_leaves_nothing(pair: Lab, lb1: Node, lb2: Node) -> None:
    with pair.watch_holders() as watch:
        code = lb1.stop_daemon()
        eventually(lambda: lb2.role() == "master", what="lb2 took over")

        assert watch.overlap_seconds() == 0
    assert code == 0
    assert lb1.role() == ""
    assert not lb1.holds()
    assert "STOPPING=1" in lb1.notified


def test_elector_killed_the_node_resigns_and_ends(pair: Lab, lb1: Node, lb2: Node) -> None:
    os.kill(lb1.daemon_pids()["skd-elector"], signal.SIGKILL)

    eventually(lambda: lb2.role() == "master", what="lb2 took over")
    eventually(lambda: not lb1.daemon_pids(), within=5, what="lb1's service has ended")
    assert lb1.role() == ""
    assert not lb1.holds()
    assert lb2.status()["reason"] == "peer_resigned"


def test_supervisor_killed_the_elector_resigns_and_ends(pair: Lab, lb1: Node, lb2: Node) -> None:
    os.kill(lb1.daemon_pids()["skd-cluster"], signal.SIGKILL)

    eventually(lambda: lb2.role() == "master", what="lb2 took over")
    eventually(lambda: not lb1.daemon_pids(), within=5, what="lb1's service has ended")
    assert not lb1.holds()
    assert lb2.status()["reason"] == "peer_resigned"


def test_replicator_killed_nobody_changes_role(pair: Lab, lb1: Node, lb2: Node) -> None:
    first = lb1.daemon_pids()["skdinotify"]
    epoch = lb1.status()["epoch"]
    os.kill(first, signal.SIGKILL)

    eventually(lambda: lb1.daemon_pids().get("skdinotify", first) != first, within=5, what="a new skdinotify")
    assert (lb1.role(), lb2.role()) == ("master", "backup")
    assert lb1.status()["epoch"] == epoch


def test_all_killed_both_hold_the_address_no_longer_than_the_lease(pair: Lab, lb1: Node, lb2: Node) -> None:
    with pair.watch_holders() as watch:
        lb1.pause(lb1.daemon_pids()["skd-elector"])  # or it may see its supervisor die first and leave in order
        lb1.kill_daemon()
        eventually(lambda: watch.holders() == frozenset({"lb2"}), within=6, what="lb2 holds it alone")

        assert watch.overlap_seconds() <= VIP_LEASE + 0.5
    eventually(lambda: lb2.role() == "master", what="lb2 says so")


def test_release_removes_what_a_killed_service_left_and_resigns_for_it(pair: Lab, lb1: Node, lb2: Node) -> None:
    lb1.pause(lb1.daemon_pids()["skd-elector"])  # or it would see its supervisor die and leave in order
    lb1.kill_daemon()
    said = lb1.run(["skd-cluster", "release"]).stdout

    assert not lb1.holds()
    roles(lb1, lb2, "master", "master")  # lb1's file is what kill -9 left behind; lb2 took over
    assert "10.77.0.2" in said


def test_a_stopped_elector_loses_its_address_to_the_kernel(pair: Lab, lb1: Node, lb2: Node) -> None:
    pid = lb1.daemon_pids()["skd-elector"]
    with pair.watch_holders() as watch:
        lb1.pause(pid)
        eventually(lambda: watch.holders() == frozenset({"lb2"}), within=6, what="lb2 holds it alone")

        assert watch.overlap_seconds() <= VIP_LEASE + 0.5
    lb1.resume(pid)
    eventually(lambda: not lb1.holds() and lb2.role() == "master", within=5, what="lb2 stays master")


def test_a_partition_heals_to_one_master_the_lower_address(pair: Lab, lb1: Node, lb2: Node) -> None:
    pair.partition(lb1, lb2)
    roles(lb1, lb2, "master", "master")
    pair.heal()

    roles(lb1, lb2, "master", "backup")
    assert lb1.status()["epoch"] > lb2.status()["peer"].get("epoch", 0) - 1


def test_a_one_way_cut_ends_in_one_master(pair: Lab, lb1: Node, lb2: Node) -> None:
    """lb2 cannot hear lb1: it takes over, and lb1, who cannot make it yield, yields itself."""
    pair.partition(lb1, lb2, one_way=True)

    roles(lb1, lb2, "backup", "master")


def test_loss_of_carrier_is_a_fault_and_mends(pair: Lab, lb1: Node, lb2: Node) -> None:
    pair.cut(lb1)
    roles(lb1, lb2, "fault", "master")
    assert any("carrier" in problem for problem in lb1.status()["problems"])
    pair.mend(lb1)

    roles(lb1, lb2, "backup", "master")


def test_an_address_removed_by_hand_comes_back(pair: Lab, lb1: Node) -> None:
    lb1.remove_address()

    eventually(lb1.holds, what="the address is back")
    assert lb1.role() == "master"
    assert "address_restored" in lb1.output()


def test_an_address_raised_on_the_backup_is_removed(pair: Lab, lb2: Node) -> None:
    lb2.add_address()

    eventually(lambda: not lb2.holds(), what="the guard removed it")
    assert "address_guarded" in lb2.output()


def test_another_password_keeps_a_node_out_and_the_other_one_master(pair: Lab, lb1: Node, lb2: Node) -> None:
    lb2.stop_daemon()
    conf = lb2.path(CLUSTER_CONF)
    conf.write_text(conf.read_text().replace('"secret"', '"mistyped"'))
    lb2.start_daemon()

    roles(lb1, lb2, "master", "fault")
    assert any("another key" in problem for problem in lb2.status()["problems"])
    lb2.run(["skd-cluster", "online", "--force"])
    eventually(lambda: lb2.role() in ("backup", "master"), what="forced back")


def test_hooks_follow_the_role(pair: Lab, lb1: Node, lb2: Node) -> None:
    lb1.run(["skd-cluster", "failover", "--force"])
    roles(lb1, lb2, "backup", "master")

    eventually(lambda: lb1.hooks()[-1][-3:] == ["stop", "eth0", "10.77.0.100"], what="lb1's stop hook")
    eventually(lambda: lb2.hooks()[-1][-3:] == ["start", "eth0", "10.77.0.100"], what="lb2's start hook")
