"""From the flight recorder's records of both nodes to the story of one change: plain sentences, each a small rule. Pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from skd_cluster.core.events import why_words
from skd_cluster.core.flight import ELECTOR_LOST, RESTARTING, Kind, Record, Row
from skd_cluster.core.model import MILLISECOND, SECOND, Reason

TOGETHER = 30.0
"""Seconds between what the two nodes record of one change, at most."""

RESTART = 15.0
"""Seconds between going for a restart and being back, at most."""

_BEFORE = 15 * SECOND
"""How far back a cause is looked for."""

_LATE = 100 * MILLISECOND
"""A timer as late as this is worth a sentence."""

_CAUSES = frozenset(
    """started command check_failed check_recovered config_reloaded config_refused elector_lost elector_silent elector_back
    interval_refused realtime_refused restarting restart_refused address_guarded address_restored foreign_arp dropped
    unheard path_lost""".split()  # noqa: SIM905 -- so many words in quotes are harder to read
)
_EFFECTS = frozenset(
    """hook_ended hook_failed child_died address_guarded address_restored foreign_arp conflict elector_lost
    file_unwritable""".split()  # noqa: SIM905 -- as above
)
OWN = {RESTARTING: "its service was restarted", ELECTOR_LOST: "its elector died"}
"""Words for the reasons that are not the election's."""


@dataclass(frozen=True, slots=True)
class Half:
    """A record, and what to add to its node's clock to have it on ours."""

    record: Record
    shift: float = 0.0

    @property
    def at(self) -> float:
        """When the change was, on our clock."""
        return self.clock(self.record.at)

    def clock(self, at: int) -> float:
        """Return an instant of the record on our clock."""
        return self.record.clock(at) + self.shift


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence: when, of whom, what."""

    at: float
    node: str
    text: str


@dataclass(frozen=True, slots=True)
class Incident:
    """One change as both nodes recorded it. `next_start`: when the other node's service began anew after it."""

    main: Half
    peer: str
    other: Half | None = None
    earlier: Half | None = None
    next_start: Half | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """What happened: in one sentence a node, in its order, and what is not known."""

    title: list[str]
    lines: list[Line]
    unknown: list[str]


# ---- which records are about one change


def choose(ours: Sequence[Half], theirs: Sequence[Half], at: float | None = None) -> Incident | None:
    """Return the last change that moved mastership (of those there are none: the last), or the one nearest to `at`."""
    known = [*ours, *theirs]
    if not known:
        return None
    if at is not None:
        chosen = min(known, key=lambda half: abs(half.at - at))
    else:
        chosen = max([half for half in known if half.record.moves] or known, key=lambda half: half.at)
    own, others = (ours, theirs) if chosen in ours else (theirs, ours)
    other = partner(chosen, others)
    if other is not None and _lost(chosen) and _won(other):
        chosen, other, own, others = other, chosen, others, own
    started = [half for half in others if half.at > chosen.at and half.record.old == "init"]
    next_start = min(started, key=lambda half: half.at, default=None)
    peer = others[-1].record.node if others else chosen.record.peer
    return Incident(chosen, peer, other, _earlier(chosen, own), next_start)


def partner(half: Half, others: Iterable[Half]) -> Half | None:
    """Return what the other node recorded of the same change of master."""
    fits = _won if _lost(half) else _lost
    near = [one for one in others if half.record.moves and fits(one) and abs(one.at - half.at) <= TOGETHER]
    return min(near, key=lambda one: abs(one.at - half.at), default=None)


def _won(half: Half) -> bool:
    return half.record.new == "master" and half.record.old != "master"


def _lost(half: Half) -> bool:
    return half.record.old == "master"


def _earlier(half: Half, own: Iterable[Half]) -> Half | None:
    if half.record.reason != Reason.RESTARTED:
        return None
    gone = [one for one in own if one.record.reason == RESTARTING and 0 <= half.at - one.at <= RESTART]
    return max(gone, key=lambda one: one.at, default=None)


# ---- the rules: what a record says, and when


Rule = Callable[[Record, str], Iterator[tuple[int, str]]]
"""From a record and the peer's name to sentences with their instants."""


def _causes(record: Record, _peer: str) -> Iterator[tuple[int, str]]:
    for at, word, text in record.events:
        if word in _CAUSES and record.at - _BEFORE <= at <= record.at:
            yield at, text


def _last_heard(record: Record, peer: str) -> Iterator[tuple[int, str]]:
    row = last(record, Kind.HEARD)
    if row is not None and record.new == "master":
        silent = record.reason in (Reason.PEER_SILENT, Reason.RECOVERED)
        ending = " say that it goes" if row[3] == 0 else " for the last time" if silent else ""
        yield row[0], f"heard {peer}{ending}"


def _last_said(record: Record, _peer: str) -> Iterator[tuple[int, str]]:
    row = last(record, Kind.SENT)
    if record.old == "master" and row is not None and row[3] == 0:
        yield row[0], "told its peer that it goes"


