"""Any pushes between two real receivers, and back to what the tree was after any of them."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from skd_cluster.adapters.datastate import read_state, write_state
from skd_cluster.adapters.fence import Fence
from skd_cluster.adapters.past import Past
from skd_cluster.adapters.tree import Tree, read_file
from skd_cluster.config.load import load
from skd_cluster.core.history import ChoiceError, Keeper, Place
from skd_cluster.core.manifest import Entry, Kind, Plan, compare, digest, pack_manifest, unpack_manifest
from skd_cluster.core.model import DataState, DataVersion, Role
from skd_cluster.core.rewind import Rewind, pushes
from skd_cluster.core.session import Ask, Begin, Commit, Confirm, Put, Refused
from skd_cluster.processes.receiver import Receiver

NAMES = ("a", "b", "d", "d/a", "d/b", "d/e/a", "global.conf")
CONTENTS = ("", "one", "two", '$defaultgw="192.0.2.1";\n$dns1="192.0.2.53";\n')
edits = st.lists(
    st.tuples(
        st.sampled_from(NAMES), st.sampled_from(("file", "mode", "gone", "folder", "link")), st.sampled_from(CONTENTS)
    ),
    max_size=4,
)
turns = st.tuples(edits, st.sampled_from(("push", "push", "push", "skip", "fail", "swap", "drift", "again", "by hand")))


def edit(root: Path, name: str, kind: str, content: str) -> None:
    """Have it so, whatever is in the way."""
    place = root / name
    for above in reversed(place.relative_to(root).parents[:-1]):
        if not (root / above).is_dir() or (root / above).is_symlink():
            with suppress(FileNotFoundError):
                (root / above).unlink()
            (root / above).mkdir()
    if kind == "mode":
        if place.is_file() and not place.is_symlink():
            place.chmod(0o600 if place.stat().st_mode & 0o040 else 0o644)
        return
    if place.is_dir() and not place.is_symlink():
        if kind == "folder":
            return
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
    if kind == "file":
        place.write_text(content)
    elif kind == "folder":
        place.mkdir()
    elif kind == "link":
        place.symlink_to(content or "nowhere")


class Node:
    def __init__(self, folder: Path, name: str) -> None:
        self.root = folder / "config"
        self.root.mkdir(parents=True)
        places = {"configdir": "config", "rttables": "rt", "zeninolog": "log", "state_dir": "state", "run_dir": "run"}
        conf = folder / "cluster.conf"
        conf.write_text(
            '$interface="eth0";$local_ip="10.0.0.2";$remote_ip="10.0.0.1";$password="x";$cluster_id="1";'
            '$cluster_ip="10.0.0.3/24";$history_keep="1000";'
            + "".join(f'${key}="{folder}/{place}";' for key, place in places.items())
        )
        conf.chmod(0o600)
        self.config = load(conf).require()
        self.keeper = Keeper(name, name)
        self.tree = Tree.of(self.config)
        self.past = Past(self.config.state_dir / "history")
        self.receiver = Receiver(self.config, lambda: Fence(Role.BACKUP, 0), lambda _facts: None)

    def places(self) -> list[Place]:
        return [Place(self.keeper, self.past.generation(*push)) for push in self.past.pushes()]


@dataclass
class Couple:
    """Two nodes, and what both held after each version."""

    master: Node
    backup: Node
    version: DataVersion = field(default_factory=lambda: DataVersion(1, 0))
    held: dict[DataVersion, dict[str, object]] = field(default_factory=dict)
    murky: bool = False
    """Whether somebody changed the backup by hand, or the roles changed while only one node had the newest version."""
    failed: bool = False
    shared: bool = True

    def note(self) -> None:
        """Give the master's tree a version, as the replicator does."""
        self.version = DataVersion(self.version.epoch, self.version.generation + 1)
        now = digest(self.master.tree.scan().manifest)
        agreed = read_state(self.master.config.state_dir).agreed
        write_state(self.master.config.state_dir, DataState(self.version, now, agreed))

    def push(self, *, fails: bool = False) -> None:
        ours = self.master.tree.scan().manifest
        theirs = unpack_manifest(self.backup.receiver.answer(Ask()).entries)
        plan = compare(ours, theirs)
        self.backup.receiver.answer(Begin(self.version.epoch))
        for key in plan.fetch:
            self.backup.receiver.answer(Put(key, read_file(self.master.tree.path(key))))
        done = plan
        if fails:  # in the middle: the rest is as if it had not been reached
            some = dict(list(plan.entries.items())[: len(plan.entries) // 2])
            done = Plan(some, tuple(key for key in plan.fetch if key in some), ())
        facts = (pack_manifest(done.entries), list(done.fetch), list(done.delete))
        answer = self.backup.receiver.answer(
            Commit(self.version.epoch, self.version.epoch, self.version.generation, digest(ours), *facts)
        )
        self.backup.receiver.settle()
        self.nothing_is_lost(theirs)
        self.failed = isinstance(answer, Refused)
        if self.failed:
            assert fails, answer
            return
        assert isinstance(answer, Confirm)
        write_state(self.master.config.state_dir, DataState(self.version, digest(ours), self.version))
        self.held[self.version] = dict(ours)

    def nothing_is_lost(self, theirs: dict[str, Entry]) -> None:
        """Whatever the backup had is there still, or in its history, to be had by name."""
        now = unpack_manifest(self.backup.receiver.answer(Ask()).entries)
        kept = [self.backup.past.kept(*push) for push in self.backup.past.pushes()]
        for key, entry in theirs.items():
            places = [one[key] for one in (now, *kept) if key in one]
            assert entry.kind is Kind.FOLDER or (entry.kind, entry.content) in {
                (one.kind, one.content) for one in places
            }, key

    def turn(self, changes: list[tuple[str, str, str]], how: str) -> None:
        if how == "swap":
            self.murky |= not self.shared
            self.master, self.backup = self.backup, self.master
            self.version = DataVersion(self.version.epoch + 1, self.version.generation)
        for change in changes if how != "again" else ():
            edit(self.backup.root if how in ("drift", "by hand") else self.master.root, *change)
        if how == "drift" or (how == "by hand" and not self.shared):
            self.murky |= bool(changes)
        if how not in ("again", "by hand"):
            self.note()
        if how != "skip":
            self.push(fails=how == "fail")
        self.shared = how != "skip" and not self.failed

    def places(self) -> list[Place]:
        return self.master.places() + self.backup.places()

    def back_to(self, version: DataVersion) -> Rewind:
        now = unpack_manifest(self.master.receiver.answer(Ask()).entries)
        rewind = Rewind(pushes(self.places()), dict(now), read_state(self.master.config.state_dir).version)
        while rewind.version > version:
            pasts = {node.keeper: node.past for node in (self.master, self.backup)}
            rewind.undo(
                [(one, pasts[one.keeper].kept(one.generation.number, one.generation.push)) for one in rewind.steps()]
            )
        return rewind


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp())
    yield place
    shutil.rmtree(place)


@settings(max_examples=settings().max_examples // 4)  # each is ten pushes on real folders
@given(st.lists(turns, min_size=1, max_size=10))
@example([([("a", "file", "one")], "push"), ([("a", "file", "two")], "fail"), ([("b", "file", "")], "push")])
@example([([("d/a", "file", "one")], "push"), ([("d", "file", "two")], "push"), ([("d/b", "file", "")], "swap")])
@example([([("a", "file", "one")], "push"), ([], "push"), ([("a", "gone", "")], "push")])
@example([([("a", "file", "one")], "push"), ([("a", "file", "two")], "drift"), ([("a", "gone", "")], "push")])
@example([([("a", "file", "one")], "push"), ([("a", "file", "two")], "by hand"), ([("a", "file", "")], "by hand")])
@example([([("a", "file", "one")], "by hand"), ([("a", "folder", "")], "by hand"), ([("a", "link", "")], "by hand")])
@example([([("a", "file", "one")], "push"), ([("a", "file", "two")], "fail"), ([("a", "file", "")], "by hand")])
def test_the_tree_of_each_version_comes_back_to_the_last_bit(folder: Path, plan: list) -> None:
    for one in os.listdir(folder):
        shutil.rmtree(folder / one)
    couple = Couple(Node(folder / "one", "lb1"), Node(folder / "two", "lb2"))
    try:
        for changes, how in plan:
            couple.turn(changes, how)
        if not couple.shared:
            couple.turn([], "push")
        for version, held in couple.held.items():
            try:
                rewind = couple.back_to(version)
            except ChoiceError:
                assert couple.murky or version not in {
                    one.generation.version for one in pushes(couple.places())
                }  # nothing was kept of it
                continue
            if rewind.version == version:
                there = digest(rewind.tree) == digest(held)
                assert rewind.exact() in (there, None)  # whatever it is, the truth is said
                assert there or couple.murky
    finally:
        couple.master.receiver.close()
        couple.backup.receiver.close()
