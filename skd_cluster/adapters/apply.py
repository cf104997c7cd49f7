"""Makes a batch so: everything is ready in the staging folder first, then put in place by rename, deletions last.

Whoever reads the tree meanwhile sees the old file or the new one, never a part, and never a private key under another
mode than its own. A failure leaves the files it did not reach as they were.
"""

import errno
import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from skd_cluster.adapters.atomic import sync_around
from skd_cluster.adapters.history import Kept
from skd_cluster.adapters.newfolders import NewFolders
from skd_cluster.adapters.staging import Staging, dress
from skd_cluster.adapters.tree import ChangingError, Tree, content_in, read_file
from skd_cluster.core.manifest import Entry, Kind, shallow_first
from skd_cluster.core.merge import MERGES
from skd_cluster.core.scope import TEMPORARY, sound
from skd_cluster.core.session import Refusal

_ONE_BY_ONE = 64
"""Up to so many files are made durable each on its own; more of them all at once."""

_REASONS = {
    errno.ENOSPC: (Refusal.NO_SPACE, "no space left there"),
    errno.EDQUOT: (Refusal.NO_SPACE, "disk quota exceeded there"),
    errno.EROFS: (Refusal.READ_ONLY, "its file system is read-only"),
    errno.EACCES: (Refusal.PERMISSION, "no permission there"),
    errno.EPERM: (Refusal.PERMISSION, "not permitted there (an immutable file?)"),
}


