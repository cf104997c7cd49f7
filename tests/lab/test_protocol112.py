"""Raw sockets of protocol 112 on real interfaces, and whether tshark, tcpdump, keepalived and ucarp take what we send."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, ip_address
from itertools import count
from typing import Any

import pytest

from skd_cluster.core import carp, vrrp
from skd_cluster.core.carp import CarpAdvert
from skd_cluster.core.model import SECOND
from skd_cluster.core.vrrp import VrrpAdvert
from tests.lab import talker112
from tests.labkit import CLUSTER_IP, Client, Lab, Node, eventually
from tests.labkit.machine import Machine, Process

GROUP, GROUP6 = "224.0.0.18", "ff02::12"
FLOATING6 = "fe80::77:100"
CAPTURE = "/var/log/wire.pcap"
KEEPALIVED = """\
global_defs {{
  vrrp_version 3
}}
vrrp_instance pair {{
  state BACKUP
  interface eth0
  virtual_router_id 51
  priority 100
  advert_int 1
  {unicast}
  virtual_ipaddress {{
    {address}
  }}
}}
"""
ADVERT = VrrpAdvert(51, 150, SECOND, (ip_address(CLUSTER_IP),))
ADVERT6 = replace(ADVERT, addresses=(ip_address(FLOATING6), ip_address("2001:db8::100")))
RESIGNATION = "Backup received priority 0 advertisement"
VIP = IPv4Address(CLUSTER_IP)
COUNTERS = count(0x5EED_0000_0000_0000, 0x9E37_79B9)
"""Each is new, and none is ucarp's answer to another."""


@dataclass
class Talker:
    """Our adapter in a process on a machine. `heard` collects what it said."""

    process: Process
    source: str
    destination: str

    def send(self, body: bytes) -> bool:
        stdin = self.process.stdin
        assert stdin is not None
        stdin.write(body.hex() + "\n")
        stdin.flush()
        return bool(self.next("sent")["sent"])

    def hear(self) -> dict[str, Any]:
        return self.next("body")

    def next(self, key: str) -> dict[str, Any]:
        """What it says next, which must be of this kind; the test's time limit is the only one."""
        stdout = self.process.stdout
        assert stdout is not None
        said: dict[str, Any] = json.loads(stdout.readline())
        assert key in said, said
        return said


def talk(machine: Machine, mode: str, local: str, remote: str, dress: str = "vrrp") -> Talker:
    pipe = subprocess.PIPE
    words = [sys.executable, talker112.__file__, mode, local, remote, "eth0", dress]
    process = machine.popen(words, stdin=pipe, stdout=pipe)
    talker = Talker(process, "", "")
    ends = talker.next("source")
    return replace(talker, source=ends["source"], destination=ends["destination"])


def settle(*nodes: Node) -> dict[Node, str]:
    """Wait until the link-local addresses are no longer tentative; returns them."""

    def found() -> dict[Node, str] | None:
        lines = {node: node.run("ip -6 -o address show dev eth0 scope link -tentative").stdout for node in nodes}
        return (
            {node: line.split()[3].partition("/")[0] for node, line in lines.items()} if all(lines.values()) else None
        )

    settled = eventually(found, within=5, what="no link-local address is tentative")
    assert settled is not None
    return settled


def fields(node: Node, names: tuple[str, ...], *options: str) -> list[list[str]]:
    """What tshark finds in what was captured on a node, with all it has to complain of at the end."""
    wanted = [word for name in (*names, "_ws.expert.message") for word in ("-e", name)]
    out = node.run(["tshark", "-r", CAPTURE, *options, "-T", "fields", *wanted]).stdout
    return [line.split("\t") for line in out.splitlines()]


def capture(node: Node) -> None:
    """Write down what comes in, each packet as it comes."""
    words = ["tcpdump", "-Z", "root", "--immediate-mode", "-U", "-i", "eth0", "-w", CAPTURE]
    node.popen([*words, "ip proto 112 or ip6 proto 112"], output="/var/log/tcpdump.out")
    eventually(lambda: "listening on" in node.path("/var/log/tcpdump.out").read_text(), what="tcpdump listens")


