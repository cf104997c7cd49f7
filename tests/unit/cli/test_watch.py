"""`status --watch` on a real pseudo-terminal and in a real pipe, against a supervisor that runs."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Self

import pytest

from skd_cluster.core.model import ExitCode, Role
from tests.fakes.supervised import REPOSITORY, Node, eventually, report

ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


class Terminal:
    """The command on a terminal of its own. `new` is what it printed since it was asked last."""

    def __init__(self, config: Path, *, columns: int = 80, rows: int = 24, **environment: str) -> None:
        self.master, self._slave = pty.openpty()
        self.resize(columns, rows)
        self.before = termios.tcgetattr(self._slave)
        self._seen = ""
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *command(config)],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            cwd=REPOSITORY,
            env={**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **environment},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self._slave)

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def read(self) -> str:
        while select.select((self.master,), (), (), 0)[0]:
            self._seen += os.read(self.master, 1 << 16).decode(errors="replace")
        return self._seen

    def until(self, text: str) -> str:
        """Return what came up to this text, and forget it."""
        eventually(lambda: text in self.read())
        end = self._seen.index(text) + len(text)
        found, self._seen = self._seen[:end], self._seen[end:]
        return found

    @property
    def restored(self) -> bool:
        """Whether the terminal behaves as before."""
        return termios.tcgetattr(self._slave) == self.before

    def ended(self) -> int:
        eventually(lambda: self.read() is not None and self.process.poll() is not None)
        return self.process.wait()


def command(config: Path) -> list[str]:
    return [sys.executable, "-m", "skd_cluster.cli.main", "status", "--watch", "--config", str(config)]


@pytest.fixture
def node(tmp_path):
    with Node(tmp_path) as node:
        yield node


@pytest.mark.parametrize("keys", ["q", "Q", "xyzq", "\x03"])
def test_it_ends_with_q_or_ctrl_c_and_gives_the_terminal_back(node, keys):
    node.begin(Role.BACKUP)
    with Terminal(node.config) as terminal:
        found = terminal.until("BACKUP")
        assert ENTER in found
        assert HIDE in found
        assert not terminal.restored
        terminal.until("q ends")
        terminal.type(keys)
        assert terminal.ended() == 0
        rest = terminal.read()
        assert rest.index(LEAVE) < len(rest)
        assert SHOW in rest
        assert "Traceback" not in rest
        assert terminal.restored


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_gives_the_terminal_back_too(node, number):
    node.begin(Role.BACKUP)
    with Terminal(node.config) as terminal:
        terminal.until("q ends")
        terminal.process.send_signal(number)
        assert terminal.ended() == 0
        assert terminal.restored
        assert LEAVE in terminal.read()


def test_it_follows_what_happens(node):
    elector = node.begin(Role.BACKUP)
    with Terminal(node.config) as terminal:
        terminal.until("BACKUP since")
        elector.say(report(Role.MASTER, epoch=2))
        terminal.until("MASTER since")
        terminal.until("is master")  # the event, too


def test_it_follows_the_size(node):
    node.begin(Role.BACKUP)
    with Terminal(node.config, columns=200, rows=50) as terminal:
        terminal.until("q ends")
        terminal.resize(40, 10)
        found = terminal.until("here       ")
        terminal.resize(120, 30)
        terminal.until("│")
        assert "Traceback" not in found


def test_it_goes_on_without_the_service_and_when_it_is_back(node):
    with Terminal(node.config) as terminal:
        terminal.until("NOT RUNNING")
        node.begin(Role.BACKUP)
        terminal.until("BACKUP since")
        node.signal(signal.SIGKILL)
        node.ended()
        terminal.until("NOT RUNNING")
        terminal.until("was BACKUP")
        node.begin(Role.MASTER)
        terminal.until("MASTER since")
        terminal.type("q")
        assert terminal.ended() == 0


def test_a_service_that_hangs_does_not_keep_the_terminal(node):
    node.begin(Role.BACKUP)
    with Terminal(node.config) as terminal:
        terminal.until("q ends")
        node.signal(signal.SIGSTOP)
        terminal.until("NOT ANSWER")
        node.signal(signal.SIGCONT)
        terminal.until("BACKUP since")
        node.signal(signal.SIGSTOP)
        terminal.type("q")
        assert terminal.ended() == 0
        assert terminal.restored


def test_ctrl_z_gives_the_terminal_to_the_shell(node):
    node.begin(Role.BACKUP)
    with Terminal(node.config) as terminal:
        terminal.until("q ends")
        os.kill(terminal.process.pid, signal.SIGTSTP)
        terminal.until(LEAVE)
        eventually(lambda: terminal.restored)
        stat = Path(f"/proc/{terminal.process.pid}/stat")
        eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")
        os.kill(terminal.process.pid, signal.SIGCONT)
        terminal.until(ENTER)
        terminal.until("q ends")
        terminal.type("q")
        assert terminal.ended() == 0
        assert terminal.restored


def test_without_colour(node):
    node.begin(Role.BACKUP)
    with Terminal(node.config, NO_COLOR="1") as terminal:
        found = terminal.until("q ends")
        assert "BACKUP since" in found
        assert not any(f"\x1b[{number}m" in found or f";{number}m" in found for number in range(30, 50))


def test_colours_are_used_where_there_are_some(node):
    node.begin(Role.BACKUP)
    with Terminal(node.config) as terminal:
        assert "\x1b[32m" in terminal.until("q ends")


@pytest.mark.parametrize(
    "environment", [{"LC_ALL": "", "LANG": "", "LC_CTYPE": ""}, {"LC_ALL": "C"}, {"TERM": "linux"}]
)
def test_where_unicode_cannot_be_shown_there_is_none(node, environment):
    node.begin(Role.BACKUP)
    with Terminal(node.config, **environment) as terminal:
        assert terminal.until("q ends").isascii()


def test_a_dumb_terminal_gets_blocks_of_lines(node):
    elector = node.begin(Role.BACKUP)
    with Terminal(node.config, TERM="dumb") as terminal:
        found = terminal.until("version")
        elector.say(report(Role.MASTER, epoch=2))
        found += terminal.until("is MASTER since")
        assert "\x1b" not in found
        terminal.type("\x03")
        assert terminal.ended() == 0


def test_a_pipe_gets_a_block_a_change(node):
    elector = node.begin(Role.BACKUP)
    with subprocess.Popen(command(node.config), stdout=subprocess.PIPE, cwd=REPOSITORY, text=True) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        first = [next(lines) for _ in range(7)]
        assert first[0].startswith("--- ")
        assert any("is BACKUP since" in line for line in first)
        for _ in range(3):  # the same again, but for numbers that run on
            elector.say(report(Role.BACKUP, counters={"sent": 99}))
        elector.say(report(Role.MASTER, epoch=2))
        assert next(line for line in lines if line.startswith("--- "))
        assert "is MASTER since" in next(line for line in lines if line.startswith("node"))
        node.signal(signal.SIGTERM)
        assert next(line for line in lines if "NOT RUNNING" in line).startswith("!")
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def test_it_ends_when_nobody_reads_any_more(node):
    node.begin(Role.BACKUP)
    with subprocess.Popen(command(node.config), stdout=subprocess.PIPE, cwd=REPOSITORY) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"--- ")
        process.stdout.close()
        assert process.wait(10) == ExitCode.FAILED  # as every verb
