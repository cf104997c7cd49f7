"""VRRP: what real keepalived sent, both readings of the checksum, and nothing damaged believed."""

import json
import struct
import sys
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core import vrrp
from skd_cluster.core.model import MILLISECOND, SECOND, DropReason, IPAddress, Nanos
from skd_cluster.core.vrrp import VrrpAdvert
from skd_cluster.core.wire import Dropped, checksum

CAPTURES = Path(__file__).parents[2] / "fixtures" / "captures"
sys.path.insert(0, str(CAPTURES))
from frames import read  # noqa: E402 -- the fixtures' own reader, which shares nothing with our code

SOURCE, GROUP = ip_address("10.77.0.1"), ip_address("224.0.0.18")
SOURCE6, GROUP6 = ip_address("fe80::1"), ip_address("ff02::12")
ADDRESSES = (ip_address("10.77.0.100"), ip_address("192.0.2.10"))
ADDRESSES6 = (ip_address("fe80::77:100"), ip_address("2001:db8::100"))
ADVERT = VrrpAdvert(vrid=51, priority=100, interval=SECOND, addresses=ADDRESSES)
ADVERT6 = replace(ADVERT, addresses=ADDRESSES6)
PACKET = vrrp.encode(ADVERT, SOURCE, GROUP)
PACKET6 = vrrp.encode(ADVERT6, SOURCE6, GROUP6)
NARROW = vrrp.encode(ADVERT, SOURCE, GROUP, pseudo_header=False)
"""Summed as RFC 9568 has it over IPv4: the message only."""

byte = st.integers(0, 255)
intervals = st.integers(1, 4095).map(lambda centiseconds: Nanos(centiseconds * 10 * MILLISECOND))
link_locals = st.ip_addresses(v=6, network="fe80::/10")
adverts4 = st.builds(
    VrrpAdvert, byte, byte, intervals, st.lists(st.ip_addresses(v=4), min_size=1, max_size=255).map(tuple)
)
adverts6 = st.builds(
    VrrpAdvert,
    byte,
    byte,
    intervals,
    st.tuples(link_locals, st.lists(st.ip_addresses(v=6), max_size=254)).map(lambda found: (found[0], *found[1])),
)
either = st.tuples(adverts4, st.ip_addresses(v=4), st.ip_addresses(v=4)) | st.tuples(
    adverts6, link_locals, st.ip_addresses(v=6)
)


def decode(body: bytes, vrid: int = 51) -> VrrpAdvert | Dropped:
    return vrrp.decode(body, SOURCE, GROUP, vrid)


def decode6(body: bytes) -> VrrpAdvert | Dropped:
    return vrrp.decode(body, SOURCE6, GROUP6, 51)


def recorded() -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    """Each packet of keepalived: its capture, its body, and what it should be."""
    for file in sorted(CAPTURES.glob("keepalived*.json")):
        side = json.loads(file.read_text())
        for frame, packet in zip(read(CAPTURES / side["capture"]), side["packets"], strict=True):
            if packet["kind"] == "vrrp":
                yield file.stem, frame.data[54 if ":" in packet["src"] else 34 :], packet


def summed(body: bytes, pseudo: bytes = b"") -> bytes:
    """The body with a right checksum, as anybody can make it."""
    bare = body[:6] + bytes(2) + body[8:]
    return bare[:6] + checksum(pseudo + bare).to_bytes(2) + bare[8:]


def pseudo6(body: bytes, source: IPAddress = SOURCE6) -> bytes:
    """RFC 8200 section 8.1, in the words of this test."""
    return source.packed + GROUP6.packed + len(body).to_bytes(4) + b"\0\0\0\x70"


def changed(body: bytes, offset: int, value: int) -> bytes:
    return summed(body[:offset] + bytes([value]) + body[offset + 1 :])


def changed6(body: bytes, offset: int, value: bytes) -> bytes:
    body = body[:offset] + value + body[offset + len(value) :]
    return summed(body, pseudo6(body))


def version_2(count: int = 1, pace: int = 1, first: int = 0x21) -> bytes:
    addresses = b"".join((IPv4Address("10.77.0.100") + at).packed for at in range(count))
    return summed(struct.pack("!BBBBBBH", first, 51, 100, count, 0, pace, 0) + addresses + bytes(8))


# ---- there and back


