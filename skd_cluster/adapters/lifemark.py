"""Whether the run of the service before this one ended as asked, and how often one did not since the boot.

In the runtime folder, which a reboot empties: a machine that lost power is no crash of the service.
"""

import json
from pathlib import Path

from skd_cluster.adapters.atomic import write_atomic

_NAME = "life"


def begin_life(run_dir: Path) -> tuple[bool, int]:
    """Note that a run begins. Return whether the one before ended without `end_life`, and how many did. Raises OSError."""
    crashes, running = _read(run_dir)
    crashes += running
    _write(run_dir, crashes, running=True)
    return running, crashes


def end_life(run_dir: Path) -> None:
    """Note that this run ends as asked. Raises OSError."""
    _write(run_dir, _read(run_dir)[0], running=False)


def _read(run_dir: Path) -> tuple[int, bool]:
    try:
        found = json.loads((run_dir / _NAME).read_bytes())
        return int(found["crashes"]), bool(found["running"])
    except (OSError, ValueError, TypeError, KeyError):
        return 0, False


def _write(run_dir: Path, crashes: int, *, running: bool) -> None:
    found = json.dumps({"crashes": crashes, "running": running}).encode()
    write_atomic(run_dir / _NAME, found, mode=0o600, durable=False)