def signed(advbase: int = 1, advskew: int = 0) -> bytes:
    return carp.encode(CarpAdvert(1, advskew, advbase, next(COUNTERS)), b"secret", VIP)


# ---- the sockets


def test_multicast_over_ipv4(lab: Lab, lb1: Node, lb2: Node) -> None:
    ours, theirs = (talk(node, "multicast", node.address, GROUP) for node in (lb1, lb2))
    assert (ours.source, ours.destination) == ("10.77.0.1", GROUP)

    assert ours.send(b"hello")
    assert theirs.hear() == {"body": b"hello".hex(), "source": "10.77.0.1", "destination": GROUP, "hops": 255}
    assert theirs.send(b"and back")
    assert ours.hear()["body"] == b"and back".hex()  # and not its own before it


def test_multicast_over_ipv6_is_from_the_link_local_address(lab: Lab, lb1: Node, lb2: Node) -> None:
    """Of which the interface has two, as on a master; the floating one, with a lifetime, is not the node's own."""
    own = settle(lb1, lb2)
    lb1.run(f"ip address add {FLOATING6}/64 dev eth0 nodad valid_lft 60 preferred_lft 60")
    lb1.run("ip address add 2001:db8::1/64 dev eth0 nodad")
    ours, theirs = talk(lb1, "multicast", "2001:db8::1", GROUP6), talk(lb2, "multicast", own[lb2], GROUP6)
    assert (ours.source, ours.destination, theirs.source) == (own[lb1], GROUP6, own[lb2])

    assert ours.send(b"hello")
    assert theirs.hear() == {"body": b"hello".hex(), "source": own[lb1], "destination": GROUP6, "hops": 255}
    assert theirs.send(b"and back")
    assert ours.hear()["body"] == b"and back".hex()


@pytest.mark.parametrize(("local", "remote"), [("10.77.0.1", "10.77.0.2"), ("2001:db8::1", "2001:db8::2")])
def test_unicast(lab: Lab, lb1: Node, lb2: Node, local: str, remote: str) -> None:
    for node, address in ((lb1, "2001:db8::1"), (lb2, "2001:db8::2")):
        node.run(f"ip address add {address}/64 dev eth0 nodad")
    ours, theirs = talk(lb1, "unicast", local, remote), talk(lb2, "unicast", remote, local)

    assert ours.send(b"hello")
    assert theirs.hear() == {"body": b"hello".hex(), "source": local, "destination": remote, "hops": 255}
    assert theirs.send(b"and back")
    assert ours.hear()["body"] == b"and back".hex()


def test_unicast_between_link_local_addresses(lab: Lab, lb1: Node, lb2: Node) -> None:
    own = settle(lb1, lb2)
    ours, theirs = talk(lb1, "unicast", own[lb1], own[lb2]), talk(lb2, "unicast", own[lb2], own[lb1])

    assert ours.send(b"hello")
    assert theirs.hear() == {"body": b"hello".hex(), "source": own[lb1], "destination": own[lb2], "hops": 255}


def test_nothing_else_is_heard(lab: Lab, lb1: Node, lb2: Node, client: Client) -> None:
    """Other protocols, other groups, packets to the node's own address; and one that has passed a router says so."""
    theirs = talk(lb2, "multicast", lb2.address, GROUP)
    sender = f"""
import socket
for protocol, target, hops in ((113, {GROUP!r}, 255), (112, "224.0.0.19", 255), (112, "10.77.0.2", 255), (112, {GROUP!r}, 1)):
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.77.0.50"))
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, hops)
    sock.sendto(target.encode(), (target, 0))
"""
    lb2.run("ip maddress add 01:00:5e:00:00:13 dev eth0")  # the frames of the other group come in as well
    client.run([sys.executable, "-c", sender])

    assert theirs.hear() == {"body": GROUP.encode().hex(), "source": "10.77.0.50", "destination": GROUP, "hops": 1}


