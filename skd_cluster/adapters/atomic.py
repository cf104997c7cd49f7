"""Files that are always whole: written beside, made durable, renamed over; many made durable at once; and full disks."""

import ctypes
import itertools
import os
import stat
from pathlib import Path


def write_atomic(
    path: Path, content: bytes, *, mode: int = 0o644, durable: bool = True, owner: tuple[int, int] | None = None
) -> None:
    """Replace `path` by `content`; a failure leaves the old file and no leftover. Raises OSError.

    `durable` waits for the disk: for state that must survive power loss, not for the status file. `owner` is a user and a
    group; without it the file is ours.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            if owner is not None:
                os.fchown(stream.fileno(), *owner)
            os.fchmod(stream.fileno(), mode)
            stream.write(content)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def replace_keeping(path: Path, content: bytes, suffix: str) -> Path | None:
    """Replace a file, or make it for root alone; return where the old one is kept beside it, None if there was none.

    Mode and owner stay. What was kept before is never overwritten, and kept once is enough. Raises OSError.
    """
    path = path.resolve()  # a link stays a link
    try:
        about = path.stat()
    except FileNotFoundError:
        write_atomic(path, content, mode=0o600)
        return None
    old, mode, owner = path.read_bytes(), stat.S_IMODE(about.st_mode), (about.st_uid, about.st_gid)
    names = (path.with_name(path.name + suffix + (f".{number}" if number > 1 else "")) for number in itertools.count(1))
    kept = next(one for one in names if not one.exists() or one.read_bytes() == old)
    if not kept.exists():
        write_atomic(kept, old, mode=mode, owner=owner)
    write_atomic(path, content, mode=mode, owner=owner)
    return kept


def sync_around(folder: str) -> None:
    """Make durable all that was written to the file system a folder is on, and no other. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), folder)
    finally:
        os.close(descriptor)


def overwrite(path: Path, content: bytes) -> None:
    """Put `content` into a file that exists, which a full disk allows. Raises OSError.

    For a few bytes only: a reader may meet the end of what was there before.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.pwrite(descriptor, content, 0)
        os.ftruncate(descriptor, len(content))
    finally:
        os.close(descriptor)
