"""Batches on real folders: what is in place afterwards, what was kept, what a failure leaves."""

import errno
import os
import random
import shutil
import socket
import stat
import time
from dataclasses import replace

import pytest

from skd_cluster.adapters import apply as module
from skd_cluster.adapters import tree as tree_module
from skd_cluster.adapters.apply import Applier, RefusedError
from skd_cluster.adapters.history import History
from skd_cluster.adapters.staging import Staging, staging_parent, sweep
from skd_cluster.adapters.tree import Tree
from skd_cluster.core.manifest import Entry, Kind, compare, digest
from skd_cluster.core.scope import Scope
from skd_cluster.core.session import Refusal
from tests.fixtures.skudonet_tree import make_tree, rt_tables_text


class Pair:
    """A master's tree and a peer's, with what lies between them."""

    def __init__(self, folder, *exclude, extras=(), packed=True):
        self.packed = packed
        self.here, self.there = folder / "here", folder / "there"
        for one in (self.here, self.there):
            one.mkdir()
        self.master, self.peer = (
            Tree(
                {"config": f"{one}/config", "rt_tables": f"{one}/rt_tables"}
                | {f"extra{path}": str(one / path.removeprefix("/etc").lstrip("/")) for path in extras},
                Scope.of(exclude, extras),
            )
            for one in (self.here, self.there)
        )
        self.staging = Staging(folder / "staging")
        self.history = History(folder / "history", 3)
        self.generation = 0

    def push(self, *, spoil=lambda _: None):
        """Bring the peer up to date, as the receiver does; return what was left undone."""
        self.generation += 1
        plan = compare(self.master.scan().manifest, self.peer.scan().manifest)
        self.staging.renew(self.peer.scope.roots())
        for key in plan.fetch:
            with open(self.master.path(key), "rb") as file:
                if self.packed:
                    self.staging.take(key, plan.entries[key], file.read())
                else:
                    self.staging.put(key, file.read())
        spoil(self.staging)
        applier = Applier(self.peer, self.staging, self.history.generation(self.generation))
        left = applier.apply(plan.entries, plan.fetch, plan.delete)
        self.staging.remove()
        return left

    @property
    def equal(self):
        ours, theirs = self.master.scan().manifest, self.peer.scan().manifest
        return digest(ours) == digest(theirs) and compare(ours, theirs).empty

    def kept(self, key):
        return self.history.folder / f"{self.generation:010d}" / "tree" / key


@pytest.fixture(params=["packed", "by rsync"])
def pair(tmp_path, request):
    return bare_pair(tmp_path, packed=request.param == "packed")


def bare_pair(folder, *, packed=True):
    pair = Pair(folder, "*.local", packed=packed)
    for one in (pair.here, pair.there):
        (one / "config").mkdir()
    return pair


def test_the_product_s_tree_onto_the_other_node_s(tmp_path):
    pair = Pair(tmp_path)
    make_tree(pair.here / "config", node="lb1", farms=20)
    other = make_tree(pair.there / "config", node="lb2", farms=10, seed=2)
    for folder, node in ((pair.here, "lb1"), (pair.there, "lb2")):
        (folder / "rt_tables").write_text(rt_tables_text(node))
    before = {name: (pair.there / "config" / name).read_bytes() for name in other.node_local}
    assert pair.push() == []
    assert pair.equal
    assert {name: (pair.there / "config" / name).read_bytes() for name in other.node_local} == before
    merged = (pair.there / "config" / "global.conf").read_text()
    assert '$defaultgw = "10.100.0.1";' in merged
    assert (pair.there / "rt_tables").read_text() == rt_tables_text("lb2") + "150\tbackup-uplink\n"
    assert pair.push() == []


def test_a_replaced_file_is_kept_and_its_inode_with_it(pair):
    (pair.here / "config" / "a").write_text("new")
    (pair.there / "config" / "a").write_text("old")
    inode = (pair.there / "config" / "a").stat().st_ino
    pair.push()
    assert (pair.there / "config" / "a").read_text() == "new"
    assert pair.kept("config/a").read_text() == "old"
    assert pair.kept("config/a").stat().st_ino == inode


