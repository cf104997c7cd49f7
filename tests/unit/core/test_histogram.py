"""Counting into buckets as Prometheus does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core import histogram
from skd_cluster.core.histogram import Histogram, histogram_from


def test_observation_on_a_bound_belongs_to_it() -> None:
    found = Histogram((0.1, 1.0))
    for value in (0.05, 0.1, 0.11, 1.0, 1.01):
        found.observe(value)
    assert found.counts == [2, 2, 1]
    assert found.cumulative() == [("0.1", 2), ("1.0", 4), ("+Inf", 5)]
    assert (found.count, round(found.total, 2)) == (5, 2.27)


@pytest.mark.parametrize(("value", "expected"), [(0.05, (0.0, 5)), (0.1, (0.1, 3)), (0.9, (0.1, 3)), (7.0, (1.0, 1))])
def test_how_many_were_above(value: float, expected: tuple[float, int]) -> None:
    assert Histogram((0.1, 1.0), [2, 2, 1]).above(value) == expected


def test_what_was_reported_for_other_bounds_is_nothing() -> None:
    assert histogram.reported((0.1, 1.0), {"counts": [2, 2, 1], "total": 2.0}).counts == [2, 2, 1]
    assert (
        histogram.reported((0.1, 1.0), {"counts": [2, 2]}).counts
        == histogram.reported((0.1, 1.0), {}).counts
        == [0, 0, 0]
    )


def test_nothing_observed_is_all_zero() -> None:
    assert Histogram((1.0,)).cumulative() == [("1.0", 0), ("+Inf", 0)]


@given(st.lists(st.floats(0, 1e6)))
def test_counts_are_cumulative_and_complete(values: list[float]) -> None:
    found = Histogram(histogram.LAG_BOUNDS)
    for value in values:
        found.observe(value)
    expected = [sum(value <= bound for value in values) for bound in found.bounds]
    assert [count for _, count in found.cumulative()] == [*expected, len(values)]
    assert found.count == len(values)


def test_reported_one_is_the_same() -> None:
    found = Histogram((0.1, 1.0))
    found.observe(0.5)
    assert histogram_from([0.1, 1.0], found.counts, found.total) == found


@pytest.mark.parametrize("name", ["JITTER_BOUNDS", "LATENESS_BOUNDS", "LAG_BOUNDS", "TAKEOVER_BOUNDS"])
def test_bounds_rise_strictly(name: str) -> None:
    bounds = getattr(histogram, name)
    assert list(bounds) == sorted(set(bounds))
