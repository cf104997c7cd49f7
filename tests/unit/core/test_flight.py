"""The ring that the elector keeps, and records as they are written and read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core.flight import PIECE, SIZE, Kind, Record, Ring, facts, parse

RECORD = Record(
    number=3, node="lb2", address="10.77.0.2", peer="10.77.0.1", version="3.0.0", wall=1.7e9, at=5_000_000_000,
    old="backup", new="master", reason="peer_silent", epoch=7, silent=600_000_000, took=9_000_000,
    packets=((4_400_000_000, Kind.HEARD, 2, 100),), events=((4_000_000_000, "command", "asked"),),
)  # fmt: skip


def drain(ring: Ring) -> list[list[tuple[int, int, int, int]]]:
    pieces = []
    while ring.waiting:
        pieces.append(ring.piece())
    return pieces


@given(st.integers(0, 3 * SIZE))
def test_the_ring_hands_over_its_newest_rows_the_newest_piece_first(count: int) -> None:
    ring = Ring()
    for at in range(count):
        ring.note(at, Kind.HEARD, 2, 100)
    assert not ring.waiting
    ring.freeze()
    pieces = drain(ring)
    assert all(len(piece) <= PIECE for piece in pieces)
    assert [row[0] for piece in reversed(pieces) for row in piece] == list(range(max(0, count - SIZE), count))


def test_a_second_change_hands_over_what_still_waited_of_the_first() -> None:
    ring = Ring()
    for at in range(SIZE):
        ring.note(at, Kind.SENT, 2, 100)
    ring.freeze()
    ring.piece()
    for at in range(SIZE, SIZE + 10):
        ring.note(at, Kind.SENT, 2, 100)
    ring.freeze()
    assert sorted(row[0] for piece in drain(ring) for row in piece) == list(range(SIZE + 10))


def test_a_record_is_read_as_it_was_written() -> None:
    assert parse(json.loads(json.dumps(facts(RECORD)))) == RECORD
    assert parse({**facts(RECORD), "later": 1}) == RECORD


@pytest.mark.parametrize(
    "wrong",
    [{"at": "5"}, {"node": 5}, {"wall": "x"}, {"packets": [[1, 2, 3]]}, {"packets": 5}, {"packets": [["1", 2, 3, 4]]},
     {"events": [[1, 2, 3]]}, {"events": [None]}],
)  # fmt: skip
def test_what_is_no_record_is_none(wrong: dict[str, object]) -> None:
    assert parse({**facts(RECORD), **wrong}) is None


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_garbage_is_none(found: object) -> None:
    assert parse(found) is None


def test_an_instant_is_told_by_the_wall_clock_of_the_change() -> None:
    assert RECORD.clock(4_500_000_000) == 1.7e9 - 0.5
