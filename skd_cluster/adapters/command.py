"""Other programs: rsync, ssh, hooks. Started through plumbum, each in a session of its own.

So its whole group can be ended. plumbum's own time limits read the wall clock and are not used: a deadline here is
monotonic.
"""

import errno
import os
import select
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from plumbum import local
from plumbum.commands.processes import CommandNotFound

from skd_cluster.adapters.clock import monotonic
from skd_cluster.core.model import MILLISECOND, Nanos, nanos

DEVNULL, PIPE, STDOUT = -3, -1, -2
"""As in `subprocess`, whose Popen plumbum starts."""

GRACE = nanos(2)
"""Between asking a group to end and killing it."""

OUTPUT_LIMIT = 64 * 1024
"""Bytes of output kept, the last ones: the end of an output says what went wrong."""

_CHUNK = 64 * 1024


class CannotStartError(OSError):
    """The program is not there or may not be executed; the text is one clear line."""


@dataclass(slots=True)
class Running:
    """A program that was started. Close it when done: until then its pid cannot become somebody else's.

    `output` is the reading end of its standard output (with its errors, unless they were asked for separately), `errors`
    that of its standard error, `input` the writing end of its standard input; all non-blocking, None if not piped.
    `pidfd` becomes readable when it ends.
    """

    argv: tuple[str, ...]
    pid: int
    pidfd: int
    input: int | None
    output: int | None
    errors: int | None
    _process: Any
    _code: int | None = None

    def fileno(self) -> int:
        """Return the descriptor of its output, for select. Raises ValueError if the output was not asked for."""
        if self.output is None:
            raise ValueError("the output is not captured")
        return self.output

    def poll(self) -> int | None:
        """Return its exit code (minus the signal's number if one ended it), None while it runs."""
        if self._code is None:
            # WNOWAIT leaves the zombie: its pid, and so its group's number, stays taken until close().
            ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is not None:
                self._code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        return self._code

    def terminate_group(self) -> None:
        """Ask the program and everything it started in its session's group to end."""
        self._signal(signal.SIGTERM)

    def kill_group(self) -> None:
        """Kill the program and everything it started in its session's group."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.pid:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def read(self) -> bytes:
        """Return output that is there now, b"" for none. At its end `output` becomes None: nothing left to wait for."""
        found, ended = (b"", False) if self.output is None else drain(self.output)
        if ended:
            self.output = None
        return found

    def read_errors(self) -> bytes:
        """As `read`, of its standard error."""
        found, ended = (b"", False) if self.errors is None else drain(self.errors)
        if ended:
            self.errors = None
        return found

    def close_input(self) -> None:
        """Let the program see the end of its input."""
        if self.input is not None:
            self._process.stdin.close()
            self.input = None

    def close(self) -> int | None:
        """Kill what still runs of it, close the pipes, release the pid; return the exit code. May be called again."""
        if self.pid:
            if self.poll() is None:
                self.kill_group()
            code: int = self._process.wait()
            self._code = code if self._code is None else self._code
            self.pid = 0
            os.close(self.pidfd)
            for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
                if stream is not None:
                    with suppress(OSError):  # bytes that a dead program will never read
                        stream.close()
            self.input = self.output = self.errors = None
        return self._code


def drain(descriptor: int, limit: int = 1 << 20) -> tuple[bytes, bool]:
    """Return what a non-blocking descriptor has now, at most about `limit` bytes, and whether that was its end."""
    found = bytearray()
    while len(found) < limit:
        try:
            chunk = os.read(descriptor, _CHUNK)
        except (BlockingIOError, InterruptedError):
            return bytes(found), False
        if not chunk:
            return bytes(found), True
        found += chunk
    return bytes(found), False


def start(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: int = DEVNULL,
    stdout: int = PIPE,
    stderr: int = STDOUT,
    terminal: bool = False,
) -> Running:
    """Start a program in its own session. `env` is added to ours. Never through a shell. Raises CannotStartError.

    Without more words its input is empty and its output and errors come through one pipe. With `terminal` it stays in our
    session: it may ask the person there, and Ctrl-C ends it; its group cannot be ended by us.
    """
    try:
        process: Any = local[argv[0]][tuple(argv[1:])].popen(
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=dict(env) if env else None,
            new_session=not terminal,
            bufsize=0,
        )
    except CommandNotFound as error:
        raise CannotStartError(errno.ENOENT, f"{argv[0]}: no such program") from error
    except OSError as error:
        raise CannotStartError(error.errno, f"{argv[0]}: {error.strerror}") from error
    ours, output, errors = (_descriptor(one) for one in (process.stdin, process.stdout, process.stderr))
    return Running(tuple(argv), process.pid, os.pidfd_open(process.pid), ours, output, errors, process)


def _descriptor(stream: Any) -> int | None:
    if stream is None:
        return None
    descriptor: int = stream.fileno()
    os.set_blocking(descriptor, False)
    return descriptor


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended: its exit code (negative: the signal), the last of its output, whether we ended it."""

    code: int
    output: bytes
    timed_out: bool

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.code == 0 and not self.timed_out

    @property
    def last_line(self) -> str:
        """The last line it wrote that is not empty: mostly what went wrong."""
        lines = [line.strip() for line in self.output.decode(errors="replace").splitlines()]
        return next((line for line in reversed(lines) if line), "")


