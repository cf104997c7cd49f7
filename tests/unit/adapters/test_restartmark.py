"""What one run of the service leaves for the next: believed once, and only for as long as the addresses stay."""

import json
import os

import pytest

from skd_cluster.adapters.clock import since_boot
from skd_cluster.adapters.restartmark import forget_mark, leave_mark, marked_epoch


def test_a_mark_is_of_its_epoch_until_it_is_forgotten(tmp_path):
    assert marked_epoch(tmp_path) is None
    leave_mark(tmp_path, 7, 4)
    assert marked_epoch(tmp_path) == 7
    forget_mark(tmp_path)
    forget_mark(tmp_path)
    assert marked_epoch(tmp_path) is None


def test_it_ends_when_the_addresses_do(tmp_path):
    before = since_boot()
    leave_mark(tmp_path, 7, 4)
    until = json.loads((tmp_path / "restart").read_text())["until"]
    assert before + 4_000_000_000 <= until <= since_boot() + 4_000_000_000
    leave_mark(tmp_path, 7, 0)
    assert marked_epoch(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"epoch": 7}', b'{"epoch": [], "until": 1e30}', b"\xff"])
def test_what_is_no_mark_counts_for_nothing(tmp_path, content):
    (tmp_path / "restart").write_bytes(content)
    assert marked_epoch(tmp_path) is None


def test_it_is_for_root_only(tmp_path):
    leave_mark(tmp_path, 7, 4)
    assert os.stat(tmp_path / "restart").st_mode & 0o777 == 0o600
