"""The guard against deleting most of the peer's tree because ours was emptied by mistake."""

from skd_cluster.core.manifest import Manifest, Plan
from skd_cluster.core.model import Nanos, nanos
from skd_cluster.core.scope import LOOSE

TOGETHER = nanos(60)
"""Deletions within this time count as one: a large `rm -r` comes in several batches."""


class DeletionGuard:
    """Holds back a plan that deletes more than so many percent of the peer's tree, until it is allowed or undone."""

    def __init__(self, percent: int) -> None:
        self._percent = percent
        self._recent: list[tuple[Nanos, int]] = []
        self._holding = False
        self._allowed = False

    def allow(self) -> None:
        """Let the next comparison through, whatever it deletes."""
        self._allowed = True

    def settle(self) -> None:
        """Learn that both trees are equal: what was allowed is done."""
        self._allowed = False

    def confirmed(self, deleted: int, now: Nanos) -> None:
        """Count what was deleted."""
        if deleted and not self._allowed:
            self._recent.append((now, deleted))

    def holds(self, plan: Plan, theirs: Manifest, now: Nanos) -> bool:
        """Return whether the plan has to wait."""
        if self._allowed:
            self._recent.clear()
        elif not self._holding or not plan.delete:
            self._recent = [one for one in self._recent if now - one[0] < TOGETHER]
        gone = sum(count for _, count in self._recent)
        there = gone + len(theirs) - sum(key in theirs for key in LOOSE)
        too_much = (gone + len(plan.delete)) * 100 > self._percent * there
        self._holding = bool(plan.delete) and too_much and not self._allowed
        return self._holding

    @staticmethod
    def words(plan: Plan, theirs: Manifest) -> str:
        """Return what waits, and how to let it through."""
        waits = f"{len(plan.delete)} more of the peer's {len(theirs)} paths would be deleted, above max_delete"
        return f"{waits}: to do it, run skd-cluster sync --allow-delete"
