"""Election machines in a wanted state, and what their peer says."""

from ipaddress import ip_address
from typing import Any

from skd_cluster.core.actions import Identity
from skd_cluster.core.dialect import Bid, Carp, Dialect, Vrrp
from skd_cluster.core.election import ElectionMachine
from skd_cluster.core.model import (
    SECOND,
    DataVersion,
    Fault,
    FaultNote,
    IPAddress,
    Nanos,
    Role,
    nanos,
)
from skd_cluster.core.standard import StandardElection
from skd_cluster.core.wire import NO_SESSION, Advert, Flag

NOW = Nanos(1000 * SECOND)
INTERVAL = nanos(0.2)
LOWER = Identity(INTERVAL, 3, 100, lower=True)
HIGHER = Identity(INTERVAL, 3, 100, lower=False)
BROKEN = frozenset({FaultNote(Fault.INTERFACE, "eth0 has no carrier")})


def advert(role: Role = Role.MASTER, **said: object) -> Advert:
    """What the peer says."""
    word = {
        "cluster_id": 7,
        "priority": 100,
        "role": role,
        "flags": Flag(0),
        "interval": INTERVAL,
        "dead_ratio": 3,
        "release": (3, 0, 0),
        "sender": ip_address("10.0.0.2"),
        "session": b"s" * 16,
        "counter": 1,
        "echo_session": NO_SESSION,
        "echo_counter": 0,
        "epoch": 1,
        "data": DataVersion(),
        "digest": bytes(32),
    }
    return Advert(**{**word, **said})


def started(me: Identity = LOWER, *, present: bool = False, **state: object) -> ElectionMachine:
    machine = ElectionMachine(me, **state)
    machine.start(NOW, present=present)
    return machine


def master(me: Identity = LOWER, **state: object) -> ElectionMachine:
    """A master whose backup is alive and hears it."""
    machine = started(me, **state)
    machine.on_advert(advert(Role.INIT, priority=1), NOW, NOW)
    assert machine.role is Role.MASTER
    machine.on_advert(advert(Role.BACKUP), NOW, NOW)
    return machine


def backup(me: Identity = HIGHER, **state: object) -> ElectionMachine:
    machine = started(me, **state)
    machine.on_advert(advert(), NOW, NOW)
    assert machine.role is Role.BACKUP
    return machine


# ---- a standard: we are 10.0.0.1, the peer is 10.0.0.2

OURS, THEIRS = ip_address("10.0.0.1"), ip_address("10.0.0.2")
SLOW = Identity(Nanos(SECOND), 3, 100, lower=True)
VRRP_PATIENCE = Nanos(3_609_375_000)
"""RFC 9568 section 6.1 at one second and priority 100: 3 * 1 s + (256 - 100) / 256 * 1 s."""
CARP_PATIENCE = Nanos(3 * SECOND)


def vrrp(priority: int = 100, interval: Nanos = SECOND, source: IPAddress = THEIRS) -> Bid:
    return Vrrp.heard(priority, interval, source)


def carp(interval: float = 1, source: IPAddress = THEIRS) -> Bid:
    return Carp.heard(nanos(interval), source)


def standard(kind: type[Dialect] = Vrrp, me: Identity = SLOW, **state: Any) -> StandardElection:
    """A node that has started just now and has heard nobody."""
    machine = StandardElection(me, dialect=kind(OURS if me.lower else THEIRS), **state)
    machine.start(NOW, present=False)
    return machine


def standard_master(kind: type[Dialect] = Vrrp, me: Identity = SLOW, **state: Any) -> StandardElection:
    """A master since NOW: started long enough before."""
    machine = StandardElection(me, dialect=kind(OURS if me.lower else THEIRS), **state)
    machine.start(Nanos(NOW - machine.peer.patience), present=False)
    machine.on_timer(NOW)
    assert machine.role is Role.MASTER
    return machine


def native(kind: type[Dialect], role: Role = Role.MASTER, **said: Any) -> Advert:
    """What the peer says natively that is configured for the same standard."""
    return advert(role, **{"transport": kind.transport, "interval": Nanos(SECOND), "epoch": 0, **said})


def standard_backup(heard: Bid, kind: type[Dialect] = Vrrp, me: Identity = SLOW, **state: Any) -> StandardElection:
    """A backup since NOW."""
    machine = standard(kind, me, **state)
    machine.on_bid(heard, NOW)
    assert machine.role is Role.BACKUP
    return machine
