"""`skd-cluster run`: everything that may be slow, around an elector that never waits.

The elector decides; this process tells systemd, people, hooks, monitoring and the replicator what it decided. If either
of the two dies the node gives up its addresses, resigns and exits, for systemd to start it again.
"""

import os
import signal
import socket
from dataclasses import replace
from pathlib import Path

from skd_cluster import __version__
from skd_cluster.adapters import notify, state
from skd_cluster.adapters.clock import monotonic, wall
from skd_cluster.adapters.control import AlreadyRunningError, ControlServer
from skd_cluster.adapters.datastate import read_state
from skd_cluster.adapters.journal import Journal, choose_sink
from skd_cluster.config.load import load
from skd_cluster.config.problems import Problem, Severity
from skd_cluster.config.schema import Config
from skd_cluster.core.messages import (
    Command,
    CommandResult,
    Data,
    ElectorReport,
    Flight,
    Floating,
    Health,
    Mastership,
    Message,
    Note,
    ReplicationReport,
    RoleChange,
    Settings,
    SyncNow,
)
from skd_cluster.core.model import ExitCode, Nanos, nanos
from skd_cluster.core.status import Board, Snapshot
from skd_cluster.core.supervision import Liveness
from skd_cluster.processes.loop import Loop, watch_signals
from skd_cluster.processes.release import LastDuties
from skd_cluster.processes.supervisor_checks import CheckRunner
from skd_cluster.processes.supervisor_children import Child, Keeper, Listener
from skd_cluster.processes.supervisor_control import Desk
from skd_cluster.processes.supervisor_flight import Recorder
from skd_cluster.processes.supervisor_floating import FloatingWatch
from skd_cluster.processes.supervisor_holdings import Holdings
from skd_cluster.processes.supervisor_hooks import HookRunner
from skd_cluster.processes.supervisor_metrics import MetricsKeeper
from skd_cluster.processes.supervisor_reload import CHECKS, ELECTION, FLOATING, HOOKS, METRICS, REPLICATOR, compare
from skd_cluster.processes.supervisor_restart import RestartKeeper
from skd_cluster.processes.supervisor_role import Herald, StatusFile, Succession
from skd_cluster.processes.supervisor_settings import settings_for, vip_rows
from skd_cluster.processes.supervisor_watch import Feeder, NoteLog, Watch

_FIRST_REPORT = nanos(10)
"""An elector that has not reported by then does not work."""

_STOP_PATIENCE = nanos(3)
"""For the elector to drop its addresses and resign, which takes it milliseconds."""

_FILES_PATIENCE = 2.0
"""Seconds to wait for the disk at the end."""


