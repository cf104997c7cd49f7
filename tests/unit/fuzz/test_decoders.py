"""Whatever bytes arrive, every decoder says what they are or that they are nothing. `script/fuzz` searches on.

The seeds are real: recorded from a pair (`record.py`), from keepalived and arping, and configuration files that users have.
Hypothesis damages them, and what it finds is to become a test beside the decoder's own.
"""

import struct
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skd_cluster.config.load import load
from skd_cluster.core import (
    carp,
    frames,
    gate,
    history,
    icmp,
    lastword,
    manifest,
    messages,
    netlink,
    pairing,
    session,
    vrrp,
    wire,
)
from skd_cluster.core.model import DropReason, Nanos
from skd_cluster.core.peer import Challenge, PeerLink
from skd_cluster.core.wire import Advert, Dropped

CORPUS = Path(__file__).with_name("corpus")
FIXTURES = Path(__file__).parents[2] / "fixtures"
KEY = wire.derive_key(b"secret", 1)
LOCAL, REMOTE = ip_address("10.77.0.2"), ip_address("10.77.0.1")
CLUSTER_IP, GROUP = IPv4Address("10.77.0.100"), ip_address("224.0.0.18")
REMOTE6, GROUP6 = ip_address("fe80::5eff:fe77:1"), ip_address("ff02::12")
ENDS = REMOTE.packed + GROUP.packed
PASSWORDS = (b"secret", b"another-secret")
PIECES = (
    *(
        b"",
        b"\0",
        b"\xff",
        b"\x80",
        b"\n",
        b'"',
        b"'",
        b"\\",
        b"$",
        b";",
        b"#",
        b"=",
        b"@",
        b"{",
        b"[",
        b"]",
        b"}",
        b",",
    ),
    *(
        b"null",
        b"-1",
        b"1e999",
        b"NaN",
        b"true",
        b'"kind":',
        b"\\ud800",
        b"\xe2\x80\x9c",
        b"\xef\xbb\xbf",
        b"[" * 5000,
        b"9" * 5000,
    ),
)
NUMBERS = (0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 255, 256, 1 << 15, (1 << 16) - 1, 1 << 24, (1 << 31) - 1, (1 << 32) - 1)


def recorded(folder: str) -> list[bytes]:
    found = [file.read_bytes() for file in sorted((CORPUS / folder).iterdir())]
    assert found
    return found


def captured(pattern: str, wanted: Callable[[bytes], bool]) -> list[bytes]:
    """Different Ethernet frames of the fixtures' captures: classic pcap, little-endian."""
    found: dict[bytes, None] = {}
    for file in sorted((FIXTURES / "captures").glob(pattern)):
        data, at = file.read_bytes(), 24
        while at < len(data):
            size = struct.unpack_from("<I", data, at + 8)[0]
            frame = data[at + 16 : at + 16 + size]
            at += 16 + size
            if wanted(frame):
                found[frame] = None
    assert found
    return list(found)


WIRE, NETLINK, PAGES = recorded("wire"), recorded("netlink"), recorded("lastword")
MESSAGES, SESSION = recorded("messages"), recorded("session")
PAIRING, ASKED = recorded("pairing"), recorded("asked")
ARP = captured("*.pcap", lambda frame: frame[12:14] == b"\x08\x06")
NEIGHBOURS = [frame[54:] for frame in captured("*ipv6.pcap", lambda frame: frame[20] == 58)]
PROTOCOL_112 = [frame[34:] for frame in captured("*.pcap", lambda frame: frame[23] == 112 and frame[26:34] == ENDS)]
PROTOCOL_112_6 = [frame[54:] for frame in captured("*.pcap", lambda frame: frame[20] == 112 and frame[12] == 0x86)]
CARP = [body for body in PROTOCOL_112 if carp.is_carp(body)]
VRRP = [body for body in PROTOCOL_112 if not carp.is_carp(body)]
CONFIGS = [
    file.read_bytes() for file in sorted((FIXTURES / "legacy-conf").glob("*.conf")) if file.stat().st_size < 1 << 14
]


