"""The control socket: one JSON line asked, one JSON line answered, only by root. Neither side can make the other wait."""

import fcntl
import json
import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skd_cluster.core.model import Nanos, nanos

_NAME = "control.sock"
_REQUEST = 64 * 1024
_CLIENTS = 32
PATIENCE = nanos(3)
"""How long a client may take to send its line, and to take the answer."""

_PEERCRED = struct.Struct("3i")


class NotRunning(Exception):  # noqa: N818 -- a state of the service, not an error of the program
    """Nobody answers: the service is not running."""


class AlreadyRunningError(Exception):
    """Another supervisor uses the same run_dir."""


def request(run_dir: Path, asked: dict[str, Any], timeout: float) -> dict[str, Any]:
    """Ask the running service; `timeout` in seconds. Raises NotRunning, PermissionError, TimeoutError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        # The kernel's own time limits: with Python's, a connection that has to queue would fail at once.
        limit = struct.pack("@ll", int(timeout), int(timeout % 1 * 1_000_000))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        try:
            sock.connect(str(run_dir / _NAME))
            sock.sendall(json.dumps(asked).encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n") and (chunk := sock.recv(1 << 16)):
                answer += chunk
        except (FileNotFoundError, ConnectionError) as error:
            raise NotRunning(f"no service at {run_dir}") from error
        except BlockingIOError as error:
            raise TimeoutError(f"the service at {run_dir} does not answer") from error
    try:
        found = json.loads(answer)
    except ValueError as error:
        raise NotRunning(f"the service at {run_dir} ended before it answered") from error
    return found if isinstance(found, dict) else {"ok": False, "text": "not an answer"}


def hint(run_dir: Path, said: dict[str, Any]) -> bool:
    """Tell the service something and wait for nothing; return whether it was taken. Never raises."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as sock:
        try:
            sock.connect(str(run_dir / _NAME))
            sock.sendall(json.dumps(said).encode() + b"\n")
        except OSError:  # it does not run, or others ask more than it takes
            return False
    return True


@dataclass(slots=True)
class Client:
    """One connection. Watch it for reading until `request` returns something, then `answer` and watch for writing."""

    sock: socket.socket
    deadline: Nanos
    allowed: bool
    closed: bool = False
    _inbox: bytes = b""
    _outbox: bytes = b""

    def fileno(self) -> int:
        """Return the descriptor, for select."""
        return self.sock.fileno()

    def request(self) -> dict[str, Any] | None:
        """Read what is there; return the request when it is complete. Garbage closes the connection."""
        try:
            chunk = self.sock.recv(_REQUEST)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            chunk = b""
        self._inbox += chunk
        if not chunk or len(self._inbox) > _REQUEST:
            self.close()
            return None
        line, newline, _ = self._inbox.partition(b"\n")
        if not newline:
            return None
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            self.close()
            return None
        return found

    def answer(self, answer: dict[str, Any], now: Nanos) -> None:
        """Hand over the answer and write what goes at once."""
        self._outbox = json.dumps(answer).encode() + b"\n"
        self.deadline = Nanos(now + PATIENCE)
        self.flush()

    def flush(self) -> None:
        """Write on; the connection closes itself after the last byte."""
        try:
            sent = self.sock.send(self._outbox)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.close()
            return
        self._outbox = self._outbox[sent:]
        if not self._outbox:
            self.close()

    def close(self) -> None:
        """Hang up."""
        self.closed = True
        self.sock.close()


class ControlServer:
    """Listens. Its lock is what makes a second supervisor over the same run_dir impossible."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._lock = -1
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)

    def open(self) -> None:
        """Begin. Raises AlreadyRunningError, OSError."""
        self._run_dir.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self._run_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            self._lock = -1
            self._sock.close()
            raise AlreadyRunningError(f"another skd-cluster runs with {self._run_dir}") from error
        path = self._run_dir / _NAME
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            self._sock.bind(str(path))
        finally:
            os.umask(before)
        self._sock.listen(_CLIENTS)

    def fileno(self) -> int:
        """Return the descriptor, for select."""
        return self._sock.fileno()

    def accept(self, now: Nanos) -> Client | None:
        """Take one connection. None when it is gone already."""
        try:
            sock, _ = self._sock.accept()
        except OSError:
            return None
        sock.setblocking(False)
        _, uid, _ = _PEERCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size))
        return Client(sock, Nanos(now + PATIENCE), allowed=uid in (0, os.geteuid()))

    def close(self) -> None:
        """Stop listening and take the socket away."""
        self._sock.close()
        if self._lock >= 0:
            (self._run_dir / _NAME).unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = -1