def test_what_keepalived_sent_is_decoded_and_encoded_to_the_same_bytes() -> None:
    seen: dict[str, int] = {}
    for capture, body, packet in recorded():
        source, destination = ip_address(packet["src"]), ip_address(packet["dst"])
        found = vrrp.decode(body, source, destination, 51)
        assert isinstance(found, VrrpAdvert), (capture, found)
        assert (found.version, found.vrid, found.priority) == (packet["version"], packet["vrid"], packet["priority"])
        assert [str(one) for one in found.addresses] == packet["addresses"], capture
        if found.version == 2:
            assert found.interval == packet["advert_seconds"] * SECOND
        else:
            assert found.interval == packet["max_advert_centiseconds"] * 10 * MILLISECOND
            assert vrrp.encode(found, source, destination) == body, capture
        seen[capture] = seen.get(capture, 0) + 1

    assert len(seen) == 10
    assert sum(seen.values()) >= 80


@given(sent=either, pseudo_header=st.booleans())
def test_what_is_encoded_is_decoded(sent: tuple[VrrpAdvert, IPAddress, IPAddress], *, pseudo_header: bool) -> None:
    advert, source, destination = sent
    body = vrrp.encode(advert, source, destination, pseudo_header=pseudo_header)

    assert vrrp.decode(body, source, destination, advert.vrid) == advert


def test_the_documented_vectors() -> None:
    text = (Path(__file__).parents[3] / "docs" / "protocol112.md").read_text()

    assert f"vrrp over IPv4: {PACKET.hex()}\n" in text
    assert f"vrrp over IPv4, RFC 9568: {NARROW.hex()}\n" in text
    assert f"vrrp over IPv6: {PACKET6.hex()}\n" in text


@pytest.mark.parametrize(
    ("offset", "expected"),
    [(0, "31"), (1, "33"), (2, "64"), (3, "02"), (4, "0064"), (8, "0a4d0064"), (12, "c000020a")],
)
def test_layout(offset: int, expected: str) -> None:
    assert len(PACKET) == 16
    assert len(PACKET6) == 8 + 2 * 16
    assert PACKET[offset:].hex().startswith(expected)


@pytest.mark.parametrize(
    ("interval", "named"),
    [(SECOND, 100), (10 * MILLISECOND, 1), (MILLISECOND, 1), (40_950 * MILLISECOND, 4095), (60 * SECOND, 4095)],
)
def test_rfc_9568_5_2_7_the_interval_has_twelve_bits_of_centiseconds(interval: Nanos, named: int) -> None:
    body = vrrp.encode(replace(ADVERT, interval=interval), SOURCE, GROUP)

    assert struct.unpack_from("!H", body, 4) == (named,)


def test_rfc_9568_5_2_6_the_reserved_bits_are_ignored() -> None:
    assert decode(changed(PACKET, 4, 0xF0)) == ADVERT


def test_rfc_9568_5_2_4_priority_0_resigns() -> None:
    assert replace(ADVERT, priority=0).resigns
    assert not replace(ADVERT, priority=1).resigns


# ---- the checksum


def test_keepalived_s_reading_is_what_we_send_and_rfc_9568_s_is_understood() -> None:
    pseudo = SOURCE.packed + GROUP.packed + struct.pack("!BBH", 0, 112, len(PACKET))

    assert checksum(pseudo + PACKET) == 0
    assert checksum(PACKET) != 0
    assert checksum(NARROW) == 0
    assert decode(PACKET) == decode(NARROW) == ADVERT


def test_over_ipv6_the_pseudo_header_is_no_choice() -> None:
    assert vrrp.encode(ADVERT6, SOURCE6, GROUP6, pseudo_header=False) == PACKET6
    assert checksum(pseudo6(PACKET6) + PACKET6) == 0
    assert decode6(PACKET6) == ADVERT6
    assert decode6(summed(PACKET6)) == Dropped(DropReason.CHECKSUM)


def test_a_pseudo_header_binds_the_message_to_its_addresses() -> None:
    assert vrrp.decode(PACKET, ip_address("10.77.0.2"), GROUP, 51) == Dropped(DropReason.CHECKSUM)
    assert vrrp.decode(PACKET, SOURCE, ip_address("10.77.0.2"), 51) == Dropped(DropReason.CHECKSUM)
    assert vrrp.decode(PACKET6, ip_address("fe80::2"), GROUP6, 51) == Dropped(DropReason.CHECKSUM)


# ---- version 2


def test_rfc_3768_version_2_is_named() -> None:
    found = decode(version_2(count=3, pace=7))

    addresses = tuple(IPv4Address("10.77.0.100") + at for at in range(3))
    assert found == VrrpAdvert(51, 100, Nanos(7 * SECOND), addresses, version=2)


