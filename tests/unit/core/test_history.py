import pytest
from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core.history import (
    ChoiceError,
    Conflict,
    Generation,
    Keeper,
    Place,
    choose,
    kept_manifest,
    merged,
    parse,
    plan_restore,
    same_push,
    settles,
    strangers,
    within,
)
from skd_cluster.core.manifest import Entry, Kind
from skd_cluster.core.model import DataVersion
from skd_cluster.core.scope import Scope

FILE, FOLDER, LINK = 0o100644, 0o040755, 0o120777
SCOPE = Scope()
ROOT = {"config": Entry(Kind.FOLDER, 0o755, 0, 0)}


def file(content="old", mode=0o644):
    return Entry(Kind.FILE, mode, 0, 0, content)


def folder(mode=0o755):
    return Entry(Kind.FOLDER, mode, 0, 0)


def about(before=(), made=(), deleted=(), **more):
    return {"before": {key: [mode, 0, 0] for key, mode in dict(before).items()}, "made": list(made),
            "deleted": list(deleted), **more}  # fmt: skip


def generation(before=(), made=(), deleted=(), **more):
    return parse(41, about(before, made, deleted, **more))


def restored(one, kept, now, *wanted, exact=False):
    return plan_restore(one, kept, {**ROOT, **now}, SCOPE, wanted, exact=exact)


# --- reading -----------------------------------------------------------------------------


def test_the_facts_of_a_generation():
    found = parse(
        41,
        {
            "epoch": 3, "generation": 41, "at": 12.5, "from": [3, 40], "restored": "39@lb1",
            "before": {"config/a": [FILE, 1, 2], "config/gone": [FILE, 0, 0], "config/new": [FOLDER, 0, 0]},
            "made": ["config/new"], "deleted": ["config/gone", "config/never"],
            "conflict": {"name": "split-1", "kind": "split", "keys": ["config/a"], "resolved": False},
        },
    )  # fmt: skip
    assert (found.number, found.epoch, found.at, found.came) == (41, 3, 12.5, DataVersion(3, 40))
    assert found.version == DataVersion(3, 41)
    assert found.before["config/a"] == (FILE, 1, 2)
    assert (found.changed, found.made, found.removed) == (("config/a",), ("config/new",), ("config/gone",))
    assert found.conflict == Conflict("split-1", "split", ("config/a",), resolved=False)
    assert found.restored == "39@lb1"


def test_what_was_in_a_folder_that_went_as_a_whole_was_removed():
    found = generation({"config/d": FOLDER}, deleted=["config/d/a", "config/d/e/b"])
    assert found.removed == ("config/d/a", "config/d/e/b")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
FIELDS = st.sampled_from(["epoch", "at", "from", "before", "made", "deleted", "conflict", "restored", "name", "keys"])


@given(JSON | st.dictionaries(FIELDS, JSON | st.dictionaries(FIELDS, JSON)))
def test_nothing_that_json_can_say_raises(found):
    one = parse(7, found)
    assert one.number == 7
    assert 0 <= one.at < 1e11
    assert set(one.changed) <= set(one.before)


def test_of_two_tries_the_first_one_saw_what_was_there_before():
    first = about({"config/a": FILE, "config/gone": FILE}, ["config/new"], ["config/gone"], at=1, **{"from": [3, 40]})
    second = about(
        {"config/a": 0o100600, "config/new": FILE, "config/b": FILE}, ["config/c"], at=2, **{"from": [3, 41]}
    )
    found = merged(first | {"conflict": {"name": "x", "kind": "drift", "keys": [], "resolved": False}}, second)
    one = parse(41, found)
    assert one.changed == ("config/a", "config/b")
    assert one.before["config/a"] == (FILE, 0, 0)
    assert (one.made, one.removed) == (("config/c", "config/new"), ("config/gone",))
    assert (one.at, one.came) == (2.0, DataVersion(3, 40))
    assert one.conflict is not None


def test_what_was_no_fact_is_not_added_to():
    assert merged(["broken"], {"at": 2}) == {"at": 2}


def test_what_the_second_try_brought_back_was_changed():
    one = parse(41, merged(about({"config/a": FILE}, deleted=["config/a"]), about(made=["config/a"])))
    assert (one.changed, one.made, one.removed) == (("config/a",), (), ())


# --- which one is meant ------------------------------------------------------------------

LB1, LB2 = Keeper("lb1", "10.0.0.1"), Keeper("lb2", "10.0.0.2")
NAMED = Conflict("split-1", "split", ("config/a",), resolved=False)
PLACES = [Place(LB2, Generation(42, 3)), Place(LB1, Generation(41, 3)), Place(LB2, Generation(41, 4, conflict=NAMED))]


