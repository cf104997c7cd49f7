"""The only reader of the clocks."""

import time

from skd_cluster.core.model import Nanos


def monotonic() -> Nanos:
    """Return now, for every decision. Does not run while the machine is suspended, never steps."""
    return Nanos(time.monotonic_ns())


def since_boot() -> Nanos:
    """Return now of the clock that also runs while the machine is suspended, as the kernel's leases do; never steps."""
    return Nanos(time.clock_gettime_ns(time.CLOCK_BOOTTIME))


def wall() -> float:
    """Return seconds since 1970, for people, logs and metrics only."""
    return time.time()
