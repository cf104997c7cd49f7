"""Settings are changed on a running pair: nobody's role changes, whatever packet is lost."""

import pytest

from skd_cluster.core.model import Role
from skd_cluster.simulation.world import World


def settled(world: World) -> None:
    world.monitor.require_roles(Role.MASTER, Role.BACKUP)
    assert world.b.claims == 0
    assert world.monitor.needless == 0


@pytest.mark.parametrize("lost", [0, 1, 2])
@pytest.mark.parametrize(("before", "after"), [(0.2, 2.0), (2.0, 0.2), (0.2, 0.5)])
def test_longer_and_shorter_intervals_make_no_failover_though_packets_are_lost(
    before: float, after: float, lost: int
) -> None:
    world = World()
    for node in (world.a, world.b):
        node.retune(world.now, interval=before)
        world.run(10)
    if lost:
        world.cut("a->b")
    world.a.retune(world.now, interval=after)
    world.run(0.0001 + min(before, after) * (lost - 1) if lost else 0.0001)
    world.heal()
    world.run(30)
    settled(world)
    world.b.retune(world.now, interval=after)
    world.run(30)
    settled(world)
    assert world.b.machine.peer.interval == world.a.machine.me.interval == world.a.identity.interval


def test_higher_priority_of_the_backup_is_no_reason_without_preemption() -> None:
    world = World()
    world.b.retune(world.now, priority=200)
    world.run(10)
    settled(world)
    world.b.retune(world.now, preempt=True)
    world.run(1)
    world.monitor.require_roles(Role.BACKUP, Role.MASTER)


def test_smaller_dead_ratio_on_either_node_makes_no_failover() -> None:
    world = World()
    for node in (world.b, world.a):
        node.retune(world.now, dead_ratio=1)
        world.run(5)
    settled(world)
