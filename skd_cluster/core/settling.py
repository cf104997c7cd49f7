"""When a path that changes has come to rest. Pure: every method takes `now`."""

from collections.abc import Iterator
from dataclasses import dataclass

from skd_cluster.core.model import MILLISECOND, Nanos

QUIET = Nanos(10 * MILLISECOND)
"""Without another event a closed file is at rest."""

BOUND = Nanos(200 * MILLISECOND)
"""A file closed again and again is taken as it is after this long."""

OPEN_QUIET = Nanos(200 * MILLISECOND)
"""A file that was written and not closed: its writer may be in the middle of it."""

OPEN_BOUND = Nanos(2000 * MILLISECOND)
"""A file that is never closed, such as a log, is taken as it is after this long."""


@dataclass(slots=True)
class _Restless:
    first: Nanos
    last: Nanos
    writing: bool

    @property
    def rests_at(self) -> Nanos:
        quiet, bound = (OPEN_QUIET, OPEN_BOUND) if self.writing else (QUIET, BOUND)
        return Nanos(min(self.last + quiet, self.first + bound))


class Settling:
    """The paths that were touched and not yet looked at."""

    def __init__(self) -> None:
        self._paths: dict[str, _Restless] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._paths)

    def touch(self, key: str, now: Nanos, *, writing: bool = False) -> None:
        """Note an event. `writing`: somebody has the file open and wrote to it."""
        path = self._paths.get(key)
        if path is None:
            self._paths[key] = _Restless(now, now, writing)
        else:
            path.last, path.writing = now, writing

    def held(self, now: Nanos) -> frozenset[str]:
        """Return what is not at rest: nobody should look at it now. Never a folder: it would hold all that is in it."""
        return frozenset(key for key, path in self._paths.items() if path.rests_at > now and not key.endswith("/"))

    def take(self, now: Nanos) -> dict[str, Nanos]:
        """Forget what is at rest; return it, each with when it was first touched."""
        return {key: self._paths.pop(key).first for key in list(self._rested(now))}

    def _rested(self, now: Nanos) -> Iterator[str]:
        return (key for key, path in self._paths.items() if path.rests_at <= now)

    @property
    def oldest(self) -> Nanos | None:
        """When the oldest of them was first touched."""
        return min((path.first for path in self._paths.values()), default=None)

    @property
    def deadline(self) -> Nanos | None:
        """When the next one comes to rest, if nothing more happens to it."""
        return min((path.rests_at for path in self._paths.values()), default=None)
