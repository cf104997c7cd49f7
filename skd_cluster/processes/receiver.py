"""The other end of the replicator's session: lets in the right master only, applies, and answers with its own digest."""

import os
import select
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import skd_cluster
from skd_cluster.adapters.apply import Applier, RefusedError, refusal
from skd_cluster.adapters.clock import monotonic, wall
from skd_cluster.adapters.datastate import BusyError, read_state, tree_lock, write_state
from skd_cluster.adapters.fence import Fence, ServiceDownError
from skd_cluster.adapters.history import History, open_conflicts
from skd_cluster.adapters.holding import Holding
from skd_cluster.adapters.staging import Staging, staging_parent, sweep
from skd_cluster.adapters.synclog import SyncLog
from skd_cluster.adapters.tree import Tree
from skd_cluster.config.schema import Config
from skd_cluster.core.conflict import Conflict
from skd_cluster.core.manifest import Entry, pack_manifest, unpack, unpack_manifest
from skd_cluster.core.model import DataState, DataVersion, ExitCode, Nanos, Role, nanos, seconds
from skd_cluster.core.scope import sound
from skd_cluster.core.session import (
    PROTOCOL,
    About,
    Ask,
    AskFlights,
    AskKept,
    Begin,
    Commit,
    Confirm,
    Decoder,
    Examine,
    Examined,
    Get,
    Hello,
    Holds,
    ListKept,
    Message,
    Open,
    Pack,
    ProtocolError,
    Put,
    Ready,
    Recall,
    Refusal,
    Refused,
    Resolve,
    Restore,
    encode,
    not_understood,
)
from skd_cluster.processes.archive import Archive, Question
from skd_cluster.processes.ownchanges import OwnChanges
from skd_cluster.processes.restorer import Restorer

_READ = 1 << 18
_IDLE = nanos(600)
"""After so long without a word, and two of the master's comparisons, the master is taken for gone."""

_TOLD = 1000
"""Conflicts that the master is told of, the oldest: its report of them to its service has to fit into one message."""


