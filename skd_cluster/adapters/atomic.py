"""Files that are always whole: written beside, made durable, renamed over; and many files made durable at once."""

import ctypes
import os
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


def sync_around(folder: str) -> None:
    """Make durable all that was written to the file system a folder is on, and no other. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), folder)
    finally:
        os.close(descriptor)
