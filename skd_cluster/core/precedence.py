"""Who goes first when nobody is master: the rule of a cold start."""

from dataclasses import dataclass

from skd_cluster.core.actions import Identity
from skd_cluster.core.model import DataVersion, Reason
from skd_cluster.core.wire import Advert, Flag


@dataclass(frozen=True, slots=True)
class Claimant:
    """What a node brings: its configuration, and whether the address is up on it already."""

    me: Identity
    data: DataVersion
    present: bool

    def goes_first(self, peer: Advert) -> bool:
        """Newer configuration, then an address that is up already, then priority, then the lower address."""
        theirs = (peer.data, Flag.PRESENT in peer.flags, peer.priority)
        ours = (self.data, self.present, self.me.priority)
        return self.me.lower if ours == theirs else ours > theirs

    def reason(self, peer: Advert | None) -> Reason:
        """Return why, for people."""
        if peer is not None and self.data > peer.data:
            return Reason.FRESHER
        if self.present:
            return Reason.ADDRESS_PRESENT
        return Reason.START if peer is None else Reason.ELECTED

    def wants_mastership(self, master: Advert) -> bool:
        """Whether it outranks the master, and would not replicate yesterday over today."""
        return self.me.preempt and self.me.priority > master.priority and self.data >= master.data


def epoch_above(seen: int, me: Identity) -> int:
    """Return the next epoch of this node: odd for the lower address, even for the other.

    So two masters that never met share none, and neither do their configurations.
    """
    return seen + 1 + (seen % 2 == me.lower)
