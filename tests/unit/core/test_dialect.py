"""What CARP and VRRP differ in: ranks, waits, last words."""

from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core.actions import Identity
from skd_cluster.core.dialect import GONE, Carp, Dialect, Vrrp
from skd_cluster.core.model import MILLISECOND, SECOND, Nanos, Transport, nanos
from tests.unit.core.machines import CARP_PATIENCE, OURS, SLOW, THEIRS, VRRP_PATIENCE, carp, vrrp

IDENTITIES = st.builds(
    Identity,
    interval=st.integers(1, 300 * SECOND).map(Nanos),
    dead_ratio=st.integers(1, 255),
    priority=st.integers(1, 254),
    lower=st.booleans(),
)


def test_each_says_what_it_is() -> None:
    assert (Carp.transport, Carp.at_once, Carp.repeats) == (Transport.CARP, True, False)
    assert (Vrrp.transport, Vrrp.at_once, Vrrp.repeats) == (Transport.VRRP, False, True)


# ---- CARP


@pytest.mark.parametrize(
    ("interval", "priority", "base", "skew"),
    [(0.01, 254, 1, 0), (1, 100, 1, 0), (1.001, 99, 2, 1), (2, 1, 2, 99), (255, 100, 255, 0), (300, 50, 255, 50)],
)
def test_carp_base_is_the_interval_rounded_up_and_skew_what_priority_lacks(
    interval: float, priority: int, base: int, skew: int
) -> None:
    me = replace(SLOW, interval=nanos(interval), priority=priority)
    assert (Carp.base(me), Carp.skew(me)) == (base, skew)
    pace = base * SECOND + skew * SECOND // 256
    found = Carp(OURS).bid(me)
    assert (found.interval, found.rank, found.resigns) == (pace, (-pace, -int(OURS)), False)


def test_carp_base_is_never_none_at_all() -> None:
    assert Carp.base(replace(SLOW, interval=Nanos(0))) == 1


def test_carp_the_shorter_interval_stays_then_the_lower_address() -> None:
    assert carp(1).rank > carp(1 + 1 / 256).rank
    assert carp(1, OURS).rank > carp(1, THEIRS).rank


def test_carp_dead_interval_is_dead_ratio_times_the_base_and_the_skew_once() -> None:
    """`dead_ratio * advbase + advskew / 256` of ucarp, whatever the master's pace is."""
    assert Carp(OURS).patience(SLOW, None) == CARP_PATIENCE
    skewed = replace(SLOW, priority=36, dead_ratio=4)
    assert Carp(OURS).patience(skewed, None) == 4 * SECOND + SECOND // 4
    assert Carp(OURS).patience(skewed, carp(9)) == 4 * SECOND + SECOND // 4
    assert Carp(OURS).patience(replace(skewed, interval=Nanos(2 * SECOND)), None) == 8 * SECOND + SECOND // 4


def test_carp_gives_up_on_a_master_slower_than_it_would_wait() -> None:
    assert not Carp(OURS).gives_up(SLOW, carp(3))
    assert Carp(OURS).gives_up(SLOW, carp(3 + 1 / 256))
    assert not Carp(OURS).gives_up(replace(SLOW, dead_ratio=4), carp(3.5))


def test_carp_last_word_of_the_bsds_is_understood_however_patient_one_is() -> None:
    assert GONE == 255 * SECOND + 255 * SECOND // 256
    assert Carp.heard(GONE, THEIRS).resigns
    assert not Carp.heard(Nanos(GONE - 1), THEIRS).resigns
    patient = replace(SLOW, interval=Nanos(200 * SECOND))
    assert Carp(OURS).gives_up(patient, Carp.heard(GONE, THEIRS))
    assert not Carp(OURS).gives_up(patient, Carp.heard(Nanos(GONE - 1), THEIRS))


# ---- VRRP


def test_vrrp_the_higher_priority_stays_then_the_higher_address() -> None:
    assert vrrp(101).rank > vrrp(100, source=ip_address("10.0.0.254")).rank
    assert vrrp(100, source=THEIRS).rank > vrrp(100, source=OURS).rank


@pytest.mark.parametrize(("asked", "said"), [(0.001, 0.01), (0.2, 0.2), (0.201, 0.21), (40.95, 40.95), (60, 40.95)])
def test_vrrp_interval_is_in_whole_centiseconds_that_fit_into_twelve_bits(asked: float, said: float) -> None:
    assert Vrrp(OURS).bid(replace(SLOW, interval=nanos(asked))).interval == nanos(said)


def test_vrrp_interval_is_never_none_at_all() -> None:
    assert Vrrp(OURS).bid(replace(SLOW, interval=Nanos(0))).interval == 10 * MILLISECOND


def test_vrrp_bid_is_priority_and_pace_and_only_0_resigns() -> None:
    found = Vrrp(OURS).bid(SLOW)
    assert (found.rank, found.interval, found.resigns) == ((100, int(OURS)), SECOND, False)
    assert vrrp(0).resigns
    assert not vrrp(1).resigns


def test_vrrp_active_down_interval_goes_by_the_masters_pace() -> None:
    """RFC 9568 section 6.1; the RFC's 3 is `dead_ratio`."""
    spoken = Vrrp(OURS)
    assert spoken.patience(SLOW, None) == VRRP_PATIENCE
    assert spoken.patience(SLOW, vrrp(interval=Nanos(2 * SECOND))) == 2 * VRRP_PATIENCE
    assert spoken.patience(replace(SLOW, priority=254, dead_ratio=2), vrrp()) == 2 * SECOND + 2 * SECOND // 256
    assert spoken.patience(SLOW, vrrp(0)) == VRRP_PATIENCE - 3 * SECOND


def test_vrrp_never_gives_up() -> None:
    assert not Vrrp(OURS).gives_up(SLOW, vrrp(0, Nanos(40 * SECOND)))


# ---- both


@pytest.mark.parametrize("kind", [Carp, Vrrp])
def test_packets_may_come_from_another_address_than_the_node_has(kind: type[Dialect]) -> None:
    """VRRP over IPv6 is spoken from the link-local one, and that is what the other one compares."""
    spoken = kind(OURS)
    assert spoken.bid(SLOW) == spoken.bid(SLOW, OURS)
    spoken.source = THEIRS
    assert spoken.bid(SLOW) == spoken.bid(SLOW, THEIRS) != spoken.bid(SLOW, spoken.local)


@given(one=IDENTITIES, other=IDENTITIES, kind=st.sampled_from([Carp, Vrrp]))
def test_of_two_nodes_just_one_stays_and_what_is_configured_goes_before_addresses(
    one: Identity, other: Identity, kind: type[Dialect]
) -> None:
    ours, theirs = kind(OURS).bid(one), kind(THEIRS).bid(other)
    assert (ours.rank > theirs.rank) is not (theirs.rank > ours.rank)
    if ours.weaker(theirs):
        assert theirs.rank > ours.rank
    assert not (ours.weaker(theirs) and theirs.weaker(ours))
    assert not ours.weaker(ours)


@given(me=IDENTITIES, master=IDENTITIES, kind=st.sampled_from([Carp, Vrrp]))
def test_who_does_not_give_up_waits_for_at_least_the_interval_that_the_master_promised(
    me: Identity, master: Identity, kind: type[Dialect]
) -> None:
    heard = kind(THEIRS).bid(master)
    if not kind(OURS).gives_up(me, heard):
        assert kind(OURS).patience(me, heard) >= heard.interval > 0
