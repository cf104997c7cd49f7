"""The peer's last advertisements against the pace it announced, for a person's eye: when each came, or that it did not."""

from collections import deque
from dataclasses import dataclass, field

from skd_cluster.core.model import NEVER, Nanos
from skd_cluster.core.silence import LATE_SHARE

KEPT = 60
"""So many intervals are remembered: what fits on a line, and a few hundred bytes in a report."""

MISSED = None

Beat = int | None
"""How many microseconds after it was due an advertisement came, less than 0 if before; MISSED if it did not."""


@dataclass(slots=True)
class Heartbeat:
    """Told of each advertisement by `heard`. Cheap: it is on the path of every packet."""

    interval: Nanos = NEVER
    """What the peer announced last."""
    _heard_at: Nanos = NEVER
    _paced: bool = False
    _beats: deque[Beat] = field(default_factory=lambda: deque(maxlen=KEPT))

    def heard(self, now: Nanos, interval: Nanos, *, paced: bool) -> None:
        """Take one advertisement. What the peer says between two paces, as an answer, is no beat."""
        if self._heard_at > NEVER:
            gap = now - self._heard_at
            missed = self._missed(now)
            late = (gap - (missed + 1) * self.interval) // 1000
            self._beats.extend([MISSED] * min(missed, KEPT))
            if paced and self._paced:
                self._beats.append(late)
            elif paced or late > 0:
                self._beats.append(max(0, late))
        self._heard_at, self._paced, self.interval = now, paced, interval

    def beats(self, now: Nanos) -> list[Beat]:
        """Return the last ones, the newest last, with those that are missing by now."""
        return [*self._beats, *[MISSED] * min(self._missed(now), KEPT)][-KEPT:]

    def _missed(self, now: Nanos) -> int:
        """Return how many advertisements did not come since the last one. The next one may be late by less than an interval."""
        if not self.interval:
            return 0
        tolerant = self.interval - self.interval // LATE_SHARE
        return max(0, (now - self._heard_at - tolerant) // self.interval)
