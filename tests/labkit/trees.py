"""Whether two nodes hold the same configuration: an oracle that shares nothing with the replicator."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from tests.fixtures.skudonet_tree import TreeFacts


def differences(one: Path, other: Path, facts: TreeFacts) -> list[str]:
    """Return what differs between two trees, node-local files, scratch and merged keys aside; empty means equal."""
    left_out = {*facts.node_local, *facts.scratch}
    ours, theirs = dict(_entries(one, left_out)), dict(_entries(other, left_out))
    found = [f"{path!r} is missing" for path in sorted(ours.keys() - theirs.keys())]
    found += [f"{path!r} is too much" for path in sorted(theirs.keys() - ours.keys())]
    for path in sorted(ours.keys() & theirs.keys()):
        here, there = _shape(one / path, facts, path), _shape(other / path, facts, path)
        if here != there:
            found.append(f"{path!r}: {here[:4]} became {there[:4]}")
    return found


def _entries(root: Path, left_out: set[str]) -> Iterator[tuple[str, None]]:
    for folder, folders, files in os.walk(root):
        for name in [*folders, *files]:
            path = str((Path(folder) / name).relative_to(root))
            if not any(path == out or path.startswith(out.rstrip("/") + "/") for out in left_out):
                yield path, None


def _shape(path: Path, facts: TreeFacts, name: str) -> tuple[str, str, int, int, bytes]:
    seen = path.lstat()
    kind = stat.filemode(seen.st_mode)
    content = b""
    if stat.S_ISREG(seen.st_mode):
        content = _without(path.read_bytes(), facts.merge_by_key.get(name, []))
    elif stat.S_ISLNK(seen.st_mode):
        content = os.fsencode(path.readlink())
    return kind[0], kind[1:], seen.st_uid, seen.st_gid, content


def _without(content: bytes, keys: list[str]) -> bytes:
    """Blank the lines of keys that stay each node's own."""
    starts = tuple(f"${key}".encode() for key in keys)
    kept = [line for line in content.splitlines() if not _sets(line, starts)]
    return b"\n".join(kept)


def _sets(line: bytes, starts: tuple[bytes, ...]) -> bool:
    return any(line.startswith(start) and not line[len(start) : len(start) + 1].isalnum() for start in starts)
