"""Reads what `adapters.history` keeps: which generations there are, what one of them replaced, the old contents."""

import os
import stat
from pathlib import Path

from skd_cluster.adapters.history import close_conflict, folder_name, pushes_in, read_about, write_about
from skd_cluster.adapters.tree import file_entry, folder_entry, link_entry, read_content
from skd_cluster.core.history import Generation, kept_manifest, parse
from skd_cluster.core.manifest import Entry


class Past:
    """The folder of all generations of this node."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def pushes(self) -> list[tuple[int, int]]:
        """Return number and push of each generation, the newest first."""
        return sorted(pushes_in(self.folder), reverse=True)

    def about(self, number: int, push: int = 1) -> dict[str, object]:
        """Return what was written down of a generation, nothing of it if that cannot be read. Raises LookupError."""
        return read_about(self._place(number, push))

    def generation(self, number: int, push: int = 1) -> Generation:
        """Return the facts of a generation. Raises LookupError."""
        return parse(number, self.about(number, push), push)

    def kept(self, number: int, push: int = 1) -> dict[str, Entry]:
        """Return what can come back. Raises LookupError, OSError."""
        generation = self.generation(number, push)
        found: dict[str, Entry] = {}
        _walk(str(self._place(number, push) / "tree"), "", found)
        return kept_manifest(generation, found)

    def read(self, place: tuple[int, int], key: str, at: int, size: int) -> bytes:
        """Return a part of a kept file; `place` is one of `pushes`. Raises LookupError if it is none."""
        number, push = place
        tree = os.path.realpath(self._place(number, push) / "tree")
        path = within(tree, key)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise LookupError(f"file {key} in generation {Generation(number, push=push).name}") from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise LookupError(f"file {key} in generation {Generation(number, push=push).name}")
            return os.pread(descriptor, size, at)
        finally:
            os.close(descriptor)

    def resolve(self, name: str) -> tuple[int, int]:
        """Write down that a conflict is dealt with; return which of `pushes` it is of. Raises LookupError, OSError."""
        for number, push in self.pushes():
            about = self.about(number, push)
            conflict = parse(number, about).conflict
            if conflict is not None and conflict.name == name:
                found = about["conflict"]
                about["conflict"] = (found if isinstance(found, dict) else {}) | {"resolved": True}
                write_about(self._place(number, push), about)
                close_conflict(self.folder, name)
                return number, push
        raise LookupError(f"conflict {name}")

    def _place(self, number: int, push: int) -> Path:
        folder = self.folder / folder_name(number, push)
        if not folder.is_dir():
            raise LookupError(f"generation {Generation(number, push=push).name}")
        return folder


def within(root: str, name: str) -> str:
    """Return where a name lies below `root`, which has no links. Raises LookupError for a way through a link or out."""
    parts = name.split("/")
    if any(one in (".", "..") or "\0" in one for one in parts) or not all(parts):
        raise LookupError(f"file {name}")
    path = f"{root}/{name}"
    if os.path.realpath(os.path.dirname(path)) != os.path.dirname(path):
        raise LookupError(f"file {name}")
    return path


def _walk(path: str, key: str, found: dict[str, Entry]) -> None:
    try:
        entries = sorted(os.scandir(path), key=lambda one: one.name)
    except FileNotFoundError:
        return
    for entry in entries:
        state, name = entry.stat(follow_symlinks=False), f"{key}/{entry.name}" if key else entry.name
        if stat.S_ISDIR(state.st_mode):
            found[name] = folder_entry(state)
            _walk(entry.path, name, found)
        elif stat.S_ISLNK(state.st_mode):
            found[name] = link_entry(entry.path, state)
        elif stat.S_ISREG(state.st_mode):
            found[name] = file_entry(state, read_content(name, entry.path))
