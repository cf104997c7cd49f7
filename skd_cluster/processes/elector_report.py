"""The elector's report: all it knows, once a second and after each change, for status, metrics and the journal."""

from typing import Any

from skd_cluster.adapters.channel import Channel
from skd_cluster.core import messages
from skd_cluster.core.actions import Changed
from skd_cluster.core.election import ElectionMachine
from skd_cluster.core.flight import Ring
from skd_cluster.core.model import NEVER, Nanos, Role, Transport
from skd_cluster.core.standard import StandardElection
from skd_cluster.processes.advertiser import Advertiser
from skd_cluster.processes.holder import AddressHolder
from skd_cluster.processes.watcher import NeighbourWatcher


def election_report(
    machine: ElectionMachine, voice: Advertiser, holder: AddressHolder, watcher: NeighbourWatcher, now: Nanos
) -> messages.ElectorReport:
    """Return the report, but for what the loop itself knows: its lateness, its scheduling, its channel."""
    counters = dict(voice.counters)
    counters["lost"] = voice.link.lost
    counters["lease_renewals"] = holder.renewals
    counters["foreign_arp"] = watcher.neighbourhood.foreign
    counters["foreign_addresses"] = holder.foreign
    alive = voice.alive(machine.peer.patience, now)
    standard = machine if isinstance(machine, StandardElection) and machine.standard else None
    return messages.ElectorReport(
        at=now,
        role=machine.role,
        since=machine.since,
        reason=machine.reason,
        detail=_detail(machine),
        epoch=machine.epoch,
        faults=[[note.fault, note.detail] for note in sorted(machine.all_faults())],
        peer={"address": str(voice.link.remote), "heartbeat": _heartbeat(voice, now), **_peer(machine, now)},
        addresses=[
            {"address": str(vip.address), "interface": vip.interface, "held": vip.address in holder.keeper.held}
            for vip in holder.keeper.vips
        ],
        counters=counters,
        jitter={"counts": voice.jitter.counts, "total": voice.jitter.total},
        lateness={"counts": [], "total": 0.0},
        realtime=False,
        confirmed=watcher.neighbourhood.confirmed_after,
        transport=voice.voice.transport.word,
        speaks=standard.dialect.transport.word if standard is not None else Transport.UDP.word,
        links=[
            {"name": path.name, "alive": heard, "fault": path.fault}
            for path, heard in zip(voice.paths, alive, strict=True)
        ],
    )


def newsworthy(
    machine: ElectionMachine, voice: Advertiser, holder: AddressHolder, watcher: NeighbourWatcher, now: Nanos
) -> tuple[Any, ...]:
    """Return what is reported as soon as it differs."""
    peer = machine.peer
    theirs = (peer.last.role, peer.last.data, peer.last.digest) if peer.last is not None else None
    return (
        machine.role,
        machine.epoch,
        machine.all_faults(),
        peer.hears_us(now),
        theirs,
        machine.witnessed,
        frozenset(holder.keeper.held),
        watcher.neighbourhood.confirmed_after,
        voice.alive(peer.patience, now),
    )


def role_change(change: Changed, epoch: int, now: Nanos, done: Nanos) -> messages.RoleChange:
    """Return what the supervisor is told of a change that was decided `now` and performed until `done`."""
    took = done - now if change.new is Role.MASTER else NEVER
    return messages.RoleChange(now, change.old, change.new, change.reason, epoch, change.detail, change.silent, took)


def hand_over(flight: Ring, channel: Channel) -> None:
    """Tell the supervisor all of the last moments at once: the elector leaves."""
    flight.freeze()
    while flight.waiting:
        channel.send(messages.Flight([list(row) for row in flight.piece()]))


def _detail(machine: ElectionMachine) -> str:
    if machine.witnessed or machine.role is Role.MASTER:
        return ""
    return "no witness answers: without one this node does not take over by itself"


def _heartbeat(voice: Advertiser, now: Nanos) -> dict[str, Any]:
    return {"interval": voice.heartbeat.interval, "beats": voice.heartbeat.beats(now)}


def _peer(machine: ElectionMachine, now: Nanos) -> dict[str, Any]:
    peer = machine.peer
    heard_at = peer.heard_at
    if isinstance(machine, StandardElection) and not peer.alive(now):
        heard_at = max(heard_at, machine.heard_at)
        if machine.follows(now):
            return {"alive": True, "hears_us": False, "heard_at": heard_at, "role": Role.MASTER, "native": False}
    known: dict[str, Any] = {
        "alive": peer.alive(now),
        "native": peer.alive(now),
        "hears_us": peer.hears_us(now),
        "heard_at": heard_at,
        "patience": peer.patience,
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
