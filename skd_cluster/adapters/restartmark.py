"""The word that a stopped service leaves for the next one: this node is master, and its addresses stay until then.

In the runtime folder, which a reboot empties. Times are those of the clock that also runs while the machine sleeps, as the
kernel's leases do.
"""

import json
from contextlib import suppress
from pathlib import Path

from skd_cluster.adapters.atomic import write_atomic
from skd_cluster.adapters.clock import since_boot
from skd_cluster.core.model import SECOND

_NAME = "restart"


def leave_mark(run_dir: Path, epoch: int, lease: int) -> None:
    """Say that the master of `epoch` is started anew and its addresses stay for so many seconds. Raises OSError."""
    until = since_boot() + lease * SECOND
    write_atomic(run_dir / _NAME, json.dumps({"epoch": epoch, "until": until}).encode(), mode=0o600, durable=False)


def marked_epoch(run_dir: Path) -> int | None:
    """Return the epoch of which this node was master a moment ago; None: it was not, or that is too long ago."""
    try:
        found = json.loads((run_dir / _NAME).read_bytes())
        epoch, until = int(found["epoch"]), int(found["until"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return epoch if since_boot() < until else None


def forget_mark(run_dir: Path) -> None:
    """Have it count for nobody any more. Never raises: it runs out by itself."""
    with suppress(OSError):
        (run_dir / _NAME).unlink(missing_ok=True)
