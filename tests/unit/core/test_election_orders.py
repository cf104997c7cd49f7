"""The state machine alone: preemption, faults, orders, sleep."""

from dataclasses import replace

from skd_cluster.core.actions import Changed, Release, Send
from skd_cluster.core.model import (
    MILLISECOND,
    SECOND,
    DataVersion,
    Nanos,
    Reason,
    Role,
    nanos,
)
from skd_cluster.core.otherkey import KEY_HOLD
from skd_cluster.core.wire import Flag
from tests.unit.core.machines import BROKEN, HIGHER, NOW, advert, backup, master, started

# ---- preemption


def test_wanting_takes_all_of_its_conditions() -> None:
    eager = replace(HIGHER, priority=150, preempt=True, preempt_delay=nanos(3))
    machine = backup(eager)
    later = Nanos(NOW + nanos(3))
    assert Flag.WANTED not in machine.word(Nanos(later - 1), paced=True).flags
    assert Flag.WANTED in machine.word(later, paced=True).flags
    for said in (advert(priority=150), advert(Role.BACKUP), advert(data=DataVersion(1, 1))):
        machine.on_advert(said, later, later)
        assert Flag.WANTED not in machine.word(later, paced=True).flags
    machine.on_advert(advert(), later, later)
    for me in (replace(eager, preempt=False), replace(eager, priority=100)):
        machine.me = me
        assert Flag.WANTED not in machine.word(later, paced=True).flags


def test_unfit_peer_is_not_given_what_it_wants() -> None:
    machine = master()
    assert machine.on_advert(advert(Role.BACKUP, flags=Flag.WANTED), Nanos(NOW + SECOND), NOW) == []
    machine.on_advert(advert(Role.BACKUP, flags=Flag.WANTED), NOW, NOW)
    assert machine.reason is Reason.ELECTED


# ---- faults and orders


def test_fault_names_what_is_wrong() -> None:
    actions = master().set_faults(BROKEN, NOW)
    assert actions[1] == Changed(Role.MASTER, Role.FAULT, Reason.FAULT, "interface eth0 has no carrier")
    assert actions[2] == Send(copies=2)


def test_same_fault_again_is_no_news() -> None:
    machine = backup()
    machine.set_faults(BROKEN, NOW)
    assert machine.set_faults(BROKEN, NOW) == []
    assert machine.set_faults(frozenset(), NOW)[1].reason is Reason.RECOVERED


def test_standby_twice_and_online_without_standby_are_nothing() -> None:
    machine = backup()
    assert machine.online(NOW) == []
    machine.standby(NOW)
    assert machine.standby(NOW) == []
    assert machine.online(NOW)[1] == Changed(Role.STANDBY, Role.BACKUP, Reason.COMMAND)


def test_other_key_holds_back_only_who_has_verified_nothing() -> None:
    machine = started()
    actions = machine.on_bad_key(NOW)
    assert actions[1] == Changed(Role.INIT, Role.FAULT, Reason.FAULT, "key the peer uses another key")
    assert machine.on_bad_key(NOW) == []
    assert machine.deadline == NOW
    machine.on_timer(NOW)
    machine.on_timer(Nanos(NOW + KEY_HOLD - 1))
    assert machine.role is Role.FAULT
    machine.on_timer(Nanos(NOW + KEY_HOLD))
    assert machine.role is Role.BACKUP
    for acquainted in (backup(), master()):
        assert acquainted.on_bad_key(NOW) == []


def test_other_key_is_no_reason_for_a_master_or_after_an_order() -> None:
    machine = started()
    machine.on_timer(Nanos(NOW + SECOND))
    assert machine.on_bad_key(NOW) == []
    machine = started()
    machine.on_bad_key(NOW)
    assert machine.online(NOW, force=True)[1].reason is Reason.RECOVERED
    assert machine.on_bad_key(NOW) == []


