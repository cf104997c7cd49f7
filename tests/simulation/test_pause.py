"""A node that did not run: a frozen virtual machine, a stopped process."""

import pytest

from skd_cluster.core.model import MILLISECOND, Nanos, Reason, Role, nanos
from skd_cluster.simulation.network import FLIGHT
from skd_cluster.simulation.node import Setup
from skd_cluster.simulation.world import World
from tests.simulation.test_takeover import until


@pytest.mark.parametrize("lossy", [False, True])
@pytest.mark.parametrize("span", [0.7, 1.5, 3, 60])
def test_paused_master_follows_who_took_over(span: float, *, lossy: bool) -> None:
    world = World()
    world.pause("a", span, lossy=lossy)
    world.run(span)
    assert not world.a.address.here(world.now)
    assert world.a.reasons[-1] is Reason.PAUSED
    world.monitor.settle()
    assert (world.a.role, world.b.role) == (Role.BACKUP, Role.MASTER)
    assert world.monitor.longest_two_masters == 0


def test_successor_of_a_paused_master_announces_again() -> None:
    """The sleeper held the address for a while, and may have answered for it."""
    world = World()
    world.pause("a", 1)
    world.run(0.9)
    claims = world.b.claims
    world.run(1)
    assert world.b.claims == claims + 1


def test_paused_master_that_nobody_replaced_comes_back_in_a_round_trip() -> None:
    world = World(b=Setup(dead_ratio=3))
    world.fault("b")
    world.run(1)
    world.pause("a", 2)
    world.run(2)
    woke = world.now
    assert world.a.reasons[-1] is Reason.PAUSED
    assert until(world, "a", Role.MASTER) == woke + 2 * FLIGHT
    assert world.a.reasons[-1] is Reason.RECOVERED


def test_paused_master_whose_backup_died_meanwhile_comes_back() -> None:
    world = World()
    world.pause("a", 3)
    world.run(0.1)
    world.crash("b")
    world.run(2.9)
    woke = world.now
    assert until(world, "a", Role.MASTER) - woke <= nanos(0.6125)
    assert world.a.reasons[-1] is Reason.RECOVERED


def test_both_paused_together_end_in_one_master() -> None:
    for offset in range(0, 200, 20):
        world = World()
        world.run(offset / 1000)
        world.pause("a", 3)
        world.pause("b", 3)
        world.run(3)
        world.monitor.settle()


def test_master_paused_right_after_hearing_its_backup_counts_from_its_own_last_advertisement() -> None:
    """The peer's patience began then, so the pause is the longer one."""
    world = World(pair=False)
    world.start("a", present=True)
    world.run(0.1)
    world.start("b")
    world.run(3)
    sent = Nanos(world.a.machine.deadline - nanos(0.2))
    world.run_to(Nanos(sent + nanos(0.19)))
    world.pause("a", 0.45, lossy=True)
    world.run(0.45)
    assert world.now - sent == nanos(0.64)
    assert world.a.reasons[-1] is Reason.PAUSED
    assert world.b.role is Role.MASTER


def test_short_pause_of_the_master_changes_nothing() -> None:
    world = World()
    for _ in range(20):
        world.pause("a", 0.35)
        world.run(1)
    assert (world.a.reasons, world.b.reasons) == (["address_present"], ["start"])


def test_lone_master_stays_master_whatever_it_sleeps() -> None:
    world = World()
    world.crash("b")
    world.run(2)
    world.pause("a", 30)
    world.run(31)
    assert world.a.role is Role.MASTER
    assert world.a.reasons == [Reason.ADDRESS_PRESENT]


def test_lone_master_that_slept_through_a_takeover_yields_or_stays_in_three_flights() -> None:
    for first, second in (("a", "b"), ("b", "a")):
        world = World(pair=False)
        world.start(first)
        world.run(2)
        world.pause(first, 5)
        world.run(1)
        world.start(second)
        world.run(4)
        assert world.nodes[second].role is Role.MASTER
        world.run_to(Nanos(world.now + 4 * FLIGHT))
        assert (world.a.role, world.b.role) == (Role.MASTER, Role.BACKUP)


