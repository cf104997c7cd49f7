"""Reads a tree into a manifest, quickly the second time and never wrongly.

A content is read again unless inode, size and both times are those of the last reading. A file whose change time is
younger than the clock's grain at the time of reading could change again and keep them: it is not remembered ("racy" in
git's words). The change time decides, not the modification time, since programs may set the latter.
"""

import hashlib
import os
import stat
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from skd_cluster.adapters.clock import wall
from skd_cluster.config.schema import Config
from skd_cluster.core.ledger import within
from skd_cluster.core.manifest import Entry, Kind, content_of
from skd_cluster.core.merge import MERGES
from skd_cluster.core.model import SECOND
from skd_cluster.core.scope import CONFIG, EXTRA, RT_TABLES, Scope, Verdict

GRAIN = 20_000_000
"""Nanoseconds. The kernel stamps files with the time of its last tick: at most 10 ms old with 100 Hz."""

DEEPEST, LONGEST = 256, 3500
"""Folders above a path, and its bytes. Beyond, neither side can work: Python's depth of calls and descriptors of a
deletion end the one, and PATH_MAX the other, which counts the longer way through the peer's staging and history too."""

_CHUNK = 1 << 20


class ChangingError(Exception):
    """A file changed while it was read."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that was listed: where, and which one it is (a folder of the same name may be another)."""

    path: str
    device: int
    inode: int


@dataclass(slots=True)
class Scan:
    """A tree as it was found, by key.

    Beside the manifest: what could not be read and why, what changed while it was read or was not to be looked at yet,
    what is of a kind that does not travel, and the folders that were listed. `whole` are the keys at and in which this is
    all there is, when it is not the whole tree. `linked`: a file in it has further names, and nobody tells what is written
    through one of them as if it were done to the others.
    """

    manifest: dict[str, Entry] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    changing: set[str] = field(default_factory=set)
    skipped: dict[str, str] = field(default_factory=dict)
    folders: dict[str, Folder] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)
    linked: bool = False

    @property
    def unknown(self) -> frozenset[str]:
        """Keys of which nothing may be concluded."""
        return frozenset(self.changing | self.unreadable.keys())


@dataclass(frozen=True, slots=True)
class _Known:
    """What was read, and of which state of the file. Its mode and owner cannot change without its change time."""

    stamp: tuple[int, int, int, int, int]
    entry: Entry


def _stamp(found: os.stat_result) -> tuple[int, int, int, int, int]:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def roots_of(config: Config) -> dict[str, str]:
    """Return where each root of the scope is here. A root that is a link stands for what it leads to."""
    places = {CONFIG: config.configdir, RT_TABLES: config.rttables}
    places |= {f"{EXTRA}{path}": path for path in config.replicate}
    return {key: os.path.realpath(path) for key, path in places.items()}


def scope_of(config: Config) -> Scope:
    """Return the configured rules."""
    return Scope.of(config.exclude, tuple(str(path) for path in config.replicate))


