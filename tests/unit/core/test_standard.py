"""The election by a standard. The rules of RFC 9568 section 6.4 have its numbers in the tests' names, ucarp's have its name.

An address owner (priority 255) is none of ours: no node owns a floating address, and `priority` ends at 254.
"""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core.actions import Action, Advertise, Changed, Claim, Identity, Release, Send
from skd_cluster.core.dialect import GONE, Bid, Carp, Dialect, Vrrp
from skd_cluster.core.model import NEVER, SECOND, DataVersion, Nanos, Reason, Role, Transport, nanos
from skd_cluster.core.standard import StandardElection
from skd_cluster.core.timers import FAR
from skd_cluster.core.wire import Flag
from tests.unit.core.machines import (
    BROKEN,
    CARP_PATIENCE,
    NOW,
    OURS,
    SLOW,
    VRRP_PATIENCE,
    advert,
    carp,
    native,
    standard,
    standard_backup,
    standard_master,
    vrrp,
)

TWICE = Nanos(2 * SECOND)
EAGER = replace(SLOW, preempt=True)
LATER = Nanos(NOW + SECOND)
KINDS = pytest.mark.parametrize("kind", [Carp, Vrrp])


def only(actions: list[Action], *kinds: type[Action]) -> list[Action]:
    return [action for action in actions if isinstance(action, kinds)]


# ---- RFC 9568 section 6.4.1, Initialize


def test_rfc9568_6_4_1_start_waits_active_down_interval_at_its_own_pace() -> None:
    machine = standard()
    assert (machine.role, machine.judge_at) == (Role.INIT, NOW + VRRP_PATIENCE)
    assert only(machine.on_timer(Nanos(NOW + VRRP_PATIENCE - 1)), Claim, Advertise) == []
    assert machine.role is Role.INIT


def test_rfc9568_6_4_1_start_beside_a_master_follows_it() -> None:
    machine = standard()
    found = machine.on_bid(vrrp(1, TWICE), NOW)
    assert found == [Release(), Changed(Role.INIT, Role.BACKUP, Reason.PEER_MASTER)]
    assert machine.judge_at == NOW + 2 * VRRP_PATIENCE


def test_rfc9568_6_4_1_start_hears_a_last_word_and_goes_on_waiting() -> None:
    machine = standard()
    assert machine.on_bid(vrrp(0), LATER) == []
    assert (machine.role, machine.judge_at, machine.follows(LATER)) == (Role.INIT, NOW + VRRP_PATIENCE, False)


# ---- RFC 9568 section 6.4.2, Backup


def test_rfc9568_6_4_2_backup_takes_over_after_active_down_interval_and_advertises() -> None:
    machine = standard_backup(vrrp(200))
    due = Nanos(NOW + VRRP_PATIENCE)
    assert Claim() not in machine.on_timer(Nanos(due - 1))
    assert machine.on_timer(due)[:4] == [
        Claim(),
        Changed(Role.BACKUP, Role.MASTER, Reason.PEER_SILENT, silent=VRRP_PATIENCE),
        Send(),
        Advertise(),
    ]
    assert Advertise() not in machine.on_timer(Nanos(due + SECOND - 1))
    assert Advertise() in machine.on_timer(Nanos(due + SECOND))


def test_rfc9568_6_4_2_backup_waits_only_skew_time_after_priority_0() -> None:
    machine = standard_backup(vrrp(200))
    assert machine.on_bid(vrrp(0), LATER) == []
    assert machine.judge_at == LATER + nanos(0.609375)
    assert machine.peer.patience == VRRP_PATIENCE
    assert Changed(Role.BACKUP, Role.MASTER, Reason.PEER_RESIGNED, silent=nanos(1.609375)) in machine.on_timer(
        machine.judge_at
    )


@pytest.mark.parametrize("me", [SLOW, EAGER])
@pytest.mark.parametrize("priority", [100, 101])
def test_rfc9568_6_4_2_backup_sets_its_timer_by_the_interval_of_who_has_its_priority_or_more(
    me: Identity, priority: int
) -> None:
    machine = standard_backup(vrrp(200), me=me)
    assert machine.on_bid(vrrp(priority, TWICE), LATER) == []
    assert machine.judge_at == LATER + 2 * VRRP_PATIENCE
    assert machine.peer.patience == 2 * VRRP_PATIENCE
    assert machine.on_bid(vrrp(priority), LATER) == []
    assert machine.judge_at == LATER + VRRP_PATIENCE


def test_rfc9568_6_4_2_backup_without_preempt_sets_its_timer_by_a_lower_priority_as_well() -> None:
    machine = standard_backup(vrrp(200))
    machine.on_bid(vrrp(99, TWICE), LATER)
    assert machine.judge_at == LATER + 2 * VRRP_PATIENCE


def test_rfc9568_6_4_2_backup_with_preempt_discards_a_lower_priority_and_lets_its_timer_run_out() -> None:
    machine = standard_backup(vrrp(200), me=EAGER)
    assert machine.on_bid(vrrp(99), LATER) == []
    assert machine.judge_at == NOW + VRRP_PATIENCE
    machine.on_timer(machine.judge_at)
    assert (machine.role, machine.reason) == (Role.MASTER, Reason.ELECTED)


