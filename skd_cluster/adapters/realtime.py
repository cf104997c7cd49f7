"""Make this process run when its time has come: real-time scheduling, no paging, no garbage collector."""

import ctypes
import gc
import os
import resource
import select
import struct

from skd_cluster.adapters import clock
from skd_cluster.core.model import MILLISECOND, SECOND, Nanos

_PRIORITY = 10
"""Above everything ordinary and below what the kernel and a watchdog daemon use; keepalived's default is similar."""
_MCL_CURRENT_AND_FUTURE = 3
_RUNAWAY_MICROSECONDS = 500_000
"""A loop that computes for half a second without sleeping is a bug: the kernel ends it rather than the machine."""

_PR_SET_TIMERSLACK = 29
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
_SCHED_ATTR = struct.Struct("=IIQiIQQQ")
_SHORTEST_SLICE = 100_000
"""Nanoseconds; the kernel takes nothing shorter."""


def become_realtime() -> str:
    """Ask for SCHED_RR and locked memory; return what was refused in words, empty for nothing.

    Children do not inherit the priority. Never raises: without it the program works, only later under load.
    """
    refused: list[str] = []
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        resource.setrlimit(resource.RLIMIT_RTTIME, (_RUNAWAY_MICROSECONDS, _RUNAWAY_MICROSECONDS * 2))
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(_PRIORITY))
    except OSError as error:
        refused.append(f"real-time scheduling ({error.strerror})")
        _ask_for_haste(libc)
    if libc.mlockall(_MCL_CURRENT_AND_FUTURE) != 0:
        refused.append(f"locked memory ({os.strerror(ctypes.get_errno())})")
    return " and ".join(refused)


def _ask_for_haste(libc: ctypes.CDLL) -> None:
    """Make an ordinary process prompt: timers that are exact instead of 50 us loose, and the shortest slice.

    Since Linux 6.12 a process that asks for short slices goes first when it wakes, and needs no permission for that; an older
    kernel takes no notice. Under load this halves how late it is.
    """
    libc.prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    call = _SCHED_SETATTR.get(os.uname().machine)
    if call is not None:
        nice = os.getpriority(os.PRIO_PROCESS, 0)
        size = _SCHED_ATTR.size
        libc.syscall(call, 0, _SCHED_ATTR.pack(size, os.SCHED_OTHER, 0, nice, 0, _SHORTEST_SLICE, 0, 0), 0)


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
