"""What a push replaces of this node's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core.conflict import Conflict, ConflictKind, conflict_name, joined, own_changes, parse_conflict
from skd_cluster.core.manifest import Entry, Kind, compare

entries = st.sampled_from([Entry(Kind.FILE, 0o644, 0, 0, content) for content in "xyz"])
trees = st.dictionaries(st.sampled_from([f"config/{name}" for name in "abcd"]), entries)


def own(theirs, ours, agreed):
    """A push that makes `ours` what the master has."""
    plan = compare(theirs, ours)
    known = None if agreed is None else agreed.get
    return own_changes(plan.entries, plan.delete, ours.get, known)


X, Y, Z = (Entry(Kind.FILE, 0o644, 0, 0, content) for content in "xyz")


def test_changed_here_and_replaced():
    assert own({"config/a": Y}, {"config/a": Z}, {"config/a": X}) == ("config/a",)
    assert own({"config/a": X}, {"config/a": Z}, {"config/a": X}) == ("config/a",), "the master has the old one"


def test_made_here_and_deleted_and_deleted_here_and_made():
    assert own({}, {"config/a": X}, {}) == ("config/a",)
    assert own({"config/a": X}, {}, {"config/a": X}) == ("config/a",)


def test_changed_by_the_master_alone_or_by_both_alike_is_no_loss():
    assert own({"config/a": Y}, {"config/a": X}, {"config/a": X}) == ()
    assert own({"config/a": Y}, {"config/a": Y}, {"config/a": X}) == ()


def test_what_a_failed_attempt_at_the_push_put_here_already_is_not_this_node_s_own():
    plan = compare({"config/a": Y, "config/b": Y}, {"config/a": X, "config/b": X})
    here = {"config/a": Y, "config/b": Z}  # the first of both was done; the second was changed by hand since
    assert own_changes(plan.entries, plan.delete, here.get, {"config/a": X, "config/b": X}.get) == ("config/b",)
    assert own_changes(plan.entries, plan.delete, here.get, None) == ("config/b",)


def test_without_a_common_past_all_that_is_replaced_may_be_missed():
    assert own({"config/a": Y, "config/b": X}, {"config/a": X, "config/c": X}, None) == ("config/a", "config/c")


@given(trees, trees, trees)
def test_nothing_of_this_node_s_own_is_lost_without_a_word(theirs, ours, agreed):
    found = own(theirs, ours, agreed)
    for key in {*theirs, *ours, *agreed}:
        mine, changed = ours.get(key), ours.get(key) != agreed.get(key)
        assert (key in found) is (changed and mine != theirs.get(key))


def test_a_conflict_is_one_line_with_what_to_type():
    name = conflict_name(ConflictKind.SPLIT, "2026-11-24T20-15-30", "lb2")
    one = Conflict(name, ConflictKind.SPLIT, tuple(f"config/{number}" for number in range(4)))
    assert one.text == (
        "conflict split-2026-11-24T20-15-30-lb2: 4 of this node's own changes, made while both nodes were master, give way to "
        "the master's and are kept: config/0, config/1, config/2, …; see skd-cluster history show "
        "split-2026-11-24T20-15-30-lb2"
    )
    assert parse_conflict(one.facts()) == one


def test_a_second_attempt_adds_to_the_conflict_that_was_told():
    first = Conflict("split-1", ConflictKind.SPLIT, ("a", "c"))
    second = Conflict("split-2", ConflictKind.SPLIT, ("b", "c"))
    assert joined(first, second) == Conflict("split-1", ConflictKind.SPLIT, ("a", "b", "c"))
    assert joined(first, None) == joined(None, first) == first
    assert joined(None, None) is None


def test_after_a_conflict_that_was_resolved_the_next_one_of_the_generation_is_another():
    over = Conflict("split-a-lb2", ConflictKind.SPLIT, ("config/a",), resolved=True)
    drift = Conflict("drift-b-lb2", ConflictKind.DRIFT, ("config/b",))
    assert joined(over, drift) == drift
    assert joined(over, None) is None


@pytest.mark.parametrize("found", [None, [], {}, {"name": "x", "kind": "y", "keys": [], "resolved": False}])
def test_what_is_no_conflict_is_none(found):
    assert parse_conflict(found) is None
