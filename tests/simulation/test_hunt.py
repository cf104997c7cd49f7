"""Seeded histories of random faults. Each ends healed, and must settle; the seed is in the failure."""

from random import Random

import pytest

from skd_cluster.core.model import Role
from skd_cluster.simulation.node import Setup
from skd_cluster.simulation.world import World

MINUTES = 2
SEEDS = range(100)

SETUPS = (
    (Setup(), Setup()),
    (Setup(dead_ratio=6), Setup(dead_ratio=6)),
    (Setup(interval=0.05), Setup()),
    (Setup(priority=120, preempt=True, preempt_delay=0.5), Setup()),
    (Setup(dead_ratio=2), Setup(interval=0.1, dead_ratio=4)),
)


def disturb(world: World, chance: Random) -> None:
    """Do one random thing to the world."""
    name = chance.choice("ab")
    verbs = {
        "lose": lambda: world.lose(chance.choice((0.1, 0.3, 0.7))),
        "delay": lambda: world.delay(0.0005, chance.choice((0.001, 0.01, 0.03))),
        "duplicate": lambda: world.duplicate(0.3),
        "corrupt": lambda: world.corrupt(0.2),
        "cut": world.cut,
        "one_way": lambda: world.cut(one_way=chance.choice(("a->b", "b->a"))),
        "heal": world.heal,
        "repair": world.heal,
        "replay": lambda: world.replay(name),
        "pause": lambda: world.pause(name, chance.uniform(0.05, 5), lossy=chance.random() < 0.5),
        "crash": lambda: world.crash(name),
        "kill": lambda: world.kill(name),
        "restart": lambda: world.restart(name),
        "start": lambda: world.restart("a") or world.restart("b"),
        "stop": lambda: world.stop(name),
        "fault": lambda: world.fault(name),
        "clear": lambda: world.clear(name),
        "standby": lambda: world.standby(name),
        "online": lambda: world.online(name),
        "failover": lambda: world.failover(name, force=chance.random() < 0.3),
        "edit": lambda: world.a.role is Role.MASTER and world.edit("a"),
        "replicate": world.replicate,
    }
    verbs[chance.choice(tuple(verbs))]()


def mend(world: World) -> None:
    """Let both nodes run and take part, on a clean wire."""
    world.heal()
    world.replicate()
    for name in "ab":
        world.restart(name)
        world.run(0.0001)
        world.wake(name)
        world.clear(name)
        world.online(name)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_history_settles(seed: int) -> None:
    print("seed", seed)
    chance = Random(seed)
    world = World(*SETUPS[seed % len(SETUPS)], seed=seed)
    for _ in range(MINUTES):
        end = world.now + 50_000_000_000
        while world.now < end:
            disturb(world, chance)
            world.run(chance.expovariate(1 / chance.choice((0.05, 0.5, 3))))
        mend(world)
        world.monitor.settle()
