"""How long a master may be silent before it counts as lost, and whether to ask it meanwhile.

Patience waits: so many intervals without a word. Probing asks: a packet that is late starts polls, which a living master
answers at once; no answer to any of them in half an interval means lost. In both cases patience is the upper bound.
"""

from dataclasses import dataclass

from skd_cluster.core.model import NEVER, Nanos
from skd_cluster.core.timers import FAR

LATE_SHARE = 4
"""A packet is late after a quarter of an interval: more than a loaded machine's jitter, and being wrong costs a poll."""

POLLS = 8
"""Polls in the half interval. With 5 % loss each way a poll fails by 10 %, all eight by 1 in 100 million."""


@dataclass(slots=True)
class Silence:
    """Armed with `wait`, told of each word of the master by `heard`; `judge_at` is when nothing more will come."""

    probing: bool = False
    judge_at: Nanos = FAR
    master_heard_at: Nanos = NEVER
    """The election's to keep: a master is also heard by who does not follow it."""
    _poll_at: Nanos = FAR
    _poll_every: Nanos = NEVER

    @property
    def deadline(self) -> Nanos:
        """The next instant at which something is due: a poll or the judgement."""
        return min(self.judge_at, self._poll_at)

    @property
    def polling(self) -> bool:
        """Whether the master is being asked right now."""
        return self._poll_every > NEVER

    def wait(self, until: Nanos) -> None:
        """Judge then, without asking: there is no master yet whose word could be late."""
        self.judge_at, self._poll_at, self._poll_every = until, FAR, NEVER

    def postpone(self, until: Nanos) -> None:
        """Judge no earlier than then, and ask no more."""
        self.wait(max(self.judge_at, until))

    def heard(self, now: Nanos, interval: Nanos, patience: Nanos) -> None:
        """Take the master's word: the next one is due an interval later."""
        self.wait(Nanos(now + patience))
        if self.probing:
            self._poll_at = Nanos(now + interval + interval // LATE_SHARE)

    def poll(self, now: Nanos, interval: Nanos) -> bool:
        """Whether to ask the master now. The first time sets when to stop asking and judge; later ones do not move it."""
        if now < self._poll_at:
            return False
        self._poll_every = Nanos(interval // 2 // POLLS)
        self.judge_at = min(self.judge_at, Nanos(now + interval // 2))
        self._poll_at = Nanos(now + self._poll_every)
        return True
