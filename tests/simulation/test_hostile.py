"""Somebody on the wire who does not know the key, but has recorded everything for years."""

from dataclasses import replace
from random import Random

import pytest

from skd_cluster.core import wire
from skd_cluster.core.model import DropReason, Nanos, Role, nanos
from skd_cluster.simulation.network import FLIGHT
from skd_cluster.simulation.node import CLUSTER, key_of
from skd_cluster.simulation.world import World
from tests.simulation.test_takeover import until

FLOOD = 2000
"""Packets a second."""


def recording_of(world: World, sessions: int) -> list[bytes]:
    """Let `a` be restarted again and again; return what `b` has heard of each run."""
    for number in range(sessions):
        if number % 10 == 0:
            world.failover("a")
        world.run(0.25)
        world.crash("a")
        world.restart("a")
        world.run(0.25)
    return list(world.tape["b"])


def flood(world: World, name: str, datagrams: list[bytes], span: float) -> None:
    """Begin to play a recording for a while, over and over."""
    whole = datagrams * (1 + int(span * FLOOD) // len(datagrams))
    world.replay(name, whole[: int(span * FLOOD)], rate=FLOOD)


@pytest.mark.parametrize("sessions", [1, 300])
@pytest.mark.parametrize("victim", ["backup", "master"])
def test_restarted_under_yesterday_s_traffic_proves_its_peer_and_takes_over_in_time(sessions: int, victim: str) -> None:
    world = World(seed=sessions)
    recording = recording_of(world, sessions) if sessions > 1 else list(world.run(60).tape["b"])
    world.run(2)
    master = "a" if world.a.role is Role.MASTER else "b"
    if (master == "b") is (victim == "backup"):
        assert world.failover(master) == ""
        world.run(1)
    world.crash("b")
    world.run(3)
    flood(world, "b", recording, 6)
    world.run(1)
    world.restart("b")
    back = world.now
    world.run(0.6)
    assert world.b.machine.peer.last is not None
    assert world.b.machine.peer.heard_at - back <= nanos(0.6)
    assert (world.a.role, world.b.role) == (Role.MASTER, Role.BACKUP)
    world.run(1.05)
    world.crash("a")
    heard = world.b.machine.peer.heard_at
    assert until(world, "b", Role.MASTER) - heard == nanos(0.625)
    assert sum(world.b.drops.values()) > 4000


def test_master_under_flood_hears_its_backup_and_hands_over() -> None:
    world = World()
    recording = list(world.run(60).tape["a"])
    world.crash("b")
    world.run(2)
    flood(world, "a", recording, 5)
    world.restart("b")
    world.run(0.5)
    assert world.failover("a") == ""
    world.run(0.01)
    assert world.b.role is Role.MASTER


def test_recorded_resignation_is_worth_nothing() -> None:
    world = World()
    world.failover("a")
    world.run(1)
    world.failover("b")
    world.run(1)
    keys = (key_of("secret"),)
    said = [wire.decode(datagram, CLUSTER, keys) for datagram in world.tape["b"]]
    resigned = [raw for raw, advert in zip(world.tape["b"], said, strict=True) if advert.resigns]
    assert resigned
    for _ in range(3):
        flood(world, "b", resigned, 1)
        world.run(1)
        world.crash("b")
        world.restart("b")
    world.monitor.settle()
    assert world.a.role is Role.MASTER


@pytest.mark.parametrize("name", ["a", "b"])
def test_reflected_packets_change_nothing(name: str) -> None:
    world = World()
    own = list(world.tape["b" if name == "a" else "a"])
    flood(world, name, own, 1)
    world.run(1)
    assert world.nodes[name].drops[DropReason.REFLECTED] == FLOOD
    world.crash(name)
    world.restart(name)
    flood(world, name, own, 1)
    world.run(1)
    assert world.nodes[name].drops[DropReason.REFLECTED] == 2 * FLOOD
    world.monitor.settle()


def test_garbage_changes_nothing() -> None:
    chance = Random(0)
    world = World(seed=1)
    real = world.tape["b"][-1]
    garbage = [chance.randbytes(chance.randrange(300)) for _ in range(1000)]
    garbage += [real[: chance.randrange(len(real))] + chance.randbytes(3) for _ in range(1000)]
    for name in "ab":
        flood(world, name, garbage, 1)
    world.run(1)
    assert sum(world.a.drops.values()) >= FLOOD
    assert (world.a.reasons, world.b.reasons) == (["address_present"], ["start"])


def test_another_pair_in_the_same_network_changes_nothing() -> None:
    world = World()
    keys = (key_of("secret"),)
    theirs = [replace(wire.decode(raw, CLUSTER, keys), cluster_id=8, counter=10**6) for raw in world.tape["b"]]
    flood(world, "b", [wire.encode(advert, keys[0]) for advert in theirs], 1)
    world.run(1)
    assert world.b.drops[DropReason.FOREIGN_CLUSTER] == FLOOD
    world.monitor.settle()


def test_third_node_with_the_key_changes_nothing() -> None:
    """Somebody copied a node's configuration and changed the address."""
    world = World()
    keys = (key_of("secret"),)
    third = [
        replace(wire.decode(raw, CLUSTER, keys), sender=world.a.local + 9, counter=10**6) for raw in world.tape["b"]
    ]
    flood(world, "b", [wire.encode(advert, keys[0]) for advert in third], 1)
    world.run(1)
    assert world.b.drops[DropReason.FOREIGN_SENDER] == FLOOD
    world.monitor.settle()


def test_wrong_key_changes_no_role_of_acquainted_nodes() -> None:
    world = World()
    advert = wire.decode(world.tape["b"][-1], CLUSTER, (key_of("secret"),))
    forged = [wire.encode(replace(advert, counter=10**6, priority=0), key_of("other"))]
    for name in "ab":
        flood(world, name, forged, 2)
    world.run(2)
    assert world.b.drops[DropReason.BAD_KEY] == 2 * FLOOD
    assert (world.a.reasons, world.b.reasons) == (["address_present"], ["start"])


def test_node_without_a_peer_takes_over_under_flood() -> None:
    """The recordings are of its dead peer, so they must not keep it waiting."""
    world = World()
    recording = list(world.run(60).tape["b"])
    world.crash("a")
    world.crash("b")
    world.run(1)
    flood(world, "b", recording, 2)
    world.restart("b")
    started = world.now
    assert until(world, "b", Role.MASTER) == started + nanos(0.625)


def test_corrupted_packets_change_nothing_but_are_lost() -> None:
    world = World(seed=4)
    world.corrupt(0.2)
    world.run(60)
    world.heal()
    world.monitor.settle()
    assert sum(world.b.drops.values()) > 30


def test_duplicates_are_replays() -> None:
    world = World(seed=4)
    world.duplicate(1)
    world.run(10)
    assert world.b.drops[DropReason.REPLAYED] >= 45
    assert world.a.reasons == ["address_present"]


def test_late_packets_of_a_former_run_change_nothing() -> None:
    world = World(seed=2)
    world.delay(0.001, 0.15)
    for _ in range(30):
        world.crash("a")
        world.restart("a")
        world.run(1.7)
    world.delay(0.001, 0.001)
    world.monitor.settle()


def test_peer_is_proven_in_three_flights() -> None:
    world = World()
    world.crash("b")
    world.run(2)
    world.restart("b")
    world.run_to(Nanos(world.now + 2 * FLIGHT))
    assert world.b.machine.peer.last.role is Role.MASTER
    world.run_to(world.b.machine.deadline)
    world.run_to(Nanos(world.now + FLIGHT))
    assert world.a.link.peer_session == world.b.link.session
