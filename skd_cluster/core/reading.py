"""When our tree is to be read, and how much of it: what was touched, or everything. Pure: every method takes `now`."""

from collections.abc import Collection

from skd_cluster.core.model import Nanos, nanos
from skd_cluster.core.replication_actions import Look, Scan
from skd_cluster.core.settling import Settling

LOOK_AGAIN = nanos(5)
"""What cannot be read is tried again this often, and so is everything while something cannot be watched."""


class Reading:
    """Events name what to look at. Everything is read at the start, when events were lost, and when that is long ago."""

    def __init__(self, limit: Nanos) -> None:
        self.settling = Settling()
        self._limit = limit
        self._everything = True
        self._read_at: Nanos | None = None
        self._again_at: Nanos | None = None
        self._blind = False

    @property
    def deadline(self) -> Nanos | None:
        """When there will be something to read, if nothing more happens."""
        instants = [one for one in (self.settling.deadline, self._again_at) if one is not None]
        return min(instants, default=None)

    def everything(self) -> None:
        """Learn that anything may have changed."""
        self._everything = True

    def refresh(self, now: Nanos) -> None:
        """Have everything read that was not for so long that unnoticed changes have to be looked for."""
        if self._read_at is None or now - self._read_at >= self._limit:
            self._everything = True

    def blind(self, now: Nanos) -> None:
        """Learn that not all changes can be watched."""
        self._again_at, self._blind = self._again_at or Nanos(now + LOOK_AGAIN), True

    def read(self, now: Nanos, changing: frozenset[str], *, unreadable: bool) -> None:
        """Learn how a reading went: what changed at that moment, whether something cannot be read."""
        for key in changing - self.settling.held(now):
            self.settling.touch(key, now, writing=True)
        if unreadable and self._again_at is None:
            self._again_at = Nanos(now + LOOK_AGAIN)

    def due(self, now: Nanos, unreadable: Collection[str]) -> tuple[Scan | Look | None, Nanos | None]:
        """Return what to read now, and when the oldest of the changes that are looked at was made."""
        keys: set[str] = set()
        if self._again_at is not None and now >= self._again_at:
            # What could not be read is looked at by itself, but what is not watched may be anywhere.
            keys.update(unreadable)
            self._everything = self._everything or self._blind
            self._again_at, self._blind = None, False
        rested = self.settling.take(now)
        since = min(rested.values(), default=None)
        hold = self.settling.held(now)
        if self._everything:
            self._everything, self._read_at = False, now
            return Scan(hold), since
        keys.update(rested)
        return (Look(frozenset(keys), hold) if keys else None), since