class Supervisor:
    """One life of the service. `run` returns when it is over."""

    def __init__(self, path: Path, config: Config, journal: Journal) -> None:
        self._path = path
        self._config = config
        self._journal = journal
        self._loop = loop = Loop()
        self._board = board = Board(_first_snapshot(config))
        self._files = state.FileWriter(self._unwritable)
        self._status_files = state.FileWriter(self._unwritable)  # of its own: a slow disk delays only what must be safe
        self._status_file = StatusFile(config.status_file, self._status_files)
        self._liveness = Liveness(notify.watchdog_period(os.environ))
        self._floating = FloatingWatch(journal, config, lambda vips: self._elector.send(Floating(vip_rows(vips))))
        self._hooks = HookRunner(loop, journal, board, config)
        self._checks = CheckRunner(loop, journal, board, config, lambda bad: self._elector.send(Health(bad)))
        ears = Listener(self._on_message, self._elector_gone, self._elector_closed)
        self._elector = Child(loop, "skd-elector", [], ears)
        arguments = ["--config", str(path.absolute())]  # children may be started from elsewhere
        self._replicator = Child(loop, "skdinotify", arguments, Listener(self._on_message, self._replicator_gone))
        self._keeper = Keeper(self._replicator, self._mastership, self._replicator_failed)
        self._recorder = Recorder(config, journal, self._files, board)
        self._herald = Herald(config, journal, board, self._hooks, self._files, self._recorder)
        self._succession = Succession(board, self._replicator, self._keeper)
        self._control = ControlServer(config.run_dir)
        self._holdings = Holdings(config, journal, board, self._elector.send, self._replicator.send)
        self._desk = Desk(loop, journal, self._control, board, self, self._holdings)
        self._notes = NoteLog(journal)
        self._watch = Watch(journal, board, self._liveness, self._status_file)
        self._metrics = MetricsKeeper(config, journal, board)
        self._restart = RestartKeeper(path, config, journal, board, self._recorder)
        self._last_duties = LastDuties(config, lambda: self._floating.vips)
        self._result = ExitCode.OK

    # ---- its life

    def run(self) -> ExitCode:
        """Live. Raises OSError and AlreadyRunningError when it cannot begin."""
        self._control.open()
        self._config.state_dir.mkdir(parents=True, exist_ok=True)
        self._files.start()
        self._status_files.start()
        self._status_file.remove()  # what a killed one left behind
        watch_signals(self._loop, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP), self._signalled)
        self._desk.start()
        served = (Feeder(self._liveness), self._floating, self._hooks, self._checks, self._elector, self._replicator)
        for timed in (*served, self._keeper, self._desk, self._notes, self._watch, self._metrics, self._recorder):
            self._loop.add(timed)
        try:
            self._start_elector()
            self._loop.run()
            if self._board.now.stopping:
                self._journal.log("stopped", "stopped as asked", "notice")
        finally:
            self._end()
        return self._result

    def _start_elector(self) -> None:
        self._floating.look()
        first = replace(self._settings(), resumes=self._restart.resumes())
        text = f"skd-cluster {__version__} starts on {self._board.now.node}"
        self._journal.log("started", text, peer=self._config.remote_ip)
        self._last_duties.key = bytes.fromhex(first.keys[0])
        try:
            self._elector.start(first)
        except OSError as error:
            self._fail(f"cannot start the elector: {error.filename}: {error.strerror}")
            return
        self._elector.kill_at(Nanos(monotonic() + _FIRST_REPORT))

    def _settings(self) -> Settings:
        """Return what the elector is told."""
        config, snapshot = self._config, self._board.now
        standby = state.read_standby(config.state_dir)
        return settings_for(config, self._floating.vips, epoch=snapshot.epoch, data=snapshot.data, standby=standby)

    def _end(self) -> None:
        """Leave nothing behind, whatever brought us here. An elector that still runs ends with its channel."""
        self._replicator.signal(signal.SIGTERM)
        self._hooks.kill()
        self._checks.kill()
        self._desk.close()
        self._metrics.close()
        self._status_file.remove()
        self._recorder.write()
        self._restart.end()
        if not all(files.flush(_FILES_PATIENCE) for files in (self._status_files, self._files)):
            self._unwritable("the disk does not answer: not all files are written")

    # ---- the elector

    def _on_message(self, message: Message, now: Nanos) -> None:
        self._restart.heard(message)
        match message:
            case RoleChange():
                self._herald.on_change(message, now)
                self._after_news(now)
            case ElectorReport():
                self._reported(message, now)
            case CommandResult():
                self._desk.on_result(message, now)
            case ReplicationReport():
                self._holdings.replicated(message)
            case Note():
                self._notes.write(message, now)
            case Flight():
                self._recorder.heard(message, now)
            case _:
                self._journal.log("internal", f"a child said {type(message).__name__}", "warning")

    def _reported(self, report: ElectorReport, now: Nanos) -> None:
        first = self._board.now.elector is None
        self._liveness.on_report(Nanos(report.at))
        self._herald.on_report(report, now)
        self._after_news(now)
        if first:
            self._elector.kill_at(None)
            notify.ready(self._watch.sentence(now))

    def _after_news(self, now: Nanos) -> None:
        self._succession.follow(now)
        if self._board.now.elector is not None and not self._board.now.stopping:
            self._watch.look(now)
        self._desk.on_change(now)

    def _elector_closed(self, now: Nanos) -> None:
        """Act for an elector that has just died. It ends later, and the peer waits for the word."""
        if not self._board.now.stopping:
            self._last_duties.perform()
            self._recorder.lost(now)

    def _elector_gone(self, status: int, now: Nanos) -> None:
        stopping = self._board.now.stopping
        if status or not stopping:
            self._last_duties.perform()  # again: from now on nothing can come of it
            how = f"{_ending(status)} instead of stopping" if stopping else _ending(status)
            self._journal.log("elector_lost", f"the elector ended with {how}; {self._last_duties.words}", "err")
        if stopping:
            self._hooks.on_stop(now, resumes=self._restart.kept)
            self._status_file.remove()
            return
        self._fail("this node is out until systemd starts the service again")

    def _fail(self, why: str) -> None:
        self._journal.log("stopped", why, "err")
        notify.status(why)
        self._result = ExitCode.FAILED
        self._loop.stop()

    # ---- the replicator

    def _mastership(self) -> Message:
        self._journal.log("child_started", "skdinotify starts", epoch=self._board.now.epoch)
        self._board.update(replicator_running=True, replicator_error="")
        return Mastership(self._board.now.epoch)

    def _replicator_failed(self, why: str) -> None:
        self._journal.log("child_died", why, "err")
        self._board.update(replicator_running=False, replicator_error=why)

    def _replicator_gone(self, status: int, now: Nanos) -> None:
        before = self._board.now.replication_before.plus(self._board.now.replication)
        self._board.update(replicator_running=False, replication=None, replication_before=before)
        if self._keeper.wanted and not self._keeper.ending:
            self._replicator_failed(f"skdinotify ended with {_ending(status)}; it is started again")
        self._keeper.on_exit(now)

    # ---- what people ask

    def command(self, command: Command) -> bool:
        """Hand a command to the elector."""
        self._journal.log("command", f"{command.verb} was asked for", "notice")
        return not self._board.now.stopping and self._elector.send(command)

    def sync(self, *, allow_delete: bool) -> str:
        """Ask the replicator to compare everything; return what is in the way, or nothing."""
        if not self._keeper.wanted:
            return f"{self._board.now.node} is {self._board.now.role.word}: the master is the one that replicates"
        return "" if self._replicator.send(SyncNow(allow_delete)) else "skdinotify does not run"

    def note(self, note: Note, now: Nanos) -> None:
        """Write a line into the journal, or count it if its kind comes too often."""
        self._notes.write(note, now)

    def set_standby(self, *, standby: bool) -> None:
        """Remember that the administrator took this node out, or put it back."""
        self._files.mark(self._config.state_dir / "standby", there=standby)

    def reload(self, now: Nanos) -> tuple[bool, str]:
        """Read the configuration again; put in force what can change live, and say what cannot."""
        if self._board.now.elector is None or self._board.now.stopping:
            return False, "the service is starting or stopping"  # and systemd must not be told that it is ready
        notify.reloading(now)
        loaded = load(self._path)
        log_problems(self._journal, loaded.problems)
        if loaded.config is None:
            text = f"{self._path} has errors; the running configuration stays in force"
            self._journal.log("config_refused", text, "err")
            why_not = "it has errors"
        else:
            text = self._apply(loaded.config, now)
            why_not = "" if text else "the elector does not listen: reload again"
        self._board.update(reload_ok=not why_not, reload_note=why_not)
        notify.ready(self._watch.sentence(now))
        return not why_not, text or why_not

    def _apply(self, new: Config, now: Nanos) -> str:
        """Put a configuration in force; return what came of it, or nothing when the elector does not take it."""
        before = self._config
        changes, self._config = compare(before, new)
        if changes.live & ELECTION and not self._retune():
            self._config = before
            return ""
        parts = (HOOKS, self._hooks), (CHECKS, self._checks), (FLOATING, self._floating), (METRICS, self._metrics)
        for keys, part in parts:
            if changes.live & keys:
                part.reconfigure(self._config)
        if changes.live & REPLICATOR:
            self._keeper.restart(now)
        self._journal.log("config_reloaded", changes.text, "warning" if changes.restart else "info")
        return changes.text

    def _retune(self) -> bool:
        """Have the elector take other settings; False when its channel is full."""
        settings = self._settings()
        sent = self._elector.send(settings)
        if sent:
            self._last_duties.config, self._last_duties.key = self._config, bytes.fromhex(settings.keys[0])
        return sent

    # ---- the end

    def _signalled(self, number: int, now: Nanos) -> None:
        if number == signal.SIGHUP:
            self.reload(now)
        elif number in (signal.SIGTERM, signal.SIGINT) and not self._board.now.stopping:
            self._stop(now)

    def _stop(self, now: Nanos) -> None:
        """Begin to leave: the elector drops its addresses and resigns, then the down hook runs."""
        self._board.update(stopping=True)
        self._liveness.stopping = True
        notify.stopping("stopping", Nanos(_STOP_PATIENCE + self._config.hook_timeout + nanos(5)))
        self._keeper.want(False, now)
        self._elector.send(self._restart.command(hooks_idle=self._hooks.idle))
        self._elector.kill_at(Nanos(now + _STOP_PATIENCE))
        self._loop.until(lambda: self._hooks.idle and not self._elector.running and not self._keeper.running)

    def _unwritable(self, text: str) -> None:
        self._journal.log("file_unwritable", text, "err")


