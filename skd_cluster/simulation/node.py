"""One simulated node: the real machine, the real session rules, the real packets; a kernel that keeps leases."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, NamedTuple, TypeAlias

from skd_cluster.core import wire
from skd_cluster.core.actions import Action, Advertise, Changed, Claim, Identity, Release, Send
from skd_cluster.core.dialect import Bid
from skd_cluster.core.election import ElectionMachine
from skd_cluster.core.model import (
    NEVER,
    SECOND,
    DataVersion,
    DropReason,
    Fault,
    FaultNote,
    IPAddress,
    Nanos,
    Reason,
    Role,
    Transport,
    nanos,
)
from skd_cluster.core.peer import Challenge, PeerLink
from skd_cluster.core.restarting import RESTART_LEASE, RESTART_WAIT
from skd_cluster.core.standard import StandardElection
from skd_cluster.core.timers import FAR
from skd_cluster.core.wire import Advert, Dropped, Flag
from skd_cluster.simulation.standards import Speaker, Spoken, machine_of

CLUSTER = 7
QUEUE = 64
"""Packets that wait for a node that does not run; more are lost."""

NO_DIGEST = bytes(32)
REFUSED = FaultNote(Fault.ADDRESS_REFUSED)


@cache
def key_of(password: str) -> bytes:
    """Return the signing key; scrypt is slow on purpose, so once a session."""
    return wire.derive_key(password.encode(), CLUSTER)


@dataclass(frozen=True, slots=True)
class Setup:
    """A node's part of the configuration."""

    interval: float = 0.2
    dead_ratio: int = 3
    priority: int = 100
    preempt: bool = False
    preempt_delay: float = 0
    probing: bool = False
    lease: float = 2
    release: tuple[int, int, int] = (3, 0, 0)
    transport: Transport = Transport.UDP
    changes_to: tuple[Transport, ...] = ()
    """What it is configured to speak later on."""
    foreign: bool = False
    """Whether it is somebody else's program, which neither says nor understands native packets."""

    def identity(self, *, lower: bool) -> Identity:
        """Return it as the machine wants it."""
        delay = nanos(self.preempt_delay)
        return Identity(nanos(self.interval), self.dead_ratio, self.priority, lower, self.preempt, delay, self.probing)


class Sealed(NamedTuple):
    """An advertisement that nobody can read or alter without the password: a datagram without the cost of signing."""

    advert: Advert
    password: str


Content: TypeAlias = bytes | Sealed | Spoken


class Packet(NamedTuple):
    """What is on its way. `forged`: nobody composed it for this moment, so it must change nothing."""

    content: Content
    forged: bool = False


def resealed(content: bytes | Sealed, password: str, **changes: Any) -> bytes | Sealed:
    """Return a packet that says something else, made by somebody who knows another password."""
    if isinstance(content, Sealed):
        return Sealed(replace(content.advert, **changes), password)
    advert = wire.decode(content, CLUSTER, (key_of("secret"),))
    return wire.encode(replace(advert, **changes), key_of(password)) if isinstance(advert, Advert) else content


