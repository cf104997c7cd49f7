"""Our tree and the peer's, and where they differ: followed change by change, so that an edit costs the same in any tree."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from skd_cluster.core.ledger import Ledger, within
from skd_cluster.core.manifest import Entry, Manifest, Plan, differing, differs, filled, plan_of, unknown_at


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a tree as it was found: `manifest` is there, and it is all there is at and in the paths of `whole`.

    Nothing is known of `unreadable` (and why) and of `changing`.
    """

    manifest: Manifest
    whole: Collection[str]
    unreadable: Mapping[str, str]
    changing: frozenset[str]


class Comparison:
    """What is known of both. `ours` and `theirs` are None until they were read."""

    def __init__(self) -> None:
        self.ours: Ledger | None = None
        self.theirs: Ledger | None = None
        self.unreadable: dict[str, str] = {}
        self._changing: frozenset[str] = frozenset()
        self._differing: set[str] = set()

    @property
    def known(self) -> bool:
        """Whether both were read."""
        return self.ours is not None and self.theirs is not None

    @property
    def unknown(self) -> frozenset[str]:
        """Paths of ours of which nothing may be concluded."""
        return self._changing | self.unreadable.keys()

    @property
    def digest(self) -> str:
        """The digest of ours, what is unknown taken as it was."""
        return (self.ours or Ledger()).digest

    def read(self, manifest: Manifest, unreadable: Mapping[str, str], changing: Collection[str]) -> None:
        """Learn all of ours."""
        self.unreadable, self._changing = dict(unreadable), frozenset(changing)
        before = self.ours or self.theirs or Ledger()
        self.ours = self.ours or Ledger()
        self.ours.become(filled(manifest, before.entries, self.unknown))
        self._compare()

    def looked(self, part: Part) -> None:
        """Learn a part of ours. What was unknown there is known now, or said again."""
        seen = {key for key in self.unknown if key in part.manifest or within(key, part.whole)}
        self.unreadable = {key: words for key, words in self.unreadable.items() if key not in seen}
        self.unreadable |= part.unreadable
        self._changing = (self._changing - seen) | part.changing
        if self.ours is not None:
            self._judge(self.ours.take(part.manifest, part.whole, {*part.unreadable, *part.changing}))

    def holds(self, manifest: Manifest) -> None:
        """Learn all of theirs."""
        self.theirs = Ledger(manifest)
        self._compare()

    def forget(self) -> None:
        """Learn that theirs may be another by now."""
        self.theirs = None
        self._differing = set()

    def confirmed(self, plan: Plan) -> None:
        """Learn that the peer carried out a plan."""
        if self.theirs is not None:
            self.theirs.carry_out(plan)
            self._judge((*plan.entries, *plan.delete))

    def plan(self, held: Collection[str]) -> Plan:
        """Return what the peer has to do, but for what is unknown, or held because it is being written."""
        left_out = self.unknown.union(held)
        keys = (key for key in self._differing if not unknown_at(key, left_out))
        return plan_of(keys, _entries(self.ours), _entries(self.theirs))

    def _compare(self) -> None:
        self._differing = differing(_entries(self.ours), _entries(self.theirs)) if self.known else set()

    def _judge(self, keys: Iterable[str]) -> None:
        """Look again whether these differ."""
        if not self.known:
            return
        ours, theirs = _entries(self.ours), _entries(self.theirs)
        for key in keys:
            if differs(key, ours, theirs):
                self._differing.add(key)
            else:
                self._differing.discard(key)


def _entries(ledger: Ledger | None) -> dict[str, Entry]:
    return {} if ledger is None else ledger.entries
