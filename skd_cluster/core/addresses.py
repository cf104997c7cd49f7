"""Which floating addresses are held and announced: wanted against observed, the difference as operations.

Each held address has a lifetime in the kernel and is renewed long before it ends, so that whatever happens to this
program, the kernel removes the address by itself.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from skd_cluster.core.model import NEVER, SECOND, IPAddress, Nanos, Vip, nanos
from skd_cluster.core.timers import FAR

ANNOUNCE_AT = tuple(nanos(after) for after in (0, 0.1, 0.5, 1, 2, 5))
"""Instants after a promotion. A switch that is still learning the port, or a busy neighbour, loses the first ones."""

_FIGHT_COUNT, _FIGHT_SPAN = 5, Nanos(60 * SECOND)
"""Five foreign removals in a minute: somebody else manages this address, and fighting it would only flap it."""

LONE_FACTOR = 5
"""How many times longer a lease is while the peer is known to be gone and could not take over anyway."""


class Hold(Enum):
    """What to do with floating addresses."""

    KEEP = "keep"  # not decided yet: leave what is there, touch nothing
    HOLD = "hold"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Put:
    """Add the address or renew it, for `lifetime` seconds."""

    vip: Vip
    lifetime: int


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove the address."""

    vip: Vip


@dataclass(frozen=True, slots=True)
class Announce:
    """Tell the link where the address lives."""

    vip: Vip


@dataclass(frozen=True, slots=True)
class Foreign:
    """Somebody else did something to a floating address: `removed` it from a master, or put it on another node."""

    vip: Vip
    removed: bool


@dataclass(frozen=True, slots=True)
class Fought:
    """Somebody removes the address again and again."""

    vip: Vip


AddressAction: TypeAlias = Put | Remove | Announce | Foreign | Fought


