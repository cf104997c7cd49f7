"""Election machines in a wanted state, and what their peer says."""

from ipaddress import ip_address

from skd_cluster.core.actions import Identity
from skd_cluster.core.election import ElectionMachine
from skd_cluster.core.model import (
    SECOND,
    DataVersion,
    Fault,
    FaultNote,
    Nanos,
    Role,
    nanos,
)
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
