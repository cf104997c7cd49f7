"""The elector's voice and ears: advertisements out on every path, judged advertisements in."""

import errno
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from mmap import mmap
from typing import Generic, Protocol, TypeVar

from skd_cluster.adapters.udp import AdvertSocket
from skd_cluster.core import wire
from skd_cluster.core.actions import Word
from skd_cluster.core.flight import Kind, Ring
from skd_cluster.core.heartbeat import Heartbeat
from skd_cluster.core.histogram import JITTER_BOUNDS, Histogram
from skd_cluster.core.lastword import LastWord, page_bytes
from skd_cluster.core.model import NEVER, SECOND, DropReason, Nanos, Transport, seconds
from skd_cluster.core.peer import Challenge, PeerLink
from skd_cluster.core.timers import FAR
from skd_cluster.core.wire import Advert, Dropped, Flag

BATCH = 256
"""Packets a round and path. More wait in the socket's buffer; after a full batch silence is not judged."""

_HEARD, _SENT = int(Kind.HEARD), int(Kind.SENT)  # plain numbers: looking up a member costs more than keeping a row


@dataclass(frozen=True, slots=True)
class Voice:
    """What all advertisements have in common. `keys`: the first one signs, all are accepted."""

    cluster_id: int
    keys: tuple[bytes, ...]
    release: tuple[int, int, int]
    transport: Transport = Transport.UDP


class _Socket(Protocol):
    def fileno(self) -> int: ...
    def close(self) -> None: ...


S = TypeVar("S", bound=_Socket)


@dataclass(slots=True)
class Path(Generic[S]):
    """One way to the peer. A socket that the host refuses is tried again each second."""

    name: str
    opener: Callable[[], S]
    source: str
    """Where the peer's packets come from on this path."""
    sock: S | None = None
    fault: str = ""
    heard_at: Nanos = NEVER
    retry_at: Nanos = NEVER

    @property
    def deadline(self) -> Nanos:
        """When to try a refused socket again."""
        return self.retry_at if self.sock is None else FAR

    def filenos(self) -> list[int]:
        """Return the descriptor, if there is one."""
        return [] if self.sock is None else [self.sock.fileno()]

    def open(self, now: Nanos) -> None:
        """Open the socket, if it is due."""
        if self.sock is not None or now < self.retry_at:
            return
        try:
            self.sock = self.opener()
        except OSError as error:
            what = "is in use by another program" if error.errno == errno.EADDRINUSE else str(error.strerror)
            self.fault = f"{self.name}: {what}"
            self.retry_at = Nanos(now + SECOND)
        else:
            self.fault = ""

    def close(self) -> None:
        """Close the socket."""
        if self.sock is not None:
            self.sock.close()
            self.sock = None


@dataclass(slots=True)
class Advertiser:
    """One node's advertisements. The first path is the main one: without it this node cannot be master."""

    voice: Voice
    link: PeerLink
    page: mmap
    digest: bytes
    paths: tuple[Path[AdvertSocket], ...]
    counters: Counter[str] = field(default_factory=Counter)
    jitter: Histogram = field(default_factory=lambda: Histogram(JITTER_BOUNDS))
    flight: Ring = field(default_factory=Ring)
    """What was heard and said lately."""
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    drained: bool = True
    """Whether the last `receive` took all that had arrived."""
    pestered: bool = False
    """Whether it dropped something that the peer has not sent, or not now."""
    _paced_at: Nanos = NEVER
    _paced_counter: int = 0

    @property
    def deadline(self) -> Nanos:
        """When to try a refused socket again."""
        return min(path.deadline for path in self.paths)

    @property
    def fault(self) -> str:
        """Why nothing can be heard or said on the main path; empty if all is well."""
        return self.paths[0].fault

    def alive(self, patience: Nanos, now: Nanos) -> tuple[bool, ...]:
        """Return for each path whether the peer is heard on it."""
        return tuple(path.heard_at > NEVER and now - path.heard_at <= patience for path in self.paths)

    def filenos(self) -> list[int]:
        """Return the descriptors, for select."""
        return [fileno for path in self.paths for fileno in path.filenos()]

    def replace_paths(self, paths: tuple[Path[AdvertSocket], ...]) -> None:
        """Use these from now on, but keep those that are the same. What is told apart by path begins anew."""
        known = {(path.name, path.source): path for path in self.paths}
        self.paths = tuple(known.pop((path.name, path.source), path) for path in paths)
        for path in known.values():
            path.close()
        self.link.forget_paths()

    def open(self, now: Nanos) -> None:
        """Open what is closed and due."""
        for path in self.paths:
            path.open(now)

    def receive(self, now: Nanos) -> Iterator[Advert | Challenge | Dropped]:
        """Yield what matters of what has arrived: packets to believe, challenges to answer, the peer's other key."""
        self.drained, self.pestered = True, False
        for number, path in enumerate(self.paths):
            if path.sock is None:
                continue
            taken = 0
            for datagram, source in path.sock.receive(BATCH):
                taken += 1
                found = self._judge(datagram, number, now)
                bad_key = isinstance(found, Dropped) and found.reason is DropReason.BAD_KEY
                if not isinstance(found, Dropped) or (bad_key and source == path.source):
                    yield found
            self.drained = self.drained and taken < BATCH

    def _judge(self, datagram: bytes, path: int, now: Nanos) -> Advert | Challenge | Dropped:
        decoded = wire.decode(datagram, self.voice.cluster_id, self.voice.keys)
        found = self.link.judge(decoded, now, path) if isinstance(decoded, Advert) else decoded
        match found:
            case Advert():
                self.counters["received"] += 1
                self.paths[path].heard_at = now
                self.flight.note(now, _HEARD, found.role, found.priority)
                self._measure(found, now)
                self.heartbeat.heard(now, found.interval, paced=Flag.PACED in found.flags)
            case Challenge():
                self.counters[f"dropped.{DropReason.UNPROVEN}"] += 1
            case Dropped(reason):
                self.counters[f"dropped.{reason}"] += 1
                if reason is DropReason.DUPLICATE:
                    self.paths[path].heard_at = now
                else:
                    self.pestered = True
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
        """Say `word` on every path; as the answer to a challenge it goes with that echo."""
        link = self.link
        advert = Advert(
            cluster_id=self.voice.cluster_id,
            priority=word.priority,
            role=word.role,
            flags=word.flags,
            interval=word.interval,
            dead_ratio=word.dead_ratio,
            release=self.voice.release,
            sender=link.local,
            session=link.session,
            counter=link.next_counter(now),
            echo_session=challenge.session if challenge else link.peer_session,
            echo_counter=challenge.counter if challenge else link.peer_counter,
            epoch=word.epoch,
            data=word.data,
            digest=self.digest,
            transport=self.voice.transport,
        )
        # The page first: a survivor's counter must be above that of every packet that was sent.
        last = LastWord(
            link.session, advert.counter, link.peer_session, link.peer_counter, word.epoch, word.data, word.role
        )
        content = page_bytes(last)
        self.page[: len(content)] = content
        datagram = wire.encode(advert, self.voice.keys[0])
        sent = [path.sock is not None and path.sock.send(datagram) for path in self.paths]
        self.counters["sent" if any(sent) else "send_errors"] += 1
        self.flight.note(now, _SENT, word.role, word.priority)