class Tree:
    """The replicated paths of this node."""

    def __init__(self, roots: Mapping[str, str], scope: Scope) -> None:
        self.roots = dict(roots)
        self.scope = scope
        self.enter: Callable[[str, Folder], object] = lambda _key, _folder: None
        """Called before a folder is listed: a watch added then misses nothing that the listing does."""
        self._known: dict[str, _Known] = {}
        self._verdicts: dict[tuple[str, bool], Verdict] = {}

    @classmethod
    def of(cls, config: Config) -> "Tree":
        """Return the tree a configuration describes."""
        return cls(roots_of(config), scope_of(config))

    def path(self, key: str) -> str:
        """Return where a key is here. Raises KeyError if this node has no such root."""
        root = self.scope.root_of(key)
        if root is None:
            raise KeyError(key)
        return self.roots[root] + key[len(root) :]

    def key(self, path: str) -> str | None:
        """Return the key of an absolute path, None if it is not below a root."""
        for key, place in self.roots.items():
            if path == place or path.startswith(f"{place}/"):
                return key + path[len(place) :]
        return None

    def travels(self, key: str, *, folder: bool) -> bool:
        """Return whether a key is replicated by its name."""
        return self._verdict(key, folder=folder) is Verdict.REPLICATED

    def scratch(self, key: str, *, folder: bool) -> bool:
        """Return whether a key is a leftover nobody misses."""
        return self._verdict(key, folder=folder) is Verdict.SCRATCH

    def _verdict(self, key: str, *, folder: bool) -> Verdict:
        verdict = self._verdicts.get((key, folder))
        if verdict is None:
            led = self._verdicts.get((key.rpartition("/")[0], True)) is Verdict.REPLICATED
            verdict = self._verdicts[key, folder] = self.scope.verdict(key, folder=folder, led=led)
        return verdict

    def entry(self, key: str) -> Entry | None:
        """Return what is at one key now, None for nothing that travels. Raises ChangingError, OSError."""
        path = self.path(key)
        try:
            state = os.lstat(path)
            if stat.S_ISDIR(state.st_mode):
                return folder_entry(state)
            if stat.S_ISLNK(state.st_mode):
                return link_entry(path, state)
            return file_entry(state, read_content(key, path, _stamp(state))) if stat.S_ISREG(state.st_mode) else None
        except (FileNotFoundError, NotADirectoryError):
            return None

    def placed(self, key: str, state: os.stat_result, entry: Entry) -> None:
        """Learn that a file in this state, whose content is known, was put there: it need not be read for that.

        Only if writing to it from now on cannot leave its times as they are.
        """
        found = (state.st_size, state.st_mtime_ns, state.st_mode, state.st_uid, state.st_gid)
        said = (entry.size, entry.mtime, stat.S_IFREG | entry.mode, entry.uid, entry.gid)
        if found == said and entry.mtime < int(wall() * SECOND) - GRAIN:
            self._known[key] = _Known(_stamp(state), entry)

    def scan(self, hold: Collection[str] = ()) -> Scan:
        """Read everything. `hold` are keys in the middle of being written: not looked at."""
        found = Scan(changing=set(hold))
        known: dict[str, _Known] = {}
        for key, place in self.roots.items():
            try:
                state = Path(place).stat()
            except OSError as error:
                if key == CONFIG or not isinstance(error, FileNotFoundError):
                    found.unreadable[key] = f"{place}: {error.strerror}"
                continue
            self._visit(key, place, state, found, known)
        self._known = known
        if len(self._verdicts) > 4 * len(found.manifest) + 1000:
            self._verdicts.clear()
        return found

    def look(self, keys: Collection[str], hold: Collection[str], watched: Callable[[str, Folder], bool]) -> Scan:
        """Read these keys, which may be gone. Of a folder that is `watched` all the same, nothing in it."""
        found = Scan(changing=set(hold))
        for key in sorted({key.removesuffix("/") for key in keys}):
            if not within(key, found.whole):
                self._look(key, found, watched)
        return found

    def _look(self, key: str, found: Scan, watched: Callable[[str, Folder], bool]) -> None:
        path = self.path(key)
        try:
            state = self._state(key, path)
        except OSError as error:
            found.unreadable[key] = f"{path}: {error.strerror}"
            return
        if state is not None and stat.S_ISDIR(state.st_mode) and watched(key, Folder(path, state.st_dev, state.st_ino)):
            if self.travels(key, folder=True):
                found.manifest[key] = folder_entry(state)
            return
        found.whole.add(key)
        if state is None:
            self._known.pop(key, None)
        else:
            self._visit(key, path, state, found, self._known)

    def _state(self, key: str, path: str) -> os.stat_result | None:
        """Return what a key is, None if it is not there. Raises OSError, also if it is the tree and not there."""
        if key in self.roots:
            try:
                return os.stat(path)
            except FileNotFoundError:
                if key == CONFIG:
                    raise
                return None
        above = key.rpartition("/")[0]
        try:
            if above not in self.roots:
                outer = self._state(above, self.path(above))
                if outer is None or not stat.S_ISDIR(outer.st_mode):
                    return None  # a link there would lead out of the tree
            return os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _visit(self, key: str, path: str, state: os.stat_result, found: Scan, known: dict[str, _Known]) -> None:
        """Take one path into the scan, and a folder with all below it."""
        folder = stat.S_ISDIR(state.st_mode)
        if not self.travels(key, folder=folder):
            return
        if key.count("/") > DEEPEST or (len(path) > LONGEST // 4 and len(os.fsencode(path)) > LONGEST):
            found.unreadable[key] = (
                f"…{path[-100:]}: too deep or too long, at most {DEEPEST} folders and {LONGEST} bytes"
            )
            return
        try:
            if folder:
                found.manifest[key] = folder_entry(state)
                self._list(key, Folder(path, state.st_dev, state.st_ino), found, known)
            elif stat.S_ISREG(state.st_mode):
                if key not in found.changing:
                    self._file(key, path, state, found, known)
            elif stat.S_ISLNK(state.st_mode):
                found.manifest[key] = link_entry(path, state)
            else:
                found.skipped[key] = path
        except FileNotFoundError:
            found.manifest.pop(key, None)  # gone meanwhile
        except ChangingError:
            found.changing.add(key)
        except OSError as error:
            found.unreadable[key] = f"{path}: {error.strerror}"

    def _list(self, key: str, folder: Folder, found: Scan, known: dict[str, _Known]) -> None:
        self.enter(key, folder)
        with os.scandir(folder.path) as entries:
            for entry in entries:
                try:
                    state = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                self._visit(f"{key}/{entry.name}", entry.path, state, found, known)
        found.folders[key] = folder

    def _file(self, key: str, path: str, state: os.stat_result, found: Scan, known: dict[str, _Known]) -> None:
        found.linked = found.linked or state.st_nlink > 1
        stamp = _stamp(state)
        before = self._known.get(key)
        if before is not None and before.stamp == stamp:
            known[key], found.manifest[key] = before, before.entry
            return
        now = int(wall() * SECOND)
        entry = file_entry(state, read_content(key, path, stamp))
        if state.st_ctime_ns < now - GRAIN:
            known[key] = _Known(stamp, entry)
        else:
            known.pop(key, None)
        found.manifest[key] = entry


def folder_entry(state: os.stat_result) -> Entry:
    """Return what an entry says of a folder."""
    return Entry(Kind.FOLDER, stat.S_IMODE(state.st_mode), state.st_uid, state.st_gid)


def link_entry(path: str, state: os.stat_result) -> Entry:
    """Return what an entry says of a link. Raises OSError."""
    return Entry(Kind.LINK, 0, state.st_uid, state.st_gid, os.readlink(path), mtime=state.st_mtime_ns)


def file_entry(state: os.stat_result, content: str) -> Entry:
    """Return what an entry says of a file; `content` as `read_content` gives it."""
    mode = stat.S_IMODE(state.st_mode)
    return Entry(Kind.FILE, mode, state.st_uid, state.st_gid, content, state.st_size, state.st_mtime_ns)


def read_content(key: str, path: str, expected: tuple[int, int, int, int, int] | None = None) -> str:
    """Return what an entry says of a file's content. Raises ChangingError, OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return content_in(key, descriptor, expected)
    finally:
        os.close(descriptor)


def content_in(key: str, descriptor: int, expected: tuple[int, int, int, int, int] | None = None) -> str:
    """As `read_content`, of a file that is open and was not read yet."""
    before = os.fstat(descriptor)
    if expected is not None and _stamp(before) != expected:
        raise ChangingError(descriptor)
    if key in MERGES:
        content = content_of(key, _all(descriptor))
    else:
        total, left = hashlib.sha256(), before.st_size or sys.maxsize
        while left > 0 and (chunk := os.read(descriptor, min(left, _CHUNK))):
            total.update(chunk)
            left -= len(chunk)
        content = total.hexdigest()
    if _stamp(os.fstat(descriptor)) != _stamp(before):
        raise ChangingError(descriptor)
    return content


def _all(descriptor: int, at_most: int = sys.maxsize) -> bytes:
    found, left = [], at_most
    while left > 0 and (chunk := os.read(descriptor, min(left, _CHUNK))):  # a buffer of that size is made each time
        found.append(chunk)
        left -= len(chunk)
    return b"".join(found)


def read_file(path: str, at_most: int = sys.maxsize) -> bytes:
    """Return a whole file or its beginning, never through a link. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return _all(descriptor, at_most)
    finally:
        os.close(descriptor)
