"""Counting observations into buckets, cheap enough for the real-time loop."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Histogram:
    """Observations counted by upper bound, as Prometheus does it; the last bucket is everything above.

    `bounds` rise strictly and are in seconds. An observation equal to a bound belongs to that bound's bucket.
    """

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        """Start empty, unless counts came over a channel."""
        if not self.counts:
            self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        """Count one observation, in seconds."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def count(self) -> int:
        """How many observations there were."""
        return sum(self.counts)

    def above(self, value: float) -> tuple[float, int]:
        """Return the highest bound that is at most `value`, and how many observations were above it."""
        index = bisect_right(self.bounds, value)
        return (self.bounds[index - 1] if index else 0.0), sum(self.counts[index:])

    def cumulative(self) -> list[tuple[str, int]]:
        """Return `(le, count)` pairs, cumulative and ending with `+Inf`, as the exposition format wants them."""
        pairs: list[tuple[str, int]] = []
        running = 0
        for bound, count in zip(self.bounds, self.counts, strict=False):
            running += count
            pairs.append((repr(bound), running))
        pairs.append(("+Inf", running + self.counts[-1]))
        return pairs


def histogram_from(bounds: Sequence[float], counts: Sequence[int], total: float) -> Histogram:
    """Rebuild a histogram that another process reported."""
    return Histogram(tuple(bounds), list(counts), total)


def reported(bounds: tuple[float, ...], told: Mapping[str, Any]) -> Histogram:
    """Rebuild one that may lack its counts, or have them for other bounds: then it is empty."""
    counts = told.get("counts", ())
    return histogram_from(bounds, counts, told.get("total", 0.0)) if len(counts) > len(bounds) else Histogram(bounds)


JITTER_BOUNDS = (1e-5, 2.5e-5, 5e-5, 1e-4, 2e-4, 3e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 1e-1, 2.5e-1, 1.0)
"""From 10 µs: the jitter of a real-time loop here is 50 to 200 µs."""

LATENESS_BOUNDS = JITTER_BOUNDS

LAG_BOUNDS = (5e-3, 1e-2, 2.5e-2, 5e-2, 1e-1, 1.5e-1, 2.5e-1, 5e-1, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)

TAKEOVER_BOUNDS = (5e-3, 1e-2, 2.5e-2, 5e-2, 1e-1, 2e-1, 3e-1, 5e-1, 7.5e-1, 1.0, 2.5, 5.0, 10.0, 30.0)
