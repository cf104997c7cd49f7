"""Which version a tree is of: numbered, agreed on, recognised in the peer's hands."""

import pytest

from skd_cluster.core.lineage import Lineage
from skd_cluster.core.model import DataState, DataVersion
from skd_cluster.core.replication_actions import Record

HELD = DataState(DataVersion(3, 12), "ab", DataVersion(3, 10))


def test_another_tree_gets_the_next_number_of_this_epoch() -> None:
    lineage = Lineage(HELD)
    assert lineage.number("ab", 5) == []
    assert lineage.number("cd", 5) == [Record(DataState(DataVersion(5, 13), "cd", DataVersion(3, 10)))]
    assert (lineage.version, lineage.digest, lineage.unshared) == (DataVersion(5, 13), "cd", True)


@pytest.mark.parametrize("theirs", [DataVersion(3, 20), DataVersion(4, 1)])
def test_what_the_peer_holds_is_never_above_ours(theirs: DataVersion) -> None:
    lineage = Lineage(HELD)
    lineage.rise_above(theirs)
    lineage.number("ab", 5)
    assert lineage.version == DataVersion(5, max(12, theirs.generation) + 1)


def test_what_both_hold_is_shared_and_recorded_once() -> None:
    lineage = Lineage(HELD)
    shared = DataState(HELD.version, "ab", HELD.version)
    assert lineage.agree(HELD.version) == [Record(shared, durable=False)]
    assert lineage.agree(HELD.version) == []
    assert not lineage.unshared


def test_a_new_number_leaves_what_both_last_held_and_only_the_peer_s_word_changes_it() -> None:
    lineage = Lineage(HELD)
    assert lineage.agreed == DataVersion(3, 10)
    lineage.number("cd", 5)
    assert lineage.agreed == DataVersion(3, 10)
    lineage.agree(DataVersion(5, 13))
    assert lineage.agreed == DataVersion(5, 13)
