"""What differs between two trees, path by path, in words. Nothing of a content is in it."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum, unique

from skd_cluster.core.manifest import Entry, Kind, Manifest, compare, unknown_at
from skd_cluster.core.merge import tables_cover
from skd_cluster.core.scope import RT_TABLES

_WORDS = {Kind.FILE: "file", Kind.FOLDER: "folder", Kind.LINK: "link"}


@unique
class What(StrEnum):
    """In what two versions of a path differ. Part of `diff --json`: a contract, add but never rename."""

    ONLY = "only"  # it is on one side only
    TYPE = "type"
    CONTENT = "content"
    TARGET = "target"
    MODE = "mode"
    OWNER = "owner"


@dataclass(frozen=True, slots=True)
class Difference:
    """One path and both its versions, None where it is not."""

    key: str
    first: Entry | None
    second: Entry | None

    @property
    def what(self) -> tuple[What, ...]:
        """In what they differ."""
        first, second = self.first, self.second
        if first is None or second is None:
            return (What.ONLY,)
        if first.kind is not second.kind:
            return (What.TYPE,)
        found = []
        if self._content_differs(first, second):
            found.append(What.TARGET if first.kind is Kind.LINK else What.CONTENT)
        if first.mode != second.mode:
            found.append(What.MODE)
        if (first.uid, first.gid) != (second.uid, second.gid):
            found.append(What.OWNER)
        return tuple(found)

    def _content_differs(self, first: Entry, second: Entry) -> bool:
        if self.key == RT_TABLES and first.kind is Kind.FILE:
            return not tables_cover(second.content, first.content)
        return first.content != second.content

    @property
    def private(self) -> bool:
        """Whether nothing of the content may be shown: only its owner may read it, or its name says key."""
        files = [one for one in (self.first, self.second) if one is not None and one.kind is Kind.FILE]
        return any(is_private(self.key, one) for one in files)


def is_private(key: str, entry: Entry) -> bool:
    """Return whether nothing of a file's content may be shown."""
    return key.endswith(".key") or not entry.mode & 0o077


def differences(first: Manifest, second: Manifest, unknown: Collection[str] = ()) -> list[Difference]:
    """Return all differences, sorted by key.

    `first` is the side that counts: of `rt_tables` the second may have more. Of what is unknown on either side nothing is
    said.
    """
    plan = compare(first, second)
    keys = sorted({*plan.entries, *plan.delete})
    return [Difference(key, first.get(key), second.get(key)) for key in keys if not unknown_at(key, unknown)]


def describe(difference: Difference, first: str, second: str, note: str = "") -> str:
    """Return one line with the sides by their names. `note` is what else there is to say of the content."""
    name = printable(difference.key)
    ours, theirs = difference.first, difference.second
    if ours is None or theirs is None:
        one = ours or theirs
        return f"only on {first if theirs is None else second}: {name} ({'' if one is None else _shape(one)})"
    words = []
    for what in difference.what:
        if what is What.TYPE:
            words.append(f"{_shape(ours)} on {first}, {_shape(theirs)} on {second}")
        elif what is What.TARGET:
            words.append(f"leads to {printable(ours.content)} on {first}, to {printable(theirs.content)} on {second}")
        elif what is What.MODE:
            words.append(f"mode {ours.mode:04o} on {first}, {theirs.mode:04o} on {second}")
        elif what is What.OWNER:
            words.append(f"owner {ours.uid}:{ours.gid} on {first}, {theirs.uid}:{theirs.gid} on {second}")
        else:
            words.append(f"content differs ({note})" if note else "content differs")
    return f"{name}: {'; '.join(words)}"


def _shape(entry: Entry) -> str:
    word = _WORDS[entry.kind]
    if entry.kind is Kind.FILE:
        return f"{word}, {entry.mode:04o}, {entry.size} bytes"
    return word if entry.kind is Kind.FOLDER else f"{word} to {printable(entry.content)}"


def printable(text: str) -> str:
    """Return text for one line of a terminal: nothing in it moves the cursor, a tab stays."""
    return "".join(one if one == "\t" or one.isprintable() else ascii(one)[1:-1] for one in text)
