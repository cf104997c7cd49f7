"""`/var/log/skdinotify.log`: plain text, a line a batch. Opened for each line, so rotating it needs no signal."""

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from skd_cluster.adapters.clock import wall


class SyncLog:
    """The file. A line that cannot be written is lost: replication is worth more than its log."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def line(self, text: str) -> None:
        """Append one line with the local time."""
        when = datetime.fromtimestamp(wall(), UTC).astimezone().isoformat(" ", "milliseconds")
        plain = text.encode(errors="surrogateescape").replace(b"\n", b"\\n")
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
            try:
                os.write(descriptor, f"{when} [{os.getpid()}] ".encode() + plain + b"\n")
            finally:
                os.close(descriptor)
