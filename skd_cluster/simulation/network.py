"""Virtual time, and the cables between two nodes with everything that may happen to a packet."""

import heapq
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any

from skd_cluster.core.model import MILLISECOND, NEVER, SECOND, Nanos, nanos, seconds
from skd_cluster.simulation.node import Content, Packet, Sealed, resealed
from skd_cluster.simulation.standards import Spoken

FLIGHT = MILLISECOND
BEGIN = Nanos(1000 * SECOND)
OTHER = {"a": "b", "b": "a"}
WAYS = {"a": "a->b", "b": "b->a"}
TAPE = 4000
"""Packets the eavesdropper keeps of each direction."""


class Cable:
    """One path between the nodes. Everything here is symmetric but `severed`."""

    def __init__(self) -> None:
        """Be new: a millisecond from end to end, no faults."""
        self.delay = (FLIGHT, FLIGHT)
        self.heal(BEGIN)

    def heal(self, now: Nanos) -> None:
        """Undo every fault but the delay, which is the cable's nature."""
        self.severed: set[str] = set()
        self.lost = self.doubled = self.damaged = 0.0
        self.clean_since = now
        """Since when every packet arrives unharmed; NEVER while one may not."""


class Network(ABC):
    """The verbs of the wire, and of time. `paths` cables: each packet goes over all of them."""

    def __init__(self, *, seed: int, paths: int, tape: int) -> None:
        """Begin at a time that is not zero; all chance comes from the seed."""
        self.now = BEGIN
        self.random = Random(seed)  # noqa: S311 -- chance that can be repeated, not a secret
        self.cables = tuple(Cable() for _ in range(paths))
        self.clean_since = BEGIN
        """Since when there was a path on which every packet arrives unharmed; NEVER while there is none."""
        self.slowest = FLIGHT
        """The slowest flight there ever was."""
        self.history: list[str] = []
        self.tape: dict[str, deque[bytes | Sealed]] = {name: deque(maxlen=tape) for name in OTHER}
        """What each node has heard, for replays."""
        self._events: list[tuple[Nanos, int, Callable[..., object], tuple[Any, ...]]] = []
        self._ties = 0
        self._calmed = 0

    @property
    def wire(self) -> Cable:
        """The first cable, for stories with only one."""
        return self.cables[0]

    def at(self, moment: Nanos, event: Callable[..., object], *details: object) -> None:
        """Have something happen later."""
        self._ties += 1
        heapq.heappush(self._events, (moment, self._ties, event, details))

    def calm(self) -> None:
        """Let nothing of what was begun happen any more: no flap, that is; packets fly on."""
        self._calmed += 1

    def note(self, who: str, what: str) -> None:
        """Write a line of history."""
        self.history.append(f"{seconds(Nanos(self.now - BEGIN)):.6f} {who} {what}")

    # ---- verbs; `path` is the number of a cable, None means all

    def lose(self, share: float, path: float | None = None) -> None:
        """Lose a share of the packets."""
        for cable in self._disturb(f"loses {share:g}", path):
            cable.lost = share

    def delay(self, least: float, most: float, path: float | None = None) -> None:
        """Hold each packet for some time of its own, so that they overtake each other."""
        for cable in self._chosen(f"delays {least:g} to {most:g} s", path):
            cable.delay = (nanos(least), nanos(most))
        self.slowest = max(self.slowest, nanos(most))

    def duplicate(self, share: float, path: float | None = None) -> None:
        """Deliver a share of the packets twice."""
        for cable in self._chosen(f"doubles {share:g}", path):
            cable.doubled = share

    def corrupt(self, share: float, path: float | None = None) -> None:
        """Flip a bit in a share of the packets."""
        for cable in self._disturb(f"damages {share:g}", path):
            cable.damaged = share

    def cut(self, one_way: str = "", path: float | None = None) -> None:
        """Cut, or with `one_way="a->b"` only the packets from a to b."""
        for cable in self._disturb(f"is cut {one_way}".strip(), path):
            cable.severed |= {one_way} if one_way else set(WAYS.values())

    def heal(self, path: float | None = None) -> None:
        """Repair."""
        for cable in self._chosen("heals", path):
            cable.heal(self.now)
        self._judge_cables()

    def replay(
        self, name: str, recording: list[bytes | Sealed] | None = None, *, count: int = 50, rate: float = 2000
    ) -> None:
        """Play recorded packets to a node: what it has heard before, or a given recording."""
        if recording is None:
            taped = self.tape[name]
            recording = [self.random.choice(taped) for _ in range(count if taped else 0)]
        for number, content in enumerate(recording):
            self.at(Nanos(self.now + nanos(number / rate)), self.deliver, name, Packet(content, forged=True), 0)

    def spoof(self, name: str, count: int = 5) -> None:
        """Speak to a node from its peer's address, with another key."""
        for content in list(self.tape[name])[-1:] * count:
            forged = resealed(content, "other", counter=1 << 40, priority=0)
            self.at(self.now, self.deliver, name, Packet(forged, forged=True), 0)

    # ---- packets

    def transmit(self, source: str, content: Content) -> None:
        """Send over every path; a standard knows only the first one."""
        for path, cable in enumerate(self.cables[:1] if isinstance(content, Spoken) else self.cables):
            if cable.severed and WAYS[source] in cable.severed:
                continue
            for _ in range(1 + bool(cable.doubled and self.random.random() < cable.doubled)):
                if cable.lost and self.random.random() < cable.lost:
                    continue
                damaged = cable.damaged and self.random.random() < cable.damaged
                packet = Packet(self._damage(content), forged=True) if damaged else Packet(content)
                least, most = cable.delay
                flight = least if least == most else self.random.randint(least, most)
                self.at(Nanos(self.now + flight), self.deliver, OTHER[source], packet, path)

    def record(self, name: str, packet: Packet) -> None:
        """Keep what arrives at a node; a standard's is worth something to who plays it again, so not in every history."""
        if not packet.forged and not isinstance(packet.content, Spoken):
            self.tape[name].append(packet.content)

    @abstractmethod
    def deliver(self, name: str, packet: Packet, path: int) -> None:
        """Put a packet into a node's queue."""

    def _damage(self, content: Content) -> Content:
        if isinstance(content, Spoken):
            return content._replace(damaged=True)
        if isinstance(content, Sealed):
            return Sealed(content.advert, "no seal that anybody has")
        bit = self.random.randrange(8 * len(content))
        return (int.from_bytes(content) ^ (1 << bit)).to_bytes(len(content))

    def _chosen(self, what: str, path: float | None) -> tuple[Cable, ...]:
        self.note("wire" if path is None else f"path {int(path)}", what)
        return self.cables if path is None else (self.cables[int(path)],)

    def _disturb(self, what: str, path: float | None) -> tuple[Cable, ...]:
        chosen = self._chosen(what, path)
        for cable in chosen:
            cable.clean_since = NEVER
        self._judge_cables()
        return chosen

    def _judge_cables(self) -> None:
        self.clean_since = min((cable.clean_since for cable in self.cables if cable.clean_since), default=NEVER)
