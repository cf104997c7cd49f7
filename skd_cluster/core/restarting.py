"""A master that is started anew keeps its addresses: it says so, its peer waits, and the kernel's lease bounds both.

Without it an upgrade is a failover, and with hooks that restart the product a longer one than it need be.
"""

from dataclasses import dataclass

from skd_cluster.core.model import NEVER, Nanos, Role, nanos
from skd_cluster.core.wire import Advert, Flag

RESTART_LEASE = 4
"""Seconds that the addresses stay without anybody who renews them. A restart takes about one here: four times Python's start."""

RESTART_WAIT = nanos(5)
"""What the peer waits after the master's last word. The kernel looks at leases of seconds four times a second, so by then
none is left."""


@dataclass(slots=True)
class Restarting:
    """Both sides of it, on one node."""

    _asked_at: Nanos = NEVER
    _until: Nanos = NEVER

    # ---- this node is about to be restarted

    def ask(self, now: Nanos) -> None:
        """Begin to say so."""
        self._asked_at = now

    def forget(self) -> None:
        """Say so no more."""
        self._asked_at = NEVER

    @property
    def asking(self) -> bool:
        """Whether this node says so."""
        return self._asked_at != NEVER

    def agreed(self, heard_us_at: Nanos) -> bool:
        """Whether the peer has heard it, by its echo of what was said then."""
        return self.asking and heard_us_at >= self._asked_at

    # ---- the peer is

    def heard(self, advert: Advert, now: Nanos, *, current: bool) -> bool:
        """Take the peer's word; return whether one that was waited for is back, and no master.

        One that is not `current` may have been said before we slept: it asks for nothing any more.
        """
        awaited = self.waits(now)
        if advert.role is not Role.MASTER or Flag.RESTARTING not in advert.flags:
            self._until = NEVER
        elif current:
            self._until = Nanos(now + RESTART_WAIT)
        return awaited and advert.role is not Role.MASTER

    def waits(self, now: Nanos) -> bool:
        """Whether the peer's silence is its restart."""
        return now < self._until

    @property
    def waits_until(self) -> Nanos:
        """When it counts as silence again."""
        return self._until
