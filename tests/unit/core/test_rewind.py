"""Back to the tree of then: what is undone, in which order, where the contents are, and what is said when it cannot be."""

import stat
from dataclasses import dataclass, field

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from skd_cluster.core.conflict import Conflict, ConflictKind
from skd_cluster.core.history import ChoiceError, Generation, Keeper, Place, kept_manifest, merged, parse
from skd_cluster.core.manifest import Entry, Kind, compare, digest, shallow_first
from skd_cluster.core.model import DataVersion
from skd_cluster.core.rewind import Rewind, aim, beyond, pushes

FILE, PRIVATE, FOLDER, LINK = 0o100644, 0o100600, 0o040755, 0o120777
LB1, LB2 = Keeper("lb1", "10.0.0.1"), Keeper("lb2", "10.0.0.2")


def file(content, mode=0o644):
    return Entry(Kind.FILE, mode, 0, 0, content)


def link(target):
    return Entry(Kind.LINK, 0o777, 0, 0, target)


def folder():
    return Entry(Kind.FOLDER, 0o755, 0, 0)


def named(text):
    return DataVersion(*map(int, text.split(".")))


BEGIN = named("1.0")


def pushed(then, came, before=(), keeper=LB2, **more):
    """What `keeper` wrote down of a push that made its tree of version `came` that of `then`."""
    modes = {key: (mode, 0, 0) for key, mode in dict(before).items()}
    epoch, number = map(int, then.split("."))
    return Place(keeper, Generation(number, epoch, came=named(came), before=modes, **more))


def own(kind, *keys):
    return Conflict(f"{kind}-1", kind, keys)


def labels(places):
    return [one.label for one in places]


# --- what leads back ---------------------------------------------------------------------


def test_only_a_push_of_another_version_leads_back():
    places = [
        *(pushed("4.43", "4.42"), pushed("4.42", "3.50")),
        pushed("4.41", "4.40", restored="39@lb1"),
        pushed("4.40", "4.40"),  # it put right what somebody had changed by hand
    ]
    assert labels(pushes(places)) == ["43@lb2", "42@lb2"]


def test_of_two_tries_that_are_kept_apart_the_second_is_undone_first():
    places = [pushed("4.41", "4.40"), pushed("4.41", "4.40", push=2)]
    assert labels(Rewind(places, {}, named("4.41")).steps()) == ["41-2@lb2", "41@lb2"]


NAMED = own(ConflictKind.SPLIT, "config/a")
PLACES = [
    *(pushed("4.43", "3.41", keeper=LB1, conflict=NAMED), pushed("3.41", "3.39")),
    *(pushed("3.38", "0.0"), pushed("3.37", "3.36", restored="30@lb1")),
]


@pytest.mark.parametrize("wanted", ["41", "3.41", "41@lb2", "41@10.0.0.2"])
def test_a_generation_that_is_kept_is_aimed_at_by_any_of_its_names(wanted):
    assert aim(wanted, PLACES) == (named("3.41"), "41@lb2")


def test_the_name_of_a_conflict_aims_at_the_generation_it_is_of():
    assert aim("split-1", PLACES) == (named("4.43"), "43@lb1")


@pytest.mark.parametrize(("wanted", "found"), [("39", "3.39"), ("3.39", "3.39"), ("36", "3.36")])
def test_what_was_there_before_one_that_is_kept_can_be_aimed_at(wanted, found):
    assert aim(wanted, PLACES) == (named(found), found)


@pytest.mark.parametrize("wanted", ["0", "0.0", "37", "40", "4.39", "39@lb2"])
def test_nothing_else_can_be(wanted):
    with pytest.raises(ChoiceError, match=f"no generation or conflict {wanted}: skd-cluster history list"):
        aim(wanted, PLACES)


def test_a_number_of_both_nodes_is_asked_back_also_when_one_of_them_was_come_from():
    both = [pushed("4.41", "3.41", keeper=LB1), pushed("3.41", "3.40")]
    with pytest.raises(ChoiceError, match="41 is there 2 times: say 41@lb1 or 41@lb2"):
        aim("41", both)


