"""What a node answers to `diff` and `history`, and what its master takes back. Real folders, the service's word ours."""

import json
import os

import pytest

from skd_cluster.adapters.datastate import tree_lock
from skd_cluster.adapters.fence import Fence, ServiceDownError
from skd_cluster.config.load import load
from skd_cluster.core.history import parse
from skd_cluster.core.manifest import Entry, Kind, content_of, pack_manifest, unpack_manifest
from skd_cluster.core.model import Role
from skd_cluster.core.session import (
    SMALL_FILE,
    About,
    Ask,
    AskKept,
    Confirm,
    Facts,
    Generations,
    Get,
    Holds,
    ListKept,
    Open,
    Put,
    Ready,
    Recall,
    Refusal,
    Refused,
    Resolve,
    Restore,
)
from skd_cluster.processes.receiver import Receiver

SECRET = "hunter22"


class Side:
    """A node with a tree and a history of one generation."""

    def __init__(self, folder):
        self.folder, self.tree, self.history = folder, folder / "config", folder / "state" / "history"
        self.tree.mkdir()
        conf = folder / "cluster.conf"
        places = {
            "configdir": "config",
            "rttables": "rt_tables",
            "zeninolog": "log",
            "state_dir": "state",
            "run_dir": "r",
        }
        conf.write_text(
            '$interface="eth0";$local_ip="10.0.0.2";$remote_ip="10.0.0.1";$password="x";$cluster_id="1";'
            '$cluster_ip="10.0.0.3/24";$exclude="--exclude *.local";'
            + "".join(f'${key}="{folder}/{name}";' for key, name in places.items())
        )
        conf.chmod(0o600)
        self.role, self.running = Role.MASTER, True
        self.receiver = Receiver(load(conf).require(), self.fence, lambda _facts: None)
        self.ask = self.receiver.answer

    def fence(self):
        if not self.running:
            raise ServiceDownError
        return Fence(self.role, 5)

    def keep(self, number, files=None, **about):
        """Lay down a generation as the receiver does."""
        kept = self.history / f"{number:010d}" / "tree"
        kept.mkdir(parents=True)
        for key, content in (files or {}).items():
            (kept / key).parent.mkdir(parents=True, exist_ok=True)
            (kept / key).write_bytes(content)
            about.setdefault("before", {})[key] = [(kept / key).lstat().st_mode, os.getuid(), os.getgid()]
        (kept.parent / "about.json").write_text(json.dumps({"epoch": 5, "generation": number, **about}))
        return kept

    def refused(self, message, reason):
        said = self.ask(message)
        assert isinstance(said, Refused), said
        assert said.reason == reason
        assert SECRET not in said.text
        return said.text


@pytest.fixture
def side(tmp_path):
    side = Side(tmp_path)
    yield side
    side.receiver.close()
    assert list((tmp_path / "state" / "staging").glob("*")) == []
    log = tmp_path / "log"
    assert not log.exists() or SECRET not in log.read_text()


def entry(content, mode=0o644, key="config/a"):
    return Entry(Kind.FILE, mode, os.getuid(), os.getgid(), content_of(key, content), len(content))


# --- looking -----------------------------------------------------------------------------