def test_an_address_that_is_not_here_sends_nothing(lab: Lab, lb1: Node, lb2: Node) -> None:
    """And the path is open all the same: the address may come, and then it is sent from."""
    early = talk(lb1, "unicast", "10.77.0.9", lb2.address)
    many = talk(lb1, "multicast", "10.77.0.9", GROUP)
    theirs = talk(lb2, "multicast", lb2.address, GROUP)
    assert not early.send(b"too early")
    assert not many.send(b"too early")

    lb1.run("ip address add 10.77.0.9/24 dev eth0")
    assert early.send(b"now")
    assert many.send(b"now")
    assert theirs.hear() == {"body": b"now".hex(), "source": "10.77.0.9", "destination": GROUP, "hops": 255}


# ---- as others see it


def test_tshark_finds_nothing_wrong_with_our_vrrp(lab: Lab, lb1: Node, lb2: Node) -> None:
    own = settle(lb1, lb2)
    lb1.run("ip address add 2001:db8::1/64 dev eth0 nodad")
    capture(lb2)
    for local, group, advert in (("10.77.0.1", GROUP, ADVERT), ("2001:db8::1", GROUP6, ADVERT6)):
        ours = talk(lb1, "multicast", local, group)
        assert ours.send(vrrp.encode(advert, ip_address(ours.source), ip_address(ours.destination)))

    ip = ("ip.src", "ip.dst", "ip.ttl", "ip.dsfield", "ip.flags.df", "ipv6.src", "ipv6.dst", "ipv6.hlim", "ipv6.tclass")
    said = (
        "vrrp.version",
        "vrrp.type",
        "vrrp.virt_rtr_id",
        "vrrp.prio",
        "vrrp.short_adver_int",
        "vrrp.checksum.status",
    )
    there = ("vrrp.ip_addr", "vrrp.ipv6_addr")
    found = eventually(lambda: (seen := fields(lb2, (*ip, *said, *there)))[1:] and seen, within=10)
    message = ["3", "1", "51", "150", "100", "1"]
    assert found == [
        ["10.77.0.1", GROUP, "255", "0xc0", "0", "", "", "", "", *message, CLUSTER_IP, "", ""],
        ["", "", "", "", "", own[lb1], GROUP6, "255", "0x000000c0", *message, "", f"{FLOATING6},2001:db8::100", ""],
    ]


def test_tshark_and_tcpdump_find_nothing_wrong_with_our_carp(lab: Lab, lb1: Node, lb2: Node) -> None:
    capture(lb2)
    body = signed(advbase=2, advskew=100)
    assert talk(lb1, "multicast", lb1.address, GROUP, "carp").send(body)

    ip = ("ip.src", "ip.dst", "ip.ttl", "ip.dsfield", "ip.flags.df")
    said = ("carp.version", "carp.type", "carp.vhid", "carp.advskew", "carp.authlen", "carp.demotion", "carp.adver_int")
    signature = ("carp.checksum.status", "carp.counter", "carp.hmac")
    options = ("-d", "ip.proto==112,carp")
    found = eventually(lambda: fields(lb2, (*ip, *said, *signature), *options), within=10)
    counter, digest = str(int.from_bytes(body[8:16])), body[16:].hex()
    assert found == [
        ["10.77.0.1", GROUP, "255", "0x10", "1", "2", "1", "1", "100", "7", "0", "2", "1", counter, digest, ""]
    ]
    told = lb2.run(["tcpdump", "-n", "-r", CAPTURE, "-T", "carp"]).stdout
    assert f"CARPv2-advertise 36: vhid=1 advbase=2 advskew=100 authlen=7 counter={counter}" in told


def keepalived(node: Node, address: str, unicast: str = "") -> Callable[[], str]:
    """Start Debian's, as backup; returns what reads its log."""
    node.write("/etc/keepalived/keepalived.conf", KEEPALIVED.format(address=address, unicast=unicast))
    words = ["keepalived", "--dont-fork", "--log-console", "--log-detail", "--vrrp"]
    node.popen([*words, "--use-file", "/etc/keepalived/keepalived.conf"], output="/var/log/keepalived.out")
    log = node.path("/var/log/keepalived.out")
    eventually(lambda: "Entering BACKUP STATE" in log.read_text(), within=5, what="keepalived is backup")
    return log.read_text