def test_a_number_that_was_come_from_in_two_epochs_has_to_be_said_whole():
    places = [pushed("4.42", "3.40", keeper=LB1), pushed("5.43", "4.40"), pushed("5.44", "4.40")]
    with pytest.raises(ChoiceError, match=r"40 is there 2 times: say 3\.40 or 4\.40"):
        aim("40", places)
    assert aim("4.40", places) == (named("4.40"), "4.40")


# --- in which order ----------------------------------------------------------------------


def test_one_push_is_one_step():
    rewind = Rewind([pushed("3.42", "3.41"), pushed("3.41", "3.40")], {}, named("3.42"))
    assert labels(rewind.steps()) == ["42@lb2"]
    assert rewind.version == named("3.42"), "it is there until the step was undone"


def test_pushes_that_failed_go_with_the_one_that_came_through_the_newest_first():
    places = [pushed("3.41", "3.40"), pushed("3.43", "3.40"), pushed("3.42", "3.40"), pushed("3.40", "3.39")]
    assert labels(Rewind(places, {}, named("3.43")).steps()) == ["43@lb2", "42@lb2", "41@lb2"]


def test_what_the_other_node_was_sent_meanwhile_is_no_part_of_a_step():
    places = [pushed("4.43", "3.41", keeper=LB1), pushed("3.42", "3.41"), pushed("3.41", "3.40")]
    assert labels(Rewind(places, {}, named("4.43")).steps()) == ["43@lb1"]


def test_a_history_that_ends_says_where():
    rewind = Rewind([pushed("3.42", "3.41")], {"config/a": file("new")}, named("3.42"))
    rewind.undo([(one, {}) for one in rewind.steps()])
    with pytest.raises(ChoiceError) as error:
        rewind.steps()
    assert str(error.value) == (
        "no node that answers keeps what led to generation 3.41: the history does not reach further back"
    )


def test_a_change_taken_back_before_it_was_sent_leads_to_the_newest_version_of_the_same_tree():
    tree = {"config/a": file("same")}
    same, other = digest(tree), digest({})
    places = [
        *(pushed("3.38", "3.37", digest=same), pushed("3.39", "3.38", digest=other)),
        *(pushed("3.40", "3.39", digest=same), pushed("3.44", "3.43", digest=same)),
    ]
    rewind = Rewind(places, dict(tree), named("3.42"))
    assert rewind.steps() == []
    assert (rewind.version, rewind.tree) == (named("3.40"), tree)
    assert labels(rewind.steps()) == ["40@lb2"]


def test_no_step_undoes_nothing():
    rewind = Rewind([], {"config/a": file("now")}, named("3.42"))
    rewind.undo([])
    assert (rewind.version, rewind.tree) == (named("3.42"), {"config/a": file("now")})


def test_the_way_back_may_lead_past_a_version_that_only_the_master_had():
    assert str(beyond(named("3.39"), named("3.41"))) == (
        "the tree right after generation 3.41 is not kept: the backup never had it; it had that of 3.39"
    )


# --- what is undone ----------------------------------------------------------------------


def undone(now, *steps, **more):
    """Undo one after the other, each a push with what was kept of it, and return where that leads."""
    places = [place for place, _ in steps]
    rewind = Rewind(places, dict(now), places[0].generation.version, **more)
    kept = {place.label: found for place, found in steps}
    while any(place.generation.version <= rewind.version for place in places):
        rewind.undo([(one, kept[one.label]) for one in rewind.steps()])
    return rewind


def test_a_push_is_undone_in_all_it_did():
    one = pushed(
        "3.42",
        "3.41",
        {"config/a": FILE, "config/m": PRIVATE, "config/l": LINK, "config/d": FOLDER, "config/d/b": FILE},
        made=("config/e", "config/e/n"),
        deleted=("config/d/b", "config/d"),
    )
    kept = {"config/a": file("old"), "config/l": link("old"), "config/d": folder(), "config/d/b": file("b")}
    now = {
        "config/a": file("new"),
        "config/l": link("new"),
        "config/m": file("m"),
        "config/x": file("x"),
        "config/e": folder(),
        "config/e/n": file("n"),
    }
    rewind = undone(now, (one, kept))
    assert rewind.tree == {**kept, "config/m": file("m", 0o600), "config/x": file("x")}
    assert rewind.sources == {"config/a": one, "config/d/b": one}, "what has a content that is not here"
    assert rewind.version == named("3.41")
    assert rewind.doubtful == set()


