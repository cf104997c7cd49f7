"""What of a keepalived.conf is carried over, what is named, and what stands in the way."""

from ipaddress import ip_address

import pytest

from skd_cluster.config.vrrpinstance import Known, read

HOST = [(ip_address(one), name) for one, name in (("10.0.0.9", "eth0"), ("10.0.0.1", "eth0"), ("10.0.0.7", "eth0"))]
PLAIN = """\
global_defs {
  vrrp_version 3
}
vrrp_instance A {
  interface eth0
  virtual_router_id 51
  virtual_ipaddress {
    10.0.0.9/24
  }
}
"""
CARRIED = {
    "interface": "eth0",
    "cluster_id": "51",
    "cluster_ip": "10.0.0.9/24@eth0",
    "advert_interval": "1",
    "transport": "vrrp",
    "preempt": "true",
    "remote_ip": "10.0.0.2",
    "local_ip": "10.0.0.1",
}


def reading(text, **known):
    return read(text, Known(HOST, **({"remote_ip": "10.0.0.2"} | known)))


def having(*lines):
    """Return the plain file with more lines in its instance, the first of which is line 5."""
    return PLAIN.replace("A {\n", "A {\n" + "".join(f"{one}\n" for one in lines))


def test_the_plain_case():
    found = reading(PLAIN)
    assert (found.values, found.left, found.troubles) == (CARRIED, (), ())
    assert found.lines == {"interface": 5, "cluster_id": 6}


@pytest.mark.parametrize(
    ("lines", "changes"),
    [
        (["advert_int 0.25"], {"advert_interval": "0.25"}),
        (["priority 150"], {"priority": "150"}),
        (["nopreempt"], {"preempt": "false"}),
        (["preempt_delay 30"], {"preempt_delay": "30"}),
        (["down_timer_adverts 5"], {"dead_ratio": "5"}),
        (["garp_master_repeat 3", "garp_master_refresh 20"], {"garp_count": "3", "garp_refresh": "20"}),
        (["track_interface {", "eth1", "eth2", "}"], {"track_interfaces": "eth1 eth2"}),
        (["mcast_src_ip 10.0.0.7"], {"local_ip": "10.0.0.7"}),
        (["mcast_src_ip fe80::7"], {}),
        (
            ["unicast_src_ip 10.0.0.7", "unicast_peer {", "10.0.0.3", "}"],
            {"local_ip": "10.0.0.7", "remote_ip": "10.0.0.3", "udp_mode": "unicast"},
        ),
        (
            ["virtual_ipaddress_excluded {", "fd00::9/64 dev eth1", "}"],
            {"cluster_ip": "10.0.0.9/24@eth0 fd00::9/64@eth1"},
        ),
    ],
)
def test_what_is_carried_over(lines, changes):
    found = reading(having(*lines))
    assert (found.values, found.left, found.troubles) == (CARRIED | changes, (), ())


def test_addresses_keep_their_order_prefix_and_interface():
    text = PLAIN.replace("10.0.0.9/24", "10.0.0.9\n10.0.0.8/24 brd 10.0.0.255 dev eth1 label eth1:x")
    found = reading(text)
    assert found.values["cluster_ip"] == "10.0.0.9/32@eth0 10.0.0.8/24@eth1"
    assert [(one.line, one.why) for one in found.left] == [
        (9, "its options brd 10.0.0.255 label eth1:x have no place in cluster_ip")
    ]


def test_an_address_of_another_family_is_ignored_as_keepalived_does():
    found = reading(PLAIN.replace("10.0.0.9/24", "10.0.0.9/24\nfd00::9"))
    assert found.values == CARRIED
    assert [(one.line, one.name) for one in found.left] == [(9, "fd00::9")]


def test_over_ipv6_the_link_local_address_goes_first_as_it_did_and_version_3_is_meant():
    text = PLAIN.replace("vrrp_version 3", "vrrp_mcast_group4 224.0.0.19\nvrrp_mcast_group6 ff02::99").replace(
        "10.0.0.9/24", "fe80::9/64\nfd00::9/64"
    )
    found = read(text, Known([(ip_address("fe80::1"), "eth0"), (ip_address("fd00::1"), "eth0")], remote_ip="fd00::2"))
    assert not found.troubles
    assert found.values["cluster_ip"] == "fe80::9/64@eth0 fd00::9/64@eth0"
    assert (found.values["local_ip"], found.values["multicast_group"]) == ("fd00::1", "ff02::99")


@pytest.mark.parametrize(
    ("lines", "carried"),
    [
        (["state MASTER", "priority 9", "nopreempt", "preempt_delay 5"], {"preempt": "true", "priority": "9"}),
        (["state BACKUP", "nopreempt", "preempt_delay 5"], {"preempt": "false"}),
        (["state BACKUP", "nopreempt", "priority 254"], {"preempt": "false", "priority": "254"}),
        (["state BACKUP", "preempt_delay 5"], {"preempt": "true", "preempt_delay": "5"}),
    ],
)
def test_a_first_master_ignores_what_it_is_told_of_preemption(lines, carried):
    found = reading(having(*lines))
    assert found.values == CARRIED | carried
    assert [(one.line, one.name) for one in found.left] == [(5, "state")]


