"""The tree as it was right after an earlier generation: what came since is undone step by step, the newest first.

Each push wrote down from which version its receiver came and what was there before, on whichever node was backup then. So the
steps of both nodes' histories together lead back, as far as all of them are kept. The digest that each push left behind tells
whether what was computed is the tree of then.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from skd_cluster.core.conflict import ConflictKind
from skd_cluster.core.history import AbsentError, ChoiceError, Place, attributes_only, choose
from skd_cluster.core.manifest import Entry, Kind, Manifest, digest
from skd_cluster.core.model import DataVersion
from skd_cluster.core.scope import LOOSE


def pushes(places: Sequence[Place]) -> list[Place]:
    """Return what leads back.

    A restore is kept once more by the push that it became. A push of the version that was there already leads nowhere: it
    put right what somebody had changed by hand.
    """
    return [one for one in places if not one.generation.restored and one.generation.came < one.generation.version]


def aim(wanted: str, places: Sequence[Place]) -> tuple[DataVersion, str]:
    """Return which version is meant, and what to call it: a generation that is kept, or one before it. Raises ChoiceError."""
    try:
        place = choose(wanted, pushes(places))
    except AbsentError:
        came = sorted({one.generation.came for one in places if one.generation.came.generation})
        found = [one for one in came if wanted in (str(one.generation), _words(one))]
        if not found:
            raise
        if len(found) > 1:
            words = " or ".join(map(_words, found))
            raise ChoiceError(f"{wanted} is there {len(found)} times: say {words}") from None
        return found[0], _words(found[0])
    return place.generation.version, place.label


@dataclass(slots=True)
class Rewind:
    """A tree on its way back, beginning as the master's `tree` is now, of its `version`.

    `sources` says for what was undone where its content is kept. `doubtful` are paths that somebody had changed by hand on
    the backup: what the push replaced there was not the pair's.
    """

    places: Sequence[Place]
    tree: dict[str, Entry]
    version: DataVersion
    sources: dict[str, Place] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)

    def steps(self) -> list[Place]:
        """Return what has to be undone next, in this order, by `undo`. Raises ChoiceError: the history ends here.

        A push that failed in the middle was followed by another one, which came from the same version: they go together.
        """
        newest = next((one for one in self.places if one.generation.version == self.version), None) or self._alike()
        if newest is None:
            words = f"no node that answers keeps what led to generation {_words(self.version)}"
            raise ChoiceError(f"{words}: the history does not reach further back")
        came, version = newest.generation.came, newest.generation.version
        if version != self.version:
            self.version = version
            return []
        return sorted(
            (one for one in self.places if one.keeper == newest.keeper and came < one.generation.version <= version),
            key=lambda one: (one.generation.version, one.generation.push),
            reverse=True,
        )

    def _alike(self) -> Place | None:
        """Return the newest one with this same tree: a change that was taken back before it was sent is kept nowhere."""
        now = digest(self.tree)
        same = [one for one in self.places if one.generation.digest == now and one.generation.version < self.version]
        return max(same, key=lambda one: one.generation.version, default=None)

    def undo(self, steps: Sequence[tuple[Place, Manifest]]) -> None:
        """Undo what `steps` returned, each with what is kept of it.

        What only the backup had when a push came was changed there by hand, and then it is left as it is; or it was the
        rest of a push that failed, and then it is undone as well. The digest of then says which.
        """
        if not steps:
            return
        self.version = steps[0][0].generation.came
        best = self._undone(steps, own=False)
        if not best.exact():
            whole = self._undone(steps, own=True)
            best = whole if whole.exact() else best
        self.tree, self.sources, self.doubtful = best.tree, best.sources, best.doubtful

    def _undone(self, steps: Sequence[tuple[Place, Manifest]], *, own: bool) -> "Rewind":
        """Return it after these steps; with `own` what somebody may have changed by hand is undone like the rest."""
        found = Rewind(self.places, dict(self.tree), self.version, dict(self.sources), set(self.doubtful))
        for place, kept in steps:
            conflict = place.generation.conflict
            drift = conflict is not None and conflict.kind is ConflictKind.DRIFT and not own
            found._undo(place, kept, set(conflict.keys) if conflict is not None and drift else set())
        return found

    def _undo(self, place: Place, kept: Manifest, leave: set[str]) -> None:
        self.doubtful |= leave
        before = {**attributes_only(place.generation, kept, self.tree, ()), **kept}
        for key in {*place.generation.made} - leave - LOOSE:
            self.tree.pop(key, None)
        for key in before.keys() - leave - LOOSE:
            self.tree[key] = before[key]
            if key in kept and before[key].kind is Kind.FILE:
                self.sources[key] = place

    def exact(self) -> bool | None:
        """Return whether this is the tree of its version to the last bit; None if nobody wrote down what that was."""
        known = {one.generation.digest for one in self.places if one.generation.version == self.version}
        known.discard("")
        return digest(self.tree) in known if known else None


def beyond(version: DataVersion, target: DataVersion) -> ChoiceError:
    """Say that the way back leads past a version."""
    words = f"the tree right after generation {_words(target)} is not kept: the backup never had it"
    return ChoiceError(f"{words}; it had that of {_words(version)}")


def _words(version: DataVersion) -> str:
    return f"{version.epoch}.{version.generation}"
