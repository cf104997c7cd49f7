import pytest
from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core.ledger import Ledger, within
from skd_cluster.core.manifest import Entry, Kind, Plan, compare, digest

FOLDER = Entry(Kind.FOLDER, 0o755, 0, 0)


def file(content="x", mode=0o644, **more):
    return Entry(Kind.FILE, mode, 0, 0, content, **more)


keys = st.sampled_from(["config", "config/a", "config/a/b", "config/a/b/c", "config/a.b", "config/local", "rt_tables"])
entries = st.sampled_from([file("1"), file("2"), file("2", size=7), file("2", mode=0o600), FOLDER])
manifests = st.dictionaries(keys, entries)


def test_the_digest_is_this_one():
    tree = {
        "config": FOLDER,
        "config/a": file("ab"),
        "config/caf\udce9": file("cd", mode=0o600),
        "rt_tables": file("main"),
    }
    assert digest(tree) == Ledger(tree).digest == "a86dd33d58480787d7da55250ceb234d8dde6171d132f48955cc4b6897ae86e5"
    assert digest({}) == "5851f80b01eb4fd0e244e5e28edf4af88d24e38571c21c9af3a886ee9bc977e6"


@given(st.lists(st.tuples(keys, st.none() | entries)), manifests)
def test_a_ledger_is_never_behind(steps, last):
    ledger, tree = Ledger(), {}
    for key, entry in steps:
        if entry is None:
            ledger.drop(key)
            tree.pop(key, None)
        else:
            ledger.put(key, entry)
            tree[key] = entry
        assert ledger.digest == digest(tree)
    ledger.become(last)
    assert ledger.entries == last
    assert ledger.digest == digest(last)


@given(manifests, manifests)
def test_what_a_plan_will_make_is_known_before(ours, theirs):
    plan, ledger = compare(ours, theirs), Ledger(theirs)
    assert ledger.digest_after(plan) == digest(plan.applied(theirs))
    ledger.carry_out(plan)
    assert ledger.entries == plan.applied(theirs)
    assert ledger.digest == digest(ledger.entries)


def test_planning_what_is_not_there_changes_nothing():
    ledger = Ledger({"config": FOLDER})
    assert ledger.digest_after(Plan({}, (), ("config/gone",))) == ledger.digest


@given(manifests, manifests, st.sets(keys), st.sets(keys, max_size=2))
def test_a_part_makes_of_the_old_what_was_found(old, new, whole, unknown):
    part = {key: entry for key, entry in new.items() if within(key, whole)}
    ledger = Ledger(old)
    changed = ledger.take(part, whole, unknown)

    def judged(key):
        return key in whole or any(
            within(key, {place}) and old.get(place, file()).kind is Kind.FOLDER for place in whole
        )

    for key in old.keys() | new.keys():
        if any(within(key, {one}) for one in unknown):
            assert ledger.entries.get(key) == old.get(key)
        elif key in part:
            assert ledger.entries[key] == part[key]
            assert key in changed
        elif judged(key):
            assert key not in ledger.entries
        else:
            assert ledger.entries.get(key) == old.get(key)
    assert ledger.digest == digest(ledger.entries)


@pytest.mark.parametrize(
    ("key", "inside"), [("a", True), ("a/b", True), ("a/b/c", True), ("ab", False), ("b", False), ("", False)]
)
def test_within(key, inside):
    assert within(key, {"a"}) is inside
