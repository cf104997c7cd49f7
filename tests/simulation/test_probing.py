"""Asking a master that is late, and asking a witness before believing that everybody else is gone."""

import pytest

from skd_cluster.core.model import Nanos, Reason, Role, nanos
from skd_cluster.simulation.node import Setup
from skd_cluster.simulation.world import World
from tests.simulation.test_takeover import until

PROBING = Setup(probing=True)


def test_a_dead_master_is_found_in_less_than_two_intervals() -> None:
    world = World(PROBING, PROBING)
    world.run(0.05)  # nothing is under way
    world.crash("a")
    heard = world.b.machine.peer.heard_at

    assert until(world, "b", Role.MASTER) == heard + nanos(0.2 * (1 + 1 / 4 + 1 / 2))
    world.monitor.settle()


def test_one_lost_packet_fools_nobody() -> None:
    world = World(PROBING, PROBING)
    for _ in range(20):
        world.wire.lost = 1.0
        world.run_to(Nanos(world.a.machine.deadline + nanos(0.001)))
        world.wire.lost = 0.0
        world.run(1)

    assert (world.a.role, world.b.role) == (Role.MASTER, Role.BACKUP)
    assert world.b.reasons == [Reason.PEER_MASTER] or len(world.b.reasons) == 1


@pytest.mark.parametrize("seed", range(4))
def test_half_an_hour_of_five_percent_loss_changes_nothing(seed: int) -> None:
    world = World(PROBING, PROBING, seed=seed)
    world.wire.lost = 0.05
    world.run(1800)

    assert (world.a.role, world.b.role) == (Role.MASTER, Role.BACKUP)
    assert len(world.a.reasons) == len(world.b.reasons) == 1


def test_a_backup_that_sees_no_witness_does_not_take_over_until_one_answers() -> None:
    world = World()
    world.blind("b")
    world.crash("a")
    world.run(10)
    assert world.b.role is Role.BACKUP
    assert world.b.reigned == set()  # not even for a moment

    world.see("b")
    world.run(0.25)
    assert world.b.role is Role.MASTER


def test_a_resignation_needs_no_witness() -> None:
    world = World()
    world.blind("b")
    world.stop("a")
    world.run(0.1)

    assert world.b.role is Role.MASTER


def test_a_master_that_sees_neither_peer_nor_witness_steps_down() -> None:
    world = World()
    world.crash("b")
    world.run(5)
    assert world.a.role is Role.MASTER
    world.blind("a")
    world.run(0.25)

    assert world.a.role is Role.BACKUP
    assert world.a.reasons[-1] is Reason.NO_WITNESS
    world.see("a")
    world.run(1)
    assert world.a.role is Role.MASTER


def test_a_master_that_still_hears_its_peer_needs_no_witness() -> None:
    world = World()
    world.blind("a")
    world.blind("b")
    world.run(60)

    assert (world.a.role, world.b.role) == (Role.MASTER, Role.BACKUP)


def test_of_a_partition_only_the_side_with_the_witness_has_a_master() -> None:
    world = World()
    world.blind("a")
    world.cut()
    world.run(3)

    assert (world.a.role, world.b.role) == (Role.BACKUP, Role.MASTER)
