"""The receiving side: whom it lets in, what it answers, what it records. Real folders, the service's word from the test."""

import errno
import json
import os
import socket
import stat
import threading

import pytest

import skd_cluster
from skd_cluster.adapters.datastate import read_state, tree_lock, write_state
from skd_cluster.adapters.fence import Fence, ServiceDownError
from skd_cluster.adapters.history import History, Kept, close_conflict
from skd_cluster.adapters.past import Past
from skd_cluster.adapters.tree import Tree, read_file
from skd_cluster.config.load import load
from skd_cluster.core.manifest import Kind, compare, digest, pack_manifest, unpack_manifest
from skd_cluster.core.model import DataState, DataVersion, ExitCode, Role, nanos
from skd_cluster.core.session import (
    PROTOCOL,
    Ask,
    Begin,
    Commit,
    Confirm,
    Decoder,
    Hello,
    Holds,
    Put,
    Ready,
    Refusal,
    Refused,
    Resolve,
    encode,
    packs,
)
from skd_cluster.processes.receiver import Receiver, serve


class Side:
    """The receiver of one node, and a master's tree beside it."""

    def __init__(self, folder):
        self.folder = folder
        for one in ("ours", "config"):
            (folder / one).mkdir()
        conf = folder / "cluster.conf"
        places = {
            "configdir": "config",
            "rttables": "rt_tables",
            "zeninolog": "log",
            "state_dir": "state",
            "run_dir": "run",
        }
        conf.write_text(
            '$interface="eth0";$local_ip="10.0.0.2";$remote_ip="10.0.0.1";$password="x";$cluster_id="1";'
            '$cluster_ip="10.0.0.3/24";' + "".join(f'${key}="{folder}/{name}";' for key, name in places.items())
        )
        conf.chmod(0o600)
        self.config = load(conf).require()
        self.role, self.epoch, self.running, self.told = Role.BACKUP, 5, True, []
        self.receiver = Receiver(self.config, self.fence, self.told.append)
        self.master = Tree({"config": f"{folder}/ours", "rt_tables": f"{folder}/ours.rt"}, self.receiver._tree.scope)

    def fence(self):
        if not self.running:
            raise ServiceDownError
        return Fence(self.role, self.epoch)

    def commit(self, epoch=5, generation=1, **changed):
        ours = self.master.scan().manifest
        theirs = unpack_manifest(self.receiver.answer(Ask()).entries)
        plan = compare(ours, theirs)
        rest = {key: entry for key, entry in plan.entries.items() if key not in plan.fetch}
        facts = {"digest": digest(plan.applied(theirs)), "entries": pack_manifest(rest)} | changed
        return [
            Begin(epoch),
            *packs((key, plan.entries[key].packed(), read_file(self.master.path(key))) for key in plan.fetch),
            Commit(epoch, epoch, generation, fetch=[], delete=list(plan.delete), **facts),
        ]

    def push(self, **more):
        """Return the last answer: the only one that is not Ready."""
        answers = [self.receiver.answer(message) for message in self.commit(**more)]
        said = [one for one in answers if one is not None and not isinstance(one, Ready)]
        self.receiver.settle()
        assert len(said) == 1, said
        return said[0]


@pytest.fixture
def side(tmp_path):
    side = Side(tmp_path)
    (tmp_path / "ours" / "a").write_text("new")
    (tmp_path / "config" / "a").write_text("old")
    yield side
    side.receiver.close()
    assert list((tmp_path / "state" / "staging").glob("*")) == []


def test_hello_says_role_epoch_and_what_is_held(side):
    said = Hello(PROTOCOL, skd_cluster.__version__, 5, "backup", node=socket.gethostname())
    assert side.receiver.answer(Hello(PROTOCOL, "3.0.0", 5)) == said
    side.push()
    answer = side.receiver.answer(Hello(PROTOCOL, "3.0.0", 5))
    assert (answer.data_epoch, answer.generation) == (5, 1)
    assert answer.digest == digest(side.master.scan().manifest)


