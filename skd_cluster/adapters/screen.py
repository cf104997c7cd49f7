"""A terminal as a whole, drawn with rich: what was on it before comes back at the end, however that comes.

Importing this is slow; only `status --watch` does.
"""

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from enum import Enum, auto, unique
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

_SIGNALS = (signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_KEYS_OF_THE_END = b"qQ\x03"


@unique
class News(Enum):
    """What `wait` returned for."""

    REDRAW = auto()
    END = auto()


def usable(environment: Mapping[str, str]) -> bool:
    """Whether stdout is a terminal on which a cursor can be moved."""
    return sys.stdout.isatty() and environment.get("TERM", "") not in ("", "dumb", "unknown")


def shows_unicode(environment: Mapping[str, str]) -> bool:
    """Whether bars and dots can be shown: the locale says so, and it is not the console, whose font lacks most of them."""
    locale = environment.get("LC_ALL") or environment.get("LC_CTYPE") or environment.get("LANG") or ""
    if locale == "C.UTF-8" and environment.get("LANG", "") in ("", "C", "POSIX"):
        return False  # Python's own doing where no locale is set
    return "utf" in locale.lower() and environment.get("TERM") != "linux"


def composed(lines: Iterable[Sequence[tuple[str, str]]], styles: Mapping[str, str]) -> Text:
    """Return lines of pieces, each with a tone, as rich takes them."""
    drawn = Text(no_wrap=True, overflow="crop", end="")
    for index, line in enumerate(lines):
        drawn.append("\n" if index else "")
        for text, tone in line:
            drawn.append(text, styles.get(tone, ""))
    return drawn


class Screen:
    """The terminal, in a `with` block. `styles` says how each tone looks, in rich's words. `bell` wakes `wait`."""

    def __init__(self, styles: Mapping[str, str]) -> None:
        self._styles = styles
        self._console = Console(file=sys.stdout, markup=False, emoji=False, highlight=False)
        self._live = Live(console=self._console, screen=True, auto_refresh=False, redirect_stdout=False)
        self._terminal = 0
        self._keys = self._terminal if sys.stdin is not None and sys.stdin.isatty() else -1
        self._before: list[Any] | None = None
        self._handlers: dict[signal.Signals, Any] = {}
        self._woken, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        """Take the terminal. From now on a signal is a number in the pipe, and dealt with where nothing is half done."""
        for number in _SIGNALS:
            self._handlers[number] = signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        self._take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give it back. The pipe stays: another thread may just be using `bell`."""
        self._give_back()
        signal.set_wakeup_fd(-1)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    @property
    def size(self) -> tuple[int, int]:
        """Return columns and rows, now."""
        columns, rows = os.get_terminal_size(sys.stdout.fileno())
        return columns or 80, rows or 24  # a serial line knows no size

    def show(self, lines: Iterable[Sequence[tuple[str, str]]]) -> None:
        """Draw these; each piece of a line has a tone."""
        columns, rows = self.size
        self._console.size = columns, rows
        self._live.update(composed(lines, self._styles), refresh=True)

    def bell(self) -> None:
        """Wake `wait`; for other threads."""
        with suppress(BlockingIOError):  # it is called already
            os.write(self._waker, b"\0")

    def wait(self) -> News:
        """Sleep until there is something to draw, or the end was asked for."""
        while True:
            readers = [self._woken] if self._keys < 0 else [self._woken, self._keys]
            ready = select.select(readers, (), ())[0]
            if self._keys in ready and self._ended_by_key():
                return News.END
            if self._woken in ready:
                numbers = os.read(self._woken, 4096)
                if {signal.SIGINT, signal.SIGTERM, signal.SIGHUP} & set(numbers):
                    return News.END
                if signal.SIGTSTP in numbers:
                    self._pause()
                return News.REDRAW

    def _ended_by_key(self) -> bool:
        try:
            typed = os.read(self._keys, 1024)
        except OSError:  # the terminal is gone
            return True
        if not typed:
            self._keys = -1
        return any(key in _KEYS_OF_THE_END for key in typed)

    def _pause(self) -> None:
        """Ctrl-Z: the shell gets its terminal as it was."""
        self._give_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._take()

    def _take(self) -> None:
        if self._keys >= 0:
            self._before = termios.tcgetattr(self._keys)
            tty.setcbreak(self._keys)
        self._live.start()

    def _give_back(self) -> None:
        try:
            self._live.stop()
        finally:
            if self._before is not None:
                termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._before)
                self._before = None
