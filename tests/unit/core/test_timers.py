"""The exact numbers of the election's timers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core.model import MILLISECOND, SECOND, Nanos, nanos, seconds
from skd_cluster.core.timers import FAR, dead_interval, keepable, next_paced, skew


@pytest.mark.parametrize(
    ("interval", "ratio", "preferred", "expected"),
    [
        (200, 3, True, 612.5),
        (200, 3, False, 625),
        (200, 1, False, 225),
        (10, 3, True, 30.625),
        (1000, 6, False, 6125),
        (40_000, 255, True, 10_202_500),
    ],
)
def test_master_is_lost_after_the_dead_ratio_and_the_skew(
    *, interval: int, ratio: int, preferred: bool, expected: float
) -> None:
    span = Nanos(interval * MILLISECOND)
    assert dead_interval(span, ratio, preferred=preferred) == expected * MILLISECOND


def test_skew_is_a_sixteenth_and_twice_that_for_the_less_preferred() -> None:
    assert (skew(nanos(0.2), preferred=True), skew(nanos(0.2), preferred=False)) == (nanos(0.0125), nanos(0.025))
    assert skew(nanos(0.01), preferred=False) == nanos(0.00125)


@given(st.integers(10**7, 4 * 10**10), st.integers(1, 255))
def test_two_nodes_never_wait_equally_long(interval: int, ratio: int) -> None:
    waits = [dead_interval(Nanos(interval), ratio, preferred=preferred) for preferred in (True, False)]
    assert waits[0] < waits[1] <= waits[0] + interval


@pytest.mark.parametrize(
    ("due", "now", "expected"),
    [
        (1000, 1000, 1200),  # on time
        (1000, 1007, 1200),  # late: the pace stays
        (1000, 1199, 1200),
        (1000, 1200, 1400),  # a whole interval missed: anew
        (1000, 9999, 10199),
    ],
)
def test_pace_is_absolute(due: int, now: int, expected: int) -> None:
    assert next_paced(Nanos(due), Nanos(200), Nanos(now)) == expected


@given(st.integers(0, 10**12), st.integers(1, 10**11), st.integers(0, 10**12))
def test_next_packet_is_ahead_and_at_most_an_interval_away(due: int, interval: int, late: int) -> None:
    now = due + late
    assert now < next_paced(Nanos(due), Nanos(interval), Nanos(now)) <= now + interval


def test_far_is_beyond_any_uptime() -> None:
    assert seconds(FAR) > 100 * 365 * 86400


def test_seconds_and_nanos_agree() -> None:
    assert nanos(0.2) == 200 * MILLISECOND
    assert seconds(Nanos(3 * SECOND // 2)) == 1.5


def test_a_host_that_is_late_by_less_than_a_quarter_keeps_the_interval() -> None:
    assert keepable(nanos(0.01), [nanos(0.0025)] * 200) == (nanos(0.01), nanos(0.0025))


def test_a_host_that_is_later_gets_a_longer_interval_in_steps_of_ten_milliseconds() -> None:
    assert keepable(nanos(0.01), [nanos(0.0026)] * 200) == (nanos(0.02), nanos(0.0026))
    assert keepable(nanos(0.01), [nanos(0.03)] * 200)[0] == nanos(0.12)


def test_a_single_hiccup_decides_nothing() -> None:
    assert keepable(nanos(0.01), [nanos(0.0001)] * 199 + [nanos(1)])[0] == nanos(0.01)


def test_three_late_rounds_of_two_hundred_are_too_many() -> None:
    assert keepable(nanos(0.01), [nanos(0.0001)] * 197 + [nanos(0.03)] * 3)[0] == nanos(0.12)


def test_what_is_asked_of_a_prompt_host_is_not_shortened() -> None:
    asked = nanos(0.05)
    assert keepable(asked, [nanos(0.001)] * 200) == (asked, nanos(0.001))
