"""The elector's loop over packets, kernel events, orders and timers. It never waits for anybody.

No file, no name look-up, no log, no fork in here: what people may want to know goes to the supervisor, which does all
that is slow. A full channel drops the message and counts it.
"""

import select
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Any

from skd_cluster.adapters import clock
from skd_cluster.adapters.channel import Channel
from skd_cluster.core import messages
from skd_cluster.core.actions import Action, Advertise, Changed, Claim, Release, Send
from skd_cluster.core.election import ElectionMachine
from skd_cluster.core.flight import Kind
from skd_cluster.core.histogram import LATENESS_BOUNDS, Histogram
from skd_cluster.core.model import MILLISECOND, NEVER, SECOND, DataVersion, Fault, FaultNote, Nanos, Role, Vip, seconds
from skd_cluster.core.peer import Challenge
from skd_cluster.core.restarting import RESTART_LEASE
from skd_cluster.core.supervision import RESTART_IDENT
from skd_cluster.core.timers import FAR
from skd_cluster.core.wire import Advert, Dropped
from skd_cluster.processes.advertiser import Advertiser
from skd_cluster.processes.elector_report import election_report, hand_over, newsworthy, role_change
from skd_cluster.processes.holder import AddressHolder
from skd_cluster.processes.voices import Voices
from skd_cluster.processes.watcher import NeighbourWatcher

_BREATH, _BLINK = 1e-3, 50e-6
"""How long the packets of a flood gather, and how long at least: a real-time process that never sleeps is a runaway to the
kernel (RLIMIT_RTTIME)."""

_NO_SLEEP = Nanos(50_000)
"""A wait this short was none: something was there already."""

_LATE = MILLISECOND
"""Up to here select's word that nothing has arrived still holds when the timer's round begins."""

_REPORT_EVERY = SECOND

_LONE_AFTER = Nanos(5 * SECOND)
"""Silence after which the peer is known to be gone. A long lease is no hurry; a wrong one leaves two holders behind."""


