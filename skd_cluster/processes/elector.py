"""skd-elector: one loop over packets, kernel events, orders and timers. It never waits for anybody.

No file, no name look-up, no log, no fork in here: what people may want to know goes to the supervisor, which does all
that is slow. A full channel drops the message and counts it.
"""

import argparse
import os
import secrets
import select
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, ip_address
from typing import Any

from skd_cluster.adapters import clock
from skd_cluster.adapters.channel import Channel, inherited
from skd_cluster.adapters.neighbours import open_neighbours
from skd_cluster.adapters.netlink import open_netlink
from skd_cluster.adapters.page import map_page
from skd_cluster.adapters.rawlink import open_raw_link
from skd_cluster.adapters.realtime import become_realtime, freeze_collector, measure_lateness
from skd_cluster.adapters.udp import open_multicast, open_unicast
from skd_cluster.core import messages, wire
from skd_cluster.core.actions import Action, Changed, Claim, Identity, Release, Send
from skd_cluster.core.addresses import AddressKeeper
from skd_cluster.core.election import ElectionMachine
from skd_cluster.core.histogram import LATENESS_BOUNDS, Histogram
from skd_cluster.core.model import (
    MILLISECOND,
    NEVER,
    SECOND,
    DataVersion,
    Fault,
    FaultNote,
    IPAddress,
    Nanos,
    Role,
    Vip,
    seconds,
)
from skd_cluster.core.neighbours import Neighbourhood
from skd_cluster.core.peer import Challenge, PeerLink
from skd_cluster.core.timers import keepable
from skd_cluster.core.wire import Advert, Dropped
from skd_cluster.processes.advertiser import Advertiser, Path, Voice
from skd_cluster.processes.holder import AddressHolder
from skd_cluster.processes.watcher import NeighbourWatcher

_BREATH = 1e-3
"""Pause after a round under a flood: one for each of its packets takes a core from 8,000 a second on, and RLIMIT_RTTIME."""

_REPORT_EVERY = SECOND

_MEASURED_BELOW = Nanos(100 * MILLISECOND)
"""Shorter intervals are only taken from a host that was measured to keep them; it costs a fifth of a second at start."""

_LONE_AFTER = Nanos(5 * SECOND)
"""Silence after which the peer is known to be gone. A long lease is no hurry; a wrong one leaves two holders behind."""


