"""What is followed change by change against what comes out when everything is compared anew."""

from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core.comparison import Comparison, Part
from skd_cluster.core.ledger import within
from skd_cluster.core.manifest import Entry, Kind, compare, digest

FOLDER = Entry(Kind.FOLDER, 0o755, 0, 0)
PATHS = ("config", "config/a", "config/a/b", "config/a/c", "config/d", "rt_tables")


def file(content):
    return Entry(Kind.FILE, 0o644, 0, 0, content)


contents = st.sampled_from(["", "1", "1 2"])
trees = st.dictionaries(st.sampled_from(PATHS), st.builds(file, contents) | st.just(FOLDER))


def sound(tree):
    """Only what can be: in no file is there anything."""
    return {
        key: entry
        for key, entry in tree.items()
        if all(above not in tree or tree[above].kind is Kind.FOLDER for above in ("config", "config/a") if above != key)
    }


looks = st.tuples(trees.map(sound), st.sets(st.sampled_from(PATHS)), st.sets(st.sampled_from(PATHS), max_size=1))


def read(both, tree, unknown=frozenset()):
    known = {key: entry for key, entry in tree.items() if not within(key, unknown)}
    both.read(known, dict.fromkeys(unknown, "locked"), frozenset())


@given(trees.map(sound), trees.map(sound), st.lists(looks, max_size=5))
def test_followed_is_compared(first, theirs, seen):
    both = Comparison()
    read(both, first)
    both.holds(theirs)
    for tree, whole, unknown in seen:
        locked = {key for key in unknown if within(key, whole)}
        found = {key: one for key, one in tree.items() if within(key, whole) and not within(key, locked)}
        both.looked(Part(found, whole, dict.fromkeys(locked, "locked"), frozenset()))
        plan, wanted = both.plan(()), compare(both.ours.entries, theirs, both.unknown)
        assert plan.entries == wanted.entries
        assert plan.delete == wanted.delete
        assert set(plan.fetch) == set(wanted.fetch)
        assert both.digest == digest(both.ours.entries)


@given(trees.map(sound), trees.map(sound))
def test_what_was_confirmed_is_no_difference_any_more(ours, theirs):
    both = Comparison()
    read(both, ours)
    both.holds(theirs)
    plan = both.plan(())
    both.confirmed(plan)
    assert both.theirs.entries == plan.applied(theirs)
    assert both.plan(()).empty


def test_what_is_held_waits():
    both = Comparison()
    read(both, {"config": FOLDER, "config/a": file("1"), "config/d": file("2")})
    both.holds({"config": FOLDER})
    assert set(both.plan({"config/a"}).entries) == {"config/d"}
    assert set(both.plan(()).entries) == {"config/a", "config/d"}


def test_what_could_not_be_read_is_known_when_it_was_looked_at():
    both = Comparison()
    read(both, {"config": FOLDER, "config/a": FOLDER}, {"config/a/b"})
    both.holds({"config": FOLDER, "config/a": FOLDER, "config/a/b": file("old")})
    assert both.plan(()).empty
    both.looked(Part({"config": FOLDER}, {"config/d"}, {}, frozenset()))
    assert both.unreadable == {"config/a/b": "locked"}, "nobody looked there"
    both.looked(Part({"config/a/b": file("new")}, {"config/a/b"}, {}, frozenset()))
    assert both.unknown == frozenset()
    assert both.plan(()).fetch == ("config/a/b",)


def test_a_path_that_changed_while_it_was_read_is_as_before_until_it_was_seen_at_rest():
    both = Comparison()
    read(both, {"config": FOLDER, "config/a": file("1")})
    both.holds({"config": FOLDER, "config/a": file("1")})
    both.looked(Part({}, {"config/a"}, {}, frozenset({"config/a"})))
    assert both.unknown == {"config/a"}
    assert both.plan(()).empty
    both.looked(Part({}, {"config/a"}, {}, frozenset()))
    assert both.plan(()).delete == ("config/a",)


def test_a_part_of_ours_is_no_tree():
    """Taken for one it would have the rest deleted on the peer."""
    both = Comparison()
    both.holds({"config": FOLDER, "config/a": file("1"), "config/d": file("2")})
    both.looked(Part({"config/a": file("3")}, {"config/a"}, {}, frozenset()))
    assert both.ours is None
    assert both.plan(()).empty


def test_a_word_about_a_tree_that_may_be_another_by_now_says_nothing_of_it():
    both = Comparison()
    read(both, {"config": FOLDER, "config/a": file("1")})
    both.holds({"config": FOLDER})
    plan = both.plan(())
    both.forget()
    both.confirmed(plan)
    assert both.theirs is None


def test_nothing_is_planned_while_the_peer_s_tree_is_not_known():
    both = Comparison()
    read(both, {"config": FOLDER})
    both.holds({})
    both.forget()
    assert not both.known
    assert both.plan(()).empty
