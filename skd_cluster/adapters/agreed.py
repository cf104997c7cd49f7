"""What both nodes last held, entry by entry, across restarts: `agreed.db`.

A database and not a file, because one edit among a hundred thousand paths must not write them all. It may be lost at any
time: then it is not known what both held, and no more.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from skd_cluster.core.manifest import Entry, Manifest, unpack
from skd_cluster.core.model import DataVersion

_NAME = "agreed.db"
_PATIENCE = 1.0
"""Seconds to wait for another process of this node that writes to it."""


class Agreed:
    """Opened at its first use. A damaged or full one is thrown away and begun anew: nothing here raises."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / _NAME
        self._database: sqlite3.Connection | None = None

    def entries(self, version: DataVersion, keys: Iterable[str]) -> dict[str, Entry] | None:
        """Return those of these entries that both nodes held at `version`; None if that is not known any more."""
        try:
            database = self._opened()
            if _version(database) != version:
                return None
            found = {key: _entry(database, key) for key in keys}
        except (sqlite3.Error, ValueError):
            self._forget()
            return None
        return {key: entry for key, entry in found.items() if entry is not None}

    def follow(
        self,
        before: DataVersion,
        version: DataVersion,
        changed: Mapping[str, Entry],
        deleted: Iterable[str],
        whole: Manifest,
    ) -> None:
        """Note what both hold at `version`: the changes since `before`, or the `whole` if that is not what is in it."""
        try:
            database = self._opened()
            with database:
                if _version(database) != before:
                    database.execute("DELETE FROM entry")
                    changed, deleted = whole, ()
                rows = ((os.fsencode(key), json.dumps(entry.packed())) for key, entry in changed.items())
                database.executemany("INSERT OR REPLACE INTO entry VALUES (?, ?)", rows)
                database.executemany("DELETE FROM entry WHERE key = ?", ((os.fsencode(key),) for key in deleted))
                numbers = (version.epoch, version.generation)
                database.execute("INSERT OR REPLACE INTO version VALUES (1, ?, ?)", numbers)
        except sqlite3.Error:
            self._forget()

    def close(self) -> None:
        """Close it."""
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
            self._database = None

    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            before = os.umask(0o077)
            try:
                self._database = database = sqlite3.connect(self._path, timeout=_PATIENCE)
            finally:
                os.umask(before)
            # Does not wait for the disk: a power loss may cost the latest changes, never the file.
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute("CREATE TABLE IF NOT EXISTS entry (key BLOB PRIMARY KEY, entry TEXT) WITHOUT ROWID")
            database.execute("CREATE TABLE IF NOT EXISTS version (one INTEGER PRIMARY KEY, epoch, generation)")
        return self._database

    def _forget(self) -> None:
        self.close()
        for suffix in ("", "-wal", "-shm"):
            with suppress(OSError):
                self._path.with_name(_NAME + suffix).unlink(missing_ok=True)


def _version(database: sqlite3.Connection) -> DataVersion | None:
    row = database.execute("SELECT epoch, generation FROM version").fetchone()
    return None if row is None else DataVersion(int(row[0]), int(row[1]))


def _entry(database: sqlite3.Connection, key: str) -> Entry | None:
    row = database.execute("SELECT entry FROM entry WHERE key = ?", (os.fsencode(key),)).fetchone()
    return None if row is None else unpack(json.loads(row[0]))
