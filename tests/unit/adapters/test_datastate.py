import pytest

from skd_cluster.adapters.datastate import BusyError, read_state, tree_lock, write_state
from skd_cluster.core.model import DataState, DataVersion


def test_there_and_back(tmp_path):
    state = DataState(DataVersion(3, 17), "ab", DataVersion(3, 16))
    write_state(tmp_path / "new", state)
    assert read_state(tmp_path / "new") == state
    assert (tmp_path / "new" / "data.json").stat().st_mode & 0o777 == 0o600


def test_version_of_which_nothing_else_is_known_counts_as_shared(tmp_path):
    (tmp_path / "data.json").write_text('{"epoch": 3, "generation": 17, "digest": "ab"}')
    assert not read_state(tmp_path).unshared


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"epoch": "x"}', '{"epoch": 1, "generation": null, "digest": ""}'])
def test_what_cannot_be_read_is_the_oldest_version(tmp_path, text):
    (tmp_path / "data.json").write_text(text)
    assert read_state(tmp_path) == DataState(DataVersion(0, 0), "")


def test_one_at_a_time(tmp_path):
    with tree_lock(tmp_path), pytest.raises(BusyError), tree_lock(tmp_path):
        pass
    with tree_lock(tmp_path):
        pass
