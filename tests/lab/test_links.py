"""More than one cable, multicast, IPv6, the gateway's word, witnesses: on real interfaces."""

import json
import os
import signal

import pytest

from tests.labkit import CLUSTER_IP, Client, Lab, Node, eventually

ARP_CLAIM = "arping -c 2 -A -I eth0 -s {vip} {vip} >/dev/null 2>&1; true"


def start(lb1: Node, lb2: Node, **keys: str) -> None:
    """Start a pair with these keys; lb1 has the address."""
    for node in (lb1, lb2):
        node.write_config(floating="listed", advert_interval="0.1", **keys)
    lb1.add_address()
    for node in (lb1, lb2):
        node.start_daemon()
    both(lb1, lb2, "master", "backup")
    eventually(lambda: lb1.status()["peer"]["heard"], within=5, what="they hear each other")


def both(lb1: Node, lb2: Node, *wanted: str) -> None:
    eventually(lambda: (lb1.role(), lb2.role()) == wanted, within=8, what=f"roles {wanted}")


def test_multicast(lab: Lab, lb1: Node, lb2: Node) -> None:
    start(lb1, lb2, udp_mode="multicast")
    lb1.run(["skd-cluster", "failover", "--force"])
    both(lb1, lb2, "backup", "master")
    os.kill(lb2.daemon_pids()["skd-elector"], signal.SIGKILL)
    eventually(lambda: lb1.role() == "master", what="lb1 took over")


def test_detection_by_probing(lab: Lab, lb1: Node, lb2: Node) -> None:
    start(lb1, lb2, detection="probing")
    lab.power_off(lb1)
    eventually(lambda: lb2.role() == "master", what="lb2 took over")
    assert lb2.status()["reason"] == "peer_silent"


def test_one_cut_cable_of_two_is_no_partition(lab: Lab, lb1: Node, lb2: Node) -> None:
    lab.second_cable(lb1, lb2, "10.88.0.1", "10.88.0.2")
    for node, ours, theirs in ((lb1, "10.88.0.1", "10.88.0.2"), (lb2, "10.88.0.2", "10.88.0.1")):
        node.write_config(floating="listed", advert_interval="0.1", heartbeat_links=f"{ours}>{theirs}")
    lb1.add_address()
    for node in (lb1, lb2):
        node.start_daemon()
    both(lb1, lb2, "master", "backup")
    eventually(lambda: all(one["alive"] for one in lb2.status()["peer"]["links"]), within=5, what="both paths heard")
    epoch = lb1.status()["epoch"]

    lab.partition(lb1, lb2)
    eventually(lambda: not lb2.status()["peer"]["links"][0]["alive"], within=5, what="the first path is noticed")
    assert any("only on other links" in problem for problem in lb2.status()["problems"])
    assert (lb1.role(), lb2.role(), lb1.status()["epoch"]) == ("master", "backup", epoch)
    lab.heal()

    lab.cut(lb1)  # the master's own cable: it says so on the other link, nobody has to wait
    both(lb1, lb2, "fault", "master")
    assert lb2.status()["reason"] == "peer_resigned"


def test_the_gateway_confirms_a_takeover(lab: Lab, lb1: Node, lb2: Node, client: Client) -> None:
    for node in (lb1, lb2):
        node.run(f"ip route add default via {client.address}")
    start(lb1, lb2)

    def confirmed() -> bool:
        metrics = lb1.run("curl -fsS http://10.77.0.1:9869/metrics").stdout
        value = next(
            line for line in metrics.splitlines() if line.startswith("skd_cluster_takeover_confirmed_seconds ")
        )
        return float(value.split()[1]) > 0

    eventually(confirmed, within=5, what="the gateway has answered")


def test_a_foreign_claim_is_seen_counted_and_answered(lab: Lab, lb1: Node, lb2: Node, client: Client) -> None:
    start(lb1, lb2)
    client.run(f"ip addr add {CLUSTER_IP}/32 dev eth0")
    client.run(ARP_CLAIM.format(vip=CLUSTER_IP))

    eventually(lambda: lb1.status()["counters"]["foreign_arp"] > 0, within=5, what="the claim is counted")
    assert "foreign_arp" in lb1.output()
    assert lb1.role() == "master"


