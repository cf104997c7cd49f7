"""Two versions of a tree for people: what differs, and how the texts differ, without their secrets."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from skd_cluster.core.difference import Difference, What, describe, printable
from skd_cluster.core.manifest import Entry
from skd_cluster.core.merge import MERGES
from skd_cluster.core.scope import RT_TABLES
from skd_cluster.core.textdiff import LARGEST, Version, unified

_AT_ONCE = 16
"""Files whose contents are in memory at the same time."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the versions: what to call it, and how to get contents by key (None: not to be had)."""

    name: str
    contents: Callable[[Sequence[str]], list[bytes | None]]


@dataclass(frozen=True, slots=True)
class Shown:
    """A difference with the lines of its diff, or with a note why there is none."""

    difference: Difference
    headline: str
    diff: tuple[str, ...] = ()
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        one = self.difference
        return {
            "path": one.key,
            "what": [what.value for what in one.what],
            "private": one.private,
            "first": _as_json(one.first),
            "second": _as_json(one.second),
            "diff": list(self.diff),
            "note": self.note,
        }


def _as_json(entry: Entry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    return {"kind": entry.kind.name.lower(), "mode": f"{entry.mode:04o}", "uid": entry.uid, "gid": entry.gid,
            "size": entry.size}  # fmt: skip


def show(differences: Sequence[Difference], first: Side, second: Side) -> Iterator[Shown]:
    """Yield each with its diff. Contents are asked for a few at a time, and private ones never."""
    for at in range(0, len(differences), _AT_ONCE):
        some = differences[at : at + _AT_ONCE]
        keys = [one.key for one in some if What.CONTENT in one.what and not _hidden(one)]
        bodies = dict(zip(keys, zip(first.contents(keys), second.contents(keys), strict=True), strict=True))
        for one in some:
            diff, note = _diff(one, bodies, first.name, second.name)
            yield Shown(one, describe(one, first.name, second.name, note), diff, note)


def _hidden(difference: Difference) -> str:
    """Return why a content is not even asked for."""
    sizes = [one.size for one in (difference.first, difference.second) if one is not None]
    if difference.private:
        return "private"
    return f"{' and '.join(map(str, sizes))} bytes: too large to show" if max(sizes, default=0) > LARGEST else ""


def _diff(
    difference: Difference, bodies: dict[str, tuple[bytes | None, bytes | None]], first: str, second: str
) -> tuple[tuple[str, ...], str]:
    if What.CONTENT not in difference.what:
        return (), ""
    if difference.key not in bodies:
        return (), _hidden(difference)
    old, new = bodies[difference.key]
    if old is None or new is None:
        return (), f"it could not be read on {first if old is None else second}"
    name = printable(difference.key)
    ours, theirs = (_common(difference.key, one) for one in (old, new))
    lines = unified(Version(f"{first}:{name}", ours), Version(f"{second}:{name}", theirs))
    if lines is None:
        return (), f"not a text: {len(old)} and {len(new)} bytes"
    return tuple(lines), "" if lines else "the same by now"


def _common(key: str, body: bytes) -> bytes:
    """Return what both nodes must have alike of a file."""
    if key not in MERGES:
        return body
    common = MERGES[key].common(body)
    return b"".join(name + b"\n" for name in common.split()) if key == RT_TABLES else common + b"\n"
