"""The session, the peer's disk, its clock, the network and the roles fail in the middle: nothing is lost, all is said."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from skd_cluster.core.messages import SyncNow
from tests.lab.conftest import thorough
from tests.lab.replication_pair import PATIENCE, Pair, read
from tests.labkit import CONFIG_TREE, eventually
from tests.labkit.machine import REPOSITORY

pytestmark = pytest.mark.timeout(300)

SABOTEUR = Path(__file__).with_name("saboteur.py")
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
HISTORY = "/var/lib/skd-cluster/history"

MESSAGES = ["Hello", "Hello back", "Ask", "Holds", "Begin", "Ready", "Pack", "Commit", "Confirm"]


class Sabotage:
    """Harm at a message of the peer's session; see saboteur.py."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._plan = pair.peer.path("/run/sabotage.json")
        real, python = pair.peer.product / "skd-cluster", pair.peer.product / "python"
        words = f'PYTHONPATH={REPOSITORY} exec {python} {SABOTEUR} {real} "$@"'
        pair.peer.write("/usr/local/bin/skd-cluster", f"#!/bin/sh\n{words}\n", 0o755)

    def arm(self, at: str, how: str, **fields: object) -> None:
        self._plan.with_suffix(".done").unlink(missing_ok=True)
        self._pair.peer.write("/run/sabotage.new", json.dumps({"at": at, "how": how, "with": fields}))
        self._pair.peer.path("/run/sabotage.new").rename(self._plan)

    def done(self) -> bool:
        return self._plan.with_suffix(".done").exists()


@pytest.mark.parametrize("how", ["receive", "session"])
def test_the_session_is_killed_at_each_of_its_messages(pair, how):
    sabotage = Sabotage(pair)
    pair.synced()
    for number, at in enumerate(MESSAGES):
        sabotage.arm(at, how)
        if at in MESSAGES[:4]:
            pair.hang_up()
        text = f"killed at {at}"
        pair.ours("zlb-start").write_text(text)
        pair.ours(f"gone-{number}").write_text("and deleted again")
        eventually(sabotage.done, within=PATIENCE, what=text)
        pair.ours(f"gone-{number}").unlink()
        pair.arrived("zlb-start", text)
        pair.equal()
    assert all(text in pair.kept("zlb-start") for text in [f"killed at {at}" for at in MESSAGES[:-1]])
    assert pair.report().last_error == ""
    print(*pair.notes(), sep="\n")


def test_rsync_or_all_of_sshd_is_killed_in_the_middle_of_a_large_file(lab):
    pair = Pair(lab, max_delete="100", rsync_args="--bwlimit=20000")
    pair.synced()
    staging = pair.peer.path("/usr/local/skudonet/.skd-staging")

    def harm_rsync():
        pair.peer.run("pkill -KILL -x rsync")

    def harm_sessions():
        for pid in [one for pids in pair.sessions().values() for one in pids]:
            os.kill(pid, signal.SIGKILL)

    def harm_sshd():
        pair.peer.stop_sshd()
        harm_sessions()
        pair.error("no sshd answers")
        pair.peer.start_sshd()
        pair.tell(SyncNow())

    old = os.urandom(1 << 20)
    for number, harm in enumerate((harm_rsync, harm_sessions, harm_sshd)):
        new = bytes([number]) + os.urandom(15 << 20)
        pair.ours("large").write_bytes(new)
        eventually(
            lambda: any(one.stat().st_size > 1 << 20 for one in staging.glob("*/tree/config/large")), what="some"
        )
        harm()
        assert not pair.there("large").exists() if number == 0 else pair.there("large").read_bytes() == old
        eventually(lambda want=new: pair.there("large").read_bytes() == want, within=PATIENCE, what="the large file")
        old = new
        pair.equal()
    assert pair.report().last_error == ""
    eventually(
        lambda: len(list(staging.iterdir())) <= 1, within=PATIENCE, what="no staging folder is left of the killed"
    )


def test_a_file_system_of_the_peer_that_is_read_only_is_named_and_retried(pair):
    pair.peer.run(f"mount --bind {CONFIG_TREE} {CONFIG_TREE}")
    pair.synced()
    old = read(pair.there("zlb-start"))
    pair.peer.run(f"mount -o remount,bind,ro {CONFIG_TREE}")
    pair.ours("zlb-start").write_text("not yet")
    pair.ours("certificates/next-year.key").chmod(0o400)
    pair.error("its file system is read-only")
    assert read(pair.there("zlb-start")) == old
    pair.peer.run(f"mount -o remount,bind,rw {CONFIG_TREE}")
    pair.tell(SyncNow())
    pair.arrived("zlb-start", "not yet")
    pair.equal()
    assert sum("read-only" in note for note in pair.notes()) == 1