def test_rfc9568_6_4_2_preemption_is_forgotten_when_a_higher_priority_is_heard() -> None:
    machine = standard_backup(vrrp(200), me=EAGER)
    machine.on_bid(vrrp(99), LATER)
    machine.on_bid(vrrp(200), LATER)
    machine.on_timer(machine.judge_at)
    assert (machine.role, machine.reason, machine.since) == (Role.MASTER, Reason.PEER_SILENT, LATER + VRRP_PATIENCE)


def test_rfc9568_6_4_2_priority_0_while_preempting_is_no_reason_to_discard_it() -> None:
    machine = standard_backup(vrrp(200), me=EAGER)
    machine.on_bid(vrrp(99), LATER)
    machine.on_bid(vrrp(0), LATER)
    assert machine.judge_at == LATER + nanos(0.609375)
    machine.on_timer(machine.judge_at)
    assert machine.reason is Reason.PEER_RESIGNED


def test_rfc9568_6_4_2_shutdown_of_a_backup_says_nothing() -> None:
    machine = standard_backup(vrrp())
    assert machine.stop(LATER) == [Release(), Changed(Role.BACKUP, Role.STANDBY, Reason.SHUTDOWN)]
    assert machine.on_bid(vrrp(), LATER) == []
    assert Advertise() not in machine.on_timer(Nanos(LATER + 100 * SECOND))


# ---- RFC 9568 section 6.4.3, Active


def test_rfc9568_6_4_3_active_advertises_each_interval() -> None:
    machine = standard_master()
    for number in (1, 2, 3):
        due = Nanos(NOW + number * SECOND)
        assert Advertise() not in machine.on_timer(Nanos(due - 1))
        assert machine.deadline <= due
        assert only(machine.on_timer(due), Advertise) == [Advertise()]