def test_the_password_of_version_2_is_skipped() -> None:
    """Whatever it is: nothing hangs on it, and it is in nothing that we print."""
    body = version_2()
    found = decode(summed(body[:4] + b"\1" + body[5:-8] + b"swordfsh"))

    assert isinstance(found, VrrpAdvert)
    assert "sword" not in repr(found)


def test_rfc_3768_5_3_8_version_2_has_no_pseudo_header() -> None:
    body = version_2()
    pseudo = SOURCE.packed + GROUP.packed + struct.pack("!BBH", 0, 112, len(body))

    assert decode(summed(body, pseudo)) == Dropped(DropReason.CHECKSUM)


# ---- what is not believed


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", DropReason.TRUNCATED),
        (PACKET[:7], DropReason.TRUNCATED),
        (PACKET[:-1], DropReason.TRUNCATED),
        (PACKET + b"\0", DropReason.MALFORMED),
        (changed(PACKET, 3, 3), DropReason.TRUNCATED),
        (changed(PACKET, 3, 1), DropReason.MALFORMED),
        (changed(PACKET[:8], 3, 0), DropReason.MALFORMED),
        (changed(PACKET, 0, 0x11), DropReason.VERSION),
        (changed(PACKET, 0, 0x41), DropReason.VERSION),
        (changed(PACKET, 0, 0x32), DropReason.MALFORMED),
        (PACKET[:6] + b"\0\0" + PACKET[8:], DropReason.CHECKSUM),
        (changed(PACKET, 1, 52), DropReason.FOREIGN_CLUSTER),
        (changed(changed(PACKET, 4, 0xF0), 5, 0), DropReason.MALFORMED),
        (version_2()[:-1], DropReason.TRUNCATED),
        (version_2() + b"\0", DropReason.MALFORMED),
        (version_2(count=0), DropReason.MALFORMED),
        (version_2(pace=0), DropReason.MALFORMED),
        (version_2(first=0x22), DropReason.MALFORMED),
    ],
)
def test_each_reason(body: bytes, reason: DropReason) -> None:
    assert decode(body) == Dropped(reason)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (PACKET6[:-1], DropReason.TRUNCATED),
        (PACKET6 + b"\0", DropReason.MALFORMED),
        (changed6(PACKET6, 8, ip_address("2001:db8::1").packed), DropReason.MALFORMED),
        (changed6(PACKET6, 1, b"\x34"), DropReason.FOREIGN_CLUSTER),
        (changed6(PACKET6, 4, b"\0\0"), DropReason.MALFORMED),
        (version_2(), DropReason.VERSION),
        (summed(version_2(), pseudo6(version_2())), DropReason.VERSION),
    ],
)
def test_each_reason_over_ipv6(body: bytes, reason: DropReason) -> None:
    assert decode6(body) == Dropped(reason)


def test_errata_8299_a_message_without_addresses_is_none() -> None:
    """It has its length, its sum is right."""
    body = summed(b"\x31\x33\x64\x00\x00\x64\0\0")

    assert checksum(body) == 0
    assert decode(body) == Dropped(DropReason.MALFORMED)


@pytest.mark.parametrize("packet", [PACKET, NARROW, version_2(), version_2(count=3)])
def test_one_flipped_bit_is_noticed(packet: bytes) -> None:
    """For these addresses: the two sums over IPv4 differ by their pseudo header, which is no power of two here."""
    for bit in range(len(packet) * 8):
        body = bytearray(packet)
        body[bit // 8] ^= 1 << bit % 8
        assert isinstance(decode(bytes(body)), Dropped), bit


@given(adverts6, link_locals, st.data())
def test_one_flipped_bit_is_noticed_over_ipv6(advert: VrrpAdvert, source: IPv6Address, data: st.DataObject) -> None:
    body = bytearray(vrrp.encode(advert, source, GROUP6))
    bit = data.draw(st.integers(0, len(body) * 8 - 1))
    body[bit // 8] ^= 1 << bit % 8

    assert isinstance(vrrp.decode(bytes(body), source, GROUP6, advert.vrid), Dropped)


@given(st.binary(max_size=80), st.integers(1, 6), st.sampled_from([0x21, 0x31]))
def test_no_bytes_raise(body: bytes, count: int, first: int) -> None:
    well_begun = summed(bytes([first, 51, 100, count]) + body)
    for one in (body, well_begun, summed(well_begun, pseudo6(well_begun))):
        for found in (decode(one), decode6(one)):
            assert isinstance(found, VrrpAdvert | Dropped)
