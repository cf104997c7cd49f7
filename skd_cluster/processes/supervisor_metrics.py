"""Brings the metrics to whoever wants them: by HTTP, into a file. The service goes on without, and says what is in the way."""

from collections.abc import Callable

from skd_cluster.adapters import webconfig
from skd_cluster.adapters.clock import monotonic
from skd_cluster.adapters.journal import Journal
from skd_cluster.adapters.metrics import Exposition
from skd_cluster.adapters.metricsfile import MetricsFile
from skd_cluster.adapters.metricsserver import MetricsServer
from skd_cluster.config.schema import Config
from skd_cluster.core.model import Nanos, nanos
from skd_cluster.core.status import Board
from skd_cluster.core.webconfig import WebConfigError

_AGAIN = nanos(10)
"""Between two looks at what was in the way, and at files that may have changed."""


class MetricsKeeper:
    """Opens the metrics' port and keeps its protection and the file up to date."""

    def __init__(self, config: Config, journal: Journal, board: Board, clock: Callable[[], Nanos] = monotonic) -> None:
        self._journal = journal
        self._board = board
        self._exposition = Exposition(lambda: board.now, clock)
        self._set(config)

    def _set(self, config: Config) -> None:
        listen, exposition = config.metrics_listen, self._exposition
        self._where = "" if listen is None else f"{listen[0]} port {listen[1]}"
        self._server = None if listen is None else MetricsServer((str(listen[0]), listen[1]), exposition.render)
        self._web_config = config.metrics_web_config if listen is not None else None
        self._protected = self._web_config is None
        self._file: MetricsFile | None = None
        self._path = config.metrics_textfile
        self._at: Nanos | None = None if listen is None and self._path is None else Nanos(0)

    @property
    def deadline(self) -> Nanos | None:
        """When to look."""
        return self._at

    def on_timer(self, now: Nanos) -> None:
        """Look what is to be done, and tell what cannot be."""
        found = [one for one in (self._protect(), self._serve(), self._write()) if one]
        self._tell("; ".join(found))
        watched = bool(found) or self._web_config is not None or self._file is not None
        self._at = Nanos(now + _AGAIN) if watched else None

    def _protect(self) -> str:
        """Read the web configuration if it is new. Whatever is wrong with it, nobody gets in who did not before."""
        if (
            self._server is None
            or self._web_config is None
            or (self._protected and not self._server.protection.changed)
        ):
            return ""
        try:
            self._server.protection = webconfig.load(self._web_config)
        except WebConfigError as error:
            return str(error)
        self._protected = True
        return ""

    def _serve(self) -> str:
        if self._server is None or self._server.listening or not self._protected:
            return ""
        try:
            self._server.open()
        except OSError as error:
            return f"cannot serve on {self._where}: {error.strerror}"
        return ""

    def _write(self) -> str:
        if self._path is not None and self._file is None:
            self._file = MetricsFile(self._path, self._exposition.text)
            self._file.open()
        return "" if self._file is None else self._file.error

    def _tell(self, text: str) -> None:
        before = self._board.now.metrics_error
        if text == before:
            return
        self._board.update(metrics_error=text)
        if text:
            self._journal.log("metrics_unavailable", f"metrics: {text}", "warning")
        else:
            self._journal.log("metrics_available", "metrics are there as configured, after all")

    def reconfigure(self, config: Config) -> None:
        """Serve elsewhere or otherwise from now on, or no more."""
        self.close()
        self._board.update(metrics_error="")
        self._set(config)

    def close(self) -> None:
        """Stop serving and writing."""
        if self._server is not None:
            self._server.close()
        if self._file is not None:
            self._file.close()
