"""Every way a tree can change faster than one can look: the last version always arrives, and no other than real ones."""

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.lab.replication_pair import PATIENCE, read
from tests.labkit import CONFIG_TREE, eventually

pytestmark = pytest.mark.timeout(300)

FEW_WATCHES = Path(__file__).with_name("few_watches.py")
STAMP = 1_700_000_000_000_000_000


def test_twenty_versions_of_the_same_size_and_time_each_arrive(pair):
    pair.synced()
    path = pair.ours("farmguardian.conf")
    for number in range(20):
        text = f"version {number:02}"
        path.write_text(text)
        os.utime(path, ns=(STAMP, STAMP))
        pair.arrived("farmguardian.conf", text)
        if number % 5 == 0:  # the tree is read once more: now this version is old enough to be remembered
            pair.ours("zlb-stop").write_text(f"{number}")
            pair.arrived("zlb-stop", f"{number}")
    pair.equal()


def test_of_twenty_versions_within_one_second_the_last_one_arrives(pair):
    pair.synced()
    path = pair.ours("farmguardian.conf")
    for attempt in range(5):
        for number in range(20):
            path.write_text(f"attempt {attempt} version {number:02}")
            os.utime(path, ns=(STAMP, STAMP))
            if number % 3 == attempt % 3:  # here the replicator may get in between
                eventually(pair.report, within=PATIENCE, what="a report")
        pair.arrived("farmguardian.conf", f"attempt {attempt} version 19")
    pair.equal()


def test_a_mode_or_an_owner_alone_arrives_and_no_content_travels(pair):
    pair.synced()
    before, inode = pair.report().sent_bytes, pair.there("global.conf").stat().st_ino
    for mode in (0o600, 0o4755, 0o000, 0o644):
        pair.ours("global.conf").chmod(mode)
        pair.ours("certificates").chmod(0o700 | mode & 0o77)
        eventually(
            lambda want=mode: pair.there("global.conf").stat().st_mode & 0o7777 == want, within=PATIENCE, what=oct(mode)
        )
    for owner in (33, 65534, 0):
        os.chown(pair.ours("global.conf"), owner, owner + 1)
        eventually(
            lambda want=owner: pair.there("global.conf").stat().st_uid == want, within=PATIENCE, what=f"owner {owner}"
        )
    pair.equal()
    assert pair.report().sent_bytes == before
    assert pair.there("global.conf").stat().st_ino == inode