@dataclass(slots=True)
class Elector:
    """The machine, its voice, its hands, and the channel to the supervisor."""

    settings: messages.Settings
    channel: Channel
    machine: ElectionMachine
    voice: Advertiser
    holder: AddressHolder
    watcher: NeighbourWatcher
    realtime: bool = False
    stopping: bool = False
    _started_at: Nanos = NEVER
    _health: frozenset[FaultNote] = frozenset()
    _report_at: Nanos = NEVER
    _reported: tuple[Any, ...] = ()
    _garbled: int = 0
    _lateness: Histogram = field(default_factory=lambda: Histogram(LATENESS_BOUNDS))
    _outbox: list[messages.Message] = field(default_factory=list)

    # ---- the loop

    def start(self) -> None:
        """Read the kernel, open the socket, begin the election."""
        now = self._started_at = clock.monotonic()
        self.watcher.neighbourhood.start(now)
        self.holder.refresh(now)
        self.voice.open(now)
        clustered = self.holder.keeper.vips[: self.settings.clustered]
        present = any(vip.address in self.holder.present for vip in clustered)
        self._perform(self.machine.start(now, present=present, standby=self.settings.standby), now)
        self._settle(now)

    def run(self) -> None:
        """Loop until told to stop or left alone."""
        while not self.stopping:
            deadline = self.deadline
            wait = max(0.0, seconds(Nanos(deadline - clock.monotonic())))
            readers = (self.channel.fileno(), self.holder.netlink.fileno(), *self.voice.filenos())
            select.select((*readers, *self.watcher.sockets.filenos()), (), (), wait)
            self.step(deadline)

    @property
    def deadline(self) -> Nanos:
        """The next instant at which something is due."""
        return min(
            self.machine.deadline,
            self.holder.keeper.deadline,
            self.watcher.neighbourhood.deadline,
            self.voice.deadline,
            self._report_at,
        )

    def step(self, deadline: Nanos) -> None:
        """Do one round: packets first, then time, as the machine demands."""
        now = clock.monotonic()
        if now >= deadline:
            self._lateness.observe(seconds(Nanos(now - deadline)))
        self._perform(self.machine.awake(now), now)
        self._hear(now)
        self.holder.follow(now)
        self._watch(now)
        self._obey(now)
        self.voice.open(now)
        self._check_host(now)
        self._perform(self.machine.on_timer(now, drained=self.voice.drained), now)
        self.holder.perform(self.holder.keeper.on_timer(now), now)
        self._check_host(now)  # again: an address may just have been refused
        self._settle(now)
        if self.voice.pestered or not self.voice.drained:
            select.select((), (), (), _BREATH)

    def _watch(self, now: Nanos) -> None:
        """Look at the neighbourhood: who answers, and who claims what is ours."""
        link = self.holder.links.get(self.settings.interface)
        mac = link.mac if link is not None else b""
        if link is not None:
            self.watcher.sockets.attach(link.name, link.index)
        held = self.holder.keeper.held if self.machine.role is Role.MASTER else ()
        for address in self.watcher.follow(held, mac, now):
            self.holder.claimed_by_another(address, now)
        self.watcher.on_timer(mac, now)
        self.machine.witnessed = self.watcher.neighbourhood.witnessed(now)

    def stop(self) -> None:
        """Leave: addresses first, then the word to the peer."""
        now = clock.monotonic()
        self._perform(self.machine.stop(now), now)
        self._report(now)
        self.stopping = True

    def _settle(self, now: Nanos) -> None:
        """Adjust the lease to whether somebody could take over, and tell the supervisor what is new."""
        peer = self.machine.peer
        silent = now - max(peer.heard_at, self._started_at) > _LONE_AFTER
        lone = silent or (peer.last is not None and peer.last.role is Role.STANDBY)
        self.holder.perform(self.holder.keeper.set_lone(lone, now), now)
        theirs = (peer.last.role, peer.last.data, peer.last.digest) if peer.last is not None else None
        state = (
            self.machine.role,
            self.machine.epoch,
            self.machine.all_faults(),
            lone,
            peer.hears_us(now),
            theirs,
            self.machine.witnessed,
            self.watcher.neighbourhood.confirmed_after,
            self.voice.alive(peer.patience, now),
        )
        if now >= self._report_at or state != self._reported:
            self._reported = state
            self._report(now)
        for note in self.holder.notes:
            self.channel.send(note)
        self.holder.notes.clear()

    def _hear(self, now: Nanos) -> None:
        for heard in self.voice.receive(now):
            match heard:
                case Advert():
                    self._perform(self.machine.on_advert(heard, now, self.voice.link.heard_us_at), now)
                case Challenge():
                    self.voice.send(self.machine.word(now, paced=False), now, heard)
                case Dropped():
                    self._perform(self.machine.on_bad_key(now), now)

    # ---- effects

    def _perform(self, actions: Iterable[Action], now: Nanos) -> None:
        """Do what the machine wants, in its order. Telling the supervisor comes last: the link is waiting."""
        for action in actions:
            match action:
                case Send(paced, copies):
                    for _ in range(copies):
                        self.voice.send(self.machine.word(now, paced=paced), now)
                case Claim():
                    self.holder.perform(self.holder.keeper.claim(now), now)
                    self.watcher.neighbourhood.claimed((vip.address for vip in self.holder.keeper.vips), now)
                case Release():
                    self.holder.perform(self.holder.keeper.release(), now)
                    self.watcher.neighbourhood.released()
                case Changed():
                    self._outbox.append(self._role_change(action, now))
        for message in self._outbox:
            self.channel.send(message)
        self._outbox.clear()

    def _role_change(self, change: Changed, now: Nanos) -> messages.RoleChange:
        took = clock.monotonic() - now if change.new is Role.MASTER else 0
        return messages.RoleChange(
            now, change.old, change.new, change.reason, self.machine.epoch, change.detail, change.silent, took
        )

    def _check_host(self, now: Nanos) -> None:
        """Tell the machine what is wrong with links, addresses, the socket, and what health checks found."""
        watched = dict.fromkeys((self.settings.interface, *self.settings.track_interfaces))
        found = {*self._health, *self.holder.faults(watched, self.voice.link.local, now)}
        if self.voice.fault:
            found.add(FaultNote(Fault.SOCKET, self.voice.fault))
        self._perform(self.machine.set_faults(frozenset(found), now), now)

    # ---- the supervisor

    def _obey(self, now: Nanos) -> None:
        """Do what the supervisor says; without it this node must not go on."""
        for message in self.channel.receive():
            match message:
                case messages.Command():
                    self._command(message, now)
                case messages.Floating(vips):
                    self.holder.perform(self.holder.keeper.set_vips(_vips(vips)), now)
                case messages.Health(failing):
                    self._health = frozenset(FaultNote(Fault.CHECK, ": ".join(one)) for one in failing)
                case messages.Data(epoch, generation, digest):
                    self.machine.data = DataVersion(epoch, generation)
                    self.voice.digest = _digest(digest)
                case _:
                    self._garbled += 1
        if self.channel.closed and not self.stopping:
            self.stop()

    def _command(self, command: messages.Command, now: Nanos) -> None:
        refusal = ""
        match command.verb:
            case "failover":
                refusal, actions = self.machine.failover(now, force=command.force)
                self._perform(actions, now)
            case "standby":
                self._perform(self.machine.standby(now), now)
            case "online":
                self._perform(self.machine.online(now, force=command.force), now)
            case "stop":
                self.stop()
            case _:
                refusal = f"unknown command {command.verb}"
        self.channel.send(messages.CommandResult(command.ident, not refusal, refusal))

    def _report(self, now: Nanos) -> None:
        self._report_at = Nanos(now + _REPORT_EVERY)
        counters = dict(self.voice.counters)
        counters["lease_renewals"] = self.holder.renewals
        counters["foreign_arp"] = self.watcher.neighbourhood.foreign
        counters["foreign_addresses"] = self.holder.foreign
        counters["channel_dropped"] = self.channel.dropped
        counters["channel_garbled"] = self.channel.garbled + self._garbled
        held = self.holder.keeper.held
        self.channel.send(
            messages.ElectorReport(
                at=now,
                role=self.machine.role,
                since=self.machine.since,
                reason=self.machine.reason,
                detail=self._detail(),
                epoch=self.machine.epoch,
                faults=[[note.fault, note.detail] for note in sorted(self.machine.all_faults())],
                peer=self._peer(now),
                addresses=[
                    {"address": str(vip.address), "interface": vip.interface, "held": vip.address in held}
                    for vip in self.holder.keeper.vips
                ],
                counters=counters,
                jitter={"counts": self.voice.jitter.counts, "total": self.voice.jitter.total},
                lateness={"counts": self._lateness.counts, "total": self._lateness.total},
                realtime=self.realtime,
                confirmed=self.watcher.neighbourhood.confirmed_after,
                links=self._links(now),
            )
        )

    def _links(self, now: Nanos) -> list[dict[str, Any]]:
        alive = self.voice.alive(self.machine.peer.patience, now)
        return [
            {"name": path.name, "alive": heard, "fault": path.fault}
            for path, heard in zip(self.voice.paths, alive, strict=True)
        ]

    def _detail(self) -> str:
        if self.machine.witnessed or self.machine.role is Role.MASTER:
            return ""
        return "no witness answers: without one this node does not take over by itself"

    def _peer(self, now: Nanos) -> dict[str, Any]:
        peer = self.machine.peer
        known: dict[str, Any] = {
            "address": self.settings.remote_ip,
            "alive": peer.alive(now),
            "hears_us": peer.hears_us(now),
            "heard_at": peer.heard_at,
        }
        if peer.last is not None:
            known |= {
                "role": peer.last.role,
                "epoch": peer.last.epoch,
                "data_epoch": peer.last.data.epoch,
                "generation": peer.last.data.generation,
                "digest": peer.last.digest.hex(),
                "version": ".".join(str(part) for part in peer.last.release),
            }
        return known


