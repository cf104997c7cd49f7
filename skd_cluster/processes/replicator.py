"""`skdinotify`: keeps the peer's tree equal to this master's. One loop, one thread; the decisions are the machine's."""

import argparse
import os
import random
import select
import signal
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import skd_cluster
from skd_cluster.adapters.channel import Channel, inherited
from skd_cluster.adapters.clock import monotonic, wall
from skd_cluster.adapters.command import CannotStartError
from skd_cluster.adapters.datastate import BusyError, DataState, read_state, tree_lock, write_state
from skd_cluster.adapters.inotify import Watcher
from skd_cluster.adapters.push import MovedError, Push, RsyncError
from skd_cluster.adapters.ssh import Session, session_argv, tried_by_hand
from skd_cluster.adapters.synclog import SyncLog
from skd_cluster.adapters.tree import Scan as Found
from skd_cluster.adapters.tree import Tree
from skd_cluster.config.load import load
from skd_cluster.config.schema import Config
from skd_cluster.core import session as wire
from skd_cluster.core.histogram import LAG_BOUNDS, Histogram
from skd_cluster.core.manifest import unpack_manifest
from skd_cluster.core.messages import Mastership, Note, ReplicationReport, SyncNow
from skd_cluster.core.model import MILLISECOND, SECOND, DataVersion, ExitCode, Nanos, seconds
from skd_cluster.core.replication import (
    Action,
    AskPeer,
    Connect,
    Disconnect,
    Limits,
    Link,
    Record,
    ReplicationMachine,
    Scan,
    Send,
    Tell,
)

_ROUNDS = 10
"""Readings of the tree in a row while new folders appear; what appears later has a watch or an event."""


