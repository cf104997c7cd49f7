import os
import subprocess
import threading
from contextlib import suppress

import pytest

from skd_cluster.adapters.state import FileWriter, count_history, read_epoch, read_standby
from tests.labkit import eventually


def test_nothing_there(tmp_path):
    assert (read_epoch(tmp_path), read_standby(tmp_path), count_history(tmp_path)) == (0, False, 0)


def test_what_is_there(tmp_path):
    (tmp_path / "epoch").write_text("12\n")
    (tmp_path / "standby").write_text("")
    (tmp_path / "history" / "1").mkdir(parents=True)
    assert (read_epoch(tmp_path), read_standby(tmp_path), count_history(tmp_path)) == (12, True, 1)
    (tmp_path / "epoch").write_text("garbage")
    assert read_epoch(tmp_path) == 0


def test_the_newest_content_wins(tmp_path):
    writer = FileWriter(print)
    for number in range(100):
        writer.put(tmp_path / "epoch", b"%d" % number, durable=False)
    writer.put(tmp_path / "gone", b"", durable=True)
    writer.remove(tmp_path / "gone")
    assert not writer.flush(0.01)
    writer.start()
    assert writer.flush(5)
    assert [one.name for one in tmp_path.iterdir()] == ["epoch"]
    assert read_epoch(tmp_path) == 99


def test_a_failure_is_told_and_the_next_file_is_written(tmp_path):
    told, happened = [], threading.Event()
    writer = FileWriter(lambda text: (told.append(text), happened.set()))
    writer.start()
    writer.put(tmp_path / "no" / "folder", b"x", durable=True)
    writer.put(tmp_path / "good", b"x", durable=True)
    assert writer.flush(5)
    assert happened.is_set()
    assert told == [f"cannot write {tmp_path}/no/folder: No such file or directory"]
    assert (tmp_path / "good").read_bytes() == b"x"


@pytest.fixture
def small_disk(tmp_path):
    """A folder in which 16 KiB can be written."""
    if os.geteuid():
        pytest.skip("mounting needs root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "small", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def fill(folder):
    with suppress(OSError), (folder / "fill").open("wb", buffering=0) as stream:
        while True:
            stream.write(b"x" * 4096)


class TestFullDisk:
    def test_the_word_is_true_all_the_same(self, small_disk):
        writer = FileWriter(print)
        writer.start()
        for word in (b"standby\n", b"fault\n"):
            writer.put(small_disk / "status", word, durable=False)
            assert writer.flush(5)
            assert (small_disk / "status").read_bytes() == word
            fill(small_disk)

    def test_what_must_be_durable_is_never_written_over(self, small_disk):
        told = []
        writer = FileWriter(told.append)
        writer.start()
        writer.put(small_disk / "epoch", b"1\n", durable=True)
        assert writer.flush(5)
        fill(small_disk)
        writer.put(small_disk / "epoch", b"2\n", durable=True)
        assert writer.flush(5)
        assert (small_disk / "epoch").read_bytes() == b"1\n"
        assert told == [f"cannot write {small_disk}/epoch: No space left on device"]

    def test_it_is_tried_again_and_told_once(self, small_disk):
        told = []
        writer = FileWriter(told.append, again=0.02)
        writer.start()
        fill(small_disk)
        writer.put(small_disk / "status", b"master\n", durable=False)
        writer.put(small_disk / "epoch", b"2\n", durable=True)
        assert writer.flush(5)
        assert not (small_disk / "status").exists()
        (small_disk / "fill").unlink()
        eventually(lambda: read_epoch(small_disk) == 2, what="the epoch is written after all")
        eventually((small_disk / "status").exists, what="and the word")
        assert len(told) == 2

    def test_a_word_that_is_not_true_any_more_is_removed_where_nothing_can_be_written(self, tmp_path):
        told = []
        writer = FileWriter(told.append)
        writer.start()
        name = "s" * 250  # the temporary name beside it is too long, and a link is not written through
        (tmp_path / name).symlink_to("nowhere")
        writer.put(tmp_path / name, b"master\n", durable=False)
        assert writer.flush(5)
        assert not (tmp_path / name).is_symlink()
        assert told == [f"cannot write {tmp_path}/{name}: File name too long"]
