"""What a node says in a standard, and whom it believes there: the bytes of CARP and VRRP, and what they mean.

Neither standard can say who sent a packet, so what is known besides is asked for: it has passed no router, it is the
peer's address, and of CARP each counter counts once (docs/protocol.md).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import ClassVar

from skd_cluster.core import carp, vrrp
from skd_cluster.core.actions import Identity
from skd_cluster.core.dialect import Bid, Carp, Dialect, Vrrp
from skd_cluster.core.model import DropReason, IPAddress, Transport
from skd_cluster.core.wire import Dropped, unscoped


@dataclass
class Speech(ABC):
    """One node's speech. `local` and `remote` are the nodes' own addresses; `number` is vhid or virtual router id."""

    kind: ClassVar[type[Dialect]]
    local: IPAddress
    remote: IPAddress
    number: int
    dialect: Dialect = field(init=False)
    old_version: bool = field(default=False, init=False)
    """Whether the peer was heard to speak VRRP version 2."""
    other_addresses: bool = field(default=False, init=False)
    """Whether it advertises other addresses than we do."""

    def __post_init__(self) -> None:
        """Compare addresses as packets name them."""
        self.local, self.remote = unscoped(self.local), unscoped(self.remote)
        self.dialect = self.kind(self.local)

    @abstractmethod
    def say(self, me: Identity, source: IPAddress, destination: IPAddress, chance: int, *, resigns: bool) -> bytes:
        """Return an advertisement. `chance`: 64 random bits."""

    @abstractmethod
    def _read(self, body: bytes, source: IPAddress, destination: IPAddress) -> Bid | Dropped:
        """Return what an advertisement says."""

    def judge(self, body: bytes, source: IPAddress, destination: IPAddress, hops: int) -> Bid | Dropped:
        """Return what the peer says, or why this is not to be believed. Raises nothing, whatever the bytes."""
        if hops != vrrp.HOPS:
            return Dropped(DropReason.HOPS)
        if source == self.local:
            return Dropped(DropReason.REFLECTED)
        found = self._read(body, source, destination)
        if isinstance(found, Bid) and not self.may_be_peer(source):
            return Dropped(DropReason.FOREIGN_SENDER)
        return found

    def may_be_peer(self, source: IPAddress) -> bool:
        """Whether the peer speaks from here; over IPv6 multicast that is a link-local address, which nobody has told us."""
        return source == self.remote or (source.is_link_local and not self.remote.is_link_local)


@dataclass
class CarpSpeech(Speech):
    """CARP. `address`: the one that its digest covers. `passwords`: the first one signs, all are accepted."""

    kind = Carp
    passwords: tuple[bytes, ...]
    address: IPv4Address
    seen: carp.SeenCounters = field(default_factory=carp.SeenCounters, init=False)

    def say(self, me: Identity, source: IPAddress, destination: IPAddress, chance: int, *, resigns: bool) -> bytes:  # noqa: ARG002 -- VRRP's needs them
        """Return an advertisement. Its counter is drawn: counted up, it would be what a ucarp says that has heard us."""
        base, skew = (carp.RESIGNED, carp.RESIGNED) if resigns else (Carp.base(me), Carp.skew(me))
        self.seen.first(chance)
        return carp.encode(carp.CarpAdvert(self.number, skew, base, chance), self.passwords[0], self.address)

    def _read(self, body: bytes, source: IPAddress, destination: IPAddress) -> Bid | Dropped:  # noqa: ARG002 -- as above
        found = carp.decode(body, self.number, self.passwords, self.address)
        if isinstance(found, Dropped):
            return found
        if not self.seen.first(found.counter):
            return Dropped(DropReason.REPLAYED)
        return Carp.heard(found.interval, source)


@dataclass
class VrrpSpeech(Speech):
    """VRRP version 3. `addresses`: what is advertised, of one family; keepalived drops what names others than its own."""

    kind = Vrrp
    addresses: tuple[IPAddress, ...]

    def say(self, me: Identity, source: IPAddress, destination: IPAddress, chance: int, *, resigns: bool) -> bytes:  # noqa: ARG002 -- CARP's needs it
        """Return an advertisement, with priority 0 as the last one."""
        self.dialect.source = source  # what the peer compares: over IPv6 our link-local address
        interval = self.dialect.bid(me).interval
        advert = vrrp.VrrpAdvert(self.number, 0 if resigns else me.priority, interval, self.addresses)
        return vrrp.encode(advert, source, destination)

    def _read(self, body: bytes, source: IPAddress, destination: IPAddress) -> Bid | Dropped:
        if carp.is_carp(body):
            return Dropped(DropReason.FOREIGN_CLUSTER)
        found = vrrp.decode(body, source, destination, self.number)
        if isinstance(found, Dropped):
            return found
        if found.version != 3:
            self.old_version = self.old_version or self.may_be_peer(source)
            return Dropped(DropReason.VERSION)
        if self.may_be_peer(source):
            self.other_addresses = set(found.addresses) != set(self.addresses)
        return Vrrp.heard(found.priority, found.interval, source)


def speech(
    transport: Transport,
    local: IPAddress,
    remote: IPAddress,
    number: int,
    passwords: tuple[bytes, ...],
    addresses: tuple[IPAddress, ...],
) -> Speech:
    """Return the speech of a transport other than `udp`. `addresses` are `cluster_ip`'s, of any family, the first one first."""
    own = tuple(one for one in addresses if one.version == local.version)
    if transport is Transport.VRRP:
        first = sorted(own, key=lambda one: not one.is_link_local) if local.version == 6 else own
        return VrrpSpeech(local, remote, number, tuple(first))
    address = next(one for one in own if isinstance(one, IPv4Address))
    return CarpSpeech(local, remote, number, passwords, address)