@pytest.mark.parametrize("role", list(Role))
def test_a_file_is_read_in_every_role_and_without_the_service(side, role):
    (side.tree / "a").write_text(SECRET)
    side.role, side.running = role, role is not Role.INIT
    assert side.ask(Get("config/a")) == Put("config/a", SECRET.encode())


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("config/nothing", Refusal.ABSENT),
        ("config/d", Refusal.ABSENT),
        ("config/link", Refusal.ABSENT),
        ("config/door/secret", Refusal.ABSENT),
        ("config/large", Refusal.TOO_LARGE),
        ("config/a.local", Refusal.SCOPE),
        ("config/if_eth0_conf", Refusal.SCOPE),
        ("config/../cluster.conf", Refusal.SCOPE),
        ("extra/etc/passwd", Refusal.SCOPE),
        ("/etc/passwd", Refusal.SCOPE),
        ("config//a", Refusal.SCOPE),
    ],
)
def test_only_what_travels_is_read(side, key, reason):
    outside = side.folder / "outside"
    outside.mkdir()
    (outside / "secret").write_text(SECRET)
    (side.tree / "d").mkdir()
    (side.tree / "link").symlink_to(outside / "secret")
    (side.tree / "door").symlink_to(outside)
    (side.tree / "large").write_bytes(b"x" * (SMALL_FILE + 1))
    for name in ("a.local", "if_eth0_conf", "a"):
        (side.tree / name).write_text(SECRET)
    side.refused(Get(key), reason)


def test_a_manifest_says_what_could_not_be_read(side):
    (side.tree / "a").write_text("x")
    found = side.ask(Ask())
    assert (set(unpack_manifest(found.entries)), found.unknown) == ({"config", "config/a"}, {})


def test_generations_and_what_is_known_of_them(side):
    assert side.ask(ListKept()) == Generations([])
    side.keep(7, {"config/a": b"old"}, made=["config/b"])
    side.keep(12)
    (side.history / "0000000012" / "about.json").write_text("{broken")
    (side.history / "lost+found").mkdir()
    assert side.ask(ListKept()) == Generations([12, 7], [1, 1])
    found = side.ask(About(7))
    assert (parse(7, found.facts).changed, parse(7, found.facts).made) == (("config/a",), ("config/b",))
    assert side.ask(About(12)) == Facts(12, {})
    for number in (8, -1, 10**12):
        side.refused(About(number), Refusal.ABSENT)


def test_what_was_kept(side):
    kept = side.keep(7, {"config/d/a": b"old", "config/k": SECRET.encode()}, deleted=["config/d/a", "config/l"])
    (kept / "config" / "k").chmod(0o600)
    (kept / "config" / "l").symlink_to("/etc")
    found = unpack_manifest(side.ask(AskKept(7)).entries)
    assert found == {
        "config/d/a": entry(b"old"),
        "config/k": entry(SECRET.encode(), 0o600),
        "config/l": Entry(Kind.LINK, 0, os.getuid(), os.getgid(), "/etc"),
    }
    assert side.ask(Recall(7, "config/k")) == Put("config/k", SECRET.encode())
    assert side.ask(Recall(7, "config/k", 6)) == Put("config/k", b"22", 6)


def test_a_large_file_is_recalled_in_pieces(side):
    body = os.urandom(SMALL_FILE + 5)
    side.keep(7, {"config/a": body})
    pieces = [side.ask(Recall(7, "config/a", at)).body for at in (0, SMALL_FILE)]
    assert b"".join(pieces) == body


@pytest.mark.parametrize(
    "key", ["config/b", "config", "config/l/passwd", "config/../about.json", "../about.json", "", "a\0"]
)
def test_nothing_but_a_kept_file_is_recalled(side, key):
    kept = side.keep(7, {"config/a": b"old"})
    (kept / "config" / "l").symlink_to("/etc")
    side.refused(Recall(7, key), Refusal.ABSENT)


def test_a_conflict_is_resolved(side):
    side.keep(
        7, {"config/a": b"old"}, conflict={"name": "split-1", "kind": "split", "keys": ["config/a"], "resolved": False}
    )
    found = side.ask(Resolve("split-1"))
    assert parse(7, found.facts).conflict.resolved
    about = side.history / "0000000007" / "about.json"
    written = json.loads(about.read_text())
    assert written == found.facts
    assert written["conflict"] == {"name": "split-1", "kind": "split", "keys": ["config/a"], "resolved": True}
    assert about.stat().st_mode & 0o777 == 0o600
    side.refused(Resolve("split-2"), Refusal.ABSENT)


