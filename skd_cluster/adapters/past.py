"""Reads what `adapters.history` keeps: which generations there are, what one of them replaced, the old contents."""

import os
import stat
from pathlib import Path

from skd_cluster.adapters.history import close_conflict, read_about, write_about
from skd_cluster.adapters.tree import file_entry, folder_entry, link_entry, read_content
from skd_cluster.core.history import Generation, kept_manifest, parse
from skd_cluster.core.manifest import Entry


class Past:
    """The folder of all generations of this node."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def numbers(self) -> list[int]:
        """Return the generations, the newest first."""
        try:
            return sorted((int(one) for one in os.listdir(self.folder) if one.isdigit()), reverse=True)
        except FileNotFoundError:
            return []

    def about(self, number: int) -> dict[str, object]:
        """Return what was written down of a generation, nothing of it if that cannot be read. Raises LookupError."""
        return read_about(self._place(number))

    def generation(self, number: int) -> Generation:
        """Return the facts of a generation. Raises LookupError."""
        return parse(number, self.about(number))

    def kept(self, number: int) -> dict[str, Entry]:
        """Return what can come back. Raises LookupError, OSError."""
        generation = self.generation(number)
        found: dict[str, Entry] = {}
        _walk(str(self._place(number) / "tree"), "", found)
        return kept_manifest(generation, found)

    def read(self, number: int, key: str, at: int, size: int) -> bytes:
        """Return a part of a kept file. Raises LookupError if it is none."""
        tree = os.path.realpath(self._place(number) / "tree")
        path = within(tree, key)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise LookupError(f"file {key} in generation {number}") from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise LookupError(f"file {key} in generation {number}")
            return os.pread(descriptor, size, at)
        finally:
            os.close(descriptor)

    def resolve(self, name: str) -> int:
        """Write down that a conflict is dealt with; return its generation. Raises LookupError, OSError."""
        for number in self.numbers():
            about = self.about(number)
            conflict = parse(number, about).conflict
            if conflict is not None and conflict.name == name:
                found = about["conflict"]
                about["conflict"] = (found if isinstance(found, dict) else {}) | {"resolved": True}
                write_about(self._place(number), about)
                close_conflict(self.folder, name)
                return number
        raise LookupError(f"conflict {name}")

    def _place(self, number: int) -> Path:
        folder = self.folder / f"{number:010d}"
        if not folder.is_dir():
            raise LookupError(f"generation {number}")
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