@dataclass(slots=True)
class AddressKeeper:
    """Keeps the floating addresses of one node. `vips` in the order in which they are claimed."""

    vips: tuple[Vip, ...]
    lease: int
    garp_count: int
    garp_refresh: Nanos
    hold: Hold = Hold.KEEP
    held: dict[IPAddress, Vip] = field(default_factory=dict)
    """What is on this node, by address, as the kernel shows it: prefix and label may be the product's own."""
    lone: bool = False
    _renew_at: Nanos = FAR
    _announce_at: Nanos = FAR
    _announced: int = 0
    _claimed_at: Nanos = NEVER
    _contested_at: Nanos = NEVER
    _removals: deque[Nanos] = field(default_factory=deque)

    @property
    def deadline(self) -> Nanos:
        """The next instant at which `on_timer` has something to do."""
        return min(self._renew_at, self._announce_at)

    @property
    def lifetime(self) -> int:
        """The lease in force, in seconds."""
        return self.lease * LONE_FACTOR if self.lone else self.lease

    def claim(self, now: Nanos) -> list[AddressAction]:
        """Hold every address, and announce each, again if it is held already."""
        self.hold = Hold.HOLD
        self._claimed_at, self._announced = now, 0
        return [*self._renew(now), *self._announce(now)]

    def release(self) -> list[AddressAction]:
        """Hold none."""
        self.hold = Hold.DROP
        self._renew_at = self._announce_at = FAR
        ours = {vip.address for vip in self.vips}
        return [Remove(vip) for address, vip in self.held.items() if address in ours]

    def leave(self, lease: int) -> list[AddressAction]:
        """Renew for so many seconds a last time: from then on nobody looks after them, as this node is started anew."""
        self.hold = Hold.KEEP
        self._renew_at = self._announce_at = FAR
        return [Put(self.held.get(vip.address, vip), lease) for vip in self.vips]

    def on_timer(self, now: Nanos) -> list[AddressAction]:
        """Do what is due."""
        actions: list[AddressAction] = []
        if now >= self._renew_at:
            actions += self._renew(now)
        if now >= self._announce_at:
            actions += self._announce(now)
        return actions

    def set_lone(self, lone: bool, now: Nanos) -> list[AddressAction]:  # noqa: FBT001 -- a state, not an option
        """Lengthen the lease while nobody could take over, shorten it as soon as somebody can."""
        if lone == self.lone:
            return []
        self.lone = lone
        return self._renew(now) if self.hold is Hold.HOLD else []

    def retune(self, lease: int, garp_count: int, garp_refresh: Nanos, now: Nanos) -> list[AddressAction]:
        """Take other times; what is held is renewed for the new lease."""
        shorter = garp_refresh < self.garp_refresh
        renewed, self.lease = lease != self.lease, lease
        self.garp_count, self.garp_refresh = garp_count, garp_refresh
        if self.hold is not Hold.HOLD:
            return []
        if shorter:
            self._announce_at = min(self._announce_at, Nanos(now + garp_refresh))
        return self._renew(now) if renewed else []

    def set_vips(self, vips: tuple[Vip, ...]) -> list[AddressAction]:
        """Follow the product's files: hold what is new, let go what is no longer floating."""
        gone = {vip.address for vip in self.vips} - {vip.address for vip in vips}
        new = {vip.address for vip in vips} - {vip.address for vip in self.vips}
        self.vips = vips
        actions: list[AddressAction] = []
        if self.hold is Hold.HOLD:
            actions += [Remove(self.held[address]) for address in gone if address in self.held]
            actions += [self._put(vip) for vip in vips if vip.address in new]
            actions += [Announce(vip) for vip in vips if vip.address in new]
        elif self.hold is Hold.DROP:
            actions += [Remove(self.held[address]) for address in new if address in self.held]
        return actions

    def seen(self, vip: Vip, now: Nanos, *, removed: bool, by_us: bool) -> list[AddressAction]:
        """Take note of what the kernel says about an address on this node.

        On a master a floating address that goes is added again at once, even when we caused it: removing the first address
        of a subnet takes the others with it. On a backup one that comes is removed again.
        """
        if removed:
            self.held.pop(vip.address, None)
        else:
            self.held[vip.address] = vip
        wanted = next((one for one in self.vips if one.address == vip.address), None)
        if wanted is None:
            return []
        if removed and self.hold is Hold.HOLD:
            return [self._put(wanted)] if by_us else self._restore(wanted, now)
        if by_us:
            return []
        if not removed and self.hold is Hold.DROP:
            return [Remove(vip), Foreign(vip, removed=False)]
        return []

    def contested(self, address: IPAddress, now: Nanos) -> list[AddressAction]:
        """Announce an address that somebody else has just claimed; two who both do so shall not make a storm."""
        if self.hold is not Hold.HOLD or now < self._contested_at + SECOND:
            return []
        self._contested_at = now
        return [Announce(vip) for vip in self.vips if vip.address == address]

    def _restore(self, vip: Vip, now: Nanos) -> list[AddressAction]:
        self._removals.append(now)
        while now - self._removals[0] > _FIGHT_SPAN:
            self._removals.popleft()
        if len(self._removals) > _FIGHT_COUNT:
            self._removals.clear()
            return [Fought(vip)]
        return [Foreign(vip, removed=True), self._put(vip), Announce(vip)]

    def _put(self, vip: Vip) -> Put:
        """Renew in the shape the kernel shows: another prefix or label would be another address to it."""
        return Put(self.held.get(vip.address, vip), self.lifetime)

    def _renew(self, now: Nanos) -> list[AddressAction]:
        # A quarter of the *short* lease, also while lone: the shorter one may be needed at any time.
        self._renew_at = Nanos(now + self.lease * SECOND // 4)
        return [self._put(vip) for vip in self.vips]

    def _announce(self, now: Nanos) -> list[AddressAction]:
        self._announced += 1
        schedule = ANNOUNCE_AT[: self.garp_count + 1]
        following = schedule[self._announced] if self._announced < len(schedule) else None
        self._announce_at = Nanos(now + self.garp_refresh if following is None else self._claimed_at + following)
        return [Announce(vip) for vip in self.vips]
