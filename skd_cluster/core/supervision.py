"""When a child is started again, and when systemd may believe that all is well. Pure."""

from dataclasses import dataclass
from typing import TypeAlias

from skd_cluster.core.model import SECOND, Nanos, nanos

FIRST_BACKOFF = nanos(0.05)
LAST_BACKOFF = nanos(30)
STEADY = nanos(30)
"""A child that ran this long is well: its next death is a new story and the back-off starts anew."""

TERM_PATIENCE = nanos(2.0)
"""Between SIGTERM and SIGKILL of a child."""

FRESH = nanos(2.5)
"""The elector reports once a second: two lost reports are a coincidence, three are a hang."""


RESTART_IDENT = -1
"""The number of the supervisor's own command to leave for a restart; those of people's commands are greater."""


@dataclass(frozen=True, slots=True)
class StartChild:
    """Start it now."""


@dataclass(frozen=True, slots=True)
class SignalChild:
    """Signal its process group: SIGTERM, or SIGKILL with `kill`."""

    kill: bool


ChildAction: TypeAlias = StartChild | SignalChild


class ChildMachine:
    """One child that should run while it is wanted, and that may die without harm.

    Restarts are spaced 50 ms, doubling to 30 s; being wanted anew starts at once.
    """

    def __init__(self) -> None:
        self.wanted = False
        self.running = False
        self.restarts = 0
        self._backoff = FIRST_BACKOFF
        self._started = Nanos(0)
        self._start_at: Nanos | None = None
        self._kill_at: Nanos | None = None
        self.ending = False

    @property
    def deadline(self) -> Nanos | None:
        """The next instant at which `on_timer` has something to do."""
        return self._kill_at if self.running else self._start_at

    def want(self, wanted: bool, now: Nanos) -> list[ChildAction]:  # noqa: FBT001 -- it is the state wanted, not an option
        """Say whether it should run."""
        changed, self.wanted = wanted != self.wanted, wanted
        if not changed:
            return []
        self._start_at = None
        if wanted:
            self._backoff = FIRST_BACKOFF
            return [] if self.running else self._start(now)
        return self._end(now) if self.running else []

    def restart(self, now: Nanos) -> list[ChildAction]:
        """End it if it runs, so that it comes back at once: its configuration changed."""
        return self._end(now) if self.running else []

    def on_exit(self, now: Nanos) -> list[ChildAction]:
        """Take note that it is gone, whether it was asked to go or not."""
        asked = self.ending
        self.running = self.ending = False
        self._kill_at = None
        if not self.wanted:
            return []
        if asked:
            return self._start(now)
        if now - self._started >= STEADY:
            self._backoff = FIRST_BACKOFF
        self.restarts += 1
        self._start_at = Nanos(now + self._backoff)
        self._backoff = min(Nanos(self._backoff * 2), LAST_BACKOFF)
        return []

    def on_timer(self, now: Nanos) -> list[ChildAction]:
        """Call at or after the deadline; early calls do nothing."""
        due = self.deadline
        if due is None or now < due:
            return []
        if self.running:
            self._kill_at = None
            return [SignalChild(kill=True)]
        return self._start(now)

    def _start(self, now: Nanos) -> list[ChildAction]:
        self.running = True
        self._started = now
        self._start_at = None
        return [StartChild()]

    def _end(self, now: Nanos) -> list[ChildAction]:
        if self.ending:
            return []
        self.ending = True
        self._kill_at = Nanos(now + TERM_PATIENCE)
        return [SignalChild(kill=False)]


class Liveness:
    """Whether the elector proves progress, and when to tell systemd's watchdog.

    `period` is how often to feed it, None without a watchdog. An elector that has said nothing for `FRESH` is not
    vouched for: systemd then ends the service. While the service stops, on purpose, it is fed regardless.
    """

    def __init__(self, period: Nanos | None) -> None:
        self.stopping = False
        self._period = period
        self._proof: Nanos | None = None
        self._feed_at: Nanos | None = None

    def on_report(self, at: Nanos) -> None:
        """Take the elector's own time of its report as proof: one that waited in a queue proves nothing newer."""
        if self._proof is None:
            self._feed_at = at if self._period is not None else None
        self._proof = at

    def fresh(self, now: Nanos) -> bool:
        """Whether the elector was seen to work within `FRESH`."""
        return self._proof is not None and now - self._proof < FRESH

    def silent(self, now: Nanos) -> float:
        """Seconds since the last proof, for people."""
        return 0.0 if self._proof is None else (now - self._proof) / SECOND

    @property
    def deadline(self) -> Nanos | None:
        """When to feed next."""
        return self._feed_at

    def on_timer(self, now: Nanos) -> bool:
        """Return whether to feed the watchdog now."""
        if self._period is None or self._feed_at is None or now < self._feed_at:
            return False
        self._feed_at = Nanos(now + self._period)
        return self.stopping or self.fresh(now)
