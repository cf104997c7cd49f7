"""Hours of bad network. What is promised there is a probability, so the seeds are fixed."""

import pytest

from skd_cluster.core.model import Role, nanos
from skd_cluster.simulation.node import Setup
from skd_cluster.simulation.world import World


def test_five_percent_loss_for_half_an_hour_changes_no_role() -> None:
    """A false takeover needs six lost packets in a row: 0.05 ** 6 for each of 9000 advertisements."""
    world = World(Setup(dead_ratio=6), Setup(dead_ratio=6), seed=1)
    world.lose(0.05)
    world.delay(0.0005, 0.02)
    world.run(1800)
    assert (world.a.reasons, world.b.reasons) == (["address_present"], ["start"])


def test_twenty_percent_loss_for_half_an_hour_seldom_changes_roles_and_each_time_mends() -> None:
    """0.2 ** 6 for each advertisement: about one false takeover an hour, over with the next packets."""
    world = World(Setup(dead_ratio=6), Setup(dead_ratio=6), seed=1)
    world.lose(0.2)
    world.run(1800)
    assert len(world.b.reasons) <= 1 + 2 * 3
    assert world.monitor.longest_two_masters <= nanos(1)
    world.heal()
    world.monitor.settle()


def test_a_quiet_hour_is_quiet() -> None:
    world = World(Setup(interval=1), Setup(interval=1))
    world.run(3600)
    assert (world.a.reasons, world.b.reasons) == (["address_present"], ["start"])
    assert not world.a.drops - world.b.drops
    assert world.monitor.longest_two_holders == 0


@pytest.mark.parametrize("seed", range(5))
def test_restart_on_a_lossy_wire_proves_itself(seed: int) -> None:
    """A challenge for each packet: a back-off would let the starting node give up before it is answered."""
    world = World(Setup(dead_ratio=6), Setup(dead_ratio=6), seed=seed)
    world.lose(0.2)
    for _ in range(20):
        world.crash("b")
        world.run(2)
        world.restart("b")
        world.run(5)
    assert world.a.role is Role.MASTER
    assert world.b.reigned == set()
