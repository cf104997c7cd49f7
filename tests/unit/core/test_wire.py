"""The native packet: every byte where docs/protocol.md says, and nothing but honest bytes believed."""

import re
import struct
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core import wire
from skd_cluster.core.model import MILLISECOND, DataVersion, DropReason, Nanos, Role
from skd_cluster.core.wire import Advert, Dropped, Flag

KEY, OTHER_KEY = bytes(range(32)), bytes(32)
PROTOCOL = Path(__file__).parents[3] / "docs" / "protocol.md"

ADVERT = Advert(
    cluster_id=7,
    priority=100,
    role=Role.MASTER,
    flags=Flag.PACED,
    interval=Nanos(200 * MILLISECOND),
    dead_ratio=3,
    release=(3, 0, 1),
    sender=ip_address("10.0.0.1"),
    session=bytes(range(16)),
    counter=0x0102030405060708,
    echo_session=bytes(range(16, 32)),
    echo_counter=0x1112131415161718,
    epoch=0x21222324,
    data=DataVersion(0x31323334, 0x4142434445464748),
    digest=bytes(range(128, 160)),
)
PACKET = wire.encode(ADVERT, KEY)

byte, u32, u64 = st.integers(0, 255), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
addresses = st.ip_addresses(v=4) | st.ip_addresses(v=6).filter(lambda address: address.ipv4_mapped is None)
adverts = st.builds(
    Advert,
    cluster_id=byte,
    priority=byte,
    role=st.sampled_from(Role),
    flags=st.integers(0, 63).map(Flag),
    interval=st.integers(10_000, 40_000_000).map(lambda micro: Nanos(micro * 1000)),
    dead_ratio=st.integers(1, 255),
    release=st.tuples(byte, byte, byte),
    sender=addresses,
    session=st.binary(min_size=16, max_size=16).filter(any),
    counter=u64,
    echo_session=st.binary(min_size=16, max_size=16),
    echo_counter=u64,
    epoch=u32,
    data=st.builds(DataVersion, u32, u64),
    digest=st.binary(min_size=32, max_size=32),
)


def decode(datagram: bytes, *keys: bytes) -> Advert | Dropped:
    return wire.decode(datagram, 7, keys or (KEY,))


def signed(body: bytes) -> bytes:
    """A body that somebody with the key has made."""
    return body + wire.hmac.digest(KEY, body, "sha256")


# ---- there and back


@given(adverts)
def test_what_is_encoded_is_decoded(advert: Advert) -> None:
    datagram = wire.encode(advert, KEY)
    assert len(datagram) == wire.PACKET_SIZE
    assert wire.decode(datagram, advert.cluster_id, (KEY,)) == advert


def test_packet_has_its_size() -> None:
    assert (len(PACKET), wire.PACKET_SIZE) == (169, 169)


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (0, b"\x31"),
        (1, b"\x07"),
        (2, b"\x64"),
        (3, b"\x00"),
        (4, b"\x00\x14"),
        (8, b"SKD"),
        (11, b"\x01"),
        (12, b"\x00\x81"),
        (14, b"\x02"),
        (15, b"\x01"),
        (16, b"\x03"),
        (17, b"\x00"),
        (18, b"\x03\x00\x01"),
        (21, bytes(10) + b"\xff\xff\x0a\x00\x00\x01"),
        (37, bytes(range(16))),
        (53, bytes.fromhex("0102030405060708")),
        (61, bytes(range(16, 32))),
        (77, bytes.fromhex("1112131415161718")),
        (85, bytes.fromhex("21222324")),
        (89, bytes.fromhex("31323334")),
        (93, bytes.fromhex("4142434445464748")),
        (101, (200_000).to_bytes(4)),
        (105, bytes(range(128, 160))),
    ],
)
def test_layout(offset: int, expected: bytes) -> None:
    assert PACKET[offset : offset + len(expected)] == expected


