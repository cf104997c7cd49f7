"""A real folder under a real inotify: what is looked at after events must be what a fresh reading finds."""

import os
import random
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from skd_cluster.adapters.sight import Sight
from skd_cluster.adapters.tree import Tree
from skd_cluster.core.ledger import Ledger
from skd_cluster.core.scope import Scope


class Followed:
    """A tree that is followed by its events alone, after one whole reading."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        (folder.parent / "tables").write_text("1\tone\n")
        self.sight = Sight(self.fresh())
        self.ledger = Ledger(self.sight.scan().manifest)

    def fresh(self):
        roots = {"config": str(self.folder), "rt_tables": str(self.folder.parent / "tables")}
        return Tree(roots, Scope.of(["*.tmp", "/private/"]))

    def follow(self):
        touched = self.sight.touched()
        assert not touched.lost
        found = self.sight.look(touched.keys)
        self.ledger.take(found.manifest, found.whole, found.unknown)
        return found

    def check(self):
        assert self.ledger.entries == self.fresh().scan().manifest
        assert self.ledger.digest == Ledger(self.ledger.entries).digest


@pytest.fixture
def tree(tmp_path):
    followed = Followed(tmp_path / "config")
    yield followed
    followed.sight.close()


def some(chance, root, kind):
    found = [os.path.join(folder, name) for folder, *names in os.walk(root) for name in names[kind]]
    return chance.choice(sorted(found)) if found else None


def new_name(chance, root):
    folder = some(chance, root, 0) or root
    return os.path.join(chance.choice([folder, str(root)]), chance.choice("abcdef") + chance.choice(["", "", ".tmp"]))


def make_file(chance, root):
    with open(new_name(chance, root), "w") as file:
        file.write(str(chance.random()))


def make_folder(chance, root):
    os.makedirs(os.path.join(new_name(chance, root), "deep"))
    make_file(chance, root)


def make_link(chance, root):
    os.symlink(chance.choice([str(root), "a", "/etc"]), new_name(chance, root))


def move(chance, root):
    os.rename(some(chance, root, chance.choice([0, 1])) or "", new_name(chance, root))


def move_out_and_link_in(chance, root):
    folder = some(chance, root, 0) or ""
    outside = f"{root}.moved-{chance.random()}"
    os.rename(folder, outside)
    os.symlink(outside, folder)


def delete(chance, root):
    os.unlink(some(chance, root, 1) or "")


def delete_folder(chance, root):
    folder = some(chance, root, 0) or ""
    if not os.path.islink(folder):
        shutil.rmtree(folder)


def replace_folder(chance, root):
    folder = some(chance, root, 0) or ""
    if not os.path.islink(folder):
        shutil.rmtree(folder)
        os.mkdir(folder)
        make_file(chance, root)


def swap_folder(chance, root):
    """Another folder takes the place of one that lives on outside: nothing was deleted, so no watch ends."""
    folder = some(chance, root, 0) or ""
    other = f"{root}.other-{chance.random()}"
    os.makedirs(os.path.join(other, "deep"))
    os.chmod(other, os.stat(folder).st_mode & 0o777)
    make_file(chance, other)
    os.rename(folder, f"{root}.swapped-{chance.random()}")
    os.rename(other, folder)


def change_mode(chance, root):
    path = some(chance, root, chance.choice([0, 1])) or str(root)
    if not os.path.islink(path):
        os.chmod(path, chance.choice([0o700, 0o750, 0o755]))


STEPS = (make_file, make_file, make_folder, make_folder, make_link, move, move, move_out_and_link_in, delete)
MORE = (delete_folder, replace_folder, swap_folder, change_mode)


@pytest.mark.parametrize("seed", range(40))
def test_followed_by_its_events_it_is_what_a_fresh_reading_finds(tree, seed):
    chance = random.Random(seed)
    for _ in range(40):
        for _ in range(chance.choice([1, 1, 2, 5])):
            with suppress(OSError):  # not possible just now, such as a folder moved into itself
                chance.choice(STEPS + MORE)(chance, tree.folder)
        tree.follow()
        tree.check()


def test_an_edit_is_one_look_and_no_more(tree):
    for number in range(50):
        (tree.folder / f"{number}").mkdir()
        (tree.folder / f"{number}/a").write_text("x")
    tree.follow()
    tree.check()
    (tree.folder / "7/a").write_text("y")
    found = tree.follow()
    assert found.whole == {"config/7/a"}
    assert found.folders == {}
    tree.folder.chmod(0o700)
    found = tree.follow()
    assert found.whole == set()
    assert set(found.manifest) == {"config"}
    tree.check()


def test_what_is_made_in_a_new_folder_before_it_has_a_watch_is_found(tree):
    (tree.folder / "new/deep").mkdir(parents=True)
    (tree.folder / "new/deep/a").write_text("x")
    tree.follow()
    tree.check()
    (tree.folder / "new/deep/a").write_text("y")
    tree.follow()
    tree.check()


def test_a_folder_that_became_a_link_leads_nowhere(tree, tmp_path):
    (tree.folder / "sub").mkdir()
    (tree.folder / "sub/a").write_text("x")
    tree.follow()
    (tree.folder / "sub").rename(tmp_path / "elsewhere")
    (tree.folder / "sub").symlink_to(tmp_path / "elsewhere")
    found = tree.sight.look({"config/sub/a"})
    assert found.manifest == {}
    assert found.whole == {"config/sub/a"}
    tree.follow()
    tree.check()


def watches(sight):
    return Path(f"/proc/self/fdinfo/{sight.fileno()}").read_text().count("inotify wd:")


def test_what_left_the_tree_is_not_watched_any_more(tree, tmp_path):
    (tree.folder / "sub/deep").mkdir(parents=True)
    tree.follow()
    before = watches(tree.sight)
    (tree.folder / "sub").rename(tmp_path / "elsewhere")
    tree.follow()
    tree.check()
    assert watches(tree.sight) == before - 2


def test_what_is_held_inside_a_new_folder_stays_as_it_was(tree):
    (tree.folder / "new").mkdir()
    (tree.folder / "new/half").write_text("x")
    found = tree.sight.look({"config/new/"}, {"config/new/half"})
    assert set(found.manifest) == {"config/new"}
    assert found.unknown == {"config/new/half"}


def test_a_tree_that_is_gone_is_not_an_empty_one(tree):
    (tree.folder / "a").write_text("x")
    tree.follow()
    tree.folder.rename(f"{tree.folder}.away")
    found = tree.follow()
    assert set(found.unreadable) == {"config"}
    assert set(tree.ledger.entries) == {"config", "config/a", "rt_tables"}


def test_the_tables_are_followed_though_they_are_a_file_alone(tree, tmp_path):
    (tmp_path / "tables.new").write_text("1\tone\n2\ttwo\n")
    (tmp_path / "tables.new").rename(tmp_path / "tables")
    assert tree.follow().whole == {"rt_tables"}
    assert tree.ledger.entries["rt_tables"].content == "one two"
    (tmp_path / "tables").unlink()
    tree.follow()
    tree.check()
