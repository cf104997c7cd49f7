"""What the processes say to each other: one JSON object per datagram, its `kind` the class name.

Children outlive no supervisor and no upgrade (all are exec'ed by the same release), so there is no version in them; an
unknown kind or a malformed line decodes to None and is counted by the receiver, never raised.
"""

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Settings:
    """First word to the elector: everything it may need, since it reads no file. Spans in nanoseconds.

    Said again after a reload, with new values in what can change while it runs.

    `keys` are the hex keys packets may be signed with, the first one is used for sending. `vips` are
    `[address, prefix, interface, label]`, the configured `cluster_ip` first; `clustered` says how many of them are
    `cluster_ip`'s own, whose presence chooses the first master. `group` is a multicast group, empty for unicast; `links`
    are `[local, remote]` of further paths to the peer. `transport` is the configured one; for `carp` the hex `passwords`
    go with it, for either standard the group it is spoken to, empty for unicast. `resumes`: this node was master until it was started anew.
    """

    interface: str
    local_ip: str
    remote_ip: str
    port: int
    cluster_id: int
    keys: list[str]
    advert_interval: int
    dead_ratio: int
    priority: int
    preempt: bool
    preempt_delay: int
    vip_lease: int
    garp_count: int
    garp_refresh: int
    vips: list[list[Any]]
    clustered: int
    track_interfaces: list[str]
    epoch: int
    data_epoch: int
    generation: int
    digest: str
    standby: bool
    page: str
    version: str
    probing: bool = False
    resumes: bool = False
    group: str = ""
    unshared: bool = False
    links: list[list[str]] = field(default_factory=list)
    transport: str = "udp"
    passwords: list[str] = field(default_factory=list)
    standard_group: str = ""
    witnesses: list[str] = field(default_factory=list)
    gateways: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Command:
    """To the elector: `failover`, `standby`, `online`, `stop` or `restart`.

    Answered by `CommandResult` with the same `ident`; `restart` when the peer has agreed to wait or did not in time.
    """

    verb: str
    ident: int
    force: bool = False


@dataclass(frozen=True, slots=True)
class Floating:
    """To the elector: the floating addresses changed. As in `Settings.vips`."""

    vips: list[list[Any]]


@dataclass(frozen=True, slots=True)
class Health:
    """To the elector: what health checks found wrong, `[name, words]` each; empty is healthy."""

    failing: list[list[str]]


@dataclass(frozen=True, slots=True)
class Data:
    """To the elector: which configuration this node holds now, for its packets. `unshared`: the peer lacks some of it."""

    data_epoch: int
    generation: int
    digest: str
    unshared: bool = False


@dataclass(frozen=True, slots=True)
class CommandResult:
    """From the elector: whether the command was taken, and why not."""

    ident: int
    accepted: bool
    text: str = ""


@dataclass(frozen=True, slots=True)
class RoleChange:
    """From the elector, at once: the role changed. `at` is monotonic; `silent` is how long the master was not heard.

    `took` is from the decision to the last address held and announced (promotion only), both in nanoseconds.
    """

    at: int
    old: int
    new: int
    reason: str
    epoch: int
    detail: str = ""
    silent: int = 0
    took: int = 0


@dataclass(frozen=True, slots=True)
class Note:
    """From a child: something a person may want to read. `severity` is a syslog level name, `event` a stable word."""

    event: str
    text: str
    severity: str = "info"
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ElectorReport:
    """From the elector, once a second and after each change: all it knows. Cumulative numbers since its start.

    `transport` is the configured one, `speaks` the one that decides now; where that is a standard, `peer.native` tells
    whether more is known of the peer than the standard says.

    `at` and the `*_at` are monotonic nanoseconds (0: never). `peer` has `address alive hears_us role epoch data_epoch
    generation digest version heard_at heartbeat`, the last with `interval` and `beats` as in
    `core.heartbeat`; `addresses` are `{address, interface, held}`; `counters` are flat names such
    as `sent`, `received`, `dropped.bad_key`, `lease_renewals`, `foreign_arp`, `channel_dropped`. `confirmed` is from
    the latest claim to the gateway's answer, in nanoseconds. `links` are `{name, alive, fault}`, one a path to the peer,
    the main one first. `jitter` and `lateness` are `{"counts": [...], "total": seconds}` over the bounds of
    `core.histogram`.
    """

    at: int
    role: int
    since: int
    reason: str
    detail: str
    epoch: int
    faults: list[list[str]]
    peer: dict[str, Any]
    addresses: list[dict[str, Any]]
    counters: dict[str, int]
    jitter: dict[str, Any]
    lateness: dict[str, Any]
    realtime: bool
    confirmed: int = 0
    transport: str = "udp"
    speaks: str = "udp"
    links: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Flight:
    """From the elector, after a change of role: some rows of `core.flight.Ring`, for the record of that change."""

    rows: list[list[int]]


@dataclass(frozen=True, slots=True)
class Mastership:
    """To the replicator: this node is master of `epoch` (it runs on the master only). Sent first and on each change."""

    epoch: int


@dataclass(frozen=True, slots=True)
class SyncNow:
    """To the replicator: compare everything now; with `allow_delete` the mass-deletion guard is lifted once.

    `asked`: by a person, who wants to read again what is still wrong.
    """

    allow_delete: bool = False
    asked: bool = True


@dataclass(frozen=True, slots=True)
class ReplicationReport:
    """From the replicator, after each batch, each failure, and once a second while something is pending.

    `last_success` is wall time (seconds since 1970, 0: never), for people; `pending_since` is monotonic nanoseconds of
    the oldest change the peer has not confirmed (0: none). `lag` is `{"counts", "total"}` over `LAG_BOUNDS`, of
    confirmed batches; `runs` counts batches by result: `ok`, `refused`, `failed`. `unshared`: some of the recorded version
    was never confirmed by the peer. `conflicts` are the names of those that wait on the peer.
    """

    in_sync: bool
    pending: int
    pending_since: int
    lag_seconds: float
    last_success: float
    last_error: str
    data_epoch: int
    generation: int
    digest: str
    runs: dict[str, int]
    sent_bytes: int
    sent_files: int
    lag: dict[str, Any]
    unshared: bool = False
    conflicts: list[str] = field(default_factory=list)


Message: TypeAlias = (
    Settings
    | Command
    | Floating
    | Health
    | Data
    | CommandResult
    | RoleChange
    | Note
    | ElectorReport
    | Flight
    | Mastership
    | SyncNow
    | ReplicationReport
)

_KINDS: dict[str, type[Message]] = {
    kind.__name__: kind
    for kind in (
        Settings,
        Command,
        Floating,
        Health,
        Data,
        CommandResult,
        RoleChange,
        Note,
        ElectorReport,
        Flight,
        Mastership,
        SyncNow,
        ReplicationReport,
    )
}


def encode(message: Message) -> bytes:
    """Return one datagram for the channel."""
    return json.dumps({"kind": type(message).__name__, **asdict(message)}, separators=(",", ":")).encode()


def decode(datagram: bytes) -> Message | None:
    """Read a datagram back. None for anything that is not a message of ours with all its fields."""
    try:
        found = json.loads(datagram)
        kind = _KINDS[found.pop("kind")]
        known = {one.name for one in fields(kind)}
        return kind(**{name: value for name, value in found.items() if name in known})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