def test_header_is_a_valid_vrrp_version_3_advertisement() -> None:
    """RFC 9568 section 5.2: a capture tool shows it as one; the checksum is over header and extension."""
    assert wire.checksum(PACKET[:-32]) == 0
    assert struct.unpack_from("!H", PACKET, 4)[0] & 0xF000 == 0


@pytest.mark.parametrize(
    ("seconds", "centiseconds"), [(0.01, 1), (0.011, 1), (0.2, 20), (40, 4000), (40.95, 4095), (60, 4095)]
)
def test_header_names_the_interval_as_far_as_it_can(seconds: float, centiseconds: int) -> None:
    advert = replace(ADVERT, interval=Nanos(round(seconds * 10**9)))
    assert struct.unpack_from("!H", wire.encode(advert, KEY), 4)[0] == centiseconds


def test_vector_of_the_documentation() -> None:
    """docs/protocol.md gives it to whoever writes a decoder of their own."""
    fields = dict(re.findall(r"^    (\w+): ([0-9a-f]+)$", PROTOCOL.read_text(), re.MULTILINE))
    assert bytes.fromhex(fields["key"]) == KEY
    assert fields["packet"] == PACKET.hex()
    assert fields["derived"] == wire.derive_key(b"secret", 7).hex()


def test_offsets_of_the_documentation() -> None:
    rows = re.findall(r"^\| (\d+) \| (\d+) \| ", PROTOCOL.read_text(), re.MULTILINE)
    offset = 0
    for start, size in rows:
        assert int(start) == offset
        offset += int(size)
    assert offset == wire.PACKET_SIZE


# ---- what is not believed


def test_every_flipped_bit_is_noticed() -> None:
    for bit in range(8 * len(PACKET)):
        flipped = (int.from_bytes(PACKET) ^ (1 << bit)).to_bytes(len(PACKET))
        assert isinstance(decode(flipped), Dropped), bit


def test_every_truncation_is_noticed() -> None:
    for size in range(len(PACKET)):
        assert decode(PACKET[:size]) == Dropped(DropReason.TRUNCATED)
    assert decode(PACKET + b"\0") == Dropped(DropReason.MALFORMED)


@given(st.binary(max_size=400))
def test_no_bytes_raise(datagram: bytes) -> None:
    assert isinstance(decode(datagram), Dropped)


@given(st.binary(min_size=129, max_size=129), st.binary(max_size=40))
def test_no_bytes_raise_even_from_a_holder_of_the_key(extension: bytes, more: bytes) -> None:
    size = struct.pack("!H", 129 + len(more))
    body = PACKET[:8] + b"SKD\x01" + size + extension[6:] + more
    decode(signed(body))


@given(st.integers(0, 169), st.binary(max_size=20))
def test_no_splice_of_a_packet_raises(at: int, more: bytes) -> None:
    assert isinstance(decode(PACKET[:at] + more + PACKET[at:]), Advert if not more else Dropped)


def test_foreign_cluster_is_told_before_the_key() -> None:
    foreign = wire.encode(replace(ADVERT, cluster_id=8), OTHER_KEY)
    assert decode(foreign) == Dropped(DropReason.FOREIGN_CLUSTER)


def test_wrong_key_is_told() -> None:
    assert decode(wire.encode(ADVERT, OTHER_KEY)) == Dropped(DropReason.BAD_KEY)
    assert decode(PACKET, OTHER_KEY) == Dropped(DropReason.BAD_KEY)


def test_other_version_is_told_before_its_layout() -> None:
    later = PACKET[:11] + b"\x02" + bytes(len(PACKET) - 12)
    assert decode(later) == Dropped(DropReason.VERSION)


@pytest.mark.parametrize("at", [0, 8, 9, 10])
def test_what_is_not_ours_is_malformed(at: int) -> None:
    assert decode(PACKET[:at] + b"\xee" + PACKET[at + 1 :]) == Dropped(DropReason.MALFORMED)


def test_either_key_is_accepted_during_a_change_of_password() -> None:
    assert decode(PACKET, OTHER_KEY, KEY) == ADVERT
    assert decode(wire.encode(ADVERT, OTHER_KEY), OTHER_KEY, KEY) == ADVERT


