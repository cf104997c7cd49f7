"""What the replicator's machine may ask for."""

from dataclasses import dataclass
from typing import TypeAlias

from skd_cluster.core.manifest import Plan
from skd_cluster.core.model import DataState, DataVersion, Nanos
from skd_cluster.core.session import SMALL_FILE, SMALL_FILES, SMALL_TOTAL


@dataclass(frozen=True, slots=True)
class Connect:
    """Start a session; answer with `connected` or `lost`."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """End the session and whatever it does; nothing is to be answered."""


@dataclass(frozen=True, slots=True)
class AskPeer:
    """Ask the peer for its manifest; answer with `holds`."""


@dataclass(frozen=True, slots=True)
class Scan:
    """Read our tree at once, except what is held; answer with `scanned`."""

    hold: frozenset[str]


@dataclass(frozen=True, slots=True)
class Look:
    """Read these paths of our tree at once, except what is held; answer with `looked`."""

    keys: frozenset[str]
    hold: frozenset[str]


@dataclass(frozen=True, slots=True)
class Batch:
    """What to send, and what the peer's tree is afterwards. `since` is when the oldest change in it was made."""

    plan: Plan
    epoch: int
    version: DataVersion
    digest: str
    since: Nanos

    @property
    def small(self) -> bool:
        """Whether it goes through the session and not by rsync."""
        sizes = [self.plan.entries[key].size for key in self.plan.fetch]
        return len(sizes) <= SMALL_FILES and sum(sizes) <= SMALL_TOTAL and max(sizes, default=0) <= SMALL_FILE


@dataclass(frozen=True, slots=True)
class Send:
    """Send a batch; answer with `confirmed`, `refused`, `moved` or `lost`."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class Record:
    """Remember which version our tree is of; `durable`: also after a power loss."""

    state: DataState
    durable: bool = True


@dataclass(frozen=True, slots=True)
class Tell:
    """Say something to people. `event` is a stable word."""

    event: str
    text: str
    severity: str = "warning"


Action: TypeAlias = Connect | Disconnect | AskPeer | Scan | Look | Send | Record | Tell