# --- restoring ---------------------------------------------------------------------------


def give(side, key="config/a", body=b"old", mode=0o644, **more):
    """Say all that a restore takes; return the last answer."""
    opened = side.ask(Open())
    if not isinstance(opened, Ready):
        return opened
    assert side.ask(Put(key, body)) is None
    facts = {"entries": pack_manifest({key: entry(body, mode, key)}), "fetch": [key], "delete": []} | more
    return side.ask(Restore("41@lb2", **facts))


def test_what_is_restored_and_what_that_replaced(side):
    (side.tree / "a").write_text("new")
    said = give(side)
    assert (said.files, said.kept) == (1, [])
    assert (side.tree / "a").read_text() == "old"
    (number,) = side.ask(ListKept()).numbers
    found = parse(number, side.ask(About(number)).facts)
    assert (found.changed, found.restored, found.epoch) == (("config/a",), "41@lb2", 5)
    assert side.ask(Recall(number, "config/a")).body == b"new"
    assert "restored from 41@lb2: 1 paths" in (side.folder / "log").read_text()


def test_a_restore_has_a_number_above_all_that_is_kept(side):
    side.keep(30)
    give(side)
    assert side.ask(ListKept()) == Generations([31, 30], [1, 1])


def test_a_private_key_has_its_mode_from_the_first_moment(side):
    assert isinstance(give(side, "config/k", SECRET.encode(), 0o600), Confirm)
    assert (side.tree / "k").stat().st_mode & 0o777 == 0o600


def test_a_large_file_comes_in_pieces(side):
    body = os.urandom(SMALL_FILE + 5)
    side.ask(Open())
    for at in (0, SMALL_FILE):
        side.ask(Put("config/a", body[at : at + SMALL_FILE], at))
    side.ask(Restore("41@lb2", pack_manifest({"config/a": entry(body)}), ["config/a"], []))
    assert (side.tree / "a").read_bytes() == body


def test_what_a_restore_deletes(side):
    (side.tree / "b").write_text("made later")
    assert isinstance(give(side, delete=["config/b"]), Confirm)
    assert not (side.tree / "b").exists()


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.MASTER])
def test_only_the_master_takes_it(side, role):
    side.role = role
    said = give(side)
    assert (said.reason, "only the master" in said.text) == (Refusal.NOT_MASTER, True)
    side.running = False
    assert give(side).reason == Refusal.NOT_RUNNING
    assert list(side.tree.iterdir()) == []


def test_a_role_that_ends_while_the_contents_come(side):
    side.ask(Open())
    side.ask(Put("config/a", b"old"))
    side.role = Role.BACKUP
    side.refused(Restore("41@lb2", pack_manifest({"config/a": entry(b"old")}), ["config/a"], []), Refusal.NOT_MASTER)
    assert list(side.tree.iterdir()) == []


def test_without_a_beginning_nothing_is_done(side):
    assert side.ask(Restore("41@lb2", pack_manifest({"config/a": entry(b"old")}), ["config/a"], [])) is None
    assert list(side.tree.iterdir()) == []


def test_what_this_node_excludes_is_not_restored(side):
    assert give(side, "config/a.local").reason == Refusal.SCOPE


def test_a_content_that_changed_on_its_way(side):
    facts = {"entries": pack_manifest({"config/a": entry(b"other")})}
    assert give(side, **facts).reason == Refusal.CHANGED


def test_somebody_else_is_changing_the_tree(side, monkeypatch):
    monkeypatch.setattr("skd_cluster.processes.restorer._PATIENCE", 0)
    with tree_lock(side.folder / "state"):
        assert give(side).reason == Refusal.BUSY
    assert isinstance(give(side), Confirm)


def test_garbage_is_refused_in_words(side):
    assert give(side, entries={"config/a": ["f"]}).reason == Refusal.PROTOCOL
    assert isinstance(side.ask(Holds({})), Refused)