def test_a_push_is_confirmed_recorded_told_and_logged(side, tmp_path):
    answer = side.push()
    found = digest(side.master.scan().manifest)
    assert answer == Confirm(found, 1, 3, [])
    assert (tmp_path / "config" / "a").read_text() == "new"
    state = read_state(tmp_path / "state")
    assert (state.version, state.digest) == (DataVersion(5, 1), found)
    (told,) = side.told
    assert {key: told[key] for key in ("data_epoch", "generation", "digest", "files", "bytes")} == {
        "data_epoch": 5, "generation": 1, "digest": found, "files": 1, "bytes": 3,
    }  # fmt: skip
    assert "applied generation 5.1: 1 paths, 3 bytes" in (tmp_path / "log").read_text()
    about = json.loads((tmp_path / "state" / "history" / "0000000001" / "about.json").read_text())
    assert about["epoch"] == 5
    assert "config/a" in about["before"]


def refused(side, reason, words, **more):
    answer = side.push(**more)
    assert isinstance(answer, Refused)
    assert answer.reason == reason
    assert words in answer.text
    assert (side.folder / "config" / "a").read_text() == "old"
    assert read_state(side.folder / "state").version == DataVersion()
    assert side.told == []


def test_an_older_epoch_is_refused(side):
    refused(side, Refusal.OLD_EPOCH, "the peer knows epoch 5, newer than this master's 4", epoch=4)


def test_the_same_epoch_and_a_newer_one_are_let_in(side):
    assert isinstance(side.push(epoch=5), Confirm)
    assert isinstance(side.push(epoch=6, generation=2), Confirm)


def test_the_epoch_of_the_data_counts_as_well(side):
    assert isinstance(side.push(epoch=9), Confirm)
    side.epoch = 5
    answer = side.push(epoch=8)
    assert answer.reason == Refusal.OLD_EPOCH


def test_a_push_that_comes_late_is_refused(side, tmp_path):
    late = side.commit(generation=3)
    (tmp_path / "ours" / "a").write_text("newer")
    side.push(generation=4)
    answers = [side.receiver.answer(message) for message in late]
    assert answers[-1].reason == Refusal.OLD_EPOCH
    assert (tmp_path / "config" / "a").read_text() == "newer"


def test_a_master_is_not_written_to(side):
    side.role = Role.MASTER
    refused(side, Refusal.MASTER, "master itself, of epoch 5", epoch=9)


@pytest.mark.parametrize("role", [Role.FAULT, Role.STANDBY, Role.INIT])
def test_every_other_role_takes_the_configuration(side, role):
    side.role = role
    assert isinstance(side.push(), Confirm)


def test_without_the_service_nothing_is_taken(side):
    side.running = False
    refused(side, Refusal.NOT_RUNNING, "systemctl start")
    assert isinstance(side.receiver.answer(Hello(PROTOCOL, "3.0.0", 5)), Refused)


def test_a_role_that_changes_while_the_contents_come(side):
    *before, commit = side.commit()
    for message in before:
        side.receiver.answer(message)
    side.role = Role.MASTER
    answer = side.receiver.answer(commit)
    assert answer.reason == Refusal.MASTER
    assert (side.folder / "config" / "a").read_text() == "old"


def test_another_tree_than_promised_is_said_so_and_not_recorded(side):
    answer = side.push(digest="0" * 64)
    assert answer.reason == Refusal.DIFFERS
    assert read_state(side.folder / "state").version == DataVersion()


def test_two_at_once(side, tmp_path):
    with tree_lock(tmp_path / "state"):
        refused(side, Refusal.BUSY, "another process")


def test_another_protocol(side):
    assert side.receiver.answer(Hello(PROTOCOL + 1, "4.0.0", 5)).reason == Refusal.PROTOCOL