def _vips(raw: list[list[Any]]) -> tuple[Vip, ...]:
    return tuple(Vip(ip_address(address), prefix, interface, label) for address, prefix, interface, label in raw)


def _digest(hexadecimal: str) -> bytes:
    return bytes.fromhex(hexadecimal).ljust(32, b"\0")[:32]


def build(settings: messages.Settings, channel: Channel) -> Elector:
    """Put an elector together. Raises OSError where the host refuses sockets that nothing works without."""
    local, remote = ip_address(settings.local_ip), ip_address(settings.remote_ip)
    interval = Nanos(settings.advert_interval)
    identity = Identity(
        interval=interval,
        dead_ratio=settings.dead_ratio,
        priority=settings.priority,
        lower=int(local) < int(remote),
        preempt=settings.preempt,
        preempt_delay=Nanos(settings.preempt_delay),
        probing=settings.probing,
    )
    voice = Voice(
        cluster_id=settings.cluster_id,
        keys=tuple(bytes.fromhex(key) for key in settings.keys),
        interval=interval,
        dead_ratio=settings.dead_ratio,
        release=wire.parse_release(settings.version),
    )
    keeper = AddressKeeper(_vips(settings.vips), settings.vip_lease, settings.garp_count, Nanos(settings.garp_refresh))
    link = PeerLink(local, remote, secrets.token_bytes(wire.SESSION_SIZE))
    data = DataVersion(settings.data_epoch, settings.generation)
    return Elector(
        settings=settings,
        channel=channel,
        machine=ElectionMachine(identity, settings.epoch, data),
        voice=Advertiser(voice, link, map_page(settings.page), _digest(settings.digest), _paths(settings)),
        holder=AddressHolder(keeper, open_netlink(), open_raw_link()),
        watcher=NeighbourWatcher(
            Neighbourhood(
                tuple(ip_address(one) for one in settings.witnesses),
                tuple(IPv4Address(one) for one in settings.gateways),
            ),
            open_neighbours(os.getpid() & 0xFFFF),
            local,
        ),
    )