def _late(record: Record, _peer: str) -> Iterator[tuple[int, str]]:
    for at, kind, late, _ in record.packets:
        if kind == Kind.LATE and late >= _LATE and record.at - _BEFORE <= at <= record.at + SECOND:
            yield at, f"did not get to run for {_span(late)}"


def _decision(record: Record, peer: str) -> Iterator[tuple[int, str]]:
    if record.reason == RESTARTING:
        yield record.at, "went away for its restart, with the addresses in place"
    elif record.reason == ELECTOR_LOST:
        yield record.at, "gave its addresses up: its elector had died"
    elif record.reason == Reason.PEER_SILENT:
        yield record.at, f"had not heard {peer} for {_span(record.silent)}, and took over"
    else:
        detail = f" ({record.detail})" if record.detail else ""
        yield record.at, f"became {record.new}: {why_words(record.reason)}{detail}"


def _taken(record: Record, _peer: str) -> Iterator[tuple[int, str]]:
    if record.took:
        yield record.at + record.took, f"had its addresses up, {_span(record.took)} after the decision"
    if record.confirmed:
        yield record.at + record.confirmed, f"the gateway confirmed them, {_span(record.confirmed)} after the decision"


def _effects(record: Record, _peer: str) -> Iterator[tuple[int, str]]:
    for at, word, text in record.events:
        if word in _EFFECTS and at > record.at:
            yield at, text


RULES: tuple[Rule, ...] = (_causes, _last_heard, _late, _decision, _last_said, _taken, _effects)


def last(record: Record, kind: Kind) -> Row | None:
    """Return the last packet of a kind before the change; of ours also the one that tells of it."""
    slack = 10 * MILLISECOND if kind is Kind.SENT else 0
    return max((row for row in record.packets if row[1] == kind and row[0] <= record.at + slack), default=None)


# ---- the story


def tell(incident: Incident, silence: str = "") -> Story:
    """Return the story. `silence` says why the peer was not heard, empty if it answered."""
    main, other = incident.main, incident.other
    halves = [(main, incident.peer)]
    if incident.earlier is not None:
        halves.append((incident.earlier, incident.peer))
    if other is not None:
        halves.append((other, main.record.node))
    # A line may be in two records; of what happened in one instant the rules have the order.
    lines = dict.fromkeys(line for rule in RULES for half, peer in halves for line in _lines(rule, half, peer))
    title = [_headline(half.record) for half, _ in halves]
    return Story(title, sorted(lines, key=lambda one: one.at), [*_unknown(incident, silence)])


def _lines(rule: Rule, half: Half, peer: str) -> Iterator[Line]:
    for at, text in rule(half.record, peer):
        yield Line(half.clock(at), half.record.node, text)


def _headline(record: Record) -> str:
    detail = f" ({record.detail})" if record.detail else ""
    why = OWN.get(record.reason) or why_words(record.reason)
    role = "left" if record.new == record.old else f"went from {record.old} to {record.new}"
    return f"{record.node} {role}: {why}{detail}"


def _unknown(incident: Incident, silence: str) -> Iterator[str]:
    main, other, peer = incident.main.record, incident.other, incident.peer
    needed = main.moves and main.reason not in (Reason.RESTARTED, Reason.START, Reason.ADDRESS_PRESENT)
    if silence:
        yield f"{peer} does not answer, so what it knows of this is missing: {silence}"
    elif other is None and needed:
        yield _no_half(incident, peer)
    elif other is not None and (found := unheard(incident.main, other)):
        yield found
    if not main.packets and main.reason == Reason.PEER_SILENT:
        yield f"{main.node} has no packets on record: its elector had no time to hand them over"
    if main.new == "master" and not main.confirmed and main.took:
        yield f"whether the network has learnt the new place: no gateway has answered {main.node} about it"


def _no_half(incident: Incident, peer: str) -> str:
    start = incident.next_start
    words = f"{peer} has no record of this change"
    if start is None:
        return f"{words}: it noticed nothing of it, or could not write"
    after = start.at - incident.main.at
    return f"{words}, and its service was up again {after:.0f} s later: it was killed, crashed, or lost its power"


def unheard(main: Half, other: Half) -> str:
    """Say so if the old master went on sending while the new one heard nothing: then it was the way between them."""
    heard = last(main.record, Kind.HEARD)
    if main.record.reason != Reason.PEER_SILENT or heard is None:
        return ""
    until = main.clock(heard[0]) + main.record.silent / 2e9
    sent = [row for row in other.record.packets if row[1] == Kind.SENT and until < other.clock(row[0]) < main.at]
    if not sent:
        return ""
    names = other.record.node, main.record.node
    return f"where it was lost: {names[0]} went on sending ({len(sent)} packets) while {names[1]} heard none of it"


def _span(nanos: int) -> str:
    return f"{nanos / SECOND:.2f} s" if nanos >= SECOND // 10 else f"{nanos / MILLISECOND:.1f} ms"
