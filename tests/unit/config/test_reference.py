"""The manual and the schema say the same."""

from pathlib import Path

import pytest

from skd_cluster.config.reference import key_table, with_table
from skd_cluster.config.schema import KEYS

DOCUMENT = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_the_manual_has_the_present_table():
    """Run `python3 -m skd_cluster.config.reference docs/configuration.md` if it has not."""
    text = DOCUMENT.read_text()
    assert with_table(text) == text


def test_every_key_has_one_row():
    rows = key_table().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == list(KEYS)
    assert all(row.replace("\\|", "").count("|") == 5 for row in rows)


def test_a_document_without_the_marks_is_refused():
    with pytest.raises(ValueError, match="marks"):
        with_table("# nothing here")
