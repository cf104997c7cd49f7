"""The receiver's memory of what both nodes last held: what a push replaces of this node's own is named before it goes."""

import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from skd_cluster.adapters.agreed import Agreed
from skd_cluster.adapters.history import Kept, Replaced
from skd_cluster.adapters.tree import ChangingError, Tree
from skd_cluster.config.schema import Config
from skd_cluster.core.conflict import Conflict, ConflictKind, conflict_name, joined, own_changes
from skd_cluster.core.manifest import Entry, Kind, Manifest
from skd_cluster.core.model import DataState, DataVersion


class OwnChanges:
    """One session's. `tell` is told of each conflict before anything of it is replaced."""

    def __init__(self, config: Config, tree: Tree, tell: Callable[[Conflict], None]) -> None:
        self._tree = tree
        self._tell = tell
        self._agreed = Agreed(config.state_dir)

    def keep(self, held: DataState, entries: Mapping[str, Entry], delete: Iterable[str], kept: Kept) -> Conflict | None:
        """Find what only this node has and the push replaces, write its name down, and tell. Raises OSError."""
        found = self._found(held, entries, tuple(delete))
        if found is not None:
            found = replace(found, name=kept.free(found.name))
        found = joined(kept.conflict(), found)
        if found is not None:
            kept.wait(found.name)
            self._tell(found)
        return found

    def replaced(self, entries: Mapping[str, Entry], delete: Iterable[str]) -> Iterator[Replaced]:
        """Yield what is here and will not stay as it is. Raises OSError."""
        for key in sorted({*entries, *delete}):
            wanted, path = entries.get(key), self._tree.path(key)
            if self._current(key) != wanted and os.path.lexists(path):
                yield Replaced(key, path, wanted is not None and wanted.kind is not Kind.FOLDER)

    def follow(
        self,
        held: DataState,
        version: DataVersion,
        entries: Mapping[str, Entry],
        delete: Iterable[str],
        whole: Manifest,
    ) -> None:
        """Note that the master and this node hold the same now."""
        self._agreed.follow(held.agreed, version, entries, delete, whole)

    def close(self) -> None:
        """Leave nothing open."""
        self._agreed.close()

    def _found(self, held: DataState, entries: Mapping[str, Entry], delete: tuple[str, ...]) -> Conflict | None:
        agreed = self._agreed.entries(held.agreed, {*entries, *delete})
        if agreed is None and not held.unshared:
            return None  # a first synchronisation: there never was anything in common, nor a master here
        keys = own_changes(entries, delete, self._current, None if agreed is None else agreed.get)
        if not keys:
            return None
        kind = ConflictKind.SPLIT if held.unshared else ConflictKind.DRIFT
        stamp = time.strftime("%Y-%m-%dT%H-%M-%S")
        return Conflict(conflict_name(kind, stamp, socket.gethostname()), kind, keys)

    def _current(self, key: str) -> Entry | None:
        try:
            return self._tree.entry(key)
        except ChangingError:
            return None