@pytest.mark.parametrize("key", ["config/../../escape", "extra/etc/passwd", "/etc/passwd"])
def test_no_content_is_staged_outside(side, tmp_path, key):
    side.receiver.answer(Begin(5))
    assert side.receiver.answer(Put(key, b"x")).reason == Refusal.SCOPE
    assert not (tmp_path / "escape").exists()


@pytest.mark.parametrize("entries", [{"config/a": None}, {"config/a": ["f"]}, {"config/a": ["x", 0, 0, 0, "", 0, 0]}])
def test_garbage_is_refused_in_words(side, entries):
    assert side.push(entries=entries).reason == Refusal.PROTOCOL


def test_an_empty_commit_takes_over_the_version(side, tmp_path):
    side.push()
    assert isinstance(side.push(generation=2), Confirm)
    assert read_state(tmp_path / "state").version == DataVersion(5, 2)
    assert sorted(one.name for one in (tmp_path / "state" / "history").iterdir()) == ["0000000001"]


def test_the_session_over_pipes(side):
    asked, ask = os.pipe()
    answer, answered = os.pipe()
    codes = []
    idle = nanos(600)
    thread = threading.Thread(target=lambda: codes.append(serve(side.receiver, asked, answered, idle)))
    thread.start()
    data = b"".join(encode(one) for one in [Hello(PROTOCOL, "3.0.0", 5), *side.commit()])
    for at in range(0, len(data), 7):
        os.write(ask, data[at : at + 7])
    decoder, said = Decoder(), []
    while len(said) < 3:
        said += decoder.feed(os.read(answer, 1 << 16))
    os.close(ask)
    thread.join()
    assert [type(one) for one in said] == [Hello, Ready, Confirm]
    assert codes == [ExitCode.OK]
    for one in (asked, answer, answered):
        os.close(one)


def test_what_is_no_session_is_ended_with_a_word(side):
    asked, ask = os.pipe()
    answer, answered = os.pipe()
    os.write(ask, b"GET / HTTP/1.1\r\n\r\n")
    assert serve(side.receiver, asked, answered, nanos(600)) is ExitCode.FAILED
    (said,) = Decoder().feed(os.read(answer, 1 << 16))
    assert said.reason == Refusal.PROTOCOL
    for one in (asked, ask, answer, answered):
        os.close(one)


def test_a_question_is_answered_from_the_tree(side):
    answer = side.receiver.answer(Ask())
    assert isinstance(answer, Holds)
    assert set(unpack_manifest(answer.entries)) == {"config", "config/a"}


def test_names_that_a_killed_session_left_are_removed_also_beside_single_files(side, tmp_path):
    left = [tmp_path / "config" / ".skd-4194305", tmp_path / ".skd-4194305"]
    for one in left:
        one.write_text("half of rt_tables")
    Receiver(side.config, side.fence, side.told.append)
    assert [one for one in left if one.exists()] == []


def test_the_history_tells_the_whole_of_a_push_that_took_two_attempts(side, tmp_path, monkeypatch):
    """The first one dies after it has begun: what it did is not found any more by the second."""
    (tmp_path / "ours" / "b").write_text("made")
    (tmp_path / "ours" / "z").mkdir()
    (tmp_path / "config" / "old").mkdir()
    (tmp_path / "config" / "old" / "x").write_text("deleted")
    (tmp_path / "config" / "z").write_text("a file where a folder belongs")
    fails_to_keep(monkeypatch, "config/old/x")
    answer = side.push()
    assert isinstance(answer, Refused)
    assert (tmp_path / "config" / "b").exists()
    monkeypatch.undo()
    assert isinstance(side.push(), Confirm)
    assert [one.name for one in (tmp_path / "state" / "history").iterdir()] == ["0000000001"]
    about = json.loads((tmp_path / "state" / "history" / "0000000001" / "about.json").read_text())
    assert about["made"] == ["config/b"]
    assert {"config/a", "config/z", "config/old", "config/old/x"} <= about["before"].keys()
    assert stat.S_ISREG(about["before"]["config/z"][0])
    assert set(about["deleted"]) == {"config/old", "config/old/x"}


