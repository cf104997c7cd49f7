"""What is said in a standard and who is believed there: hops, addresses, each CARP counter once."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core import carp as carp_bytes
from skd_cluster.core import vrrp as vrrp_bytes
from skd_cluster.core.actions import Identity
from skd_cluster.core.carp import CarpAdvert
from skd_cluster.core.dialect import GONE, Bid, Carp, Vrrp
from skd_cluster.core.model import SECOND, DropReason, IPAddress, Nanos, Transport, nanos
from skd_cluster.core.speech import CarpSpeech, Speech, VrrpSpeech, speech
from skd_cluster.core.vrrp import VrrpAdvert
from skd_cluster.core.wire import Dropped
from tests.unit.core.machines import OURS, SLOW, THEIRS

GROUP, GROUP6 = ip_address("224.0.0.18"), ip_address("ff02::12")
CLUSTER_IP, CLUSTER_IP6 = ip_address("10.0.0.100"), ip_address("2001:db8::100")
OURS6, THEIRS6 = ip_address("2001:db8::1"), ip_address("2001:db8::2")
LINK, OTHER_LINK = ip_address("fe80::1"), ip_address("fe80::2")
LINK_IP = ip_address("fe80::100")
FOREIGN = ip_address("10.0.0.9")


def made(
    transport: Transport,
    local: IPAddress = OURS,
    remote: IPAddress = THEIRS,
    passwords: tuple[bytes, ...] = (b"secret",),
) -> Speech:
    return speech(transport, local, remote, 7, passwords, (CLUSTER_IP6, CLUSTER_IP, LINK_IP))


def peer(transport: Transport) -> Speech:
    return made(transport, THEIRS, OURS)


def said(
    by: Speech,
    *,
    me: Identity = SLOW,
    source: IPAddress = THEIRS,
    group: IPAddress = GROUP,
    chance: int = 1,
    resigns: bool = False,
) -> bytes:
    return by.say(me, source, group, chance, resigns=resigns)


BOTH = pytest.mark.parametrize("transport", [Transport.CARP, Transport.VRRP])


# ---- what is said


def test_carp_says_base_skew_and_a_counter_that_is_drawn() -> None:
    body = said(peer(Transport.CARP), me=replace(SLOW, interval=nanos(1.5), priority=60), chance=12345)
    assert carp_bytes.decode(body, 7, (b"secret",), CLUSTER_IP) == CarpAdvert(7, 40, 2, 12345)


def test_carp_resigns_as_the_bsds_do() -> None:
    body = said(peer(Transport.CARP), resigns=True)
    assert carp_bytes.decode(body, 7, (b"secret",), CLUSTER_IP) == CarpAdvert(7, 255, 255, 1)


def test_vrrp_says_priority_pace_and_the_addresses_of_its_family() -> None:
    body = said(peer(Transport.VRRP), me=replace(SLOW, priority=120, interval=nanos(0.2)))
    assert vrrp_bytes.decode(body, THEIRS, GROUP, 7) == VrrpAdvert(7, 120, nanos(0.2), (CLUSTER_IP,))


def test_vrrp_resigns_with_priority_0() -> None:
    body = said(peer(Transport.VRRP), resigns=True)
    assert vrrp_bytes.decode(body, THEIRS, GROUP, 7) == VrrpAdvert(7, 0, Nanos(SECOND), (CLUSTER_IP,))


def test_vrrp_over_ipv6_names_a_link_local_address_first_and_ranks_by_the_one_it_speaks_from() -> None:
    spoken = made(Transport.VRRP, OURS6, THEIRS6)
    assert spoken.dialect.bid(SLOW).rank == (100, int(OURS6))
    body = said(spoken, source=LINK, group=GROUP6)
    assert vrrp_bytes.decode(body, LINK, GROUP6, 7) == VrrpAdvert(7, 100, Nanos(SECOND), (LINK_IP, CLUSTER_IP6))
    assert spoken.dialect.bid(SLOW).rank == (100, int(LINK))
    assert spoken.dialect.local == OURS6


def test_vrrp_over_ipv4_keeps_the_order_of_the_configuration() -> None:
    named = (CLUSTER_IP, ip_address("169.254.0.1"))
    spoken = speech(Transport.VRRP, OURS, THEIRS, 7, (), named)
    assert vrrp_bytes.decode(said(spoken), THEIRS, GROUP, 7) == VrrpAdvert(7, 100, Nanos(SECOND), named)


@BOTH
def test_dialect_is_the_transports(transport: Transport) -> None:
    spoken = made(transport, ip_address("fe80::1%eth0") if transport is Transport.VRRP else OURS)
    assert spoken.dialect.transport is transport
    assert spoken.dialect.local == spoken.local == (LINK if transport is Transport.VRRP else OURS)


def test_passwords_the_first_one_signs_and_all_are_accepted() -> None:
    changing = made(Transport.CARP, passwords=(b"new", b"secret"))
    assert isinstance(changing.judge(said(peer(Transport.CARP)), THEIRS, GROUP, 255), Bid)
    body = said(changing, source=OURS)
    assert carp_bytes.decode(body, 7, (b"new",), CLUSTER_IP) == CarpAdvert(7, 0, 1, 1)
    assert made(Transport.CARP, THEIRS, OURS).judge(body, OURS, GROUP, 255) == Dropped(DropReason.BAD_KEY)


# ---- what is believed


@BOTH
def test_peer_is_understood(transport: Transport) -> None:
    heard = made(transport).judge(said(peer(transport)), THEIRS, GROUP, 255)
    assert heard == {Transport.CARP: Carp(THEIRS), Transport.VRRP: Vrrp(THEIRS)}[transport].bid(SLOW)
    gone = made(transport).judge(said(peer(transport), resigns=True), THEIRS, GROUP, 255)
    assert gone == (Carp.heard(GONE, THEIRS) if transport is Transport.CARP else Vrrp.heard(0, Nanos(SECOND), THEIRS))


@BOTH
@pytest.mark.parametrize("hops", [254, 64, 0])
def test_what_has_passed_a_router_is_not_believed(transport: Transport, hops: int) -> None:
    assert made(transport).judge(said(peer(transport)), THEIRS, GROUP, hops) == Dropped(DropReason.HOPS)


@BOTH
def test_what_comes_from_our_own_address_is_ours(transport: Transport) -> None:
    assert made(transport).judge(said(peer(transport)), OURS, GROUP, 255) == Dropped(DropReason.REFLECTED)


@BOTH
def test_third_node_is_not_believed(transport: Transport) -> None:
    body = said(peer(transport), source=FOREIGN)
    assert made(transport).judge(body, FOREIGN, GROUP, 255) == Dropped(DropReason.FOREIGN_SENDER)


def test_of_who_is_not_the_peer_it_is_said_first_what_is_wrong_with_the_packet() -> None:
    assert made(Transport.CARP).judge(b"", FOREIGN, GROUP, 255) == Dropped(DropReason.TRUNCATED)


@pytest.mark.parametrize(
    ("remote", "source", "may"),
    [
        (THEIRS, THEIRS, True),
        (THEIRS, FOREIGN, False),
        (THEIRS6, OTHER_LINK, True),
        (OTHER_LINK, OTHER_LINK, True),
        (ip_address("fe80::2%eth0"), OTHER_LINK, True),
        (OTHER_LINK, ip_address("fe80::3"), False),
    ],
)
def test_over_ipv6_the_peer_speaks_from_a_link_local_address_which_may_be_unknown(
    remote: IPAddress, source: IPAddress, *, may: bool
) -> None:
    assert made(Transport.VRRP, OURS, remote).may_be_peer(source) is may


def test_vrrp_over_ipv6_is_heard_from_the_link_local_address() -> None:
    body = said(made(Transport.VRRP, THEIRS6, OURS6), source=OTHER_LINK, group=GROUP6)
    found = made(Transport.VRRP, OURS6, THEIRS6).judge(body, OTHER_LINK, GROUP6, 255)
    assert found == Vrrp.heard(100, Nanos(SECOND), OTHER_LINK)


@pytest.mark.parametrize(
    ("transport", "change"),
    [
        (Transport.CARP, lambda _: said(peer(Transport.VRRP))),
        (Transport.VRRP, lambda _: said(peer(Transport.CARP))),
        (Transport.CARP, lambda body: body[:-1]),
        (Transport.VRRP, lambda body: body[:-1]),
        (Transport.VRRP, lambda body: body + b"x"),
    ],
)
def test_other_bytes_are_not_believed(transport: Transport, change: Callable[[bytes], bytes]) -> None:
    found = made(transport).judge(change(said(peer(transport))), THEIRS, GROUP, 255)
    assert isinstance(found, Dropped)


def test_carp_that_reaches_a_node_of_vrrp_is_named_as_another_cluster() -> None:
    found = made(Transport.VRRP).judge(said(peer(Transport.CARP)), THEIRS, GROUP, 255)
    assert found == Dropped(DropReason.FOREIGN_CLUSTER)


# ---- replay


def test_carp_counter_is_believed_once() -> None:
    node, body = made(Transport.CARP), said(peer(Transport.CARP))
    assert isinstance(node.judge(body, THEIRS, GROUP, 255), Bid)
    assert node.judge(body, THEIRS, GROUP, 255) == Dropped(DropReason.REPLAYED)
    assert isinstance(node.judge(said(peer(Transport.CARP), chance=2), THEIRS, GROUP, 255), Bid)


def test_carp_counter_of_a_recording_with_another_rank_is_believed_once_as_well() -> None:
    """The digest covers neither base nor skew."""
    node = made(Transport.CARP)
    node.judge(said(peer(Transport.CARP)), THEIRS, GROUP, 255)
    stronger = carp_bytes.encode(CarpAdvert(7, 1, 0, 1), b"secret", CLUSTER_IP)
    assert node.judge(stronger, THEIRS, GROUP, 255) == Dropped(DropReason.REPLAYED)


def test_carp_our_own_packet_from_the_peers_address_is_not_believed() -> None:
    node = made(Transport.CARP)
    ours = said(node, source=OURS, chance=99)
    assert node.judge(ours, THEIRS, GROUP, 255) == Dropped(DropReason.REPLAYED)


def test_carp_forged_counter_is_not_remembered_before_its_digest_is_right() -> None:
    """Or anybody could use up the peer's."""
    node, body = made(Transport.CARP), said(peer(Transport.CARP))
    wrong = carp_bytes.encode(CarpAdvert(7, 0, 1, 1), b"guess", CLUSTER_IP)
    assert node.judge(wrong, THEIRS, GROUP, 255) == Dropped(DropReason.BAD_KEY)
    assert isinstance(node.judge(body, THEIRS, GROUP, 255), Bid)