def test_a_folder_that_a_file_replaced_and_a_file_that_a_folder_did():
    one = pushed("3.42", "3.41", {"config/d": FOLDER, "config/d/a": FILE, "config/f": FILE},
                 made=("config/f/b",), deleted=("config/d/a",))  # fmt: skip
    kept = {"config/d": folder(), "config/d/a": file("a"), "config/f": file("f")}
    now = {"config/d": file("d"), "config/f": folder(), "config/f/b": file("b")}
    assert undone(now, (one, kept)).tree == kept


def test_the_content_of_the_oldest_step_is_the_one_of_then():
    newer, older = pushed("3.42", "3.41", {"config/a": FILE}), pushed("3.41", "3.40", {"config/a": FILE})
    rewind = undone({"config/a": file("3")}, (newer, {"config/a": file("2")}), (older, {"config/a": file("1")}))
    assert (rewind.tree, rewind.sources) == ({"config/a": file("1")}, {"config/a": older})


def test_both_nodes_histories_lead_back_where_the_roles_changed():
    on_lb1 = pushed("4.42", "3.41", {"config/a": FILE}, keeper=LB1, made=("config/n",))
    on_lb2 = pushed("3.41", "3.40", {"config/b": FILE})
    now = {"config/a": file("a2"), "config/b": file("b2"), "config/n": file("n")}
    rewind = undone(now, (on_lb1, {"config/a": file("a1")}), (on_lb2, {"config/b": file("b1")}))
    assert rewind.version == named("3.40")
    assert rewind.tree == {"config/a": file("a1"), "config/b": file("b1")}
    assert rewind.sources == {"config/a": on_lb1, "config/b": on_lb2}


def test_a_push_that_failed_in_the_middle_is_undone_with_the_next():
    # 41 was to change a and b and to make n: it came as far as a. 42 took a back, changed b, and made o.
    failed = pushed("3.41", "3.40", {"config/a": FILE, "config/b": FILE}, made=("config/n",))
    through = pushed("3.42", "3.40", {"config/a": FILE, "config/b": FILE}, made=("config/o",))
    now = {"config/a": file("a"), "config/b": file("b2"), "config/o": file("o")}
    rewind = undone(
        now,
        (through, {"config/a": file("a1"), "config/b": file("b")}),
        (failed, {"config/a": file("a")}),
    )
    assert rewind.version == named("3.40")
    assert rewind.tree == {"config/a": file("a"), "config/b": file("b")}


def test_what_somebody_changed_by_hand_on_the_backup_does_not_come_back():
    drift = own(ConflictKind.DRIFT, "config/a", "config/h", "config/g")
    one = pushed("3.42", "3.41", {"config/a": FILE, "config/b": FILE, "config/h": FILE},
                 made=("config/g",), deleted=("config/h",), conflict=drift)  # fmt: skip
    kept = {"config/a": file("by hand"), "config/b": file("old"), "config/h": file("by hand")}
    then = {"config/a": file("a"), "config/b": file("old"), "config/g": file("g")}
    before = pushed("3.41", "3.40", digest=digest(then))
    rewind = Rewind([one, before], {**then, "config/b": file("new")}, named("3.42"))
    rewind.undo([(one, kept)])
    assert rewind.tree == then
    assert rewind.exact()
    assert rewind.sources == {"config/b": one}
    assert rewind.doubtful == {"config/a", "config/g", "config/h"}


def test_nor_does_it_where_no_digest_says_what_was_there():
    one = pushed("3.42", "3.41", {"config/a": FILE}, conflict=own(ConflictKind.DRIFT, "config/a"))
    rewind = undone({"config/a": file("a")}, (one, {"config/a": file("by hand")}), doubtful={"config/z"})
    assert (rewind.tree, rewind.doubtful) == ({"config/a": file("a")}, {"config/a", "config/z"})


