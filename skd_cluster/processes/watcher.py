"""The elector's eyes on the neighbourhood: witnesses, the gateway's word, foreign claims to our addresses."""

from collections.abc import Iterable
from dataclasses import dataclass

from skd_cluster.adapters.neighbours import NeighbourSockets
from skd_cluster.core.frames import Arp, arp_request
from skd_cluster.core.icmp import NeighbourSeen
from skd_cluster.core.model import IPAddress, Nanos
from skd_cluster.core.neighbours import AskGateway, AskWitness, Neighbourhood


@dataclass(slots=True)
class NeighbourWatcher:
    """Joins `core.neighbours` to its sockets. `local` is the node's own address."""

    neighbourhood: Neighbourhood
    sockets: NeighbourSockets
    local: IPAddress

    def follow(self, held: Iterable[IPAddress], mac: bytes, now: Nanos) -> list[IPAddress]:
        """Take in what was heard; return held addresses that somebody else claims, each once."""
        self.neighbourhood.macs = frozenset((mac,)) if mac else frozenset()
        claimed: dict[IPAddress, None] = {}
        for heard in self.sockets.receive():
            match heard:
                case Arp():
                    found = self.neighbourhood.arp(heard, held, now)
                case NeighbourSeen():
                    found = self.neighbourhood.neighbour(heard, held, now)
                case _:
                    self.neighbourhood.echoed(heard, now)
                    found = None
            if found is not None:
                claimed[found] = None
        return list(claimed)

    def on_timer(self, mac: bytes, now: Nanos) -> None:
        """Ask what is due."""
        for question in self.neighbourhood.on_timer(now):
            match question:
                case AskWitness(address):
                    self.sockets.ping(address)
                    if address.version == 4 and self.local.version == 4 and mac:
                        # A gateway that does not answer ping still answers ARP.
                        self.sockets.send_frame(arp_request(address, self.local, mac))
                case AskGateway(gateway, sender):
                    if mac:
                        self.sockets.send_frame(arp_request(gateway, sender, mac))
