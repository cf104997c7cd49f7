"""Writes the metrics into a file for node_exporter's textfile collector, from a thread: the disk may hang."""

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from skd_cluster.adapters.atomic import write_atomic

PERIOD = 15.0
"""Seconds: Prometheus' usual interval between scrapes is no shorter."""

_PATIENCE = 1.0


class MetricsFile:
    """Keeps the file new until closed, and takes it away then: a service that does not run has no metrics."""

    def __init__(self, path: Path, text: Callable[[], bytes], period: float = PERIOD) -> None:
        self.error = ""
        """Why it could not be written last, or nothing."""
        self._path = path
        self._text = text
        self._period = period
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._write, name="metrics-file", daemon=True)

    def open(self) -> None:
        """Begin to write."""
        self._thread.start()

    def close(self) -> None:
        """Stop, and remove the file if the disk answers soon."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE)

    def _write(self) -> None:
        while not self._closed.is_set():
            try:
                write_atomic(self._path, self._text(), durable=False)
            except OSError as error:
                self.error = f"cannot write {self._path}: {error.strerror}"
                with suppress(OSError):
                    self._path.unlink()  # old numbers look like true ones
            else:
                self.error = ""
            self._closed.wait(self._period)
        with suppress(OSError):
            self._path.unlink()
