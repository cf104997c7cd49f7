"""Folders that are not there yet are built whole in the staging folder, and put in place by one rename each.

Whoever looks sees all that is in one or nothing of it, and a tree of thousands of new files costs a few renames.
"""

import errno
import os
import stat
from collections.abc import Collection, Iterable, Mapping

from skd_cluster.adapters.staging import Staging
from skd_cluster.adapters.tree import Tree
from skd_cluster.core.manifest import Entry, Kind


class NewFolders:
    """Those of one batch. `placed` are the paths that are in place, the folder itself and all in it."""

    def __init__(self, tree: Tree, staging: Staging, entries: Mapping[str, Entry]) -> None:
        self._tree = tree
        self._staging = staging
        self._entries = entries
        self._built: dict[str, list[str]] = {}
        self.placed: set[str] = set()

    def build(self, ordered: Iterable[str], made: Collection[str]) -> None:
        """Make what is to come of paths that are not there: `ordered` shallow first, contents staged. Raises OSError."""
        for top, keys in self._gathered(ordered, made).items():
            if self._build(keys):
                self._built[top] = keys

    def place(self, key: str, path: str) -> bool:
        """Put a folder in place; return whether it was built and could be. Raises OSError, also if something is there."""
        keys = self._built.get(key)
        if keys is None:
            return False
        try:
            os.rename(self._staging.path(key), path)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            return False  # on another file system: path by path then
        self.placed.update(keys)
        for one in keys:
            state = self._staging.complete(one)
            if state is not None:
                self._tree.placed(one, state, self._entries[one])
        return True

    def folders(self, key: str) -> list[str]:
        """Return where the folders are that were placed with this one, itself included."""
        return [self._tree.path(one) for one in self._built[key] if self._entries[one].kind is Kind.FOLDER]

    def _gathered(self, ordered: Iterable[str], made: Collection[str]) -> dict[str, list[str]]:
        """Return the topmost new folders, each with itself and all in it."""
        gathered: dict[str, list[str]] = {}
        tops: dict[str, str] = {}
        for key in ordered:
            folder = self._entries[key].kind is Kind.FOLDER
            top = tops.get(key.rpartition("/")[0])
            if top is None:
                if not folder or key not in made or key in self._tree.roots:
                    continue
                top = key
                gathered[top] = []
            gathered[top].append(key)
            if folder:
                tops[key] = top
        return gathered

    def _build(self, keys: list[str]) -> bool:
        """Return whether one is whole, with nothing in it that does not belong there."""
        inside: dict[str, set[str]] = {}
        for key in keys:
            above, _, name = key.rpartition("/")
            if above in inside:
                inside[above].add(name)
            entry, place = self._entries[key], self._staging.path(key)
            if entry.kind is Kind.FOLDER:
                inside[key] = set()
                self._staging.folder_of(f"{key}/")
                if not stat.S_ISDIR(os.lstat(place).st_mode):
                    return False
            elif entry.kind is Kind.LINK:
                self._staging.link(place, entry)
        for key in reversed(inside):
            place, entry = self._staging.path(key), self._entries[key]
            if set(os.listdir(place)) != inside[key]:
                return False
            os.chown(place, entry.uid, entry.gid)
            os.chmod(place, entry.mode)
        return True
