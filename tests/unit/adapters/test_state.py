import threading

from skd_cluster.adapters.state import FileWriter, count_history, read_epoch, read_standby


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
