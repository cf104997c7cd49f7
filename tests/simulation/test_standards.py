"""Pairs that speak CARP or VRRP: two of ours, one of ours beside another program, and a pair that changes its transport."""

import pytest

from skd_cluster.core.model import SECOND, Nanos, Reason, Role, Transport, nanos
from skd_cluster.simulation.network import FLIGHT
from skd_cluster.simulation.node import Packet, Setup
from skd_cluster.simulation.standards import Spoken
from skd_cluster.simulation.upgrade import respeak
from skd_cluster.simulation.world import World
from tests.simulation.test_takeover import until

CARP, VRRP, UDP = Transport.CARP, Transport.VRRP, Transport.UDP
BOTH = pytest.mark.parametrize("transport", [CARP, VRRP])
FOREIGN = pytest.mark.parametrize("foreign", [False, True])


def world(transport: Transport, *, foreign: bool = False, a: int = 100, b: int = 100, paths: int = 1) -> World:
    """`a` is master, `b` is the other one's program if it is `foreign`; one second."""
    settings = {"interval": 1.0, "transport": transport}
    return World(Setup(priority=a, **settings), Setup(priority=b, foreign=foreign, **settings), paths=paths)


def roles(pair: World) -> tuple[Role | None, Role | None]:
    return pair.a.role, pair.b.role


A_IS_MASTER, B_IS_MASTER = (Role.MASTER, Role.BACKUP), (Role.BACKUP, Role.MASTER)


# ---- instants


@FOREIGN
@pytest.mark.parametrize(("transport", "wait"), [(CARP, 3), (VRRP, 3.609375)])
def test_power_loss_takes_what_the_standard_says(transport: Transport, wait: float, *, foreign: bool) -> None:
    pair = world(transport, foreign=foreign)
    spoke = pair.a.ruled_at
    pair.crash("a")
    assert until(pair, "b", Role.MASTER) == spoke + FLIGHT + nanos(wait)
    assert pair.b.reasons[-1] is Reason.PEER_SILENT
    pair.restart("a")
    pair.monitor.settle()
    assert roles(pair) == B_IS_MASTER


@pytest.mark.parametrize(
    ("transport", "foreign", "skew"), [(CARP, False, 0), (CARP, True, 0), (VRRP, False, 0), (VRRP, True, 0.609375)]
)
@pytest.mark.parametrize("how", ["stop", "standby", "fault", "failover"])
def test_handing_over_takes_a_flight_and_of_a_foreign_vrrp_backup_its_skew(
    transport: Transport, skew: float, how: str, *, foreign: bool
) -> None:
    pair = world(transport, foreign=foreign)
    left = pair.now
    match how:
        case "failover":
            assert pair.failover("a", force=True) == ""
        case _:
            getattr(pair, how)("a")
    assert until(pair, "b", Role.MASTER) == left + FLIGHT + nanos(skew)
    assert pair.b.reasons[-1] is Reason.PEER_RESIGNED


@BOTH
def test_cold_start_of_both_has_one_master_a_flight_after_their_patience(transport: Transport) -> None:
    pair = World(Setup(transport=transport), Setup(transport=transport), pair=False)
    pair.start("a")
    pair.start("b")
    pair.run(10)
    assert sorted(roles(pair)) == sorted(A_IS_MASTER)
    assert pair.monitor.longest_two_masters <= FLIGHT
    assert roles(pair) == (A_IS_MASTER if transport is CARP else B_IS_MASTER)


# ---- two masters


@FOREIGN
@BOTH
@pytest.mark.parametrize("preferred", ["a", "b"])
def test_after_a_partition_there_are_two_for_one_interval_and_a_flight_at_most(
    transport: Transport, preferred: str, *, foreign: bool
) -> None:
    for offset in (0, 0.25, 0.5, 0.75, 0.999):
        pair = world(transport, foreign=foreign, a=100 if preferred == "a" else 50, b=50 if preferred == "a" else 100)
        pair.cut()
        pair.run(9 + offset)
        assert roles(pair) == (Role.MASTER, Role.MASTER)
        healed = pair.now
        pair.heal()
        loser = "b" if preferred == "a" else "a"
        assert until(pair, loser, Role.BACKUP) - healed <= pair.monitor.bounds.pace + FLIGHT
        pair.monitor.settle()
        assert roles(pair) == (A_IS_MASTER if preferred == "a" else B_IS_MASTER)


