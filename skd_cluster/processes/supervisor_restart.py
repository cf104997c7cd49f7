"""A stop that is only the first half of a restart: a master then keeps its addresses, if its peer agrees to wait."""

from pathlib import Path

from skd_cluster.adapters.clock import monotonic
from skd_cluster.adapters.journal import Journal
from skd_cluster.adapters.restartmark import forget_mark, leave_mark, marked_epoch
from skd_cluster.adapters.systemd import restarts
from skd_cluster.config.load import load
from skd_cluster.config.schema import Config
from skd_cluster.core.messages import Command, CommandResult, Message
from skd_cluster.core.model import Role
from skd_cluster.core.restarting import RESTART_LEASE
from skd_cluster.core.status import Board
from skd_cluster.core.supervision import RESTART_IDENT
from skd_cluster.processes.supervisor_flight import Recorder
from skd_cluster.processes.supervisor_life import LifeKeeper


class RestartKeeper:
    """This run's end, and what the run before has left."""

    def __init__(self, path: Path, config: Config, journal: Journal, board: Board, recorder: Recorder) -> None:
        self._path = path
        self._run_dir = config.run_dir
        self._journal = journal
        self._board = board
        self._recorder = recorder
        self._life = LifeKeeper(config, journal, board)
        self.kept = False
        """Whether the elector has left without dropping its addresses."""

    def resumes(self) -> bool:
        """Return whether this node was master until a moment ago, under the epoch that it remembers. Asked once."""
        self._life.begin(monotonic())
        epoch = marked_epoch(self._run_dir)
        forget_mark(self._run_dir)
        return epoch is not None and epoch == self._board.now.epoch

    def end(self) -> None:
        """Leave word whether this run ends as asked."""
        self._life.end()

    def command(self, *, hooks_idle: bool) -> Command:
        """Return what to tell the elector for a stop.

        A hook that still runs could outlast the lease, and a configuration that does not start would leave nobody master.
        """
        master = self._board.now.role is Role.MASTER
        if master and hooks_idle and restarts() and load(self._path).starts:
            return Command("restart", RESTART_IDENT)
        return Command("stop", 0)

    def heard(self, message: Message) -> None:
        """Take the elector's answer to a restart, among all it says."""
        if not isinstance(message, CommandResult) or message.ident != RESTART_IDENT:
            return
        if not message.accepted:
            self._journal.log("restart_refused", f"hands over for its restart: {message.text}", "warning")
            return
        try:
            leave_mark(self._run_dir, self._board.now.epoch, RESTART_LEASE)
        except OSError as error:
            self._journal.log(
                "restart_refused", f"cannot tell the next run: {error}; it asks for mastership anew", "warning"
            )
            return
        self.kept = True
        self._recorder.restarting()
        text = f"goes away for its restart: the addresses stay for {RESTART_LEASE} s, the peer waits"
        self._journal.log("restarting", text, "notice", epoch=self._board.now.epoch)
