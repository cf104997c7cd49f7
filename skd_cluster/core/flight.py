"""What a node heard, said and noticed around a change of its role: the elector's ring, and the record that is kept. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import IntEnum, unique
from typing import Any, TypeAlias

Row: TypeAlias = tuple[int, int, int, int]
"""When (monotonic), a `Kind`, and two numbers that the kind explains."""

Event: TypeAlias = tuple[int, str, str]
"""When (monotonic), the word of a line in the journal, and the line."""

SIZE = 64
"""Rows of the ring: at five packets a second each way, the last six seconds. A power of two."""

PIECE = 8
"""Rows that are handed over in one round: encoding them takes some 25 microseconds."""

RESTARTING, ELECTOR_LOST = "restarting", "elector_lost"
"""Reasons of records that are no change of the election's: gone for a restart; the elector has died."""

GONE = "gone"
"""The role of a node whose elector has died."""


@unique
class Kind(IntEnum):
    """What a row is about. The numbers are in files: never renumber."""

    HEARD = 0  # a packet to believe: the peer's role, its priority
    SENT = 1  # a packet of ours: our role, our priority
    LATE = 2  # a timer that was served late: by how many nanoseconds


class Ring:
    """The elector's last moments. `note` is called for each packet: it overwrites one slot and does nothing else."""

    __slots__ = ("_next", "_rows", "_waiting")

    def __init__(self) -> None:
        self._rows: list[Row | None] = [None] * SIZE
        self._next = 0
        self._waiting: list[Row] = []

    def note(self, at: int, kind: int, one: int, two: int) -> None:
        """Keep a row, and lose the oldest."""
        self._rows[self._next & SIZE - 1] = (at, kind, one, two)
        self._next += 1

    def freeze(self) -> None:
        """Have what is there now handed over, with what still waits to be."""
        known = [row for row in self._rows if row is not None]
        self._waiting = sorted({*self._waiting, *known})[-2 * SIZE :]

    @property
    def waiting(self) -> bool:
        """Whether something is to be handed over."""
        return bool(self._waiting)

    def piece(self) -> list[Row]:
        """Return some of it, the newest first: what follows may not arrive."""
        found = self._waiting[-PIECE:]
        del self._waiting[-PIECE:]
        return found


@dataclass(frozen=True, slots=True)
class Record:
    """One change of a node's role. `wall` is the wall clock at `at`; all other instants are monotonic, as `at` is.

    `old` and `new` are names of roles, `silent` and `took` as in `RoleChange`, `confirmed` as in `ElectorReport`.
    """

    number: int
    node: str
    address: str
    peer: str
    version: str
    wall: float
    at: int
    old: str
    new: str
    reason: str
    epoch: int
    detail: str = ""
    silent: int = 0
    took: int = 0
    confirmed: int = 0
    packets: tuple[Row, ...] = ()
    events: tuple[Event, ...] = ()

    def clock(self, at: int) -> float:
        """Return an instant of this record on its node's wall clock."""
        return self.wall + (at - self.at) / 1e9

    @property
    def moves(self) -> bool:
        """Whether mastership came or went with it."""
        return "master" in (self.old, self.new)


def facts(record: Record) -> dict[str, Any]:
    """Return it for a file, or for the peer."""
    return asdict(record)


def parse(found: Any) -> Record | None:
    """Read it back; None for what is no record."""
    if not isinstance(found, Mapping):
        return None
    known: dict[str, Any] = {one.name: found[one.name] for one in fields(Record) if one.name in found}
    try:
        known["packets"] = tuple(_row(row) for row in known.get("packets", ()))
        known["events"] = tuple(_event(event) for event in known.get("events", ()))
        record = Record(**known)
    except (TypeError, ValueError):
        return None
    right = all(_is(getattr(record, one.name), one.type) for one in fields(Record))
    return record if right else None


def _row(row: Any) -> Row:
    at, kind, one, two = row
    if not all(isinstance(number, int) for number in (at, kind, one, two)):
        raise TypeError("no row")
    return at, kind, one, two


def _event(event: Any) -> Event:
    at, word, text = event
    if not (isinstance(at, int) and isinstance(word, str) and isinstance(text, str)):
        raise TypeError("no event")
    return at, word, text


def _is(value: Any, kind: Any) -> bool:
    if kind is float:
        return isinstance(value, int | float)
    return kind not in (int, str) or isinstance(value, kind)