def test_an_immutable_path_of_the_peer_is_named_holds_nothing_else_up_and_arrives_when_it_may(pair):
    """`chattr +i` on a file that changes, one that goes, and a folder into which something new comes."""
    pair.synced()
    old = read(pair.there("zlb-start"))
    pair.ours("gone").write_text("deleted later")
    pair.ours("locked").mkdir()
    pair.arrived("gone", "deleted later")
    pair.equal()
    held = f"{CONFIG_TREE}/zlb-start {CONFIG_TREE}/gone {CONFIG_TREE}/locked"
    pair.peer.run(f"chattr +i {held}")
    pair.ours("zlb-start").write_text("not yet")
    pair.ours("gone").unlink()
    (pair.ours("locked") / "folder").mkdir()
    (pair.ours("locked") / "folder" / "new").write_text("in a locked folder")
    pair.ours("zlb-stop").write_text("not held up")
    pair.error(f"allow with chattr -i {CONFIG_TREE}/")
    pair.arrived("zlb-stop", "not held up")
    pair.ours("farmguardian.conf").write_text("nor is what comes later")
    pair.arrived("farmguardian.conf", "nor is what comes later")
    assert read(pair.there("zlb-start")) == old
    assert read(pair.there("gone")) == "deleted later"
    for path in held.split():  # one after the other: the first that is left is named
        pair.error(f"not permitted there: {CONFIG_TREE}/")
        pair.peer.run(f"chattr -i {path}")
    pair.tell(SyncNow())
    pair.arrived("zlb-start", "not yet")
    pair.arrived("locked/folder/new", "in a locked folder")
    pair.equal()
    assert pair.kept("zlb-start")[-1] == old
    assert pair.kept("gone")[-1] == "deleted later"


@pytest.mark.parametrize("place", ["/var/lib/skd-cluster", "/usr/local/skudonet/.skd-staging"])
def test_a_full_disk_where_the_peer_keeps_its_own_leaves_the_old_files_and_the_history_whole(pair, place):
    """The history's disk, then the one on which a batch is collected."""
    pair.synced()
    old = "o" * 900_000
    pair.ours("page.html").write_text(old)
    pair.arrived("page.html", old)
    pair.equal()
    pair.peer.run(f"mkdir -p /root/own && cp -a {place}/. /root/own && mount -t tmpfs -o size=1m tmpfs {place}")
    pair.peer.run(f"cp -a /root/own/data.json {place}/ ; head -c 400k /dev/zero > {place}/fill", check=False)
    pair.ours("page.html").write_text("n" * 900_000)
    pair.error("no space left there")
    assert read(pair.there("page.html")) == old
    pair.peer.run(f"umount -l {place}")
    pair.tell(SyncNow())
    pair.arrived("page.html", "n" * 900_000)
    pair.equal()
    assert pair.kept("page.html")[-1] == old


@pytest.mark.parametrize("days", [365, -365])
def test_the_peer_s_clock_is_off_by_a_year(pair, days):
    real = pair.peer.product / "skd-cluster"
    env = f'LD_PRELOAD={FAKETIME} FAKETIME="{days:+}d" FAKETIME_DONT_FAKE_MONOTONIC=1'
    assert Path(FAKETIME).exists(), "script/bootstrap installs it"
    pair.peer.write("/usr/local/bin/skd-cluster", f'#!/bin/sh\n{env} exec {real} "$@"\n', 0o755)
    pair.synced()
    for number in range(10):
        for name in ("zlb-start", "farmguardian.conf"):
            pair.ours(name).write_text(f"version {number}")
            pair.arrived(name, f"version {number}")
    pair.ours("zlb-start").unlink()
    pair.arrived("zlb-start", None)
    pair.equal()
    log = pair.peer.path("/var/log/skdinotify.log").read_text()
    assert log[:4] == str(time.gmtime(time.time() + days * 86400).tm_year), log[:30]  # noqa: TID251 -- the calendar


def test_a_master_that_loses_its_role_in_the_middle_of_a_large_file_gets_the_other_s_tree(lab):
    pair = Pair(lab, max_delete="100", rsync_args="--bwlimit=4000")
    pair.synced()
    large = os.urandom(12 << 20)
    pair.ours("large").write_bytes(large)
    pair.ours("zlb-start").write_text("with it")
    staging = pair.peer.path("/usr/local/skudonet/.skd-staging")
    eventually(
        lambda: any(one.stat().st_size > 1 << 20 for one in staging.glob("*/tree/config/large")), what="some of it"
    )
    pair.stop()
    pair.turn()
    pair.says(role="backup", epoch=2)
    pair.serve()
    pair.start(epoch=2)
    pair.equal()
    assert not pair.there("large").exists()
    history = pair.peer.path(HISTORY)
    assert [one.read_bytes() == large for one in history.glob("*/tree/config/large")] == [True]
    assert "with it" in pair.kept("zlb-start")


