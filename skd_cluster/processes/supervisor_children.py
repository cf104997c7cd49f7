"""The elector and the replicator as the supervisor sees them: a program, a channel, an end."""

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from skd_cluster.adapters.channel import Channel, pair
from skd_cluster.adapters.children import Process, find_program, spawn
from skd_cluster.adapters.notify import without_ours
from skd_cluster.core.messages import Message
from skd_cluster.core.model import Nanos, nanos
from skd_cluster.core.supervision import ChildAction, ChildMachine, SignalChild, StartChild
from skd_cluster.processes.loop import Loop

_CLOSED_PATIENCE = nanos(1.0)
"""A child that closed its channel is on its way out; one that is not gone after this hangs there."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told what a child does."""

    message: Callable[[Message, Nanos], None]
    exit: Callable[[int, Nanos], None]
    """Once per start, after its last message: its status, negative for a signal."""
    close: Callable[[Nanos], None] = lambda _: None
    """It closed its channel. One that was killed did so long before it has ended: the kernel closes its descriptors in their
    order, and needs up to 30 ms for a socket that sees frames."""


class Child:
    """One program with its channel, whose end tells it that this process died.

    The replicator also asks the kernel for that, since it may be busy. The elector does not: it must not be cut short while it
    drops addresses and resigns.
    """

    def __init__(
        self,
        loop: Loop,
        name: str,
        arguments: Sequence[str],
        listener: Listener,
    ) -> None:
        self._loop = loop
        self._name = name
        self._arguments = list(arguments)
        self._listener = listener
        self._process: Process | None = None
        self._channel: Channel | None = None
        self._kill_at: Nanos | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None

    @property
    def deadline(self) -> Nanos | None:
        """When to kill it, if it should be gone by then."""
        return self._kill_at

    def on_timer(self, now: Nanos) -> None:
        """Kill it when its time is over."""
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_at = None
            self.signal(signal.SIGKILL)

    def start(self, first: Message) -> None:
        """Start it with its first message waiting. Raises OSError."""
        ours, theirs = pair()
        program = find_program(self._name, os.environ)
        try:
            command = [program, "--channel", str(theirs.fileno()), *self._arguments]
            self._process = spawn(command, without_ours(os.environ), [theirs.fileno()])
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self._channel = ours
        ours.send(first)
        self._loop.watch(ours.fileno(), self._readable)
        self._loop.watch(self._process.pidfd, self._exited)

    def send(self, message: Message) -> bool:
        """Hand over a message; False when there is nobody to take it."""
        return self._channel is not None and self._channel.send(message)

    def signal(self, number: signal.Signals) -> None:
        """Signal its whole group."""
        if self._process is not None:
            self._process.signal_group(number)

    def kill_at(self, instant: Nanos | None) -> None:
        """Kill it if it is not gone by then; None: let it live."""
        self._kill_at = instant

    def _readable(self, now: Nanos) -> None:
        channel = self._channel
        if channel is None:
            return
        for message in channel.receive():
            self._listener.message(message, now)
        if channel.closed and self._channel is channel:
            self._loop.forget(channel.fileno())
            channel.close()
            self._channel = None
            self._kill_at = Nanos(now + _CLOSED_PATIENCE)
            self._listener.close(now)

    def _exited(self, now: Nanos) -> None:
        process = self._process
        if process is None:
            return
        self._readable(now)  # its last words
        if self._channel is not None:
            self._loop.forget(self._channel.fileno())
            self._channel.close()
            self._channel = None
        self._loop.forget(process.pidfd)
        self._process = self._kill_at = None
        self._listener.exit(process.reap(sweep=True), now)


class Keeper:
    """Keeps the replicator running while it is wanted."""

    def __init__(self, child: Child, first: Callable[[], Message], failed: Callable[[str], None]) -> None:
        self._child = child
        self._first = first
        self._failed = failed
        self._machine = ChildMachine()

    @property
    def running(self) -> bool:
        """Whether it runs now."""
        return self._child.running

    @property
    def wanted(self) -> bool:
        """Whether it should run."""
        return self._machine.wanted

    @property
    def ending(self) -> bool:
        """Whether it was asked to end."""
        return self._machine.ending

    @property
    def deadline(self) -> Nanos | None:
        """As the machine says."""
        return self._machine.deadline

    def on_timer(self, now: Nanos) -> None:
        """As the machine says."""
        self._perform(self._machine.on_timer(now), now)

    def want(self, wanted: bool, now: Nanos) -> None:  # noqa: FBT001 -- it is the state wanted, not an option
        """Say whether it should run."""
        self._perform(self._machine.want(wanted, now), now)

    def restart(self, now: Nanos) -> None:
        """Let it read its configuration anew."""
        self._perform(self._machine.restart(now), now)

    def on_exit(self, now: Nanos) -> None:
        """Take note of its end."""
        self._perform(self._machine.on_exit(now), now)

    def _perform(self, actions: list[ChildAction], now: Nanos) -> None:
        for action in actions:
            match action:
                case StartChild():
                    self._start(now)
                case SignalChild():
                    self._child.signal(signal.SIGKILL if action.kill else signal.SIGTERM)

    def _start(self, now: Nanos) -> None:
        try:
            self._child.start(self._first())
        except OSError as error:
            self._failed(f"cannot start {error.filename}: {error.strerror}")
            self._perform(self._machine.on_exit(now), now)
