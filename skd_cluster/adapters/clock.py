"""The only reader of the clocks."""

import time

from skd_cluster.core.model import Nanos


def monotonic() -> Nanos:
    """Return now, for every decision. Does not run while the machine is suspended, never steps."""
    return Nanos(time.monotonic_ns())


def wall() -> float:
    """Return seconds since 1970, for people, logs and metrics only."""
    return time.time()
