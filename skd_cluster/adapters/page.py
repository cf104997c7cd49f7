"""The elector's page: mapped, so that writing it is a memory copy and reading it needs no living elector."""

import mmap
import os
from pathlib import Path

from skd_cluster.core.lastword import PAGE_SIZE, LastWord, parse_page


def map_page(name: str) -> mmap.mmap:
    """Create the page for this run and map it. Raises OSError."""
    path = Path(name)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(descriptor, PAGE_SIZE)
        return mmap.mmap(descriptor, PAGE_SIZE)
    finally:
        os.close(descriptor)


def read_page(path: Path) -> LastWord | None:
    """Return what a dead elector left behind; None if there is nothing."""
    try:
        return parse_page(path.read_bytes())
    except OSError:
        return None
