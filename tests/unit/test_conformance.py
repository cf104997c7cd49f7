"""docs/conformance.md: each row names what shows it, and that exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES = (ROOT / "docs" / "conformance.md").read_text().splitlines()
ROWS = [line for line in LINES if line.startswith("|") and not re.match(r"\|(---|.*\| shown by \|$)", line)]
NAMED = re.compile(r"`(tests/\S+\.py)::(\w+)`")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:40])
def test_each_row_names_tests_that_exist(row: str) -> None:
    found = NAMED.findall(row.rstrip("|").rpartition("|")[2])
    assert found, "no test is named"
    for path, name in found:
        assert re.search(rf"^\s*def {name}\(", (ROOT / path).read_text(), re.MULTILINE), f"{path} has no {name}"


def test_there_are_rows() -> None:
    assert len(ROWS) > 40
