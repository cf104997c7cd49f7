"""The elector's voice and ears: advertisements out, judged advertisements in."""

import errno
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from mmap import mmap

from skd_cluster.adapters.udp import AdvertSocket, open_advert_socket
from skd_cluster.core import wire
from skd_cluster.core.actions import Word
from skd_cluster.core.histogram import JITTER_BOUNDS, Histogram
from skd_cluster.core.lastword import LastWord, page_bytes
from skd_cluster.core.model import NEVER, SECOND, DropReason, Nanos, seconds
from skd_cluster.core.peer import Challenge, PeerLink
from skd_cluster.core.timers import FAR
from skd_cluster.core.wire import Advert, Dropped, Flag

BATCH = 256
"""Packets a round. More wait in the socket's buffer; after a full batch silence is not judged."""


@dataclass(frozen=True, slots=True)
class Voice:
    """What stays the same in all advertisements of a run. `keys`: the first one signs, all are accepted."""

    cluster_id: int
    keys: tuple[bytes, ...]
    interval: Nanos
    dead_ratio: int
    release: tuple[int, int, int]
    port: int


@dataclass(slots=True)
class Advertiser:
    """One node's advertisements. A socket that the host refuses is a fault, tried again each second."""

    voice: Voice
    link: PeerLink
    page: mmap
    digest: bytes
    sock: AdvertSocket | None = None
    fault: str = ""
    counters: Counter[str] = field(default_factory=Counter)
    jitter: Histogram = field(default_factory=lambda: Histogram(JITTER_BOUNDS))
    drained: bool = True
    """Whether the last `receive` took all that had arrived."""
    _retry_at: Nanos = NEVER
    _paced_at: Nanos = NEVER
    _paced_counter: int = 0

    @property
    def deadline(self) -> Nanos:
        """When to try the socket again."""
        return FAR if self.sock else self._retry_at

    def open(self, now: Nanos) -> None:
        """Open the socket, if it is due."""
        if self.sock is not None or now < self._retry_at:
            return
        try:
            self.sock = open_advert_socket(self.link.local, self.link.remote, self.voice.port)
        except OSError as error:
            what = "is in use by another program" if error.errno == errno.EADDRINUSE else str(error.strerror)
            self.fault = f"UDP port {self.voice.port} of {self.link.local}: {what}"
            self._retry_at = Nanos(now + SECOND)
        else:
            self.fault = ""

    def receive(self, now: Nanos) -> Iterator[Advert | Challenge | Dropped]:
        """Yield what matters of what has arrived: packets to believe, challenges to answer, the peer's other key."""
        self.drained = True
        if self.sock is None:
            return
        taken, peer = 0, str(self.link.remote)
        for datagram, source in self.sock.receive(BATCH):
            taken += 1
            found = self._judge(datagram, now)
            bad_key = isinstance(found, Dropped) and found.reason is DropReason.BAD_KEY
            if not isinstance(found, Dropped) or (bad_key and source == peer):
                yield found
        self.drained = taken < BATCH

    def _judge(self, datagram: bytes, now: Nanos) -> Advert | Challenge | Dropped:
        decoded = wire.decode(datagram, self.voice.cluster_id, self.voice.keys)
        found = self.link.judge(decoded, now) if isinstance(decoded, Advert) else decoded
        match found:
            case Advert():
                self.counters["received"] += 1
                self._measure(found, now)
            case Challenge():
                self.counters[f"dropped.{DropReason.UNPROVEN}"] += 1
            case Dropped(reason):
                self.counters[f"dropped.{reason}"] += 1
        return found

    def _measure(self, advert: Advert, now: Nanos) -> None:
        """Observe the jitter between two paced packets that follow each other."""
        if Flag.PACED in advert.flags:
            if advert.counter == self._paced_counter + 1:
                self.jitter.observe(abs(seconds(Nanos(now - self._paced_at - advert.interval))))
            self._paced_counter, self._paced_at = advert.counter, now
        else:
            self._paced_counter = 0

    def send(self, word: Word, now: Nanos, challenge: Challenge | None = None) -> None:
        """Say `word`; as the answer to a challenge it goes with that echo."""
        link = self.link
        advert = Advert(
            cluster_id=self.voice.cluster_id,
            priority=word.priority,
            role=word.role,
            flags=word.flags,
            interval=self.voice.interval,
            dead_ratio=self.voice.dead_ratio,
            release=self.voice.release,
            sender=link.local,
            session=link.session,
            counter=link.next_counter(now),
            echo_session=challenge.session if challenge else link.peer_session,
            echo_counter=challenge.counter if challenge else link.peer_counter,
            epoch=word.epoch,
            data=word.data,
            digest=self.digest,
        )
        # The page first: a survivor's counter must be above that of every packet that was sent.
        last = LastWord(
            link.session, advert.counter, link.peer_session, link.peer_counter, word.epoch, word.data, word.role
        )
        content = page_bytes(last)
        self.page[: len(content)] = content
        sent = self.sock is not None and self.sock.send(wire.encode(advert, self.voice.keys[0]))
        self.counters["sent" if sent else "send_errors"] += 1
