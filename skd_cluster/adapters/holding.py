"""What this node's tree holds, known afresh after each change at the price of what changed, not of the tree.

The tree is read as a whole, and from then on its watches say where something happened, whoever did it. An event is in the
queue before the call that caused it returns, so what has no event by now did not happen. That holds but for what the
kernel tells nobody: a write through a memory map, or through a hard link outside the tree, and what changes on a network
file system's other end. Those wait for the next whole reading.
"""

from collections.abc import Collection
from contextlib import suppress

from skd_cluster.adapters.clock import monotonic
from skd_cluster.adapters.sight import Sight
from skd_cluster.adapters.tree import Scan, Tree
from skd_cluster.core.ledger import Ledger
from skd_cluster.core.manifest import Manifest
from skd_cluster.core.model import Nanos, nanos

_SCANS = 3
"""How often the tree is read again when something in it changes at that very moment."""

_RECENT = nanos(60)
"""A whole reading this old at most, and what happened since, count as one."""


class Holding:
    """The tree of one session. Without watches, or when events were lost, everything is read each time."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._ledger = Ledger()
        self._read_at: Nanos | None = None
        self._sight: Sight | None = None
        self.unknown: dict[str, str] = {}
        """What could not be read when everything was, and why."""
        with suppress(OSError):  # fs.inotify.max_user_instances: then the tree is read as a whole after each batch
            self._sight = Sight(tree)

    def read(self) -> Scan:
        """Read everything, again if something changed meanwhile."""
        if self._sight is not None:
            self._sight.touched()  # all that happened till now will be seen
        found = self._scan()
        for _ in range(_SCANS - 1):
            if not found.changing:
                break
            found = self._scan()
        self._ledger.become(found.manifest)
        self.unknown = dict.fromkeys(found.changing, "it is being changed") | found.unreadable
        self._read_at = monotonic()
        return found

    @property
    def entries(self) -> Manifest:
        """What it held when somebody last asked."""
        return self._ledger.entries

    def manifest(self) -> Manifest:
        """Return all there is."""
        if self._read_at is None or monotonic() - self._read_at > _RECENT or not self._followed(()):
            self.read()
        return self._ledger.entries

    def digest(self, applied: Collection[str]) -> str:
        """Return the digest of the tree as it is now, after these paths of it were changed here."""
        if self._read_at is None or not self._followed(applied):
            self.read()
        return self._ledger.digest

    def close(self) -> None:
        """Watch nothing any more."""
        if self._sight is not None:
            self._sight.close()
            self._sight = None

    def _followed(self, applied: Collection[str]) -> bool:
        """Look where something happened; return whether all there is known by that."""
        if self._sight is None or self._sight.trouble:
            return False
        touched = self._sight.touched()
        keys = touched.keys.keys() | set(applied)
        if touched.lost or len(keys) > len(self._ledger.entries):
            return False
        found = self._sight.look(keys)
        if found.unknown or found.linked or self._sight.trouble:
            return False
        self._ledger.take(found.manifest, found.whole, ())
        return True

    def _scan(self) -> Scan:
        return self.tree.scan() if self._sight is None else self._sight.scan()