def test_an_open_reader_sees_the_old_file_to_its_end(pair):
    (pair.here / "config" / "a").write_text("new")
    (pair.there / "config" / "a").write_text("old")
    with (pair.there / "config" / "a").open() as reader:
        pair.push()
        assert reader.read() == "old"


def test_modes_owners_and_times(pair):
    for name, mode in (("a", 0o600), ("b", 0o4755), ("c", 0o000)):
        path = pair.here / "config" / name
        path.write_text("x")
        os.chown(path, 12, 34)
        path.chmod(mode)
        os.utime(path, ns=(1, 2_000_000_001))
    (pair.here / "config" / "d").mkdir(mode=0o500)
    os.lchown(pair.here / "config" / "d", 5, 6)
    (pair.here / "config" / "l").symlink_to("./nowhere/../x")
    os.lchown(pair.here / "config" / "l", 7, 8)
    pair.push()
    assert pair.equal
    state = (pair.there / "config" / "b").stat()
    assert (stat.S_IMODE(state.st_mode), state.st_uid, state.st_gid, state.st_mtime_ns) == (
        0o4755,
        12,
        34,
        2_000_000_001,
    )
    assert os.readlink(pair.there / "config" / "l") == "./nowhere/../x"


def test_only_the_mode_changes_in_place(pair):
    for one in (pair.here, pair.there):
        (one / "config" / "a").write_text("x")
    (pair.here / "config" / "a").chmod(0o400)
    inode = (pair.there / "config" / "a").stat().st_ino
    pair.push()
    assert pair.equal
    assert (pair.there / "config" / "a").stat().st_ino == inode


def test_a_private_file_is_never_readable_in_between(pair, monkeypatch):
    (pair.here / "config" / "key").touch(0o600)
    (pair.here / "config" / "key").write_text("secret")
    seen = []
    rename = os.rename

    def watched(source, target):
        seen.append(stat.S_IMODE(os.stat(source).st_mode))
        rename(source, target)

    monkeypatch.setattr(module.os, "rename", watched)
    pair.push()
    assert seen == [0o600]


