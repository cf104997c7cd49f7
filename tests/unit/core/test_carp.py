"""CARP: what real ucarps sent, what is covered by the digest and what is not, and that a counter is believed once."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core import carp
from skd_cluster.core.carp import CarpAdvert, SeenCounters
from skd_cluster.core.model import MILLISECOND, SECOND, DropReason
from skd_cluster.core.wire import Dropped, checksum

CAPTURES = Path(__file__).parents[2] / "fixtures" / "captures"
sys.path.insert(0, str(CAPTURES))
from frames import read  # noqa: E402 -- the fixtures' own reader, which shares nothing with our code

PASSWORD, ADDRESS = b"secret", IPv4Address("10.77.0.100")
ADVERT = CarpAdvert(vhid=1, advskew=100, advbase=1, counter=0x0102030405060708)
PACKET = carp.encode(ADVERT, PASSWORD, ADDRESS)

byte = st.integers(0, 255)
adverts = st.builds(CarpAdvert, byte, byte, st.integers(1, 255), st.integers(0, 2**64 - 1), byte)
passwords = st.binary(min_size=1, max_size=carp.PASSWORD_LIMIT).filter(lambda one: not one.endswith(b"\0"))
addresses = st.ip_addresses(v=4)


def decode(body: bytes, vhid: int = 1, *given: bytes) -> CarpAdvert | Dropped:
    return carp.decode(body, vhid, given or (PASSWORD,), ADDRESS)


def recorded() -> Iterator[tuple[str, bytes, bytes, dict[str, Any]]]:
    """Each packet of protocol 112 over IPv4: its capture, the password of its sender, its body, and what it should be."""
    for file in sorted(CAPTURES.glob("*.json")):
        side = json.loads(file.read_text())
        password = side["peers"][0].get("password", "") if side["peers"] else ""
        for frame, packet in zip(read(CAPTURES / side["capture"]), side["packets"], strict=True):
            if packet["kind"] in ("carp", "vrrp") and ":" not in packet["src"]:
                yield file.stem, password.encode(), frame.data[34:], packet


def summed(body: bytes) -> bytes:
    """The body with a right checksum, as anybody can make it."""
    bare = body[:6] + bytes(2) + body[8:]
    return bare[:6] + checksum(bare).to_bytes(2) + bare[8:]


def changed(body: bytes, offset: int, value: int) -> bytes:
    return summed(body[:offset] + bytes([value]) + body[offset + 1 :])


# ---- there and back


def test_what_ucarp_sent_is_decoded_and_encoded_to_the_same_bytes() -> None:
    seen: dict[str, int] = {}
    for capture, password, body, packet in recorded():
        if packet["kind"] != "carp":
            continue
        found = decode(body, 1, password)
        names = ("vhid", "advskew", "advbase", "counter", "demotion")
        assert found == CarpAdvert(**{name: packet[name] for name in names}), capture
        assert carp.encode(found, password, ADDRESS) == body, capture
        seen[capture] = seen.get(capture, 0) + 1

    assert len(seen) == 7
    assert sum(seen.values()) >= 40


def test_carp_is_told_from_vrrp_by_every_recorded_packet() -> None:
    told = {(packet["kind"], carp.is_carp(body)) for _capture, _password, body, packet in recorded()}

    assert told == {("carp", True), ("vrrp", False)}


@pytest.mark.parametrize("count", range(1, 8))
def test_version_2_of_vrrp_is_never_taken_for_carp(count: int) -> None:
    """Five addresses make it as long as CARP, seven put CARP's mark where it stands."""
    assert not carp.is_carp(bytes([0x21, 1, 100, count, 0, 1, 0, 0]) + bytes(4 * count) + bytes(8))


@given(adverts, passwords, addresses)
def test_what_is_encoded_is_decoded(advert: CarpAdvert, password: bytes, address: IPv4Address) -> None:
    body = carp.encode(advert, password, address)

    assert carp.is_carp(body)
    assert carp.decode(body, advert.vhid, (b"another", password), address) == advert


def test_the_documented_vector() -> None:
    text = (Path(__file__).parents[3] / "docs" / "protocol112.md").read_text()

    assert f"carp: {PACKET.hex()}\n" in text


@pytest.mark.parametrize(
    ("offset", "expected"),
    [(0, "21"), (1, "01"), (2, "64"), (3, "07"), (4, "00"), (5, "01"), (8, "0102030405060708")],
)
def test_layout(offset: int, expected: str) -> None:
    assert len(PACKET) == carp.PACKET_SIZE == 36
    assert PACKET[offset:].hex().startswith(expected)
    assert checksum(PACKET) == 0


@pytest.mark.parametrize(
    ("advbase", "advskew", "interval"),
    [
        (1, 0, SECOND),
        (1, 100, 1_390_625_000),
        (0, 1, 3_906_250),
        (255, 255, 255_996_093_750),
        (2, 128, 2500 * MILLISECOND),
    ],
)
def test_the_interval_is_base_and_256ths_of_a_second(advbase: int, advskew: int, interval: int) -> None:
    assert replace(ADVERT, advbase=advbase, advskew=advskew).interval == interval


