"""The peer's address speaks with another key: what that means for a node that has verified nothing."""

from dataclasses import dataclass

from skd_cluster.core.model import NEVER, SECOND, Fault, FaultNote, Nanos
from skd_cluster.core.timers import FAR

KEY_HOLD = Nanos(10 * SECOND)
"""How long after its last packet a peer with another key still holds back a node that has verified nothing."""


@dataclass(slots=True)
class OtherKey:
    """When it was heard last, and whether an administrator said that it does not matter."""

    heard_at: Nanos = NEVER
    overridden: bool = False

    @property
    def deadline(self) -> Nanos:
        """When it no longer holds anybody back."""
        return Nanos(self.heard_at + KEY_HOLD) if self.heard_at else FAR

    @property
    def faults(self) -> frozenset[FaultNote]:
        """What it is to the election."""
        return frozenset({FaultNote(Fault.KEY, "the peer uses another key")}) if self.heard_at else frozenset()

    def forget(self) -> None:
        """Hold nobody back: it was silent for long enough, or the peer was verified."""
        self.heard_at = NEVER

    def override(self) -> None:
        """Never mind it from now on."""
        self.forget()
        self.overridden = True
