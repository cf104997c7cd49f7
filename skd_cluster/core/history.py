"""What a node kept of what replication replaced: the facts of one generation, which one is meant, what comes back.

`about.json` of a generation was written by this version or an older one: what is missing in it counts as nothing.
"""

import stat
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from skd_cluster.core.conflict import Conflict, parse_conflict
from skd_cluster.core.manifest import Entry, Kind, Manifest, compare
from skd_cluster.core.model import DataVersion
from skd_cluster.core.scope import LOOSE, Scope

_LATEST = 1e11
"""Seconds since 1970; what is later is no time."""


@dataclass(frozen=True, slots=True)
class Generation:
    """One push as its receiver wrote it down; `came` is the version that was there before.

    `before` has mode (with the type), owner and group of what was there, `made` what was not. `restored` is not empty if it
    was no push but a restore: what from. `at` is wall time, 0 if unknown. `digest` is that of the tree afterwards. `push` tells
    apart what was kept under one number: what somebody changed by hand is put right without a new generation.
    """

    number: int
    epoch: int = 0
    at: float = 0.0
    came: DataVersion = field(default_factory=DataVersion)
    before: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    made: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    conflict: Conflict | None = None
    restored: str = ""
    digest: str = ""
    push: int = 1

    @property
    def name(self) -> str:
        """What people call it: `41`, and `41-2` for the second push of that generation."""
        return str(self.number) if self.push == 1 else f"{self.number}-{self.push}"

    @property
    def version(self) -> DataVersion:
        """The version that there was afterwards."""
        return DataVersion(self.epoch, self.number)

    @property
    def changed(self) -> tuple[str, ...]:
        """Paths that were there before and after."""
        others = {*self.made, *self.deleted}
        return tuple(sorted(key for key in self.before if key not in others))

    @property
    def removed(self) -> tuple[str, ...]:
        """Paths that were there and went; a deletion of what was not there is none."""
        return tuple(sorted(key for key in self.deleted if key in self.before or self._inside_moved(key)))

    def _inside_moved(self, key: str) -> bool:
        """Return whether a folder above it went as a whole, to make room for something else."""
        above = key.rpartition("/")[0]
        return bool(above) and (self._was_folder(above) or self._inside_moved(above))

    def _was_folder(self, key: str) -> bool:
        return key in self.before and stat.S_ISDIR(self.before[key][0])


def parse(number: int, found: Any, push: int = 1) -> Generation:
    """Read an `about.json`. Never raises: what is not as it should be is left out."""
    if not isinstance(found, dict):
        return Generation(number, push=push)
    came = found.get("from")
    version = DataVersion(*map(_whole, came)) if isinstance(came, list) and len(came) == 2 else DataVersion()
    before = found.get("before")
    return Generation(
        number,
        _whole(found.get("epoch")),
        _seconds(found.get("at")),
        version,
        {str(key): _attributes(one) for key, one in before.items()} if isinstance(before, dict) else {},
        _keys(found.get("made")),
        _keys(found.get("deleted")),
        parse_conflict(found.get("conflict")),
        str(found.get("restored") or ""),
        str(found.get("digest") or ""),
        push,
    )


def _whole(found: Any) -> int:
    return found if isinstance(found, int) else 0


def _seconds(found: Any) -> float:
    return float(found) if isinstance(found, int | float) and 0 < found < _LATEST else 0.0


def _keys(found: Any) -> tuple[str, ...]:
    return tuple(sorted(str(one) for one in found)) if isinstance(found, list) else ()


def _attributes(found: Any) -> tuple[int, int, int]:
    mode, uid, gid = (*map(_whole, found), 0, 0, 0)[:3] if isinstance(found, list) else (0, 0, 0)
    return mode, uid, gid


def same_push(earlier: Generation, version: DataVersion, held: DataVersion) -> bool:
    """Return whether a push of `version` onto `held` is another try of an earlier one, whose history it then adds to.

    One that came to its end is over: what a later one of the same generation replaces was changed since, and is news. So it
    is if the conflict of the earlier one was dealt with.
    """
    over = bool(earlier.restored) or (earlier.conflict is not None and earlier.conflict.resolved)
    return not over and (earlier.version, earlier.came) == (version, held)


def merged(old: Any, new: dict[str, Any]) -> dict[str, Any]:
    """Return one `about.json` for two tries of the same generation: what the first one found was there before."""
    if not isinstance(old, dict):
        return new
    was, then = parse(0, old), parse(0, new)
    before = {key: one for key, one in then.before.items() if key not in was.made} | dict(was.before)
    made = {*was.made, *(key for key in then.made if key not in was.before)}
    deleted = {*then.deleted, *(key for key in was.deleted if key not in then.made)}
    found = {**old, **new, "before": {key: list(one) for key, one in before.items()}}
    found |= {"made": sorted(made), "deleted": sorted(deleted)}
    return found | ({"from": old["from"]} if "from" in old else {})


