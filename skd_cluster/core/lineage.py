"""Which version our tree is of, and which one both nodes last held."""

from skd_cluster.core.model import DataState, DataVersion
from skd_cluster.core.replication_actions import Record


class Lineage:
    """Numbers the states of our tree. What it returns has to be recorded before anything of it is sent."""

    def __init__(self, recorded: DataState) -> None:
        self._state = recorded
        self._above = DataVersion()

    @property
    def version(self) -> DataVersion:
        """The version of our tree."""
        return self._state.version

    @property
    def digest(self) -> str:
        """The digest of the tree that has it."""
        return self._state.digest

    @property
    def agreed(self) -> DataVersion:
        """The version that both nodes last held."""
        return self._state.agreed

    @property
    def unshared(self) -> bool:
        """Whether the peer has not confirmed all of it."""
        return self._state.unshared

    def rise_above(self, theirs: DataVersion) -> None:
        """Have the next number be above what the peer holds, or ours would seem the older one."""
        self._above = theirs

    def number(self, found: str, epoch: int) -> list[Record]:
        """Give our tree a new version if it is another than the recorded one, or if the peer's would seem newer."""
        newest = max(self.version.generation, self._above.generation)
        if found == self.digest and self._above <= self.version and newest == self.version.generation:
            return []
        self._state = DataState(DataVersion(epoch, newest + 1), found, self._state.agreed)
        return [Record(self._state)]

    def agree(self, version: DataVersion) -> list[Record]:
        """Note that the peer holds this version. A power loss may forget it: then something shared counts as unshared."""
        if self._state.agreed == version:
            return []
        self._state = DataState(self.version, self.digest, version)
        return [Record(self._state, durable=False)]
