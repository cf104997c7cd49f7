"""Who goes first: on the first day, after a power cut in the rack, after a start that nobody heard."""

import itertools

import pytest

from skd_cluster.core.model import DataVersion, DropReason, Fault, Reason, Role, nanos
from skd_cluster.simulation.network import FLIGHT
from skd_cluster.simulation.world import World


@pytest.mark.parametrize("gap", [0, 0.0005, 0.001, 0.01, 0.2, 0.35, 0.59])
@pytest.mark.parametrize(("first", "second"), [("a", "b"), ("b", "a")])
@pytest.mark.parametrize("present", ["a", "b"])
def test_first_start_goes_to_the_node_whose_address_is_up(first: str, second: str, present: str, gap: float) -> None:
    world = World(pair=False)
    world.start(first, present=first == present)
    world.run(gap)
    world.start(second, present=second == present)
    world.monitor.settle()
    assert world.nodes[present].role is Role.MASTER
    assert world.nodes[present].reasons[0] is Reason.ADDRESS_PRESENT


def test_first_start_never_drops_the_address() -> None:
    world = World(pair=False)
    world.start("b", present=True)
    world.start("a")
    for _ in range(3000):
        world.run(0.001)
        assert world.b.address.here(world.now)
        assert not world.a.address.here(world.now)


@pytest.mark.parametrize("gap", [0, 0.001, 0.1, 0.35])
@pytest.mark.parametrize(("first", "second"), [("a", "b"), ("b", "a")])
def test_cold_start_goes_to_the_newer_configuration(first: str, second: str, gap: float) -> None:
    world = World(pair=False)
    world.b.data, world.b.disk_epoch = DataVersion(4, 7), 4
    world.a.data, world.a.disk_epoch = DataVersion(4, 6), 5
    world.start(first)
    world.run(gap)
    world.start(second)
    world.monitor.settle()
    assert world.b.role is Role.MASTER
    assert world.b.reasons == [Reason.FRESHER]


def test_cold_start_of_equals_goes_to_the_lower_address() -> None:
    for gap in (0, 0.0004, 0.05, 0.3):
        world = World(pair=False)
        world.start("b")
        world.run(gap)
        world.start("a")
        world.monitor.settle()
        assert world.a.role is Role.MASTER


def test_lone_start_waits_its_patience_once() -> None:
    world = World(pair=False)
    world.start("b")
    world.run_to(world.now + nanos(0.625) - 1)
    assert world.b.role is Role.INIT
    world.run_to(world.now + 1)
    assert world.b.role is Role.MASTER


def test_stale_node_promoted_alone_hands_over_to_the_fresher_one() -> None:
    world = World(pair=False)
    world.b.data, world.b.disk_epoch = DataVersion(4, 7), 4
    world.start("a")
    world.run(30)
    assert world.a.role is Role.MASTER
    world.start("b")
    world.monitor.settle()
    assert world.b.role is Role.MASTER
    assert world.a.reasons[-1] is Reason.YIELD_FRESHER
    assert world.monitor.longest_two_masters == 0


def test_node_promoted_alone_that_has_changed_since_stays() -> None:
    world = World(pair=False)
    world.b.data, world.b.disk_epoch = DataVersion(4, 7), 4
    world.a.disk_epoch = 4
    world.start("a")
    world.run(30)
    world.edit("a")
    world.start("b")
    world.monitor.settle()
    assert world.a.role is Role.MASTER


@pytest.mark.parametrize("how", ["fault", "standby"])
def test_stale_node_that_was_out_at_its_start_hands_over_as_well(how: str) -> None:
    """The carrier comes up after the service: that is how machines boot."""
    world = World(pair=False)
    world.b.data, world.b.disk_epoch = DataVersion(4, 7), 4
    world.start("a", standby=how == "standby")
    if how == "fault":
        world.fault("a")
    world.run(1)
    world.clear("a")
    world.online("a")
    world.run(3)
    assert world.a.role is Role.MASTER
    world.start("b")
    world.monitor.settle()
    assert world.b.role is Role.MASTER


def test_stale_node_hands_over_when_the_fresher_one_becomes_fit() -> None:
    world = World(pair=False)
    world.b.data, world.b.disk_epoch = DataVersion(4, 7), 4
    world.start("b", standby=True)
    world.start("a")
    world.run(3)
    assert world.a.role is Role.MASTER
    world.online("b")
    world.monitor.settle()
    assert world.b.role is Role.MASTER