def fails_to_keep(monkeypatch, key):
    """Have the next pushes end in their middle, when this would be replaced."""
    link = Kept.link

    def full(self, kept, path):
        if kept == key:
            raise OSError(errno.ENOSPC, "full", path)
        link(self, kept, path)

    monkeypatch.setattr(Kept, "link", full)


# ---- changes of this node's own


def own(side, text, name="a"):
    """Change something on the receiving side."""
    (side.folder / "config" / name).write_text(text)


def conflicts(side):
    return [one["text"] for one in side.told if one["verb"] == "conflict"]


def about(side, generation):
    folder = side.folder / "state" / "history" / f"{generation:010d}"
    return json.loads((folder / "about.json").read_text())


def test_a_first_synchronisation_is_no_conflict(side):
    side.push()
    assert conflicts(side) == []


def test_a_change_of_the_master_s_is_no_conflict(side):
    side.push()
    (side.folder / "ours" / "a").write_text("newer")
    answer = side.push(generation=2)
    assert answer.conflicts == []
    assert "conflict" not in about(side, 2)


def test_what_was_changed_here_by_hand_gives_way_and_is_kept_under_a_name(side):
    side.push()
    own(side, "by hand")
    (side.folder / "ours" / "b").write_text("the master's")
    answer = side.push(generation=2)
    (name,) = answer.conflicts
    assert name.startswith("drift-")
    assert about(side, 2)["conflict"] == {"name": name, "kind": "drift", "keys": ["config/a"], "resolved": False}
    assert (side.folder / "state/history/0000000002/tree/config/a").read_text() == "by hand"
    (text,) = conflicts(side)
    assert f"conflict {name}: 1 of this node's own changes, made by hand on a backup" in text
    assert text in (side.folder / "log").read_text()
    assert side.receiver.answer(Hello(PROTOCOL, "3.0.0", 5)).conflicts == [name]


def kept(side, key="config/a"):
    """Return what the history has of a file, by the name of each push, as people would get it."""
    past = Past(side.folder / "state" / "history")
    found = {}
    for push in sorted(past.pushes()):
        if key in past.kept(*push):
            found[past.generation(*push).name] = past.read(push, key, 0, 100).decode()
    return found


def test_what_is_changed_by_hand_again_and_again_before_the_next_generation_is_kept_each_time(side):
    side.push()
    names = set()
    for text in ("by hand", "and again", "and once more"):
        own(side, text)
        names |= set(side.push().conflicts)
        assert (side.folder / "config" / "a").read_text() == "new"
    assert kept(side) == {"1": "old", "1-2": "by hand", "1-3": "and again", "1-4": "and once more"}
    assert len(names) == 3  # within one second


def test_a_file_that_the_generation_itself_had_made_is_kept_as_well(side):
    (side.folder / "ours" / "made").write_text("the master's")
    side.push()
    own(side, "by hand", "made")
    side.push()
    own(side, "and again", "made")
    side.push()
    assert kept(side, "config/made") == {"1-2": "by hand", "1-3": "and again"}


def test_what_is_made_deleted_or_of_another_kind_and_back(side):
    side.push()
    place = side.folder / "config" / "x"
    for text in ("once", "twice"):
        own(side, text, "x")
        side.push()
        assert not place.exists()
    place.mkdir()
    own(side, "in a folder", "x/y")
    side.push()
    (side.folder / "config" / "a").unlink()
    (side.folder / "config" / "a").symlink_to("elsewhere")
    side.push()
    (side.folder / "config" / "a").unlink()
    (side.folder / "config" / "a").mkdir()
    own(side, "in a folder", "a/y")
    side.push()
    assert list(kept(side, "config/x/y").values()) == list(kept(side, "config/a/y").values()) == ["in a folder"]
    past = Past(side.folder / "state" / "history")
    found = [past.kept(*push).get("config/a") for push in sorted(past.pushes())]
    assert [one.content for one in found if one is not None and one.kind is Kind.LINK] == ["elsewhere"]
    found = [past.kept(*push).get("config/x") for push in sorted(past.pushes())]
    assert [one.size for one in found if one is not None and one.kind is Kind.FILE] == [len("once"), len("twice")]