@pytest.mark.parametrize(
    ("wanted", "place"),
    [("42", 0), ("3.42", 0), ("42@lb2", 0), ("41@lb1", 1), ("41@10.0.0.2", 2), ("4.41", 2), ("split-1", 2)],
)
def test_what_names_a_generation(wanted, place):
    assert choose(wanted, PLACES) == PLACES[place]


def test_a_number_of_both_nodes_has_to_be_said_whole():
    with pytest.raises(ChoiceError, match="41 is there 2 times: say 41@lb1 or 41@lb2"):
        choose("41", PLACES)


def test_nodes_of_the_same_name_are_told_apart_by_their_addresses():
    twice = [Place(Keeper("lb", "10.0.0.1"), Generation(41)), Place(Keeper("lb", "10.0.0.2"), Generation(41))]
    with pytest.raises(ChoiceError, match=r"say 41@10\.0\.0\.1 or 41@10\.0\.0\.2"):
        choose("41", twice)


@pytest.mark.parametrize("wanted", ["40", "42@lb1", "split", "", "@lb2", "x" * 99])
def test_what_is_not_there_is_said_so(wanted):
    with pytest.raises(ChoiceError, match="skd-cluster history list"):
        choose(wanted, PLACES)


def test_a_generation_that_was_pushed_again_is_told_apart_by_a_number_more():
    places = [
        Place(LB2, Generation(42, 3, push=2)),
        Place(LB2, Generation(42, 3)),
        Place(LB1, Generation(42, 2, push=2)),
    ]
    assert choose("42", places) == places[1]
    assert choose("42-2@lb2", places) == choose("3.42-2", places) == places[0]
    with pytest.raises(ChoiceError, match="42-2 is there 2 times: say 42-2@lb2 or 42-2@lb1"):
        choose("42-2", places)
    with pytest.raises(ChoiceError, match="no generation"):
        choose("42-1", places)


def test_which_push_is_another_try_of_an_earlier_one():
    version, held = DataVersion(3, 41), DataVersion(3, 40)
    facts = about(epoch=3, **{"from": [3, 40]})
    assert same_push(parse(41, facts), version, held)
    assert not same_push(parse(41, facts), version, version)  # that one came to its end
    assert not same_push(parse(41, facts), DataVersion(4, 41), held)
    assert not same_push(parse(41, facts | {"restored": "40@lb1"}), version, held)
    waits = {"name": "x", "kind": "drift", "keys": [], "resolved": False}
    assert same_push(parse(41, facts | {"conflict": waits}), version, held)
    assert not same_push(parse(41, facts | {"conflict": waits | {"resolved": True}}), version, held)


# --- what comes back ---------------------------------------------------------------------


def test_folders_on_the_way_to_what_was_kept_are_none_of_it():
    one = generation({"config/d": FOLDER, "config/d/a": FILE, "config/e/b": FILE}, deleted=["config/d", "config/d/a"])
    found = {key: folder(0o700) for key in ("config", "config/d", "config/e")}
    found |= {"config/d/a": file(), "config/e/b": file(), "config/d.1/junk": file()}
    kept = kept_manifest(one, found)
    assert kept == {"config/d": folder(0o755), "config/d/a": file(), "config/e/b": file()}


def test_a_changed_file_comes_back_and_one_that_is_as_it_was_does_not_travel():
    one = generation({"config/a": FILE, "config/b": FILE})
    kept = {"config/a": file(), "config/b": file()}
    plan = restored(one, kept, {"config/a": file("new"), "config/b": file()})
    assert (dict(plan.entries), plan.fetch, plan.delete) == ({"config/a": file()}, ("config/a",), ())
    assert plan.chosen == {"config/a", "config/b"}


def test_a_deleted_folder_comes_back_with_its_mode_whole_or_in_part():
    one = generation({"config/d": FOLDER, "config/d/a": FILE, "config/d/b": FILE},
                     deleted=["config/d", "config/d/a", "config/d/b"])  # fmt: skip
    kept = {"config/d": folder(0o750), "config/d/a": file(), "config/d/b": file("b")}
    assert set(restored(one, kept, {}).entries) == set(kept)
    assert set(restored(one, kept, {}, "config/d").entries) == set(kept)
    part = restored(one, kept, {}, "config/d/a")
    assert dict(part.entries) == {"config/d": folder(0o750), "config/d/a": file()}


