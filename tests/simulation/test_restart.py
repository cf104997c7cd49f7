"""A master is started anew: its addresses stay, its peer waits, and neither for ever."""

import pytest

from skd_cluster.core.model import Reason, Role, nanos, seconds
from skd_cluster.core.restarting import RESTART_LEASE
from skd_cluster.core.wire import Flag
from skd_cluster.simulation.network import BEGIN
from skd_cluster.simulation.node import Setup
from skd_cluster.simulation.upgrade import upgrade
from skd_cluster.simulation.world import World


def upgraded(world, span=1.0):
    upgrade(world, "a", span)
    return world


def test_the_address_stays_and_no_role_changes():
    world = upgraded(World())
    before = (world.a.machine.epoch, list(world.b.reasons))
    world.run(0.9)
    assert not world.a.running
    assert world.a.address.here(world.now)
    world.run(4.1)
    world.monitor.require_roles(Role.MASTER, Role.BACKUP)
    assert world.a.reasons[-1] is Reason.RESTARTED
    assert (world.a.machine.epoch, world.b.reasons) == before
    assert world.monitor.longest_two_holders == 0
    world.monitor.settle()


@pytest.mark.parametrize("probing", [False, True])
@pytest.mark.parametrize("interval", [0.01, 0.2, 3.0])
def test_at_every_pace(interval, probing):
    setup = Setup(interval=interval, probing=probing)
    world = upgraded(World(setup, setup), 2.0).run(20 * interval + 10)
    world.monitor.require_roles(Role.MASTER, Role.BACKUP)
    assert world.b.claims == 0


def test_one_that_does_not_come_back_is_replaced_when_its_address_is_gone():
    world = upgraded(World(), 1000).run(1)
    left = world.a.left_at
    world.run(6)
    assert world.b.role is Role.MASTER
    since = seconds(world.b.machine.since - left)
    assert RESTART_LEASE < since < 5.3
    assert world.monitor.longest_two_holders == 0


def test_one_that_comes_back_too_late_is_a_backup():
    world = upgraded(World(), RESTART_LEASE + 3).run(RESTART_LEASE + 5)
    world.monitor.require_roles(Role.BACKUP, Role.MASTER)


def test_one_whose_address_is_gone_does_not_resume():
    world = upgraded(World(), RESTART_LEASE + 0.5).run(RESTART_LEASE + 0.6)
    assert world.a.reasons[-1] is not Reason.RESTARTED
    world.monitor.settle()


def test_one_that_comes_back_with_a_fault_is_replaced_at_its_first_word():
    world = upgraded(World()).run(0.5)
    world.fault("a")
    world.run(1.5)
    world.monitor.require_roles(Role.FAULT, Role.MASTER)
    assert world.monitor.longest_two_holders == 0


def test_a_peer_that_does_not_hear_it_makes_it_a_planned_handover():
    world = World()
    world.cut("a->b")
    upgraded(world, 1.0).run(0.7)
    assert not world.a.running
    assert not world.a.address.here(world.now)


def test_without_a_peer_it_leaves_at_once_and_resumes():
    world = World()
    world.crash("b")
    world.run(5)
    upgraded(world, 1.0).run(1.5)
    assert world.a.reasons[-1] is Reason.RESTARTED
    assert world.monitor.longest_no_master < nanos(1)


def test_a_backup_that_is_restarted_itself_meanwhile_finds_its_master_again():
    world = upgraded(World(), 1.0).run(0.2)
    world.stop("b")
    world.start("b")
    world.run(5)
    world.monitor.settle()


def test_a_power_loss_meanwhile_ends_the_waiting_at_its_bound():
    world = upgraded(World(), 1000).run(0.5)
    world.crash("a")
    world.run(5.5)
    assert world.b.role is Role.MASTER


def test_a_backup_asks_nobody_to_wait():
    world = World()
    upgrade(world, "b", 1.0)
    world.run(3)
    world.monitor.require_roles(Role.MASTER, Role.BACKUP)
    assert world.b.left_at == 0
    assert world.now > BEGIN


def test_one_that_is_back_and_dies_then_is_missed_as_ever():
    world = upgraded(World(), 1.0).run(1.3)
    assert world.a.reasons[-1] is Reason.RESTARTED
    world.crash("a")
    world.run(0.7)
    assert world.b.role is Role.MASTER


def test_one_that_stays_out_says_so_and_its_peer_waits_its_patience_only():
    world = upgraded(World(), 1.0).run(0.5)
    world.start("a", standby=True)
    world.run(0.7)
    world.monitor.require_roles(Role.STANDBY, Role.MASTER)


def test_a_master_that_has_given_up_asks_nobody_any_more():
    world = World()
    world.a.machine.restart(world.now)
    world.standby("a")
    world.online("a")
    world.run(5)
    world.failover("b")
    world.run(1)
    assert world.a.role is Role.MASTER
    assert Flag.RESTARTING not in world.a.machine.word(world.now, paced=True).flags
