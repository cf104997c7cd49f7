"""Knows whether the run before this one was stopped, or died or hung, and tells it."""

from skd_cluster.adapters.journal import Journal
from skd_cluster.adapters.lifemark import begin_life, end_life
from skd_cluster.config.schema import Config
from skd_cluster.core.model import NEVER, Nanos
from skd_cluster.core.status import Board


class LifeKeeper:
    """Marks the beginning and the end of this run. A folder that cannot be written costs the mark and nothing else."""

    def __init__(self, config: Config, journal: Journal, board: Board) -> None:
        self._run_dir = config.run_dir
        self._journal = journal
        self._board = board

    def begin(self, now: Nanos) -> None:
        """Take note of how the run before ended."""
        try:
            crashed, crashes = begin_life(self._run_dir)
        except OSError as error:
            self._journal.log("file_unwritable", f"how the last run ended is not known: {error}", "warning")
            return
        self._board.update(crashes=crashes, crashed_at=now if crashed else NEVER)
        if crashed:
            text = f"the run before this one ended without being stopped; {crashes} did since the boot"
            self._journal.log("crashed", text, "warning")

    def end(self) -> None:
        """Say that this run ends, if it was asked to."""
        if not self._board.now.stopping:
            return
        try:
            end_life(self._run_dir)
        except OSError as error:
            self._journal.log("file_unwritable", f"the next run will take this one for crashed: {error}", "warning")