class RefusedError(Exception):
    """It was not done, or not to the end: a `Refusal` and one clear line."""

    def __init__(self, reason: Refusal, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text


def refusal(error: OSError, place: str) -> RefusedError:
    """Say an operating system's error in our words."""
    reason, words = _REASONS.get(error.errno or 0, (Refusal.FAILED, error.strerror or str(error)))
    return RefusedError(reason, f"{error.filename2 or error.filename or place}: {words}")


class Applier:
    """One batch on one tree. Use it once, under the tree's lock. `facts` are what else the history is to say of it."""

    def __init__(self, tree: Tree, staging: Staging, kept: Kept, facts: Mapping[str, Any] | None = None) -> None:
        self._tree = tree
        self._staging = staging
        self._kept = kept
        self._facts = dict(facts or {})
        self._folders: set[str] = set()
        self._led_to: set[str] = set()
        """Folders that were looked at; none of them is believed any more when something changed its type."""

    def apply(self, entries: Mapping[str, Entry], fetch: Sequence[str], delete: Sequence[str]) -> list[str]:
        """Do it. Returns deletions left undone, with why. Raises RefusedError."""
        ordered = shallow_first(entries)
        self._check(ordered, entries, fetch, delete)
        place = "the tree"
        try:
            for key in fetch:
                place = self._tree.path(key)
                self._prepare(key, entries[key], durable=len(fetch) <= _ONE_BY_ONE)
            place = str(self._staging.folder)
            if len(fetch) > _ONE_BY_ONE:
                sync_around(place)
            foreseen = self._foreseen(ordered, delete)
            new = NewFolders(self._tree, self._staging, entries)
            new.build(ordered, frozenset(foreseen["made"]))
            place = str(self._kept.folder)
            self._kept.about(foreseen)
            fetched = frozenset(fetch)
            for key in ordered:
                if key not in new.placed:
                    place = self._tree.path(key)
                    self._make(key, place, entries[key], new, fetched=key in fetched)
            left = [words for key in delete if (words := self._delete(key, self._tree.path(key)))]
            for key in reversed(ordered):
                if entries[key].kind is Kind.FOLDER and key not in new.placed:
                    place = self._tree.path(key)
                    self._attributes(place, entries[key])
            self._settle()
        except OSError as error:
            raise refusal(error, place) from error
        return left

    def _foreseen(self, ordered: Sequence[str], delete: Sequence[str]) -> dict[str, Any]:
        """Return what the history is to say: attributes as they are, what is not there yet, what will go.

        Said beforehand: who is killed in the middle says nothing any more, and the next attempt finds only the rest.
        """
        before: dict[str, list[int]] = {}
        made: dict[str, None] = {}
        for key in ordered:
            if key.rpartition("/")[0] in made or not self._note(key, before):
                made[key] = None
        for key in delete:
            self._note(key, before)
        return self._facts | {"before": before, "made": list(made), "deleted": list(delete)}

    def _note(self, key: str, before: dict[str, list[int]]) -> bool:
        """Add what a path is now; return whether it is there at all."""
        state = _state(self._tree.path(key)) if self._inside(key) else None
        if state is not None:
            before[key] = [state.st_mode, state.st_uid, state.st_gid]
        return state is not None

    def _check(
        self, ordered: Sequence[str], entries: Mapping[str, Entry], fetch: Sequence[str], delete: Sequence[str]
    ) -> None:
        """Accept only paths that this node replicates as well."""
        for key in (*ordered, *delete):
            folder = key in entries and entries[key].kind is Kind.FOLDER
            if not sound(self._tree.scope, key):
                raise RefusedError(Refusal.SCOPE, f"{key}: not among `configdir`, `rttables`, `replicate` of the peer")
            if not self._tree.travels(key, folder=folder):
                words = self._tree.scope.verdict(key, folder=folder).value
                raise RefusedError(Refusal.SCOPE, f"{key}: {words} on the peer; make `exclude` the same on both nodes")
        for key in fetch:
            if key not in entries or entries[key].kind is not Kind.FILE:
                raise RefusedError(Refusal.PROTOCOL, f"{key}: a content without its entry")

    def _prepare(self, key: str, entry: Entry, *, durable: bool) -> None:
        """Give a staged content everything it will have in the tree."""
        complete = self._staging.complete(key) is not None
        if complete and not durable:
            return
        staged = self._staging.path(key)
        try:
            descriptor = os.open(staged, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise _changed(key) from error
        try:
            if not complete:
                if _content(key, descriptor) != entry.content:
                    raise _changed(key)
                if key in MERGES:
                    self._staging.put(key, MERGES[key].combine(read_file(staged), self._ours(key)))
                dress(descriptor, entry)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _ours(self, key: str) -> bytes | None:
        with suppress(FileNotFoundError):
            return read_file(self._tree.path(key))
        return None

    def _inside(self, key: str) -> bool:
        """Return whether all above a key, up to its root, are folders: a link there would lead out of the tree."""
        above = key.rpartition("/")[0]
        if above in self._led_to or self._tree.scope.root_of(above) is None:
            return True
        state = _state(self._tree.path(above))
        if state is None or not stat.S_ISDIR(state.st_mode) or not self._inside(above):
            return False
        self._led_to.add(above)
        return True

    def _make(self, key: str, path: str, entry: Entry, new: NewFolders, *, fetched: bool) -> None:
        if not self._inside(key):
            raise RefusedError(Refusal.DIFFERS, f"{path}: the folder it belongs into is not there on the peer")
        state = _state(path)
        self._folders.add(path.rpartition("/")[0])
        if entry.kind is Kind.FOLDER:
            if state is None and new.place(key, path):
                self._folders.update(new.folders(key))
                return
            if state is None or not stat.S_ISDIR(state.st_mode):
                self._clear(key, path, state)
                os.mkdir(path, 0o700)
            return  # its mode comes when all in it is done
        if entry.kind is Kind.FILE and not fetched:
            if state is None or not stat.S_ISREG(state.st_mode):
                raise RefusedError(Refusal.DIFFERS, f"{path} was changed on the peer")
            self._attributes(path, entry)
            return
        if state is not None and stat.S_ISDIR(state.st_mode):
            self._clear(key, path, state)
        elif state is not None:
            self._kept.link(key, path)
        self._put(key, path, entry)

    def _put(self, key: str, path: str, entry: Entry) -> None:
        self._place(self._source(key, entry), path)
        staged = self._staging.complete(key)
        if staged is not None:
            state = os.lstat(path)  # a rename changes a time of it
            if (state.st_dev, state.st_ino) == (staged.st_dev, staged.st_ino):
                self._tree.placed(key, state, entry)

    def _source(self, key: str, entry: Entry) -> str:
        if entry.kind is Kind.FILE:
            return self._staging.path(key)
        name = self._staging.fresh()
        self._staging.link(name, entry)
        return name

    def _place(self, source: str, path: str) -> None:
        """Rename over; from another file system by way of a temporary name beside."""
        try:
            os.rename(source, path)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            beside = os.path.join(os.path.dirname(path), f"{TEMPORARY}{os.getpid()}")
            try:
                _copy(source, beside)
                os.rename(beside, path)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(beside)

    def _clear(self, key: str, path: str, state: os.stat_result | None) -> None:
        """Make room where something of another type is."""
        self._led_to.clear()  # what was a folder may be a link from now on
        if state is None:
            return
        if stat.S_ISDIR(state.st_mode):
            self._kept.move(key, path)
        else:
            self._kept.link(key, path)
            os.unlink(path)

    def _delete(self, key: str, path: str) -> str:
        """Delete a path; return why not, if not."""
        state = _state(path)
        if state is None or not self._inside(key):
            return ""
        self._folders.add(os.path.dirname(path))
        if not stat.S_ISDIR(state.st_mode):
            self._kept.link(key, path)
            os.unlink(path)
            return ""
        inside = os.listdir(path)
        local = [one for one in inside if not self._worthless(f"{key}/{one}", f"{path}/{one}")]
        if local:
            return f"{path} stays: {local[0]} in it is not replicated"
        if inside:
            self._kept.move(key, path)
        else:
            os.rmdir(path)
        return ""

    def _worthless(self, key: str, path: str) -> bool:
        return self._tree.scratch(key, folder=os.path.isdir(path))

    @staticmethod
    def _attributes(path: str, entry: Entry) -> None:
        """Set owner and mode of what exists. At no time may more than before and after do something with it."""
        state = os.lstat(path)
        if (state.st_uid, state.st_gid) != (entry.uid, entry.gid):
            os.chmod(path, stat.S_IMODE(state.st_mode) & entry.mode)
            os.chown(path, entry.uid, entry.gid, follow_symlinks=False)
            state = os.lstat(path)
        if stat.S_IMODE(state.st_mode) != entry.mode:
            os.chmod(path, entry.mode)

    def _settle(self) -> None:
        """Make the names durable."""
        if len(self._folders) > _ONE_BY_ONE:
            every = (*self._folders, str(self._kept.folder))
            for folder in {state.st_dev: one for one in every if (state := _state(one)) is not None}.values():
                sync_around(folder)
            return
        for folder in self._folders:
            with suppress(FileNotFoundError):
                descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)


def _changed(key: str) -> RefusedError:
    return RefusedError(Refusal.CHANGED, f"{key} changed on its way")


def _content(key: str, descriptor: int) -> str:
    with suppress(ChangingError):
        return content_in(key, descriptor)
    return ""


def _state(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _copy(source: str, path: str) -> None:
    """Copy a file or a link with all its attributes, private until it has them."""
    state = os.lstat(source)
    if stat.S_ISLNK(state.st_mode):
        os.symlink(os.readlink(source), path)
        os.chown(path, state.st_uid, state.st_gid, follow_symlinks=False)
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns), follow_symlinks=False)
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(source, "rb") as old, os.fdopen(os.open(path, flags, 0o600), "wb") as new:
        shutil.copyfileobj(old, new)
        new.flush()
        os.fchown(new.fileno(), state.st_uid, state.st_gid)
        os.fchmod(new.fileno(), stat.S_IMODE(state.st_mode))
        os.utime(new.fileno(), ns=(state.st_atime_ns, state.st_mtime_ns))
        os.fsync(new.fileno())
