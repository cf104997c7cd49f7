"""Everything the supervisor knows, in one value: what `status`, the metrics and the prompt are made of. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from skd_cluster.core.checks import CheckState
from skd_cluster.core.histogram import JITTER_BOUNDS, LATENESS_BOUNDS, TAKEOVER_BOUNDS, Histogram, reported
from skd_cluster.core.hooks import Hook, Outcome
from skd_cluster.core.messages import Data, ElectorReport, ReplicationReport, RoleChange
from skd_cluster.core.model import NEVER, SECOND, Fault, Nanos, Reason, Role, nanos
from skd_cluster.core.supervision import FRESH
from skd_cluster.core.totals import HookTotals, ReplicationTotals


@dataclass(frozen=True, slots=True)
class Applied:
    """What `receive` last put in place here; `at` is wall time, 0 means never."""

    at: float = 0.0
    files: int = 0
    sent_bytes: int = 0
    took: float = 0.0


RECENT = nanos(3600)
"""So long a refused login or a crash is a trouble."""


@dataclass(frozen=True, slots=True)
class Refusals:
    """Logins with the pair's key that asked for what it is not for. `at` is monotonic, `wall` for people; 0: never."""

    count: int = 0
    client: str = ""
    text: str = ""
    at: int = 0
    wall: float = 0.0

    def plus(self, client: str, text: str, now: Nanos, wall: float) -> "Refusals":
        """Return them with one more, just now."""
        return Refusals(self.count + 1, client, text, now, wall)

    def facts(self) -> dict[str, Any]:
        """Return them for `status --json`."""
        return {"count": self.count, "client": self.client, "text": self.text, "last": self.wall or None}

    def trouble(self, now: Nanos) -> list[str]:
        """Return the sentence for people, if the last one was not long ago."""
        if not self.count or now - self.at > RECENT:
            return []
        times = "once" if self.count == 1 else f"{self.count} times"
        ago = (now - self.at) // nanos(60)
        return [f"a login with the pair's key was refused {times}, last to {self.client} {ago} min ago: {self.text}"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of it at one instant; replaced as a whole, so that another thread may read it without a lock."""

    node: str
    version: str
    local_ip: str
    remote_ip: str
    epoch: int = 0
    elector: ElectorReport | None = None
    data: Data = field(default_factory=lambda: Data(0, 0, ""))
    replication: ReplicationReport | None = None
    replication_before: ReplicationTotals = field(default_factory=ReplicationTotals)
    replicator_running: bool = False
    replicator_error: str = ""
    applied: Applied = Applied()
    checks: tuple[CheckState, ...] = ()
    hooks: Mapping[Hook, HookTotals] = field(default_factory=lambda: dict.fromkeys(Hook, HookTotals()))
    failovers: Mapping[tuple[str, str], int] = field(default_factory=dict)
    takeover_counts: tuple[int, ...] = (0,) * (len(TAKEOVER_BOUNDS) + 1)
    takeover_total: float = 0.0
    takeovers: Mapping[str, float] = field(default_factory=dict)
    """How long the last one took, in seconds, by its reason."""
    reload_ok: bool = True
    reload_note: str = ""
    metrics_error: str = ""
    started: float = 0.0
    """Wall time at which the service was started."""
    crashes: int = 0
    """How often since the boot it ended without being stopped."""
    crashed_at: Nanos = NEVER
    """When this run began, if the one before it ended so."""
    log_dropped: int = 0
    history: int = 0
    refusals: Refusals = Refusals()
    conflicts: tuple[str, ...] = ()
    """Those that this node keeps and that wait for somebody."""
    stopping: bool = False

    @property
    def role(self) -> Role:
        """The role last reported."""
        return Role.INIT if self.elector is None else Role(self.elector.role)

    @property
    def known_epoch(self) -> int:
        """The highest epoch this node has heard of, its own or a verified peer's."""
        peer = self.peer
        return max(self.epoch, int(peer.get("epoch", 0)) if peer.get("heard_at") else 0)

    @property
    def peer(self) -> Mapping[str, Any]:
        """What the elector knows of the peer."""
        return {} if self.elector is None else self.elector.peer

    @property
    def unsaid(self) -> str:
        """The standard that decides and is all that could be heard of the peer; empty if its native packets are heard."""
        speaks = "udp" if self.elector is None else self.elector.speaks
        return "" if speaks == "udp" or self.peer.get("native") else speaks

    @property
    def in_sync(self) -> bool:
        """Whether both nodes hold the same tree: on the master the peer's confirmation, else what it announces."""
        if self.role is Role.MASTER:
            return self.replication is not None and self.replication.in_sync
        digest = self.data.digest
        known = bool(digest.strip("0"))  # zeros are what a node announces that has no digest yet
        return known and bool(self.peer.get("alive")) and self.peer.get("digest") == digest

    @property
    def waiting(self) -> Mapping[str, str]:
        """The conflicts that wait for somebody, each with the node that keeps it."""
        theirs = self.replication.conflicts if self.replication is not None else []
        return dict.fromkeys(theirs, self.remote_ip) | dict.fromkeys(self.conflicts, self.node)

    def fresh(self, now: Nanos) -> bool:
        """Whether the elector was seen to work just now."""
        return self.elector is not None and now - self.elector.at < FRESH

    def as_of(self, now: Nanos) -> "Snapshot":
        """Return what may still be believed: of an elector that fell silent, neither role nor addresses."""
        report = self.elector
        if report is None or self.fresh(now):
            return self
        stale = replace(
            report,
            role=int(Role.FAULT),
            since=report.at,
            reason=str(Reason.FAULT),
            detail="the elector does not report",
            peer={**report.peer, "alive": False, "hears_us": False},
            addresses=[{**one, "held": False} for one in report.addresses],
        )
        return replace(self, elector=stale)

    def with_role(self, change: RoleChange) -> "Snapshot":
        """Count a change of role. The first decision after a start is no failover."""
        counts, total, failovers = self.takeover_counts, self.takeover_total, dict(self.failovers)
        takeovers = dict(self.takeovers)
        if change.old != change.new and Role.INIT not in (change.old, change.new):
            label = (Role(change.new).word, change.reason)
            failovers[label] = failovers.get(label, 0) + 1
        if change.new == Role.MASTER and change.reason in (Reason.PEER_SILENT, Reason.PEER_RESIGNED):
            takeover = Histogram(TAKEOVER_BOUNDS, list(counts), total)
            takeover.observe((change.silent + change.took) / SECOND)
            takeovers[change.reason] = round((change.silent + change.took) / SECOND, 4)
            counts, total = tuple(takeover.counts), takeover.total
        return replace(
            self,
            epoch=max(self.epoch, change.epoch),
            failovers=failovers,
            takeover_counts=counts,
            takeover_total=total,
            takeovers=takeovers,
        )


class Board:
    """Holds the newest snapshot. Written by one thread; any thread may read `now`."""

    def __init__(self, first: Snapshot) -> None:
        self.now = first

    def update(self, **changes: Any) -> None:
        """Replace some of its fields."""
        self.now = replace(self.now, **changes)


def status(snapshot: Snapshot, now: Nanos, wall: float) -> dict[str, Any]:
    """Return the status as JSON. Instants are seconds since 1970, null for never."""
    snapshot = snapshot.as_of(now)
    report = snapshot.elector
    return {
        "node": snapshot.node,
        "version": snapshot.version,
        "role": snapshot.role.word,
        "since": None if report is None else round(wall - (now - report.since) / SECOND, 1),
        "reason": "" if report is None else report.reason,
        "detail": "" if report is None else report.detail,
        "epoch": snapshot.epoch,
        "generation": snapshot.data.generation,
        "data": {
            "epoch": snapshot.data.data_epoch,
            "generation": snapshot.data.generation,
            "digest": snapshot.data.digest,
        },
        "transport": _transport(report),
        "peer": _peer(snapshot, now),
        "addresses": [] if report is None else report.addresses,
        "replication": _replication(snapshot, now),
        "checks": [{"name": one.name, "healthy": one.healthy, "detail": one.detail} for one in snapshot.checks],
        "faults": [] if report is None else [{"fault": one[0], "detail": one[1]} for one in report.faults],
        "hooks": {
            hook.value: {"last": one.last, "last_seconds": one.last_seconds, "failures": one.failures}
            for hook, one in sorted(snapshot.hooks.items())
        },
        "elector": {
            "fresh": snapshot.fresh(now),
            "silent_seconds": None if report is None else round((now - report.at) / SECOND, 3),
            "realtime": report is not None and report.realtime,
        },
        "timing": _timing(report),
        "conflicts": [{"name": name, "node": node} for name, node in snapshot.waiting.items()],
        "refusals": snapshot.refusals.facts(),
        "crashes": snapshot.crashes,
        "counters": {} if report is None else report.counters,
        "problems": problems(snapshot, now),
    }


def _transport(report: ElectorReport | None) -> dict[str, str]:
    configured, speaks = ("udp", "udp") if report is None else (report.transport, report.speaks)
    return {"configured": configured, "speaks": speaks}


def _peer(snapshot: Snapshot, now: Nanos) -> dict[str, Any]:
    peer = snapshot.peer
    heard_at = int(peer.get("heard_at", 0))
    return {
        "address": peer.get("address") or snapshot.remote_ip,
        "alive": bool(peer.get("alive")),
        "heard": bool(peer.get("hears_us")),
        "native": bool(peer.get("native")),
        "heard_seconds_ago": round((now - heard_at) / SECOND, 3) if heard_at else None,
        "role": Role(peer["role"]).word if heard_at and "role" in peer else None,
        "in_sync": snapshot.in_sync,
        "version": peer.get("version") or None,
        "epoch": int(peer.get("epoch", 0)),
        "generation": int(peer.get("generation", 0)),
        "links": [] if snapshot.elector is None else snapshot.elector.links,
        "heartbeat": _heartbeat(peer.get("heartbeat", {})),
    }


def _heartbeat(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return when the last advertisements came: seconds after they were due, null for those that did not come."""
    beats = [None if one is None else one / 1e6 for one in told.get("beats", ())]
    return {"interval_seconds": told.get("interval", 0) / SECOND, "late_seconds": beats}


LATE = 0.1
"""Seconds. An elector that wakes up later is told of."""

_FAR_OFF = 0.9
"""Seconds: the histogram ends at 1, and what is in its last bucket is not known any better. As the alert has it."""


def _timing(report: ElectorReport | None) -> dict[str, Any]:
    """Return how often this node was late and the peer's packets were far off their time, since the start."""
    if report is None:
        return {"late": 0, "off": 0, "off_seconds": 0.0, "limit_seconds": 0.0}
    limit = int(report.peer.get("patience", 0)) / SECOND
    bound, off = reported(JITTER_BOUNDS, report.jitter).above(min(limit / 2, _FAR_OFF))
    late = reported(LATENESS_BOUNDS, report.lateness).above(LATE)[1]
    return {"late": late, "off": off if limit else 0, "off_seconds": bound, "limit_seconds": round(limit, 4)}


def _replication(snapshot: Snapshot, now: Nanos) -> dict[str, Any]:
    report = snapshot.replication
    if snapshot.role is not Role.MASTER or report is None:
        return {
            "running": snapshot.replicator_running,
            "in_sync": snapshot.in_sync,
            "lag_seconds": None,
            "last_success": snapshot.applied.at or None,
            "last_error": snapshot.replicator_error,
            "pending": 0,
            "oldest_pending_seconds": 0.0,
        }
    return {
        "running": snapshot.replicator_running,
        "in_sync": report.in_sync,
        "lag_seconds": round(report.lag_seconds, 3),
        "last_success": report.last_success or None,
        "last_error": snapshot.replicator_error or report.last_error,
        "pending": report.pending,
        "oldest_pending_seconds": round((now - report.pending_since) / SECOND, 3) if report.pending_since else 0.0,
    }


def problems(snapshot: Snapshot, now: Nanos) -> list[str]:
    """Return what a person should know first, the worst first, each a sentence."""
    report = snapshot.elector
    if report is None:
        return ["the elector has not reported yet"]
    if snapshot.fresh(now):
        # A check says the same itself, below.
        faults = [(fault, detail) for fault, detail in report.faults if fault != Fault.CHECK]
        found = [f"{fault}: {detail}" if detail else fault for fault, detail in faults]
        found += _peer_problems(snapshot, report)
    else:
        silent = (now - report.at) / SECOND
        found = [
            f"the elector has not reported for {silent:.0f} s: the addresses are no longer held, the peer takes over"
        ]
    found += [f"check {one.name}: {one.detail}" for one in snapshot.checks if not one.healthy]
    if snapshot.role is Role.MASTER:
        error = snapshot.replicator_error or (snapshot.replication.last_error if snapshot.replication else "")
        if error:
            found.append(f"replication: {error}")
    found += [
        f"conflict {name} waits on {node}: skd-cluster history show {name}" for name, node in snapshot.waiting.items()
    ]
    found += snapshot.refusals.trouble(now)
    found += _crash(snapshot, now)
    found += [f"the last {hook.value} hook: {one.last}" for hook, one in snapshot.hooks.items() if _failed(one)]
    if not snapshot.reload_ok:
        found.append(f"the configuration file is not in force: {snapshot.reload_note}")
    found += [f"metrics: {snapshot.metrics_error}"] if snapshot.metrics_error else []
    return found


def _crash(snapshot: Snapshot, now: Nanos) -> list[str]:
    if not snapshot.crashed_at or now - snapshot.crashed_at > RECENT:
        return []
    times = "once" if snapshot.crashes == 1 else f"{snapshot.crashes} times"
    ago = (now - snapshot.crashed_at) // nanos(60)
    words = f"the service ended without being stopped {times} since the boot, and was started again {ago} min ago"
    return [f"{words}: journalctl -u skudonet-ce-cluster -p warning"]


def _failed(totals: HookTotals) -> bool:
    return totals.last in (Outcome.FAILED, Outcome.TIMEOUT)


UNKNOWN = "not known: "


def silent_backup(standard: str) -> str:
    """Return what a master cannot know that speaks a standard."""
    return f"{UNKNOWN}a backup that speaks {standard} is silent"


def _peer_problems(snapshot: Snapshot, report: ElectorReport) -> list[str]:
    peer = snapshot.peer
    address = peer.get("address") or snapshot.remote_ip
    if snapshot.unsaid and (peer.get("alive") or snapshot.role is Role.MASTER):
        return [] if peer.get("alive") else [f"whether {address} could take over is {silent_backup(snapshot.unsaid)}"]
    if not peer.get("alive"):
        wrong_key = report.counters.get("dropped.bad_key", 0)
        hint = f" ({wrong_key} packets since the start had another key)" if wrong_key else ""
        return [f"the peer {address} is not heard{hint}"]
    if not peer.get("hears_us"):
        return [f"the peer {address} is heard but does not hear this node"]
    if snapshot.role is Role.MASTER and peer.get("role") == Role.MASTER:
        return [f"the peer {address} is master as well"]
    silent = [one["name"] for one in report.links if not one["alive"]]
    return [f"the peer is not heard by way of {name}, only on other links" for name in silent]