@st.composite
def damaged(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """One of the seeds, after a few things that go wrong with bytes."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 5))):
        first, second = sorted(draw(st.tuples(*[st.integers(0, len(data))] * 2)))
        match draw(st.sampled_from(("set", "number", "zero", "cut", "remove", "insert", "repeat", "splice"))):
            case "set":
                data[first : first + 1] = draw(st.binary(min_size=1, max_size=1))
            case "number":
                size, order = draw(st.sampled_from((1, 2, 4, 8))), draw(st.sampled_from(("big", "little")))
                number = draw(st.sampled_from(NUMBERS)) & ((1 << 8 * size) - 1)
                data[first : first + size] = number.to_bytes(size, order)
            case "zero":
                data[first:second] = bytes(second - first)
            case "cut":
                del data[first:]
            case "remove":
                del data[first:second]
            case "insert":
                data[first:first] = draw(st.sampled_from(PIECES) | st.binary(max_size=20))
            case "repeat":
                data[first:first] = data[first:second] * draw(st.integers(1, 3))
            case _:
                data[first:] = draw(st.sampled_from(seeds))[second:]
    return bytes(data)


def anything_like(seeds: list[bytes]) -> st.SearchStrategy[bytes]:
    return damaged(seeds) | st.binary(max_size=300)


def signed(body: bytes) -> bytes:
    return body + wire.hmac.digest(KEY, body, "sha256")


def resummed(body: bytes) -> bytes:
    """The message with a right checksum, where it has room for one: it gets past the first check more often."""
    bare = body[:6] + bytes(2) + body[8:]
    return bare[:6] + wire.checksum(bare).to_bytes(2) + bare[8:]


# ---- packets


@given(anything_like(WIRE))
def test_only_a_packet_that_the_peer_has_made_is_decoded(datagram: bytes) -> None:
    found = wire.decode(datagram, 1, (bytes(32), KEY))
    assert isinstance(found, Advert) == (datagram in WIRE)
    assert isinstance(found, Advert | Dropped)


@given(damaged([packet[:-32] for packet in WIRE]))
def test_what_somebody_with_the_key_makes_is_judged(body: bytes) -> None:
    datagram = signed(body)
    found = wire.decode(datagram, 1, (KEY,))
    link = PeerLink(LOCAL, REMOTE, bytes(range(16)))
    if isinstance(found, Advert):
        assert isinstance(link.judge(found, Nanos(1)), Dropped | Challenge)  # it cannot echo a session just drawn
        assert link.judge(found, Nanos(1)) != found
        assert wire.decode(wire.encode(found, KEY), 1, (KEY,)) == found
        assert found.dead_ratio > 0
        assert found.interval > 0
        assert any(found.session)
    else:
        assert found.reason is not DropReason.BAD_KEY


@given(anything_like(CARP) | damaged(CARP).map(resummed))
def test_carp(body: bytes) -> None:
    """Of what somebody without the password makes, only counters that a ucarp has sent are believed, with any rank."""
    found = carp.decode(body, 1, PASSWORDS, CLUSTER_IP)
    if isinstance(found, carp.CarpAdvert):
        assert body[8:] in [one[8:] for one in CARP]
        again = [carp.encode(found, password, CLUSTER_IP) for password in PASSWORDS]
        assert body[8:] in [one[8:] for one in again]
        assert found == carp.decode(again[0], 1, PASSWORDS, CLUSTER_IP)
        assert found.interval > 0


@given(anything_like([*VRRP, *PROTOCOL_112_6]) | damaged(VRRP).map(resummed))
def test_vrrp(body: bytes) -> None:
    for source, destination in ((REMOTE, GROUP), (REMOTE6, GROUP6)):
        found = vrrp.decode(body, source, destination, 51)
        if isinstance(found, vrrp.VrrpAdvert):
            assert found.interval > 0
            assert found.addresses
            assert {one.version for one in found.addresses} == {source.version}
            if found.version == 3:
                again = vrrp.encode(found, source, destination)
                assert vrrp.decode(again, source, destination, 51) == found


@given(anything_like(ARP))
def test_arp(frame: bytes) -> None:
    found = frames.parse_arp(frame)
    if found is not None:
        assert frame[12:14] == b"\x08\x06"
        assert (found.sender.packed, found.target.packed) == (frame[28:32], frame[38:42])


@given(anything_like(NEIGHBOURS))
def test_neighbour_advertisements(message: bytes) -> None:
    found = icmp.parse_neighbour(message)
    if found is not None:
        assert message[0] == 136
        assert found.target.packed == message[8:24]
        assert found.mac in message
        assert len(found.mac) == 6


@given(anything_like(NETLINK))
def test_rtnetlink(datagram: bytes) -> None:
    known = netlink.AddressSeen | netlink.LinkSeen | netlink.Answer | netlink.Done
    found = list(netlink.parse(datagram))
    assert all(isinstance(one, known) for one in found)
    assert len(found) <= len(datagram) // 16


# ---- between our own programs


@given(anything_like(MESSAGES))
@example(b"[" * 100_000)
@example(b'{"kind":[]}')
def test_channel_messages(datagram: bytes) -> None:
    found = messages.decode(datagram)
    if found is not None:
        again = messages.encode(found)
        same = messages.decode(again)
        assert same is not None
        assert messages.encode(same) == again  # and not found == same: it may hold a NaN


@given(anything_like(SESSION), st.lists(st.integers(1, 200), min_size=1, max_size=5))
@example(struct.pack("!II", 100_000, 0) + b"[" * 100_000, [1000])
def test_session_frames_whole_or_in_pieces(data: bytes, sizes: list[int]) -> None:
    whole, pieces = session.Decoder(), session.Decoder()
    at_once: list[session.Message] = []
    piece_by_piece: list[session.Message] = []
    with suppress(session.ProtocolError):
        at_once.extend(whole.feed(data))
    with suppress(session.ProtocolError):
        at = 0
        while at < len(data):
            size = sizes[at % len(sizes)]
            piece_by_piece.extend(pieces.feed(data[at : at + size]))
            at += size
    assert list(map(repr, piece_by_piece)) == list(map(repr, at_once))  # and not ==: there may be a NaN in them


@given(damaged([frame[8 : 8 + int.from_bytes(frame[:4])] for frame in SESSION]))
def test_session_frames_with_a_damaged_header(header: bytes) -> None:
    with suppress(session.ProtocolError):
        (found,) = session.Decoder().feed(struct.pack("!II", len(header), 0) + header)
        assert list(session.Decoder().feed(session.encode(found)))


@given(damaged([frame for frame in SESSION if b'"entries"' in frame]))
def test_a_manifest_in_a_session(data: bytes) -> None:
    with suppress(session.ProtocolError):
        for message in session.Decoder().feed(data):
            with suppress(ValueError):
                found = manifest.unpack_manifest(getattr(message, "entries", None))
                assert manifest.unpack_manifest(manifest.pack_manifest(found)) == found
                assert manifest.digest(found)


@given(damaged([frame for frame in SESSION if b'"facts"' in frame]))
def test_what_a_history_says_of_a_generation(data: bytes) -> None:
    with suppress(session.ProtocolError):
        for message in session.Decoder().feed(data):
            if isinstance(message, session.Facts):
                found = history.parse(message.generation, message.facts)
                assert set(found.removed) <= set(found.deleted)
                assert set(history.kept_manifest(found, {})) <= set(found.before)


@given(anything_like(PAIRING))
@example(b"[" * 100_000)
def test_what_two_nodes_say_while_they_are_paired(data: bytes) -> None:
    with suppress(pairing.PairingError):
        request = pairing.decode_request(data)
        assert pairing.decode_request(pairing.encode_request(request)) == request
    answer, echo = pairing.decode_answer(data), pairing.decode_echo(data)
    if answer is not None:
        assert pairing.decode_answer(pairing.encode_answer(answer).encode()) == answer
        assert all(step.what.isprintable() for step in answer.steps)
    if echo is not None:
        assert pairing.decode_echo(pairing.encode_echo(echo).encode()) == echo


@given(anything_like(ASKED))
def test_what_a_pair_s_key_is_asked_for(data: bytes) -> None:
    places = {one.decode().split()[-1] for one in ASKED if one.startswith(b"rsync")}
    with suppress(gate.ForbiddenError):
        wish = gate.judge(data.decode(errors="surrogateescape"))
        if isinstance(wish, gate.Rsync):
            argv = gate.rsync_argv("/usr/bin/rsync", wish.words, places)
            assert argv[-1] in places
            assert not {"--sender", "--daemon", "-e"} & set(argv)


@given(anything_like(PAGES))
def test_the_page_of_last_words(page: bytes) -> None:
    found = lastword.parse_page(page)
    if found is not None:
        assert page.startswith(lastword.page_bytes(found))


# ---- files


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("configuration")


@given(content=anything_like(CONFIGS))
def test_configuration(folder: Path, content: bytes) -> None:
    file = folder / "skudonet-cluster.conf"
    file.write_bytes(content)
    loaded = load(file, interfaces=frozenset({"eth0"}))

    assert (loaded.config is None) == any(one.is_error for one in loaded.problems)
    assert all(str(one).isprintable() for one in loaded.problems)
    assert [one.name for one in folder.iterdir()] == [file.name]  # nothing of it was executed


# ---- the seeds themselves


@pytest.mark.parametrize(
    ("seeds", "understood"),
    [
        (WIRE, lambda one: isinstance(wire.decode(one, 1, (KEY,)), Advert)),
        (CARP, lambda one: isinstance(carp.decode(one, 1, PASSWORDS, CLUSTER_IP), carp.CarpAdvert)),
        (VRRP, lambda one: isinstance(vrrp.decode(one, REMOTE, GROUP, 51), vrrp.VrrpAdvert)),
        (PROTOCOL_112_6, lambda one: isinstance(vrrp.decode(one, REMOTE6, GROUP6, 51), vrrp.VrrpAdvert)),
        (ARP, frames.parse_arp),
        (NEIGHBOURS, icmp.parse_neighbour),
        (NETLINK, lambda one: list(netlink.parse(one))),
        (MESSAGES, messages.decode),
        (SESSION, lambda one: len(list(session.Decoder().feed(one))) == 1),
        (PAGES, lastword.parse_page),
        (ASKED, lambda one: gate.judge(one.decode())),
        (PAIRING, lambda one: pairing.decode_answer(one) or pairing.decode_echo(one) or pairing.decode_request(one)),
    ],
    ids=[
        "wire",
        "carp",
        "vrrp",
        "vrrp6",
        "arp",
        "neighbours",
        "netlink",
        "messages",
        "session",
        "pages",
        "asked",
        "pairing",
    ],
)
def test_what_was_recorded_is_understood(seeds: list[bytes], understood: Callable[[bytes], object]) -> None:
    assert all(understood(one) for one in seeds)


def test_every_kind_of_message_was_recorded() -> None:
    assert {type(messages.decode(one)) for one in MESSAGES} == set(get_args(messages.Message))
    assert {type(next(session.Decoder().feed(one))) for one in SESSION} == set(get_args(session.Message))
    assert {type(gate.judge(one.decode())) for one in ASKED} == set(get_args(gate.Wish))
