"""What outlives the service: the epoch and the standby mark; and a thread, since a disk may hang."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from skd_cluster.adapters.atomic import overwrite, write_atomic
from skd_cluster.adapters.history import open_conflicts, pushes_in


def read_epoch(state_dir: Path) -> int:
    """Return the highest epoch this node took part in, 0 when there is none. Raises OSError on an unreadable file."""
    try:
        text = (state_dir / "epoch").read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return 0
    return int(text) if text.isdigit() else 0


def read_standby(state_dir: Path) -> bool:
    """Whether the administrator took this node out."""
    return (state_dir / "standby").exists()


def count_history(state_dir: Path) -> int:
    """Return how many generations are kept."""
    try:
        return len({number for number, _ in pushes_in(state_dir / "history")})
    except OSError:
        return 0


def waiting_conflicts(state_dir: Path) -> tuple[str, ...]:
    """Return the names of the conflicts kept on this node that wait for somebody."""
    try:
        return tuple(open_conflicts(state_dir / "history"))
    except OSError:
        return ()


_AGAIN = 5.0
"""Seconds until what could not be written is tried again."""


class FileWriter:
    """Writes small files in a thread of its own: the newest content of a path wins, earlier ones may never be seen.

    What cannot be written is told once and tried again. A file that need not be durable says what is true now: if the new
    word finds no room beside the old one it is written over it, and if that is refused as well, the old word is removed.
    """

    def __init__(self, failed: Callable[[str], None], again: float = _AGAIN) -> None:
        self._failed = failed
        self._again = again
        self._wanted: dict[Path, _Wish] = {}
        self._unwritten: dict[Path, _Wish] = {}
        self._told: set[Path] = set()
        self._wake = threading.Condition()
        self._busy = False
        self._thread = threading.Thread(target=self._write, name="files", daemon=True)

    def start(self) -> None:
        """Start writing."""
        self._thread.start()

    def put(self, path: Path, content: bytes, *, durable: bool, mode: int = 0o644) -> None:
        """Want `content` in the file."""
        self._want(path, _Wish(content, durable, mode))

    def remove(self, path: Path) -> None:
        """Want no such file."""
        self._want(path, _Wish(None, durable=False))

    def mark(self, path: Path, *, there: bool) -> None:
        """Want an empty file that says something by being there, or want it gone."""
        self._want(path, _Wish(b"" if there else None, durable=there))

    def flush(self, patience: float) -> bool:
        """Wait until all is written, at most `patience` seconds; return whether it is."""
        with self._wake:
            return self._wake.wait_for(lambda: not self._wanted and not self._busy, patience)

    def _want(self, path: Path, wish: "_Wish") -> None:
        with self._wake:
            self._unwritten.pop(path, None)
            self._wanted[path] = wish
            self._wake.notify_all()

    def _write(self) -> None:
        while True:
            path, wish = self._next()
            try:
                _bring_about(path, wish)
            except OSError as error:
                with self._wake:
                    if path not in self._wanted:
                        self._unwritten[path] = wish
                if path not in self._told:
                    self._told.add(path)
                    self._failed(f"cannot write {path}: {error.strerror}")
            else:
                self._told.discard(path)

    def _next(self) -> tuple[Path, "_Wish"]:
        with self._wake:
            self._busy = False
            self._wake.notify_all()
            while not self._wake.wait_for(lambda: bool(self._wanted), self._again if self._unwritten else None):
                self._wanted, self._unwritten = self._unwritten, {}
            path = next(iter(self._wanted))
            wish = self._wanted.pop(path)
            self._busy = True
            return path, wish


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a file shall hold; None: be gone."""

    content: bytes | None
    durable: bool
    mode: int = 0o644


def _bring_about(path: Path, wish: _Wish) -> None:
    content = wish.content
    if content is None:
        path.unlink(missing_ok=True)
        return
    try:
        write_atomic(path, content, mode=wish.mode, durable=wish.durable)
    except OSError as refused:
        if wish.durable:
            raise
        try:
            overwrite(path, content)
        except OSError:
            path.unlink(missing_ok=True)
            raise refused from None