def test_a_folder_that_became_a_link_takes_nothing_along_that_it_leads_to(pair, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a").write_text("precious")
    (pair.there / "config" / "way").mkdir()
    (pair.there / "config" / "way" / "a").write_text("x")
    (pair.here / "config" / "way").symlink_to(tmp_path / "outside")
    pair.push()
    assert pair.equal
    assert (tmp_path / "outside" / "a").read_text() == "precious"


MAKERS = {
    "file": lambda path: path.write_text("x"),
    "link": lambda path: path.symlink_to("target"),
    "folder": lambda path: (path.mkdir(), (path / "inside").write_text("x"), (path / "empty").mkdir()),
    "pipe": os.mkfifo,
}


@pytest.mark.parametrize("ours", ["file", "link", "folder"])
@pytest.mark.parametrize("theirs", sorted(MAKERS))
def test_a_change_of_type(pair, ours, theirs):
    MAKERS[ours](pair.here / "config" / "a")
    MAKERS[theirs](pair.there / "config" / "a")
    assert pair.push() == []
    assert pair.equal


def test_deletions_are_kept_and_leftovers_go_along(pair):
    folder = pair.there / "config" / "old"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a").write_text("x")
    (folder / "deep" / "a~").write_text("scratch")
    assert pair.push() == []
    assert pair.equal
    assert not folder.exists()
    assert pair.kept("config/old/deep/a").read_text() == "x"


def test_a_folder_with_something_that_is_not_ours_stays_and_is_named(pair):
    (pair.there / "config" / "old").mkdir()
    (pair.there / "config" / "old" / "x.local").write_text("x")
    (left,) = pair.push()
    assert "old stays: x.local in it is not replicated" in left
    assert (pair.there / "config" / "old" / "x.local").exists()


def test_odd_names(pair):
    for name in (b"caf\xe9", b"two\nlines", b"--delete", b" edges ", b"n" * 255, b"*"):
        with open(os.path.join(os.fsencode(pair.here), b"config", name), "w") as file:
            file.write("x")
    pair.push()
    assert pair.equal


@pytest.mark.parametrize("key", ["config/../escape", "extra/etc/passwd", "/etc/passwd", "config/if_eth0_conf",
                                 "config/local/x", "config/a.local"])  # fmt: skip
def test_no_path_outside_is_written_or_deleted(pair, key):
    entry = Entry(Kind.LINK, 0, 0, 0, "x")
    applier = Applier(pair.peer, pair.staging, pair.history.generation(1))
    for entries, delete in (({key: entry}, []), ({}, [key])):
        with pytest.raises(RefusedError) as caught:
            applier.apply(entries, [], delete)
        assert caught.value.reason is Refusal.SCOPE


def test_a_link_on_the_way_is_not_followed(pair, tmp_path):
    (tmp_path / "outside").mkdir()
    (pair.there / "config" / "way").symlink_to(tmp_path / "outside")
    pair.staging.renew([])
    pair.staging.put("config/way/a", b"x")
    entry = pair_entry(b"x")
    applier = Applier(pair.peer, pair.staging, pair.history.generation(1))
    with pytest.raises(RefusedError) as caught:
        applier.apply({"config/way/a": entry}, ["config/way/a"], [])
    assert caught.value.reason is Refusal.DIFFERS
    assert list((tmp_path / "outside").iterdir()) == []


def pair_entry(content):
    from skd_cluster.core.manifest import content_of

    return Entry(Kind.FILE, 0o644, 0, 0, content_of("config/way/a", content), len(content))


@pytest.mark.parametrize(
    "spoil", [lambda staging: staging.put("config/a", b"other"), lambda staging: os.unlink(staging.path("config/a"))]
)
def test_a_content_that_is_not_the_promised_one_changes_nothing(pair, spoil):
    (pair.here / "config" / "a").write_text("new")
    (pair.there / "config" / "a").write_text("old")
    with pytest.raises(RefusedError) as caught:
        pair.push(spoil=spoil)
    assert caught.value.reason is Refusal.CHANGED
    assert (pair.there / "config" / "a").read_text() == "old"


@pytest.mark.parametrize(
    ("number", "reason", "words"),
    [
        (errno.ENOSPC, Refusal.NO_SPACE, "no space left"),
        (errno.EROFS, Refusal.READ_ONLY, "read-only"),
        (errno.EACCES, Refusal.PERMISSION, "permission"),
        (errno.EIO, Refusal.FAILED, "Input/output error"),
    ],
)
def test_a_failure_leaves_the_old_file_and_says_which(pair, monkeypatch, number, reason, words):
    (pair.here / "config" / "a").write_text("new")
    (pair.there / "config" / "a").write_text("old")

    def failing(source, target):
        raise OSError(number, os.strerror(number), source, None, target)

    monkeypatch.setattr(module.os, "rename", failing)
    with pytest.raises(RefusedError) as caught:
        pair.push()
    assert caught.value.reason is reason
    assert words in caught.value.text
    assert f"{pair.there}/config/a" in caught.value.text
    assert (pair.there / "config" / "a").read_text() == "old"


def test_from_another_file_system_no_temporary_name_stays(pair, monkeypatch):
    (pair.here / "config" / "a").write_text("new")
    rename = os.rename

    def across(source, target):
        if "staging" in str(source):
            raise OSError(errno.EXDEV, "across", source, None, target)
        rename(source, target)

    monkeypatch.setattr(module.os, "rename", across)
    pair.push()
    assert pair.equal
    assert os.listdir(pair.there / "config") == ["a"]


def test_what_a_killed_session_left_is_swept_and_a_living_one_s_is_not(pair, tmp_path):
    parent, folder = tmp_path / "staging", pair.there / "config"
    (parent / "4194305").mkdir(parents=True)
    (parent / "1").mkdir()
    (folder / ".skd-4194305").write_text("x")
    (folder / ".skd-1").write_text("x")
    sweep(parent, [str(folder)])
    assert os.listdir(parent) == ["1"]
    assert os.listdir(folder) == [".skd-1"]


def test_the_staging_folder_is_on_the_tree_s_file_system(tmp_path):
    config = tmp_path / "config"
    config.mkdir()
    assert staging_parent(tmp_path / "state", config) == tmp_path / "state" / "staging"


def test_the_oldest_generations_are_forgotten(pair):
    for number in range(5):
        (pair.here / "config" / "a").write_text(str(number))
        pair.push()
        pair.history.prune()
    assert len(os.listdir(pair.history.folder)) == 3


@pytest.mark.parametrize("packed", [True, False])
def test_random_trees_become_equal(tmp_path, packed):
    chance = random.Random(7)
    names = ["a", "b", "c", "b/x", "b/y", "c/x", "c/x/deep"]
    for attempt in range(40):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        pair = Pair(folder, packed=packed)
        for one in (pair.here, pair.there):
            (one / "config").mkdir()
            for name in names:
                path = one / "config" / name
                if chance.random() < 0.7 and path.parent.is_dir() and not path.parent.is_symlink():
                    MAKERS[chance.choice(["file", "link", "folder"])](path)
        assert pair.push() == []
        assert pair.equal, attempt


def test_what_replicate_adds_travels_as_well(tmp_path):
    extras = ["/srv/site", "/etc/one.conf"]
    pair = Pair(tmp_path, extras=extras)
    for one in (pair.here, pair.there):
        (one / "config").mkdir()
        (one / "srv").mkdir()
    (pair.here / "srv" / "site").mkdir()
    (pair.here / "srv" / "site" / "index").write_text("x")
    (pair.here / "one.conf").write_text("y")
    assert pair.push() == []
    assert pair.equal
    assert (pair.there / "srv" / "site" / "index").read_text() == "x"
    (pair.here / "one.conf").unlink()
    (pair.here / "srv" / "site" / "index").unlink()
    pair.push()
    assert pair.equal
    assert not (pair.there / "one.conf").exists()


def across(monkeypatch):
    """Have the history on another file system than the tree."""
    link, rename = os.link, os.rename

    def refused(call):
        def one(source, target, **more):
            if ("/history/" in str(target)) != ("/history/" in str(source)):
                raise OSError(errno.EXDEV, "across", source, None, target)
            call(source, target, **more)

        return one

    monkeypatch.setattr(module.os, "link", refused(link))
    monkeypatch.setattr(module.os, "rename", refused(rename))


def test_a_copy_for_the_history_that_was_cut_short_does_not_pass_for_the_old_file(pair, monkeypatch):
    across(monkeypatch)
    (pair.here / "config" / "a").write_text("new")
    (pair.there / "config" / "a").write_text("old, and whole")
    copy = shutil.copy2

    def full(source, target, **_):
        with open(target, "w") as file:
            file.write("old,")
        raise OSError(errno.ENOSPC, "full", target)

    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(RefusedError):
        pair.push()
    monkeypatch.setattr(shutil, "copy2", copy)
    pair.generation -= 1  # the same one again
    pair.push()
    assert pair.equal
    assert pair.kept("config/a").read_text() == "old, and whole"
    assert not (pair.history.folder / "0000000001" / "unfinished").exists()


@pytest.mark.parametrize("ours", ["file", "folder"])
def test_pipes_and_sockets_in_the_way_hold_nothing_up(pair, monkeypatch, ours):
    across(monkeypatch)
    MAKERS[ours](pair.here / "config" / "a")
    MAKERS["file"](pair.here / "config" / "b")
    os.mkfifo(pair.there / "config" / "a")
    (pair.there / "config" / "b").mkdir(mode=0o750)
    (pair.there / "config" / "b" / "kept").write_text("x")
    os.mkfifo(pair.there / "config" / "b" / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(pair.there / "config" / "b" / "socket"))
    assert pair.push() == []
    assert pair.equal
    assert [one.name for one in pair.kept("config/b").iterdir()] == ["kept"]
    assert stat.S_IMODE(pair.kept("config/b").stat().st_mode) == 0o750


@pytest.fixture
def readings(monkeypatch):
    """The keys of the files that were opened to see what is in them."""
    found = []
    plain = tree_module.read_content
    monkeypatch.setattr(tree_module, "read_content", lambda key, *more: found.append(key) or plain(key, *more))
    return found


def one_file(pair, mtime=2_000_000_001):
    path = pair.here / "config" / "a"
    path.write_text("new")
    os.utime(path, ns=(mtime, mtime))
    (pair.there / "config" / "a").write_text("old")
    pair.peer.scan()


def test_what_was_put_there_from_a_pack_is_not_read_to_know_it(tmp_path, readings):
    pair = bare_pair(tmp_path)
    one_file(pair)
    pair.push()
    promised = digest(pair.master.scan().manifest)
    readings.clear()
    assert digest(pair.peer.scan().manifest) == promised
    assert readings == []


def test_what_could_change_without_its_times_showing_it_is_read(tmp_path, readings):
    pair = bare_pair(tmp_path)
    one_file(pair, mtime=time.time_ns() + 1_000_000_000)
    pair.push()
    readings.clear()
    pair.peer.scan()
    assert readings == ["config/a"]


def test_another_file_of_the_same_size_and_age_that_took_its_place_is_read(tmp_path, readings, monkeypatch):
    pair = bare_pair(tmp_path)
    one_file(pair)
    rename = os.rename

    def rename_and_replace(source, target):
        rename(source, target)
        other = tmp_path / "other"
        other.write_text("bad")
        os.utime(other, ns=(2_000_000_001, 2_000_000_001))
        rename(other, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename_and_replace)
        pair.push()
    readings.clear()
    pair.peer.scan()
    assert readings == ["config/a"]


@pytest.mark.parametrize("how", ["write", "other", "mode"])
def test_what_somebody_does_to_it_is_seen(tmp_path, how):
    """Also when the file is as large, and as old, as the one that was put there."""
    pair = bare_pair(tmp_path)
    one_file(pair)
    pair.push()
    path = pair.there / "config" / "a"
    if how == "write":
        path.write_text("bad")
    elif how == "mode":
        path.chmod(0o400)
    else:
        other = tmp_path / "other"
        other.write_text("bad")
        os.utime(other, ns=(2_000_000_001, 2_000_000_001))
        other.rename(path)
    fresh = Tree(pair.peer.roots, pair.peer.scope)
    assert digest(pair.peer.scan().manifest) == digest(fresh.scan().manifest) != digest(pair.master.scan().manifest)


@pytest.mark.parametrize("lie", [{"size": 4}, {"mtime": 7}, {"mode": 0o400}, {"uid": 3}])
def test_a_file_that_is_not_as_its_entry_says_is_read(tmp_path, readings, lie):
    pair = bare_pair(tmp_path)
    one_file(pair)
    path = pair.here / "config" / "a"
    entry = pair.master.scan().manifest["config/a"]
    fresh = Tree(pair.master.roots, pair.master.scope)
    fresh.placed("config/a", path.stat(), replace(entry, **lie))
    readings.clear()
    fresh.scan()
    assert readings == ["config/a"]


def test_a_pack_of_which_a_content_is_not_the_promised_one_changes_nothing(tmp_path):
    pair = bare_pair(tmp_path)
    one_file(pair)
    entry = pair.master.scan().manifest["config/a"]
    with pytest.raises(RefusedError) as caught:
        pair.push(spoil=lambda staging: staging.take("config/a", entry, b"bad"))
    assert caught.value.reason is Refusal.CHANGED
    assert (pair.there / "config" / "a").read_text() == "old"
