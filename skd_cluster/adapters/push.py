"""Sends one batch: through the session if it is small, its contents by rsync if not."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from skd_cluster.adapters.clock import monotonic
from skd_cluster.adapters.command import Watched
from skd_cluster.adapters.rsync import VANISHED, jobs, transfer
from skd_cluster.adapters.ssh import Session
from skd_cluster.adapters.tree import Tree, read_file
from skd_cluster.config.schema import Config
from skd_cluster.core.manifest import content_of, pack_manifest
from skd_cluster.core.model import Nanos, nanos
from skd_cluster.core.replication_actions import Batch
from skd_cluster.core.session import Begin, Commit, packs

RSYNC_LIMIT = nanos(900)
"""However large: the machine's own limit, which knows the size, comes first for most."""


_HANDFUL = 64
"""So many contents are read before the first is sent, so that one that changed holds back nothing but itself."""


class MovedError(Exception):
    """A content is not any more what the batch says; the argument is its key."""


class RsyncError(Exception):
    """rsync failed, and how."""


@dataclass(slots=True)
class Push:
    """One batch on its way. `began` is when it was taken up."""

    batch: Batch
    tree: Tree
    session: Session
    config: Config
    control: Path
    began: Nanos = field(default_factory=monotonic)
    rsync: Watched | None = None
    _jobs: list[tuple[str, str, list[str]]] = field(default_factory=list)
    _staging: str = ""

    def start(self) -> None:
        """Send all of a small batch, of a large one the question for a staging folder.

        Raises MovedError, and then nothing was sent: only for a handful of files. Of more the first are sent while others
        are read, and the peer refuses what changed on its way.
        """
        fetch = self.batch.plan.fetch
        if not self.batch.small:
            self._jobs = jobs(self.tree, fetch)
            self.session.send([Begin(self.batch.epoch)])
            return
        contents: Iterable[tuple[str, Any, bytes]] = self._contents()
        if len(fetch) <= _HANDFUL:
            contents = list(contents)
        self.session.send(chain([Begin(self.batch.epoch)], packs(contents), [self._commit()]))

    def ready(self, staging: str) -> None:
        """Go on with a large batch: the peer has a staging folder. Raises CannotStartError."""
        if not self.batch.small:
            self._staging = staging
            self._next()

    def step(self, now: Nanos) -> None:
        """Move rsync on. Raises RsyncError, CannotStartError."""
        finished = self.rsync.step(now) if self.rsync is not None else None
        if finished is None:
            return
        self.rsync = None
        if finished.timed_out:
            raise RsyncError("rsync did not end in time")
        if finished.code not in (0, VANISHED):  # what vanished, the peer will miss and say so
            raise RsyncError(f"rsync ended with {finished.code}: {finished.last_line}")
        self._next()

    def cancel(self) -> None:
        """End what runs for it."""
        if self.rsync is not None:
            self.rsync.running.close()
            self.rsync = None

    def _next(self) -> None:
        if not self._jobs:
            self.session.send([self._commit()])
            return
        source, root, names = self._jobs.pop()
        self.rsync = transfer(self.config, self.control, source, f"{self._staging}/{root}", names, RSYNC_LIMIT)

    def _contents(self) -> Iterator[tuple[str, Any, bytes]]:
        for key in self.batch.plan.fetch:
            yield key, self.batch.plan.entries[key].packed(), self._content(key)

    def _content(self, key: str) -> bytes:
        """Return a content; of many, one that changed is left to the peer to refuse. Raises MovedError."""
        entry = self.batch.plan.entries[key]
        body: bytes | None = None
        with suppress(OSError):
            body = read_file(self.tree.path(key), entry.size + 1)
        if len(self.batch.plan.fetch) > _HANDFUL:
            return body or b""
        if body is None or content_of(key, body) != entry.content:
            raise MovedError(key)
        return body

    def _commit(self) -> Commit:
        plan, version = self.batch.plan, self.batch.version
        packed = frozenset(plan.fetch if self.batch.small else ())
        return Commit(
            self.batch.epoch,
            version.epoch,
            version.generation,
            self.batch.digest,
            pack_manifest({key: entry for key, entry in plan.entries.items() if key not in packed}),
            [key for key in plan.fetch if key not in packed],
            list(plan.delete),
        )