def test_more_events_than_the_kernel_keeps_are_noticed_and_nothing_is_missed(pair):
    pair.synced()
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    os.kill(pair.pid, signal.SIGSTOP)
    noise = pair.ours("noise~")  # is not replicated: nothing but the loss is a reason to look
    for _ in range(limit // 3 + 1):  # each at least three events that the kernel cannot join
        noise.write_text("x")
        noise.unlink()
    pair.ours("zlb-start").write_text("this event is lost")
    pair.ours("after").mkdir()
    pair.ours("after/all").write_text("and this one")
    os.kill(pair.pid, signal.SIGCONT)
    eventually(lambda: "events_lost" in pair.events(), within=PATIENCE, what="the loss is told")
    pair.arrived("zlb-start", "this event is lost")
    pair.arrived("after/all", "and this one")
    pair.equal()


def test_folders_that_cannot_be_watched_are_named_and_their_changes_arrive_all_the_same(pair):
    for name in ("one", "other"):
        pair.ours(f"many/{name}").mkdir(parents=True)
    pair.start(prefix=["/usr/bin/python3", FEW_WATCHES, "1"])
    pair.in_sync()
    assert {one for one in pair.notes() if "cannot be watched" in one and "max_user_watches is the limit" in one}
    for name in ("one", "other"):  # one after the other: of at most one of them there is an event
        pair.ours(f"many/{name}/file").write_text(name)
        pair.arrived(f"many/{name}/file", name)
    pair.equal()


def test_ten_thousand_files_at_once(pair):
    pair.synced()
    began = time.monotonic()
    for folder in range(100):
        pair.ours(f"bulk/{folder}").mkdir(parents=True)
        for number in range(100):
            pair.ours(f"bulk/{folder}/{number}").write_text(f"{folder} {number}")
    wrote = time.monotonic()
    pair.arrived("bulk/99/99", "99 99")
    pair.in_sync()
    print(f"10000 files: written in {wrote - began:.1f} s, {time.monotonic() - wrote:.1f} s later in sync")
    assert pair.differences() == []
    pair.ours("bulk").rename(pair.ours("moved"))
    pair.ours("zlb-start").write_text("not kept waiting")
    pair.arrived("zlb-start", "not kept waiting")
    pair.in_sync()
    assert pair.differences() == []


def test_a_tree_that_is_moved_in_arrives_whole_and_is_watched_from_then_on(pair):
    pair.synced()
    outside = pair.master.path("/usr/local/skudonet/outside")
    for number in range(50):
        (outside / f"{number % 5}/{number}").mkdir(parents=True)
        (outside / f"{number % 5}/{number}/file").write_text(str(number))
    outside.rename(pair.ours("moved-in"))
    pair.ours("moved-in/3/13/file").write_text("changed right away")
    pair.arrived("moved-in/3/13/file", "changed right away")
    pair.equal()
    pair.ours("moved-in/4/49/file").write_text("changed later")
    pair.arrived("moved-in/4/49/file", "changed later")
    pair.ours("moved-in").rename(outside)
    eventually(lambda: not pair.there("moved-in").exists(), within=PATIENCE, what="moved out")
    (outside / "4/49/file").write_text("out of sight")
    outside.rename(pair.ours("moved-in"))
    pair.arrived("moved-in/4/49/file", "out of sight")
    pair.equal()


def test_sixty_folders_deep(pair):
    pair.synced()
    deep = "/".join(f"level-{number}" for number in range(60))
    pair.ours(deep).mkdir(parents=True)
    pair.ours(f"{deep}/file").write_text("down here")
    pair.arrived(f"{deep}/file", "down here")
    pair.ours(f"{deep}/file").write_text("and still watched")
    pair.arrived(f"{deep}/file", "and still watched")
    pair.ours(deep).chmod(0o711)
    pair.ours("level-0").rename(pair.ours("top"))
    pair.arrived(f"top{deep.removeprefix('level-0')}/file", "and still watched")
    pair.equal()


def test_what_is_too_deep_or_too_long_is_named_and_keeps_nothing_back(pair):
    pair.synced()
    for name, levels in (("d", 1500), ("n" * 250, 15)):
        here = os.open(pair.ours(""), os.O_RDONLY)
        for _ in range(levels):
            os.mkdir(name, dir_fd=here)
            below = os.open(name, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        os.close(here)
        pair.error("too deep or too long")
        pair.ours("zlb-start").write_text(f"beside {levels} folders")
        pair.arrived("zlb-start", f"beside {levels} folders")
        assert pair.there(f"{name}/{name}").exists()
        pair.master.run(["rm", "-r", f"{CONFIG_TREE}/{name}"])
        pair.equal()


def test_two_files_that_change_places_two_hundred_times(pair):
    pair.synced()
    one, other, aside = pair.ours("one"), pair.ours("other"), pair.ours("aside")
    one.write_text("1")
    other.write_text("2")
    pair.arrived("other", "2")
    for _ in range(201):
        one.rename(aside)
        other.rename(one)
        aside.rename(other)
    pair.arrived("one", "2")
    pair.arrived("other", "1")
    pair.equal()
    assert not pair.there("aside").exists()


def test_a_folder_renamed_back_and_forth_while_files_in_it_are_written(pair):
    pair.synced()
    names = ("here", "there")
    pair.ours("here/sub").mkdir(parents=True)
    deadline, writes = time.monotonic() + 2, 0
    for number in range(100_000):
        if time.monotonic() > deadline:
            break
        now, then = names if number % 2 == 0 else names[::-1]
        pair.ours(f"{now}/sub/{number % 7}").write_text(f"{number}")
        pair.ours(now).rename(pair.ours(then))
        pair.ours(f"{then}/file").write_text(f"{number}")
        writes += 2
    print(f"{writes} writes and {writes // 2} renames in 2 s")
    pair.equal()
    left = pair.ours("here") if pair.ours("here").exists() else pair.ours("there")
    (left / "sub/late").write_text("the watch is on the right folder")
    pair.arrived(f"{left.name}/sub/late", "the watch is on the right folder")
    (left / "late").write_text("and on this one")
    pair.arrived(f"{left.name}/late", "and on this one")
    pair.equal()


@pytest.mark.parametrize("size", [0, 3 << 20], ids=["through the session", "by rsync"])
def test_a_file_that_grows_while_it_is_read_is_never_torn_and_keeps_nothing_back(pair, size):
    pair.synced()
    line = b"%08d and so on until the end of the line\n"
    path, there = pair.ours("growing.log"), pair.there("growing.log")
    whole = bytearray(b"." * size)
    path.write_bytes(whole)
    done = threading.Event()

    def append():
        with path.open("ab") as file:
            number = 0
            while not done.wait(0.07):  # no divisor of the time after which an open file is taken as it is
                number += 1
                text = line % number * 250
                whole.extend(text)  # first: whoever sees it in the file finds it here
                file.write(text)
                file.flush()

    writer = threading.Thread(target=append)
    writer.start()
    try:
        seen, deadline = set(), time.monotonic() + 5
        pair.ours("zlb-start").write_text("meanwhile")
        pair.arrived("zlb-start", "meanwhile")
        while time.monotonic() < deadline:
            content = there.read_bytes() if there.exists() else b""
            assert whole.startswith(content), "a version that never was"
            seen.add(len(content))
            done.wait(0.005)
        pair.ours("zlb-stop").write_text("still meanwhile")
        pair.arrived("zlb-stop", "still meanwhile")
    finally:
        done.set()
        writer.join()
    eventually(lambda: there.read_bytes() == whole, within=PATIENCE, what="the last version")
    pair.equal()
    print(f"{len(whole)} bytes in the end; seen on the peer: {sorted(seen)}")


def test_a_storm_of_events_does_not_keep_a_change_back(pair):
    """Two programs that write without a pause, in files that are not replicated: only the events are a burden."""
    pair.synced()
    noise = (
        "import os, sys\nwhile True: os.close(os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)); os.unlink(sys.argv[1])"
    )
    storm = [pair.master.popen(["/usr/bin/python3", "-c", noise, f"{CONFIG_TREE}/{name}~"]) for name in ("a", "b")]
    for number in range(5):
        pair.ours("zlb-start").write_text(f"in the storm {number}")
        pair.arrived("zlb-start", f"in the storm {number}")
    for one in storm:
        one.kill()
    for name in ("a~", "b~"):
        pair.ours(name).unlink(missing_ok=True)
    pair.equal()


def test_a_file_and_a_folder_take_each_other_s_name(pair):
    pair.synced()
    for number in range(4):
        thing = pair.ours("thing")
        if number % 2:
            subprocess.run(["rm", "-r", thing], check=True)
            thing.write_text(f"a file {number}")
            pair.arrived("thing", f"a file {number}")
        else:
            thing.unlink(missing_ok=True)
            thing.mkdir()
            (thing / "in").write_text(f"in a folder {number}")
            pair.arrived("thing/in", f"in a folder {number}")
    pair.equal()
    assert read(pair.there("thing")) == "a file 3"
    assert pair.kept("thing") == ["a file 1"]
    assert pair.kept("thing/in") == ["in a folder 0", "in a folder 2"]
