"""The elector's hands: what `core.addresses` wants done to the kernel, and what the kernel tells about it."""

import errno
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from skd_cluster.adapters.netlink import Netlink, reason
from skd_cluster.adapters.rawlink import RawLink
from skd_cluster.core.addresses import AddressAction, AddressKeeper, Announce, Foreign, Fought, Put, Remove
from skd_cluster.core.frames import announcement
from skd_cluster.core.messages import Note
from skd_cluster.core.model import SECOND, Fault, FaultNote, IPAddress, Nanos, Vip
from skd_cluster.core.netlink import AddressSeen, LinkSeen

_REFUSED_FOR = Nanos(10 * SECOND)
"""How long a node stays out after the kernel refused an address, or somebody fought for it, before it may try again."""

_GONE = (errno.EADDRNOTAVAIL, errno.ENODEV)


@dataclass(slots=True)
class AddressHolder:
    """Performs address actions and follows links and addresses. Call `refresh` once before anything else."""

    keeper: AddressKeeper
    netlink: Netlink
    raw: RawLink
    links: dict[str, LinkSeen] = field(default_factory=dict)
    present: set[IPAddress] = field(default_factory=set)
    renewals: int = 0
    foreign: int = 0
    notes: list[Note] = field(default_factory=list)
    """For the supervisor; whoever drives this object takes them away."""
    _names: dict[int, str] = field(default_factory=dict)
    _trouble: dict[FaultNote, Nanos] = field(default_factory=dict)

    @property
    def troubled(self) -> bool:
        """Whether the kernel refused something lately, or somebody fights for an address."""
        return bool(self._trouble)

    def refresh(self, now: Nanos) -> None:
        """Read everything from the kernel, at the start and after it lost events."""
        self.links.clear()
        for link in self.netlink.links():
            self._on_link(link)
        self.present.clear()
        self.keeper.held.clear()
        for seen in self.netlink.addresses():
            self._on_address(seen, now)

    def follow(self, now: Nanos) -> None:
        """Take in what the kernel has to tell, and answer it."""
        for event in self.netlink.events():
            match event:
                case None:
                    self.refresh(now)
                case LinkSeen():
                    self._on_link(event)
                case AddressSeen():
                    self._on_address(event, now)

    def perform(self, actions: Iterable[AddressAction], now: Nanos) -> None:
        """Do it, additions and removals in one call to the kernel each; announcements last."""
        chosen = list(actions)
        removals = [one.vip for one in chosen if isinstance(one, Remove)]
        if removals:
            self._refused(self.netlink.remove(list(self._indexed(removals))), now, ignore=_GONE)
        puts = [one for one in chosen if isinstance(one, Put)]
        if puts:
            self._put(puts, now)
        for one in chosen:
            match one:
                case Announce(vip):
                    self._announce(vip)
                case Foreign(vip, removed):
                    self.foreign += 1
                    self._note_foreign(vip, removed=removed)
                case Fought(vip):
                    self._trouble[FaultNote(Fault.ADDRESS_FOUGHT, f"somebody keeps removing {vip.address}")] = Nanos(
                        now + 6 * _REFUSED_FOR
                    )
                case Put() | Remove():
                    pass  # done above

    def claimed_by_another(self, address: IPAddress, now: Nanos) -> None:
        """Answer a foreign claim to an address we hold: announce ours again, at most once a second."""
        self.perform(self.keeper.contested(address, now), now)
        text = f"another machine claims {address} by ARP or neighbour advertisement; announced again"
        self.notes.append(Note("foreign_arp", text, "warning", {"ADDRESS": str(address)}))

    def faults(self, watched: Iterable[str], local: IPAddress, now: Nanos) -> Iterator[FaultNote]:
        """Yield what is wrong with links and addresses."""
        for name in watched:
            link = self.links.get(name)
            if link is None:
                yield FaultNote(Fault.INTERFACE, f"{name} does not exist")
            elif not link.running:
                yield FaultNote(Fault.INTERFACE, f"{name} has no carrier or is down")
        if local not in self.present:
            yield FaultNote(Fault.LOCAL_ADDRESS, f"local_ip {local} is not on this host")
        for trouble, until in list(self._trouble.items()):
            if now < until:
                yield trouble
            else:
                del self._trouble[trouble]

    def _indexed(self, vips: Iterable[Vip]) -> Iterator[tuple[Vip, int]]:
        for vip in vips:
            link = self.links.get(vip.interface)
            if link is not None:
                yield vip, link.index

    def _put(self, puts: list[Put], now: Nanos) -> None:
        wanted = []
        for one in puts:
            link = self.links.get(one.vip.interface)
            if link is None:
                self._refused([(one.vip, errno.ENODEV)], now)
            else:
                wanted.append((one.vip, link.index, one.lifetime))
        refused = self.netlink.put(wanted)
        self.renewals += len(wanted) - len(refused)
        self._refused(refused, now)

    def _refused(self, refused: list[tuple[Vip, int]], now: Nanos, ignore: tuple[int, ...] = ()) -> None:
        for vip, number in refused:
            if number not in ignore:
                words = f"{vip}: {reason(number)}"
                self._trouble[FaultNote(Fault.ADDRESS_REFUSED, words)] = Nanos(now + _REFUSED_FOR)

    def _announce(self, vip: Vip) -> None:
        link = self.links.get(vip.interface)
        if link is not None and len(link.mac) == 6:
            self.raw.send(vip.interface, announcement(vip.address, link.mac))

    def _note_foreign(self, vip: Vip, *, removed: bool) -> None:
        if removed:
            text = f"{vip} was removed by somebody else; added again and announced"
            self.notes.append(Note("address_restored", text, "warning", {"ADDRESS": str(vip.address)}))
        else:
            text = f"{vip} appeared on this node, which is not master; removed"
            self.notes.append(Note("address_guarded", text, "warning", {"ADDRESS": str(vip.address)}))

    def _on_link(self, link: LinkSeen) -> None:
        known = self._names.get(link.index)
        if known is not None and (link.removed or known != link.name):
            self.links.pop(known, None)
        if link.removed:
            self._names.pop(link.index, None)
        else:
            self._names[link.index] = link.name
            self.links[link.name] = link

    def _on_address(self, seen: AddressSeen, now: Nanos) -> None:
        if seen.removed:
            self.present.discard(seen.address)
        else:
            self.present.add(seen.address)
        vip = seen.vip(self._names.get(seen.index, ""))
        by_us = seen.requester == self.netlink.port_id
        self.perform(self.keeper.seen(vip, now, removed=seen.removed, by_us=by_us), now)
