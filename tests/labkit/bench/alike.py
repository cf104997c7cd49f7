"""Whether one folder has become like another, asked again and again at little cost."""

import os
import stat
import time
from collections import deque
from pathlib import Path
from typing import NamedTuple

from tests.fixtures.skudonet_tree import TreeFacts


class Shape(NamedTuple):
    """What can be seen of a path without opening it. Each copier gives a file its size before its name."""

    kind: int
    mode: int
    uid: int
    gid: int
    size: int


class Alike:
    """The paths of which the other folder has not been seen to be alike. Contents are for the end, and for an oracle."""

    def __init__(self, ours: Path, theirs: Path, facts: TreeFacts) -> None:
        self._theirs = os.fspath(theirs)
        left_out = {*facts.node_local, *facts.scratch}
        self._files: deque[tuple[str, Shape]] = deque()
        self._folders: deque[tuple[str, Shape]] = deque()
        for folder, folders, files in os.walk(ours):
            below = os.path.relpath(folder, ours)
            folders.sort()
            for name in (*folders, *sorted(files)):
                path = os.path.normpath(f"{below}/{name}")
                if not any(path == out or path.startswith(f"{out.rstrip('/')}/") for out in left_out):
                    shape = _shape(f"{folder}/{name}", sized=path not in facts.merge_by_key)
                    (self._folders if stat.S_ISDIR(shape.kind) else self._files).append((path, shape))

    def reached(self) -> bool:
        """Whether every path has been seen alike by now; folders last, since writing into them may change them."""
        return self._take(self._files) and self._take(self._folders)

    def last_change(self) -> float:
        """Return when the kernel last changed anything in the other folder, on the monotonic clock, as exactly as it stamps.

        For who must not look on too often: reading thousands of paths takes time that is nobody's.
        """
        latest = os.lstat(self._theirs).st_ctime
        for folder, folders, files in os.walk(self._theirs):
            latest = max([latest, *(os.lstat(f"{folder}/{name}").st_ctime for name in (*folders, *files))])
        return latest - (time.clock_gettime(time.CLOCK_REALTIME) - time.monotonic())

    def _take(self, paths: deque[tuple[str, Shape]]) -> bool:
        while paths:
            path, shape = paths[0]
            try:
                if _shape(f"{self._theirs}/{path}", sized=bool(shape.size)) != shape:
                    return False
            except OSError:
                return False
            paths.popleft()
        return True


def _shape(path: str, *, sized: bool) -> Shape:
    seen = os.lstat(path)
    regular = stat.S_ISREG(seen.st_mode)
    size = seen.st_size if sized and regular else 0
    return Shape(stat.S_IFMT(seen.st_mode), stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid, size)
