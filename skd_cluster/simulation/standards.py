"""A simulated node's half of CARP or VRRP: its machine, and bids that nobody can alter without the password."""

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from itertools import count
from typing import Any, NamedTuple

from skd_cluster.core.actions import Identity
from skd_cluster.core.dialect import GONE, Bid, Carp, Dialect, Vrrp
from skd_cluster.core.election import ElectionMachine
from skd_cluster.core.model import NEVER, DropReason, IPAddress, Nanos, Transport
from skd_cluster.core.standard import StandardElection

_DIALECTS: dict[Transport, type[Dialect]] = {Transport.CARP: Carp, Transport.VRRP: Vrrp}

_COUNTERS = count()
"""In reality drawn at random, so that no two are alike."""


class Spoken(NamedTuple):
    """An advertisement of a standard. CARP's is signed and has a counter; of VRRP both mean nothing."""

    bid: Bid
    transport: Transport
    password: str
    counter: int
    damaged: bool = False


def machine_of(me: Identity, transport: Transport, local: IPAddress, *state: Any) -> ElectionMachine:
    """Return the machine of a node that is configured so."""
    dialect = _DIALECTS.get(transport)
    return StandardElection(me, *state, dialect=dialect(local)) if dialect else ElectionMachine(me, *state)


@dataclass(slots=True)
class Speaker:
    """What one run of a node says and believes, as `core.speech` does it."""

    machine: StandardElection
    _seen: set[int] = field(default_factory=set)

    def say(self, password: str, *, resigns: bool) -> Spoken:
        """Return an advertisement of this moment."""
        dialect, me = self.machine.dialect, self.machine.me
        if not resigns:
            bid = dialect.bid(me)
        elif isinstance(dialect, Carp):
            bid = Carp.heard(GONE, dialect.local)
        else:
            bid = Vrrp.heard(0, dialect.bid(me).interval, dialect.local)
        return Spoken(bid, dialect.transport, password, next(_COUNTERS))

    def judge(self, said: Spoken, passwords: list[str]) -> Bid | DropReason:
        """Return what the peer says, or why this is not to be believed."""
        if said.damaged:
            return DropReason.CHECKSUM
        if said.transport is not self.machine.dialect.transport:
            return DropReason.FOREIGN_CLUSTER
        if said.transport is Transport.CARP:
            if said.password not in passwords:
                return DropReason.BAD_KEY
            if said.counter in self._seen:
                return DropReason.REPLAYED
            self._seen.add(said.counter)
        return said.bid


def longest(me: Identity, slowest: Nanos, transport: Transport) -> tuple[Nanos, Nanos]:
    """Return the patience beside a master of the slowest interval, and that one's pace."""
    dialect = _DIALECTS.get(transport)
    if dialect is None:
        return NEVER, NEVER
    slow = replace(me, interval=slowest, priority=1)
    spoken = dialect(IPv4Address(0))
    bid = spoken.bid(slow)
    return spoken.patience(slow, bid), bid.interval
