"""Two masters meet, or cannot hear each other: one stays, soon, and says so to the network."""

import pytest

from skd_cluster.core.model import DataVersion, Reason, Role, nanos
from skd_cluster.simulation.network import FLIGHT
from skd_cluster.simulation.node import Setup
from skd_cluster.simulation.world import World


def partition(world: World, span: float = 3) -> None:
    world.cut()
    world.run(span)
    assert (world.a.role, world.b.role) == (Role.MASTER, Role.MASTER)


def test_partition_heals_to_the_lower_address_which_announces_again() -> None:
    world = World()
    partition(world)
    claims = world.a.claims
    world.heal()
    world.monitor.settle()
    assert (world.a.role, world.b.role) == (Role.MASTER, Role.BACKUP)
    assert world.a.claims == claims + 1
    assert world.b.reasons[-1] is Reason.RIVAL_WON


def test_partition_heals_to_the_higher_priority() -> None:
    world = World(b=Setup(priority=101))
    partition(world)
    claims = world.b.claims
    world.heal()
    world.monitor.settle()
    assert (world.a.role, world.b.role) == (Role.BACKUP, Role.MASTER)
    assert world.b.claims == claims + 1


@pytest.mark.parametrize("editor", ["a", "b"])
@pytest.mark.parametrize("preferred", ["a", "b"])
def test_partition_heals_to_the_only_one_that_changed_its_configuration(editor: str, preferred: str) -> None:
    """Nothing that was typed meanwhile gives way to something older, whoever is preferred."""
    world = World(**{preferred: Setup(priority=120)})
    partition(world)
    world.edit(editor)
    world.heal()
    world.monitor.settle()
    assert world.nodes[editor].role is Role.MASTER
    assert world.nodes[editor].data > DataVersion()


def test_partition_in_which_both_were_changed_heals_to_the_preferred_one() -> None:
    world = World()
    partition(world)
    world.edit("a")
    world.edit("b")
    world.edit("b")
    world.heal()
    world.monitor.settle()
    assert (world.a.role, world.b.role) == (Role.MASTER, Role.BACKUP)


@pytest.mark.parametrize("at", [0, 0.05, 0.1, 0.15, 0.19, 0.2, 0.201])
def test_change_at_the_very_moment_of_meeting_leaves_one_master(at: float) -> None:
    world = World()
    partition(world)
    world.delay(0.001, 0.02)
    world.heal()
    world.run(at)
    world.edit("b")
    world.monitor.settle()


def test_survivor_s_epoch_is_above_every_other_mastership() -> None:
    world = World()
    partition(world)
    world.heal()
    world.monitor.settle()
    assert world.a.machine.epoch > max(world.b.reigned)


def test_rivals_meet_within_an_interval_and_a_flight() -> None:
    world = World()
    partition(world)
    world.heal()
    world.run(0.2 + 0.001)
    assert world.b.role is Role.BACKUP
    world.run(0.001)
    assert world.monitor.bounds.two_masters == 4 * FLIGHT


@pytest.mark.parametrize("master", ["a", "b"])
@pytest.mark.parametrize("cut", ["a->b", "b->a"])
def test_one_way_cut_ends_in_one_master(master: str, cut: str) -> None:
    """A master that is not heard cannot make its rival yield, so it yields itself."""
    world = World()
    if master == "b":
        world.failover("a")
        world.run(1)
    world.cut(one_way=cut)
    world.run(2.5)
    roles = (world.a.role, world.b.role)
    assert sorted(roles) == [Role.BACKUP, Role.MASTER]
    world.run(60)
    assert roles == (world.a.role, world.b.role)
    world.heal()
    world.monitor.settle()
    assert roles == (world.a.role, world.b.role)


def test_one_way_cut_of_a_preferred_master_takes_two_patiences() -> None:
    world = World()
    world.cut(one_way="a->b")
    start = world.now
    while world.a.role is Role.MASTER:
        world.run_to(world.next_at)
    assert world.a.reasons[-1] is Reason.NOT_HEARD
    assert world.now - start <= 2 * nanos(0.625) + 2 * nanos(0.2)


def test_partition_an_hour_after_a_rivalry_is_no_longer_that_rivalry() -> None:
    """Both would yield: one because it is not preferred, the other because it was not heard for an hour."""
    world = World(seed=3)
    world.cut()
    world.run(2)
    # One packet of b reaches a: the rivalry begins, and is cut off again.
    world.heal()
    world.cut(one_way="a->b")
    world.run(0.2)
    world.cut()
    world.run(60)
    world.heal()
    world.run(1)
    assert world.a.reasons == [Reason.ADDRESS_PRESENT]
    assert world.b.role is Role.BACKUP


def test_rivalry_on_a_lossy_wire_ends() -> None:
    for seed in range(10):
        world = World(seed=seed)
        partition(world)
        world.heal()
        world.lose(0.4)
        world.run(20)
        world.heal()
        world.monitor.settle()


def test_many_partitions_end_in_one_epoch() -> None:
    world = World(seed=1)
    for number in range(20):
        world.cut()
        world.run(0.5 + number * 0.1)
        world.heal()
        world.run(1.5 + number * 0.05)
    world.monitor.settle()
