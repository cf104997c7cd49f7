"""rtnetlink messages: exact bytes for what we ask, tolerance for what we are told."""

import struct
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core import netlink
from skd_cluster.core.model import Vip
from skd_cluster.core.netlink import FOREVER, AddressSeen, Answer, Done, LinkSeen, parse

VIP4 = Vip(ip_address("192.0.2.10"), 24, "eth0", "eth0:vip")
VIP6 = Vip(ip_address("2001:db8::10"), 64, "eth0")


def test_an_address_is_put_with_its_lifetime_label_and_broadcast() -> None:
    request = netlink.put_address(VIP4, 7, 2, 99)

    assert struct.unpack_from("=IHHI", request) == (len(request), 20, 0x505, 99)
    (seen,) = parse(request)
    assert seen == AddressSeen(False, 7, VIP4.address, 24, "eth0:vip", 2, 0x200, 0)
    assert ip_address("192.0.2.255").packed in request


def test_ipv6_goes_without_duplicate_address_detection() -> None:
    (seen,) = parse(netlink.put_address(VIP6, 7, 2, 1))

    assert isinstance(seen, AddressSeen)
    assert seen.flags & 0x02
    assert seen.vip("eth0") == VIP6


def test_a_host_address_has_no_broadcast() -> None:
    host = Vip(VIP4.address, 32, "eth0")

    assert len(netlink.put_address(VIP4, 1, 2, 1)) - len(netlink.put_address(host, 1, 2, 1)) == 8 + 16


def test_an_address_is_removed_by_its_own_prefix() -> None:
    request = netlink.delete_address(VIP4, 7, 3)

    (seen,) = parse(request)
    assert isinstance(seen, AddressSeen)
    assert (seen.removed, seen.address, seen.prefix, seen.lifetime) == (True, VIP4.address, 24, FOREVER)


def test_answers_carry_the_errno_and_dumps_end() -> None:
    refused = struct.pack("=IHHIIi", 20, 2, 0, 5, 0, -1)
    done = struct.pack("=IHHII", 16, 3, 0, 6, 0)

    assert list(parse(refused + done)) == [Answer(5, 1), Done(6)]


def test_a_link_runs_only_when_it_is_up_with_a_carrier() -> None:
    def link(flags: int) -> LinkSeen:
        name = struct.pack("=HH", 9, 3) + b"eth0\0" + bytes(3)
        body = struct.pack("=BBHiII", 0, 0, 1, 3, flags, 0) + name
        (seen,) = parse(struct.pack("=IHHII", 16 + len(body), 16, 0, 0, 0) + body)
        assert isinstance(seen, LinkSeen)
        return seen

    assert link(0x41).running
    assert not link(0x01).running
    assert not link(0x40).running
    assert link(0x41).name == "eth0"


@given(st.binary(max_size=300))
def test_property_nothing_the_kernel_could_say_raises(datagram: bytes) -> None:
    list(parse(datagram))


@given(st.binary(max_size=200), st.sampled_from([2, 3, 16, 17, 20, 21]))
def test_property_a_garbled_body_does_not_raise(body: bytes, kind: int) -> None:
    list(parse(struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body))


def test_dumps_ask_for_every_family() -> None:
    # rtnetlink(7): ifaddrmsg has 8 bytes, ifinfomsg 16; NLM_F_REQUEST | NLM_F_DUMP
    assert netlink.dump_addresses(5) == struct.pack("=IHHII", 24, 22, 0x301, 5, 0) + bytes(8)
    assert netlink.dump_links(6) == struct.pack("=IHHII", 32, 18, 0x301, 6, 0) + bytes(16)


def test_what_is_garbled_is_passed_over() -> None:
    too_short = struct.pack("=IHHII", 15, 3, 0, 6, 0)
    assert list(parse(too_short)) == []
    no_size = struct.pack("=HH", 0, 1)
    body = struct.pack("=BBBBi", 2, 24, 0, 0, 7) + no_size
    assert list(parse(struct.pack("=IHHII", 16 + len(body), 20, 0, 0, 0) + body)) == []
    other_family = struct.pack("=BBBBi", 17, 24, 0, 0, 7) + struct.pack("=HH4s", 8, 2, bytes(4))
    assert list(parse(struct.pack("=IHHII", 16 + len(other_family), 20, 0, 0, 0) + other_family)) == []
