"""What replication replaced or deleted on this node: one folder a generation, with the old files under their keys.

`about.json` in it says what was changed, made and deleted. An old file is a hard link where the file system allows:
nothing writes into a file that was replaced.
"""

import errno
import json
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

from skd_cluster.adapters.atomic import write_atomic
from skd_cluster.core.history import merged

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
        """Forget the oldest generations beyond the configured number. Never raises: an old file more does no harm."""
        with suppress(OSError):
            names = sorted(one for one in os.listdir(self.folder) if one.isdigit())
            for name in names[: max(0, len(names) - self._limit)]:
                shutil.rmtree(self.folder / name, ignore_errors=True)


class Kept:
    """What one generation replaced."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made: set[Path] = set()

    def link(self, key: str, path: str) -> None:
        """Keep a file or link that is about to be replaced or deleted; it stays where it is. Raises OSError."""
        place = self._place(key)
        if os.path.lexists(place):
            return  # the same generation a second time: the first one found is the older
        try:
            os.link(path, place, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            _copy(path, str(place))

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
            shutil.copytree(path, place, symlinks=True)
            shutil.rmtree(path)

    def about(self, facts: dict[str, Any]) -> None:
        """Write down what was done; a second try of the same generation adds to the first. Raises OSError."""
        self._folder(self.folder)
        about = self.folder / "about.json"
        with suppress(OSError, ValueError):
            facts = merged(json.loads(about.read_bytes()), facts)
        write_atomic(about, json.dumps(facts, indent=1).encode() + b"\n", mode=0o600)

    def _place(self, key: str) -> Path:
        place = self.folder / "tree" / key
        self._folder(place.parent)
        return place

    def _folder(self, folder: Path) -> None:
        if folder not in self._made:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.folder.chmod(0o700)  # private keys are in it, under their own modes
            self._made.add(folder)


def _copy(path: str, place: str) -> None:
    """Copy a file or link with its mode, owner and times. Nobody else may read it in between: the folder is private."""
    shutil.copy2(path, place, follow_symlinks=False)
    state = os.lstat(path)
    os.chown(place, state.st_uid, state.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(state.st_mode):
        os.chmod(place, stat.S_IMODE(state.st_mode))