class Receiver:
    """One session. `fence` asks the service and raises ServiceDownError; `tell` tells it what was done or found.

    `connection` is what sshd calls the connection it came through; its rsync will come through the same. `examine` looks at
    this node for `doctor`.
    """

    def __init__(
        self,
        config: Config,
        fence: Callable[[], Fence],
        tell: Callable[[dict[str, Any]], None],
        connection: str = "",
        examine: Callable[[str], Examined] | None = None,
    ) -> None:
        self._config = config
        self._fence = fence
        self._tell = tell
        self._examine = examine
        self._tree = Tree.of(config)
        parent = staging_parent(config.state_dir, config.configdir)
        self._staging = Staging(parent, connection)
        self._history = History(config.state_dir / "history", config.history_keep)
        self._own = OwnChanges(config, self._tree, self._tell_conflict)
        self._settled: Callable[[], None] = lambda: None
        self._log = SyncLog(config.zeninolog)
        self._archive = Archive(config, self._tree)
        self._restorer = Restorer(config.state_dir, self._tree, self._staging, self._service)
        self._open = False
        self._done: dict[str, Any] | None = None
        self._holding = Holding(self._tree)
        beside = {str(Path(place).parent) for place in self._tree.roots.values()}  # of what is a single file
        sweep(parent, [*beside, *(folder.path for folder in self._holding.read().folders.values())])

    def answer(self, message: Message) -> Message | None:
        """Do what the master says. A batch gets one refusal at most: the rest of it is then not answered."""
        try:
            return self._do(message)
        except RefusedError as error:
            return self._refuse(error)
        except OSError as error:
            return self._refuse(refusal(error, str(self._config.state_dir)))
        except ValueError as error:
            return self._refuse(RefusedError(Refusal.PROTOCOL, str(error)))

    def _do(self, message: Message) -> Message | None:
        match message:
            case Hello():
                return self._hello(message)
            case Ask():
                return self._holds()
            case Begin():
                return self._begin(message)
            case Pack() | Put():
                if self._open:
                    self._take(message)
                return None
            case Commit():
                return self._commit(message) if self._open else None
            case Open():
                self._restorer.admit()
                return self._stage()
            case Restore():
                return self._restore(message) if self._open else None
            case Get() | ListKept() | About() | AskKept() | Recall() | Resolve() | AskFlights() | Examine():
                return self._look(message)
            case _:
                raise RefusedError(Refusal.PROTOCOL, f"{type(message).__name__} is no question")

    def settle(self) -> None:
        """Do what may wait until the master has its answer."""
        if self._done is not None:
            done, self._done = self._done, None
            self._tell(done)
            self._settled()
            self._staging.remove()
            self._history.prune()

    def close(self) -> None:
        """Leave nothing behind."""
        self._staging.remove()
        self._own.close()
        self._holding.close()

    def _refuse(self, error: RefusedError) -> Refused:
        self._open = False
        self._log.line(f"refused: {error.text}")
        return Refused(error.reason.value, error.text)

    def _hello(self, message: Hello) -> Hello:
        if message.protocol != PROTOCOL:
            raise RefusedError(Refusal.PROTOCOL, not_understood(skd_cluster.__version__, message.software))
        fence = self._service()
        held = read_state(self._config.state_dir)
        return Hello(
            PROTOCOL,
            skd_cluster.__version__,
            fence.epoch,
            fence.role.word,
            held.version.epoch,
            held.version.generation,
            held.digest,
            self._conflicts(),
            socket.gethostname(),
        )

    def _look(self, question: Question | Examine) -> Message:
        if isinstance(question, Examine):
            if self._examine is None:
                raise RefusedError(Refusal.PROTOCOL, "nobody examines this node here")
            return self._examine(question.nonce)
        answer = self._archive.answer(question)
        if isinstance(question, Resolve):
            self._tell({"verb": "conflict", "text": ""})  # one waits less
        return answer

    def _holds(self) -> Holds:
        packed = pack_manifest(self._holding.manifest())
        held = read_state(self._config.state_dir).version
        return Holds(packed, held.epoch, held.generation, self._holding.unknown, self._conflicts())

    def _begin(self, message: Begin) -> Ready:
        self._admit(message.epoch)
        return self._stage()

    def _stage(self) -> Ready:
        self._staging.renew(self._tree.scope.roots())
        self._open = True
        return Ready(str(self._staging.tree))

    def _take(self, contents: Pack | Put) -> None:
        if isinstance(contents, Put):
            self._staging.put(self._checked(contents.key), contents.body, contents.at)
            return
        for key, packed, body in contents.contents():
            self._staging.take(self._checked(key), unpack(packed), body)

    def _checked(self, key: str) -> str:
        if not sound(self._tree.scope, key):
            raise RefusedError(Refusal.SCOPE, f"{key}: not among `configdir`, `rttables`, `replicate` of the peer")
        return key

    def _service(self) -> Fence:
        try:
            return self._fence()
        except ServiceDownError as error:
            words = "the cluster service does not run on the peer: systemctl start skudonet-ce-cluster there"
            raise RefusedError(Refusal.NOT_RUNNING, words) from error

    def _admit(self, epoch: int) -> None:
        """Let in the master of the newest epoch only. Raises RefusedError."""
        fence = self._service()
        if fence.role is Role.MASTER:
            raise RefusedError(Refusal.MASTER, f"the peer is master itself, of epoch {fence.epoch}")
        known = max(fence.epoch, read_state(self._config.state_dir).version.epoch)
        if epoch < known:
            raise RefusedError(Refusal.OLD_EPOCH, f"the peer knows epoch {known}, newer than this master's {epoch}")

    def _not_late(self, version: DataVersion) -> None:
        """Refuse what a session that was given up had still under way. Raises RefusedError."""
        held = read_state(self._config.state_dir).version
        if version < held:
            words = f"generation {version.epoch}.{version.generation} came after {held.epoch}.{held.generation}"
            raise RefusedError(Refusal.OLD_EPOCH, f"on the peer: {words}")

    def _commit(self, message: Commit) -> Confirm:
        began = monotonic()
        self._open = False
        taken = self._staging.taken
        entries = unpack_manifest(message.entries) | taken
        fetch = [*taken, *(key for key in map(str, message.fetch) if key not in taken)]
        delete = [str(key) for key in message.delete]
        version = DataVersion(message.data_epoch, message.generation)
        try:
            with tree_lock(self._config.state_dir):
                self._admit(message.epoch)  # again: the role may have changed while the contents came
                self._not_late(version)
                held = read_state(self._config.state_dir)
                left = self._apply(held, DataState(version, message.digest), entries, fetch, delete)
                found = self._holding.digest((*entries, *delete))
                if found != message.digest:
                    self._holding.read()
                    found = self._holding.digest(())
                if found != message.digest:
                    words = "; ".join(left) or "somebody else writes there"
                    raise RefusedError(Refusal.DIFFERS, f"the peer's tree is not the same after the push: {words}")
                write_state(self._config.state_dir, DataState(version, found, version))
        except BusyError as error:
            raise RefusedError(Refusal.BUSY, f"on the peer: {error}") from error
        size = sum(entries[key].size for key in fetch)
        confirmed = Confirm(found, len(entries) + len(delete), size, left, self._conflicts())
        self._settled = lambda: self._own.follow(held, version, entries, delete, self._holding.entries)
        self._report(version, confirmed, seconds(Nanos(monotonic() - began)))
        return confirmed

    def _apply(
        self, held: DataState, wanted: DataState, entries: dict[str, Entry], fetch: list[str], delete: list[str]
    ) -> list[str]:
        if not entries and not delete:
            return []
        version = wanted.version
        kept = self._history.push(version, held.version, partial(self._own.replaced, entries, delete))
        conflict = self._own.keep(held, entries, delete, kept)
        about = {"epoch": version.epoch, "generation": version.generation, "at": wall(), "digest": wanted.digest}
        facts: dict[str, Any] = about | {"from": [held.version.epoch, held.version.generation]}
        if conflict is not None:
            facts["conflict"] = conflict.facts()
        return Applier(self._tree, self._staging, kept, facts).apply(entries, fetch, delete)

    def _restore(self, message: Restore) -> Confirm:
        self._open = False
        left = self._restorer.restore(message, self._history)
        self._history.prune()
        paths = len(message.entries) + len(message.delete)
        self._log.line(f"restored from {message.source}: {paths} paths")
        return Confirm(self._holding.digest((*message.entries, *map(str, message.delete))), paths, 0, left)

    def _report(self, version: DataVersion, done: Confirm, took: float) -> None:
        self._log.line(
            f"applied generation {version.epoch}.{version.generation}: {done.files} paths, {done.size} bytes, "
            f"{took * 1000:.0f} ms"
        )
        facts = {"data_epoch": version.epoch, "generation": version.generation, "digest": done.digest}
        self._done = {"verb": "applied"} | facts | {"files": done.files, "bytes": done.size, "seconds": took}

    def _conflicts(self) -> list[str]:
        return list(open_conflicts(self._history.folder))[:_TOLD]

    def _tell_conflict(self, conflict: Conflict) -> None:
        self._log.line(conflict.text)
        self._tell({"verb": "conflict", "text": conflict.text})


def serve(receiver: Receiver, source: int, target: int, idle: int) -> ExitCode:
    """Answer until the master hangs up or says nothing for `idle` nanoseconds."""
    decoder = Decoder()
    poller = select.poll()
    poller.register(source, select.POLLIN)
    try:
        while poller.poll(max(idle, _IDLE) // 1_000_000):
            data = os.read(source, _READ)
            if not data:
                break
            for message in decoder.feed(data):
                answer = receiver.answer(message)
                if answer is not None:
                    _write(target, encode(answer))
                    receiver.settle()
    except ProtocolError as error:
        _write(target, encode(Refused(Refusal.PROTOCOL.value, str(error))))
        return ExitCode.FAILED
    except BrokenPipeError:
        pass  # the master hung up before it had the answer
    finally:
        receiver.settle()
        receiver.close()
    return ExitCode.OK


def _write(target: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]