def test_carp_counters_are_forgotten_with_a_restart() -> None:
    """What remains, and is said in docs/protocol.md: each once more after it."""
    body = said(peer(Transport.CARP))
    for _ in range(2):
        assert isinstance(made(Transport.CARP).judge(body, THEIRS, GROUP, 255), Bid)


# ---- version 2


def version_2() -> bytes:
    head = bytes((0x21, 7, 100, 1, 0, 1))
    tail = CLUSTER_IP.packed + bytes(8)
    return head + vrrp_bytes.checksum(head + b"\0\0" + tail).to_bytes(2) + tail


def test_vrrp_version_2_of_the_peer_is_dropped_and_known() -> None:
    node = made(Transport.VRRP)
    assert isinstance(node, VrrpSpeech)
    assert node.judge(version_2(), THEIRS, GROUP, 255) == Dropped(DropReason.VERSION)
    assert node.old_version
    node.judge(version_2(), FOREIGN, GROUP, 255)
    assert node.old_version


def test_vrrp_version_2_of_somebody_else_is_nothing_to_tell() -> None:
    node = made(Transport.VRRP)
    assert node.judge(version_2(), FOREIGN, GROUP, 255) == Dropped(DropReason.VERSION)
    assert not node.old_version
    assert not isinstance(node, CarpSpeech)


