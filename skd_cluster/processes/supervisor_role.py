"""Tells everybody what the elector decided: the journal, the status file, hooks, the replicator, the disk."""

from dataclasses import replace
from pathlib import Path

from skd_cluster.adapters.journal import Journal
from skd_cluster.adapters.state import FileWriter
from skd_cluster.config.schema import Config
from skd_cluster.core.events import role_sentence
from skd_cluster.core.messages import ElectorReport, Mastership, RoleChange, SyncNow
from skd_cluster.core.model import Nanos, Role
from skd_cluster.core.status import Board
from skd_cluster.processes.supervisor_children import Child, Keeper
from skd_cluster.processes.supervisor_flight import Recorder
from skd_cluster.processes.supervisor_hooks import HookRunner


class StatusFile:
    """The word that prompts and people's scripts read. No file: the service does not run."""

    def __init__(self, path: Path, writer: FileWriter) -> None:
        self._path = path
        self._writer = writer
        self._word = ""

    def show(self, word: str) -> None:
        """Write the word, unless it is there already."""
        if word != self._word:
            self._word = word
            self._writer.put(self._path, f"{word}\n".encode(), durable=False)

    def remove(self) -> None:
        """Take it away."""
        self._word = ""
        self._writer.remove(self._path)


class Herald:
    """Follows the elector's role. A change whose message got lost is found in the next report."""

    def __init__(
        self,
        config: Config,
        journal: Journal,
        board: Board,
        hooks: HookRunner,
        files: FileWriter,
        recorder: Recorder,
    ) -> None:
        self._recorder = recorder
        self._config = config
        self._journal = journal
        self._board = board
        self._hooks = hooks
        self._files = files
        self._role = Role.INIT
        self._epoch = board.now.epoch
        self._detail = ""

    def on_change(self, change: RoleChange, now: Nanos) -> None:
        """Hear of a change at once."""
        self._detail = change.detail
        report = self._board.now.elector
        if report is not None and change.at >= report.since:
            since = change.at if change.new != change.old else report.since
            news = replace(report, role=change.new, since=since, reason=change.reason, detail=change.detail)
            self._board.update(elector=replace(news, epoch=change.epoch))
        self._tell(change, now)

    def on_report(self, report: ElectorReport, now: Nanos) -> None:
        """Take the elector's picture of the world; it may hold a change nobody told."""
        self._recorder.follow(report, now)
        self._board.update(elector=replace(report, detail=report.detail or self._detail))
        if report.role != self._role or report.epoch != self._epoch:
            told = RoleChange(report.since, self._role, report.role, report.reason, report.epoch, report.detail)
            self._tell(told, now)

    def _tell(self, change: RoleChange, now: Nanos) -> None:
        new = Role(change.new)
        if new is self._role and change.epoch == self._epoch:
            return
        changed, self._role = new is not self._role, new
        if change.epoch != self._epoch:
            self._epoch = change.epoch
            self._files.put(self._config.state_dir / "epoch", f"{change.epoch}\n".encode(), durable=True)
        self._board.now = self._board.now.with_role(change)
        if not changed:
            return
        self._recorder.changed(change)
        self._journal.log(
            "role_changed",
            role_sentence(self._board.now.node, change),
            "notice",
            role=new.word,
            old_role=Role(change.old).word,
            reason=change.reason,
            epoch=change.epoch,
            peer=self._config.remote_ip,
        )
        self._hooks.on_role(new, change.reason, change.epoch, now)


class Succession:
    """The replicator runs exactly while this node is master, and knows the epoch of its mastership."""

    def __init__(self, board: Board, child: Child, keeper: Keeper) -> None:
        self._board = board
        self._child = child
        self._keeper = keeper
        self._epoch = 0
        self._peer_alive = False

    def follow(self, now: Nanos) -> None:
        """Bring the replicator in line with the role on the board."""
        board = self._board.now
        master = board.role is Role.MASTER and not board.stopping
        if master and self._keeper.running and board.epoch != self._epoch:
            self._child.send(Mastership(board.epoch))
        self._epoch = board.epoch
        alive = bool(board.peer.get("alive"))
        if master and self._keeper.running and alive and not self._peer_alive:
            self._child.send(SyncNow(asked=False))  # it is back: no need to wait for the next try
        self._peer_alive = alive
        if master and not self._keeper.wanted:
            self._board.update(replicator_error="")
        if not master and board.replication is not None:
            self._board.update(replication=None, replication_before=board.replication_before.plus(board.replication))
        self._keeper.want(master, now)
