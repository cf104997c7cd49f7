"""A tree with watches on all its folders: it is read as a whole once, and then only where something happened."""

from collections.abc import Callable, Collection

from skd_cluster.adapters.inotify import Touched, Watcher
from skd_cluster.adapters.tree import Folder, Scan, Tree

_ROUNDS = 10
"""Readings in a row while new folders appear; what appears later has a watch or an event."""


class Sight:
    """`trouble` says why not every folder is watched, empty when each is: then what nobody told of did not happen."""

    def __init__(self, tree: Tree) -> None:
        """Watch nothing yet. Raises OSError when the kernel gives no watches at all."""
        self.tree = tree
        self.trouble = ""
        self._watcher = Watcher(tree)

    def fileno(self) -> int:
        """Return the descriptor, for select."""
        return self._watcher.fileno()

    def touched(self) -> Touched:
        """Return what happened since the last time. Never blocks."""
        return self._watcher.read()

    def scan(self, hold: Collection[str] = ()) -> Scan:
        """Read everything; a folder that gets its watch only now is read again."""
        self.trouble = ""
        return self._read(lambda _: self.tree.scan(hold), lambda found: self._watcher.follow(found.folders))

    def look(self, keys: Collection[str], hold: Collection[str] = ()) -> Scan:
        """Read these keys and what is in them, but for folders whose watch tells of all that happens in them."""

        def look(whole: Collection[str]) -> Scan:
            def watched(key: str, folder: Folder) -> bool:
                return key not in whole and self._watcher.watches(key, folder)

            return self.tree.look(keys, hold, watched)

        return self._read(look, lambda found: self._watcher.adjust(found.whole, found.folders))

    def close(self) -> None:
        """Watch nothing any more."""
        self._watcher.close()

    def _read(self, read: Callable[[Collection[str]], Scan], watch: Callable[[Scan], tuple[bool, str]]) -> Scan:
        found = read(())
        for _ in range(_ROUNDS):
            new, trouble = watch(found)
            self.trouble = trouble or self.trouble
            if not new:
                break
            found = read(found.whole)
        return found