def test_a_first_master_without_a_priority_has_keepalived_s():
    found = reading(having("state MASTER", "nopreempt"))
    assert found.values == CARRIED | {"priority": "254", "preempt": "true"}
    assert [(one.line, one.name) for one in found.left] == [(4, "priority"), (5, "state")]


@pytest.mark.parametrize(
    ("lines", "line", "name", "why"),
    [
        (["authentication {", "auth_type PASS", "auth_pass geheim", "}"], 5, "authentication", "VRRPv3 has none"),
        (["notify_master /x"], 5, "notify_master", "call it in up_script"),
        (["track_script {", "a", "}"], 5, "track_script", "put an executable into checks_dir, exit 0 is healthy"),
        (["use_vmac"], 5, "use_vmac", "the addresses keep the MAC of their NIC"),
        (["frobnicate geheim"], 5, "frobnicate", "nothing here does the same"),
        (["priority 255"], 5, "priority", "255 belongs to the owner of the address: 254 was written"),
        (
            ["garp_master_refresh 0"],
            5,
            "garp_master_refresh",
            "addresses are announced each garp_refresh, which cannot be switched off",
        ),
        (
            ["track_interface {", "eth1 weight 10", "}"],
            6,
            "eth1",
            "with a weight it changes the priority; in track_interfaces its loss is a fault",
        ),
        (["@lb1 priority 10"], 5, "@lb1", "a line for some of the nodes: write what this node needs by hand"),
        (["$X=geheim"], 5, "$X=geheim", "definitions are not put in: where they are used, write the value"),
        (
            ["virtual_ipaddress_excluded {", "10.0.0.5", "}"],
            6,
            "10.0.0.5",
            (
                "cluster_ip is what is advertised: make it a virtual interface of the product, which moves without that "
                '(floating="tree")'
            ),
        ),
    ],
)
def test_what_is_named_with_its_line(lines, line, name, why):
    found = reading(having(*lines))
    assert not found.troubles
    assert [(one.line, one.name, one.why) for one in found.left] == [(line, name, why)]


def test_outside_of_the_instance_all_but_the_version_and_the_group_is_named():
    text = "include /x\nvrrp_script c {\n}\n" + PLAIN.replace(
        "vrrp_version 3", "vrrp_version 3\nrouter_id me\nsmtp_server x"
    )
    found = reading(text)
    assert not found.troubles
    assert [(one.line, one.name) for one in found.left] == [
        (1, "include"),
        (2, "vrrp_script"),
        (6, "router_id"),
        (7, "smtp_server"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", None, "found no vrrp_instance, expected one"),
        (PLAIN + PLAIN, None, "found 2 vrrp_instance (line 4, line 14), expected one"),
        (PLAIN.replace("  interface eth0\n", ""), 4, "found no interface in the vrrp_instance, expected one"),
        (PLAIN.replace("virtual_router_id", "vrid"), 4, "found no virtual_router_id in the vrrp_instance, expected one"),
        (PLAIN.replace("10.0.0.9/24", ""), 4, "found no virtual_ipaddress in the vrrp_instance, expected one"),
        (having("priority"), 5, "priority: found nothing, expected a value"),
        (having("unicast_peer 10.0.0.2"), 5, "unicast_peer: found no block, expected one in braces"),
        (having("unicast_peer {", "10.0.0.2", "10.0.0.3", "}"), 7, "unicast_peer: found 10.0.0.2, 10.0.0.3, expected one: a pair"),
        (PLAIN.replace("10.0.0.9/24", "$VIP\n10.0.0.9"), 8, "$VIP: found $VIP, expected an IPv4 or IPv6 address"),
        (PLAIN + "}", 11, "found a } too many, expected one for each {"),
    ],
)  # fmt: skip
def test_what_stands_in_the_way(text, line, said):
    assert (line, said) in [(one.line, one.text) for one in reading(text).troubles]


@pytest.mark.parametrize("text", [PLAIN.replace("vrrp_version 3", ""), PLAIN.replace("3", "2", 1), having("version 2")])
def test_version_2_has_to_be_left_first(text):
    (trouble,) = reading(text).troubles
    assert trouble.text == (
        "found VRRP version 2, which keepalived speaks unless it is told, expected 3: write `vrrp_version 3` into "
        "global_defs on both nodes, first on the backup, then `systemctl reload keepalived` on both (for that moment both "
        "are master)"
    )


def test_an_instance_s_own_version_counts():
    assert not reading(PLAIN.replace("vrrp_version 3", "vrrp_version 2").replace("A {", "A {\nversion 3")).troubles


def test_who_the_peer_is_has_to_be_known():
    (trouble,) = reading(PLAIN, remote_ip=None).troubles
    assert trouble.text == "found no address of the other node (it speaks to a group), expected --remote-ip ADDRESS"
    found = reading(
        PLAIN, remote_ip=None, values={"remote_ip": "10.0.0.5", "local_ip": "10.0.0.4", "udp_mode": "unicast"}
    )
    assert not found.troubles
    assert [found.values[one] for one in ("remote_ip", "local_ip", "udp_mode")] == ["10.0.0.5", "10.0.0.4", "multicast"]


def test_who_we_are_has_to_be_known():
    (trouble,) = reading(PLAIN.replace("interface eth0", "interface eth5")).troubles
    assert trouble.text == "found no IPv4 address of eth5 on this host, expected this node's own"
