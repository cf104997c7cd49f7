"""Real faults, what `skd-cluster doctor` says of each, and that its own command mends it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.healthy import healthy_pair
from tests.labkit import CLUSTER_CONF, Lab, Node, eventually
from tests.labkit.node import HOOKS

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def pair(lab: Lab, lb1: Node, lb2: Node) -> Iterator[tuple[Node, Node]]:
    """A healthy pair, lb1 master, with trees and keys of its own."""
    with healthy_pair(lab, lb1, lb2, lambda: lb1.run(["skd-cluster", "pair"])) as pair:
        yield pair


def doctor(node: Node, *words: str) -> tuple[int, list[dict[str, Any]]]:
    done = node.run(["skd-cluster", "doctor", "--json", *words], check=False, timeout=60)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)["findings"]


def wrong(node: Node, item: str = "") -> list[dict[str, Any]]:
    _, found = doctor(node)
    return [one for one in found if one["state"] in ("warning", "problem") and item in ("", one["item"])]


def obey(finding: dict[str, Any], *nodes: Node) -> None:
    """Type what a finding says, where it says. No systemd runs here: what would restart the service is left out."""
    node = next(one for one in nodes if finding["node"] in (one.name, one.address))
    node.run(finding["remedy"].partition(" && systemctl ")[0].partition(" && networkctl ")[0])


def test_healthy_pair_has_no_problem_and_both_nodes_are_looked_at(pair: tuple[Node, Node]) -> None:
    code, found = doctor(pair[0])
    print(pair[0].run(["skd-cluster", "doctor"], check=False, timeout=60).stdout)

    assert [one for one in found if one["state"] == "problem"] == []
    assert code == 0
    assert {one["node"] for one in found} == {"lb1", "lb2"}
    assert "secret" not in json.dumps(found)


FAULTS = (
    # where, what is done to it, the item that says so
    ("lb1", f"chmod 644 {HOOKS.format('start')}", "hooks"),
    ("lb2", f"chmod 644 {CLUSTER_CONF}", "configuration"),
    ("lb2", f"sed -i 's/cluster_id=\"1\"/cluster_id=\"2\"/' {CLUSTER_CONF}", "mirror"),
    ("lb2", f"echo '$exclude=\"--exclude *_proxy.cfg\";' >> {CLUSTER_CONF}", "exclude"),
    ("lb1", "mkdir -p /usr/local/skudonet/app/ucarp/checks.d; touch /usr/local/skudonet/app/ucarp/checks.d/disk", "checks"),
    ("lb2", "echo 'PS1=$(cat /etc/skudonet-ce-cluster.status)' >> /root/.bashrc", "leftovers"),
    ("lb2", "(setsid ucarp -i eth0 -s 10.77.0.2 -v 9 -p x -a 10.77.0.99 >/dev/null 2>&1 </dev/null &) ; sleep 0.2", "leftovers"),
    ("lb1", "sed -i '/skd-cluster:lb2/d' /root/.ssh/authorized_keys; rm -f /root/.ssh/known_hosts", "ssh"),
)  # fmt: skip


def test_each_fault_is_found_and_goes_away_by_doing_what_is_said(pair: tuple[Node, Node]) -> None:
    nodes = {node.name: node for node in pair}
    lb1, lb2 = pair
    known = lb1.path("/root/.ssh/known_hosts").read_text()
    for name, fault, _ in FAULTS:
        nodes[name].run(fault)
    lb1.write("/root/.ssh/known_hosts", known)

    found = wrong(lb1)
    for name, _, item in FAULTS:
        told = [one for one in found if one["item"] == item]
        assert told, (item, found)
        assert {name} & {one["node"] for one in told} or item == "ssh", told
    for one in found:
        if one["item"] in {item for _, _, item in FAULTS}:
            obey(one, *pair)
    after = [one for one in wrong(lb1) if one["item"] in {item for _, _, item in FAULTS}]
    assert after == []
    assert wrong(lb2, "mirror") == []


def test_passwords_that_differ_are_told_and_never_shown(pair: tuple[Node, Node]) -> None:
    pair[1].write_config(floating="listed", advert_interval="0.1", exclude=None, password="another secret")
    _, found = doctor(pair[0])

    (told,) = [one for one in found if one["item"] == "mirror" and one["state"] == "problem"]
    assert (told["node"], told["evidence"]) == ("lb2", "the passwords of lb1 and lb2 are different")
    assert "secret" not in json.dumps(found)


def test_firewall_that_drops_the_packets_is_named_with_the_rule_that_lets_them_in(pair: tuple[Node, Node]) -> None:
    lb1, lb2 = pair
    lb2.run(
        "nft add table inet guard; nft 'add chain inet guard in { type filter hook input priority 0; policy accept; }'"
    )
    lb2.run("nft add rule inet guard in udp dport 10112 drop")
    eventually(lambda: lb2.role() == "master", within=5, what="it hears nobody")

    found = wrong(lb1)
    assert {"firewall", "heartbeat"} <= {one["item"] for one in found}
    (told,) = [one for one in found if one["item"] == "firewall"]
    obey(told, *pair)
    eventually(lambda: [lb1.role(), lb2.role()].count("master") == 1, within=10, what="one master again")
    assert wrong(lb1, "firewall") + wrong(lb1, "roles") + wrong(lb1, "heartbeat") == []


def test_address_of_a_stranger_and_one_on_both_nodes(pair: tuple[Node, Node], lab: Lab) -> None:
    lb1, lb2 = pair
    lb2.stop_daemon()
    lb2.add_address()
    (told,) = wrong(lb1, "floating-addresses")
    assert (told["node"], told["evidence"]) == ("lb2", "10.77.0.100 is on both nodes")
    obey(told, *pair)
    assert wrong(lb1, "floating-addresses") == []

    stranger = lab.client("10.77.0.50")
    stranger.prepare()
    stranger.run("ip address add 10.77.0.100/24 dev eth0; ip address add 10.77.0.1/24 dev eth0")
    mac = stranger.run("cat /sys/class/net/eth0/address", check=False).stdout.strip()
    said = [one["evidence"] for one in wrong(lb1)]
    assert any("10.77.0.100 is answered for by" in one and "neither node" in one for one in said), (said, mac)
    assert any("local_ip 10.77.0.1 is also answered for by" in one for one in said)
    stranger.run("ip address del 10.77.0.100/24 dev eth0; ip address del 10.77.0.1/24 dev eth0")
    assert wrong(lb1, "floating-addresses") + wrong(lb1, "local-address") == []


def test_peer_without_a_service_and_without_sshd_and_sshd_that_does_not_trust_its_files(
    pair: tuple[Node, Node],
) -> None:
    lb1, lb2 = pair
    lb2.kill_daemon()
    found = wrong(lb1)
    assert ("service", "lb2") in {(one["item"], one["node"]) for one in found}
    (stale,) = [one for one in found if one["item"] == "status-file"]
    obey(stale, *pair)
    assert wrong(lb1, "status-file") == []

    lb2.run("chmod 777 /root/.ssh")
    (told,) = wrong(lb1, "ssh")
    assert told["remedy"] == "skd-cluster pair"
    (here,) = wrong(lb2, "pairing")
    assert "others may write" in here["evidence"]
    obey(here, *pair)
    assert wrong(lb1, "ssh") + wrong(lb2, "pairing") == []

    lb2.stop_sshd()
    (told,) = wrong(lb1, "ssh")
    assert (told["node"], told["remedy"]) == ("10.77.0.2", "systemctl enable --now ssh")
    assert doctor(lb1)[0] == 1


def test_own_address_that_would_go_with_a_floating_one(pair: tuple[Node, Node]) -> None:
    lb1, _ = pair
    lb1.stop_daemon()
    lb1.run("sysctl -qw net.ipv4.conf.all.promote_secondaries=0 net.ipv4.conf.eth0.promote_secondaries=0")
    lb1.run("ip address flush dev eth0; ip address add 10.77.0.100/24 dev eth0; ip address add 10.77.0.1/24 dev eth0")
    (told,) = wrong(lb1, "kernel")
    assert "10.77.0.1 is secondary to 10.77.0.100" in told["evidence"]
    obey(told, *pair)
    assert wrong(lb1, "kernel") == []
    lb1.remove_address()
    assert lb1.holds("10.77.0.1")


def test_what_is_down_is_said_by_the_node_itself_and_nothing_hangs(pair: tuple[Node, Node]) -> None:
    _, lb2 = pair
    lb2.link_down()
    eventually(lambda: not lb2.status()["peer"]["alive"], what="the peer is silent")
    found = wrong(lb2)
    assert {"interface", "ssh", "heartbeat"} <= {one["item"] for one in found}
    obey(next(one for one in found if one["item"] == "interface"), lb2)
    eventually(lambda: wrong(lb2, "interface") == [], within=10, what="up again")


def test_refused_configuration_is_78_and_one_node_can_be_looked_at_alone(pair: tuple[Node, Node]) -> None:
    lb1, _ = pair
    code, found = doctor(lb1, "--local")
    assert code == 0
    assert {one["node"] for one in found} == {"lb1"}
    lb1.write_config(cluster_id="many")
    done = lb1.run(["skd-cluster", "doctor"], check=False)
    assert (done.returncode, done.stdout) == (78, "")
    assert "cluster_id" in done.stderr


def test_others_who_manage_the_network_are_told_as_their_own_files_say(pair: tuple[Node, Node]) -> None:
    """No networkd runs here: its files are as it leaves them for a link that it manages."""
    lb1, _ = pair
    index = lb1.run("ip -o link show eth0").stdout.partition(":")[0]
    lb1.write(
        f"/run/systemd/netif/links/{index}", "ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/lan.network\n"
    )
    lb1.write(
        "/etc/systemd/network/lan.network",
        "[Match]\nName=eth0\n[Network]\nAddress=10.77.0.1/24\n[Network]\nDNS=a\nDNS=b\n",
    )
    lb1.write("/etc/cloud/cloud.cfg", "users: []\n")
    lb1.run("mkdir -p /etc/cloud/cloud.cfg.d")

    told = wrong(lb1, "managers")
    assert [one["evidence"].partition(" ")[0] for one in told] == ["a", "a", "cloud-init"]
    for one in told:
        obey(one, lb1)
    assert wrong(lb1, "managers") == []
