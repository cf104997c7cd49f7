"""`skdinotify`: keeps the peer's tree equal to this master's. One loop, one thread; the decisions are the machine's."""

import argparse
import random
import select
import signal
import sys
from pathlib import Path

import skd_cluster
from skd_cluster.adapters.agreed import Agreed
from skd_cluster.adapters.channel import Channel, inherited
from skd_cluster.adapters.children import tie_to_parent
from skd_cluster.adapters.clock import monotonic, wall
from skd_cluster.adapters.command import CannotStartError
from skd_cluster.adapters.datastate import BusyError, read_state, tree_lock, write_state
from skd_cluster.adapters.line import Line, Lost
from skd_cluster.adapters.push import MovedError
from skd_cluster.adapters.sight import Sight
from skd_cluster.adapters.synclog import SyncLog
from skd_cluster.adapters.tree import Scan as Found
from skd_cluster.adapters.tree import Tree
from skd_cluster.config.load import load
from skd_cluster.config.schema import Config
from skd_cluster.core import session as wire
from skd_cluster.core.comparison import Part
from skd_cluster.core.histogram import LAG_BOUNDS, Histogram
from skd_cluster.core.manifest import unpack_manifest
from skd_cluster.core.messages import Mastership, Note, ReplicationReport, SyncNow
from skd_cluster.core.model import MILLISECOND, SECOND, DataVersion, ExitCode, Nanos, nanos, seconds
from skd_cluster.core.replication import Limits, ReplicationMachine
from skd_cluster.core.replication_actions import (
    Action,
    AskPeer,
    Batch,
    Connect,
    Disconnect,
    Look,
    Record,
    Scan,
    Send,
    Tell,
)

_RESTORE = nanos(5)
"""What `skd-cluster history restore` may take for a tree; until it is done there is nothing whole to send."""


class Teller:
    """What people see of the replicator: its log, notes for the journal, reports for status and metrics."""

    def __init__(self, channel: Channel, log: SyncLog, machine: ReplicationMachine) -> None:
        self._channel = channel
        self._log = log
        self._machine = machine
        self._lag = Histogram(LAG_BOUNDS)
        self._last_lag = 0.0
        self._last_success = 0.0
        self._report_at: Nanos | None = None
        self._told: set[str] = set()
        self._conflicts: tuple[str, ...] = ()

    @property
    def deadline(self) -> Nanos | None:
        """When to call `report_pending` again."""
        return self._report_at

    def tell(self, event: str, text: str, severity: str = "warning") -> None:
        """Say something in the journal and in the log."""
        self._channel.send(Note(event, text, severity))
        self._log.line(text)

    def tell_once(self, event: str, text: str, severity: str = "warning") -> None:
        """Say something that stays true only the first time."""
        if text not in self._told:
            self._told.add(text)
            self.tell(event, text, severity)

    def batch(self, result: str, batch: Send, began: Nanos, text: str) -> None:
        """Write the line of one batch, and count it."""
        plan, version = batch.batch.plan, batch.batch.version
        took = (monotonic() - began) // MILLISECOND
        self._log.line(
            f"{result}: generation {version.epoch}.{version.generation}, {len(plan.entries)} changed, "
            f"{len(plan.delete)} deleted, {plan.size} bytes, {took} ms{text}"
        )

    def conflicts(self, names: list[str]) -> None:
        """Take the names of the conflicts that wait on the peer; say which are new."""
        for name in names:
            if name not in self._conflicts:
                text = f"the peer keeps changes of its own that gave way to this master's: conflict {name}"
                self.tell("conflict", f"{text}; see skd-cluster history show {name}")
        self._conflicts = tuple(names)

    def confirmed(self) -> None:
        """Take the lags of what was confirmed."""
        self._last_success = wall()
        for lag in self._machine.totals.lags:
            self._last_lag = lag
            self._lag.observe(lag)
        self._machine.totals.lags.clear()

    def report_pending(self) -> None:
        """Report once a second while something waits for the peer."""
        now, pending = monotonic(), self._machine.pending_since is not None
        if self._report_at is None and pending:
            self._report_at = Nanos(now + SECOND)
        elif self._report_at is not None and now >= self._report_at:
            self.report()

    def report(self) -> None:
        """Say how things are."""
        machine, totals = self._machine, self._machine.totals
        since, now = machine.pending_since, monotonic()
        self._report_at = None if since is None else Nanos(now + SECOND)
        self._channel.send(
            ReplicationReport(
                in_sync=machine.in_sync,
                pending=machine.pending,
                pending_since=since or 0,
                lag_seconds=self._last_lag if since is None else seconds(Nanos(now - since)),
                last_success=self._last_success,
                last_error=machine.troubles.last,
                data_epoch=machine.lineage.version.epoch,
                generation=machine.lineage.version.generation,
                digest=machine.lineage.digest,
                runs=dict(totals.runs),
                sent_bytes=totals.size,
                sent_files=totals.files,
                lag={"counts": list(self._lag.counts), "total": self._lag.total},
                unshared=machine.lineage.unshared,
                conflicts=list(self._conflicts),
            )
        )


