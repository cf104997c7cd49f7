"""Which configuration this node holds, as `receive` and the replicator tell it, and which conflicts wait here."""

from collections.abc import Callable

from skd_cluster.adapters import state
from skd_cluster.adapters.journal import Journal
from skd_cluster.config.schema import Config
from skd_cluster.core.messages import Data, Message, ReplicationReport, SyncNow
from skd_cluster.core.status import Applied, Board


class Holdings:
    """Keeps the board and the elector informed. `tell` hands a message to the elector, `ask` one to the replicator."""

    def __init__(
        self,
        config: Config,
        journal: Journal,
        board: Board,
        tell: Callable[[Message], object],
        ask: Callable[[Message], object],
    ) -> None:
        self._state_dir = config.state_dir
        self._journal = journal
        self._board = board
        self._tell = tell
        self._ask = ask

    def replicated(self, report: ReplicationReport) -> None:
        """Take the replicator's report."""
        self._board.update(replication=report)
        self._hold(Data(report.data_epoch, report.generation, report.digest, report.unshared))

    def applied(self, data: Data, applied: Applied) -> None:
        """Take note of what `receive` put in place."""
        text = f"took over generation {data.generation} of epoch {data.data_epoch}: {applied.files} files"
        self._journal.log("applied", text, epoch=data.data_epoch)
        self._board.update(applied=applied)
        self._hold(data)

    def conflict(self, text: str) -> None:
        """Take note of a conflict that `receive` found, or (empty) that one may be over."""
        if text:
            self._journal.log("conflict", text, "warning")
        else:
            self._ask(SyncNow(asked=False))  # the peer says which of its own still wait
        self._board.update(conflicts=state.waiting_conflicts(self._state_dir))

    def _hold(self, data: Data) -> None:
        """Tell the elector, for its packets."""
        if data != self._board.now.data:
            self._tell(data)
            self._board.update(data=data, history=state.count_history(self._state_dir))