@pytest.mark.parametrize("lossy", [False, True])
@pytest.mark.parametrize("span", [0.3, 0.45, 0.55, 0.65, 1, 10, 60])
@pytest.mark.parametrize("phase", [0.0, 0.05, 0.1, 0.15, 0.199])
def test_paused_backup_does_not_take_over(span: float, phase: float, *, lossy: bool) -> None:
    world = World()
    world.run(phase)
    world.pause("b", span, lossy=lossy)
    world.run(span + 3)
    assert world.b.reasons == ["start"]


@pytest.mark.parametrize("phase", range(0, 200, 10))
def test_paused_backup_gives_a_jittery_master_time(phase: int) -> None:
    world = World(seed=phase)
    world.delay(0.001, 0.04)
    world.run(phase / 1000)
    world.pause("b", 5, lossy=True)
    world.run(8)
    assert world.b.reasons == ["start"]


def test_backup_of_a_fast_master_does_not_take_its_own_pause_for_silence() -> None:
    for phase in range(0, 50, 5):
        world = World(Setup(interval=0.05), Setup(interval=0.2))
        world.run(phase / 1000)
        world.pause("b", 0.3, lossy=True)
        world.run(2)
        assert world.b.reasons == ["start"], phase


def test_paused_backup_takes_over_when_the_master_is_gone() -> None:
    world = World()
    world.pause("b", 5)
    world.run(1)
    world.crash("a")
    world.run(4)
    woke = world.now
    assert until(world, "b", Role.MASTER) - woke <= nanos(0.625)


def test_backup_that_stutters_takes_over_all_the_same() -> None:
    """Each pause excuses the master once, not for ever."""
    world = World()
    world.crash("a")
    gone = world.now
    while world.b.role is not Role.MASTER:
        world.pause("b", 0.45)
        world.run(0.5)
        assert world.now - gone < nanos(3)


@pytest.mark.parametrize("phase", [0.0, 0.05, 0.1, 0.15])
def test_starting_node_paused_before_it_was_answered_asks_again(phase: float) -> None:
    world = World()
    world.crash("b")
    world.run(1 + phase)
    world.restart("b")
    world.pause("b", 5, lossy=True)
    world.run(8)
    assert world.a.reasons == ["address_present"]
    assert world.b.role is Role.BACKUP


def test_old_resignation_in_the_queue_of_a_paused_backup_is_not_followed() -> None:
    """It was answered by nobody, and the master went on; the queue holds only the older half of the story."""
    world = World()
    world.b.queue_limit = 4
    world.pause("b", 60)
    world.b.queue_limit = 4
    world.failover("a")
    world.run(62)
    assert world.b.reasons == ["start"]
    assert world.a.role is Role.MASTER


def test_pause_is_told_in_milliseconds() -> None:
    world = World()
    world.a.machine.awake(world.now)
    assert world.a.machine.awake(Nanos(world.now + 700 * MILLISECOND))[1].detail == "did not run for 700 ms"


def test_every_pause_of_a_backup_is_excused_while_the_master_is_heard_in_between() -> None:
    world = World()
    for _ in range(5):
        world.pause("b", 5, lossy=True)
        world.run(7)
    assert world.b.reasons == ["start"]


def test_old_hello_in_the_queue_of_a_frozen_start_decides_nothing() -> None:
    """It was made before the sleep, when nobody was master; somebody is since."""
    world = World(pair=False)
    world.start("a", present=True)
    world.start("b")
    world.pause("a", 20)
    world.run(19)
    assert world.b.role is Role.MASTER
    world.run(2)
    assert (world.a.role, world.b.role) == (Role.BACKUP, Role.MASTER)
    assert world.a.reigned == set()
    assert world.b.reasons == [Reason.START]