def test_only_the_side_with_the_witness_is_master(lab: Lab, lb1: Node, lb2: Node, client: Client) -> None:
    start(lb1, lb2, witness=client.address)
    lab.partition(lb1, client)
    lab.partition(lb1, lb2)
    both(lb1, lb2, "backup", "master")
    assert lb1.status()["reason"] == "no_witness"
    assert not lb1.holds()
    lab.heal()
    both(lb1, lb2, "backup", "master")


def test_a_backup_without_a_witness_does_not_take_over(lab: Lab, lb1: Node, lb2: Node, client: Client) -> None:
    start(lb1, lb2, witness=client.address)
    lab.partition(lb2, client)
    eventually(lambda: "no witness" in lb2.status()["detail"], within=5, what="the witness is missed")
    lab.power_off(lb1)
    eventually(lambda: not lb2.status()["peer"]["alive"], within=5, what="the master is missed")
    assert lb2.role() == "backup"
    lab.heal()
    eventually(lambda: lb2.role() == "master", within=5, what="the witness answers")


@pytest.mark.parametrize("transport", ["unicast", "multicast"])
def test_ipv6(lab: Lab, lb1: Node, lb2: Node, transport: str) -> None:
    for node, ours, theirs in ((lb1, 1, 2), (lb2, 2, 1)):
        node.run(f"ip -6 addr add fd00:77::{ours}/64 dev eth0 nodad")
        node.write_config(
            floating="listed",
            advert_interval="0.1",
            udp_mode=transport,
            local_ip=f"fd00:77::{ours}",
            remote_ip=f"fd00:77::{theirs}",
            cluster_ip="fd00:77::100/64 10.77.0.100/24",
        )
        node.start_daemon()
    eventually(lambda: {lb1.role(), lb2.role()} == {"master", "backup"}, within=8, what="one master")
    eventually(lambda: all(one.status()["peer"]["heard"] for one in (lb1, lb2)), within=5, what="both hear each other")
    master, backup = (lb1, lb2) if lb1.role() == "master" else (lb2, lb1)

    def held(node: Node) -> set[str]:
        found = json.loads(node.run("ip -j addr show dev eth0").stdout)
        return {one["local"] for one in found[0]["addr_info"]} & {"fd00:77::100", "10.77.0.100"}

    assert held(master) == {"fd00:77::100", "10.77.0.100"}
    master.run(["skd-cluster", "failover", "--force"])
    eventually(lambda: backup.role() == "master", within=5, what="handed over")
    assert held(master) == set()
    assert held(backup) == {"fd00:77::100", "10.77.0.100"}


def test_several_addresses_are_followed_in_the_product_s_tree(lab: Lab, lb1: Node, lb2: Node) -> None:
    tree = "/usr/local/skudonet/config"
    text = "[eth0:{tag}]\nstatus={status}\nname=eth0:{tag}\naddr={address}\nmask=255.255.255.0\ngateway=\n"
    for node in (lb1, lb2):
        node.write(f"{tree}/if_eth0:web_conf", text.format(tag="web", status="up", address="10.77.0.110"))
        node.write_config(advert_interval="0.1")
    lb1.add_address()
    for node in (lb1, lb2):
        node.start_daemon()
    both(lb1, lb2, "master", "backup")
    assert lb1.holds("10.77.0.110")

    lb1.write(f"{tree}/if_eth0:new_conf", text.format(tag="new", status="up", address="10.77.0.111"))
    eventually(lambda: lb1.holds("10.77.0.111"), within=5, what="the new address is held")
    lb1.write(f"{tree}/if_eth0:web_conf", text.format(tag="web", status="down", address="10.77.0.110"))
    eventually(lambda: not lb1.holds("10.77.0.110"), within=5, what="the one that went down is let go")