@pytest.mark.parametrize("doubtful", [set(), {"config/a"}, {"config/z"}])
def test_the_rest_of_a_push_that_failed_was_not_changed_by_hand(doubtful):
    # 41 came as far as the mode of a; 42 found that mode, which both nodes never had, and replaced a.
    through = pushed("3.42", "3.40", {"config/a": PRIVATE}, conflict=own(ConflictKind.DRIFT, "config/a"))
    failed = pushed("3.41", "3.40", {"config/a": FILE})
    then = {"config/a": file("old")}
    places = [through, failed, pushed("3.40", "3.39", digest=digest(then))]
    rewind = Rewind(places, {"config/a": file("new")}, named("3.42"), doubtful=set(doubtful))
    rewind.undo([(through, {"config/a": file("old", 0o600)}), (failed, {})])
    assert (rewind.version, rewind.tree, rewind.sources) == (named("3.40"), then, {"config/a": through})
    assert rewind.exact()
    assert rewind.doubtful == doubtful, "nothing more: its digest proves it"


def test_what_a_node_had_as_master_alone_was_the_tree_of_its_version():
    one = pushed("5.42", "4.41", {"config/a": FILE}, conflict=own(ConflictKind.SPLIT, "config/a"))
    rewind = undone({"config/a": file("winner")}, (one, {"config/a": file("loser")}))
    assert (rewind.tree, rewind.doubtful) == ({"config/a": file("loser")}, set())


def test_what_each_node_may_have_otherwise_stays_as_it_is():
    one = pushed("3.42", "3.41", {"rt_tables": FILE, "config/a": FILE}, made=("config/local",))
    now = {"rt_tables": file("253 new"), "config/local": folder(), "config/a": file("new")}
    rewind = undone(now, (one, {"rt_tables": file("253 old"), "config/a": file("old")}))
    assert rewind.tree == {**now, "config/a": file("old")}
    assert rewind.sources == {"config/a": one}


def test_exact_is_what_the_digest_of_then_says_or_nothing():
    tree = {"config/a": file("a")}
    known, other, silent = (pushed("3.42", "3.41", digest=one) for one in (digest(tree), digest({}), ""))
    older = pushed("3.41", "3.40", digest=digest({}))
    assert Rewind([older, silent, known], tree, named("3.42")).exact() is True
    assert Rewind([other], tree, named("3.42")).exact() is False
    assert Rewind([older, silent], tree, named("3.42")).exact() is None


# --- whatever was pushed -----------------------------------------------------------------


TYPES = {Kind.FILE: stat.S_IFREG, Kind.FOLDER: stat.S_IFDIR, Kind.LINK: stat.S_IFLNK}
MAKE = {"file": file, "link": link, "folder": lambda _: folder()}


