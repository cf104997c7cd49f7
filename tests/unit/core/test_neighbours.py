"""Witnesses, the gateway's word, foreign claims."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core.frames import Arp, arp_request, gratuitous_arp, neighbour_advertisement, parse_arp
from skd_cluster.core.icmp import echo_request, is_echo_reply, parse_neighbour
from skd_cluster.core.model import MILLISECOND, NEVER, Nanos, nanos
from skd_cluster.core.neighbours import ASK_EVERY, AskGateway, AskWitness, Neighbourhood

OURS, THEIRS = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
GATEWAY, VIP, OTHER = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.10"), IPv4Address("192.0.2.11")
VIP6 = IPv6Address("2001:db8::10")


def at(seconds: float) -> Nanos:
    return nanos(1000 + seconds)


@pytest.fixture
def around() -> Neighbourhood:
    return Neighbourhood((GATEWAY,), (GATEWAY,), frozenset((OURS,)))


def test_an_arp_request_reads_back() -> None:
    assert parse_arp(arp_request(GATEWAY, VIP, OURS)) == Arp(1, OURS, VIP, bytes(6), GATEWAY)


def test_an_unsolicited_advertisement_reads_back() -> None:
    seen = parse_neighbour(neighbour_advertisement(VIP6, THEIRS)[54:])

    assert seen is not None
    assert (seen.target, seen.mac) == (VIP6, THEIRS)


def test_rfc_792_the_checksum_of_an_echo_request_is_right() -> None:
    assert echo_request(4, 0x1234, 1).hex() == "0800e5ca12340001"


@pytest.mark.parametrize(("version", "kind"), [(4, 0), (6, 129)])
def test_only_our_own_echo_replies_count(version: int, kind: int) -> None:
    reply = bytes((kind, 0, 0, 0, 0x12, 0x34, 0, 1))

    assert is_echo_reply(version, reply, 0x1234)
    assert not is_echo_reply(version, reply, 0x1235)
    assert not is_echo_reply(version, reply[:7], 0x1234)


def test_a_witness_is_asked_five_times_a_second(around: Neighbourhood) -> None:
    around.start(at(0))

    assert around.on_timer(at(0)) == [AskWitness(GATEWAY)]
    assert around.deadline == at(0.2)
    assert around.on_timer(at(0.1)) == []


def test_a_witness_that_was_silent_for_four_questions_is_gone(around: Neighbourhood) -> None:
    around.start(at(0))
    assert not around.witnessed(at(0))
    around.echoed(GATEWAY, at(1))

    assert around.witnessed(Nanos(at(1) + 4 * ASK_EVERY))
    assert not around.witnessed(Nanos(at(1) + 4 * ASK_EVERY + 1))


def test_an_arp_answer_of_the_witness_counts_too(around: Neighbourhood) -> None:
    around.arp(Arp(2, THEIRS, GATEWAY, OURS, VIP), (), at(1))

    assert around.witnessed(at(1.5))


def test_a_stranger_is_no_witness(around: Neighbourhood) -> None:
    around.echoed(OTHER, at(1))

    assert not around.witnessed(at(1))


def test_without_witnesses_nothing_is_missing() -> None:
    around = Neighbourhood((), ())
    around.start(at(0))

    assert around.witnessed(at(99))
    assert around.on_timer(at(99)) == []


def test_the_gateway_confirms_each_address_by_an_answer_to_us() -> None:
    around = Neighbourhood((), (GATEWAY,), frozenset((OURS,)))
    around.claimed((VIP, OTHER, VIP6), at(0))
    assert around.on_timer(at(0)) == [AskGateway(GATEWAY, VIP), AskGateway(GATEWAY, OTHER)]

    around.arp(Arp(2, THEIRS, GATEWAY, OURS, VIP), (VIP, OTHER), at(0.003))
    assert around.confirmed_after == NEVER
    around.arp(Arp(2, THEIRS, GATEWAY, THEIRS, OTHER), (VIP, OTHER), at(0.004))  # to another machine
    assert around.confirmed_after == NEVER
    around.arp(Arp(2, THEIRS, GATEWAY, OURS, OTHER), (VIP, OTHER), at(0.005))

    assert around.confirmed_after == 5 * MILLISECOND


def test_a_gateway_that_does_not_answer_is_left_alone_after_ten_seconds() -> None:
    around = Neighbourhood((), (GATEWAY,))
    around.claimed((VIP,), at(0))
    asked = 0
    while around.deadline < at(60):
        asked += len(around.on_timer(around.deadline))

    assert asked == 51


def test_nothing_is_confirmed_after_the_addresses_were_released(around: Neighbourhood) -> None:
    around.claimed((VIP,), at(0))
    around.released()
    around.arp(Arp(2, THEIRS, GATEWAY, OURS, VIP), (), at(0.1))

    assert around.confirmed_after == NEVER


def test_a_foreign_claim_to_a_held_address_is_returned_and_counted(around: Neighbourhood) -> None:
    seen = parse_arp(gratuitous_arp(VIP, THEIRS)[0])
    assert seen is not None

    assert around.arp(seen, (VIP,), at(0)) == VIP
    assert around.arp(seen, (), at(0)) is None
    assert around.foreign == 1


def test_our_own_announcements_are_no_claim(around: Neighbourhood) -> None:
    seen = parse_arp(gratuitous_arp(VIP, OURS)[1])
    assert seen is not None

    assert around.arp(seen, (VIP,), at(0)) is None


def test_a_foreign_neighbour_advertisement_is_a_claim(around: Neighbourhood) -> None:
    seen = parse_neighbour(neighbour_advertisement(VIP6, THEIRS)[54:])
    assert seen is not None

    assert around.neighbour(seen, (VIP6,), at(0)) == VIP6


@given(st.binary(max_size=100))
def test_property_no_bytes_raise(data: bytes) -> None:
    parse_arp(data)
    parse_arp(bytes(12) + b"\x08\x06" + data)
    parse_neighbour(data)
    parse_neighbour(bytes((136,)) + data)
    is_echo_reply(4, data, 1)


def test_an_option_without_a_size_ends_a_neighbour_advertisement() -> None:
    """It would be read for ever."""
    message = neighbour_advertisement(VIP6, THEIRS)[54:78] + bytes(8)
    assert parse_neighbour(message) is None


def test_without_a_gateway_and_a_witness_nobody_is_asked() -> None:
    lone = Neighbourhood((), (), frozenset((OURS,)))
    lone.start(at(0))
    lone.claimed([VIP], at(0))
    assert lone.on_timer(at(1)) == []
    assert lone.deadline > at(10**6)


def test_our_own_neighbour_advertisement_is_no_foreign_claim(around: Neighbourhood) -> None:
    own, foreign = (parse_neighbour(neighbour_advertisement(VIP6, mac)[54:]) for mac in (OURS, THEIRS))
    assert own is not None
    assert foreign is not None
    assert around.neighbour(own, [VIP6], at(0)) is None
    assert around.neighbour(foreign, [VIP6], at(0)) == VIP6
    assert around.foreign == 1
