"""Make this process run when its time has come: real-time scheduling, no paging, no garbage collector."""

import ctypes
import gc
import os
import resource
import select

from skd_cluster.adapters import clock
from skd_cluster.core.model import MILLISECOND, SECOND, Nanos

_PRIORITY = 10
"""Above everything ordinary and below what the kernel and a watchdog daemon use; keepalived's default is similar."""
_MCL_CURRENT_AND_FUTURE = 3
_RUNAWAY_MICROSECONDS = 500_000
"""A loop that computes for half a second without sleeping is a bug: the kernel ends it rather than the machine."""


def become_realtime() -> str:
    """Ask for SCHED_RR and locked memory; return what was refused in words, empty for nothing.

    Children do not inherit the priority. Never raises: without it the program works, only later under load.
    """
    refused: list[str] = []
    try:
        resource.setrlimit(resource.RLIMIT_RTTIME, (_RUNAWAY_MICROSECONDS, _RUNAWAY_MICROSECONDS * 2))
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(_PRIORITY))
    except OSError as error:
        refused.append(f"real-time scheduling ({error.strerror})")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT_AND_FUTURE) != 0:
        refused.append(f"locked memory ({os.strerror(ctypes.get_errno())})")
    return " and ".join(refused)


def measure_lateness() -> list[Nanos]:
    """Return how late this process wakes up from 200 sleeps of 1 ms, as its loop sleeps."""
    found = []
    for _ in range(200):
        due = clock.monotonic() + MILLISECOND
        select.select((), (), (), MILLISECOND / SECOND)
        found.append(Nanos(max(0, clock.monotonic() - due)))
    return found


def freeze_collector() -> None:
    """Stop the cyclic collector: a full collection takes milliseconds, and the loop makes no cycles."""
    gc.collect()
    gc.freeze()
    gc.disable()
