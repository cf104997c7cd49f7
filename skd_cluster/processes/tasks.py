"""A hook or a check that runs: its lines and its end become calls from the loop."""

import os
from collections.abc import Callable, Mapping, Sequence

from skd_cluster.adapters import command, outside
from skd_cluster.core.model import Nanos
from skd_cluster.processes.loop import Loop

_LINE = 2048
"""Longest line that is kept; the rest becomes a line of its own."""


class Task:
    """One program in a session of its own, under systemd in a unit of its own.

    What it leaves in the background may go on writing: its lines still arrive, but nobody waits for it.
    """

    def __init__(self, loop: Loop, on_line: Callable[[str], None], on_exit: Callable[[int, Nanos], None]) -> None:
        self._loop = loop
        self._on_line = on_line
        self._on_exit = on_exit
        self._running: command.Running | None = None
        self._outside = outside.Outside() if outside.possible(os.environ) else None
        self._pipe = -1
        self._rest = b""
        self._ended = False

    def start(self, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start it. Raises OSError with one clear line."""
        if self._outside is None:
            self._running = command.start(argv, env=environment)
        else:
            self._running = command.start(self._outside.argv(argv, environment))
        self._pipe = os.dup(self._running.fileno())  # `close` shall not cut off what stays in the background
        self._loop.watch(self._pipe, self._read)
        self._loop.watch(self._running.pidfd, self._exited)

    def end(self, *, kill: bool) -> None:
        """Signal the whole group: SIGTERM, or SIGKILL. What is left of the group dies with its leader."""
        self._ended = True
        if self._running is None:
            return
        if self._outside is not None:
            self._outside.signal("SIGKILL" if kill else "SIGTERM")
            if not kill:
                return  # systemd-run will tell how it ends
        (self._running.kill_group if kill else self._running.terminate_group)()

    def _exited(self, now: Nanos) -> None:
        running = self._running
        if running is None or (status := running.poll()) is None:
            return
        self._running = None
        self._read(now)
        if self._ended:
            running.kill_group()
        self._loop.forget(running.pidfd)
        running.close()
        self._on_exit(status, now)

    def _read(self, _now: Nanos) -> None:
        if self._pipe < 0:
            return
        found, ended = command.drain(self._pipe)
        *lines, self._rest = (self._rest + found).split(b"\n")
        if ended or len(self._rest) > _LINE:
            lines.append(self._rest)
            self._rest = b""
        if ended:
            self._loop.forget(self._pipe)
            os.close(self._pipe)
            self._pipe = -1
        for line in lines:
            text = line[:_LINE].decode(errors="replace").strip()
            if text:
                self._on_line(text)
