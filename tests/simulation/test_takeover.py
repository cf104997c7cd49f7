"""The master goes away: by itself, by power loss, by a fault. Exact instants."""

import pytest

from skd_cluster.core.model import MILLISECOND, Nanos, Reason, Role, nanos
from skd_cluster.simulation.network import BEGIN, FLIGHT
from skd_cluster.simulation.node import Setup
from skd_cluster.simulation.world import World


def instant(world: World, text: str) -> Nanos:
    """When a line of history with `text` was written last."""
    line = next(line for line in reversed(world.history) if text in line)
    return Nanos(BEGIN + round(float(line.split()[0]) * 1_000_000) * 1000)


def until(world: World, name: str, role: Role, within: float = 5) -> Nanos:
    """Run until a node has the role; return the instant."""
    end = world.now + nanos(within)
    while world.nodes[name].role is not role:
        assert world.now < end, world.history
        world.run_to(min(end, world.next_at))
    return world.now


def test_first_pair_has_the_master_whose_address_was_up() -> None:
    world = World()
    assert world.a.reasons == [Reason.ADDRESS_PRESENT]
    assert world.b.role is Role.BACKUP
    assert (world.a.machine.epoch, world.b.machine.epoch) == (1, 1)


@pytest.mark.parametrize(("preferred", "skew"), [("a", 0.0125), ("b", 0.025)])
def test_power_loss_takes_exactly_the_dead_ratio_and_the_skew(preferred: str, skew: float) -> None:
    world = World(pair=False)
    dying = "b" if preferred == "a" else "a"
    world.start(dying, present=True)
    world.run(0.1)
    world.start(preferred)
    world.run(2)
    world.crash(dying)
    heard = world.nodes[preferred].machine.peer.heard_at
    assert until(world, preferred, Role.MASTER) == heard + nanos(0.6 + skew)
    assert world.nodes[preferred].reasons[-1] is Reason.PEER_SILENT
    world.monitor.settle()


@pytest.mark.parametrize(("mine", "theirs", "ratio"), [(0.2, 0.05, 3), (0.05, 0.2, 3), (0.2, 0.2, 6), (1, 0.01, 5)])
def test_patience_is_counted_in_the_masters_own_intervals(mine: float, theirs: float, ratio: int) -> None:
    world = World(Setup(interval=theirs), Setup(interval=mine, dead_ratio=ratio), pair=False)
    world.start("a", present=True)
    world.start("b")
    world.run(3.0047)
    world.crash("a")
    heard = world.b.machine.peer.heard_at
    assert until(world, "b", Role.MASTER) == heard + nanos(theirs * ratio + theirs / 8)


def test_takeover_says_for_how_long_the_master_was_silent() -> None:
    world = World()
    world.crash("a")
    before = world.b.machine.peer.heard_at
    actions = world.b.machine.on_timer(Nanos(before + nanos(0.625)))
    assert [action.silent for action in actions if hasattr(action, "silent")] == [nanos(0.625)]


def test_planned_failover_takes_one_flight() -> None:
    world = World()
    asked = world.now
    assert world.failover("a") == ""
    assert (world.a.role, world.a.address.here(world.now)) == (Role.BACKUP, False)
    assert until(world, "b", Role.MASTER) == asked + FLIGHT
    world.monitor.settle()
    assert world.b.reasons[-1] is Reason.PEER_RESIGNED
    assert world.b.role is Role.MASTER


def test_failover_and_back_a_hundred_times_loses_no_epoch() -> None:
    world = World()
    for number in range(100):
        assert world.failover("ab"[number % 2]) == ""
        world.run(0.3)
    assert world.a.machine.epoch == 101
    world.monitor.settle()


def test_resignation_that_is_lost_is_repeated_by_the_next_hello() -> None:
    world = World()
    world.run_to(Nanos(world.a.machine.deadline + 50 * MILLISECOND))
    hello = world.a.machine.deadline
    world.cut(one_way="a->b")
    assert world.failover("a") == ""
    world.heal()
    assert until(world, "b", Role.MASTER) == hello + FLIGHT
    world.monitor.settle()


def test_resignation_is_withdrawn_when_nobody_takes_over() -> None:
    world = World()
    asked = world.now
    world.cut(one_way="a->b")
    world.failover("a")
    world.crash("b")
    assert until(world, "a", Role.MASTER) == asked + nanos(0.6125)


@pytest.mark.parametrize("force", [False, True])
def test_failover_to_nobody_is_refused_unless_forced(*, force: bool) -> None:
    world = World()
    world.crash("b")
    world.run(1)
    assert (world.failover("a", force=force) == "") is force
    world.run(1)
    assert world.a.role is Role.MASTER


def test_failover_is_refused_with_the_reason() -> None:
    world = World()
    assert "only the master" in world.failover("b")
    world.fault("b")
    world.run(1)
    assert world.failover("a") == "the peer is fault"
    world.clear("b")
    world.run(1)
    world.cut(one_way="a->b")
    world.run(0.75)
    assert "master" in world.b.role.word


