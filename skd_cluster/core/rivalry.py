"""Two masters that have met, told by the one that stays."""

from dataclasses import dataclass

from skd_cluster.core.model import NEVER, Nanos
from skd_cluster.core.peerview import PeerView


@dataclass(slots=True)
class Rivalry:
    """Since when there are two, as this node hears it."""

    since: Nanos = NEVER
    heard_at: Nanos = NEVER

    def meets(self, peer: PeerView, now: Nanos) -> bool:
        """Take a packet of the rival; return whether they have only just met, or met again."""
        met, self.heard_at = self.heard_at, now
        if self.since and now - met <= peer.patience:
            return False
        self.since = now
        return True

    def unheard(self, peer: PeerView, now: Nanos) -> bool:
        """Whether the rival had the time to hear us and did not: it cannot yield."""
        return now - self.since > peer.their_patience and not peer.hears_us(now)

    def over(self) -> bool:
        """Forget it; return whether there was one."""
        was, self.since = bool(self.since), NEVER
        return was
