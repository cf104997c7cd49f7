"""What the neighbourhood says: does a witness answer, has the gateway our address right, does somebody else claim it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from skd_cluster.core.frames import Arp
from skd_cluster.core.icmp import NeighbourSeen
from skd_cluster.core.model import MILLISECOND, NEVER, SECOND, IPAddress, Nanos
from skd_cluster.core.timers import FAR

ASK_EVERY = Nanos(200 * MILLISECOND)
"""Five questions a second to a gateway are nothing to it, and an answer is never older than a takeover needs."""

_MISSED = 4
"""Questions in a row without an answer before a witness counts as gone: one lost frame is no outage."""

CONFIRM_FOR = Nanos(10 * SECOND)
"""How long a takeover is verified; a gateway that has not answered by then does not answer ARP of such a kind."""


@dataclass(frozen=True, slots=True)
class AskWitness:
    """Ask this address for a sign of life."""

    address: IPAddress


@dataclass(frozen=True, slots=True)
class AskGateway:
    """Ask the gateway who it is, as `sender`: its answer shows that it knows where `sender` lives."""

    gateway: IPv4Address
    sender: IPv4Address


@dataclass(slots=True)
class Neighbourhood:
    """Watches witnesses and, after a claim, the gateway. Pure."""

    witnesses: tuple[IPAddress, ...]
    gateways: tuple[IPv4Address, ...]
    macs: frozenset[bytes] = frozenset()
    """Our own."""
    confirmed_after: Nanos = NEVER
    """From the latest claim to the gateway's answer for every address it serves; 0 while there is none."""
    foreign: int = 0
    _answered_at: Nanos = NEVER
    _asked_since: Nanos = NEVER
    _ask_at: Nanos = FAR
    _claimed_at: Nanos = NEVER
    _unconfirmed: set[IPv4Address] = field(default_factory=set)

    @property
    def deadline(self) -> Nanos:
        """The next instant at which `on_timer` has something to do."""
        return self._ask_at

    def start(self, now: Nanos) -> None:
        """Begin to ask the witnesses."""
        self._asked_since = now
        if self.witnesses:
            self._ask_at = now

    def retune(self, witnesses: tuple[IPAddress, ...], gateways: tuple[IPv4Address, ...], now: Nanos) -> None:
        """Ask others from now on. Until they had the time to answer, what was so stays so."""
        if witnesses != self.witnesses:
            self._answered_at = now if self.witnessed(now) else NEVER
            self.witnesses = witnesses
            self.start(now)
        self.gateways = gateways

    def witnessed(self, now: Nanos) -> bool:
        """Whether a witness has answered lately; without witnesses always."""
        since = max(self._answered_at, self._asked_since)
        return not self.witnesses or (self._answered_at > NEVER and now - since <= _MISSED * ASK_EVERY)

    def claimed(self, addresses: Iterable[IPAddress], now: Nanos) -> None:
        """Learn that the addresses were claimed: the gateway's word is wanted for each of IPv4."""
        self.confirmed_after, self._claimed_at = NEVER, now
        self._unconfirmed = {one for one in addresses if isinstance(one, IPv4Address)} if self.gateways else set()
        if self._unconfirmed:
            self._ask_at = min(self._ask_at, now)

    def released(self) -> None:
        """Learn that no address is held any more."""
        self._unconfirmed.clear()

    def on_timer(self, now: Nanos) -> list[AskWitness | AskGateway]:
        """Return the questions that are due."""
        if now < self._ask_at:
            return []
        if now - self._claimed_at > CONFIRM_FOR:
            self._unconfirmed.clear()
        self._ask_at = Nanos(now + ASK_EVERY) if self.witnesses or self._unconfirmed else FAR
        questions: list[AskWitness | AskGateway] = [AskWitness(one) for one in self.witnesses]
        return questions + [AskGateway(to, one) for to in self.gateways for one in sorted(self._unconfirmed)]

    def echoed(self, source: IPAddress, now: Nanos) -> None:
        """Take an answer to an echo request."""
        if source in self.witnesses:
            self._answered_at = now

    def arp(self, seen: Arp, held: Iterable[IPAddress], now: Nanos) -> IPAddress | None:
        """Take an ARP packet; return one of our held addresses that somebody else claims in it."""
        if seen.sender_mac in self.macs:
            return None
        self.echoed(seen.sender, now)
        if seen.operation == 2 and seen.sender in self.gateways and seen.target_mac in self.macs:
            self._confirm(seen.target, now)
        return self._claim_of(seen.sender, held)

    def neighbour(self, seen: NeighbourSeen, held: Iterable[IPAddress], now: Nanos) -> IPAddress | None:
        """Take a neighbour advertisement; as `arp`."""
        if seen.mac in self.macs:
            return None
        self.echoed(seen.target, now)
        return self._claim_of(seen.target, held)

    def _claim_of(self, address: IPAddress, held: Iterable[IPAddress]) -> IPAddress | None:
        if address not in held:
            return None
        self.foreign += 1
        return address

    def _confirm(self, address: IPv4Address, now: Nanos) -> None:
        if address in self._unconfirmed:
            self._unconfirmed.remove(address)
            if not self._unconfirmed:
                self.confirmed_after = Nanos(now - self._claimed_at)
