"""A tree with watches on all its folders: it is read as a whole once, and then only where something happened."""

from collections.abc import Collection

from skd_cluster.adapters.inotify import Touched, Watcher
from skd_cluster.adapters.tree import Folder, Scan, Tree


class Sight:
    """`trouble` says why not every folder is watched, empty when each is: then what nobody told of did not happen.

    A folder is watched before it is listed: what appears in it later is told.
    """

    def __init__(self, tree: Tree) -> None:
        """Watch nothing yet. Raises OSError when the kernel gives no watches at all."""
        self.tree = tree
        self.trouble = ""
        self._watcher = Watcher(tree)
        tree.enter = self._enter

    def fileno(self) -> int:
        """Return the descriptor, for select."""
        return self._watcher.fileno()

    def touched(self) -> Touched:
        """Return what happened since the last time. Never blocks."""
        return self._watcher.read()

    def scan(self, hold: Collection[str] = ()) -> Scan:
        """Read everything."""
        self.trouble = self._watcher.parents()
        found = self.tree.scan(hold)
        self._watcher.keep(found.folders)
        return found

    def look(self, keys: Collection[str], hold: Collection[str] = ()) -> Scan:
        """Read these keys and what is in them, but for folders whose watch tells of all that happens in them."""
        self.trouble = self._watcher.parents() or self.trouble
        found = self.tree.look(keys, hold, self._watcher.watches)
        self._watcher.drop(found.whole, found.folders)
        return found

    def close(self) -> None:
        """Watch nothing any more."""
        self._watcher.close()

    def _enter(self, key: str, folder: Folder) -> None:
        self.trouble = self._watcher.watch(key, folder) or self.trouble