@dataclass(slots=True)
class Elector:
    """The machine, its voice, its hands, and the channel to the supervisor."""

    settings: messages.Settings
    channel: Channel
    machine: ElectionMachine
    voices: Voices
    holder: AddressHolder
    watcher: NeighbourWatcher
    retune: Callable[["Elector", messages.Settings, Nanos], None]
    """Puts other settings in force."""
    realtime: bool = False
    stopping: bool = False
    _leaves_by: Nanos = FAR
    """When a restart that the peer has not agreed to becomes a stop."""
    _started_at: Nanos = NEVER
    _health: frozenset[FaultNote] = frozenset()
    _report_at: Nanos = NEVER
    _reported: tuple[Any, ...] = ()
    _garbled: int = 0
    _pressed: int = 0
    """How many times in a row something was there without waiting."""
    _known_fault: str = ""
    _lateness: Histogram = field(default_factory=lambda: Histogram(LATENESS_BOUNDS))
    _outbox: list[messages.Message] = field(default_factory=list)

    @property
    def voice(self) -> Advertiser:
        """What is said and heard natively."""
        return self.voices.native

    # ---- the loop

    def start(self) -> None:
        """Read the kernel, open the sockets, begin the election."""
        now = self._started_at = clock.monotonic()
        self.watcher.neighbourhood.start(now)
        self.holder.refresh(now)
        self.voices.open(now)
        self._check_host(now, news=True)
        asked = self.settings
        present = any(vip.address in self.holder.present for vip in self.holder.keeper.vips[: asked.clustered])
        self.perform(self.machine.start(now, present=present, standby=asked.standby, resumes=asked.resumes), now)
        self._settle(now)

    def run(self) -> None:
        """Loop until told to stop or left alone."""
        while not self.stopping:
            deadline = self.deadline
            self.step(deadline, self._wait(deadline))

    def _wait(self, deadline: Nanos) -> frozenset[int]:
        """Sleep until something is there or due; return what is there.

        Where there always is something it is a flood's, or can wait: a round for each packet of a flood would take a core.
        """
        readers = [self.channel.fileno(), self.holder.netlink.fileno(), *self.voices.filenos()]
        readers += self.watcher.sockets.filenos()
        if self.voices.pestered or self._pressed > 1:
            select.select((), (), (), max(_BLINK, min(_BREATH, _until(deadline))))
        began = clock.monotonic()
        ready = frozenset(select.select(readers, (), (), max(0.0, seconds(Nanos(deadline - began))))[0])
        self._pressed = self._pressed + 1 if ready and clock.monotonic() - began < _NO_SLEEP else 0
        return ready

    @property
    def deadline(self) -> Nanos:
        """The next instant at which something is due."""
        return min(
            self.machine.deadline,
            self.holder.keeper.deadline,
            self.watcher.neighbourhood.deadline,
            self.voices.deadline,
            self._report_at,
            self._leaves_by,
        )

    def step(self, deadline: Nanos, ready: frozenset[int]) -> None:
        """Do one round: packets first, then time, as the machine demands. Most rounds are one packet or one timer."""
        now = clock.monotonic()
        if now >= deadline:
            self._lateness.observe(seconds(Nanos(now - deadline)))
            if now - deadline > _LATE:
                self.voice.flight.note(now, Kind.LATE, now - deadline, 0)
        self.perform(self.machine.awake(now), now)
        others = ready.difference(self.voices.filenos())
        if len(others) < len(ready) or now - deadline > _LATE or now >= self.machine.judge_at:
            self._hear(now)
        if others:
            self.holder.follow(now)
            self._obey(now)
        if others or now >= self.watcher.neighbourhood.deadline:
            self._watch(now)
        self.voices.open(now)
        self._check_host(now, news=bool(others))
        self.perform(self.machine.on_timer(now, drained=self.voices.drained), now)
        self.holder.perform(self.holder.keeper.on_timer(now), now)
        self._check_host(now)  # again: an address may just have been refused
        self._settle(now)
        if self._leaves_by != FAR:
            self._try_to_leave(now)

    def _watch(self, now: Nanos) -> None:
        """Look at the neighbourhood: who answers, and who claims what is ours."""
        link = self.holder.links.get(self.settings.interface)
        mac = link.mac if link is not None else b""
        if link is not None:
            self.watcher.sockets.attach(link.name, link.index)
            self.voices.attach(link.index)
        held = self.holder.keeper.held if self.machine.role is Role.MASTER else ()
        for address in self.watcher.follow(held, mac, now):
            self.holder.claimed_by_another(address, now)
        self.watcher.on_timer(mac, now)
        self.machine.witnessed = self.watcher.neighbourhood.witnessed(now)

    def stop(self) -> None:
        """Leave: addresses first, then the word to the peer."""
        now = clock.monotonic()
        self.perform(self.machine.stop(now), now)
        self._report(now)
        hand_over(self.voice.flight, self.channel)
        self.stopping = True

    def _try_to_leave(self, now: Nanos) -> None:
        """Leave for a restart with the addresses in place, as soon as the peer waits; resign if it does not in time."""
        if self.machine.may_leave(now):
            self.perform([Send(copies=2)], now)  # the peer counts from the last word
            self.holder.perform(self.holder.keeper.leave(RESTART_LEASE), now)
            self.channel.send(messages.CommandResult(RESTART_IDENT, accepted=True))
            hand_over(self.voice.flight, self.channel)
            self.stopping = True
        elif now >= self._leaves_by or self.machine.role is not Role.MASTER:
            self.channel.send(messages.CommandResult(RESTART_IDENT, False, "the peer did not agree to wait"))
            self.stop()

    def _settle(self, now: Nanos) -> None:
        """Adjust the lease to whether somebody could take over, and tell the supervisor what is new."""
        peer = self.machine.peer
        silent = now - max(peer.heard_at, self._started_at) > _LONE_AFTER and not self.voices.beside_silence
        lone = silent or (peer.last is not None and peer.last.role is Role.STANDBY)
        self.holder.perform(self.holder.keeper.set_lone(lone, now), now)
        state = (*newsworthy(self.machine, self.voice, self.holder, self.watcher, now), lone)
        if now >= self._report_at or state != self._reported:
            self._reported = state
            self._report(now)
        for note in (*self.holder.notes, *self.voices.notes()):
            self.channel.send(note)
        self.holder.notes.clear()
        if self.voice.flight.waiting:
            self.channel.send(messages.Flight([list(row) for row in self.voice.flight.piece()]))

    def _hear(self, now: Nanos) -> None:
        for heard in self.voice.receive(now):
            match heard:
                case Advert():
                    self.perform(self.machine.on_advert(heard, now, self.voice.link.heard_us_at), now)
                case Challenge():
                    self.voice.send(self.machine.word(now, paced=False), now, heard)
                case Dropped():
                    self.perform(self.machine.on_bad_key(now), now)
        if self.voices.standard is not None:
            self.perform(self.voices.standard.hear(now), now)

    # ---- effects

    def perform(self, actions: Iterable[Action], now: Nanos) -> None:
        """Do what the machine wants, in its order. Telling the supervisor comes last: the link is waiting."""
        for action in actions:
            match action:
                case Send(paced, copies):
                    for _ in range(copies):
                        self.voice.send(self.machine.word(now, paced=paced), now)
                case Advertise(resigns):
                    if self.voices.standard is not None:
                        self.voices.standard.send(now, resigns=resigns)
                case Claim():
                    self.holder.perform(self.holder.keeper.claim(now), now)
                    self.watcher.neighbourhood.claimed((vip.address for vip in self.holder.keeper.vips), now)
                case Release():
                    self.holder.perform(self.holder.keeper.release(), now)
                    self.watcher.neighbourhood.released()
                case Changed():
                    self._outbox.append(role_change(action, self.machine.epoch, now, clock.monotonic()))
        for message in self._outbox:
            self.channel.send(message)
            self.voice.flight.freeze()
        self._outbox.clear()

    def _check_host(self, now: Nanos, *, news: bool = False) -> None:
        """Tell the machine what is wrong with links, addresses, the socket, and what health checks found."""
        if not (news or self.holder.troubled or self.voices.fault != self._known_fault):
            return
        self._known_fault = self.voices.fault
        watched = dict.fromkeys((self.settings.interface, *self.settings.track_interfaces))
        found = {*self._health, *self.holder.faults(watched, self.voice.link.local, now)}
        if self.voices.fault:
            found.add(FaultNote(Fault.SOCKET, self.voices.fault))
        self.perform(self.machine.set_faults(frozenset(found), now), now)

    # ---- the supervisor

    def _obey(self, now: Nanos) -> None:
        """Do what the supervisor says; without it this node must not go on."""
        for message in self.channel.receive():
            match message:
                case messages.Command():
                    self._command(message, now)
                case messages.Settings():
                    self.retune(self, message, now)
                case messages.Floating(vips):
                    self.holder.perform(self.holder.keeper.set_vips(floating_vips(vips)), now)
                case messages.Health(failing):
                    self._health = frozenset(FaultNote(Fault.CHECK, ": ".join(one)) for one in failing)
                case messages.Data(epoch, generation, digest, unshared):
                    self.machine.data, self.machine.unshared = DataVersion(epoch, generation), unshared
                    self.voice.digest = digest_bytes(digest)
                case _:
                    self._garbled += 1
        if self.channel.closed and not self.stopping:
            self.stop()

    def _command(self, command: messages.Command, now: Nanos) -> None:
        refusal = ""
        match command.verb:
            case "failover":
                refusal, actions = self.machine.failover(now, force=command.force)
                self.perform(actions, now)
            case "standby":
                self.perform(self.machine.standby(now), now)
            case "online":
                self.perform(self.machine.online(now, force=command.force), now)
            case "stop":
                self.stop()
            case "restart":
                asked = self.machine.restart(now)
                self.perform(asked, now)
                patience = min(max(3 * self.machine.me.interval, SECOND // 10), SECOND) if asked else NEVER
                self._leaves_by = Nanos(now + patience)
                return
            case other:
                refusal = f"unknown command {other}"
        self.channel.send(messages.CommandResult(command.ident, not refusal, refusal))

    def _report(self, now: Nanos) -> None:
        self._report_at = Nanos(now + _REPORT_EVERY)
        found = election_report(self.machine, self.voice, self.holder, self.watcher, now)
        found.counters["channel_dropped"] = self.channel.dropped
        found.counters["channel_garbled"] = self.channel.garbled + self._garbled
        lateness = {"counts": self._lateness.counts, "total": self._lateness.total}
        self.channel.send(replace(found, lateness=lateness, realtime=self.realtime))


def floating_vips(rows: list[list[Any]]) -> tuple[Vip, ...]:
    """Return what `Settings.vips` and `Floating.vips` hold."""
    return tuple(Vip(ip_address(address), prefix, interface, label) for address, prefix, interface, label in rows)


def digest_bytes(hexadecimal: str) -> bytes:
    """Return a tree's digest as it goes into packets; zeros for none."""
    return bytes.fromhex(hexadecimal).ljust(32, b"\0")[:32]


def _until(deadline: Nanos) -> float:
    return max(0.0, seconds(Nanos(deadline - clock.monotonic())))