def kept_manifest(generation: Generation, found: Manifest) -> dict[str, Entry]:
    """Return what can come back, from what lies in the generation's folder (`found`).

    Folders in there are the way to what was kept, under a mode of their own, unless they went as a whole.
    """
    kept = {key: entry for key, entry in found.items() if key in generation.before or key in generation.deleted}
    for key, (mode, uid, gid) in generation.before.items():
        if stat.S_ISDIR(mode) and key not in generation.made:
            kept[key] = Entry(Kind.FOLDER, stat.S_IMODE(mode), uid, gid)
    return kept


# --- which one is meant ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Keeper:
    """A node, as people may call it."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Place:
    """A generation and the node that keeps it."""

    keeper: Keeper
    generation: Generation

    @property
    def label(self) -> str:
        """What names it among those of both nodes."""
        return f"{self.generation.name}@{self.keeper.name}"


class ChoiceError(LookupError):
    """What was asked for is not there, or there twice; the text says what to type."""


class AbsentError(ChoiceError):
    """It is not there."""


def choose(wanted: str, places: Sequence[Place]) -> Place:
    """Return the generation that is meant by `41`, `41-2`, `3.41`, `41@lb2` or a conflict's name. Raises ChoiceError."""
    found = [one for one in places if _meant(wanted, one)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise AbsentError(f"no generation or conflict {wanted}: skd-cluster history list shows which there are")
    names = {one.keeper.name for one in found}
    labels = [one.label if len(names) == len(found) else f"{one.generation.name}@{one.keeper.address}" for one in found]
    raise ChoiceError(f"{wanted} is there {len(found)} times: say {' or '.join(labels)}")


def _meant(wanted: str, place: Place) -> bool:
    generation = place.generation
    if generation.conflict is not None and generation.conflict.name == wanted:
        return True
    number, _, keeper = wanted.partition("@")
    if keeper and keeper not in (place.keeper.name, place.keeper.address):
        return False
    return number in (generation.name, f"{generation.epoch}.{generation.name}")


# --- what comes back ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What the master has to do. `chosen` is all that shall be as it was, `left` what was made and stays."""

    entries: Mapping[str, Entry]
    fetch: tuple[str, ...]
    delete: tuple[str, ...]
    chosen: frozenset[str]
    left: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Whether everything is already as it was."""
        return not self.entries and not self.delete


def within(key: str, wanted: Collection[str]) -> bool:
    """Return whether a key is one of the wanted ones or below one; all are if none is named."""
    return not wanted or any(key == one or key.startswith(f"{one}/") for one in wanted)


def strangers(wanted: Iterable[str], known: Collection[str]) -> list[str]:
    """Return the wanted paths of which none is known: most likely misspelled."""
    return [one for one in wanted if not any(within(key, [one]) for key in known)]


def plan_restore(
    generation: Generation, kept: Manifest, now: Manifest, scope: Scope, wanted: Collection[str], *, exact: bool
) -> RestorePlan:
    """Plan what makes `now`, the master's tree, as it was before a generation. `exact` removes what that one made."""
    chosen = {key: entry for key, entry in kept.items() if within(key, wanted)}
    chosen |= attributes_only(generation, kept, now, wanted)
    for key in list(chosen):
        for above in _above(scope, key):
            if above not in now or now[above].kind is not Kind.FOLDER:
                chosen.setdefault(above, kept.get(above, Entry(Kind.FOLDER, 0o755, 0, 0)))
    plan = compare({**now, **chosen}, now)
    made = [key for key in generation.made if within(key, wanted) and key in now and key not in chosen]
    delete = _deletable(made, now) if exact else []
    left = tuple(key for key in made if key not in set(delete))
    return RestorePlan(plan.entries, plan.fetch, tuple(delete), frozenset(chosen), left)


def settles(generation: Generation, plan: RestorePlan, now: Manifest) -> bool:
    """Return whether after a restore all is as it was that the conflict of a generation replaced.

    What this node had deleted, and the push made again, has to be gone.
    """
    if generation.conflict is None or generation.conflict.resolved:
        return False
    gone = {key for key in generation.made if key in plan.delete or key not in now}
    return all(key in plan.chosen or key in gone for key in generation.conflict.keys)


def attributes_only(generation: Generation, kept: Manifest, now: Manifest, wanted: Collection[str]) -> dict[str, Entry]:
    """Return files of which only mode or owner was changed: their content was not kept, since it is still there."""
    found = {}
    for key, (mode, uid, gid) in generation.before.items():
        here = now.get(key)
        if key in kept or key in generation.made or not stat.S_ISREG(mode) or not within(key, wanted):
            continue
        if here is not None and here.kind is Kind.FILE:
            found[key] = replace(here, mode=stat.S_IMODE(mode), uid=uid, gid=gid)
    return found


def _above(scope: Scope, key: str) -> Iterable[str]:
    above = key.rpartition("/")[0]
    while scope.root_of(above) is not None:
        yield above
        above = above.rpartition("/")[0]


def _deletable(made: Sequence[str], now: Manifest) -> list[str]:
    """Return what may go, deepest first: a folder only if all in it goes as well."""
    staying = {key for key in now if key not in set(made) or key in LOOSE}
    holding = {key[:at] for key in staying for at, char in enumerate(key) if char == "/"}
    free = [key for key in made if key not in holding and key not in LOOSE]
    return sorted(free, key=lambda key: (-key.count("/"), key))
