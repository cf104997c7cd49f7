"""Files of which a part belongs to the node: what is compared, and what is written where the other's version arrives.

`global.conf` has four keys of the node's own among the pair's. `rt_tables` has a line for each routing table; who reads it
goes by the name, and the same name may have another number on the other node.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from skd_cluster.core.scope import CONFIG, RT_TABLES

NODE_KEYS = ("defaultgw", "defaultgwif", "defaultgw6", "defaultgwif6")

_NODE_LINE = re.compile(rb"\s*\$(" + b"|".join(sorted((key.encode() for key in NODE_KEYS), reverse=True)) + rb")\s*=")
_TABLE_LINE = re.compile(rb"\s*(\d+|0x[0-9a-fA-F]+)\s+([^\s#]+)")
_FIRST_NUMBER, _RESERVED = 200, range(253, 256)


@dataclass(frozen=True, slots=True)
class Merge:
    """How one file is treated.

    `common(content)` is what both nodes must have alike: two versions with the same common part are the same.
    `combine(theirs, ours)` is what to write here: their common part, our own part.
    """

    common: Callable[[bytes], bytes]
    combine: Callable[[bytes, bytes | None], bytes]


def _node_key(line: bytes) -> bytes | None:
    found = _NODE_LINE.match(line)
    return found.group(1) if found else None


def global_common(content: bytes) -> bytes:
    """Return global.conf without the node's own lines."""
    return b"\n".join(line for line in content.split(b"\n") if _node_key(line) is None).rstrip(b"\n")


def global_combine(theirs: bytes, ours: bytes | None) -> bytes:
    """Return their global.conf with our lines in place of their node's; a key we never had is written empty."""
    own: dict[bytes, list[bytes]] = {}
    for line in (ours or b"").splitlines():
        key = _node_key(line)
        if key is not None:
            own.setdefault(key, []).append(line)
    lines: list[bytes] = []
    placed: set[bytes] = set()
    for line in theirs.split(b"\n"):
        key = _node_key(line)
        if key is None:
            lines.append(line)
        elif key not in placed:
            placed.add(key)
            lines += own.get(key, [b"$" + key + b'="";'])
    missing = [line for key, group in own.items() if key not in placed for line in group]
    if missing:
        while lines and not lines[-1]:
            lines.pop()
        lines += [*missing, b""]
    return b"\n".join(lines)


def _tables(content: bytes) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for line in content.splitlines():
        entry = _TABLE_LINE.match(line)
        if entry:
            found.setdefault(entry.group(2), int(entry.group(1), 0))
    return found


def tables_common(content: bytes) -> bytes:
    """Return the names of rt_tables, sorted."""
    return b" ".join(sorted(_tables(content)))


def tables_combine(theirs: bytes, ours: bytes | None) -> bytes:
    """Return our rt_tables with a line for each name that only they have, under their number if it is free here."""
    if ours is None:
        return theirs
    known = _tables(ours)
    taken = set(known.values())
    lines = []
    for name, wanted in _tables(theirs).items():
        if name in known:
            continue
        number = wanted if wanted not in taken else _free(taken)
        taken.add(number)
        lines.append(b"%d\t%s\n" % (number, name))
    gap = b"" if not lines or not ours or ours.endswith(b"\n") else b"\n"
    return ours + gap + b"".join(lines)


def _free(taken: set[int]) -> int:
    number = _FIRST_NUMBER
    while number in taken or number in _RESERVED:
        number += 1
    return number


def tables_cover(ours: str, theirs: str) -> bool:
    """Return whether our names, as in `tables_common`, include all of theirs."""
    return set(theirs.split()) <= set(ours.split())


MERGES: dict[str, Merge] = {
    f"{CONFIG}/global.conf": Merge(global_common, global_combine),
    RT_TABLES: Merge(tables_common, tables_combine),
}
"""By key."""
