"""The page a dead elector leaves behind."""

from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core.lastword import PAGE_SIZE, LastWord, page_bytes, parse_page
from skd_cluster.core.model import DataVersion, Role

WORD = LastWord(b"s" * 16, 41, b"p" * 16, 40, 7, DataVersion(6, 12), Role.MASTER)


def test_the_page_reads_back_whatever_follows_it() -> None:
    content = page_bytes(WORD)

    assert parse_page(content.ljust(PAGE_SIZE, b"\0")) == WORD


def test_a_page_that_was_never_written_says_nothing() -> None:
    assert parse_page(bytes(PAGE_SIZE)) is None
    assert parse_page(b"") is None


@given(st.binary(max_size=120))
def test_property_no_bytes_raise(content: bytes) -> None:
    parse_page(content)
    parse_page(page_bytes(WORD)[:9] + content)
