"""What both nodes last held: followed change by change, forgotten rather than wrong."""

import pytest

from skd_cluster.adapters.agreed import Agreed
from skd_cluster.core.manifest import Entry, Kind
from skd_cluster.core.model import DataVersion

ONE, TWO, THREE = (DataVersion(1, number) for number in (1, 2, 3))
A, B = (Entry(Kind.FILE, 0o644, 0, 0, content) for content in "ab")
ODD = "config/\udcff\n"


@pytest.fixture
def agreed(tmp_path):
    agreed = Agreed(tmp_path)
    agreed.follow(DataVersion(), ONE, {}, (), {"config/a": A, ODD: B})
    yield agreed
    agreed.close()


def test_whole_then_changes(agreed, tmp_path):
    assert agreed.entries(ONE, ["config/a", ODD, "config/x"]) == {"config/a": A, ODD: B}
    agreed.follow(ONE, TWO, {"config/a": B}, [ODD], {})
    again = Agreed(tmp_path)
    assert again.entries(TWO, ["config/a", ODD]) == {"config/a": B}
    again.close()
    assert (tmp_path / "agreed.db").stat().st_mode & 0o077 == 0


def test_changes_since_something_else_replace_all(agreed):
    agreed.follow(TWO, THREE, {"config/b": B}, (), {"config/b": B})
    assert agreed.entries(THREE, ["config/a", "config/b"]) == {"config/b": B}


def test_another_version_is_not_known(agreed):
    assert agreed.entries(TWO, ["config/a"]) is None


@pytest.mark.parametrize("content", [b"", b"no database at all, and longer than a page header " * 3])
def test_a_damaged_file_is_begun_anew(tmp_path, content):
    (tmp_path / "agreed.db").write_bytes(content)
    agreed = Agreed(tmp_path)
    assert agreed.entries(ONE, ["config/a"]) is None
    agreed.follow(ONE, TWO, {}, (), {"config/a": A})
    assert agreed.entries(TWO, ["config/a"]) == {"config/a": A}
    agreed.close()


def test_a_folder_that_is_not_there_is_no_error(tmp_path):
    agreed = Agreed(tmp_path / "nowhere")
    agreed.follow(ONE, TWO, {}, (), {"config/a": A})
    assert agreed.entries(TWO, ["config/a"]) is None
