"""A manifest that changes, with the digest of its tree always at hand: a change costs the same however large the tree is.

The digest (`core.manifest.digest`) is made from a sum, so an entry is put in and taken out without looking at the others.
"""

from collections.abc import Collection

from skd_cluster.core.manifest import MODULUS, Entry, Kind, Manifest, Plan, digest_of, unknown_at, weight
from skd_cluster.core.scope import LOOSE


class Ledger:
    """The entries of one tree. `entries` is for reading."""

    def __init__(self, manifest: Manifest | None = None) -> None:
        self.entries: dict[str, Entry] = {}
        self._total = 0
        self._count = 0
        self.become(manifest or {})

    @property
    def digest(self) -> str:
        """The digest of the tree, as both nodes must have it."""
        return digest_of(self._count, self._total)

    def put(self, key: str, entry: Entry) -> None:
        """Have a path be this."""
        self._weigh(key, self.entries.get(key), entry)
        self.entries[key] = entry

    def drop(self, key: str) -> None:
        """Have a path be no more. Harmless if it is not there."""
        self._weigh(key, self.entries.pop(key, None), None)

    def become(self, manifest: Manifest) -> None:
        """Have the whole tree be this. What is the same costs no hashing."""
        for key in self.entries.keys() - manifest.keys():
            self.drop(key)
        for key, entry in manifest.items():
            self.put(key, entry)

    def below(self, places: Collection[str]) -> set[str]:
        """Return those of these paths that there are, with all in them."""
        found = {key for key in places if key in self.entries}
        if any(self.entries[key].kind is Kind.FOLDER for key in found):
            found |= {key for key in self.entries if within(key, found)}
        return found

    def take(self, manifest: Manifest, whole: Collection[str], unknown: Collection[str]) -> set[str]:
        """Learn a part of the tree: `manifest` is found, and all there is at and in `whole`; nothing of `unknown`.

        Returns the paths that may be others than before.
        """
        gone = {key for key in self.below(whole) if key not in manifest and not unknown_at(key, unknown)}
        found = {key: entry for key, entry in manifest.items() if not unknown_at(key, unknown)}
        for key in gone:
            self.drop(key)
        for key, entry in found.items():
            self.put(key, entry)
        return gone | found.keys()

    def digest_after(self, plan: Plan) -> str:
        """Return the digest this tree will have when a plan is carried out on it."""
        count, total = self._count, self._total
        for key in (*plan.delete, *plan.entries):
            more, heavier = _change(key, self.entries.get(key), plan.entries.get(key))
            count, total = count + more, total + heavier
        return digest_of(count, total)

    def carry_out(self, plan: Plan) -> None:
        """Learn that a plan was carried out on this tree."""
        for key in plan.delete:
            self.drop(key)
        for key, entry in plan.entries.items():
            self.put(key, entry)

    def _weigh(self, key: str, before: Entry | None, after: Entry | None) -> None:
        more, heavier = _change(key, before, after)
        self._count += more
        self._total = (self._total + heavier) % MODULUS


def _change(key: str, before: Entry | None, after: Entry | None) -> tuple[int, int]:
    """Return how much greater the count and the sum become."""
    if before is after or before == after or key in LOOSE:
        return 0, 0
    more = (after is not None) - (before is not None)
    return more, _number(key, after) - _number(key, before)


def _number(key: str, entry: Entry | None) -> int:
    return 0 if entry is None else weight(key, entry)


def within(key: str, places: Collection[str]) -> bool:
    """Return whether a path is one of these or in one of them."""
    while key:
        if key in places:
            return True
        key = key.rpartition("/")[0]
    return False
