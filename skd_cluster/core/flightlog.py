"""The supervisor's half of the flight recorder: what it noticed lately, frozen at each change of role. Pure."""

from collections import deque
from dataclasses import dataclass, replace

from skd_cluster.core.flight import Event, Record, Row
from skd_cluster.core.messages import ElectorReport, RoleChange
from skd_cluster.core.model import SECOND, DropReason, Nanos, Role, nanos

EVENTS = 128
"""Lines kept of before a change."""

AFTER = 64
"""Lines added of after it."""

OPEN = nanos(30)
"""So long after a change what follows from it is added: the gateway's answer, hooks, the replication."""

_TEXT = 300
_AGAIN = nanos(10)
"""Dropped packets of one kind are noted once in so long."""

_WRITE = Nanos(SECOND)
"""What is added is written after so long, together."""

_PRIVATE = frozenset({"hook_output", "repeated"})
"""What hooks print is theirs, and may be anything; it is in the journal."""

_USUAL = (DropReason.DUPLICATE, DropReason.UNPROVEN, DropReason.FOREIGN_CLUSTER)


@dataclass(frozen=True, slots=True)
class Origin:
    """Who records."""

    node: str
    address: str
    peer: str
    version: str


class FlightLog:
    """Events in, a record out: `due` says when to write the one that `record` returns."""

    def __init__(self, origin: Origin, number: int) -> None:
        self._origin = origin
        self._number = number
        self._recent: deque[Event] = deque(maxlen=EVENTS)
        self._record: Record | None = None
        self._later: deque[Event] = deque()
        self._rows: set[Row] = set()
        self._report: ElectorReport | None = None
        self._dropped_at: dict[str, Nanos] = {}
        self.due: Nanos | None = None

    @property
    def record(self) -> Record | None:
        """What is known of the last change by now."""
        if self._record is None:
            return None
        events = (*self._record.events, *self._later)
        return replace(self._record, packets=tuple(sorted(self._rows)), events=events)

    def note(self, at: Nanos, event: str, text: str) -> None:
        """Keep a line of the journal. Any thread may call this."""
        if event in _PRIVATE:
            return
        line = (at, event, text[:_TEXT])
        self._recent.append(line)
        if self._record is not None and at - self._record.at < OPEN and len(self._later) < AFTER:
            self._later.append(line)
            self._soon(at)

    def freeze(self, change: RoleChange, now: Nanos, wall: float, *, new: str = "") -> None:
        """Begin the record of a change; `new` names what is no role."""
        self._number += 1
        who = self._origin
        self._record = Record(
            number=self._number,
            node=who.node,
            address=who.address,
            peer=who.peer,
            version=who.version,
            wall=wall - (now - change.at) / 1e9,
            at=change.at,
            old=Role(change.old).name.lower(),
            new=new or Role(change.new).name.lower(),
            reason=change.reason,
            epoch=change.epoch,
            detail=change.detail[:_TEXT],
            silent=change.silent,
            took=change.took,
            events=tuple(self._recent),
        )
        self._later.clear()
        self._rows.clear()
        self.due = now

    def add(self, rows: list[Row], now: Nanos) -> None:
        """Take rows of the elector's ring."""
        if self._record is not None:
            self._rows.update(rows)
            self._soon(now)

    def follow(self, report: ElectorReport, now: Nanos) -> None:
        """Take note of what changed from one report to the next."""
        before, self._report = self._report, report
        record = self._record
        master = record is not None and record.new == "master" and report.role == Role.MASTER
        if master and record is not None and report.confirmed and not record.confirmed and report.at - record.at < OPEN:
            self._record = replace(record, confirmed=report.confirmed)
            self._soon(now)
        if before is not None:
            for event, text in [*_peer_news(before, report), *_path_news(before, report)]:
                self.note(now, event, text)
            self._drops(before, report, now)

    def _drops(self, before: ElectorReport, report: ElectorReport, now: Nanos) -> None:
        for reason in DropReason:
            name = f"dropped.{reason}"
            more = report.counters.get(name, 0) - before.counters.get(name, 0)
            quiet = now - self._dropped_at.get(name, -_AGAIN) >= _AGAIN
            if more > 0 and quiet and reason not in _USUAL:
                self._dropped_at[name] = now
                self.note(now, "dropped", f"packets that are not to be believed arrive: {reason.replace('_', ' ')}")

    def _soon(self, now: Nanos) -> None:
        if self.due is None:
            self.due = Nanos(now + _WRITE)


def _peer_news(before: ElectorReport, report: ElectorReport) -> list[tuple[str, str]]:
    name = str(report.peer.get("address", "the peer"))
    was, is_now = bool(before.peer.get("hears_us")), bool(report.peer.get("hears_us"))
    if was == is_now or not report.peer.get("alive"):
        return []
    return (
        [("heard", f"{name} hears this node")] if is_now else [("unheard", f"{name} does not hear this node any more")]
    )


def _path_news(before: ElectorReport, report: ElectorReport) -> list[tuple[str, str]]:
    known = {one["name"]: bool(one["alive"]) for one in before.links}
    found = []
    for one in report.links:
        name, alive = one["name"], bool(one["alive"])
        if known.get(name, alive) != alive:
            news = ("path_back", "is heard again") if alive else ("path_lost", "has gone silent")
            found.append((news[0], f"the path {name} {news[1]}"))
    return found
