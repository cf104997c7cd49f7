"""What CARP and VRRP differ in, as an election sees it: who stays, how long to wait, what is said at the end.

CARP is ucarp 1.5.2's, which nobody has written down but its code: measured against Debian's package. VRRP is RFC 9568.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Final

from skd_cluster.core.actions import Identity
from skd_cluster.core.carp import RESIGNED, pace
from skd_cluster.core.model import CENTISECOND, SECOND, IPAddress, Nanos, Transport
from skd_cluster.core.wire import MAX_CENTISECONDS

GONE: Final = pace(RESIGNED, RESIGNED)
"""CARP's slowest pace, which BSD's says as its last word. ucarp has none, but takes over from whoever is that slow."""

UNSKEWED: Final = 100
"""The priority below which CARP is spoken with a skew."""


@dataclass(frozen=True, slots=True)
class Bid:
    """What a master says of itself: of two, the one with the greater rank stays. `interval` is its pace."""

    rank: tuple[int, int]
    interval: Nanos
    resigns: bool = False

    def weaker(self, other: "Bid") -> bool:
        """Whether the other one may preempt it: what is configured counts, not the addresses."""
        return self.rank[0] < other.rank[0]


class Dialect(ABC):
    """One standard. `local` is our own address, `source` the one that our packets come from: the tie-break."""

    transport: ClassVar[Transport]
    at_once: ClassVar[bool]
    """Whether preemption means to speak up against the master, and not only to stop listening to it."""
    repeats: ClassVar[bool]
    """Whether a master that hears a weaker one advertises again at once."""

    def __init__(self, local: IPAddress) -> None:
        """Speak for a node of this address."""
        self.local = self.source = local

    @abstractmethod
    def bid(self, me: Identity, source: IPAddress | None = None) -> Bid:
        """Return what a node that is configured so says."""

    @abstractmethod
    def patience(self, me: Identity, heard: Bid | None) -> Nanos:
        """Return how long a backup waits for the next word of the master last heard, or of anybody."""

    @abstractmethod
    def gives_up(self, me: Identity, heard: Bid) -> bool:
        """Whether a backup takes over now, because this master says it is leaving or is slower than we would wait."""


def advskew(priority: int) -> int:
    """Return what CARP says instead of a priority: the smaller one is preferred."""
    return max(0, UNSKEWED - priority)


class Carp(Dialect):
    """CARP as ucarp has it: whole seconds and 256ths of them, the faster one stays, then the lower address."""

    transport = Transport.CARP
    at_once = True
    repeats = False

    @staticmethod
    def base(me: Identity) -> int:
        """Return the advertisement base in seconds: the interval, rounded up."""
        return max(1, min(255, -(-me.interval // SECOND)))

    @staticmethod
    def skew(me: Identity) -> int:
        """Return the skew in 256ths of a second: none at the default priority and above."""
        return advskew(me.priority)

    @staticmethod
    def heard(interval: Nanos, source: IPAddress) -> Bid:
        """Return what an advertisement of this pace says."""
        return Bid((-interval, -int(source)), interval, interval >= GONE)

    def bid(self, me: Identity, source: IPAddress | None = None) -> Bid:
        """Return it from base and skew."""
        return self.heard(pace(self.base(me), self.skew(me)), source or self.source)

    def patience(self, me: Identity, heard: Bid | None) -> Nanos:  # noqa: ARG002 -- VRRP's goes by it
        """Return the dead ratio times our own base, and our skew: CARP does not go by the master's pace."""
        return pace(me.dead_ratio * self.base(me), self.skew(me))

    def gives_up(self, me: Identity, heard: Bid) -> bool:
        """Whether it is guaranteed to time out, or has said its last word."""
        return heard.resigns or heard.interval > me.dead_ratio * self.base(me) * SECOND


class Vrrp(Dialect):
    """VRRPv3: the higher priority stays, then the higher address."""

    transport = Transport.VRRP
    at_once = False
    repeats = True

    @staticmethod
    def heard(priority: int, interval: Nanos, source: IPAddress) -> Bid:
        """Return what an advertisement says."""
        return Bid((priority, int(source)), interval, priority == 0)

    def bid(self, me: Identity, source: IPAddress | None = None) -> Bid:
        """Return it from priority and interval, in whole centiseconds."""
        return self.heard(me.priority, self._whole(me.interval), source or self.source)

    def patience(self, me: Identity, heard: Bid | None) -> Nanos:
        """Return Active_Down_Interval, and Skew_Time alone after a resignation (RFC 9568 section 6.1, 6.4.2)."""
        interval = heard.interval if heard else self._whole(me.interval)
        skew = (256 - me.priority) * interval // 256
        return Nanos(skew if heard and heard.resigns else me.dead_ratio * interval + skew)

    def gives_up(self, me: Identity, heard: Bid) -> bool:  # noqa: ARG002 -- CARP's goes by them
        """Never: a resignation shortens the wait."""
        return False

    @staticmethod
    def _whole(interval: Nanos) -> Nanos:
        return Nanos(max(1, min(MAX_CENTISECONDS, -(-interval // CENTISECOND))) * CENTISECOND)
