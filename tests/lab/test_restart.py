"""`systemctl restart` on a real master: the client notices nothing, and a restart that goes wrong is bounded."""

import pytest

from skd_cluster.core.restarting import RESTART_LEASE
from tests.labkit import CLUSTER_IP, Lab, Node, eventually

GAP = 100
"""Milliseconds: far below any takeover, far above what a busy machine delays an answer."""

SYSTEMCTL = """\
#!/bin/sh
# Stands for systemd, which the lab has not got: says what it would about its jobs.
[ "$1" = list-jobs ] && cat /run/jobs 2> /dev/null
"""
UNDER_SYSTEMD = {"INVOCATION_ID": "0" * 32}
RESTARTING = "7 skudonet-ce-cluster.service restart running\n"
STOPPING = "7 skudonet-ce-cluster.service stop running\n"


@pytest.fixture
def pair(lab: Lab, lb1: Node, lb2: Node) -> Lab:
    """Start a pair, lb1 master, as systemd would."""
    for node in (lb1, lb2):
        node.write_config(floating="listed")
        node.write("/usr/local/bin/systemctl", SYSTEMCTL, mode=0o755)
        node.write("/usr/local/skudonet/app/ucarp/sbin/skudonet-ce-cluster-start", HOOK, mode=0o755)
        node.write("/usr/local/skudonet/app/ucarp/sbin/skudonet-ce-cluster-stop", HOOK, mode=0o755)
    lb1.add_address()
    lb1.start_daemon(env=UNDER_SYSTEMD)
    lb2.start_daemon(env=UNDER_SYSTEMD)
    eventually(lambda: (lb1.role(), lb2.role()) == ("master", "backup"), within=5, what="lb1 master, lb2 backup")
    eventually(lambda: lb1.status()["peer"]["heard"], within=5, what="they hear each other")
    eventually(lambda: called(lb1) == ["start"], within=5, what="the hook has run")
    return lab


HOOK = """\
#!/bin/sh
echo "${0##*-}" >> /run/hooks
"""


def called(node: Node) -> list[str]:
    """Return which hooks have run there."""
    path = node.path("/run/hooks")
    return path.read_text().split() if path.exists() else []


def stopped_for(node: Node, job: str) -> None:
    """Stop the service as systemd does for this job, with all it runs at the end."""
    node.write("/run/jobs", job)
    assert node.stop_daemon() == 0
    node.run(["skd-cluster", "release"], check=False)  # it says so when the configuration cannot be read


def test_the_address_stays_and_nobody_s_role_changes(pair: Lab, lb1: Node, lb2: Node) -> None:
    before = lb2.status()
    with pair.client().probe(CLUSTER_IP) as probe, pair.watch_holders() as watch:
        probe.wait_answer()
        stopped_for(lb1, RESTARTING)
        assert lb1.holds()
        lb1.start_daemon(env=UNDER_SYSTEMD)
        eventually(lambda: lb1.role() == "master", within=5, what="lb1 is master again")
        eventually(lambda: lb1.status()["peer"]["heard"], within=5, what="they hear each other")
        assert watch.overlap_seconds() == 0
        eventually(lambda: probe.answered > 100, within=10, what="probes are answered")
        assert probe.longest_gap().ms < GAP
    after = lb1.status()
    assert (after["reason"], after["epoch"]) == ("restarted", before["epoch"])
    assert lb2.status()["since"] == before["since"]
    assert called(lb1) == ["start"]  # what it did is still done
    assert "goes away for its restart" in lb1.output()


def test_a_stop_is_a_stop(pair: Lab, lb1: Node, lb2: Node) -> None:
    stopped_for(lb1, STOPPING)
    assert not lb1.holds()
    eventually(lambda: lb2.role() == "master", within=1, what="lb2 took over")


def test_one_that_does_not_come_back_is_replaced_within_the_bound(pair: Lab, lb1: Node, lb2: Node) -> None:
    with pair.watch_holders() as watch:
        stopped_for(lb1, RESTARTING)
        eventually(lambda: lb2.role() == "master", within=RESTART_LEASE + 3, what="lb2 took over")
        assert watch.overlap_seconds() == 0
    assert not lb1.holds()
    lb1.start_daemon(env=UNDER_SYSTEMD)
    eventually(lambda: lb1.role() == "backup", within=5, what="lb1 follows")


def test_a_broken_configuration_makes_it_a_handover(pair: Lab, lb1: Node, lb2: Node) -> None:
    lb1.write_config(floating="listed", advert_interval="often")
    stopped_for(lb1, RESTARTING)
    assert not lb1.holds()
    eventually(lambda: lb2.role() == "master", within=1, what="lb2 took over")


def test_a_peer_that_does_not_hear_it_is_handed_over_to(pair: Lab, lb1: Node, lb2: Node) -> None:
    pair.partition(lb1, lb2, one_way=True)
    stopped_for(lb1, RESTARTING)
    assert not lb1.holds()
    eventually(lambda: lb2.role() == "master", within=5, what="lb2 took over")


def test_without_a_peer_the_address_stays(pair: Lab, lb1: Node, lb2: Node) -> None:
    lb2.kill_daemon()
    eventually(lambda: not lb1.status()["peer"]["alive"], within=5, what="lb1 misses lb2")
    stopped_for(lb1, RESTARTING)
    assert lb1.holds()
    lb1.start_daemon(env=UNDER_SYSTEMD)
    eventually(lambda: lb1.role() == "master", within=5, what="lb1 is master again")
    assert lb1.status()["reason"] == "restarted"
