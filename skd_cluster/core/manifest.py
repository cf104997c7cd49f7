"""What a tree holds, comparable without holding it: one entry a path, and one digest over all.

Equality is what has to be the same on both nodes: type, mode, owner, content. Size and time travel along.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Any, TypeAlias

from skd_cluster.core.merge import MERGES, tables_cover
from skd_cluster.core.scope import LOOSE, RT_TABLES


@unique
class Kind(StrEnum):
    """What a path is. Anything else (sockets, devices, pipes) does not travel."""

    FILE = "f"
    FOLDER = "d"
    LINK = "l"


@dataclass(frozen=True, slots=True)
class Entry:
    """One path. `content` is a file's SHA-256 in hex, a link's target, for `rt_tables` its names, for a folder empty.

    For files of `core.merge` the content is that of the common part. `mtime` is in nanoseconds.
    """

    kind: Kind
    mode: int
    uid: int
    gid: int
    content: str = ""
    size: int = field(default=0, compare=False)
    mtime: int = field(default=0, compare=False)

    def packed(self) -> list[Any]:
        """Return it for a message."""
        return [self.kind.value, self.mode, self.uid, self.gid, self.content, self.size, self.mtime]


Manifest: TypeAlias = Mapping[str, Entry]
"""By key, see `core.scope`."""

MODULUS = 1 << 256


def unpack(packed: Any) -> Entry:
    """Read `Entry.packed` back. Raises ValueError for anything else."""
    try:
        kind, mode, uid, gid, content, size, mtime = packed
        whole = {type(mode), type(uid), type(gid), type(size), type(mtime)} == {int}
    except TypeError as error:
        raise ValueError("not an entry") from error
    if not (whole and isinstance(content, str)):
        raise ValueError("not an entry")
    return Entry(Kind(kind), mode & 0o7777, uid, gid, content, size, mtime)


def content_of(key: str, content: bytes) -> str:
    """Return what an entry says of a file's content."""
    merge = MERGES.get(key)
    if merge is None:
        return hashlib.sha256(content).hexdigest()
    common = merge.common(content)
    return common.decode(errors="surrogateescape") if key == RT_TABLES else hashlib.sha256(common).hexdigest()


def weight(key: str, entry: Entry) -> int:
    """Return the number of one path: the SHA-256 of all that both nodes must have alike."""
    # No field can hold a NUL, and their number is fixed: no two entries give the same bytes.
    parts = (key, entry.kind.value, f"{entry.mode:o}", str(entry.uid), str(entry.gid), entry.content)
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).digest(), "big")


def digest_of(count: int, total: int) -> str:
    """Return the digest of so many paths whose numbers add up to `total` modulo 2^256."""
    return hashlib.sha256(f"{count} {total % MODULUS:064x}".encode()).hexdigest()


def digest(manifest: Manifest) -> str:
    """Return the digest of a tree in hex, the same on every machine: of the sum of the numbers of its paths.

    A sum can be followed change by change, whatever the size of the tree (`core.ledger`). Trees that differ by accident
    have the same with a chance of 2^-256. Who may choose all contents of a tree could find two sets of files with one sum in
    some 2^32 steps (Wagner's generalized birthday). It would gain him nothing: he would have to put one set on each node as
    root. This is an equality test between two nodes that trust each other and speak over ssh, no signature.
    """
    counted = [weight(key, entry) for key, entry in manifest.items() if key not in LOOSE]
    return digest_of(len(counted), sum(counted))


@dataclass(frozen=True, slots=True)
class Plan:
    """What makes the peer's tree ours.

    `entries` are to be made or changed, `fetch` those of them whose content must travel, `delete` what goes, deepest
    first.
    """

    entries: Mapping[str, Entry]
    fetch: tuple[str, ...]
    delete: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.entries and not self.delete

    @property
    def size(self) -> int:
        """Bytes of the contents that travel."""
        return sum(self.entries[key].size for key in self.fetch)

    def applied(self, theirs: Manifest) -> dict[str, Entry]:
        """Return the peer's tree afterwards."""
        gone = set(self.delete)
        return {key: entry for key, entry in theirs.items() if key not in gone} | dict(self.entries)


def same(key: str, ours: Entry, theirs: Entry | None) -> bool:
    """Return whether the peer's entry needs no change to be ours."""
    if theirs is None or key != RT_TABLES:
        return ours == theirs
    return (ours.mode, ours.uid, ours.gid) == (theirs.mode, theirs.uid, theirs.gid) and tables_cover(
        theirs.content, ours.content
    )


def unknown_at(key: str, unknown: Collection[str]) -> bool:
    """Return whether nothing is known of a key: it, or a folder it is in, could not be read."""
    return key in unknown or any(key.startswith(f"{one}/") for one in unknown)


def filled(ours: Manifest, theirs: Manifest, unknown: Collection[str]) -> dict[str, Entry]:
    """Return our tree with theirs where we know nothing of ours."""
    if not unknown:
        return dict(ours)
    known = {key: entry for key, entry in ours.items() if not unknown_at(key, unknown)}
    return known | {key: entry for key, entry in theirs.items() if unknown_at(key, unknown)}


def differs(key: str, ours: Manifest, theirs: Manifest) -> bool:
    """Return whether the peer has something to do about a path."""
    mine = ours.get(key)
    if mine is None:
        return key in theirs and key not in LOOSE
    return not same(key, mine, theirs.get(key))


def differing(ours: Manifest, theirs: Manifest) -> set[str]:
    """Return every path of which that is so."""
    return {key for key in (*ours, *(theirs.keys() - ours.keys())) if differs(key, ours, theirs)}


def plan_of(keys: Iterable[str], ours: Manifest, theirs: Manifest) -> Plan:
    """Plan what the peer has to do about paths that differ."""
    entries: dict[str, Entry] = {}
    delete: list[str] = []
    for key in keys:
        if key in ours:
            entries[key] = ours[key]
        else:
            delete.append(key)
    fetch = tuple(key for key, entry in entries.items() if _content_travels(key, entry, theirs.get(key)))
    return Plan(entries, fetch, tuple(sorted(delete, key=lambda key: (-key.count("/"), key))))


def compare(ours: Manifest, theirs: Manifest, unknown: Collection[str] = ()) -> Plan:
    """Plan what the peer has to do. What could not be read here (`unknown`) stays as it is there."""
    return plan_of((key for key in differing(ours, theirs) if not unknown_at(key, unknown)), ours, theirs)


def _content_travels(key: str, ours: Entry, theirs: Entry | None) -> bool:
    if ours.kind is not Kind.FILE:
        return False
    if theirs is None or theirs.kind is not Kind.FILE:
        return True
    if key == RT_TABLES:
        return not tables_cover(theirs.content, ours.content)
    return ours.content != theirs.content


def shallow_first(keys: Iterable[str]) -> list[str]:
    """Sort so that a folder comes before what is in it."""
    return sorted(keys, key=lambda key: (key.count("/"), key))


def pack_manifest(manifest: Manifest) -> dict[str, list[Any]]:
    """Return it for a message."""
    return {key: entry.packed() for key, entry in manifest.items()}


def unpack_manifest(packed: Any) -> dict[str, Entry]:
    """Read `pack_manifest` back. Raises ValueError for anything else."""
    if not isinstance(packed, dict):
        raise ValueError("not a manifest")  # noqa: TRY004 -- what came from outside is a bad value, whatever its type
    return {str(key): unpack(entry) for key, entry in packed.items()}
