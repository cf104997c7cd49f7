"""Arithmetic of the election's timers, in integer nanoseconds."""

from collections.abc import Sequence

from skd_cluster.core.model import MILLISECOND, Nanos

FAR = Nanos(1 << 62)
"""A deadline that never comes."""

SKEW_SHARE = 16
"""The preferred node waits a sixteenth of an interval longer, the other one two.

RFC 9568 section 6.1 spreads up to a whole interval by priority, so that many backups do not promote together. A pair has
one backup. Its skew has to be longer than what a packet may be late, or the last advertisement in time would come too
late; and the difference has to be longer than a packet's flight, should both nodes be without a master.
"""


def skew(interval: Nanos, *, preferred: bool) -> Nanos:
    """Return what a node waits beyond the dead interval."""
    return Nanos(interval // SKEW_SHARE if preferred else interval // SKEW_SHARE * 2)


def dead_interval(interval: Nanos, dead_ratio: int, *, preferred: bool) -> Nanos:
    """Return how long a master that advertises each `interval` may be silent before it is taken for lost."""
    return Nanos(interval * dead_ratio + skew(interval, preferred=preferred))


def next_paced(due: Nanos, interval: Nanos, now: Nanos) -> Nanos:
    """Return when to send again after the advertisement that was due at `due` went out at `now`.

    The pace is absolute, so lateness does not add up; after a whole missed interval it starts anew.
    """
    following = Nanos(due + interval)
    return following if following > now else Nanos(now + interval)


def answered_pace(interval: Nanos) -> Nanos:
    """Return how long a backup that has answered an advertisement waits for the next one before it speaks by itself.

    An eighth longer than the interval: half the time after which probing calls a packet late, and more than it jitters.
    """
    return Nanos(interval + interval // 8)


_STEP = Nanos(10 * MILLISECOND)
_HEADROOM = 4
"""A host keeps an interval if it is late by less than a quarter of it: probing calls a packet late after that."""


def keepable(asked: Nanos, lateness: Sequence[Nanos]) -> tuple[Nanos, Nanos]:
    """Return the interval that a host of this measured lateness can keep, at least `asked`, and its p99 lateness.

    Raised in steps of 10 ms. The p99 and not the worst: one hiccup while everything starts must not decide.
    """
    late = sorted(lateness)[len(lateness) * 99 // 100]
    if late * _HEADROOM <= asked:
        return asked, late
    return Nanos(-(-late * _HEADROOM // _STEP) * _STEP), late