@dataclass(slots=True)
class Watched:
    """A program with its input, its kept output and its deadline: for a loop that waits for several things.

    Call `step` whenever one of `interest()` is ready or `deadline` has passed; it returns the end once there is one.
    """

    running: Running
    deadline: Nanos
    pending: bytes = b""
    limit: int = OUTPUT_LIMIT
    _output: bytearray = field(default_factory=bytearray)
    _timed_out: bool = False

    def interest(self) -> dict[int, int]:
        """Return descriptors and what to poll each for."""
        wanted = {self.running.pidfd: select.POLLIN}
        if self.running.output is not None:
            wanted[self.running.output] = select.POLLIN
        if self.running.input is not None:
            wanted[self.running.input] = select.POLLOUT
        return wanted

    def step(self, now: Nanos) -> Finished | None:
        """Move data, judge the deadline, and return how it ended once it has."""
        self._feed()
        ended = self.running.poll() is not None
        self._output += self.running.read()
        del self._output[: -self.limit]
        if ended:
            # Not waiting for the end of the pipe: something left in the background may hold it for ever.
            return Finished(self.running.close() or 0, bytes(self._output), self._timed_out)
        if now >= self.deadline:
            if self._timed_out:
                self.running.kill_group()
            else:
                self.running.terminate_group()
            self._timed_out = True
            self.deadline = Nanos(now + GRACE)
        return None

    def _feed(self) -> None:
        while self.running.input is not None:
            if not self.pending:
                self.running.close_input()
                return
            try:
                sent = os.write(self.running.input, self.pending[:_CHUNK])
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self.pending = b""  # it does not want it: its exit code will tell
                continue
            self.pending = self.pending[sent:]


def watch(
    argv: Sequence[str],
    timeout: Nanos,
    *,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    limit: int = OUTPUT_LIMIT,
) -> Watched:
    """Start a program that must end within `timeout`; of its output the last `limit` bytes are kept.

    Raises CannotStartError.
    """
    running = start(argv, env=env, stdin=PIPE if stdin else DEVNULL)
    return Watched(running, Nanos(monotonic() + timeout), stdin, limit)


def run(
    argv: Sequence[str],
    timeout: Nanos,
    *,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    limit: int = OUTPUT_LIMIT,
) -> Finished:
    """Run a program to its end, or end its group after `timeout`. Raises CannotStartError."""
    watched = watch(argv, timeout, env=env, stdin=stdin, limit=limit)
    while True:
        now = monotonic()
        finished = watched.step(now)
        if finished is not None:
            return finished
        poller = select.poll()
        for descriptor, events in watched.interest().items():
            poller.register(descriptor, events)
        poller.poll(max(0, watched.deadline - now) // MILLISECOND + 1)


def attend(argv: Sequence[str], tell: Callable[[bytes], None]) -> Finished:
    """Run a program that may talk to the person at our terminal, to its end, however long that takes.

    What it writes to its standard error goes to `tell` at once and into the result; its output is dropped.
    Raises CannotStartError.
    """
    running = start(argv, stdout=DEVNULL, stderr=PIPE, terminal=True)
    said = bytearray()
    try:
        while True:
            ended = running.poll() is not None
            if found := running.read_errors():
                tell(found)
                said += found
            if ended:
                return Finished(running.close() or 0, bytes(said), timed_out=False)
            poller = select.poll()
            poller.register(running.pidfd, select.POLLIN)
            if running.errors is not None:
                poller.register(running.errors, select.POLLIN)
            poller.poll()
    finally:
        running.close()