def test_first_believed_packet_ends_the_key_fault_but_no_other() -> None:
    machine = started()
    machine.set_faults(BROKEN, NOW)
    machine.on_bad_key(NOW)
    assert len(machine.all_faults()) == 2
    machine.on_advert(advert(), NOW, NOW)
    assert machine.all_faults() == BROKEN
    assert machine.role is Role.FAULT


# ---- sleep


def test_master_that_overslept_drops_first_and_asks_with_each_word() -> None:
    machine = master()
    machine.on_timer(NOW)
    woke = Nanos(NOW + nanos(0.6) + 1)
    actions = machine.awake(woke)
    assert actions == [Release(), Changed(Role.MASTER, Role.BACKUP, Reason.PAUSED, "did not run for 600 ms"), Send()]
    assert Flag.POLL in machine.word(woke, paced=False).flags
    machine.on_advert(advert(Role.BACKUP), woke, Nanos(woke - 1))
    assert machine.role is Role.BACKUP
    machine.on_advert(advert(Role.BACKUP), woke, woke)
    assert (machine.role, machine.reason) == (Role.MASTER, Reason.RECOVERED)
    assert Flag.POLL not in machine.word(woke, paced=False).flags


def test_master_that_overslept_by_less_stays() -> None:
    machine = master()
    machine.on_timer(NOW)
    assert machine.awake(Nanos(NOW + nanos(0.6))) == []


def test_sleeper_raises_the_epoch_of_its_successor_and_never_lowers_its_own() -> None:
    machine = master()
    machine.epoch = 9
    machine.on_timer(NOW)
    woke = Nanos(NOW + SECOND)
    machine.awake(woke)
    machine.on_advert(advert(epoch=4), woke, woke)
    assert machine.epoch == 10
    assert machine.on_advert(advert(epoch=11), woke, woke)[0].new is Role.BACKUP


def test_backup_excuses_its_own_sleep_once_a_silence() -> None:
    machine = backup()
    machine.on_timer(NOW)
    woke = Nanos(NOW + SECOND)
    machine.awake(woke)
    machine.on_timer(woke)
    assert machine.role is Role.BACKUP
    again = Nanos(woke + SECOND)
    machine.awake(again)
    machine.on_timer(again)
    assert machine.role is Role.MASTER
    assert machine.since - NOW == 2000 * MILLISECOND


def test_one_that_is_let_in_again_no_longer_resigns() -> None:
    machine = master()
    machine.standby(NOW)
    machine.online(NOW)
    assert machine.word(NOW, paced=True).priority == 100


def test_sleep_is_measured_by_the_peers_own_dead_ratio() -> None:
    machine = master()
    machine.on_advert(advert(Role.BACKUP, dead_ratio=6), NOW, NOW)
    machine.on_timer(NOW)
    assert machine.awake(Nanos(NOW + nanos(1.2))) == []
    machine = master()
    machine.on_advert(advert(Role.BACKUP, dead_ratio=6), NOW, NOW)
    machine.on_timer(NOW)
    assert machine.awake(Nanos(NOW + nanos(1.2) + 1))[1].reason is Reason.PAUSED


def test_planned_failover_waits_for_the_newest_configuration_unless_forced() -> None:
    machine = master(data=DataVersion(1, 2))
    machine.on_advert(advert(Role.BACKUP, counter=3, data=DataVersion(1, 1)), NOW, NOW)
    refusal, actions = machine.failover(NOW)
    assert refusal.startswith("the peer does not have the newest configuration")
    assert actions == []
    machine.on_advert(advert(Role.BACKUP, counter=4, data=DataVersion(1, 2)), NOW, NOW)
    assert machine.failover(NOW)[0] == ""
    again = master(data=DataVersion(1, 2))
    again.on_advert(advert(Role.BACKUP, counter=3, data=DataVersion(1, 1)), NOW, NOW)
    assert again.failover(NOW, force=True)[0] == ""