@dataclass(slots=True)
class Address:
    """The floating address as this node's kernel sees it."""

    lease: Nanos
    until: Nanos = NEVER
    """It is here before this instant; NEVER: not here."""
    renew_at: Nanos = FAR

    def here(self, now: Nanos) -> bool:
        """Whether the kernel has it."""
        return now < self.until

    def claim(self, now: Nanos) -> None:
        """Add it or renew its lease."""
        self.until = Nanos(now + self.lease)
        self.renew_at = Nanos(now + self.lease // 4)

    def drop(self) -> None:
        """Remove it."""
        self.until, self.renew_at = NEVER, FAR


@dataclass(slots=True)
class Node:
    """A node and all that may happen to it. `transmit` is the wire; `note` is the history."""

    name: str
    setup: Setup
    local: IPAddress
    remote: IPAddress
    transmit: Callable[[str, Content], None]
    note: Callable[[str, str], None]
    signed: bool = True
    """Whether packets are bytes with a signature, or sealed objects: the same to the machine, and ten times faster."""
    passwords: list[str] = field(default_factory=lambda: ["secret"])
    disk_epoch: int = 0
    data: DataVersion = field(default_factory=DataVersion)
    unshared: bool = False
    """Whether the other one lacks some of its configuration."""
    faults: frozenset[FaultNote] = frozenset()
    """What is wrong with the host, whether the process runs or not."""
    witnessed: bool = True
    refuses: bool = False
    """Whether the kernel takes no floating address."""
    identity: Identity = field(init=False)
    machine: ElectionMachine = field(init=False)
    link: PeerLink = field(init=False)
    speaker: Speaker | None = field(default=None, init=False)
    address: Address = field(init=False)
    running: bool = False
    paused: bool = False
    due: Nanos = FAR
    """When the loop wants to run again."""
    queue: list[tuple[Packet, int]] = field(default_factory=list)
    queue_limit: int = QUEUE
    drops: Counter[DropReason] = field(default_factory=Counter)
    reasons: list[Reason] = field(default_factory=list)
    claims: int = 0
    runs: int = 0
    highest_epoch: int = 0
    reigned: set[int] = field(default_factory=set)
    """The epochs in which this node was master, in all its runs."""
    believed_forgery: str = ""
    ruled_at: Nanos = NEVER
    """Until when others may rely on its last word that it is master: later than that if it asked to be waited for."""
    stopped_at: Nanos = NEVER
    """When it was last frozen or killed as the holder of the address, which the kernel keeps for a lease."""
    leaving: bool = False
    """Goes away to be started anew as soon as its peer agrees."""
    left_at: Nanos = NEVER
    """When it went away for that; its address stays for a while. NEVER: it did not, or has started since."""
    lingers_until: Nanos = NEVER
    """Until when its address stayed at most after that."""
    ran: bool = False
    """Whether its loop went round since somebody looked."""

    def __post_init__(self) -> None:
        """Be what the setup says."""
        self.identity = self.setup.identity(lower=int(self.local) < int(self.remote))
        self.address = Address(nanos(self.setup.lease))

    @property
    def active(self) -> bool:
        """Whether its loop runs now."""
        return self.running and not self.paused

    @property
    def role(self) -> Role | None:
        """Its role as the world may rely on it: none while it does not run."""
        return self.machine.role if self.running and not self.paused else None

    # ---- life

    def boot(self, now: Nanos, session: bytes, *, present: bool, standby: bool) -> None:
        """Start the process: a new session, the epoch and the data from disk."""
        self.machine = machine_of(self.identity, self.setup.transport, self.local, self.disk_epoch, self.data)
        self.speaker = Speaker(self.machine) if isinstance(self.machine, StandardElection) else None
        self.machine.witnessed, self.machine.unshared = self.witnessed, self.unshared
        self.link = PeerLink(self.local, self.remote, session)
        self.running, self.paused, self.queue = True, False, []
        self.runs += 1
        self.queue_limit = QUEUE
        self.address.renew_at = FAR
        if present and not self.address.here(now):
            self.address.until = FAR  # put there by the administrator, without a lease
        resumes = self.left_at != NEVER and self.address.here(now)
        self.left_at = NEVER
        present = self.address.here(now)
        self._perform(self.machine.start(now, present=present, standby=standby, resumes=resumes), now)
        self.step(now)

    def sleep(self, now: Nanos, queue_limit: int) -> None:
        """Do not run until the next `step`; so many packets wait meanwhile."""
        self._stopped(now)
        self.paused, self.queue_limit, self.due = True, queue_limit, FAR

    def _stopped(self, now: Nanos) -> None:
        if self.active and self.address.here(now):
            self.stopped_at = now

    def halt(self, now: Nanos) -> None:
        """Be no process any more."""
        self._stopped(now)
        self.running = self.paused = self.leaving = False
        self.queue, self.due = [], FAR

    def _leave(self, now: Nanos) -> None:
        """Go away to be started anew; the kernel keeps the address for the time that takes."""
        self._perform([Send(copies=2)], now)
        self.note(self.name, "goes away, its address stays")
        self.halt(now)
        self.left_at, self.address.renew_at = now, FAR
        self.lingers_until = self.address.until = Nanos(now + RESTART_LEASE * SECOND)

    def step(self, now: Nanos, order: Callable[[ElectionMachine], list[Action]] | None = None) -> None:
        """One round of the loop, in the order of the machine's duties and of `processes.elector`."""
        machine = self.machine
        self._perform(machine.awake(now), now)
        if self.queue:
            packets, self.queue = self.queue, []
            for packet, path in packets:
                self._hear(packet, path, now)
        if order:
            self._perform(order(machine), now)
        self._check_host(now)
        self._perform(machine.on_timer(now, drained=True), now)
        if now >= self.address.renew_at:
            self._hold(now)
        self._check_host(now)
        self.due = min(machine.deadline, self.address.renew_at)
        self.ran = True
        if self.leaving and machine.may_leave(now):
            self._leave(now)

    def retune(self, now: Nanos, **changes: Any) -> None:
        """Change its settings and reload them; what does not run finds them at its start."""
        self.setup = replace(self.setup, **changes)
        self.identity = me = self.setup.identity(lower=self.identity.lower)
        self.note(self.name, f"has new settings: {changes}")
        if self.active:
            self.step(now, lambda machine: machine.retune(me, now))

    def _check_host(self, now: Nanos) -> None:
        if self.faults != self.machine.faults:
            self._perform(self.machine.set_faults(self.faults, now), now)

    # ---- ears

    def _open(self, content: bytes | Sealed) -> Advert | Dropped:
        if isinstance(content, bytes):
            return wire.decode(content, CLUSTER, tuple(key_of(word) for word in self.passwords))
        return content.advert if content.password in self.passwords else Dropped(DropReason.BAD_KEY)

    def _hear(self, packet: Packet, path: int, now: Nanos) -> None:
        if isinstance(packet.content, Spoken):
            self._hear_bid(packet.content, now)
            return
        if self.setup.foreign:
            return
        opened = self._open(packet.content)
        found = self.link.judge(opened, now, path) if isinstance(opened, Advert) else opened
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

    def _hear_bid(self, said: Spoken, now: Nanos) -> None:
        if self.speaker is None:
            return
        found = self.speaker.judge(said, self.passwords)
        if isinstance(found, Bid):
            self._perform(self.speaker.machine.on_bid(found, now), now)
            return
        self.drops[found] += 1
        if found is DropReason.BAD_KEY:
            self._perform(self.machine.on_bad_key(now), now)

    # ---- mouth and hands

    def _send(self, now: Nanos, *, paced: bool, echo: tuple[bytes, int]) -> None:
        if self.setup.foreign:
            return
        word = self.machine.word(now, paced=paced)
        advert = Advert(
            cluster_id=CLUSTER,
            priority=word.priority,
            role=word.role,
            flags=word.flags,
            interval=word.interval,
            dead_ratio=word.dead_ratio,
            release=self.setup.release,
            sender=self.local,
            session=self.link.session,
            counter=self.link.next_counter(now),
            echo_session=echo[0],
            echo_counter=echo[1],
            epoch=word.epoch,
            data=word.data,
            digest=NO_DIGEST,
            transport=self.setup.transport,
        )
        if word.role is Role.MASTER:
            restarts = Flag.RESTARTING in word.flags
            self.ruled_at = max(self.ruled_at, Nanos(now + RESTART_WAIT) if restarts else now)
        password = self.passwords[0]
        self.transmit(self.name, wire.encode(advert, key_of(password)) if self.signed else Sealed(advert, password))

    def _perform(self, actions: Iterable[Action], now: Nanos) -> None:
        for action in actions:
            match action:
                case Send(paced, copies):
                    for _ in range(copies):
                        self._send(now, paced=paced, echo=(self.link.peer_session, self.link.peer_counter))
                case Claim():
                    self.claims += 1
                    self._hold(now)
                    self.note(self.name, "claims")
                case Release():
                    self.address.drop()
                case Advertise(resigns) if self.speaker:
                    if not resigns:
                        self.ruled_at = max(self.ruled_at, now)
                    self.transmit(self.name, self.speaker.say(self.passwords[0], resigns=resigns))
                case Changed():
                    self._remember(action)
                case _:
                    pass

    def _hold(self, now: Nanos) -> None:
        """Add or renew the address; a kernel that refuses is a fault, found before the round ends."""
        if self.refuses:
            self.faults |= {REFUSED}
        else:
            self.address.claim(now)

    def _remember(self, change: Changed) -> None:
        self.disk_epoch = epoch = self.machine.epoch
        if change.new is Role.MASTER:
            self.reigned.add(epoch)
        if change.new is not change.old:
            self.reasons.append(change.reason)
        stays = change.new is change.old
        words = f"stays {change.new.name}" if stays else f"{change.old.name} -> {change.new.name}: {change.reason}"
        self.note(self.name, f"{words}, epoch {epoch}")
