"""Whom to believe: one peer, one session at a time, each packet once.

A signature says that a packet was made by somebody who knows the key, at some time. That it is the peer's, and new, is
shown without any clock. Each run of a node draws a random session; each of its packets has a rising counter and echoes
the session and counter it heard last.

1. Within the peer's session that we believe, the counter must rise. A recording cannot do that.
2. Another session is believed only when it echoes *our* session at a counter later than every echo we have believed
   before. A recording of what we have heard echoes something older, so it never qualifies; the peer itself, restarted,
   qualifies after one exchange, for which we answer its first packet at once (a challenge).
3. What was heard of a session before it proved itself counts as heard: packets overtake each other, and one above the
   proving one could else be played again.

Challenges are limited for each session apart, so a flood of recordings uses up its own allowance and not the peer's.
"""

from dataclasses import dataclass, field

from skd_cluster.core.model import NEVER, DropReason, IPAddress, Nanos
from skd_cluster.core.wire import NO_SESSION, Advert, Dropped, unscoped

_REMEMBERED_SENDS = 1024
"""At the shortest interval (10 ms) ten seconds of our own packets: longer than any patience at that pace."""

_CANDIDATES = 4096
"""Sessions seen but not proven, 1 MB. A recorder has one for each start of the service it has listened to; with more than
this each packet of its flood would be answered."""


@dataclass(slots=True)
class _Candidate:
    next_challenge: Nanos
    pause: Nanos
    counter: int = 0
    """The highest one heard."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """A packet of a session that is not proven: answer with this echo, so that its sender can prove itself."""

    session: bytes
    counter: int


@dataclass(slots=True)
class PeerLink:
    """Our session and what we know of the peer's. `local` and `remote` are the nodes' own addresses."""

    local: IPAddress
    remote: IPAddress
    session: bytes
    counter: int = 0
    peer_session: bytes = NO_SESSION
    peer_counter: int = 0
    heard_us_at: Nanos = NEVER
    """When we sent the latest packet that the peer says it has heard."""
    lost: int = 0
    """How many numbers were left out within the sessions that were believed: sent by the peer, and come on no path."""
    _echoed: int = 0
    """The latest counter of ours that was echoed by a packet we believed, in whatever session."""
    _path_counters: dict[int, int] = field(default_factory=dict)
    _sent_at: dict[int, Nanos] = field(default_factory=dict)
    _candidates: dict[bytes, _Candidate] = field(default_factory=dict)
    _us: IPAddress = field(init=False)
    _them: IPAddress = field(init=False)

    def __post_init__(self) -> None:
        """Know both nodes as packets name them."""
        self._us, self._them = unscoped(self.local), unscoped(self.remote)

    def next_counter(self, now: Nanos) -> int:
        """Return the counter for a packet that is about to be sent."""
        self.counter += 1
        self._sent_at[self.counter] = now
        self._sent_at.pop(self.counter - _REMEMBERED_SENDS, None)
        return self.counter

    def forget_paths(self) -> None:
        """Learn that paths were added or taken away: a packet of before that comes again counts as a DUPLICATE, once."""
        self._path_counters.clear()

    def judge(self, advert: Advert, now: Nanos, path: int = 0) -> Advert | Dropped | Challenge:
        """Return the packet if it is the peer's and new, else why not; a Challenge counts as UNPROVEN.

        Each packet comes once on each path: what was heard on another path before is a DUPLICATE, twice on one path
        it is REPLAYED.
        """
        if advert.session == self.session or advert.sender == self._us:
            return Dropped(DropReason.REFLECTED)
        if advert.sender != self._them:
            return Dropped(DropReason.FOREIGN_SENDER)
        if advert.session == self.peer_session:
            if advert.counter <= self.peer_counter:
                heard = self._path_counters.get(path, 0)
                self._path_counters[path] = max(advert.counter, heard)
                return Dropped(DropReason.REPLAYED if advert.counter <= heard else DropReason.DUPLICATE)
            self.lost += advert.counter - self.peer_counter - 1
            self.peer_counter = advert.counter
        elif self._echoes_us(advert) and advert.echo_counter > self._echoed:
            before = self._candidates.pop(advert.session, None)
            self.peer_session = advert.session
            self.peer_counter = max(advert.counter, before.counter) if before else advert.counter
            self._path_counters.clear()
        else:
            return self._unproven(advert, now)
        self._path_counters[path] = advert.counter
        if self._echoes_us(advert):
            self._echoed = max(self._echoed, advert.echo_counter)
            self.heard_us_at = self._sent_at.get(advert.echo_counter, self.heard_us_at)
        return advert

    def _echoes_us(self, advert: Advert) -> bool:
        return advert.echo_session == self.session and advert.echo_counter <= self.counter

    def _unproven(self, advert: Advert, now: Nanos) -> Dropped | Challenge:
        known = self._candidates.get(advert.session)
        if known is None:
            if len(self._candidates) >= _CANDIDATES:
                self._candidates.pop(next(iter(self._candidates)))
            known = self._candidates[advert.session] = _Candidate(now, Nanos(advert.interval // 2))
        known.counter = max(known.counter, advert.counter)
        if now < known.next_challenge:
            return Dropped(DropReason.UNPROVEN)
        known.next_challenge = Nanos(now + known.pause)
        known.pause = Nanos(min(2 * known.pause, advert.interval * 4))
        return Challenge(advert.session, advert.counter)
