"""Both nodes master, both edited, and together again: what was typed is on both nodes, or kept under a name and told."""

from pathlib import Path

import pytest

from tests.labkit import CONFIG_TREE, Lab, Node, eventually

HISTORY = "/var/lib/skd-cluster/history"


@pytest.fixture
def split(lab: Lab, lb1: Node, lb2: Node) -> Lab:
    """A pair in sync that has lost each other: lb1 and lb2 are both master."""
    for node in (lb1, lb2):
        node.make_tree(farms=3)
        node.write_config(floating="listed", advert_interval="0.1", max_delete="100")
    lab.trust()
    lb1.add_address()
    lb1.start_daemon()
    lb2.start_daemon()
    in_sync(lb1, lb2)
    lab.partition(lb1, lb2)
    eventually(lambda: (lb1.role(), lb2.role()) == ("master", "master"), within=5, what="both are master")
    return lab


def in_sync(master: Node, backup: Node, within: float = 20) -> None:
    def so() -> bool:
        assert (master.role(), backup.role()) == ("master", "backup")
        status = master.status()["replication"]
        assert status["in_sync"], status
        return True

    eventually(so, within=within, what=f"{master.name} master, {backup.name} backup and in sync")


def conf(node: Node, name: str) -> Path:
    return node.path(CONFIG_TREE) / name


def edit(node: Node, name: str, text: str) -> None:
    """As an administrator on that node; returns when its service has taken note."""
    before = node.status()["generation"]
    conf(node, name).write_text(text)
    eventually(lambda: node.status()["generation"] > before, within=5, what=f"{node.name} has a new generation")


def conflicts(node: Node) -> list[str]:
    return [one["name"] for one in node.status()["conflicts"]]


def test_edits_of_both_sides_end_on_both_nodes_or_in_a_conflict_with_a_name(split: Lab, lb1: Node, lb2: Node) -> None:
    edit(lb1, "zlb-start", "#!/bin/sh\n# typed on lb1\n")
    edit(lb2, "zlb-stop", "#!/bin/sh\n# typed on lb2\n")
    edit(lb2, "made-on-lb2.html", "only here")
    split.heal()
    in_sync(lb1, lb2)

    assert conf(lb2, "zlb-start").read_text() == conf(lb1, "zlb-start").read_text() == "#!/bin/sh\n# typed on lb1\n"
    assert conf(lb2, "zlb-stop").read_bytes() == conf(lb1, "zlb-stop").read_bytes()
    (name,) = eventually(lambda: conflicts(lb1), within=5, what="the master names the conflict")
    assert name.startswith("split-")
    assert conflicts(lb2) == [name]
    for node in (lb1, lb2):
        assert any(name in problem for problem in node.status()["problems"])
        assert f"conflict {name}" in node.path("/var/log/skdinotify.log").read_text()
    kept = lb2.path(f"{HISTORY}/open/{name}").readlink().name
    tree = lb2.path(f"{HISTORY}/{kept}/tree/config")
    assert (tree / "zlb-stop").read_text() == "#!/bin/sh\n# typed on lb2\n"
    assert (tree / "made-on-lb2.html").read_text() == "only here"


def test_edits_of_one_side_win_whoever_is_preferred(split: Lab, lb1: Node, lb2: Node) -> None:
    edit(lb2, "zlb-stop", "#!/bin/sh\n# typed on lb2\n")
    split.heal()
    in_sync(lb2, lb1)

    assert conf(lb1, "zlb-stop").read_text() == "#!/bin/sh\n# typed on lb2\n"
    assert conflicts(lb1) == conflicts(lb2) == []


def test_without_edits_the_preferred_one_stays_and_nothing_is_a_conflict(split: Lab, lb1: Node, lb2: Node) -> None:
    split.heal()
    in_sync(lb1, lb2)
    assert conflicts(lb1) == conflicts(lb2) == []


def test_a_file_edited_by_hand_on_the_backup_is_put_right_and_kept(lab: Lab, split: Lab, lb1: Node, lb2: Node) -> None:
    split.heal()
    in_sync(lb1, lb2)
    conf(lb2, "zlb-start").write_text("by hand")
    lb1.run(["skd-cluster", "sync"])
    eventually(lambda: conf(lb2, "zlb-start").read_bytes() == conf(lb1, "zlb-start").read_bytes(), within=10)
    (name,) = eventually(lambda: conflicts(lb2), within=5, what="lb2 names the conflict")
    assert name.startswith("drift-")
    kept = lb2.path(f"{HISTORY}/open/{name}").readlink().name
    assert lb2.path(f"{HISTORY}/{kept}/tree/config/zlb-start").read_text() == "by hand"
