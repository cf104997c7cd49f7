"""What a node knows of its peer from its packets, and how long each may be silent."""

from dataclasses import dataclass

from skd_cluster.core.actions import Identity
from skd_cluster.core.model import NEVER, DataVersion, Nanos, Role
from skd_cluster.core.timers import dead_interval
from skd_cluster.core.wire import Advert


@dataclass(slots=True)
class PeerView:
    """The peer as last verified; kept when it falls silent."""

    me: Identity
    last: Advert | None = None
    heard_at: Nanos = NEVER
    heard_us_at: Nanos = NEVER
    """When we sent the latest packet that the peer says it has heard."""
    imposed: Nanos = NEVER
    """The dead interval of a standard, while one is spoken; NEVER: our own rule."""

    def heard(self, advert: Advert, now: Nanos, heard_us_at: Nanos) -> bool:
        """Take a verified packet; return whether it is the first one of the peer's run."""
        first = self.last is None or self.last.session != advert.session
        self.last, self.heard_at, self.heard_us_at = advert, now, heard_us_at
        return first

    def alive(self, now: Nanos) -> bool:
        """Whether the peer was verified within its dead interval, by the native packets whatever else is spoken."""
        return self.last is not None and now - self.heard_at <= self._native_patience

    def hears_us(self, now: Nanos) -> bool:
        """Whether the peer is alive and had lately heard us when it last spoke.

        When *it* spoke, not now: a fast node hears a slow peer seldom.
        """
        return self.alive(now) and self.heard_at - self.heard_us_at <= self.their_patience

    def unfit(self, now: Nanos) -> str:
        """Return why the peer could not take over now; empty if it could."""
        if self.last is None or not self.alive(now):
            return "the peer is not heard"
        if not self.hears_us(now):
            return "the peer does not hear this node"
        if self.last.role not in (Role.BACKUP, Role.INIT):
            return f"the peer is {self.last.role.word}"
        return ""

    def outdated(self, ours: DataVersion) -> str:
        """Return why changes would be left behind if the peer took over now; empty if none would."""
        if self.last is None or self.last.data >= ours:
            return ""
        return "the peer does not have the newest configuration yet: see skd-cluster status, or leave changes behind with --force"

    @property
    def epoch(self) -> int:
        """The highest epoch the peer has named lately."""
        return self.last.epoch if self.last else 0

    @property
    def interval(self) -> Nanos:
        """The peer's pace; until it is known, our own."""
        return self.last.interval if self.last else self.me.interval

    @property
    def yields_to_us(self) -> bool:
        """Whether this node stays when two masters meet: higher priority, then the lower address (ucarp's rule).

        A priority of 0 is the word of resigning, not a rank.
        """
        theirs = self.last.priority if self.last and self.last.priority else self.me.priority
        return self.me.lower if self.me.priority == theirs else self.me.priority > theirs

    @property
    def patience(self) -> Nanos:
        """How long this node lets a master be silent."""
        return self.imposed or self._native_patience

    @property
    def _native_patience(self) -> Nanos:
        """At the master's own pace."""
        return dead_interval(self.interval, self.me.dead_ratio, preferred=self.yields_to_us)

    @property
    def their_patience(self) -> Nanos:
        """How long the peer lets us be silent, at our pace."""
        return Nanos(self.me.interval * (self.last.dead_ratio if self.last else self.me.dead_ratio))