def test_epoch_lost_on_disk_is_made_up_for_by_the_data() -> None:
    """Its next changes would count as older than what it holds."""
    world = World(pair=False)
    world.a.data = DataVersion(9, 3)
    world.start("a")
    world.run(1)
    assert world.a.machine.epoch == 11


def test_backup_remembers_the_epoch_it_followed() -> None:
    world = World()
    for name in "abab":
        world.failover(name)
        world.run(1)
    world.crash("a")
    world.crash("b")
    world.restart("b")
    world.run(1)
    assert world.b.machine.epoch == 6


def test_master_that_lost_its_epoch_is_raised_by_its_backup() -> None:
    world = World()
    for name in "abab":
        world.failover(name)
        world.run(1)
    world.crash("a")
    world.run(2)
    world.crash("b")
    world.start("a", keep_epoch=False)
    world.run(2)
    world.restart("b")
    world.monitor.settle()
    assert world.a.machine.epoch > 5


def test_restarted_backup_follows_within_a_round_trip() -> None:
    world = World()
    world.crash("b")
    world.run(10)
    world.restart("b")
    world.run_to(world.now + 2 * FLIGHT)
    assert world.b.role is Role.BACKUP
    assert world.b.reasons[-1] is Reason.PEER_MASTER


def test_restarted_master_follows_its_successor() -> None:
    world = World()
    world.crash("a")
    world.run(10)
    world.restart("a")
    world.monitor.settle()
    assert world.b.role is Role.MASTER


# ---- keys


def test_wrong_key_at_start_stays_in_fault_and_the_other_stays_master() -> None:
    world = World(pair=False)
    world.start("a", present=True)
    world.run(2)
    world.wrong_key("b")
    world.start("b")
    world.run(60)
    assert (world.a.role, world.b.role) == (Role.MASTER, Role.FAULT)
    assert {note.fault for note in world.b.machine.all_faults()} == {Fault.KEY}


def test_online_with_force_overrides_the_key() -> None:
    world = World(pair=False)
    world.start("a", present=True)
    world.run(2)
    world.wrong_key("b")
    world.start("b")
    world.run(2)
    world.online("b")
    assert world.b.role is Role.FAULT
    world.cut()
    world.online("b", force=True)
    world.run(1)
    assert world.b.role is Role.MASTER


def test_wrong_key_on_a_running_node_changes_nobody_but_the_one_who_takes_over() -> None:
    """Both were acquainted: silence is silence, and FAULT is for those who never were."""
    world = World()
    world.wrong_key("a")
    world.cut(one_way="b->a")
    world.run(5)
    assert Role.FAULT not in (world.a.role, world.b.role)


def test_key_fault_ends_when_the_other_key_falls_silent() -> None:
    world = World(pair=False)
    world.start("a", present=True)
    world.wrong_key("b")
    world.start("b")
    world.run(2)
    world.crash("a")
    world.run(9)
    assert world.b.role is Role.FAULT
    world.run(2)
    assert world.b.role is Role.MASTER


def test_key_fault_ends_with_the_first_believed_packet() -> None:
    world = World(pair=False)
    world.start("a", present=True)
    world.wrong_key("b")
    world.start("b")
    world.run(2)
    world.nodes["b"].passwords = ["secret"]
    world.run(0.5)
    assert world.b.role is Role.BACKUP


def test_changed_password_without_a_gap() -> None:
    world = World()
    for name, passwords in (("a", ["secret", "new"]), ("b", ["new", "secret"]), ("a", ["new", "secret"])):
        world.nodes[name].passwords = passwords
        world.run(5)
    assert (world.a.role, world.b.role) == (Role.MASTER, Role.BACKUP)
    assert DropReason.BAD_KEY not in world.a.drops + world.b.drops


def test_every_order_of_two_starts_and_a_crash_settles() -> None:
    for gap, pause in itertools.product((0, 0.001, 0.21, 0.7), (0, 0.001, 0.1, 0.5, 0.9)):
        world = World(pair=False)
        world.start("a")
        world.run(gap)
        world.start("b")
        world.run(pause)
        world.crash("a")
        world.run(0.05)
        world.restart("a")
        world.monitor.settle()
