"""Reading a file that may be anything: bounded, never blocking on a pipe, every failure an OSError."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, repr=False)
class Contents:
    """The first bytes of a file and its permissions. No repr: it may be a password."""

    data: bytes
    mode: int


def read_regular(path: Path, limit: int) -> Contents:
    """Read at most `limit + 1` bytes, so that a longer file can be told. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a NUL in the path
        raise FileNotFoundError(0, "not a possible name") from error
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(0, "a folder")
        if not stat.S_ISREG(mode):
            raise OSError(0, "not a file but a device, pipe or socket")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return Contents(file.read(limit + 1), stat.S_IMODE(mode))
    finally:
        os.close(descriptor)


def failure(error: OSError) -> str:
    """Say why a file could not be read, in words."""
    return (error.strerror or str(error)).lower()
