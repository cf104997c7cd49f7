"""What replication replaced or deleted on this node: one folder a push, with the old files under their keys.

A generation is pushed again when somebody changed the backup by hand: that has a folder of its own then, with a number more.

`about.json` in it says what the push was to change, make and delete, and is there before the first change. An old file is a
hard link where the file system allows: nothing writes into a file that was replaced.
"""

import errno
import filecmp
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skd_cluster.adapters.atomic import write_atomic
from skd_cluster.core.conflict import Conflict, parse_conflict
from skd_cluster.core.history import Generation, merged, parse, same_push
from skd_cluster.core.model import DataVersion

_ABOUT = "about.json"

_NAME = re.compile(r"(\d+)(?:-([1-9]\d*))?", re.ASCII)
"""Of a folder: a generation's number, and which push of it."""

_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP}


@dataclass(frozen=True, slots=True)
class Replaced:
    """A path that a push will not leave as it is; `cleared`: whatever it is, something that is no folder takes its place."""

    key: str
    path: str
    cleared: bool


class History:
    """The folder of all generations."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self._limit = keep

    def generation(self, number: int, push: int = 1) -> "Kept":
        """Return the folder of one push of a generation, made when something is kept."""
        return Kept(self.folder / folder_name(number, push))

    def push(self, version: DataVersion, held: DataVersion, replaced: Callable[[], Iterable[Replaced]]) -> "Kept":
        """Return the folder for a push of `version` onto `held`: of an earlier try of it, or one of its own. Raises OSError.

        What an earlier try kept of a path that is `replaced` stays: if somebody changed it since, that is kept beside it.
        """
        number = version.generation
        if not os.path.lexists(self.generation(number).folder):
            return self.generation(number)  # nearly always: the others are not even looked for
        pushes = sorted((push for one, push in pushes_in(self.folder) if one == number), reverse=True)
        for push in pushes:
            kept = self.generation(number, push)
            if kept.goes_on(version, held) and not kept.crosses(replaced()):
                return kept
        return self.generation(number, pushes[0] + 1)

    def prune(self) -> None:
        """Forget the oldest generations beyond the configured number, but none with a conflict that waits.

        Never raises: an old file more does no harm.
        """
        with suppress(OSError):
            waiting = set(open_conflicts(self.folder).values())
            pushes = sorted(pushes_in(self.folder))
            later = [one for one in pushes if one[1] > 1]
            numbers = sorted({number for number, _ in pushes})
            old = set(numbers[: max(0, len(numbers) - self._limit)])
            old_later = set(later[: max(0, len(later) - self._limit)])  # no end to them while the master is not edited
            for number, push in pushes:
                name = folder_name(number, push)
                if (number in old or (number, push) in old_later) and name not in waiting:
                    shutil.rmtree(self.folder / name, ignore_errors=True)


def folder_name(number: int, push: int) -> str:
    """Return how the folder of a push is called."""
    return f"{number:010d}" if push == 1 else f"{number:010d}-{push}"


def pushes_in(folder: Path) -> list[tuple[int, int]]:
    """Return number and push of each generation in a history. Raises OSError."""
    try:
        found = [_NAME.fullmatch(one) for one in os.listdir(folder)]
    except FileNotFoundError:
        return []
    return [(int(one[1]), int(one[2] or 1)) for one in found if one is not None]


_OPEN = "open"
"""A folder with a link for each conflict that waits: its name, to its generation."""


def open_conflicts(folder: Path) -> dict[str, str]:
    """Return the conflicts in a history that wait for somebody, by name, with their folders' names. Raises OSError."""
    place = folder / _OPEN
    if not place.is_dir():
        return {}
    found = {name: os.path.basename(os.readlink(place / name)) for name in sorted(os.listdir(place))}
    return {name: target for name, target in found.items() if _NAME.fullmatch(target)}


def close_conflict(folder: Path, name: str) -> None:
    """Have a conflict wait no longer. Harmless twice. Raises OSError."""
    (folder / _OPEN / name).unlink(missing_ok=True)


class Kept:
    """What one push of a generation replaced."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made: set[Path] = set()

    def goes_on(self, version: DataVersion, held: DataVersion) -> bool:
        """Return whether a push of `version` onto `held` is another try of the one that this folder is of."""
        if not (self.folder / _ABOUT).exists():
            return True  # nothing was replaced yet
        return same_push(self._told(), version, held)

    def crosses(self, replaced: Iterable[Replaced]) -> bool:
        """Return whether anything there is now would be lost: something else is kept under its key. Raises OSError."""
        told = self._told()
        return any(self._crosses(one, told) for one in replaced)

    def _crosses(self, one: Replaced, told: Generation) -> bool:
        here, place = os.lstat(one.path), self.folder / "tree" / one.key
        try:
            there = os.lstat(place)
        except NotADirectoryError:
            return True  # a file is kept where this one's folder would have to be
        except FileNotFoundError:
            there = None
        if there is not None and not stat.S_ISDIR(there.st_mode):
            if stat.S_ISDIR(here.st_mode):
                return one.cleared  # else that try made it itself, or what is in it is looked at by its own key
            return _lasting(here) and not _same(place, there, one.path, here)
        if there is not None and (one.cleared or not stat.S_ISDIR(here.st_mode)):
            return True
        before = told.before.get(one.key)
        return one.key in told.made if before is None else before != (here.st_mode, here.st_uid, here.st_gid)

    def _told(self) -> Generation:
        return parse(int(self.folder.name.partition("-")[0]), read_about(self.folder))

    def link(self, key: str, path: str) -> None:
        """Keep a file or link that is about to be replaced or deleted; it stays where it is. Raises OSError.

        A pipe, socket or device is not kept: there is nothing in it, and who copies it may wait for ever.
        """
        place = self._place(key)
        if os.path.lexists(place) or not _lasting(os.lstat(path)):
            return  # another try of the same push: it is what was kept, or what that try put in place
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
        """Write down what is about to be done; a second try of the same push adds to the first. Raises OSError."""
        self._folder(self.folder)
        write_about(self.folder, merged(read_about(self.folder), facts))

    def conflict(self) -> Conflict | None:
        """Return the conflict that an earlier attempt at this push wrote down."""
        return parse_conflict(read_about(self.folder).get("conflict"))

    def free(self, name: str) -> str:
        """Return what to call a conflict of this push: as before if it has a name, and not as another of the same second."""
        names, number, found = open_conflicts(self.folder.parent), 1, name
        for one, folder in names.items():
            if folder == self.folder.name:
                return one
        while found in names:
            number += 1
            found = f"{name}-{number}"
        return found

    def wait(self, name: str) -> None:
        """Have a conflict of this push wait for somebody. Raises OSError."""
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


def _same(place: Path, kept: os.stat_result, path: str, here: os.stat_result) -> bool:
    """Return whether a path is still what was kept of it, a file or a link."""
    if (kept.st_dev, kept.st_ino) == (here.st_dev, here.st_ino):
        return True
    if (kept.st_mode, kept.st_uid, kept.st_gid) != (here.st_mode, here.st_uid, here.st_gid):
        return False
    if stat.S_ISLNK(kept.st_mode):
        return os.readlink(place) == os.readlink(path)
    return filecmp.cmp(place, path, shallow=False)


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