def test_a_stale_master_is_refused_then_follows_and_what_it_alone_had_is_in_its_history(pair):
    pair.synced()
    pair.lab.partition(pair.master, pair.peer)
    pair.ours("only-here").write_text("of the stale master alone")
    pair.ours("zlb-start").write_text("its version")
    pair.says(role="master", epoch=2)
    pair.there("zlb-start").write_text("the new master's version")
    pair.there("zlb-stop").unlink()
    pair.error("cannot be reached")
    pair.lab.heal()
    pair.tell(SyncNow())
    pair.error("the peer is master itself, of epoch 2")
    pair.says(role="backup", epoch=2)  # it went on to be backup, say: its epoch still counts
    pair.error("the peer knows epoch 2, newer than this master's 1")
    assert read(pair.there("zlb-start")) == "the new master's version"
    assert not pair.there("only-here").exists()
    pair.stop()
    pair.turn()
    pair.says(role="backup", epoch=2)
    pair.serve()
    pair.start(epoch=2)
    pair.equal()
    assert read(pair.there("zlb-start")) == "the new master's version"
    assert pair.kept("only-here") == ["of the stale master alone"]
    assert pair.kept("zlb-start")[-1] == "its version"
    assert pair.kept("zlb-stop")


def test_a_session_that_hangs_without_closing_is_given_up_and_comes_too_late(pair):
    """Stopped like a machine that swaps, not killed: its connection stays open, and it goes on when all is over."""
    pair.synced()
    stopped = [one for pids in pair.sessions().values() for one in pids]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    pair.ours("zlb-start").write_text("into a session that hangs")
    pair.error("cannot be reached by ssh")
    pair.arrived("zlb-start", "into a session that hangs")
    pair.ours("zlb-start").write_text("newer")
    pair.arrived("zlb-start", "newer")
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    eventually(
        lambda: not any(Path(f"/proc/{pid}").exists() for pid in stopped), within=PATIENCE, what="the late one ended"
    )
    assert read(pair.there("zlb-start")) == "newer"
    pair.equal()


SILENCES = [("Hello", 15), *([("Commit", 60), ("Ask", 60)] if thorough() else [])]
"""After which message the receiver falls silent, and how long that is borne. Those of a minute with SKD_TORTURE=all."""


@pytest.mark.parametrize(("at", "limit"), SILENCES)
def test_a_receiver_that_never_answers_is_given_up(pair, at, limit):
    sabotage = Sabotage(pair)
    pair.synced()
    sabotage.arm(at, "hang")
    if at != "Commit":
        pair.hang_up()
    pair.ours("zlb-start").write_text("nobody answers")
    began = time.monotonic()
    eventually(sabotage.done, within=PATIENCE, what="it hangs")
    pair.error("no answer from the peer while", within=limit + PATIENCE)
    assert time.monotonic() - began > limit - 3
    pair.arrived("zlb-start", "nobody answers")
    pair.equal()


@pytest.mark.parametrize(
    ("how", "fields", "words"),
    [
        ("say", {"protocol": 99, "software": "9.9.9"}, "the peer has skd-cluster 9.9.9 and this node "),
        ("say", {"protocol": 0, "software": "2.9.0"}, "the peer has skd-cluster 2.9.0 and this node "),
        ("refuse", {"reason": "protocol", "text": "the peer has skd-cluster 9.9.9: no"}, "skd-cluster 9.9.9: no"),
    ],
)
def test_a_peer_of_another_protocol_is_told_apart_in_words_and_asked_again(pair, how, fields, words):
    sabotage = Sabotage(pair)
    before = read(pair.there("zlb-start"))
    sabotage.arm("Hello back", how, **fields)
    pair.ours("zlb-start").write_text("for a peer that understands")
    pair.start()
    pair.in_sync()
    assert [note for note in pair.notes() if words in note], pair.notes()
    assert any("replication works again" in note for note in pair.notes())
    assert before != read(pair.there("zlb-start")) == "for a peer that understands"
    pair.equal()


def test_a_master_that_loses_power_right_after_a_save_sends_it_when_it_is_back(pair):
    pair.synced()
    for number in range(5):
        text = f"saved, and power lost {number}"
        pair.ours("zlb-start").write_text(text)
        pair.ours(f"new-{number}").write_text(text)
        pair.kill()
        pair.ours(f"offline-{number}").write_text("written while no replicator ran")
        pair.start()
        for name in ("zlb-start", f"new-{number}"):
            pair.arrived(name, text)
        pair.arrived(f"offline-{number}", "written while no replicator ran")
        pair.equal()
