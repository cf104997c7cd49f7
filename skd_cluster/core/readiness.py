"""Whether the other node could take over now, what would happen, and how long it would take. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from skd_cluster.core.diagnosis_facts import NodeFacts
from skd_cluster.core.model import Nanos, Reason, Role
from skd_cluster.core.status import UNKNOWN, Snapshot, silent_backup


def peer_name(snapshot: Snapshot) -> str:
    """Return what to call the peer."""
    return str(snapshot.peer.get("address") or snapshot.remote_ip)


def obstacles(snapshot: Snapshot, now: Nanos) -> list[str]:
    """Return what speaks against the backup taking over now, as this node knows it."""
    found = []
    if not snapshot.fresh(now):
        found.append("the elector does not report")
    if snapshot.stopping:
        found.append("the service is stopping")
    if snapshot.role is Role.MASTER:
        return found + list(_of_peer(snapshot))
    if snapshot.role is not Role.BACKUP:
        found.append(f"{snapshot.node} is {snapshot.role.word}")
    report = snapshot.elector
    found += [": ".join(filter(None, one)) for one in (report.faults if report is not None else [])]
    found += [f"check {one.name}: {one.detail}" for one in snapshot.checks if not one.healthy]
    if not snapshot.peer.get("alive"):
        found.append(f"{peer_name(snapshot)} is not heard")
    elif snapshot.unsaid:
        found.append(f"{UNKNOWN}{snapshot.unsaid} does not say whether {snapshot.node} has the newest configuration")
    elif snapshot.peer.get("role") == Role.MASTER and not snapshot.in_sync:
        found.append(f"{snapshot.node} does not have the newest configuration")
    return list(dict.fromkeys(found))


def _of_peer(snapshot: Snapshot) -> Iterator[str]:
    peer, name = snapshot.peer, peer_name(snapshot)
    if snapshot.unsaid and not peer.get("alive"):
        yield silent_backup(snapshot.unsaid)
        return
    if not peer.get("alive"):
        yield f"{name} is not heard"
        return
    if not peer.get("hears_us"):
        yield f"{name} does not hear this node"
    if peer.get("role") != Role.BACKUP:
        yield f"{name} is {Role(peer['role']).word}, not backup"
    if not snapshot.in_sync:
        pending = snapshot.replication.pending if snapshot.replication is not None else 0
        waiting = f": {pending} changes wait" if pending else ""
        yield f"{name} does not have the newest configuration{waiting}"


def readiness(snapshot: Snapshot, now: Nanos) -> dict[str, Any]:
    """Return it for `status`: of the backup, wherever it is asked."""
    found = obstacles(snapshot, now)
    return {"ok": not found, "obstacles": found, "takeovers": dict(snapshot.takeovers)}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens. `seconds` is how long it last took, None if that was not measured since the start."""

    node: str
    what: str
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A failover that was not done."""

    obstacles: tuple[str, ...]
    cautions: tuple[str, ...]
    steps: tuple[Step, ...]

    @property
    def seconds(self) -> float | None:
        """From the order to the end of the hook that starts what is balanced: None if not all of it was measured."""
        needed = [step.seconds for step in self.steps[1:3]]
        return None if None in needed else sum(one for one in needed if one is not None)

    @property
    def text(self) -> str:
        """Return it in one line."""
        if self.obstacles:
            return "; ".join(self.obstacles)
        there = self.steps[1]
        moved = "" if there.seconds is None else f", the addresses after {there.seconds * 1000:.0f} ms"
        whole = "" if self.seconds is None else f", everything after {self.seconds:.1f} s"
        return f"{there.node} would become master{moved}{whole}"


def plan(found: list[str], ours: Mapping[str, Any], theirs: NodeFacts | None, silence: str) -> Plan:
    """Return what a failover from this master would be. `found` is what its own service has against it."""
    here, there = str(ours["node"]), str(ours["peer"]["address"])
    obstacles, cautions = list(found), [f"conflict {one['name']} waits on {one['node']}" for one in ours["conflicts"]]
    known: Mapping[str, Any] = {}
    if theirs is None:
        cautions.append(f"{there} could not be asked for its hooks and checks: {silence}")
    else:
        there, known = theirs.node, theirs.status
        obstacles += _against(theirs)
        cautions += _doubts(theirs)
    took = [one.get("ready", {}).get("takeovers", {}).get(Reason.PEER_RESIGNED.value) for one in (known, ours)]
    addresses = len(ours["addresses"])
    plural = "" if addresses == 1 else "es"
    steps = (
        Step(here, f"drops {addresses} address{plural}, then says that it resigns"),
        Step(
            there,
            f"holds and announces {addresses} address{plural}",
            next((one for one in took if one is not None), None),
        ),
        Step(there, "runs its up hook", _hook(known, "up")),
        Step(here, "runs its down hook, meanwhile", _hook(ours, "down")),
        Step(there, f"replicates to {here} from then on"),
    )
    return Plan(tuple(dict.fromkeys(obstacles)), tuple(cautions), steps)


def _against(theirs: NodeFacts) -> Iterator[str]:
    status = theirs.status
    if not status:
        yield f"the service of {theirs.node} does not answer"
        return
    for one in status.get("faults", []):
        yield f"{theirs.node} has a fault: {one['fault']} {one['detail']}".strip()
    for one in status.get("checks", []):
        if not one["healthy"]:
            yield f"{theirs.node}: check {one['name']}: {one['detail']}"
    for name, path, what in theirs.hooks:
        if name == "up_script" and what not in ("", "missing"):
            yield f"the up hook of {theirs.node}, {path}: {what}"


def _doubts(theirs: NodeFacts) -> Iterator[str]:
    up = theirs.status.get("hooks", {}).get("up", {})
    if up.get("last") in ("failed", "timeout"):
        yield f"the last up hook of {theirs.node}: {up['last']}"
    if any(name == "up_script" and what == "missing" for name, _, what in theirs.hooks):
        yield f"{theirs.node} has no up hook: nothing is started there"


def _hook(status: Mapping[str, Any], name: str) -> float | None:
    hook = status.get("hooks", {}).get(name, {})
    return float(hook["last_seconds"]) if hook.get("last") else None