@pytest.mark.parametrize(("mine", "theirs"), [(0.05, 0.2), (0.2, 0.05), (0.2, 0.2), (0.01, 0.5)])
def test_failover_works_at_any_instant_and_pace(mine: float, theirs: float) -> None:
    """A fast master hears a slow backup seldom: that is no sign that it is not heard."""
    world = World(Setup(interval=mine), Setup(interval=theirs))
    for _ in range(40):
        world.run(0.0173)
        assert world.a.machine.peer.unfit(world.now) == ""


def test_fault_on_the_master_hands_over_in_one_flight() -> None:
    world = World()
    broken = world.now
    world.fault("a")
    assert until(world, "b", Role.MASTER) == broken + FLIGHT
    world.clear("a")
    world.run(5)
    assert (world.a.role, world.b.role) == (Role.BACKUP, Role.MASTER)


def test_fault_on_both_is_healed_by_whoever_recovers_first() -> None:
    world = World()
    world.fault("b")
    world.fault("a")
    world.run(3)
    assert (world.a.role, world.b.role) == (Role.FAULT, Role.FAULT)
    world.clear("b")
    world.run(0.7)
    assert world.b.role is Role.MASTER


def test_clean_stop_hands_over_in_one_flight() -> None:
    world = World()
    asked = world.now
    world.stop("a")
    assert not world.a.address.here(world.now)
    assert until(world, "b", Role.MASTER) == asked + FLIGHT


def test_standby_hands_over_and_online_does_not_take_back() -> None:
    world = World()
    world.standby("a")
    world.run(1)
    assert (world.a.role, world.b.role) == (Role.STANDBY, Role.MASTER)
    world.crash("b")
    world.run(5)
    assert world.a.role is Role.STANDBY
    world.start("b")
    world.run(1)
    assert world.b.role is Role.MASTER
    world.online("a")
    world.monitor.settle()
    assert world.b.role is Role.MASTER


def test_standby_outranks_a_fault_and_online_falls_back_to_it() -> None:
    world = World()
    world.fault("b")
    world.standby("b")
    assert world.b.role is Role.STANDBY
    world.online("b")
    assert world.b.role is Role.FAULT


def test_killed_master_keeps_its_address_no_longer_than_the_lease() -> None:
    world = World()
    killed = world.now
    world.kill("a")
    until(world, "b", Role.MASTER)
    world.run(5)
    assert world.a.address.until <= killed + nanos(2)
    assert 0 < world.monitor.longest_two_holders <= nanos(2) - nanos(0.6)


def test_killed_master_that_comes_back_at_once_goes_on() -> None:
    world = World()
    world.kill("a")
    world.run(0.1)
    world.restart("a")
    world.monitor.settle()
    assert world.a.role is Role.MASTER
    assert world.b.reasons == ["start"]


def test_both_crash_and_restart() -> None:
    world = World()
    world.crash("a")
    world.crash("b")
    world.run(1)
    world.restart("b")
    world.run(0.1)
    world.restart("a")
    world.monitor.settle()


def test_preferred_node_preempts_after_its_delay_without_two_masters() -> None:
    world = World(Setup(priority=150, preempt=True, preempt_delay=3))
    world.failover("a")
    given_up = world.now
    world.run(1)
    assert world.b.role is Role.MASTER
    back = until(world, "a", Role.MASTER)
    assert nanos(3) <= back - given_up <= nanos(3 + 0.2) + 2 * FLIGHT
    assert world.b.reasons[-1] is Reason.ELECTED
    assert world.monitor.longest_two_masters == 0


def test_preferred_node_does_not_preempt_with_older_configuration() -> None:
    """It would replicate yesterday over today."""
    world = World(Setup(priority=150, preempt=True))
    world.crash("a")
    world.run(1)
    world.edit("b")
    world.restart("a")
    world.run(3)
    assert world.b.role is Role.MASTER
    world.replicate()
    world.monitor.settle()
    assert world.a.role is Role.MASTER


def test_same_seed_same_history() -> None:
    def history(seed: int) -> list[str]:
        world = World(seed=seed)
        world.lose(0.3)
        world.delay(0.001, 0.1)
        world.duplicate(0.2)
        world.run(30)
        world.pause("a", 1)
        world.run(30)
        return world.history

    assert history(5) == history(5)
    assert history(5) != history(6)


@pytest.mark.parametrize("backup", ["a", "b"])
def test_one_lost_packet_less_than_the_dead_ratio_fools_nobody(backup: str) -> None:
    """The last packet in time may be late by the jitter of the wire."""
    world = World(seed=7)
    if backup == "a":
        world.failover("a")
        world.run(1)
    world.delay(0.0005, 0.005)
    for _ in range(50):
        world.run(1.05)
        master = world.nodes["b" if backup == "a" else "a"]
        world.run_to(Nanos(master.machine.deadline - MILLISECOND))
        world.cut()
        world.run(0.398)
        world.heal()
    assert world.nodes[backup].reasons[-1] in (Reason.START, Reason.COMMAND)
