"""The flight recorder's files."""

import pytest

from skd_cluster.adapters import flight
from tests.unit.core.test_flight import RECORD


def test_what_was_written_is_read_the_oldest_first_and_what_is_torn_is_left_out(tmp_path):
    assert flight.read(tmp_path) == []
    flight.folder(tmp_path).mkdir()
    flight.path_of(tmp_path, 3).write_bytes(flight.content(RECORD))
    flight.path_of(tmp_path, 12).write_bytes(flight.content(RECORD))
    flight.path_of(tmp_path, 4).write_bytes(flight.content(RECORD)[:-9])
    flight.path_of(tmp_path, 5).write_text("[]")
    (flight.folder(tmp_path) / ".6.json.77.new").write_text("")
    (flight.folder(tmp_path) / "notes").write_text("")
    assert flight.numbers(tmp_path) == [3, 4, 5, 12]
    assert flight.read(tmp_path) == [RECORD, RECORD]


def test_a_folder_that_cannot_be_read_is_no_empty_one(tmp_path):
    flight.folder(tmp_path).write_text("")
    with pytest.raises(NotADirectoryError):
        flight.read(tmp_path)
