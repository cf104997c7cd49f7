"""A terminal with a real emulator behind it (tmux) on a machine: what a person sees, line by line, and a shell that types back."""

import shlex
from types import TracebackType
from typing import Self

from .machine import Machine
from .waiting import eventually

_SOCKET = "/run/screen.sock"
_PROMPT = "ready> "


class Screen:
    """A shell on a screen of this size, in a `with` block."""

    def __init__(self, machine: Machine, columns: int = 80, rows: int = 24, **environment: str) -> None:
        self._machine = machine
        self._size = columns, rows
        self._environment = {"LC_ALL": "C.UTF-8", "PS1": _PROMPT, **environment}

    def __enter__(self) -> Self:
        columns, rows = self._size
        words = [f"{name}={value}" for name, value in self._environment.items()]
        shell = shlex.join(["env", *words, "bash", "--norc", "--noprofile", "-i"])
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows), shell)
        self.await_text(_PROMPT.strip())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._machine.run(["tmux", "-S", _SOCKET, "kill-server"], check=False)

    def resize(self, columns: int, rows: int) -> None:
        """Drag the window's corner."""
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def type(self, line: str) -> None:
        """Type a line and press return."""
        self._tmux("send-keys", "-l", line)
        self.press("Enter")

    def press(self, *keys: str) -> None:
        """Press keys, by tmux' names: `q`, `C-c`, `Enter`."""
        self._tmux("send-keys", *keys)

    @property
    def lines(self) -> list[str]:
        """Return what is to be seen now, from top to bottom."""
        return self._tmux("capture-pane", "-p").rstrip("\n").split("\n")

    @property
    def coloured(self) -> str:
        """Return the same with the colours, as a terminal is told them."""
        return self._tmux("capture-pane", "-p", "-e")

    def line(self, beginning: str) -> str:
        """Return the first line that begins like this, or nothing."""
        return next((line for line in self.lines if line.startswith(beginning)), "")

    def await_text(self, text: str, within: float = 15.0) -> list[str]:
        """Wait until this is to be seen; return all the lines."""
        return eventually(lambda: self._showing(text), within=within, what=f"{text!r} is on the screen")

    def _showing(self, text: str) -> list[str]:
        lines = self.lines
        assert any(text in line for line in lines), "\n".join(lines)
        return lines

    def _tmux(self, *words: str) -> str:
        found: str = self._machine.run(["tmux", "-u", "-S", _SOCKET, *words]).stdout
        return found
