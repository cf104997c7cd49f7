import stat

from skd_cluster.adapters.metricsfile import MetricsFile
from tests.labkit import eventually


def test_written_again_and_again_and_taken_away(tmp_path):
    path = tmp_path / "skd.prom"
    texts = iter(range(10**6))
    file = MetricsFile(path, lambda: str(next(texts)).encode(), period=0.01)
    file.open()
    eventually(lambda: path.exists() and int(path.read_bytes()) > 2)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert file.error == ""
    file.close()
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_told_until_it_can(tmp_path):
    path = tmp_path / "later" / "skd.prom"
    file = MetricsFile(path, lambda: b"x 1\n", period=0.01)
    file.open()
    eventually(lambda: file.error == f"cannot write {path}: No such file or directory")
    path.parent.mkdir()
    eventually(lambda: file.error == "" and path.read_bytes() == b"x 1\n")
    file.close()


def test_closed_before_it_was_opened(tmp_path):
    MetricsFile(tmp_path / "x", lambda: b"").close()