@pytest.mark.parametrize("mode", ["multicast", "unicast"])
def test_debian_s_keepalived_takes_our_reading_of_the_checksum_and_its_own_addresses_only(
    lab: Lab, lb1: Node, lb2: Node, mode: str
) -> None:
    unicast = "unicast_src_ip 10.77.0.2\n  unicast_peer {\n    10.77.0.1\n  }" if mode == "unicast" else ""
    log = keepalived(lb2, CLUSTER_IP, unicast)
    ours = talk(lb1, mode, lb1.address, lb2.address if mode == "unicast" else GROUP)
    ends = ip_address(ours.source), ip_address(ours.destination)

    assert ours.send(vrrp.encode(ADVERT, *ends, pseudo_header=False))
    eventually(lambda: "Invalid VRRPv3 checksum" in log(), what="keepalived drops what is summed as RFC 9568 has it")
    more, others = (*ADVERT.addresses, ip_address("10.77.0.101")), (ip_address("10.77.0.101"),)
    assert ours.send(vrrp.encode(replace(ADVERT, addresses=more), *ends))
    eventually(lambda: "unexpected ip number count 2, expected 1" in log(), what="keepalived counts the addresses")
    assert ours.send(vrrp.encode(replace(ADVERT, addresses=others), *ends))
    eventually(lambda: "not present in MASTER advert" in log(), what="keepalived compares the addresses")
    assert ours.send(vrrp.encode(replace(ADVERT, priority=0), *ends))
    eventually(lambda: RESIGNATION in log(), what="keepalived hears that we resign")
    assert log().count("Invalid VRRPv3 checksum") == 1
    heard = ours.hear()  # it takes over
    found = vrrp.decode(bytes.fromhex(heard["body"]), ip_address(heard["source"]), ip_address(heard["destination"]), 51)
    assert found == replace(ADVERT, priority=100)


def test_debian_s_keepalived_takes_our_ipv6(lab: Lab, lb1: Node, lb2: Node) -> None:
    own = settle(lb1, lb2)
    log = keepalived(lb2, f"{FLOATING6}/64\n    2001:db8::100/64")
    ours = talk(lb1, "multicast", own[lb1], GROUP6)
    ends = ip_address(ours.source), ip_address(ours.destination)

    assert ours.send(vrrp.encode(replace(ADVERT6, priority=0), *ends))
    eventually(lambda: RESIGNATION in log(), what="keepalived hears that we resign")
    heard = ours.hear()
    assert heard["source"] == own[lb2]
    found = vrrp.decode(bytes.fromhex(heard["body"]), ip_address(heard["source"]), ip_address(heard["destination"]), 51)
    assert found == replace(ADVERT6, priority=100)


def test_debian_s_ucarp_takes_our_word_and_our_resignation(lab: Lab, lb1: Node, lb2: Node) -> None:
    """Of a base so long that only what it hears can move it. It goes on from the counter that it heard."""
    lb2.write("/etc/script", "#!/bin/sh\n", 0o755)
    who = ["--interface=eth0", f"--srcip={lb2.address}", "--vhid=1", "--pass=secret", f"--addr={CLUSTER_IP}"]
    what = ["--advbase=60", "--upscript=/etc/script", "--downscript=/etc/script"]
    lb2.popen(["ucarp", *who, *what], output="/var/log/ucarp.out")
    log = lb2.path("/var/log/ucarp.out").read_text
    eventually(lambda: "state: BACKUP" in log(), within=5, what="ucarp is backup")
    ours = talk(lb1, "multicast", lb1.address, GROUP, "carp")

    assert ours.send(carp.encode(CarpAdvert(1, 0, 1, 7), b"another", VIP))
    eventually(lambda: "Bad digest" in log(), within=5, what="ucarp drops what it cannot verify")
    assert ours.send(signed(advbase=1))
    last = signed(advbase=carp.RESIGNED, advskew=carp.RESIGNED)
    assert ours.send(last)
    eventually(lambda: "going to time out" in log(), within=5, what="ucarp takes over at once")
    assert log().count("Bad digest") == 1
    heard = ours.hear()
    found = carp.decode(bytes.fromhex(heard["body"]), 1, (b"secret",), VIP)
    assert found == CarpAdvert(1, 0, 60, int.from_bytes(last[8:16]) + 1)
    assert (heard["source"], heard["destination"], heard["hops"]) == (lb2.address, GROUP, 255)
