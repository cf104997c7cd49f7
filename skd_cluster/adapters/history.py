"""What replication replaced or deleted on this node: one folder a generation, with the old files under their keys.

`about.json` in it says what the push was to change, make and delete, and is there before the first change. An old file is a
hard link where the file system allows: nothing writes into a file that was replaced.
"""

import errno
import json
import os
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from skd_cluster.adapters.atomic import write_atomic
from skd_cluster.core.conflict import Conflict, parse_conflict
from skd_cluster.core.history import merged

_ABOUT = "about.json"

_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP}


class History:
    """The folder of all generations."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self._limit = keep

    def generation(self, number: int) -> "Kept":
        """Return the folder of one generation, made when something is kept."""
        return Kept(self.folder / f"{number:010d}")

    def prune(self) -> None:
        """Forget the oldest generations beyond the configured number, but none with a conflict that waits.

        Never raises: an old file more does no harm.
        """
        with suppress(OSError):
            waiting = {f"{number:010d}" for number in open_conflicts(self.folder).values()}
            names = sorted(one for one in os.listdir(self.folder) if one.isdigit())
            for name in names[: max(0, len(names) - self._limit)]:
                if name not in waiting:
                    shutil.rmtree(self.folder / name, ignore_errors=True)


_OPEN = "open"
"""A folder with a link for each conflict that waits: its name, to its generation."""


def open_conflicts(folder: Path) -> dict[str, int]:
    """Return the conflicts in a history that wait for somebody, by name, with their generations. Raises OSError."""
    place = folder / _OPEN
    if not place.is_dir():
        return {}
    found = {name: os.path.basename(os.readlink(place / name)) for name in sorted(os.listdir(place))}
    return {name: int(target) for name, target in found.items() if target.isdigit()}


def close_conflict(folder: Path, name: str) -> None:
    """Have a conflict wait no longer. Harmless twice. Raises OSError."""
    (folder / _OPEN / name).unlink(missing_ok=True)


class Kept:
    """What one generation replaced."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made: set[Path] = set()

    def link(self, key: str, path: str) -> None:
        """Keep a file or link that is about to be replaced or deleted; it stays where it is. Raises OSError.

        A pipe, socket or device is not kept: there is nothing in it, and who copies it may wait for ever.
        """
        place = self._place(key)
        if os.path.lexists(place) or not _lasting(os.lstat(path)):
            return  # the same generation a second time: the first one found is the older
        try:
            os.link(path, place, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            self._copied(path, place, _copy)

    def move(self, key: str, path: str) -> None:
        """Keep a whole folder that is about to go; it is not there any more afterwards. Raises OSError."""
        place, number = self._place(key), 0
        while os.path.lexists(place):
            number += 1
            place = self._place(f"{key}.{number}")
        try:
            os.rename(path, place)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._copied(path, place, _copy_folder)
            shutil.rmtree(path)

    def _copied(self, path: str, place: Path, copy: Callable[[str, str], None]) -> None:
        """Copy under a name beside first: what a kill or a full disk cut short must never pass for the old content."""
        unfinished = self.folder / "unfinished"
        _remove(unfinished)
        try:
            copy(path, str(unfinished))
            unfinished.rename(place)
        except OSError:
            _remove(unfinished)
            raise

    def about(self, facts: dict[str, Any]) -> None:
        """Write down what is about to be done; a second try of the same generation adds to the first. Raises OSError."""
        self._folder(self.folder)
        write_about(self.folder, merged(read_about(self.folder), facts))

    def conflict(self) -> Conflict | None:
        """Return the conflict that an earlier attempt at this generation wrote down."""
        return parse_conflict(read_about(self.folder).get("conflict"))

    def wait(self, name: str) -> None:
        """Have a conflict of this generation wait for somebody. Raises OSError."""
        place = self.folder.parent / _OPEN / name
        self._folder(self.folder)
        place.parent.mkdir(mode=0o700, exist_ok=True)
        if not os.path.lexists(place):
            place.symlink_to(f"../{self.folder.name}")

    def _place(self, key: str) -> Path:
        place = self.folder / "tree" / key
        self._folder(place.parent)
        return place

    def _folder(self, folder: Path) -> None:
        if folder not in self._made:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.folder.chmod(0o700)  # private keys are in it, under their own modes
            self._made.add(folder)


def read_about(folder: Path) -> dict[str, Any]:
    """Return what was written down of a generation, nothing of it if that cannot be read."""
    try:
        found = json.loads((folder / _ABOUT).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_about(folder: Path, facts: dict[str, Any]) -> None:
    """Write down what there is to say of a generation. Raises OSError."""
    # A line for each fact: with `indent` the encoder is one in Python, slower by far for thousands of paths.
    lines = ",\n ".join(f"{json.dumps(name)}: {json.dumps(fact)}" for name, fact in facts.items())
    write_atomic(folder / _ABOUT, f"{{\n {lines}\n}}\n".encode(), mode=0o600)


def _lasting(state: os.stat_result) -> bool:
    """Return whether there is a content to keep."""
    return stat.S_ISREG(state.st_mode) or stat.S_ISLNK(state.st_mode)


def _copy(path: str, place: str) -> None:
    """Copy a file or link with its mode, owner and times. Nobody else may read it in between: the folder is private."""
    shutil.copy2(path, place, follow_symlinks=False)
    state = os.lstat(path)
    os.chown(place, state.st_uid, state.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(state.st_mode):
        os.chmod(place, stat.S_IMODE(state.st_mode))


def _copy_folder(path: str, place: str) -> None:
    """Copy a folder with all in it that can be kept."""
    os.mkdir(place, 0o700)
    with os.scandir(path) as entries:
        for entry in entries:
            target = f"{place}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                _copy_folder(entry.path, target)
            elif _lasting(entry.stat(follow_symlinks=False)):
                _copy(entry.path, target)
    shutil.copystat(path, place)
    state = os.lstat(path)
    os.chown(place, state.st_uid, state.st_gid)


def _remove(path: Path) -> None:
    """Remove a file, a link or a folder, if it is there."""
    with suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