class Replicator:
    """One run of the process: from the first `Mastership` to the end of the channel."""

    def __init__(self, config: Config, config_path: Path, channel: Channel) -> None:
        self._config = config
        self._channel = channel
        self._sight = Sight(Tree.of(config))
        self._line = Line(config, config_path, self._sight.tree)
        self._agreed = Agreed(config.state_dir)
        limits = Limits(config.reconcile_interval, config.max_delete)
        chance = random.Random()  # noqa: S311 -- spreads retries, guards nothing
        self._machine = ReplicationMachine(limits, read_state(config.state_dir), chance.random)
        self._teller = Teller(channel, SyncLog(config.zeninolog), self._machine)

    def run(self) -> None:
        """Serve until the supervisor is gone."""
        self._line.sweep()
        while not self._channel.closed:
            self._wait()
            self._commands()
            self._touches()
            for heard in self._line.receive():
                self._hear(heard)
            self._do(self._machine.on_timer(monotonic()))
            self._teller.report_pending()
        self._line.close()
        self._sight.close()
        self._agreed.close()

    # --- the loop ------------------------------------------------------------------------

    def _wait(self) -> None:
        poller = select.poll()
        poller.register(self._channel.fileno(), select.POLLIN)
        poller.register(self._sight.fileno(), select.POLLIN)
        for descriptor, events in self._line.interest().items():
            poller.register(descriptor, events)
        instants = [one for one in (self._machine.deadline, self._teller.deadline) if one is not None]
        # Rounded up: waking a moment too early would mean waking twice.
        poller.poll(max(0, -((monotonic() - min(instants)) // MILLISECOND)) if instants else None)

    def _commands(self) -> None:
        for message in self._channel.receive():
            if isinstance(message, Mastership):
                self._do(self._machine.mastership(message.epoch, monotonic()))
            elif isinstance(message, SyncNow):
                now = monotonic()
                self._do(self._machine.sync_now(now, allow_delete=message.allow_delete, asked=message.asked))

    def _touches(self) -> None:
        touched = self._sight.touched()
        now = monotonic()
        for key, writing in touched.keys.items():
            self._machine.touched(key, now, writing=writing)
        if touched.lost:
            self._teller.tell("events_lost", "more changes than the kernel could tell: comparing everything", "info")
            self._do(self._machine.lost_track(now))

    def _hear(self, heard: wire.Message | Lost) -> None:
        now = monotonic()
        match heard:
            case wire.Hello() if heard.protocol != wire.PROTOCOL:
                self._line.close()
                words = wire.not_understood(heard.software, skd_cluster.__version__)
                self._do(self._machine.lost("protocol", words, now))
            case wire.Hello():
                self._teller.conflicts(heard.conflicts)
                self._do(self._machine.connected(now))
            case wire.Holds():
                self._holds(heard, now)
            case wire.Confirm():
                self._confirmed(heard, now)
            case wire.Refused():
                self._over("refused", f": {heard.text}")
                self._do(self._machine.refused(heard.reason, heard.text, now))
            case Lost():
                self._over("failed", f": {heard.text}")
                self._do(self._machine.lost(heard.kind, heard.text, now))
            case _:
                self._line.close()
                self._do(self._machine.lost("protocol", f"the peer asked: {type(heard).__name__}", now))
        self._teller.report()

    def _confirmed(self, heard: wire.Confirm, now: Nanos) -> None:
        agreed = self._machine.lineage.agreed
        batch = self._over("ok", "".join(f"; {words}" for words in heard.kept))
        self._do(self._machine.confirmed(heard.digest, now))
        self._teller.confirmed()
        self._teller.conflicts(heard.conflicts)
        if batch is not None and self._machine.lineage.agreed == batch.version:
            plan = batch.plan
            whole = self._machine.confirmed_tree
            self._agreed.follow(agreed, batch.version, plan.entries, plan.delete, whole)

    def _holds(self, heard: wire.Holds, now: Nanos) -> None:
        try:
            manifest = unpack_manifest(heard.entries)
        except ValueError as error:
            self._line.close()
            self._do(self._machine.lost("protocol", f"the peer's manifest cannot be read: {error}", now))
            return
        self._teller.conflicts(heard.conflicts)
        self._do(self._machine.holds(manifest, DataVersion(heard.data_epoch, heard.generation), now))

    def _over(self, result: str, text: str) -> Batch | None:
        push = self._line.finish()
        if push is None:
            return None
        self._teller.batch(result, Send(push.batch), push.began, text)
        return push.batch

    # --- what the machine wants ----------------------------------------------------------

    def _do(self, actions: list[Action]) -> None:
        """Perform actions in their order. What one of them answers at once comes after the others."""
        waiting = list(actions)
        while waiting:
            waiting += self._perform(waiting.pop(0))

    def _perform(self, action: Action) -> list[Action]:
        match action:
            case Connect():
                return self._connect()
            case Disconnect():
                self._line.close()
                self._over("failed", ": no answer in time")
            case AskPeer():
                self._line.say(wire.Ask())
            case Scan():
                found = self._noted(self._sight.scan(action.hold))
                return self._machine.scanned(found.manifest, found.unreadable, frozenset(found.changing), monotonic())
            case Look():
                found = self._noted(self._sight.look(action.keys, action.hold))
                if found.linked:  # its other names were written through as well
                    return self._perform(Scan(action.hold))
                part = Part(found.manifest, found.whole, found.unreadable, frozenset(found.changing))
                return self._machine.looked(part, monotonic())
            case Send():
                return self._send(action)
            case Record():
                self._record(action)
            case Tell():
                self._teller.tell(action.event, action.text, action.severity)
                self._teller.report()
        return []

    def _connect(self) -> list[Action]:
        try:
            self._line.connect(self._machine.epoch)
        except CannotStartError as error:
            return self._machine.lost("ssh", str(error), monotonic())
        return []

    def _noted(self, found: Found) -> Found:
        """Say what is not watched, and what does not travel."""
        if self._sight.trouble:
            self._machine.blind(monotonic())
            self._teller.tell_once("cannot_watch", self._sight.trouble)
        for path in found.skipped.values():
            self._teller.tell_once("not_replicated", f"{path} is no file, folder or link: not replicated", "info")
        return found

    def _send(self, action: Send) -> list[Action]:
        try:
            self._line.send(action.batch)
        except MovedError as error:
            return self._machine.moved(str(error), monotonic())
        return []

    def _record(self, action: Record) -> None:
        try:
            with tree_lock(self._config.state_dir, _RESTORE):
                write_state(self._config.state_dir, action.state, durable=action.durable)
        except (OSError, BusyError) as error:
            self._teller.tell_once("state", f"the version of the configuration cannot be recorded: {error}")
        self._teller.report()  # the election goes by it, whether the peer can be reached or not


def main() -> int:
    """Run as a child of the supervisor."""
    parser = argparse.ArgumentParser(
        prog="skdinotify", description="Replicates the configuration; started by skd-cluster."
    )
    parser.add_argument(
        "--channel", type=int, required=True, metavar="FD", help="the inherited channel to the supervisor"
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the configuration file")
    options = parser.parse_args()
    tie_to_parent()
    # The supervisor's word to end is the end of the channel; SIGTERM is the default way to die.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    loaded = load(options.config)
    if loaded.config is None:
        for problem in loaded.problems:
            sys.stderr.write(f"{problem}\n")
        return ExitCode.CONFIG
    Replicator(loaded.config, options.config, inherited(options.channel)).run()
    return ExitCode.OK
