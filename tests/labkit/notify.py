"""The other end of NOTIFY_SOCKET: what systemd would hear from the daemon."""

import socket
import threading
import time
from pathlib import Path


class NotifySocket:
    """Listens from `start` to `close`; `lines` and `notices` grow meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self.notices: list[tuple[float, str]] = []

    @property
    def lines(self) -> list[str]:
        """What was said, such as `READY=1`, `STATUS=...`, `WATCHDOG=1`."""
        return [line for _, line in self.notices]

    def last(self, name: str) -> str:
        """Return the newest value of a variable, or an empty string."""
        return next((line.partition("=")[2] for line in reversed(self.lines) if line.startswith(f"{name}=")), "")

    def start(self) -> None:
        self._path.unlink(missing_ok=True)
        self._socket.bind(str(self._path))
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self._socket.shutdown(socket.SHUT_RD)  # wakes the thread
            self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while message := self._socket.recv(65536):
            now = time.monotonic()
            for line in message.decode(errors="replace").splitlines():
                self.notices.append((now, line))
