"""One simulated node: the real machine, the real session rules, the real packets; a kernel that keeps leases."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from ipaddress import IPv4Address

from skd_cluster.core import wire
from skd_cluster.core.actions import Action, Changed, Claim, Identity, Release, Send
from skd_cluster.core.election import ElectionMachine
from skd_cluster.core.model import NEVER, SECOND, DataVersion, DropReason, Nanos, Role
from skd_cluster.core.peer import Challenge, PeerLink
from skd_cluster.core.timers import FAR
from skd_cluster.core.wire import Advert, Dropped

VIP_LEASE = Nanos(2 * SECOND)
CLUSTER = 7
QUEUE = 64
"""Packets that wait for a node that does not run; more are lost."""


@cache
def key_of(password: str) -> bytes:
    """Return the signing key; scrypt is slow on purpose, so once a session."""
    return wire.derive_key(password.encode(), CLUSTER)


@dataclass(frozen=True, slots=True)
class Packet:
    """A datagram on its way. `forged`: nobody composed it for this moment, so it must change nothing."""

    datagram: bytes
    forged: bool = False


@dataclass(slots=True)
class Address:
    """The floating address as this node's kernel sees it."""

    until: Nanos = NEVER
    """It is here before this instant; NEVER: not here."""
    renew_at: Nanos = FAR

    def here(self, now: Nanos) -> bool:
        """Whether the kernel has it."""
        return now < self.until

    def claim(self, now: Nanos) -> None:
        """Add it or renew its lease."""
        self.until = Nanos(now + VIP_LEASE)
        self.renew_at = Nanos(now + VIP_LEASE // 4)

    def drop(self) -> None:
        """Remove it."""
        self.until, self.renew_at = NEVER, FAR


@dataclass(slots=True)
class Node:
    """A node and all that may happen to it. `transmit` is the wire; `note` is the history."""

    name: str
    identity: Identity
    local: IPv4Address
    remote: IPv4Address
    transmit: Callable[[str, bytes], None]
    note: Callable[[str, str], None]
    passwords: list[str] = field(default_factory=lambda: ["secret"])
    disk_epoch: int = 0
    data: DataVersion = field(default_factory=DataVersion)
    machine: ElectionMachine = field(init=False)
    link: PeerLink = field(init=False)
    address: Address = field(default_factory=Address)
    running: bool = False
    paused: bool = False
    queue: list[Packet] = field(default_factory=list)
    queue_limit: int = QUEUE
    drops: Counter[DropReason] = field(default_factory=Counter)
    reasons: list[str] = field(default_factory=list)
    claims: int = 0
    runs: int = 0
    highest_epoch: int = 0
    reigned: set[int] = field(default_factory=set)
    """The epochs in which this node was master, in all its runs."""
    believed_forgery: str = ""
    overdue: bool = False
    """Whether something was due that a round of the loop has not done."""

    @property
    def active(self) -> bool:
        """Whether its loop runs now."""
        return self.running and not self.paused

    @property
    def role(self) -> Role | None:
        """Its role as the world may rely on it: none while it does not run."""
        return self.machine.role if self.active else None

    # ---- life

    def boot(self, now: Nanos, session: bytes, *, present: bool, standby: bool) -> None:
        """Start the process: a new session, the epoch and the data from disk."""
        self.machine = ElectionMachine(self.identity, self.disk_epoch, self.data)
        self.link = PeerLink(self.local, self.remote, session)
        self.running, self.paused, self.queue = True, False, []
        self.runs += 1
        self.queue_limit = QUEUE
        self.address.renew_at = FAR
        if present and not self.address.here(now):
            self.address.until = FAR  # put there by the administrator, without a lease
        self._perform(self.machine.start(now, present=self.address.here(now), standby=standby), now)
        self.step(now)

    def step(self, now: Nanos, order: Callable[[ElectionMachine], list[Action]] | None = None) -> None:
        """One round of the loop, in the order of the machine's duties."""
        self._perform(self.machine.awake(now), now)
        packets, self.queue = self.queue, []
        for packet in packets:
            self._hear(packet, now)
        if order:
            self._perform(order(self.machine), now)
        self._perform(self.machine.on_timer(now, drained=True), now)
        if now >= self.address.renew_at:
            self.address.claim(now)
        self.overdue = self.machine.deadline <= now

    @property
    def wake_at(self) -> Nanos:
        """When the loop wants to run again."""
        return min(self.machine.deadline, self.address.renew_at)

    # ---- ears

    def _hear(self, packet: Packet, now: Nanos) -> None:
        decoded = wire.decode(packet.datagram, CLUSTER, tuple(key_of(word) for word in self.passwords))
        found = self.link.judge(decoded, now) if isinstance(decoded, Advert) else decoded
        match found:
            case Advert():
                if packet.forged:
                    self.believed_forgery = f"{self.name} believed {found}"
                self._perform(self.machine.on_advert(found, now, self.link.heard_us_at), now)
            case Challenge(session, counter):
                self.drops[DropReason.UNPROVEN] += 1
                self._send(now, paced=False, echo=(session, counter))
            case Dropped(reason):
                self.drops[reason] += 1
                if reason is DropReason.BAD_KEY:
                    self._perform(self.machine.on_bad_key(now), now)

    # ---- mouth and hands

    def _send(self, now: Nanos, *, paced: bool, echo: tuple[bytes, int]) -> None:
        word = self.machine.word(now, paced=paced)
        advert = Advert(
            cluster_id=CLUSTER,
            priority=word.priority,
            role=word.role,
            flags=word.flags,
            interval=self.identity.interval,
            dead_ratio=self.identity.dead_ratio,
            release=(3, 0, 0),
            sender=self.local,
            session=self.link.session,
            counter=self.link.next_counter(now),
            echo_session=echo[0],
            echo_counter=echo[1],
            epoch=word.epoch,
            data=word.data,
            digest=bytes(32),
        )
        self.transmit(self.name, wire.encode(advert, key_of(self.passwords[0])))

    def _perform(self, actions: Iterable[Action], now: Nanos) -> None:
        for action in actions:
            match action:
                case Send(paced, copies):
                    for _ in range(copies):
                        self._send(now, paced=paced, echo=(self.link.peer_session, self.link.peer_counter))
                case Claim():
                    self.claims += 1
                    self.address.claim(now)
                    self.note(self.name, "claims")
                case Release():
                    self.address.drop()
                case Changed(old, new, reason):
                    self.disk_epoch = epoch = self.machine.epoch
                    if new is Role.MASTER:
                        self.reigned.add(epoch)
                    if new is not old:
                        self.reasons.append(reason)
                    change = f"stays {new.name}" if new is old else f"{old.name} -> {new.name}: {reason}"
                    self.note(self.name, f"{change}, epoch {epoch}")
