"""Puts what was kept back into the tree of the master, which then replicates it as it does every change."""

from collections.abc import Callable
from pathlib import Path

from skd_cluster.adapters.apply import Applier, RefusedError
from skd_cluster.adapters.clock import wall
from skd_cluster.adapters.datastate import BusyError, read_state, tree_lock
from skd_cluster.adapters.fence import Fence
from skd_cluster.adapters.history import History
from skd_cluster.adapters.past import Past
from skd_cluster.adapters.staging import Staging
from skd_cluster.adapters.tree import Tree
from skd_cluster.core.manifest import unpack_manifest
from skd_cluster.core.model import Role, nanos
from skd_cluster.core.session import Refusal, Restore

_PATIENCE = nanos(5)
"""For the replicator to write down a version, which takes a moment."""


class Restorer:
    """The master's side of a restore. `fence` is what the running service says; it raises RefusedError."""

    def __init__(self, state_dir: Path, tree: Tree, staging: Staging, fence: Callable[[], Fence]) -> None:
        self._state_dir = state_dir
        self._tree = tree
        self._staging = staging
        self._fence = fence

    def admit(self) -> None:
        """Refuse unless this node is master: whatever another role wrote, the master would overwrite."""
        role = self._fence().role
        if role is not Role.MASTER:
            raise RefusedError(Refusal.NOT_MASTER, f"this node is {role.word}: only the master takes what is restored")

    def restore(self, message: Restore, history: History) -> list[str]:
        """Do it; return deletions left undone, with why. What it replaces is a generation of its own. Raises RefusedError."""
        entries, delete = unpack_manifest(message.entries), [str(key) for key in message.delete]
        try:
            with tree_lock(self._state_dir, _PATIENCE):
                fence = self._fence()
                self.admit()  # again: the role may have changed while the contents came
                held = read_state(self._state_dir).version
                # The number this change will have; above all that is kept, two generations must not mix.
                number = max([held.generation, *(one for one, _ in Past(history.folder).pushes()[:1])]) + 1
                kept = history.generation(number)
                about = {"epoch": fence.epoch, "generation": number, "at": wall(), "restored": message.source}
                facts = about | {"from": [held.epoch, held.generation]}
                return Applier(self._tree, self._staging, kept, facts).apply(
                    entries, [str(key) for key in message.fetch], delete
                )
        except BusyError as error:
            raise RefusedError(Refusal.BUSY, str(error)) from error