def test_fields_of_a_later_release_are_skipped() -> None:
    body = bytearray(PACKET[:-32] + b"later")
    struct.pack_into("!H", body, 12, 129 + 5)
    assert decode(signed(bytes(body))) == ADVERT


def test_extension_cannot_be_shorter() -> None:
    body = bytearray(PACKET[:-32] + b"later")
    struct.pack_into("!H", body, 12, 128)
    assert decode(signed(bytes(body))) == Dropped(DropReason.MALFORMED)


@pytest.mark.parametrize(
    ("at", "value"),
    [(14, b"\x05"), (14, b"\xff"), (16, b"\x00"), (101, bytes(4)), (37, bytes(16))],
    ids=["role", "role", "dead ratio", "interval", "session"],
)
def test_impossible_values_are_malformed_even_when_signed(at: int, value: bytes) -> None:
    body = PACKET[:at] + value + PACKET[at + len(value) : -32]
    assert decode(signed(body)) == Dropped(DropReason.MALFORMED)


def test_unknown_flags_are_ignored() -> None:
    body = PACKET[:15] + b"\x81" + PACKET[16:-32]
    assert decode(signed(body)) == ADVERT


@pytest.mark.parametrize("epoch", [2**32, 2**40])
def test_number_that_does_not_fit_is_sent_as_the_highest(epoch: int) -> None:
    """A damaged epoch on a disk must not end the election."""
    huge = replace(ADVERT, epoch=epoch, data=DataVersion(epoch, 2**64))
    found = decode(wire.encode(huge, KEY))
    assert (found.epoch, found.data) == (2**32 - 1, DataVersion(2**32 - 1, 2**64 - 1))


# ---- small parts


@pytest.mark.parametrize(
    ("priority", "flags", "resigns"),
    [(0, 0, True), (100, 0, False), (100, Flag.RESIGNED, True), (100, Flag.POLL, False)],
)
def test_resignation_is_priority_0_or_the_flag(priority: int, flags: int, *, resigns: bool) -> None:
    assert replace(ADVERT, priority=priority, flags=Flag(flags)).resigns is resigns


@pytest.mark.parametrize(
    ("text", "raw"),
    [
        ("10.0.0.1", "00000000000000000000ffff0a000001"),
        ("2001:db8::1", "20010db8000000000000000000000001"),
        ("fe80::1%eth0", "fe800000000000000000000000000001"),
    ],
)
def test_sender_in_sixteen_bytes(text: str, raw: str) -> None:
    assert wire.sender_bytes(ip_address(text)).hex() == raw


def test_sender_comes_back_in_its_own_family() -> None:
    for sender in (IPv4Address("192.0.2.1"), IPv6Address("2001:db8::7")):
        assert decode(wire.encode(replace(ADVERT, sender=sender), KEY)).sender == sender


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"", 0xFFFF), (b"\x00\x01\xf2\x03\xf4\xf5\xf6\xf7", 0x220D), (b"\xff", 0x00FF), (b"\xff\xff\x00\x01", 0xFFFE)],
)
def test_internet_checksum(data: bytes, expected: int) -> None:
    """The second one is RFC 1071 section 3's own example."""
    assert wire.checksum(data) == expected


def test_key_depends_on_password_and_cluster() -> None:
    keys = {wire.derive_key(password, cluster) for password in (b"a", b"b") for cluster in (1, 2)}
    assert len(keys) == 4
    assert {len(key) for key in keys} == {32}


@pytest.mark.parametrize(
    ("text", "release"),
    [("3.0.1", (3, 0, 1)), ("3", (3, 0, 0)), ("3.1rc1", (3, 0, 0)), ("3.256.7.9", (3, 0, 7)), ("", (0, 0, 0))],
)
def test_release_in_three_bytes(text: str, release: tuple[int, int, int]) -> None:
    assert wire.parse_release(text) == release