def test_rfc9568_6_4_3_active_answers_priority_0_at_once_and_resets_its_timer() -> None:
    machine = standard_master()
    half = Nanos(NOW + SECOND // 2)
    assert machine.on_bid(vrrp(0), half) == [Advertise()]
    assert Advertise() not in machine.on_timer(Nanos(half + SECOND - 1))
    assert Advertise() in machine.on_timer(Nanos(half + SECOND))


@pytest.mark.parametrize("heard", [vrrp(101, TWICE), vrrp(100, TWICE)])
def test_rfc9568_6_4_3_active_yields_to_a_higher_priority_or_address_and_waits_at_its_pace(heard: Bid) -> None:
    machine = standard_master()
    yields = [Release(), Changed(Role.MASTER, Role.BACKUP, Reason.RIVAL_WON)]
    assert machine.on_bid(heard, LATER) == [*yields, Advertise()], (
        "and a last word, as keepalived's, which has no place in it"
    )
    assert machine.judge_at == LATER + 2 * VRRP_PATIENCE
    assert machine.follows(LATER)
    assert Advertise() not in machine.on_timer(Nanos(LATER + SECOND))


def test_beside_a_fast_weaker_master_addresses_are_announced_once_a_second() -> None:
    machine = standard_master()
    claims = [machine.on_bid(vrrp(99), Nanos(NOW + number * SECOND // 100)).count(Claim()) for number in range(250)]
    assert sum(claims) == 3
    assert [number for number, claim in enumerate(claims) if claim] == [0, 100, 200]


@pytest.mark.parametrize("heard", [vrrp(99), vrrp(100, source=OURS)])
def test_rfc9568_6_4_3_active_discards_a_lower_priority_or_address_and_advertises_at_once(heard: Bid) -> None:
    """And announces its addresses again, as keepalived does: the other one has announced them too."""
    machine = standard_master(me=replace(SLOW, lower=False))
    half = Nanos(NOW + SECOND // 2)
    assert machine.on_bid(heard, half) == [Advertise(), Claim()]
    assert machine.role is Role.MASTER
    assert Advertise() not in machine.on_timer(Nanos(half + SECOND - 1))
    assert Claim() not in machine.on_timer(Nanos(half + SECOND))
    assert only(machine.on_timer(Nanos(half + 2 * SECOND)), Claim, Advertise) == [Advertise(), Claim()]
    assert Claim() not in machine.on_timer(Nanos(half + 3 * SECOND))


def test_rfc9568_6_4_3_shutdown_of_the_active_sends_priority_0_after_the_addresses_are_gone() -> None:
    machine = standard_master()
    assert machine.stop(LATER) == [
        Release(),
        Changed(Role.MASTER, Role.STANDBY, Reason.SHUTDOWN),
        Send(copies=2),
        Advertise(resigns=True),
    ]
    assert Advertise() not in machine.on_timer(Nanos(LATER + 100 * SECOND))


# ---- ucarp


def test_ucarp_start_waits_its_dead_interval() -> None:
    assert standard(Carp).judge_at == NOW + CARP_PATIENCE


def test_ucarp_backup_takes_over_after_dead_ratio_times_its_own_base_and_skew() -> None:
    machine = standard_backup(carp(2), Carp, me=replace(SLOW, priority=36, dead_ratio=4))
    assert machine.judge_at == NOW + nanos(4.25)
    machine.on_bid(carp(1), LATER)
    assert machine.judge_at == LATER + nanos(4.25)
    assert Advertise() in machine.on_timer(machine.judge_at)
    assert machine.reason is Reason.PEER_SILENT


def test_ucarp_backup_with_preempt_takes_over_from_a_longer_interval_at_once() -> None:
    machine = standard_backup(carp(1), Carp, me=EAGER)
    assert machine.on_bid(carp(1.5), LATER) == [
        Claim(),
        Changed(Role.BACKUP, Role.MASTER, Reason.ELECTED),
        Send(),
        Advertise(),
    ]


def test_ucarp_backup_without_preempt_or_beside_an_equal_one_goes_on_following() -> None:
    """The lower address stays among masters, but takes nothing over."""
    for me, heard in ((SLOW, carp(1.5)), (EAGER, carp(1))):
        machine = standard_backup(carp(1), Carp, me=me)
        assert machine.on_bid(heard, LATER) == []
        assert machine.judge_at == LATER + CARP_PATIENCE


def test_ucarp_backup_takes_over_at_once_from_a_master_slower_than_it_would_wait() -> None:
    machine = standard_backup(carp(1), Carp)
    assert machine.on_bid(carp(3), LATER) == []
    assert Claim() in machine.on_bid(carp(3.1), LATER)
    assert machine.reason is Reason.PEER_RESIGNED


def test_ucarp_backup_takes_over_at_once_from_one_that_says_it_is_gone() -> None:
    machine = standard_backup(carp(1), Carp, me=replace(SLOW, interval=Nanos(200 * SECOND)))
    assert Claim() in machine.on_bid(carp(GONE / SECOND), LATER)
    assert machine.reason is Reason.PEER_RESIGNED


@pytest.mark.parametrize("heard", [carp(0.5), carp(1, OURS)])
def test_ucarp_master_yields_to_a_shorter_interval_or_a_lower_address_after_one_last_advertisement(heard: Bid) -> None:
    machine = standard_master(Carp, replace(SLOW, lower=False))
    assert machine.on_bid(heard, LATER) == [Release(), Changed(Role.MASTER, Role.BACKUP, Reason.RIVAL_WON), Advertise()]
    assert Advertise() not in machine.on_timer(Nanos(LATER + SECOND))


@pytest.mark.parametrize("heard", [carp(1.5), carp(1)])
def test_ucarp_master_announces_beside_a_weaker_one_now_and_after_two_advertisements(heard: Bid) -> None:
    machine = standard_master(Carp)
    half = Nanos(NOW + SECOND // 2)
    assert machine.on_bid(heard, half) == [Claim()]
    assert only(machine.on_timer(Nanos(NOW + SECOND)), Claim, Advertise) == [Advertise()]
    assert only(machine.on_timer(Nanos(NOW + 2 * SECOND)), Claim, Advertise) == [Advertise(), Claim()]
    assert only(machine.on_timer(Nanos(NOW + 3 * SECOND)), Claim, Advertise) == [Advertise()]


def test_ucarp_master_answers_one_that_says_it_is_gone() -> None:
    assert standard_master(Carp).on_bid(carp(GONE / SECOND), LATER) == [Advertise()]


# ---- both


@KINDS
def test_promotion_advertises_once_and_then_at_its_pace(kind: type[Dialect]) -> None:
    machine = standard(kind)
    due = machine.judge_at
    assert only(machine.on_timer(due), Claim, Advertise) == [Claim(), Advertise()]
    assert only(machine.on_timer(Nanos(due + SECOND)), Claim, Advertise) == [Advertise()]


@KINDS
def test_master_that_resumes_after_its_restart_advertises_at_once(kind: type[Dialect]) -> None:
    """It was restarted under the native rule, and finds another transport in its configuration."""
    machine = StandardElection(SLOW, dialect=kind(OURS))
    machine.start(NOW, present=True, resumes=True)
    assert (machine.role, machine.deadline) == (Role.MASTER, NOW)
    assert Advertise() in machine.on_timer(NOW)


@KINDS
def test_preemption_waits_for_its_delay(kind: type[Dialect]) -> None:
    machine = standard_backup(kind(OURS).bid(SLOW), kind, me=replace(EAGER, preempt_delay=Nanos(3 * SECOND)))
    weaker = kind(OURS).bid(replace(SLOW, priority=50))
    for after, discarded in ((2.999999999, False), (3, True)):
        judged = machine.judge_at
        machine.on_bid(weaker, Nanos(NOW + nanos(after)))
        assert (machine.role is Role.MASTER or machine.judge_at == judged) is discarded


@KINDS
@pytest.mark.parametrize("leave", ["failover", "standby", "fault"])
def test_resigning_is_said_in_both_languages_after_the_addresses_are_gone(kind: type[Dialect], leave: str) -> None:
    machine = standard_master(kind)
    match leave:
        case "failover":
            actions = machine.failover(LATER, force=True)[1]
        case "standby":
            actions = machine.standby(LATER)
        case _:
            actions = machine.set_faults(BROKEN, LATER)
    assert [type(action) for action in actions] == [Release, Changed, Send, Advertise]
    assert actions[-1] == Advertise(resigns=True)


@KINDS
def test_one_that_resigned_takes_back_after_its_own_patience_whoever_was_heard_before(kind: type[Dialect]) -> None:
    """What a rival's pace was long ago is no measure for a silence of today."""
    machine = standard_backup(kind(OURS).bid(replace(SLOW, interval=nanos(2.5))), kind)
    machine.on_timer(machine.judge_at)
    machine.on_bid(kind(OURS).bid(replace(SLOW, interval=nanos(2.9), priority=50)), machine.since)
    now = machine.since
    machine.failover(now, force=True)
    assert machine.judge_at == now + machine.dialect.patience(SLOW, None)
    machine.on_timer(machine.judge_at)
    assert (machine.role, machine.reason) == (Role.MASTER, Reason.PEER_SILENT)


@KINDS
def test_resignation_is_over_when_somebody_is_master(kind: type[Dialect]) -> None:
    machine = standard_master(kind)
    machine.standby(NOW)
    assert machine.word(LATER, paced=False).priority == 0
    machine.on_bid(kind(OURS).bid(SLOW), LATER)
    assert machine.word(LATER, paced=False).priority == 100
    assert machine.role is Role.STANDBY


@KINDS
def test_failover_to_a_backup_that_the_standard_keeps_silent_has_to_be_forced(kind: type[Dialect]) -> None:
    machine = standard_master(kind)
    refusal, actions = machine.failover(LATER)
    assert refusal == (
        f"a backup of {kind.transport.word} is silent, so whether it could take over is not known here: --force tries"
    )
    assert (actions, machine.role) == ([], Role.MASTER)
    assert machine.failover(LATER, force=True)[0] == ""
    assert machine.failover(LATER)[0] == "this node is backup, only the master can hand over"


@KINDS
def test_failover_to_a_peer_that_is_heard_natively_is_asked_of_it(kind: type[Dialect]) -> None:
    machine = standard_master(kind)
    machine.on_advert(native(kind, Role.FAULT), LATER, LATER)
    assert machine.failover(LATER)[0] == "the peer is fault"
    machine.on_advert(native(kind, Role.BACKUP), LATER, LATER)
    assert machine.failover(LATER)[0] == ""


@KINDS
def test_restart_leaves_where_the_standard_decides_and_keeps_the_addresses_where_the_native_rule_does(
    kind: type[Dialect],
) -> None:
    machine = standard_master(kind)
    assert machine.restart(LATER) == []
    machine.on_advert(advert(Role.BACKUP), LATER, LATER)
    assert machine.restart(LATER) == [Send(copies=2)]


@KINDS
def test_master_without_a_witness_steps_down_and_says_so_since_a_backup_may_be_there(kind: type[Dialect]) -> None:
    machine = standard_master(kind)
    machine.witnessed = False
    actions = machine.on_timer(LATER)
    assert [Release(), Changed(Role.MASTER, Role.BACKUP, Reason.NO_WITNESS), Advertise(resigns=True)] == actions[:3]
    assert only(machine.on_timer(Nanos(LATER + 10 * SECOND)), Claim) == []


@KINDS
def test_witness_does_not_matter_to_a_backup_or_while_the_peer_is_heard(kind: type[Dialect]) -> None:
    machine = standard_backup(kind(OURS).bid(SLOW), kind)
    machine.witnessed = False
    assert only(machine.on_timer(LATER), Advertise) == []
    machine = standard_master(kind)
    machine.witnessed = False
    machine.on_advert(native(kind, Role.BACKUP), LATER, LATER)
    assert only(machine.on_timer(LATER), Release) == []


@KINDS
def test_fault_ends_with_the_other_key_that_was_its_cause(kind: type[Dialect]) -> None:
    machine = standard(kind)
    machine.on_bad_key(NOW)
    assert machine.role is Role.FAULT
    assert [type(one) for one in machine.on_bid(kind(OURS).bid(SLOW), LATER)] == [Release, Changed]
    assert (machine.role, machine.reason) == (Role.BACKUP, Reason.RECOVERED)
    assert machine.on_bad_key(LATER) == []
    assert machine.role is Role.BACKUP


@KINDS
def test_last_word_is_no_sign_that_the_key_is_right_for_long(kind: type[Dialect]) -> None:
    machine = standard(kind)
    machine.on_bid(Bid((0, 0), Nanos(SECOND), resigns=True), NOW)
    assert not machine.follows(NOW)
    machine.on_bad_key(LATER)
    assert machine.role is Role.FAULT


@KINDS
def test_master_is_heard_for_as_long_as_one_waits_for_it(kind: type[Dialect]) -> None:
    machine = standard_backup(kind(OURS).bid(SLOW), kind)
    patience = machine.peer.patience
    assert machine.follows(Nanos(NOW + patience))
    assert not machine.follows(Nanos(NOW + patience + 1))
    assert not standard(kind).follows(NOW)
    assert not standard(kind).follows(Nanos(1))  # just after the machine's boot
    machine.on_advert(advert(Role.BACKUP), NOW, NOW)
    assert not machine.follows(NOW)


@KINDS
def test_master_that_overslept_asks_nobody_and_hears_its_rival_first(kind: type[Dialect]) -> None:
    machine = standard_master(kind)
    machine.on_advert(native(kind, Role.BACKUP), NOW, NOW)
    later = Nanos(NOW + 60 * SECOND)
    assert machine.awake(later) == []
    assert machine.role is Role.MASTER
    machine.on_bid(Bid((1000, 0), Nanos(SECOND)), later)
    assert (machine.role, machine.reason) == (Role.BACKUP, Reason.RIVAL_WON)


@KINDS
def test_backup_that_overslept_gives_the_master_its_patience_anew_once(kind: type[Dialect]) -> None:
    machine = standard_backup(kind(OURS).bid(SLOW), kind)
    later = Nanos(NOW + 60 * SECOND)
    machine.awake(later)
    assert machine.judge_at == later + machine.peer.patience
    again = Nanos(later + 60 * SECOND)
    machine.awake(again)
    assert machine.judge_at < again
    machine.on_bid(kind(OURS).bid(SLOW), again)
    last = Nanos(again + 60 * SECOND)
    machine.awake(last)
    assert machine.judge_at > last


@KINDS
def test_master_that_overslept_speaks_once_and_not_for_each_interval_it_missed(kind: type[Dialect]) -> None:
    machine = standard_master(kind)
    later = Nanos(NOW + nanos(60.5))
    assert only(machine.on_timer(later), Advertise) == [Advertise()]
    assert Advertise() not in machine.on_timer(Nanos(later + SECOND - 1))
    assert Advertise() in machine.on_timer(Nanos(later + SECOND))


@KINDS
def test_new_settings_are_said_at_once_and_the_wait_goes_by_them(kind: type[Dialect]) -> None:
    machine = standard_master(kind)
    machine.retune(replace(SLOW, priority=50, dead_ratio=5), NOW)
    assert Advertise() in machine.on_timer(NOW)
    assert machine.peer.patience == machine.dialect.patience(machine.me, None) > 5 * SECOND
    backup = standard_backup(kind(OURS).bid(SLOW), kind)
    backup.retune(replace(SLOW, priority=50), NOW)
    assert Advertise() not in backup.on_timer(LATER)


@KINDS
def test_each_mastership_and_each_wait_begins_with_nothing_of_the_one_before(kind: type[Dialect]) -> None:
    machine = standard_backup(kind(OURS).bid(SLOW), kind, me=EAGER)
    machine.on_bid(kind(OURS).bid(replace(SLOW, priority=50)), LATER)
    machine.on_timer(Nanos(NOW + VRRP_PATIENCE))
    assert machine.reason is Reason.ELECTED
    machine.on_bid(kind(OURS).bid(replace(SLOW, priority=50)), machine.since)
    machine.failover(machine.since, force=True)
    machine.on_timer(machine.judge_at)
    assert (machine.role, machine.reason) == (Role.MASTER, Reason.PEER_SILENT)
    for number in (1, 2, 3):
        assert Claim() not in machine.on_timer(Nanos(machine.since + number * SECOND))


# ---- the native packets beside it


@KINDS
def test_peer_that_speaks_the_same_is_followed_by_its_native_words(kind: type[Dialect]) -> None:
    machine = standard(kind)
    found = machine.on_advert(native(kind, interval=TWICE, epoch=6), NOW, NOW)
    assert [type(one) for one in found] == [Changed, Release, Changed, Send]
    assert (machine.role, machine.epoch) == (Role.BACKUP, 6)
    assert machine.judge_at == NOW + (CARP_PATIENCE if kind is Carp else 2 * VRRP_PATIENCE)
    assert machine.on_advert(native(kind, epoch=6), LATER, NOW) == []
    assert machine.judge_at == LATER + (CARP_PATIENCE if kind is Carp else VRRP_PATIENCE)


@KINDS
@pytest.mark.parametrize(("priority", "yields"), [(200, True), (99, False)])
def test_two_masters_whose_bids_are_all_lost_go_by_the_native_words(
    kind: type[Dialect], priority: int, *, yields: bool
) -> None:
    """A switch that filters multicast: the native packets are unicast, and there are heartbeat links."""
    machine = standard_master(kind, replace(SLOW, priority=99 if yields else 100))
    assert machine.on_advert(native(kind, priority=priority), LATER, LATER) != []
    assert (machine.role is Role.BACKUP) is yields


@KINDS
def test_two_masters_of_equal_rank_go_by_the_nodes_own_addresses_in_native_words(kind: type[Dialect]) -> None:
    machine = standard_master(kind)
    machine.dialect.source = Vrrp(OURS).local + 1000  # over IPv6 packets come from elsewhere
    machine.on_advert(native(kind), LATER, LATER)
    assert (machine.role is Role.MASTER) is (kind is Carp)


@KINDS
def test_survivor_answers_its_rivals_first_native_word_and_announces_when_it_has_yielded(kind: type[Dialect]) -> None:
    machine = standard_master(kind)
    said = [Claim(), Send()] if kind is Carp else [Advertise(), Claim(), Send()]
    assert machine.on_advert(native(kind, priority=99), NOW, NOW) == said
    assert machine.on_advert(native(kind, priority=99), NOW, NOW) == []
    epoch = machine.epoch
    yielded = machine.on_advert(native(kind, Role.BACKUP, priority=99), NOW, NOW)
    assert yielded == [Changed(Role.MASTER, Role.MASTER, Reason.RIVAL_WON), Claim(), Send()]
    assert machine.epoch > epoch
    assert machine.on_advert(native(kind, Role.BACKUP, priority=99), NOW, NOW) == []


@KINDS
def test_survivor_rises_above_the_epoch_of_a_rival_that_it_never_met(kind: type[Dialect]) -> None:
    machine = standard_master(kind)
    assert Claim() in machine.on_advert(native(kind, Role.BACKUP, epoch=8), LATER, LATER)
    assert machine.epoch == 9
    machine.on_advert(native(kind, Role.BACKUP, epoch=9), LATER, LATER)
    assert machine.epoch == 9


@KINDS
def test_master_follows_no_epoch_of_a_weaker_one(kind: type[Dialect]) -> None:
    machine = standard_master(kind)
    machine.on_advert(native(kind, priority=99, epoch=8), LATER, LATER)
    assert (machine.role, machine.epoch) == (Role.MASTER, 1)


@KINDS
def test_master_that_its_rival_does_not_hear_yields_after_the_rivals_patience(kind: type[Dialect]) -> None:
    machine = standard_master(kind)
    rival = native(kind, priority=99, epoch=8, interval=TWICE)
    machine.on_advert(rival, NOW, NEVER)
    patience = machine.peer.their_patience
    assert machine.on_advert(rival, Nanos(NOW + patience), NEVER) == []
    late = Nanos(NOW + patience + 1)
    found = machine.on_advert(rival, late, NEVER)
    assert found == [Release(), Changed(Role.MASTER, Role.BACKUP, Reason.NOT_HEARD), Send()]
    assert machine.epoch == 9
    assert machine.judge_at == late + machine.dialect.patience(SLOW, vrrp(99, TWICE))
    assert machine.judge_at == late + (CARP_PATIENCE if kind is Carp else 2 * VRRP_PATIENCE)


@KINDS
def test_one_that_is_not_heard_or_is_behind_does_not_preempt(kind: type[Dialect]) -> None:
    """Or it would yield again and again; or replicate yesterday over today."""
    for said, heard_us_at, preempts in (
        ({}, LATER, True),
        ({}, Nanos(LATER - 4 * SECOND), False),
        ({"data": DataVersion(1, 1)}, LATER, False),
    ):
        machine = standard_backup(kind(OURS).bid(SLOW), kind, me=EAGER)
        judged = machine.judge_at
        machine.on_advert(native(kind, priority=50, **said), LATER, heard_us_at)
        assert (machine.role is Role.MASTER or machine.judge_at == judged) is preempts


@KINDS
def test_equal_configuration_is_not_behind(kind: type[Dialect]) -> None:
    machine = standard_backup(kind(OURS).bid(SLOW), kind, me=EAGER, data=DataVersion(1, 1))
    machine.on_advert(native(kind, priority=50, data=DataVersion(1, 1)), LATER, LATER)
    machine.on_timer(Nanos(NOW + VRRP_PATIENCE))
    assert machine.role is Role.MASTER


@KINDS
def test_what_a_peer_said_that_is_silent_by_now_keeps_nobody_from_preempting(kind: type[Dialect]) -> None:
    machine = standard_backup(kind(OURS).bid(SLOW), kind, me=EAGER)
    machine.on_advert(native(kind, data=DataVersion(1, 1), priority=200), NOW, NEVER)
    later = Nanos(NOW + nanos(3.2))
    machine.on_bid(kind(OURS).bid(replace(SLOW, priority=50)), later)
    machine.on_timer(Nanos(NOW + VRRP_PATIENCE))
    assert machine.role is Role.MASTER


@KINDS
def test_bids_are_not_believed_while_the_peer_is_heard_natively(kind: type[Dialect]) -> None:
    """A recorded one, that is: what the peer says now it says natively as well."""
    strong = Bid((1000, 0), Nanos(SECOND))
    machine = standard_master(kind)
    machine.on_advert(native(kind, Role.BACKUP), NOW, NOW)
    last = Nanos(NOW + machine.peer._native_patience)
    assert machine.on_bid(strong, last) == []
    assert (machine.role, machine.follows(last)) == (Role.MASTER, False)
    machine.on_bid(strong, Nanos(last + 1))
    assert machine.role is Role.BACKUP


@KINDS
def test_native_resignation_is_taken_up_at_once_if_it_is_of_now(kind: type[Dialect]) -> None:
    heard = kind(OURS).bid(SLOW)
    machine = standard_backup(heard, kind)
    assert machine.on_advert(native(kind, Role.BACKUP, priority=0), LATER, Nanos(LATER - 4 * SECOND)) == [Send()]
    found = machine.on_advert(native(kind, Role.BACKUP, priority=0), LATER, LATER)
    assert found == [Claim(), Changed(Role.BACKUP, Role.MASTER, Reason.PEER_RESIGNED), Send(), Advertise()]


@KINDS
def test_two_that_both_resigned_wait_until_one_takes_back(kind: type[Dialect]) -> None:
    machine = standard_master(kind)
    machine.failover(NOW, force=True)
    until = machine.judge_at
    assert machine.on_advert(native(kind, Role.BACKUP, priority=0), Nanos(until - 1), Nanos(until - 1)) == [Send()]
    machine.on_advert(native(kind, Role.BACKUP, priority=0), until, until)
    assert machine.role is Role.MASTER


@KINDS
def test_start_does_not_take_up_a_resignation_of_before(kind: type[Dialect]) -> None:
    machine = standard(kind)
    assert machine.on_advert(native(kind, Role.BACKUP, priority=0), LATER, LATER) == [Send()]
    assert machine.role is Role.INIT


@KINDS
def test_poll_and_first_word_are_answered_once(kind: type[Dialect]) -> None:
    machine = standard(kind)
    assert machine.on_advert(native(kind, Role.INIT), NOW, NOW) == [Send()]
    assert machine.on_advert(native(kind, Role.INIT), NOW, NOW) == []
    assert machine.on_advert(native(kind, Role.INIT, flags=Flag.POLL), NOW, NOW) == [Send()]
    machine = standard_backup(kind(OURS).bid(SLOW), kind)
    resigned = native(kind, Role.BACKUP, priority=0, flags=Flag.POLL)
    assert only(machine.on_advert(resigned, NOW, NOW), Send) == [Send()]


@KINDS
def test_fault_and_standby_adopt_the_epoch_and_no_role(kind: type[Dialect]) -> None:
    machine = standard(kind)
    machine.standby(NOW)
    assert machine.on_advert(native(kind, epoch=4), NOW, NOW)[0] == Changed(Role.STANDBY, Role.STANDBY, Reason.STANDBY)
    assert (machine.role, machine.epoch) == (Role.STANDBY, 4)


@KINDS
def test_native_word_recovers_from_the_other_key(kind: type[Dialect]) -> None:
    machine = standard(kind)
    machine.on_bad_key(NOW)
    machine.on_advert(native(kind, Role.BACKUP), NOW, NOW)
    assert (machine.role, machine.reason) == (Role.BACKUP, Reason.RECOVERED)


def test_longer_interval_that_is_announced_already_is_the_rank_among_native_words() -> None:
    """Found by the hunt: the peer took it for the weaker one, and it did not."""
    machine = standard_master(Carp)
    machine.retune(replace(SLOW, interval=Nanos(2 * SECOND)), NOW)
    machine.on_advert(native(Carp), NOW, NOW)
    assert machine.role is Role.BACKUP


# ---- one transport after the other


@KINDS
def test_native_rule_is_in_force_while_a_peer_of_another_transport_is_heard(kind: type[Dialect]) -> None:
    machine = standard(kind)
    assert machine.standard
    machine.on_advert(advert(epoch=2), NOW, NOW)
    assert (machine.standard, machine.role, machine.peer.imposed) == (False, Role.BACKUP, NEVER)
    assert machine.judge_at == NOW + machine.peer.patience < LATER
    assert machine.on_bid(Bid((1000, 0), Nanos(SECOND)), NOW) == []
    assert not machine.follows(NOW)
    machine.on_advert(native(kind, Role.MASTER, epoch=2), NOW, NOW)
    assert machine.standard
    assert machine.peer.imposed == machine.dialect.patience(SLOW, kind(OURS).bid(SLOW))


@KINDS
def test_native_rules_takeover_advertises_nothing_until_the_peer_is_gone(kind: type[Dialect]) -> None:
    machine = standard(kind)
    machine.on_advert(advert(epoch=2), NOW, NOW)
    machine.on_advert(advert(Role.BACKUP, priority=0, epoch=2), NOW, NOW)
    assert (machine.role, machine.reason) == (Role.MASTER, Reason.PEER_RESIGNED)
    gone = Nanos(NOW + machine.peer.patience)
    assert only(machine.on_timer(gone), Advertise) == []
    assert machine.awake(gone) == []
    assert only(machine.on_timer(Nanos(gone + 1)), Advertise) == [Advertise()]
    assert machine.standard
    assert only(machine.on_timer(Nanos(gone + 1 + SECOND)), Advertise) == [Advertise()]
    resigned = machine.stop(Nanos(gone + 1 + SECOND))
    assert Advertise(resigns=True) in resigned


@KINDS
def test_master_falls_silent_in_the_standard_when_its_peer_comes_with_another_transport(kind: type[Dialect]) -> None:
    machine = standard_master(kind)
    machine.on_advert(advert(Role.INIT), NOW, NOW)
    assert only(machine.on_timer(Nanos(NOW + nanos(0.6))), Advertise) == []
    machine.retune(machine.me, NOW)
    assert only(machine.on_timer(Nanos(NOW + nanos(0.6))), Advertise) == []
    assert machine.failover(Nanos(NOW + 9 * SECOND))[0] == "the peer is not heard"
    assert Advertise(resigns=True) not in machine.failover(NOW, force=True)[1]
    machine = standard_master(kind)
    machine.on_advert(advert(Role.INIT), NOW, NOW)
    machine.on_advert(native(kind, Role.INIT), NOW, NOW)
    assert only(machine.on_timer(NOW), Advertise) == [Advertise()]


@KINDS
def test_another_rule_makes_nobody_wait_for_longer(kind: type[Dialect]) -> None:
    machine = standard_backup(kind(OURS).bid(SLOW), kind)
    judged = machine.judge_at
    machine.on_advert(advert(Role.BACKUP), LATER, LATER)
    assert not machine.standard
    assert machine.judge_at == judged
    machine.on_timer(Nanos(LATER + SECOND))
    assert machine.standard
    assert machine.judge_at == judged
    machine.on_advert(native(kind, Role.BACKUP), LATER, LATER)
    assert machine.judge_at == judged


@KINDS
def test_restart_that_the_peer_waits_for_is_the_native_rules(kind: type[Dialect]) -> None:
    machine = standard(kind)
    machine.on_advert(advert(epoch=2), NOW, NOW)
    machine.on_advert(advert(flags=Flag.RESTARTING, epoch=2), NOW, NOW)
    assert machine.judge_at == NOW + 5 * SECOND
    assert machine._silent_because is Reason.PEER_SILENT


def test_overslept_master_of_the_native_rule_asks() -> None:
    machine = standard_master()
    machine.awake(NOW)
    machine.on_advert(advert(Role.BACKUP), NOW, NOW)
    found = machine.awake(Nanos(NOW + 60 * SECOND))
    told = Changed(Role.MASTER, Role.BACKUP, Reason.PAUSED, "did not run for 60000 ms")
    assert found == [Release(), told, Send()]
    assert (machine.role, machine.reason, machine._silent_because) == (Role.BACKUP, Reason.PAUSED, Reason.RECOVERED)
    later = Nanos(NOW + 60 * SECOND)
    assert Flag.POLL in machine.word(later, paced=False).flags
    machine.on_advert(native(Vrrp), later, later)
    assert Flag.POLL not in machine.word(later, paced=False).flags


# ---- whatever happens


class Life:
    """One machine, and what must hold after each event."""

    def __init__(self, kind: type[Dialect], me: Identity) -> None:
        self.machine = standard(kind, me)
        self.kind = kind
        self.now = NOW
        self.claimed = False

    def step(self, event: tuple[Any, ...]) -> None:
        machine, epoch = self.machine, self.machine.epoch
        self.now = Nanos(self.now + event[0])
        self.look(machine.awake(self.now))
        match event[1:]:
            case ("bid", priority, interval, resigns):
                heard = self.kind(self.machine.dialect.local).bid(Identity(interval, 3, priority, lower=False))
                self.look(machine.on_bid(replace(heard, resigns=resigns), self.now))
            case ("native", role, priority, transport, echoes):
                said = native(self.kind, role, priority=priority, transport=transport, epoch=machine.epoch)
                self.look(machine.on_advert(said, self.now, self.now if echoes else NEVER))
            case (order,):
                self.look(getattr(self, order)())
        self.look(machine.on_timer(self.now))
        assert machine.deadline > self.now
        assert machine.epoch >= epoch
        assert self.claimed is (machine.role is Role.MASTER)
        assert (machine._advertise_at == FAR) is not (machine.standard and machine.role is Role.MASTER)
        assert (machine.peer.imposed == NEVER) is not machine.standard

    def look(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Claim():
                    self.claimed = True
                case Release():
                    self.claimed = False
                case Advertise(resigns):
                    assert self.machine.standard
                    yielded = (
                        Release() in actions and not resigns
                    )  # its last word tells the other one to announce again
                    assert self.claimed is not (resigns or yielded)

    def standby(self) -> list[Action]:
        return self.machine.standby(self.now)

    def online(self) -> list[Action]:
        return self.machine.online(self.now)

    def failover(self) -> list[Action]:
        return self.machine.failover(self.now, force=True)[1]

    def fault(self) -> list[Action]:
        return self.machine.set_faults(BROKEN, self.now)

    def mended(self) -> list[Action]:
        return self.machine.set_faults(frozenset(), self.now)

    def blind(self) -> list[Action]:
        self.machine.witnessed = not self.machine.witnessed
        return []

    def reloaded(self) -> list[Action]:
        return self.machine.retune(replace(self.machine.me, priority=self.machine.me.priority ^ 1), self.now)


SPANS = st.sampled_from([0, 1, SECOND // 3, SECOND, nanos(3.7), 60 * SECOND])
PRIORITIES = st.sampled_from([1, 99, 100, 101, 254])
ORDERS = ("standby", "online", "failover", "fault", "mended", "blind", "reloaded")
EVENTS = st.one_of(
    st.tuples(SPANS, st.just("bid"), PRIORITIES, st.sampled_from([SECOND // 5, SECOND, 9 * SECOND]), st.booleans()),
    st.tuples(SPANS, st.just("native"), st.sampled_from(Role), PRIORITIES, st.sampled_from(Transport), st.booleans()),
    st.tuples(SPANS, st.sampled_from(ORDERS)),
    st.tuples(SPANS, st.just("blind")),
)


@KINDS
@given(events=st.lists(EVENTS, max_size=40), preempt=st.booleans(), lower=st.booleans())
def test_master_holds_and_advertises_and_nobody_else_does(
    kind: type[Dialect], events: list[tuple[Any, ...]], *, preempt: bool, lower: bool
) -> None:
    life = Life(kind, replace(SLOW, preempt=preempt, lower=lower))
    for event in events:
        life.step(event)
