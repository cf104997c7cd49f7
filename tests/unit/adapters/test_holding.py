import os

import pytest

from skd_cluster.adapters import holding as module
from skd_cluster.adapters.holding import Holding
from skd_cluster.adapters.inotify import Touched
from skd_cluster.adapters.tree import Tree
from skd_cluster.core.manifest import digest
from skd_cluster.core.scope import Scope


@pytest.fixture
def folder(tmp_path):
    found = tmp_path / "config"
    found.mkdir()
    (found / "a").write_text("x")
    return found


def tree_at(folder):
    return Tree({"config": str(folder), "rt_tables": f"{folder}.rt"}, Scope.of(()))


@pytest.fixture
def scans(monkeypatch):
    """How often a whole tree was read."""
    found = []
    plain = Tree.scan
    monkeypatch.setattr(Tree, "scan", lambda self, hold=(): found.append(hold) or plain(self, hold))
    return found


def test_a_digest_after_a_change_needs_no_whole_reading(folder, scans):
    holding = Holding(tree_at(folder))
    holding.read()
    scans.clear()
    (folder / "a").write_text("y")
    found = holding.digest(["config/a"])
    assert scans == []
    assert found == digest(tree_at(folder).scan().manifest)


def test_what_somebody_else_does_is_in_the_digest(folder, scans):
    holding = Holding(tree_at(folder))
    before = holding.digest(())
    scans.clear()
    (folder / "somebody").mkdir()
    (folder / "somebody" / "else").write_text("x")
    os.chmod(folder / "a", 0o600)
    found = holding.digest(())
    assert scans == []
    assert found == digest(tree_at(folder).scan().manifest) != before


def test_what_is_written_through_another_name_of_a_file_is_in_the_digest(folder, scans):
    """An event names the name that was used, and no other one."""
    os.link(folder / "a", folder / "b")
    holding = Holding(tree_at(folder))
    holding.read()
    scans.clear()
    (folder / "b").write_text("through the other name")
    found = holding.digest(())
    assert len(scans) == 1
    assert found == digest(tree_at(folder).scan().manifest)


def test_lost_events_mean_a_whole_reading(folder, scans, monkeypatch):
    holding = Holding(tree_at(folder))
    holding.read()
    (folder / "a").write_text("y")
    holding._sight.touched()
    monkeypatch.setattr(holding._sight, "touched", lambda: Touched(lost=True))
    scans.clear()
    assert holding.digest(()) == digest(tree_at(folder).scan().manifest)
    assert len(scans) == 2


def test_without_watches_everything_is_read_each_time(folder, scans, monkeypatch):
    def none(_tree):
        raise OSError("no more inotify instances")

    monkeypatch.setattr(module, "Sight", none)
    holding = Holding(tree_at(folder))
    for text in ("1", "2"):
        (folder / "a").write_text(text)
        scans.clear()
        assert holding.digest(["config/a"]) == digest(tree_at(folder).scan().manifest)
        assert len(scans) == 2


def test_a_folder_that_cannot_be_watched_means_the_same(folder, scans):
    holding = Holding(tree_at(folder))
    holding.read()
    holding._sight.trouble = "the limit of watches is reached"
    (folder / "a").write_text("y")
    scans.clear()
    assert holding.digest(()) == digest(tree_at(folder).scan().manifest)
    assert len(scans) == 2


def test_all_there_is_is_read_whole_once_a_minute(folder, scans, monkeypatch):
    now = [0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    holding = Holding(tree_at(folder))
    holding.read()
    scans.clear()
    (folder / "b").write_text("y")
    assert holding.manifest() == tree_at(folder).scan().manifest
    assert len(scans) == 1
    now[0] = module._RECENT + 1
    scans.clear()
    holding.manifest()
    assert len(scans) == 1
