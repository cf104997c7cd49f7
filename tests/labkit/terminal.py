"""A person at a terminal of a machine: types, and reads what appears."""

import errno
import fcntl
import os
import pty
import struct
import termios
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from .image import ROOT_PASSWORD
from .machine import Command, Machine, Process
from .waiting import eventually

ROWS, COLUMNS = 40, 200


class Terminal:
    """A program with a terminal of its own, in a `with` block; a plain login shell if none is named."""

    def __init__(self, machine: Machine, command: Command = "exec bash -il") -> None:
        self._machine = machine
        self._command = command
        self._screen = ""
        self._read = 0  # of the screen, by `expect`
        self._master = -1
        self._process: Process | None = None

    def __enter__(self) -> Self:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        os.set_blocking(self._master, False)
        words = ["bash", "-c", self._command] if isinstance(self._command, str) else list(self._command)
        self._process = self._machine.popen(
            ["setsid", "--ctty", "--wait", *words], stdin=slave, stdout=slave, stderr=slave, cwd="/root"
        )
        os.close(slave)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._master)  # a hang-up: what still runs there ends
        assert self._process is not None
        self._process.kill()

    def type(self, line: str) -> None:
        """Type a line and press return."""
        os.write(self._master, f"{line}\n".encode())

    def expect(self, text: str, within: float = 5.0) -> str:
        """Wait until this text appears after all that was expected before; return what came up to it, and it."""
        eventually(lambda: self._shows(text), within=within, what=f"{text!r} appears")
        end = self._screen.index(text, self._read) + len(text)
        seen, self._read = self._screen[self._read : end], end
        return seen

    def expect_one_of(self, texts: Sequence[str], within: float = 5.0) -> str:
        """Wait until one of these texts appears; return which one came first, and read on after it."""
        eventually(lambda: self._shows_any(texts), within=within, what=f"one of {texts} appears")
        places = {self._screen.find(text, self._read): text for text in texts}
        first = min(place for place in places if place >= 0)
        self._read = first + len(places[first])
        return places[first]

    def _shows_any(self, texts: Sequence[str]) -> bool:
        assert any(text in self.screen[self._read :] for text in texts), f"{self}"
        return True

    def _shows(self, text: str) -> bool:
        assert text in self.screen[self._read :], f"{self}"
        return True

    def log_in(self) -> None:
        """Answer ssh, which meets a host for the first time: yes, and root's password."""
        self.expect("(yes/no", within=20)
        self.type("yes")
        self.expect("assword:", within=20)
        self.type(ROOT_PASSWORD)

    def wait(self, within: float = 10.0) -> int:
        """Return the exit code of the program."""
        assert self._process is not None
        process = self._process
        eventually(lambda: self._ended(process), within=within, what=f"the end of {self}")
        return process.wait()

    @property
    def screen(self) -> str:
        """All that was printed so far, line ends as in a file."""
        try:
            while data := os.read(self._master, 1 << 16):
                self._screen += data.decode(errors="replace").replace("\r\n", "\n")
        except OSError as error:
            if error.errno not in {errno.EAGAIN, errno.EIO}:  # nothing more yet, or ever
                raise
        return self._screen

    def _ended(self, process: Process) -> bool:
        ended = not process.alive
        assert self.screen is not None  # read it: a program that nobody reads would wait
        return ended

    def __str__(self) -> str:
        return f"{self._command!r}: ...{self._screen[-500:]!r}"
