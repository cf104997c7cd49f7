"""Says which paths were touched. A hint and no more: what changed is found by reading the tree.

pyinotify keeps the watches. Its own reading of events is not used: it cannot decode a name that is not UTF-8, and would
lose all events of that reading.
"""

import os
import stat
import struct
from collections.abc import Collection, Container
from dataclasses import dataclass, field

import pyinotify

from skd_cluster.adapters.tree import Folder, Tree
from skd_cluster.core.ledger import within

_EVENT = struct.Struct("iIII")
_READ = 1 << 16
_MASK = (
    pyinotify.IN_MODIFY
    | pyinotify.IN_CLOSE_WRITE
    | pyinotify.IN_ATTRIB
    | pyinotify.IN_MOVED_FROM
    | pyinotify.IN_MOVED_TO
    | pyinotify.IN_CREATE
    | pyinotify.IN_DELETE
    | pyinotify.IN_DELETE_SELF
    | pyinotify.IN_MOVE_SELF
    | pyinotify.IN_ONLYDIR
)


@dataclass(slots=True)
class Touched:
    """What was seen: keys, each with whether somebody is in the middle of writing it. `lost`: and more that was not."""

    keys: dict[str, bool] = field(default_factory=dict)
    lost: bool = False


class Watcher:
    """Watches the folders of a tree, and those its single files are in."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._manager = pyinotify.WatchManager()
        self._descriptor: int = self._manager.get_fd()
        os.set_blocking(self._descriptor, False)
        self._paths: dict[int, str] = {}
        self._watched: dict[str, tuple[Folder, int]] = {}

    def fileno(self) -> int:
        """Return the descriptor, for select."""
        return self._descriptor

    def watch(self, key: str, folder: Folder) -> str:
        """Watch a folder, if it is not watched; return why it cannot be."""
        if self.watches(key, folder):
            return ""
        try:
            found, number = self._watch(folder.path)
        except OSError as error:
            return f"{folder.path} cannot be watched: {error}"
        self._watched[key] = (found, number)
        self._paths[number] = folder.path
        return ""

    def watches(self, key: str, folder: Folder) -> bool:
        """Return whether a folder is watched under this key, so that what happens in it is told."""
        found = self._watched.get(key)
        return found is not None and found[0] == folder

    def parents(self) -> str:
        """Watch the folders that single files are in; return why one cannot be."""
        return next((words for one in self._parents().items() if (words := self.watch(*one))), "")

    def keep(self, folders: Container[str]) -> None:
        """Watch no other folders than these."""
        kept = self._parents()
        for key in [one for one in self._watched if one not in folders and one not in kept]:
            self._forget(key)

    def drop(self, whole: Collection[str], folders: Container[str]) -> None:
        """Of the folders that were at or in `whole`, watch no others than these."""
        if not self._watched.keys().isdisjoint(whole):
            for key in [one for one in self._watched if one not in folders and within(one, whole)]:
                self._forget(key)

    def read(self) -> Touched:
        """Return what happened since the last time. Never blocks."""
        found = Touched()
        while True:
            try:
                data = os.read(self._descriptor, _READ)
            except (BlockingIOError, InterruptedError):
                return found
            at = 0
            while at < len(data):
                number, mask, _, size = _EVENT.unpack_from(data, at)
                name = data[at + _EVENT.size : at + _EVENT.size + size].rstrip(b"\0")
                self._event(number, mask, os.fsdecode(name), found)
                at += _EVENT.size + size

    def close(self) -> None:
        """Watch nothing any more."""
        self._manager.close()

    def _event(self, number: int, mask: int, name: str, found: Touched) -> None:
        folder = self._paths.get(number)
        if mask & pyinotify.IN_Q_OVERFLOW:
            found.lost = True
        elif folder is None:
            return
        elif mask & pyinotify.IN_IGNORED:
            self._paths.pop(number)
            self._watched = {key: one for key, one in self._watched.items() if one[1] != number}
            self._note(folder, found, folder=True, writing=False)
        elif not name:
            self._note(folder, found, folder=True, writing=False)
        else:
            path = f"{folder}/{name}"
            writing = bool(mask & pyinotify.IN_MODIFY) or (bool(mask & pyinotify.IN_CREATE) and _may_be_written(path))
            self._note(path, found, folder=bool(mask & pyinotify.IN_ISDIR), writing=writing)

    def _note(self, path: str, found: Touched, *, folder: bool, writing: bool) -> None:
        key = self._tree.key(path)
        if key is None or not self._tree.travels(key, folder=folder):
            return
        # A slash at its end: a folder's own key would hold all that is in it.
        found.keys[f"{key}/" if folder else key] = writing and not folder

    def _parents(self) -> dict[str, Folder]:
        """Return the folders that single files are in, under names that no key has."""
        found = {}
        for key, place in self._tree.roots.items():
            if not os.path.isdir(place):
                parent = os.path.dirname(place)
                try:
                    state = os.stat(parent)
                except OSError:
                    continue
                found[f"{key}/.."] = Folder(parent, state.st_dev, state.st_ino)
        return found

    def _watch(self, path: str) -> tuple[Folder, int]:
        """Return which folder is there now (since it was listed it may have been renamed), and its watch. Raises OSError."""
        # By way of an open descriptor: pyinotify cannot pass on a name that is not UTF-8, and no link is followed.
        descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            state = os.fstat(descriptor)
            name = f"/proc/self/fd/{descriptor}"
            watches = self._manager.add_watch(name, _MASK, quiet=False)
        except pyinotify.WatchManagerError as error:
            raise OSError(f"{error} (fs.inotify.max_user_watches is the limit)") from error
        finally:
            os.close(descriptor)
        number: int = watches[name]
        return Folder(path, state.st_dev, state.st_ino), number

    def _forget(self, key: str) -> None:
        _, number = self._watched.pop(key)
        if any(one[1] == number for one in self._watched.values()):
            return  # the same folder under its new name
        if self._paths.pop(number, None) is not None:
            self._manager.rm_watch(number)


def _may_be_written(path: str) -> bool:
    """Return whether a new name is a new file: links come complete."""
    try:
        state = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(state.st_mode) and state.st_nlink == 1