@BOTH
def test_one_way_cut_ends_in_one_master_if_both_are_ours(transport: Transport) -> None:
    """`a` would stay, but is not heard: it yields as it would natively."""
    pair = world(transport, b=50)
    pair.cut("a->b")
    until(pair, "b", Role.MASTER, within=10)
    until(pair, "a", Role.BACKUP, within=10)
    assert pair.a.reasons[-1] is Reason.NOT_HEARD
    pair.run(60)
    assert roles(pair) == B_IS_MASTER
    pair.heal()
    pair.monitor.settle()
    assert roles(pair) == B_IS_MASTER


@BOTH
def test_one_way_cut_beside_another_program_has_two_masters_until_it_is_mended(transport: Transport) -> None:
    pair = world(transport, b=50, foreign=True)
    pair.cut("a->b")
    pair.run(60)
    assert roles(pair) == (Role.MASTER, Role.MASTER)
    pair.heal()
    pair.run_to(Nanos(pair.now + pair.monitor.bounds.met))
    assert roles(pair) == A_IS_MASTER


@FOREIGN
@BOTH
def test_one_way_cut_the_other_way_or_for_the_weaker_master_changes_one_role_at_most(
    transport: Transport, *, foreign: bool
) -> None:
    pair = world(transport, b=50, foreign=foreign)
    pair.cut("b->a")
    pair.run(60)
    assert roles(pair) == A_IS_MASTER
    pair = world(transport, a=50, foreign=foreign)
    pair.cut("a->b")
    pair.run(60)
    assert roles(pair) == B_IS_MASTER


@BOTH
def test_pair_whose_advertisements_are_all_lost_has_one_master_by_its_native_packets(transport: Transport) -> None:
    """A switch that filters multicast, and a heartbeat link."""
    pair = world(transport, paths=2)
    pair.cut(path=0)
    pair.run(60)
    assert roles(pair) == A_IS_MASTER
    assert pair.monitor.longest_two_masters == 0
    pair.crash("a")
    until(pair, "b", Role.MASTER)


# ---- sleep


@FOREIGN
@BOTH
@pytest.mark.parametrize("preferred", ["a", "b"])
@pytest.mark.parametrize("lossy", [False, True])
def test_master_that_overslept_leaves_one_master_an_interval_and_a_flight_after_it_woke(
    transport: Transport, preferred: str, *, lossy: bool, foreign: bool
) -> None:
    pair = world(transport, foreign=foreign, a=100 if preferred == "a" else 50, b=50 if preferred == "a" else 100)
    pair.pause("a", 20, lossy=lossy)
    pair.run(20)
    assert pair.b.role is Role.MASTER
    pair.run_to(Nanos(pair.now + pair.monitor.bounds.met))
    assert roles(pair) == (A_IS_MASTER if preferred == "a" else B_IS_MASTER)


@FOREIGN
@BOTH
def test_backup_that_overslept_takes_nothing_over_from_a_living_master(transport: Transport, *, foreign: bool) -> None:
    pair = world(transport, foreign=foreign)
    for lossy in (False, True):
        pair.pause("b", 20, lossy=lossy)
        pair.run(30)
        assert roles(pair) == A_IS_MASTER
    assert pair.monitor.longest_two_masters == 0


@BOTH
def test_witness_keeps_who_is_cut_off_from_being_master_beside_another_program(transport: Transport) -> None:
    pair = world(transport, foreign=True)
    pair.blind("a")
    pair.run(5)
    assert roles(pair) == B_IS_MASTER
    pair.cut()
    pair.run(30)
    assert roles(pair) == B_IS_MASTER
    pair.see("a")
    pair.run(10)
    assert roles(pair) == (Role.MASTER, Role.MASTER)


# ---- recordings


