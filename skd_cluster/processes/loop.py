"""The supervisor's one loop: descriptors, timers, signals. Every callback is short and gets the time of its turn."""

import os
import selectors
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Protocol

from skd_cluster.adapters.clock import monotonic
from skd_cluster.core.model import SECOND, Nanos


class Timed(Protocol):
    """Something with a next instant. `deadline` None: nothing to do until something else happens."""

    @property
    def deadline(self) -> Nanos | None:
        """When to call `on_timer`."""

    def on_timer(self, now: Nanos) -> object:
        """Call at or after the deadline; what comes back is not looked at."""


Ready = Callable[[Nanos], None]


class Loop:
    """Runs until `stop`. Not for more than one thread."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timed: list[Timed] = []
        self._running = True
        self._until: Callable[[], bool] = lambda: False

    def watch(self, descriptor: int, ready: Ready, *, writing: bool = False) -> None:
        """Call `ready` whenever the descriptor is readable, or writable."""
        events = selectors.EVENT_WRITE if writing else selectors.EVENT_READ
        self._selector.register(descriptor, events, ready)

    def forget(self, descriptor: int) -> None:
        """Watch it no longer; do this before it is closed. Harmless twice."""
        with suppress(KeyError, ValueError):
            self._selector.unregister(descriptor)

    def add(self, timed: Timed) -> None:
        """Serve its deadlines."""
        self._timed.append(timed)

    def stop(self) -> None:
        """Leave `run` after this turn."""
        self._running = False

    def until(self, over: Callable[[], bool]) -> None:
        """Leave `run` after the turn in which `over` becomes true."""
        self._until = over

    def run(self) -> None:
        """Serve until somebody calls `stop`, or what `until` waits for has come."""
        while self._running:
            self.turn()
            if self._until():
                return

    def turn(self) -> None:
        """Wait for the next thing and serve all that is due."""
        deadlines = [due for one in self._timed if (due := one.deadline) is not None]
        patience = max(0.0, (min(deadlines) - monotonic()) / SECOND) if deadlines else None
        for key, _ in self._selector.select(patience):
            # An earlier callback of this turn may have closed this one, and opened another under its number.
            if self._selector.get_map().get(key.fd) is key:
                key.data(monotonic())
        now = monotonic()
        for one in list(self._timed):
            due = one.deadline
            if due is not None and due <= now:
                one.on_timer(now)


def watch_signals(loop: Loop, numbers: Iterable[signal.Signals], arrived: Callable[[int, Nanos], None]) -> None:
    """Turn signals into calls from the loop. For the main thread of a program."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def ready(now: Nanos) -> None:
        for number in os.read(reading, 64):
            arrived(number, now)

    for number in numbers:
        signal.signal(number, lambda _number, _frame: None)
    loop.watch(reading, ready)
