"""A private folder next to the tree in which a batch is complete before the first file of the tree changes."""

import os
import shutil
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from skd_cluster.core.manifest import Entry, content_of
from skd_cluster.core.merge import MERGES
from skd_cluster.core.scope import TEMPORARY

_NAME = "staging"
_TREE, _CONNECTION = "tree", "connection"


class Staging:
    """The folder of one session: `tree` takes contents under their keys, `made` what this side makes itself.

    `connection` is the SSH_CONNECTION the session came through; its rsync must come through the same.
    """

    def __init__(self, parent: Path, connection: str = "") -> None:
        self._connection = connection
        self.folder = parent / str(os.getpid())
        self.tree = self.folder / _TREE
        self._plain = str(self.tree)
        self._made = self.folder / "made"
        self._count = 0
        self._folders: set[str] = set()
        self.taken: dict[str, Entry] = {}
        """What each of the contents will be that came with their entry."""
        self._complete: dict[str, os.stat_result] = {}

    def renew(self, roots: Iterable[str]) -> None:
        """Make it empty, with the folders in which rsync makes those of the roots. Raises OSError."""
        self.remove()
        self._folders.clear()
        self.taken = {}
        self._complete.clear()
        self.folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for one in (self.folder, self.tree, self._made):
            one.mkdir(mode=0o700)
        (self.folder / _CONNECTION).write_text(self._connection)
        for root in roots:
            (self.tree / root).parent.mkdir(parents=True, exist_ok=True, mode=0o700)

    def put(self, key: str, body: bytes, at: int = 0) -> None:
        """Take a content, or from `at` on the next piece of one. Readable by nobody else. Raises OSError."""
        self._complete.pop(key, None)
        descriptor = self._open(key, 0 if at else os.O_TRUNC)
        try:
            _write(descriptor, body, at)
        finally:
            os.close(descriptor)

    def take(self, key: str, entry: Entry, body: bytes) -> None:
        """Take a content and give it all it will have in the tree, if it is what its entry says. Raises OSError."""
        self._complete.pop(key, None)
        self.taken[key] = entry
        descriptor = self._open(key, os.O_TRUNC)
        try:
            _write(descriptor, body, 0)
            if key not in MERGES and content_of(key, body) == entry.content:
                self._complete[key] = dress(descriptor, entry)
        finally:
            os.close(descriptor)

    def complete(self, key: str) -> os.stat_result | None:
        """Return the state of a content that needs nothing more to be in the tree what its entry says."""
        return self._complete.get(key)

    def folder_of(self, key: str) -> None:
        """Make the folder a key is in. Raises OSError."""
        folder = self.path(key).rpartition("/")[0]
        if folder not in self._folders:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            self._folders.add(folder)

    def link(self, place: str, entry: Entry) -> None:
        """Make a link in it. Raises OSError."""
        os.symlink(entry.content, place)
        os.chown(place, entry.uid, entry.gid, follow_symlinks=False)
        os.utime(place, ns=(entry.mtime, entry.mtime), follow_symlinks=False)

    def _open(self, key: str, flags: int) -> int:
        self.folder_of(key)
        return os.open(self.path(key), os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o600)

    def path(self, key: str) -> str:
        """Return where the content of a key is."""
        return f"{self._plain}/{key}"

    def fresh(self) -> str:
        """Return a name in it that does not exist yet."""
        self._count += 1
        return str(self._made / str(self._count))

    def remove(self) -> None:
        """Remove it with all in it, if it is there."""
        shutil.rmtree(self.folder, ignore_errors=True)


def dress(descriptor: int, entry: Entry) -> os.stat_result:
    """Give an open file the owner, mode and time of an entry; return its state then. Raises OSError."""
    state = os.fstat(descriptor)
    if (state.st_uid, state.st_gid) != (entry.uid, entry.gid):
        os.fchown(descriptor, entry.uid, entry.gid)
        state = os.fstat(descriptor)  # it may have taken bits of the mode away
    if stat.S_IMODE(state.st_mode) != entry.mode:
        os.fchmod(descriptor, entry.mode)
    os.utime(descriptor, ns=(entry.mtime, entry.mtime))
    return os.fstat(descriptor)


def _write(descriptor: int, body: bytes, at: int) -> None:
    written = os.pwrite(descriptor, body, at)
    while written < len(body):
        written += os.pwrite(descriptor, body[written:], at + written)


def staging_parent(state_dir: Path, configdir: Path) -> Path:
    """Return where staging folders belong: on the file system of the tree, so that a rename puts a file in place."""
    state_dir.mkdir(parents=True, exist_ok=True)
    here = configdir.resolve()
    if here.exists():
        device = here.stat().st_dev
        if state_dir.stat().st_dev != device and here.parent.stat().st_dev == device:
            return here.parent / f"{TEMPORARY}{_NAME}"
    return state_dir / _NAME


def targets(parent: Path, connection: str, roots: Sequence[str]) -> dict[str, Path]:
    """Return where an rsync that came through this connection may write, and the session's folder that place is in.

    Each root of the living session that came through the same connection, with or without a slash; nothing else.
    """
    try:
        names = os.listdir(parent) if connection else []
    except OSError:
        names = []
    sessions = [parent / name for name in names if _alive(name)]
    trees = [one / _TREE for one in sessions if _came_through(one / _CONNECTION, connection)]
    return {f"{tree}/{root}{end}": tree for tree in trees for root in roots for end in ("", "/")}


def _came_through(place: Path, connection: str) -> bool:
    try:
        return place.read_text() == connection
    except OSError:
        return False


def sweep(parent: Path, folders: Iterable[str]) -> None:
    """Remove what sessions left behind that were killed: their staging folders, their temporary names in the tree."""
    with suppress(OSError):
        for name in os.listdir(parent):
            if name.isdigit() and not _alive(name):
                shutil.rmtree(parent / name, ignore_errors=True)
    for folder in folders:
        with suppress(OSError):
            for name in os.listdir(folder):
                if name.startswith(TEMPORARY) and not _alive(name.removeprefix(TEMPORARY)):
                    with suppress(OSError):
                        os.unlink(os.path.join(folder, name))


def _alive(number: str) -> bool:
    return number.isdigit() and Path(f"/proc/{number}").exists()