def recorded(pair: World, sender: str) -> list[Spoken]:
    """Let a node be master for a while, and keep what it says in its standard."""
    kept: list[Spoken] = []
    transmit = pair.nodes[sender].transmit

    def tapped(name: str, content: bytes) -> None:
        if isinstance(content, Spoken):
            kept.append(content)
        transmit(name, content)

    pair.nodes[sender].transmit = tapped
    pair.run(20)
    return kept


def play_again(pair: World, name: str, recording: list[Spoken]) -> None:
    for number, content in enumerate(recording):
        pair.at(Nanos(pair.now + number * SECOND // 10), pair.deliver, name, Packet(content, forged=True), 0)


@BOTH
def test_recorded_advertisements_do_nothing_to_a_node_that_hears_its_peer(transport: Transport) -> None:
    """Not even with every counter forgotten."""
    pair = world(transport, a=50)
    pair.failover("a", force=True)
    recording = recorded(pair, "b")
    assert len(recording) >= 19
    pair.failover("b", force=True)
    pair.restart("b")
    pair.run(20)
    assert roles(pair) == A_IS_MASTER
    assert pair.a.speaker is not None
    pair.a.speaker._seen.clear()
    play_again(pair, "a", recording)
    pair.run(30)
    assert roles(pair) == A_IS_MASTER
    assert pair.a.reasons[-1] is Reason.PEER_RESIGNED


def test_recorded_carp_advertisement_beside_another_program_counts_once_and_once_more_after_a_restart() -> None:
    pair = world(CARP, a=50, foreign=True)
    pair.failover("a", force=True)
    recording = recorded(pair, "b")[:1]
    pair.crash("b")
    pair.run(10)
    assert pair.a.role is Role.MASTER
    for again, role in ((False, Role.MASTER), (True, Role.BACKUP)):
        if again:
            pair.crash("a")
            pair.restart("a")
            pair.run(10)
        play_again(pair, "a", recording)
        pair.run(1)
        assert pair.a.role is role
    until(pair, "a", Role.MASTER)
    play_again(pair, "a", recording)
    pair.run(1)
    assert pair.a.role is Role.MASTER


# ---- a pair changes its transport


@BOTH
@pytest.mark.parametrize("order", ["abab", "abba", "baab", "baba"])
@pytest.mark.parametrize("pause", [30, 1, 0.05, 0])
def test_pair_goes_to_udp_and_back_node_by_node_in_every_order(transport: Transport, order: str, pause: float) -> None:
    """No second master for longer than a flight and an interval, however soon the next restart comes."""
    setup = Setup(transport=transport, changes_to=(UDP, transport))
    pair = World(setup, setup)
    for name, spoken in zip(order, (UDP, UDP, transport, transport), strict=True):
        respeak(pair, name, spoken)
        pair.run(pause)
    pair.monitor.settle()
    assert pair.monitor.longest_two_masters <= FLIGHT + nanos(setup.interval)
    if pause > 1:
        assert pair.monitor.longest_two_masters == 0


@BOTH
def test_pair_of_two_transports_goes_by_the_native_rule(transport: Transport) -> None:
    setup = Setup(transport=transport, changes_to=(UDP, transport))
    pair = World(setup, setup)
    respeak(pair, "b", UDP)
    pair.run(10)
    assert roles(pair) == A_IS_MASTER
    heard = pair.a.ruled_at + FLIGHT
    pair.crash("a")
    assert until(pair, "b", Role.MASTER) <= heard + nanos(0.625)
    pair.restart("a")
    pair.monitor.settle()
    assert roles(pair) == B_IS_MASTER


@BOTH
def test_restart_that_keeps_the_addresses_may_bring_another_transport(transport: Transport) -> None:
    pair = World(Setup(changes_to=(transport,)), Setup(changes_to=(transport,)))
    pair.a.leaving = True
    pair.order("a", lambda node: node.machine.restart(pair.now))
    pair.run(0.5)
    assert not pair.a.running
    pair.a.setup = Setup(transport=transport)
    pair.restart("a")
    pair.run(10)
    assert roles(pair) == A_IS_MASTER
    assert pair.b.reasons == [Reason.PEER_MASTER]
    respeak(pair, "b", transport)
    pair.run(10)
    assert roles(pair) == A_IS_MASTER