class Replicator:
    """One run of the process: from the first `Mastership` to the end of the channel."""

    def __init__(self, config: Config, config_path: Path, channel: Channel) -> None:
        self._config = config
        self._config_path = config_path
        self._channel = channel
        self._tree = Tree.of(config)
        self._watcher = Watcher(self._tree)
        self._log = SyncLog(config.zeninolog)
        state = read_state(config.state_dir)
        limits = Limits(config.reconcile_interval, config.max_delete)
        chance = random.Random()  # noqa: S311 -- spreads retries, guards nothing
        self._machine = ReplicationMachine(limits, state.version, state.digest, chance.random)
        self._lag = Histogram(LAG_BOUNDS)
        self._session: Session | None = None
        self._control = config.run_dir / "ssh"
        self._sessions = 0
        self._push: Push | None = None
        self._last_success = 0.0
        self._last_lag = 0.0
        self._report_at: Nanos | None = None
        self._skipped: set[str] = set()

    def run(self) -> None:
        """Serve until the supervisor is gone."""
        self._config.run_dir.mkdir(parents=True, exist_ok=True)
        for stale in self._config.run_dir.glob("ssh-*"):
            stale.unlink(missing_ok=True)
        while not self._channel.closed:
            self._wait()
            self._commands()
            self._touches()
            self._answers()
            self._do(self._machine.on_timer(monotonic()))
            self._report_pending()
        self._disconnect()
        self._watcher.close()

    # --- the loop ------------------------------------------------------------------------

    def _wait(self) -> None:
        poller = select.poll()
        interest = {self._channel.fileno(): select.POLLIN, self._watcher.fileno(): select.POLLIN}
        if self._session is not None:
            interest |= self._session.interest()
        if self._push is not None and self._push.rsync is not None:
            interest |= self._push.rsync.interest()
        for descriptor, events in interest.items():
            poller.register(descriptor, events)
        instants = [one for one in (self._machine.deadline, self._report_at) if one is not None]
        now = monotonic()
        poller.poll(max(0, -((now - min(instants)) // MILLISECOND)) if instants else None)

    def _commands(self) -> None:
        for message in self._channel.receive():
            if isinstance(message, Mastership):
                self._do(self._machine.mastership(message.epoch, monotonic()))
            elif isinstance(message, SyncNow):
                self._do(self._machine.sync_now(monotonic(), allow_delete=message.allow_delete))

    def _touches(self) -> None:
        touched = self._watcher.read()
        now = monotonic()
        for key, writing in touched.keys.items():
            self._machine.touched(key, now, writing=writing)
        if touched.lost:
            self._note("events_lost", "more changes than the kernel could tell: comparing everything", "info")
            self._do(self._machine.lost_track(now))

    def _answers(self) -> None:
        session = self._session
        if session is None:
            return
        for message in session.receive():
            if self._session is session:
                self._answer(message)
        if self._session is session:
            self._step_rsync()
        if self._session is session and session.ended:
            trouble = session.trouble(f"the peer {self._config.remote_ip}", tried_by_hand(self._config))
            self._disconnect()
            self._do(self._machine.lost(trouble.kind, trouble.text, monotonic()))
            self._failed(trouble.text)

    def _answer(self, message: wire.Message) -> None:
        now = monotonic()
        match message:
            case wire.Hello():
                self._do(self._machine.connected(DataVersion(message.data_epoch, message.generation), now))
            case wire.Holds():
                self._holds(message, now)
            case wire.Ready():
                self._try_push(lambda push: push.ready(message.staging))
            case wire.Confirm():
                self._confirmed(message, now)
            case wire.Refused():
                self._end_push("refused", message.text)
                self._do(self._machine.refused(message.reason, message.text, now))
                self._failed(message.text)
            case _:
                self._lose("protocol", f"the peer said {type(message).__name__} where no question may come")

    def _holds(self, message: wire.Holds, now: Nanos) -> None:
        try:
            manifest = unpack_manifest(message.entries)
        except ValueError as error:
            self._lose("protocol", f"the peer's manifest cannot be read: {error}")
            return
        self._do(self._machine.holds(manifest, now))
        self._report()

    def _confirmed(self, message: wire.Confirm, now: Nanos) -> None:
        self._end_push("ok", f"{message.files} paths, {message.size} bytes")
        self._last_success = wall()
        self._do(self._machine.confirmed(message.digest, now))
        for lag in self._machine.totals.lags:
            self._last_lag = lag
            self._lag.observe(lag)
        self._machine.totals.lags.clear()
        self._report()

    def _step_rsync(self) -> None:
        if self._push is not None and self._push.rsync is not None:
            self._try_push(lambda push: push.step(monotonic()))

    def _try_push(self, move: "_Move") -> None:
        """Move the batch on; what goes wrong on this side ends the session, whose other end may be in the middle of it."""
        if self._push is None:
            return
        try:
            move(self._push)
        except (RsyncError, CannotStartError) as error:
            self._end_push("failed", str(error))
            self._lose("rsync", str(error))

    def _lose(self, kind: str, text: str) -> None:
        self._disconnect()
        self._do(self._machine.lost(kind, text, monotonic()))
        self._failed(text)

    # --- what the machine wants ----------------------------------------------------------

    def _do(self, actions: list[Action]) -> None:
        """Perform actions in their order. An action that answers at once adds its own at the end."""
        waiting = list(actions)
        while waiting:
            waiting += self._perform(waiting.pop(0))

    def _perform(self, action: Action) -> list[Action]:
        match action:
            case Connect():
                return self._connect()
            case Disconnect():
                self._end_push("failed", "ended")
                self._disconnect()
            case AskPeer():
                self._say(wire.Ask())
            case Scan():
                return self._scan(action.hold)
            case Send():
                return self._send(action)
            case Record():
                self._record(action)
            case Tell():
                self._note(action.event, action.text, action.severity)
                self._log.line(action.text)
                self._report()
        return []

    def _connect(self) -> list[Action]:
        self._disconnect()
        self._sessions += 1
        self._control = self._config.run_dir / f"ssh-{os.getpid()}-{self._sessions}"
        try:
            self._session = Session(session_argv(self._config, self._control, self._config_path))
        except CannotStartError as error:
            return self._machine.lost("ssh", str(error), monotonic())
        self._say(wire.Hello(wire.PROTOCOL, skd_cluster.__version__, self._machine.epoch))
        return []

    def _disconnect(self) -> None:
        if self._push is not None:
            self._push.cancel()
            self._push = None
        if self._session is not None:
            self._session.close()
            self._session = None
            self._control.unlink(missing_ok=True)

    def _say(self, message: wire.Message) -> None:
        if self._session is not None:
            self._session.send([message])

    def _scan(self, hold: frozenset[str]) -> list[Action]:
        found = self._tree.scan(hold)
        for _ in range(_ROUNDS):
            new, trouble = self._watcher.follow(found.folders)
            if trouble:
                self._machine.blind(monotonic())
                self._note_once("cannot_watch", trouble)
            if not new:
                break
            found = self._tree.scan(hold)
        self._mention(found)
        return self._machine.scanned(found.manifest, found.unreadable, frozenset(found.changing), monotonic())

    def _mention(self, found: Found) -> None:
        for path in found.skipped.values():
            self._note_once("not_replicated", f"{path} is no file, folder or link and is not replicated", "info")

    def _send(self, action: Send) -> list[Action]:
        if self._session is None:
            return []
        push = Push(action.batch, self._tree, self._session, self._config, self._control)
        try:
            push.start()
        except MovedError as error:
            return self._machine.moved(str(error), monotonic())
        self._push = push
        return []

    def _record(self, action: Record) -> None:
        try:
            with tree_lock(self._config.state_dir):
                write_state(self._config.state_dir, DataState(action.version, action.digest))
        except (OSError, BusyError) as error:
            self._note_once("state", f"the version of the configuration cannot be recorded: {error}")

    # --- what people see -----------------------------------------------------------------

    def _end_push(self, result: str, text: str) -> None:
        push, self._push = self._push, None
        if push is None:
            return
        push.cancel()
        plan, version = push.batch.plan, push.batch.version
        took = (monotonic() - push.began) // MILLISECOND
        self._log.line(
            f"{result}: generation {version.epoch}.{version.generation}, {len(plan.entries)} changed, "
            f"{len(plan.delete)} deleted, {plan.size} bytes, {took} ms: {text}"
        )

    def _failed(self, text: str) -> None:
        self._log.line(f"failed: {text}")
        self._report()

    def _note(self, event: str, text: str, severity: str) -> None:
        self._channel.send(Note(event, text, severity))

    def _note_once(self, event: str, text: str, severity: str = "warning") -> None:
        if text not in self._skipped:
            self._skipped.add(text)
            self._note(event, text, severity)
            self._log.line(text)

    def _report(self) -> None:
        machine, totals = self._machine, self._machine.totals
        self._report_at = Nanos(monotonic() + SECOND) if machine.pending_since is not None else None
        self._channel.send(
            ReplicationReport(
                in_sync=machine.in_sync,
                pending=machine.pending,
                pending_since=machine.pending_since or 0,
                lag_seconds=self._lag_now(),
                last_success=self._last_success,
                last_error=machine.last_error,
                data_epoch=machine.version.epoch,
                generation=machine.version.generation,
                digest=machine.digest,
                runs=dict(totals.runs),
                sent_bytes=totals.size,
                sent_files=totals.files,
                lag={"counts": list(self._lag.counts), "total": self._lag.total},
            )
        )

    def _lag_now(self) -> float:
        """Return the age of the oldest unconfirmed change; with none, what the last confirmed batch took."""
        since = self._machine.pending_since
        return self._last_lag if since is None else seconds(Nanos(monotonic() - since))

    def _report_pending(self) -> None:
        now = monotonic()
        if self._report_at is None and self._machine.pending_since is not None:
            self._report_at = Nanos(now + SECOND)
        if self._report_at is not None and now >= self._report_at:
            self._report()
