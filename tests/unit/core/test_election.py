"""The state machine alone: what it says, what it wants done, and when. Stories are in tests/simulation."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core.actions import Changed, Claim, Identity, Release, Send
from skd_cluster.core.election import ElectionMachine
from skd_cluster.core.model import (
    SECOND,
    DataVersion,
    Nanos,
    Reason,
    Role,
    nanos,
)
from skd_cluster.core.peerview import PeerView
from skd_cluster.core.timers import FAR
from skd_cluster.core.wire import Advert, Flag
from tests.unit.core.machines import BROKEN, HIGHER, INTERVAL, LOWER, NOW, advert, backup, master, started

# ---- start


def test_start_sends_at_once_and_judges_after_its_patience() -> None:
    machine = ElectionMachine(HIGHER)
    assert machine.deadline == FAR
    assert machine.start(NOW, present=False) == []
    assert machine.deadline == NOW
    assert machine.on_timer(NOW) == [Send(paced=True)]
    assert machine.deadline == NOW + INTERVAL
    assert machine.on_timer(Nanos(NOW + nanos(0.625))) == [
        Claim(),
        Changed(Role.INIT, Role.MASTER, Reason.START),
        Send(),
    ]


def test_pace_of_a_master_begins_with_its_promotion() -> None:
    machine = ElectionMachine(HIGHER)
    machine.start(NOW, present=False)
    promoted = Nanos(NOW + nanos(0.625))
    machine.on_timer(promoted)
    assert machine.deadline == promoted + INTERVAL
    assert machine.on_timer(Nanos(promoted + INTERVAL - 1)) == []
    assert machine.on_timer(Nanos(promoted + INTERVAL)) == [Send(paced=True)]


def test_silence_is_judged_after_everything_that_has_arrived_and_the_caller_knows_when() -> None:
    machine = backup()
    assert machine.judge_at == NOW + machine.peer.patience
    assert master().judge_at == FAR


def test_start_in_standby_holds_nothing() -> None:
    machine = ElectionMachine(LOWER)
    found = machine.start(NOW, present=True, standby=True)
    assert found == [Release(), Changed(Role.INIT, Role.STANDBY, Reason.STANDBY)]


def test_fault_known_before_the_start_keeps_the_node_out() -> None:
    machine = ElectionMachine(LOWER)
    machine.set_faults(BROKEN, NOW)
    machine.start(NOW, present=True)
    machine.on_timer(Nanos(NOW + 10 * SECOND))
    assert machine.role is Role.FAULT


PACED = {"flags": Flag.PACED}


def test_backup_answers_an_advertisement_with_the_hello_that_is_due_soon() -> None:
    machine = backup()
    machine.on_timer(NOW)
    half = Nanos(NOW + INTERVAL // 2)
    assert machine.on_advert(advert(**PACED), Nanos(half - 1), NOW) == []
    assert machine.on_advert(advert(**PACED), half, NOW) == [Send(paced=True)]
    # The next one is an answer too, or comes an eighth of an interval late.
    assert machine.deadline == half + nanos(0.225)
    assert machine.on_timer(Nanos(half + nanos(0.225))) == [Send(paced=True)]
    assert machine.deadline == half + nanos(0.425)


@pytest.mark.parametrize("heard", [advert(), advert(**PACED, interval=nanos(0.3)), advert(Role.BACKUP, **PACED)])
def test_hello_keeps_its_own_pace_beside_whoever_has_another_one(heard: Advert) -> None:
    machine = backup()
    machine.on_timer(NOW)
    due = Nanos(NOW + INTERVAL)
    assert machine.on_advert(heard, Nanos(due - 1), NOW) == []
    assert machine.deadline == due


def test_early_timer_does_nothing() -> None:
    machine = backup()
    machine.on_timer(NOW)
    assert machine.on_timer(Nanos(machine.deadline - 1)) == []


def test_silence_is_not_judged_before_every_packet_was_handed_over() -> None:
    machine = backup()
    late = Nanos(NOW + nanos(0.625))
    assert machine.on_timer(late, drained=False) == [Send(paced=True)]
    assert machine.deadline <= late
    assert machine.on_timer(late)[1].reason is Reason.PEER_SILENT


@pytest.mark.parametrize(
    ("data", "present", "priority", "lower", "first"),
    [
        (DataVersion(5, 1), False, 1, False, True),
        (DataVersion(4, 9), True, 200, True, False),
        (DataVersion(4, 10), True, 1, False, True),
        (DataVersion(4, 10), False, 200, True, False),
        (DataVersion(4, 10), None, 101, False, True),
        (DataVersion(4, 10), None, 99, True, False),
        (DataVersion(4, 10), None, 100, True, True),
        (DataVersion(4, 10), None, 100, False, False),
    ],
)
@pytest.mark.parametrize("role", [Role.INIT, Role.BACKUP])
def test_cold_start_compares_data_presence_priority_address(
    *, data: DataVersion, present: bool | None, priority: int, lower: bool, first: bool, role: Role
) -> None:
    """`present`: whose address is up, ours or (False) the peer's; None: neither's."""
    machine = started(Identity(INTERVAL, 3, priority, lower=lower), present=bool(present), data=data)
    flags = Flag.PRESENT if present is False else Flag(0)
    machine.on_advert(advert(role, data=DataVersion(4, 10), flags=flags), NOW, NOW)
    assert (machine.role is Role.MASTER) is first


@pytest.mark.parametrize("role", [Role.FAULT, Role.STANDBY])
def test_start_beside_one_that_cannot_be_master(role: Role) -> None:
    machine = started(HIGHER)
    machine.on_advert(advert(role), NOW, NOW)
    assert (machine.role, machine.reason) == (Role.MASTER, Reason.ELECTED)


def test_start_beside_one_that_resigns() -> None:
    """Whatever it holds: it does not want to be master."""
    machine = started(HIGHER)
    machine.on_advert(advert(Role.BACKUP, priority=0, data=DataVersion(9, 9)), NOW, NOW)
    assert machine.role is Role.MASTER


# ---- words


def test_word_of_each_moment() -> None:
    machine = started(present=True, data=DataVersion(4, 2), epoch=4)
    word = machine.word(NOW, paced=True)
    assert (word.priority, word.role, word.flags) == (100, Role.INIT, Flag.PACED | Flag.PRESENT)
    assert (word.epoch, word.data) == (4, DataVersion(4, 2))
    machine = master()
    assert machine.word(NOW, paced=False).flags == Flag(0)
    machine.failover(NOW)
    word = machine.word(Nanos(NOW + nanos(0.6124)), paced=False)
    assert (word.priority, word.flags) == (0, Flag.RESIGNED)
    assert machine.word(Nanos(NOW + nanos(0.6125)), paced=False).priority == 100


def test_one_that_leaves_resigns_until_somebody_is_master() -> None:
    machine = master()
    machine.standby(NOW)
    later = Nanos(NOW + 3600 * SECOND)
    assert machine.word(later, paced=True).priority == 0
    machine.on_advert(advert(epoch=9), later, later)
    assert machine.word(later, paced=True).priority == 100
    assert machine.epoch == 9


# ---- poll


def test_poll_is_answered_at_once() -> None:
    assert backup().on_advert(advert(flags=Flag.POLL), NOW, NOW) == [Send()]


def test_first_packet_of_a_run_is_answered_after_the_addresses_are_settled() -> None:
    machine = started(HIGHER, present=True)
    assert [type(action) for action in machine.on_advert(advert(), NOW, NOW)] == [Release, Changed, Send]
    assert machine.on_advert(advert(), NOW, NOW) == []
    assert machine.on_advert(advert(session=b"n" * 16), NOW, NOW) == [Send()]
    assert [type(action) for action in started().on_advert(advert(Role.STANDBY), NOW, NOW)] == [Claim, Changed, Send]


# ---- resignation


def test_resigning_drops_the_addresses_before_it_says_so_twice() -> None:
    refusal, actions = master().failover(NOW)
    assert refusal == ""
    assert actions == [Release(), Changed(Role.MASTER, Role.BACKUP, Reason.COMMAND), Send(copies=2)]


def test_backup_takes_over_from_one_that_resigns_and_announces() -> None:
    actions = backup().on_advert(advert(Role.BACKUP, priority=0), NOW, NOW)
    assert actions == [Claim(), Changed(Role.BACKUP, Role.MASTER, Reason.PEER_RESIGNED), Send()]


def test_resignation_that_echoes_nothing_recent_is_left_to_the_timer() -> None:
    machine = backup()
    later = Nanos(NOW + 100 * SECOND)
    assert machine.on_advert(advert(Role.BACKUP, priority=0), later, NOW) == []


def test_two_that_both_resigned_wait_for_their_timers() -> None:
    machine = master()
    machine.failover(NOW)
    assert machine.on_advert(advert(Role.BACKUP, priority=0), NOW, NOW) == []


@pytest.mark.parametrize(
    ("heard", "refusal"),
    [
        (advert(Role.FAULT), "the peer is fault"),
        (advert(Role.STANDBY), "the peer is standby"),
        (advert(Role.BACKUP), ""),
        (advert(Role.INIT), ""),
    ],
)
def test_failover_says_why_not(heard: Advert, refusal: str) -> None:
    machine = master()
    machine.on_advert(heard, NOW, NOW)
    assert machine.failover(NOW)[0] == refusal


def test_failover_to_one_that_is_not_heard_or_does_not_hear() -> None:
    machine = master()
    later = Nanos(NOW + SECOND)
    assert machine.failover(later) == ("the peer is not heard", [])
    machine.on_advert(advert(Role.BACKUP), later, NOW)
    assert machine.failover(later) == ("the peer does not hear this node", [])
    assert machine.failover(later, force=True)[0] == ""
    assert machine.failover(later) == ("this node is backup, only the master can hand over", [])


def test_stop_of_a_backup_says_nothing() -> None:
    assert backup().stop(NOW) == [Release(), Changed(Role.BACKUP, Role.STANDBY, Reason.SHUTDOWN)]


# ---- epochs


def test_epochs_are_odd_for_the_lower_address_and_even_for_the_other() -> None:
    for me, seen, expected in ((LOWER, 0, 1), (LOWER, 1, 3), (LOWER, 2, 3), (HIGHER, 0, 2), (HIGHER, 1, 2)):
        machine = started(me, epoch=seen)
        machine.on_timer(Nanos(NOW + SECOND))
        assert machine.epoch == expected


@given(lower=st.booleans(), own=st.integers(0, 1000), data=st.integers(0, 1000), peer=st.integers(0, 1000))
def test_promotion_is_above_every_epoch_that_is_known(*, lower: bool, own: int, data: int, peer: int) -> None:
    machine = started(replace(LOWER, lower=lower), epoch=own, data=DataVersion(data, 1))
    machine.on_advert(advert(Role.STANDBY, epoch=peer), NOW, NOW)
    assert max(own, data, peer) < machine.epoch <= max(own, data, peer) + 2
    assert machine.epoch % 2 == lower


def test_followed_epoch_is_told_so_that_it_is_remembered() -> None:
    machine = backup()
    assert machine.on_advert(advert(epoch=7), NOW, NOW) == [Changed(Role.BACKUP, Role.BACKUP, Reason.PEER_MASTER)]
    assert machine.on_advert(advert(epoch=6), NOW, NOW) == []
    assert machine.epoch == 7


def test_master_below_another_epoch_rises_above_it_and_announces() -> None:
    machine = master()
    actions = machine.on_advert(advert(Role.BACKUP, epoch=8), NOW, NOW)
    assert actions == [Changed(Role.MASTER, Role.MASTER, Reason.RIVAL_WON), Claim(), Send()]
    assert machine.epoch == 9


# ---- rivals


def test_rival_that_is_preferred_wins_and_learns_that_it_won() -> None:
    machine = master(HIGHER, data=DataVersion(1, 1))
    machine.epoch = 6
    actions = machine.on_advert(advert(epoch=3), NOW, NOW)
    assert actions == [Release(), Changed(Role.MASTER, Role.BACKUP, Reason.RIVAL_WON), Send()]
    assert machine.epoch == 7


def test_preferred_rival_says_so_once_and_stays() -> None:
    machine = master()
    assert machine.on_advert(advert(epoch=3), NOW, NOW) == [Send()]
    assert machine.on_advert(advert(epoch=3), NOW, NOW) == []
    actions = machine.on_advert(advert(Role.BACKUP, epoch=4), NOW, NOW)
    assert actions == [Changed(Role.MASTER, Role.MASTER, Reason.RIVAL_WON), Claim(), Send()]


def test_preferred_rival_that_is_not_heard_yields_after_the_peers_patience() -> None:
    machine = master()
    at = NOW
    while at <= NOW + nanos(0.6):
        machine.on_advert(advert(), at, Nanos(NOW - SECOND))
        assert machine.role is Role.MASTER
        at = Nanos(at + INTERVAL)
    machine.on_advert(advert(), at, Nanos(NOW - SECOND))
    assert (machine.role, machine.reason) == (Role.BACKUP, Reason.NOT_HEARD)


def test_preferred_rival_that_is_heard_stays_whatever_the_other_one_does() -> None:
    machine = master()
    for number in range(20):
        at = Nanos(NOW + number * INTERVAL)
        machine.on_advert(advert(), at, at)
        assert machine.role is Role.MASTER


@pytest.mark.parametrize(("mine", "theirs", "stays"), [(101, 100, True), (100, 101, False), (100, 0, False)])
def test_priority_decides_and_0_is_no_priority(mine: int, theirs: int, *, stays: bool) -> None:
    view = PeerView(replace(LOWER, priority=mine, lower=False))
    view.heard(advert(priority=theirs), NOW, NOW)
    assert view.yields_to_us is stays


@pytest.mark.parametrize("me", [LOWER, HIGHER])
@pytest.mark.parametrize(("mine", "theirs"), [(True, False), (False, True)])
def test_rival_with_changes_that_the_other_one_lacks_stays(me: Identity, *, mine: bool, theirs: bool) -> None:
    """Whatever its rank: the other one has nothing to lose."""
    machine = master(me)
    machine.unshared = mine
    machine.on_advert(advert(flags=Flag.UNSHARED if theirs else Flag(0)), NOW, NOW)
    assert (machine.role is Role.MASTER) is mine


@pytest.mark.parametrize(("me", "stays"), [(LOWER, True), (HIGHER, False)])
@pytest.mark.parametrize("both", [True, False])
def test_rivals_that_both_changed_something_or_nothing_go_by_rank(me: Identity, *, stays: bool, both: bool) -> None:
    machine = master(me)
    machine.unshared = both
    machine.on_advert(advert(flags=Flag.UNSHARED if both else Flag(0)), NOW, NOW)
    assert (machine.role is Role.MASTER) is stays


def test_unshared_changes_are_said() -> None:
    machine = backup()
    assert Flag.UNSHARED not in machine.word(NOW, paced=False).flags
    machine.unshared = True
    assert Flag.UNSHARED in machine.word(NOW, paced=False).flags


def test_survivor_of_a_rivalry_announces_even_if_its_rival_forgot_it() -> None:
    """The rival lost power before it could yield, but it had answered for the addresses."""
    machine = master()
    machine.epoch = 9
    machine.on_advert(advert(epoch=4), NOW, NOW)
    assert Claim() in machine.on_advert(advert(Role.BACKUP, epoch=4), NOW, NOW)
    assert machine.on_advert(advert(Role.BACKUP, epoch=4), NOW, NOW) == []


# ---- what only a wrong line would change


FRESH = DataVersion(9, 9)


def test_master_promoted_blind_yields_to_newer_configuration_the_first_time_it_meets_a_fit_peer_only() -> None:
    machine = ElectionMachine(LOWER)
    machine.start(NOW, present=False)
    machine.on_timer(Nanos(NOW + nanos(0.7)))
    assert machine.role is Role.MASTER
    now = Nanos(NOW + SECOND)
    machine.on_advert(advert(Role.BACKUP), now, now)
    machine.on_advert(advert(Role.BACKUP, data=FRESH), now, now)
    assert machine.role is Role.MASTER


def test_master_that_was_not_promoted_blind_keeps_mastership_beside_newer_configuration() -> None:
    machine = backup(LOWER)
    silent = Nanos(NOW + machine.peer.patience)
    machine.on_timer(silent)
    assert machine.role is Role.MASTER
    machine.on_advert(advert(Role.FAULT), silent, silent)
    machine.on_advert(advert(Role.BACKUP, data=FRESH), silent, silent)
    assert machine.role is Role.MASTER


def test_promotion_without_ever_having_heard_a_master_knows_of_no_silence() -> None:
    machine = started(HIGHER)
    machine.on_advert(advert(Role.INIT), NOW, NOW)
    assert machine.role is Role.BACKUP
    (change,) = [one for one in machine.on_timer(machine.judge_at) if isinstance(one, Changed)]
    assert (change.new, change.silent) == (Role.MASTER, 0)


def test_online_does_not_override_the_other_key_unless_forced() -> None:
    machine = ElectionMachine(LOWER)
    machine.start(NOW, present=True)
    machine.on_bad_key(NOW)
    assert machine.role is Role.FAULT
    machine.online(NOW)
    assert machine.role is Role.FAULT
    machine.online(NOW, force=True)
    assert machine.role is Role.BACKUP


def test_rivals_that_hear_each_other_within_patience_are_still_the_same_rivalry() -> None:
    machine = master(LOWER)
    machine.on_advert(advert(), NOW, NOW)
    again = Nanos(NOW + machine.peer.patience)
    assert machine.on_advert(advert(), again, again) == []
    later = Nanos(again + machine.peer.patience + 1)
    assert machine.on_advert(advert(), later, later) == [Send()]


def test_peer_hears_us_up_to_its_whole_patience() -> None:
    machine = master(LOWER)
    patience = machine.peer.their_patience
    machine.on_advert(advert(Role.BACKUP), Nanos(NOW + patience), NOW)
    assert machine.peer.hears_us(Nanos(NOW + patience))
    machine.on_advert(advert(Role.BACKUP), Nanos(NOW + patience + 1), NOW)
    assert not machine.peer.hears_us(Nanos(NOW + patience + 1))


def test_loop_is_late_above_half_an_interval() -> None:
    for late, excused in ((INTERVAL // 2, False), (INTERVAL // 2 + 1, True)):
        machine = backup()
        judged = machine.judge_at
        machine.on_timer(NOW)
        machine.awake(Nanos(machine.deadline + late))
        assert (machine.judge_at > judged) is excused


def test_each_stay_as_backup_is_excused_anew() -> None:
    machine = backup()
    machine.on_timer(NOW)
    machine.awake(Nanos(machine.deadline + INTERVAL))
    machine.on_timer(machine.judge_at)
    assert machine.role is Role.MASTER
    now = machine.since
    machine.on_advert(advert(Role.FAULT), now, now)
    machine.failover(now, force=True)
    assert machine.role is Role.BACKUP
    judged = machine.judge_at
    machine.awake(Nanos(machine.deadline + INTERVAL))
    assert machine.judge_at > judged


def test_master_that_was_promoted_blind_once_is_not_blind_in_its_next_mastership() -> None:
    machine = ElectionMachine(LOWER)
    machine.start(NOW, present=False)
    now = Nanos(NOW + nanos(0.7))
    machine.on_timer(now)
    machine.standby(now)
    machine.online(now)
    machine.on_advert(advert(Role.MASTER), now, now)
    machine.on_advert(advert(Role.BACKUP, priority=0), now, now)
    assert machine.role is Role.MASTER
    machine.on_advert(advert(Role.BACKUP, data=FRESH), now, now)
    assert machine.role is Role.MASTER