def test_the_same_change_again_is_kept_once_and_so_are_changes_of_two_files(side):
    (side.folder / "ours" / "b").write_text("b")
    side.push()
    for _ in range(3):
        own(side, "the agent's")
        (name,) = side.push().conflicts
    own(side, "by hand", "b")
    assert side.push().conflicts == [name]
    assert kept(side) == {"1": "old", "1-2": "the agent's"}
    assert kept(side, "config/b") == {"1-2": "by hand"}


def test_the_same_change_after_it_was_dealt_with_is_news(side):
    side.push()
    own(side, "by hand")
    (first,) = side.push().conflicts
    side.receiver.answer(Resolve(first))
    own(side, "by hand")
    (second,) = side.push().conflicts
    past = Past(side.folder / "state" / "history")
    assert past.generation(1, 2).conflict.resolved
    assert not past.generation(1, 3).conflict.resolved
    assert past.generation(1, 3).conflict.name == second


def test_what_is_changed_between_two_tries_of_a_push_is_kept_beside_the_first(side, monkeypatch):
    (side.folder / "ours" / "b").write_text("b")
    side.push()
    for name in ("a", "b"):
        (side.folder / "ours" / name).write_text("newer")
    fails_to_keep(monkeypatch, "config/b")
    assert isinstance(side.push(generation=2), Refused)
    own(side, "by hand")
    assert isinstance(side.push(generation=2), Refused)
    monkeypatch.undo()
    assert isinstance(side.push(generation=2), Confirm)
    assert kept(side) == {"1": "old", "2": "new", "2-2": "by hand"}
    assert list(kept(side, "config/b").values()) == ["b"]


def test_it_is_told_before_anything_is_replaced(side):
    side.push()
    own(side, "by hand")
    seen = []
    side.receiver._tell = lambda facts: seen.append((facts["verb"], (side.folder / "config" / "a").read_text()))
    side.push(generation=2)
    assert seen == [("conflict", "by hand"), ("applied", "new")]


def test_what_this_node_changed_as_a_master_alone_is_a_split(side):
    side.push()
    own(side, "typed here")
    (side.folder / "config" / "made").write_text("made here")
    found = digest(side.receiver._tree.scan().manifest)
    write_state(side.folder / "state", DataState(DataVersion(4, 2), found, DataVersion(5, 1)))
    (name,) = side.push(generation=3).conflicts
    assert name.startswith("split-")
    assert about(side, 3)["conflict"]["keys"] == ["config/a", "config/made"]


def test_without_the_memory_of_what_both_held_all_that_is_replaced_may_be_missed(side):
    side.push()
    (side.folder / "ours" / "b").write_text("the master's")
    own(side, "typed here")
    write_state(side.folder / "state", DataState(DataVersion(4, 2), "00", DataVersion(3, 1)))
    side.push(generation=3)
    assert about(side, 3)["conflict"]["keys"] == ["config/a"]


def test_a_conflict_that_waits_outlives_the_history_s_limit(side):
    side.receiver._history = History(side.folder / "state" / "history", keep=2)
    side.push()
    own(side, "by hand")
    (name,) = side.push(generation=2).conflicts
    for number in range(3, 8):
        (side.folder / "ours" / "a").write_text(str(number))
        assert side.push(generation=number).conflicts == [name]
    kept = sorted(path.name for path in (side.folder / "state" / "history").glob("0*"))
    assert kept == [f"{number:010d}" for number in (2, 6, 7)]
    close_conflict(side.folder / "state" / "history", name)
    (side.folder / "ours" / "a").write_text("8")
    assert side.push(generation=8).conflicts == []
    assert len(list((side.folder / "state" / "history").glob("0*"))) == 2
