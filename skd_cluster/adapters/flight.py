"""The flight recorder's files: `state_dir/flight/NUMBER.json`, a change of role each, for root only."""

import json
from pathlib import Path

from skd_cluster.core.flight import Record, facts, parse

KEPT = 50
"""Records kept. One has at most some 60 KiB."""


def folder(state_dir: Path) -> Path:
    """Return where they are."""
    return state_dir / "flight"


def path_of(state_dir: Path, number: int) -> Path:
    """Return the file of a record."""
    return folder(state_dir) / f"{number}.json"


def numbers(state_dir: Path) -> list[int]:
    """Return those that are there, the oldest first. Raises OSError where they cannot be read."""
    try:
        names = list(folder(state_dir).iterdir())
    except FileNotFoundError:
        return []
    return sorted(int(one.stem) for one in names if one.suffix == ".json" and one.stem.isdecimal())


def content(record: Record) -> bytes:
    """Return the file's content."""
    return json.dumps(facts(record), separators=(",", ":")).encode()


def read(state_dir: Path) -> list[Record]:
    """Return all that are whole, the oldest first. Raises OSError, as to whom they are not for."""
    found = []
    for number in numbers(state_dir):
        try:
            record = parse(json.loads(path_of(state_dir, number).read_bytes()))
        except (FileNotFoundError, ValueError, RecursionError):
            continue
        if record is not None:
            found.append(record)
    return found