def _paths(settings: messages.Settings) -> tuple[Path, ...]:
    """Return the ways to the peer, the main one first."""
    port = settings.port
    local, remote = ip_address(settings.local_ip), ip_address(settings.remote_ip)
    name = f"UDP port {port} of {local}"
    if settings.group:
        group, interface = ip_address(settings.group), settings.interface
        main = Path(name, lambda: open_multicast(local, group, port, interface), settings.remote_ip)
    else:
        main = Path(name, lambda: open_unicast(local, remote, port), settings.remote_ip)
    return (main, *(_link(ip_address(ours), ip_address(theirs), port) for ours, theirs in settings.links))


def _link(local: IPAddress, remote: IPAddress, port: int) -> Path:
    return Path(f"UDP port {port} of {local}", lambda: open_unicast(local, remote, port), str(remote))


def _first_settings(channel: Channel) -> messages.Settings | None:
    while not channel.closed:
        select.select((channel,), (), ())
        for message in channel.receive():
            if isinstance(message, messages.Settings):
                return message
    return None


def _keepable(settings: messages.Settings, channel: Channel) -> messages.Settings:
    """Raise an interval that this host was measured not to keep: a master that is always late would be taken for dead."""
    if settings.advert_interval >= _MEASURED_BELOW:
        return settings
    interval, late = keepable(Nanos(settings.advert_interval), measure_lateness())
    if interval == settings.advert_interval:
        return settings
    text = (
        f"advert_interval {seconds(Nanos(settings.advert_interval)):g} is refused: this host wakes up "
        f"{late / MILLISECOND:.1f} ms late (p99 of 200); runs with {seconds(interval):g}"
    )
    channel.send(messages.Note("interval_refused", text, "warning"))
    return replace(settings, advert_interval=interval)


def main() -> int:
    """Run as `skd-elector --channel FD`, started by the supervisor only."""
    parser = argparse.ArgumentParser(prog="skd-elector", description="The election of skd-cluster; started by it.")
    parser.add_argument("--channel", type=int, required=True, help="descriptor of the socket to the supervisor")
    channel = inherited(parser.parse_args().channel)
    settings = _first_settings(channel)
    if settings is None:
        return os.EX_UNAVAILABLE
    refused = become_realtime()
    settings = _keepable(settings, channel)
    try:
        elector = build(settings, channel)
    except OSError as error:
        channel.send(messages.Note("elector_refused", f"the host refuses what the elector needs: {error}", "err"))
        return os.EX_OSERR
    if refused:
        channel.send(messages.Note("realtime_refused", f"works without {refused}: later under load", "warning"))
    elector.realtime = "scheduling" not in refused
    freeze_collector()
    elector.start()
    elector.run()
    return os.EX_OK


if __name__ == "__main__":
    raise SystemExit(main())