def test_a_folder_of_which_nothing_is_known_is_made():
    one = generation({"config/d/e/a": FILE}, deleted=["config/d/e/a"])
    plan = restored(one, {"config/d/e/a": file()}, {})
    assert set(plan.entries) == {"config/d", "config/d/e", "config/d/e/a"}
    assert plan.entries["config/d"] == folder(0o755)


def test_nothing_above_a_root_is_made():
    scope = Scope((), ("/etc/extra/file",))
    one = generation({"extra/etc/extra/file": FILE})
    plan = plan_restore(one, {"extra/etc/extra/file": file()}, {}, scope, (), exact=False)
    assert set(plan.entries) == {"extra/etc/extra/file"}


def test_a_change_of_mode_alone_is_undone_without_a_content():
    one = generation({"config/a": 0o100600, "config/l": LINK})
    plan = restored(one, {}, {"config/a": file("now", 0o644)})
    assert (dict(plan.entries), plan.fetch) == ({"config/a": file("now", 0o600)}, ())
    assert restored(one, {}, {}).empty
    assert restored(one, {}, {"config/a": folder()}).empty


def test_what_was_made_stays_unless_exact():
    one = generation({"config/d": FOLDER}, ["config/a", "config/d", "config/d/b", "config/gone"])
    now = {"config/a": file(), "config/d": folder(), "config/d/b": file()}
    plan = restored(one, {}, now)
    assert plan.empty
    assert plan.left == ("config/a", "config/d", "config/d/b")
    plan = restored(one, {}, now, exact=True)
    assert (plan.delete, plan.left) == (("config/d/b", "config/a", "config/d"), ())
    plan = restored(one, {}, now, "config/d", exact=True)
    assert plan.delete == ("config/d/b", "config/d")


def test_a_made_folder_with_something_newer_in_it_stays():
    one = generation(made=["config/d", "config/d/b"])
    plan = restored(one, {}, {"config/d": folder(), "config/d/b": file(), "config/d/newer": file()}, exact=True)
    assert (plan.delete, plan.left) == (("config/d/b",), ("config/d",))


def test_the_table_of_routes_is_never_deleted_and_its_names_only_added():
    one = generation({"rt_tables": FILE}, made=["rt_tables"])
    assert restored(one, {}, {"rt_tables": file("a")}, exact=True).delete == ()
    one = generation({"rt_tables": FILE})
    assert restored(one, {"rt_tables": file("a")}, {"rt_tables": file("a b")}).empty
    assert restored(one, {"rt_tables": file("a c")}, {"rt_tables": file("a b")}).fetch == ("rt_tables",)


def test_a_file_where_a_folder_is_now():
    one = generation({"config/x": FILE}, deleted=["config/x"], made=["config/x/a"])
    plan = restored(one, {"config/x": file()}, {"config/x": folder(), "config/x/a": file()})
    assert dict(plan.entries) == {"config/x": file()}


def test_a_conflict_is_settled_when_all_of_it_is_as_it_was():
    conflict = {"name": "split-1", "kind": "split", "keys": ["config/a", "config/b", "config/c"], "resolved": False}
    before = {"config/a": FILE, "config/c": FILE}
    one = generation(before, ["config/b"], ["config/c"], conflict=conflict)
    kept, now = {"config/a": file(), "config/c": file()}, {**ROOT, "config/a": file("new"), "config/b": file()}
    assert not settles(one, restored(one, kept, now), now)
    assert settles(one, restored(one, kept, now, exact=True), now)
    without = {key: entry for key, entry in now.items() if key != "config/b"}
    assert settles(one, restored(one, kept, without), without)
    # What only the loser had is not there now either: that is no restore of it.
    assert not settles(one, restored(one, kept, without, "config/a"), without)
    assert not settles(one, restored(one, kept, now, "config/b", exact=True), now)
    resolved = generation(before, conflict={**conflict, "resolved": True})
    assert not settles(resolved, restored(resolved, kept, without), without)
    assert not settles(generation(), restored(generation(), {}, now), now)


def test_what_lies_within_a_path():
    assert within("config/a/b", ["config/a"])
    assert within("config/a", [])
    assert not within("config/ab", ["config/a"])


def test_a_wanted_path_is_strange_if_neither_it_nor_anything_below_it_is_known():
    known = {"config/d/a", "config/e"}
    assert strangers(["config/d", "config/d/a", "config/e", "config/e/a", "config/da", "confi"], known) == [
        *("config/e/a", "config/da", "confi"),
    ]
    assert strangers([], known) == []
    assert strangers(["config"], ()) == ["config"]
