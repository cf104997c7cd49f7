"""All that an elector says and hears: the native packets, and a standard's beside them if one is configured."""

from collections.abc import Iterable
from dataclasses import dataclass

from skd_cluster.core.messages import Note
from skd_cluster.core.model import Nanos
from skd_cluster.core.timers import FAR
from skd_cluster.processes.advertiser import Advertiser
from skd_cluster.processes.standardvoice import StandardVoice


@dataclass(frozen=True, slots=True)
class Voices:
    """What the loop asks of both."""

    native: Advertiser
    standard: StandardVoice | None = None

    @property
    def deadline(self) -> Nanos:
        """When to try a refused socket again."""
        return min(self.native.deadline, self.standard.path.deadline if self.standard is not None else FAR)

    @property
    def fault(self) -> str:
        """Why nothing can be heard or said on the main path or in the standard; empty if all is well."""
        return self.native.fault or (self.standard.path.fault if self.standard is not None else "")

    @property
    def drained(self) -> bool:
        """Whether all that had arrived was taken."""
        return self.native.drained and (self.standard is None or self.standard.drained)

    @property
    def pestered(self) -> bool:
        """Whether something was dropped that the peer has not sent, or not now."""
        return self.native.pestered or (self.standard is not None and self.standard.pestered)

    @property
    def beside_silence(self) -> bool:
        """Whether the standard decides, whose backups are silent and take over all the same."""
        return self.standard is not None and self.standard.machine.standard

    def filenos(self) -> list[int]:
        """Return the descriptors, for select."""
        return [*self.native.filenos(), *(self.standard.path.filenos() if self.standard is not None else ())]

    def open(self, now: Nanos) -> None:
        """Open what is closed and due."""
        self.native.open(now)
        if self.standard is not None:
            self.standard.path.open(now)

    def attach(self, index: int) -> None:
        """Follow the interface: one that went away and came back is another one to a socket that was bound to it."""
        if self.standard is not None:
            self.standard.attach(index)

    def notes(self) -> Iterable[Note]:
        """Return what people should know, once."""
        return self.standard.tell() if self.standard is not None else ()