def run(path: Path) -> ExitCode:
    """Be the service with the configuration at `path`, until told to stop."""
    journal = Journal(choose_sink(os.environ))
    journal.start()
    try:
        return _run(path, journal)
    finally:
        journal.close()


def _run(path: Path, journal: Journal) -> ExitCode:
    loaded = load(path)
    log_problems(journal, loaded.problems)
    if loaded.config is None:
        text = f"{path} cannot be used: the service does not start"
        journal.log("config_refused", text, "err")
        notify.status(text)
        return ExitCode.CONFIG
    if not loaded.starts:
        journal.log("disabled", f'the cluster is switched off: enable_cluster="false" in {path}', "notice")
        return ExitCode.OK
    try:
        return Supervisor(path, loaded.config, journal).run()
    except (OSError, AlreadyRunningError) as error:
        place = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        text = f"{place}{error.strerror or error}" if isinstance(error, OSError) else str(error)
        journal.log("stopped", f"cannot run: {text}", "err")
        return ExitCode.FAILED


def log_problems(journal: Journal, problems: tuple[Problem, ...]) -> None:
    """Write every problem of a configuration file, a line each."""
    severities = {Severity.ERROR: "err", Severity.WARNING: "warning", Severity.NOTE: "notice"}
    for problem in problems:
        journal.log("config_problem", str(problem), severities[problem.severity])


def _first_snapshot(config: Config) -> Snapshot:
    held = read_state(config.state_dir)
    return Snapshot(
        node=socket.gethostname(),
        version=__version__,
        local_ip=str(config.local_ip),
        remote_ip=str(config.remote_ip),
        epoch=state.read_epoch(config.state_dir),
        data=Data(held.version.epoch, held.version.generation, held.digest, held.unshared),
        history=state.count_history(config.state_dir),
        conflicts=state.waiting_conflicts(config.state_dir),
        started=wall(),
    )


def _ending(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"status {status}"
