"""Changes of this node that another master's push replaces: found before it does, kept under a name.

A push makes this tree the master's. What differs here from what both nodes last held is this node's own: typed while it was
master alone (`split`), or by hand on a backup (`drift`). The history keeps the contents anyway; a conflict says which of them
somebody may miss.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum, unique
from typing import Any

from skd_cluster.core.manifest import Entry
from skd_cluster.core.scope import LOOSE


@unique
class ConflictKind(StrEnum):
    """How this node came to changes of its own."""

    SPLIT = "split"
    DRIFT = "drift"

    @property
    def words(self) -> str:
        """For people."""
        return "while both nodes were master" if self is ConflictKind.SPLIT else "by hand on a backup"


@dataclass(frozen=True, slots=True)
class Conflict:
    """What one push replaced of this node's own."""

    name: str
    kind: ConflictKind
    keys: tuple[str, ...]
    resolved: bool = False

    def facts(self) -> dict[str, Any]:
        """Return it for `about.json`."""
        return {"name": self.name, "kind": self.kind.value, "keys": list(self.keys), "resolved": self.resolved}

    @property
    def text(self) -> str:
        """Say it in one line, with what to type."""
        few = ", ".join(self.keys[:3]) + (", …" if len(self.keys) > 3 else "")
        return (
            f"conflict {self.name}: {len(self.keys)} of this node's own changes, made {self.kind.words}, give way to the "
            f"master's and are kept: {few}; see skd-cluster history show {self.name}"
        )


def joined(earlier: Conflict | None, found: Conflict | None) -> Conflict | None:
    """Return what an earlier attempt at the same push found, with what this one found: under the name already told.

    One that somebody has dealt with is over: what is found in the same generation later is news, with a name of its own.
    """
    if earlier is None or earlier.resolved:
        return found
    if found is None:
        return earlier
    return replace(earlier, keys=tuple(sorted({*earlier.keys, *found.keys})))


def parse_conflict(found: Any) -> Conflict | None:
    """Read `facts` back; None for anything else."""
    try:
        keys = tuple(str(key) for key in found["keys"])
        return Conflict(str(found["name"]), ConflictKind(found["kind"]), keys, found["resolved"] is True)
    except (KeyError, TypeError, ValueError):
        return None


def conflict_name(kind: ConflictKind, stamp: str, node: str) -> str:
    """Return a name that can be typed. `stamp` is local time, as people compare it with their own memory."""
    return f"{kind.value}-{stamp}-{node}"


def own_changes(
    entries: Mapping[str, Entry],
    delete: Iterable[str],
    current: Callable[[str], Entry | None],
    agreed: Callable[[str], Entry | None] | None,
) -> tuple[str, ...]:
    """Return the keys at which a push replaces something that only this node has.

    `current` is what is here now, `agreed` what both nodes last held; without the latter everything that is replaced may
    be this node's own. A change to what the master has as well is nobody's loss.
    """
    found = []
    for key in sorted({*entries, *delete} - LOOSE):
        here = current(key)
        if here == entries.get(key):
            continue
        if (here is not None) if agreed is None else (here != agreed(key)):
            found.append(key)
    return tuple(found)
