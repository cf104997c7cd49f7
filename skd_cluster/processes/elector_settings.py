"""What the elector is told to be, as its parts want it: at its start, and when the supervisor says it anew."""

from dataclasses import replace
from ipaddress import IPv4Address, ip_address

from skd_cluster.adapters.udp import AdvertSocket, open_multicast, open_unicast
from skd_cluster.core import messages, wire
from skd_cluster.core.actions import Identity
from skd_cluster.core.model import MILLISECOND, IPAddress, Nanos, Transport, seconds
from skd_cluster.processes.advertiser import Path, Voice
from skd_cluster.processes.elector_loop import Elector

MEASURED_BELOW = Nanos(100 * MILLISECOND)
"""Shorter intervals are only taken from a host that was measured to keep them; it costs a fifth of a second at start."""


def identity(settings: messages.Settings) -> Identity:
    """Return what the election is asked to be."""
    local, remote = ip_address(settings.local_ip), ip_address(settings.remote_ip)
    return Identity(
        interval=Nanos(settings.advert_interval),
        dead_ratio=settings.dead_ratio,
        priority=settings.priority,
        lower=int(local) < int(remote),
        preempt=settings.preempt,
        preempt_delay=Nanos(settings.preempt_delay),
        probing=settings.probing,
    )


def voice(settings: messages.Settings) -> Voice:
    """Return what all advertisements have in common."""
    keys = tuple(bytes.fromhex(key) for key in settings.keys)
    return Voice(settings.cluster_id, keys, wire.parse_release(settings.version), Transport.named(settings.transport))


def witnesses(settings: messages.Settings) -> tuple[IPAddress, ...]:
    """Return whom to ask for a sign of life."""
    return tuple(ip_address(one) for one in settings.witnesses)


def gateways(settings: messages.Settings) -> tuple[IPv4Address, ...]:
    """Return by whose answer a takeover is verified."""
    return tuple(IPv4Address(one) for one in settings.gateways)


def paths(settings: messages.Settings) -> tuple[Path[AdvertSocket], ...]:
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


def _link(local: IPAddress, remote: IPAddress, port: int) -> Path[AdvertSocket]:
    return Path(f"UDP port {port} of {local}", lambda: open_unicast(local, remote, port), str(remote))


def retune(elector: Elector, asked: messages.Settings, now: Nanos) -> None:
    """Put in force what can change while it runs; the supervisor sends nothing else that differs.

    An interval that this host was not measured to keep is not taken: measuring would stop the loop.
    """
    kept = min(elector.settings.advert_interval, MEASURED_BELOW)
    interval = max(asked.advert_interval, kept)
    if interval != asked.advert_interval:
        wanted, given = seconds(Nanos(asked.advert_interval)), seconds(Nanos(interval))
        text = f"advert_interval {wanted:g}: this host is not known to keep it; runs with {given:g}"
        elector.channel.send(messages.Note("interval_refused", text, "warning"))
    settings = replace(asked, advert_interval=interval)
    before, elector.settings = elector.settings, settings
    elector.voice.voice = voice(settings)
    if elector.voices.standard is not None:
        elector.voices.standard.retune(settings)
    if settings.links != before.links:
        elector.voice.replace_paths(paths(settings))
    elector.watcher.neighbourhood.retune(witnesses(settings), gateways(settings), now)
    keeper = elector.holder.keeper
    times = settings.vip_lease, settings.garp_count, Nanos(settings.garp_refresh)
    elector.holder.perform(keeper.retune(*times, now), now)
    elector.perform(elector.machine.retune(identity(settings), now), now)
