"""Advertisement sockets on loopback."""

from ipaddress import ip_address

import pytest

from skd_cluster.adapters.udp import open_unicast
from tests.labkit.waiting import eventually

ONE, TWO = ip_address("127.0.0.1"), ip_address("127.0.0.2")


def test_a_datagram_arrives_with_the_sender_s_own_address() -> None:
    ours, theirs = open_unicast(ONE, TWO, 20112), open_unicast(TWO, ONE, 20112)
    assert ours.send(b"advertisement")

    heard = eventually(lambda: list(theirs.receive(10)), within=3, what="it arrives")
    assert heard == [(b"advertisement", "127.0.0.1")]
    assert list(theirs.receive(10)) == []
    ours.close()
    theirs.close()


def test_the_port_of_another_program_is_refused() -> None:
    first = open_unicast(ONE, TWO, 20113)
    with pytest.raises(OSError, match="in use"):
        open_unicast(ONE, TWO, 20113)
    first.close()


def test_an_address_that_is_not_here_yet_can_be_bound_and_sends_nothing() -> None:
    early = open_unicast(ip_address("192.0.2.1"), ONE, 20114)

    assert not early.send(b"x")
    early.close()


def test_no_more_is_taken_than_asked_for() -> None:
    ours, theirs = open_unicast(ONE, TWO, 20115), open_unicast(TWO, ONE, 20115)
    for _ in range(5):
        ours.send(b"x")
    taken = eventually(lambda: list(theirs.receive(3)), within=3, what="they arrive")

    assert len(taken) <= 3
    ours.close()
    theirs.close()