def test_a_peer_that_advertises_other_addresses_is_named_as_long_as_it_does() -> None:
    node = made(Transport.VRRP)
    assert isinstance(node, VrrpSpeech)
    same = VrrpAdvert(node.number, 100, SECOND, tuple(reversed(node.addresses)))
    more = replace(same, addresses=(*same.addresses, ip_address("10.9.9.9")))
    for advert, source, named in (
        (more, FOREIGN, False),
        (more, THEIRS, True),
        (same, FOREIGN, True),
        (same, THEIRS, False),
    ):
        node.judge(vrrp_bytes.encode(advert, source, GROUP), source, GROUP, 255)
        assert node.other_addresses is named


@pytest.mark.parametrize("one", list(Transport))
def test_a_transport_is_found_by_the_word_of_the_configuration(one: Transport) -> None:
    assert Transport.named(one.word) is one


# ---- whatever comes


@BOTH
@given(body=st.binary(max_size=80), hops=st.sampled_from([255, 255, 1]), source=st.ip_addresses())
def test_no_bytes_raise(transport: Transport, body: bytes, hops: int, source: IPAddress) -> None:
    made(transport).judge(body, source, GROUP6 if source.version == 6 else GROUP, hops)


@BOTH
@given(bit=st.integers(0, 8 * 36 - 1))
def test_no_damaged_packet_is_believed(transport: Transport, bit: int) -> None:
    body = said(peer(transport))
    damaged = (int.from_bytes(body) ^ (1 << bit % (8 * len(body)))).to_bytes(len(body))
    assert isinstance(made(transport).judge(damaged, THEIRS, GROUP, 255), Dropped)


@BOTH
@given(
    interval=st.integers(1, 300 * SECOND).map(Nanos),
    priority=st.integers(1, 254),
    chance=st.integers(0, 2**64 - 1),
    resigns=st.booleans(),
)
def test_what_is_said_is_heard_as_the_bid_that_it_is(
    transport: Transport, interval: Nanos, priority: int, chance: int, *, resigns: bool
) -> None:
    me = replace(SLOW, interval=interval, priority=priority)
    spoken = peer(transport)
    body = said(spoken, me=me, chance=chance, resigns=resigns)
    found = made(transport).judge(body, THEIRS, GROUP, 255)
    assert isinstance(found, Bid)
    assert found.resigns is resigns
    if not resigns:
        assert found == spoken.dialect.bid(me)
