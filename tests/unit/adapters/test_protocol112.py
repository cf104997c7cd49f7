"""What a raw socket is given is parsed as if anybody had made it. The sockets themselves are tried in the lab."""

import json
import socket
import struct
import sys
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.adapters import protocol112
from skd_cluster.adapters.protocol112 import Packet112, parse_ipv4

CAPTURES = Path(__file__).parents[2] / "fixtures" / "captures"
sys.path.insert(0, str(CAPTURES))
from frames import read  # noqa: E402 -- the fixtures' own reader, which shares nothing with our code

SOURCE, GROUP = ip_address("10.77.0.1"), ip_address("224.0.0.18")
HEADER = bytes.fromhex("45c0002000010000ff70d04c0a4d0001e0000012")
BODY = bytes.fromhex("31336401006474d90a4d0064")


def test_recorded_packets() -> None:
    compared = 0
    for name in ("ucarp-master", "keepalived-v3-unicast", "keepalived-v2"):
        side = json.loads((CAPTURES / f"{name}.json").read_text())
        for frame, packet in zip(read(CAPTURES / side["capture"]), side["packets"], strict=True):
            if packet["kind"] in ("carp", "vrrp"):
                ends = ip_address(packet["src"]), ip_address(packet["dst"])
                assert parse_ipv4(frame.data[14:]) == Packet112(frame.data[34:], *ends, packet["ttl"])
                compared += 1

    assert compared > 10


def test_options_are_no_part_of_the_message() -> None:
    header = b"\x46" + HEADER[1:2] + (24 + len(BODY)).to_bytes(2) + HEADER[4:] + b"\x94\x04\0\0"  # router alert

    assert parse_ipv4(header + BODY) == Packet112(BODY, SOURCE, GROUP, 255)


def test_what_follows_the_packet_is_no_part_of_it() -> None:
    assert parse_ipv4(HEADER + BODY + b"padding") == parse_ipv4(HEADER + BODY) == Packet112(BODY, SOURCE, GROUP, 255)


def test_a_packet_may_carry_nothing() -> None:
    assert parse_ipv4(HEADER[:2] + b"\0\x14" + HEADER[4:]) == Packet112(b"", SOURCE, GROUP, 255)


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        HEADER[:19],
        b"\x44" + (HEADER + BODY)[1:],  # a header shorter than any
        b"\x4f" + (HEADER + BODY)[1:],  # and one longer than the packet
        b"\x65" + (HEADER + BODY)[1:],
        (HEADER + BODY)[:-1],  # cut on the way
        HEADER[:2] + b"\0\x13" + HEADER[4:] + BODY,  # ends before its header does
    ],
)
def test_a_header_that_does_not_add_up(packet: bytes) -> None:
    assert parse_ipv4(packet) is None


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda rest: b"\x45" + rest))
def test_no_bytes_raise(packet: bytes) -> None:
    found = parse_ipv4(packet)
    assert found is None or packet[20:].startswith(found.body) or packet[0] != 0x45


def test_ipv6_needs_its_ancillary_data() -> None:
    info = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, ip_address("ff02::12").packed + struct.pack("=i", 2))
    hops = (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT, struct.pack("=i", 64))
    other = (socket.SOL_SOCKET, socket.IPV6_HOPLIMIT, struct.pack("=i", 1))

    found = protocol112._parse_ipv6(BODY, [info, hops, other], "fe80::1%eth0")
    assert found == Packet112(BODY, ip_address("fe80::1"), ip_address("ff02::12"), 64)
    assert protocol112._parse_ipv6(BODY, [info], "fe80::1") is None
    assert protocol112._parse_ipv6(BODY, [hops], "fe80::1") is None
    assert protocol112._parse_ipv6(BODY, [(*info[:2], info[2][:-1]), hops], "fe80::1") is None
