"""How the run before ended: as asked, or not; a folder that is empty has had none."""

import pytest

from skd_cluster.adapters.lifemark import begin_life, end_life


def test_a_run_that_was_stopped_is_no_crash(tmp_path):
    assert begin_life(tmp_path) == (False, 0)
    end_life(tmp_path)
    assert begin_life(tmp_path) == (False, 0)


def test_runs_that_were_not_are_counted_and_stay_counted(tmp_path):
    begin_life(tmp_path)
    assert begin_life(tmp_path) == (True, 1)
    assert begin_life(tmp_path) == (True, 2)
    end_life(tmp_path)
    assert begin_life(tmp_path) == (False, 2)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"crashes": [], "running": true}', b"\xff"])
def test_a_mark_that_cannot_be_read_accuses_nobody(content, tmp_path):
    (tmp_path / "life").write_bytes(content)
    assert begin_life(tmp_path) == (False, 0)
