"""What systemd is about to do with this service."""

import os

from skd_cluster.adapters.command import CannotStartError, run
from skd_cluster.core.model import nanos

UNIT = "skudonet-ce-cluster.service"
_PATIENCE = nanos(1.0)


def restarts() -> bool:
    """Return whether systemd stops the service in order to start it again at once. No, if it cannot be asked."""
    if "INVOCATION_ID" not in os.environ:
        return False
    try:
        done = run(("systemctl", "list-jobs", "--no-legend", "--plain", UNIT), timeout=_PATIENCE)
    except CannotStartError:
        return False
    jobs = [line.split() for line in done.output.decode(errors="replace").splitlines()]
    return any(job[1:3] == [UNIT, "restart"] for job in jobs)
