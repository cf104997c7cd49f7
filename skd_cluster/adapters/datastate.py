"""Which configuration this node holds, across restarts, and who may change it: `data.json` and `tree.lock`."""

import fcntl
import json
import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skd_cluster.adapters.atomic import write_atomic
from skd_cluster.adapters.clock import monotonic
from skd_cluster.core.model import DataState, DataVersion, Nanos

_AT_ONCE = Nanos(0)
_POLL = 10
"""Milliseconds between two looks at a lock: the kernel tells nobody when one is free."""


class BusyError(Exception):
    """Somebody else is changing the tree."""


def read_state(state_dir: Path) -> DataState:
    """Return what was last recorded; the oldest version there is if nothing was, or nothing legible."""
    try:
        found = json.loads((state_dir / "data.json").read_text())
        version = DataVersion(int(found["epoch"]), int(found["generation"]))
        epoch, generation = found.get("agreed") or (version.epoch, version.generation)
        return DataState(version, str(found["digest"]), DataVersion(int(epoch), int(generation)))
    except (OSError, ValueError, KeyError, TypeError):
        return DataState()


def write_state(state_dir: Path, state: DataState, *, durable: bool = True) -> None:
    """Record, durably if it must survive power loss. Raises OSError."""
    state_dir.mkdir(parents=True, exist_ok=True)
    found = {
        "epoch": state.version.epoch,
        "generation": state.version.generation,
        "digest": state.digest,
        "agreed": [state.agreed.epoch, state.agreed.generation],
    }
    write_atomic(state_dir / "data.json", json.dumps(found).encode() + b"\n", mode=0o600, durable=durable)


@contextmanager
def tree_lock(state_dir: Path, patience: Nanos = _AT_ONCE) -> Iterator[None]:
    """Hold the tree while it is changed or its version recorded. Raises BusyError if somebody else does for too long."""
    state_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(state_dir / "tree.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = monotonic() + patience
        while not _locked(descriptor):
            if monotonic() >= deadline:
                raise BusyError("the tree is being changed by another process")
            select.poll().poll(_POLL)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