@dataclass
class Pair:
    """Two trees, and what two real receivers would have written down of each push."""

    ours: dict = field(default_factory=lambda: {"config": folder()})
    theirs: dict = field(default_factory=dict)
    keepers: tuple = (LB1, LB2)
    version: DataVersion = BEGIN
    came: DataVersion = field(default_factory=DataVersion)  # the version of the backup's tree
    about: dict = field(default_factory=dict)
    kept: dict = field(default_factory=dict)
    held: dict = field(default_factory=dict)
    ended: DataVersion = field(default_factory=DataVersion)  # see `push`

    @property
    def places(self):
        return [Place(keeper, parse(number, found)) for (keeper, number), found in self.about.items()]

    def numbered(self, *changes):
        """Change the master's tree: a new version."""
        for name, kind, content in changes:
            self.change(f"config/{name}", kind, content)
        self.version = DataVersion(self.version.epoch, self.version.generation + 1)

    def change(self, key, kind, content):
        above = key.rpartition("/")[0]
        if kind == "mode":
            if self.ours.get(key, folder()).kind is Kind.FILE:
                self.ours[key] = file(self.ours[key].content, 0o600 if self.ours[key].mode == 0o644 else 0o644)
            return
        self.ours = {one: entry for one, entry in self.ours.items() if one != key and not one.startswith(f"{key}/")}
        if kind != "gone":
            if self.ours.get(above, link("")).kind is not Kind.FOLDER:
                self.ours[above] = folder()
            self.ours[key] = MAKE[kind](content)

    def push(self, reached=None):
        """Push, as far as so many paths; a push that is not through is one that its receiver knows nothing of."""
        plan = compare(self.ours, self.theirs)
        paths = [*shallow_first(plan.entries), *plan.delete]
        if paths:
            self.write_down(plan, paths[:reached])
        elif digest(self.theirs) not in {one.generation.digest for one in self.places}:
            # Nothing to do, for a push that failed left just this: nobody writes down how it came there.
            self.ended = self.version
        for key in paths[:reached]:
            if key in plan.entries:
                self.theirs[key] = plan.entries[key]
            else:
                del self.theirs[key]
        if reached is None:
            self.came, self.held[self.version] = self.version, dict(self.ours)

    def write_down(self, plan, reached):
        where = self.keepers[1], self.version.generation
        there = {key: self.theirs[key] for key in (*plan.entries, *plan.delete) if key in self.theirs}
        facts = {
            "epoch": self.version.epoch,
            "digest": digest(self.ours),
            "from": [self.came.epoch, self.came.generation],
            "before": {key: [TYPES[one.kind] | one.mode, one.uid, one.gid] for key, one in there.items()},
            "made": sorted(plan.entries.keys() - self.theirs.keys()),
            "deleted": list(plan.delete),
        }
        self.about[where] = merged(self.about.get(where), facts)
        for key in reached:
            old, new = there.get(key), plan.entries.get(key)
            replaced = new is None or old is None or (old.kind, old.content) != (new.kind, new.content)
            if old is not None and old.kind is not Kind.FOLDER and replaced:
                self.kept.setdefault(where, {}).setdefault(key, old)

    def swap(self):
        """Have the other node be master."""
        self.ours, self.theirs = dict(self.theirs), dict(self.ours)
        self.keepers = self.keepers[::-1]
        self.version = DataVersion(self.version.epoch + 1, self.version.generation)

    def back_to(self, wanted):
        rewind = Rewind(pushes(self.places), dict(self.ours), self.version)
        while rewind.version > wanted:
            rewind.undo([(one, self.found(one)) for one in rewind.steps()])
        return rewind

    def found(self, place):
        return kept_manifest(place.generation, self.kept.get((place.keeper, place.generation.number), {}))


NAMES = ("a", "b", "d", "d/a", "d/b")
changes = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from((*MAKE, "mode", "gone")), st.sampled_from("123")),
    max_size=4,
)
turns = st.tuples(
    changes, st.sampled_from(("push", "push", "skip", "fail", "fail and again", "swap")), st.integers(0, 4)
)


@given(st.lists(turns, max_size=10))
@example([([("d/a", "file", "1")], "fail", 1), ([("d", "folder", "")], "push", 0)])  # it ends there
@example([([("a", "file", "1")], "push", 0), ([("a", "file", "2"), ("b", "file", "2")], "fail and again", 1)])
@example([([("d/a", "file", "1")], "push", 0), ([("d", "link", "1")], "swap", 0), ([("d/b", "file", "2")], "fail", 1)])
def test_each_version_that_both_held_comes_back_from_what_was_written_down(plan):
    pair = Pair()
    pair.numbered()
    pair.push()
    for edits, how, reached in plan:
        if how == "swap" and pair.came == pair.version:
            pair.swap()
        pair.numbered(*edits)
        if how in ("fail", "fail and again"):
            pair.push(reached)
        if how not in ("fail", "skip"):
            pair.push()
    pair.numbered(("z", "file", str(len(plan))))  # else the last push may have left nothing to write down
    pair.push()
    now, recorded = pair.ours, {one.generation.version for one in pushes(pair.places)}
    for wanted, held in pair.held.items():
        try:
            rewind = pair.back_to(wanted)
        except ChoiceError:
            assert wanted < pair.ended
            continue
        event(f"reached: {rewind.version == wanted}, recorded: {wanted in recorded}")
        if wanted in recorded or rewind.version == wanted:
            assert (rewind.version, rewind.tree) == (wanted, held)
            assert rewind.exact() is (True if wanted in recorded else None)
        for key in compare(rewind.tree, now).fetch:
            assert pair.found(rewind.sources[key])[key].content == rewind.tree[key].content
