"""The faults of a host and of its cables: refused addresses, flapping links, two paths, other clocks, other settings."""

import time

import pytest

from skd_cluster.core.model import DropReason, Nanos, Reason, Role, nanos
from skd_cluster.simulation.histories import play
from skd_cluster.simulation.invariants import InvariantError
from skd_cluster.simulation.network import FLIGHT
from skd_cluster.simulation.node import Setup
from skd_cluster.simulation.world import World


@pytest.mark.parametrize("clock", ["time", "time_ns", "monotonic", "monotonic_ns", "perf_counter"])
def test_steps_of_the_wall_clock_cannot_matter_for_nobody_looks_at_it(
    monkeypatch: pytest.MonkeyPatch, clock: str
) -> None:
    expected = play(3, length=60).history

    def looked() -> float:
        raise AssertionError(f"somebody read time.{clock}")

    with monkeypatch.context() as patch:
        patch.setattr(time, clock, looked)
        history = play(3, length=60).history
    assert history == expected


def test_refused_address_is_a_fault_and_the_peer_takes_over_at_once() -> None:
    world = World()
    world.refuse("b")
    assert world.failover("a") == ""
    world.run(0.1)
    assert world.b.reasons[-2:] == [Reason.PEER_RESIGNED, Reason.FAULT]
    assert (world.a.role, world.b.role) == (Role.MASTER, Role.FAULT)
    world.accept("b")
    world.monitor.settle()
    assert world.b.reasons[-1] is Reason.RECOVERED


def test_address_refused_at_its_renewal_moves_to_the_peer() -> None:
    world = World()
    world.refuse("a")
    world.run(0.6)
    assert (world.a.role, world.b.role) == (Role.FAULT, Role.MASTER)
    assert world.monitor.longest_two_masters == 0


def test_both_refuse_and_nobody_is_master_until_one_accepts() -> None:
    world = World()
    world.refuse("a")
    world.refuse("b")
    world.run(10)
    assert (world.a.role, world.b.role) == (Role.FAULT, Role.FAULT)
    world.accept("b")
    world.run(1)
    assert world.b.role is Role.MASTER


def test_flapping_link_costs_one_failover_and_no_more() -> None:
    """The address does not come back with the link: nobody preempts."""
    world = World()
    world.flap("a", times=20, up=0.3, down=0.1)
    world.run(10)
    assert (world.a.role, world.b.role) == (Role.BACKUP, Role.MASTER)
    assert len(world.b.reasons) == 2
    world.monitor.settle()


def test_flapping_link_of_the_backup_costs_nothing() -> None:
    world = World()
    world.flap("b", times=20, up=0.3, down=0.1)
    world.run(10)
    assert world.a.reasons == [Reason.ADDRESS_PRESENT]
    world.monitor.settle()


@pytest.mark.parametrize("path", [0, 1])
def test_one_cut_cable_of_two_is_no_partition(path: int) -> None:
    world = World(paths=2)
    world.cut(path=path)
    world.run(60)
    assert (world.a.reasons, world.b.reasons) == (["address_present"], ["start"])
    world.crash("a")
    world.run(1)
    assert world.b.role is Role.MASTER


def test_copies_on_the_second_path_are_duplicates_and_not_replays() -> None:
    world = World(paths=2)
    world.run(10)
    assert world.b.drops[DropReason.DUPLICATE] >= 50
    assert world.b.drops[DropReason.REPLAYED] == 0


def test_slower_second_path_does_not_delay_a_takeover() -> None:
    world = World(paths=2)
    world.delay(0.001, 0.001, path=0)
    world.delay(0.1, 0.1, path=1)
    world.run(1.05)
    heard = world.b.machine.peer.heard_at
    world.crash("a")
    world.run(0.7)
    assert world.b.role is Role.MASTER
    assert world.b.machine.since == Nanos(heard + nanos(0.625))


def test_each_path_of_two_loses_half_and_nobody_is_fooled() -> None:
    world = World(Setup(dead_ratio=6), Setup(dead_ratio=6), paths=2, seed=3)
    world.lose(0.2)
    world.run(600)
    assert (world.a.reasons, world.b.reasons) == (["address_present"], ["start"])


def test_resignation_on_the_other_path_is_enough() -> None:
    world = World(paths=2)
    world.cut(path=0)
    assert world.failover("a") == ""
    world.run_to(Nanos(world.now + FLIGHT))
    assert world.b.role is Role.MASTER


@pytest.mark.parametrize("other", [Setup(interval=0.05), Setup(interval=1), Setup(dead_ratio=6), Setup(probing=True)])
@pytest.mark.parametrize("lost", ["a", "b"])
def test_nodes_of_different_configuration_take_over_at_the_master_s_pace(other: Setup, lost: str) -> None:
    """`dead_ratio` is the survivor's own, the interval is the dead master's."""
    world = World(Setup(release=(3, 0, 0)), other)
    if lost == "b":
        assert world.failover("a") == ""
        world.run(3)
    survivor = world.nodes["b" if lost == "a" else "a"]
    world.run(0.013)  # nothing is under way
    world.crash(lost)
    world.run(10)
    assert survivor.role is Role.MASTER
    pace = world.nodes[lost].setup.interval
    waited = survivor.machine.since - survivor.machine.peer.heard_at
    assert waited <= nanos(pace * survivor.setup.dead_ratio + pace / 8)
    if not survivor.setup.probing:
        assert waited >= nanos(pace * survivor.setup.dead_ratio)


def test_a_later_release_is_followed_like_any_other() -> None:
    world = World(Setup(), Setup(release=(4, 2, 1)))
    assert world.a.machine.peer.last.release == (4, 2, 1)
    world.crash("a")
    world.run(1)
    assert world.b.role is Role.MASTER


def test_spoofed_key_holds_back_only_who_has_verified_nothing() -> None:
    world = World()
    world.spoof("a")
    world.spoof("b")
    world.run(1)
    assert (world.a.role, world.b.role) == (Role.MASTER, Role.BACKUP)
    world.crash("a")
    world.crash("b")
    world.run(1)
    world.restart("b")
    world.spoof("b")
    world.run(5)
    assert world.b.role is Role.FAULT
    world.run(6)
    assert world.b.role is Role.MASTER


def test_sealed_objects_and_signed_bytes_tell_the_same_history() -> None:
    """The short cut of most histories changes nothing but the speed."""

    def history(*, signed: bool) -> list[str]:
        world = World(seed=4, signed=signed)
        world.lose(0.3)
        world.run(30)
        world.pause("a", 2)
        world.run(10)
        world.replay("b")
        world.spoof("b")
        world.failover("b")
        world.run(30)
        return world.history

    assert history(signed=True) == history(signed=False)


def test_a_violation_tells_the_history() -> None:
    world = World()
    with pytest.raises(InvariantError, match=r"roles: 2 and 1 at 1\.0+\n0\.000000 a starts\n"):
        world.monitor.require_roles(Role.BACKUP, Role.MASTER)
