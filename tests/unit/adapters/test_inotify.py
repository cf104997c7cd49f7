import os

import pytest

from skd_cluster.adapters.sight import Sight
from skd_cluster.adapters.tree import Folder, Tree
from skd_cluster.core.scope import Scope


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config" / os.fsdecode(b"caf\xe9")).mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "rt_tables").write_text("200 a\n")
    return tmp_path


@pytest.fixture
def watcher(folder):
    tree = Tree({"config": f"{folder}/config", "rt_tables": f"{folder}/etc/rt_tables"}, Scope.of(["*.tmp"]))
    watcher = Sight(tree)
    watcher.scan()
    assert watcher.trouble == ""
    watcher.touched()
    yield watcher
    watcher.close()


def touched(watcher):
    """What the kernel has told by now: it tells before a system call returns."""
    return watcher.touched().keys


def test_a_file_is_in_the_middle_until_it_is_closed(watcher, folder):
    with (folder / "config" / "a").open("w") as file:
        assert touched(watcher) == {"config/a": True}
        file.write("x")
        file.flush()
        assert touched(watcher) == {"config/a": True}
    assert touched(watcher) == {"config/a": False}


def test_rename_over_chmod_link_and_delete(watcher, folder):
    (folder / "new").write_text("x")
    (folder / "new").rename(folder / "config" / "a")
    assert touched(watcher) == {"config/a": False}
    (folder / "config" / "a").chmod(0o600)
    assert touched(watcher) == {"config/a": False}
    (folder / "config" / "l").symlink_to("a")
    assert touched(watcher) == {"config/l": False}
    (folder / "config" / "a").unlink()
    assert touched(watcher) == {"config/a": False}


def test_names_that_are_not_utf8(watcher, folder):
    (folder / "config" / os.fsdecode(b"caf\xe9") / os.fsdecode(b"\xff")).touch()
    assert touched(watcher) == {os.fsdecode(b"config/caf\xe9/\xff"): False}


def test_what_does_not_travel_is_not_told(watcher, folder):
    for name in ("a.tmp", "if_eth0_conf", ".a.swp"):
        (folder / "config" / name).write_text("x")
    assert touched(watcher) == {}


def test_a_single_file_is_seen_and_its_neighbours_are_not(watcher, folder):
    (folder / "etc" / "other").write_text("x")
    assert touched(watcher) == {}
    (folder / "new").write_text("200 b\n")
    (folder / "new").rename(folder / "etc" / "rt_tables")
    assert touched(watcher) == {"rt_tables": False}


def test_a_new_folder_is_told_and_watched_when_followed(watcher, folder):
    new = folder / "config" / "new"
    new.mkdir()
    (new / "early").write_text("x")
    assert touched(watcher) == {"config/new/": False}
    watcher.scan()
    (new / "late").write_text("x")
    assert "config/new/late" in touched(watcher)


def test_a_renamed_folder_is_watched_under_its_new_name(watcher, folder):
    (folder / "config" / "one").mkdir()
    watcher.scan()
    (folder / "config" / "one").rename(folder / "config" / "two")
    touched(watcher)
    watcher.scan()
    (folder / "config" / "two" / "a").write_text("x")
    assert touched(watcher) == {"config/two/a": False}


def test_another_folder_of_the_same_name_is_watched(watcher, folder):
    (folder / "config" / "one").mkdir()
    (folder / "other").mkdir()
    watcher.scan()
    (folder / "config" / "one").rmdir()
    (folder / "other").rename(folder / "config" / "one")
    touched(watcher)
    watcher.scan()
    touched(watcher)
    (folder / "config" / "one" / "a").write_text("x")
    assert touched(watcher) == {"config/one/a": False}


def test_a_folder_that_left_the_tree_is_not_watched_any_more(watcher, folder):
    (folder / "config" / "one").mkdir()
    watcher.scan()
    (folder / "config" / "one").rename(folder / "outside")
    touched(watcher)
    watcher.scan()
    touched(watcher)
    (folder / "outside" / "a").write_text("x")
    assert touched(watcher) == {}


def test_a_folder_whose_name_another_had_when_it_was_to_be_watched(watcher, folder):
    place, aside, other = folder / "config" / "one", folder / "aside", folder / "other"
    place.mkdir()
    other.mkdir()
    state = place.stat()
    listed = Folder(str(place), state.st_dev, state.st_ino)
    place.rename(aside)
    other.rename(place)
    watcher._watcher.watch("config/one", listed)  # the other one, under this name
    place.rename(other)
    aside.rename(place)
    touched(watcher)
    assert not watcher._watcher.watches("config/one", listed)
    watcher.scan()
    (place / "a").write_text("x")
    assert "config/one/a" in touched(watcher)