def test_the_word_of_resignation_is_longer_than_a_ucarp_waits() -> None:
    """Its backup takes over at once when dead_ratio times its base, and its skew, are less than what is promised."""
    gone = replace(ADVERT, advbase=carp.RESIGNED, advskew=carp.RESIGNED)

    assert gone.resigns
    assert not replace(gone, advskew=254).resigns
    assert not replace(gone, advbase=254).resigns
    assert gone.interval > 3 * 84 * SECOND + SECOND
    assert decode(carp.encode(gone, PASSWORD, ADDRESS)) == gone


# ---- what is not believed


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", DropReason.TRUNCATED),
        (PACKET[:-1], DropReason.TRUNCATED),
        (PACKET + b"\0", DropReason.MALFORMED),
        (changed(PACKET, 0, 0x31), DropReason.VERSION),
        (changed(PACKET, 0, 0x22), DropReason.MALFORMED),
        (changed(PACKET, 3, 6), DropReason.MALFORMED),
        (PACKET[:6] + b"\0\0" + PACKET[8:], DropReason.CHECKSUM),
        (changed(PACKET, 1, 2), DropReason.FOREIGN_CLUSTER),
        (changed(PACKET, 8, 0), DropReason.BAD_KEY),
        (changed(PACKET, 35, PACKET[35] ^ 1), DropReason.BAD_KEY),
        (carp.encode(ADVERT, b"another", ADDRESS), DropReason.BAD_KEY),
        (carp.encode(ADVERT, PASSWORD, IPv4Address("10.77.0.101")), DropReason.BAD_KEY),
        (carp.encode(replace(ADVERT, advbase=0, advskew=0), PASSWORD, ADDRESS), DropReason.MALFORMED),
        (carp.encode(replace(ADVERT, vhid=2), PASSWORD, ADDRESS), DropReason.FOREIGN_CLUSTER),
    ],
)
def test_each_reason(body: bytes, reason: DropReason) -> None:
    assert decode(body) == Dropped(reason)


def test_a_packet_of_another_vhid_is_not_believed_under_ours() -> None:
    """The vhid is in the digest: to rename it is not enough."""
    assert decode(changed(carp.encode(replace(ADVERT, vhid=2), PASSWORD, ADDRESS), 1, 1)) == Dropped(DropReason.BAD_KEY)


def test_without_a_password_nothing_is_believed() -> None:
    assert carp.decode(PACKET, 1, (), ADDRESS) == Dropped(DropReason.BAD_KEY)


@given(adverts, st.integers(0, 36 * 8 - 1))
def test_one_flipped_bit_is_noticed(advert: CarpAdvert, bit: int) -> None:
    body = bytearray(carp.encode(advert, PASSWORD, ADDRESS))
    body[bit // 8] ^= 1 << bit % 8

    assert isinstance(carp.decode(bytes(body), advert.vhid, (PASSWORD,), ADDRESS), Dropped)


@given(st.sampled_from([0, 1, 3, *range(8, 36)]), st.integers(0, 7))
def test_what_the_digest_covers_cannot_be_changed_by_who_repairs_the_checksum(offset: int, bit: int) -> None:
    assert isinstance(decode(changed(PACKET, offset, PACKET[offset] ^ 1 << bit)), Dropped)


@given(byte, byte, st.integers(1, 255))
def test_rank_and_demotion_can_be_changed_by_anybody(advskew: int, demotion: int, advbase: int) -> None:
    """CARP's digest does not cover them, only the checksum does: who has seen one packet makes one of any rank of it."""
    forged = PACKET
    for offset, value in ((2, advskew), (4, demotion), (5, advbase)):
        forged = changed(forged, offset, value)

    assert decode(forged) == CarpAdvert(1, advskew, advbase, ADVERT.counter, demotion)
    assert forged[8:] == PACKET[8:]  # counter and digest as they were


@given(st.binary(max_size=80) | st.binary(min_size=36, max_size=36))
def test_no_bytes_raise(body: bytes) -> None:
    assert isinstance(decode(body), Dropped)
    assert isinstance(decode(summed(b"\x21\x01" + body[2:3] + b"\x07" + body[4:])), Dropped)


# ---- each counter once


def test_a_counter_is_believed_once() -> None:
    seen = SeenCounters()

    assert [seen.first(counter) for counter in (7, 3, 7, 2**64 - 1, 3, 8)] == [True, True, False, True, False, True]


def test_only_the_newest_counters_are_remembered() -> None:
    seen = SeenCounters(limit=3)
    assert all(seen.first(counter) for counter in (1, 2, 3, 4))

    assert not seen.first(2)  # and is not the newest again by that
    assert seen.first(1)
    assert seen.first(2)
    assert not seen.first(4)


def test_so_many_are_remembered_as_ucarp_sends_in_18_hours() -> None:
    seen = SeenCounters()
    assert all(seen.first(counter) for counter in range(carp.SEEN_LIMIT + 1))

    assert carp.SEEN_LIMIT == 65_536
    assert not seen.first(1)
    assert seen.first(0)


def test_recorded_counters_are_all_different_but_in_no_order() -> None:
    """What makes a cache the only way: in ucarp-two-masters the counter of one sender goes down."""
    heard = [
        (packet["src"], packet["counter"])
        for capture, _password, _body, packet in recorded()
        if capture == "ucarp-two-masters" and packet["kind"] == "carp"
    ]
    seen = SeenCounters()

    assert all(seen.first(counter) for _source, counter in heard)
    ours = [counter for source, counter in heard if source == "10.77.0.1"]
    assert ours != sorted(ours)
