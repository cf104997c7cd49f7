import os
import socket

import pytest

from skd_cluster.adapters import tree as module
from skd_cluster.adapters.tree import ChangingError, Tree, read_content
from skd_cluster.core.manifest import Kind, compare, digest
from skd_cluster.core.scope import DEEPEST, Scope
from tests.fixtures.skudonet_tree import make_tree, rt_tables_text


def tree_at(folder, *exclude):
    return Tree({"config": str(folder), "rt_tables": f"{folder}.rt"}, Scope.of(exclude))


@pytest.fixture
def tree(tmp_path):
    folder = tmp_path / "config"
    folder.mkdir()
    return tree_at(folder)


def test_the_pair_s_files_are_the_same_on_both_nodes_and_others_are_left_out(tmp_path):
    facts, trees = {}, {}
    for node in ("lb1", "lb2"):
        facts[node] = make_tree(tmp_path / node, node=node, farms=10)
        (tmp_path / f"{node}.rt").write_text(rt_tables_text(node))
        trees[node] = tree_at(tmp_path / node).scan()
    manifest = trees["lb1"].manifest
    assert digest(manifest) == digest(trees["lb2"].manifest)
    assert set(compare(manifest, trees["lb2"].manifest).entries) == {"rt_tables"}
    one = facts["lb1"]
    left_out = {f"config/{name}" for name in (*one.node_local, *one.scratch)}
    assert not left_out & manifest.keys()
    assert len(manifest) == one.files + len(one.links) + one.folders + 2 - len(left_out)
    assert manifest["config/certificates/skdcert-c.key"].mode == 0o600
    assert manifest["config/certificates/retired.pem"].content == "removed-last-year.pem"
    assert all(f"config/{name}" in manifest for name in one.awkward if f"config/{name}" not in left_out)
    assert manifest["config/letsencrypt/renewal-hooks/deploy"].kind is Kind.FOLDER


def test_same_size_same_second_is_seen(tree, tmp_path):
    path = tmp_path / "config" / "a"
    seen = set()
    for number in range(20):  # as fast as can be: within one tick of the clock of the file system
        path.write_text(str(number % 10) * 4)
        os.utime(path, ns=(10**18, 10**18))
        seen.add((number % 10, tree.scan().manifest["config/a"].content))
    assert len(seen) == 10


def test_a_content_is_read_once(tree, tmp_path, monkeypatch):
    path = tmp_path / "config" / "a"
    path.write_text("x")
    monkeypatch.setattr(module, "wall", lambda: path.stat().st_ctime + 1)
    read = []
    monkeypatch.setattr(module, "read_content", lambda *args: read.append(args) or "content")
    tree.scan()
    tree.scan()
    assert len(read) == 1
    path.write_text("y")
    monkeypatch.setattr(module, "wall", lambda: path.stat().st_ctime + module.GRAIN / 2e9)
    tree.scan()
    tree.scan()
    assert len(read) == 3, "too young to be remembered"


def test_what_is_held_is_not_looked_at(tree, tmp_path):
    (tmp_path / "config" / "a").write_text("x")
    found = tree.scan({"config/a"})
    assert "config/a" not in found.manifest
    assert found.unknown == {"config/a"}


def test_a_file_that_changes_while_it_is_read(tmp_path):
    path = tmp_path / "a"
    path.write_text("x")
    state = os.lstat(path)
    expected = (state.st_dev, state.st_ino, state.st_size + 1, state.st_mtime_ns, state.st_ctime_ns)
    with pytest.raises(ChangingError):
        read_content("config/a", str(path), expected)


def test_sockets_and_pipes_do_not_travel_and_do_not_block(tree, tmp_path):
    os.mkfifo(tmp_path / "config" / "pipe")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "config" / "sock"))
        found = tree.scan()
    assert set(found.skipped) == {"config/pipe", "config/sock"}
    assert set(found.manifest) == {"config"}


def test_a_missing_tree_is_not_an_empty_one(tmp_path):
    found = tree_at(tmp_path / "gone").scan()
    assert found.manifest == {}
    assert "config" in found.unknown
    theirs = {"config": None, "config/a": None}
    assert compare(found.manifest, theirs, found.unknown).empty


def test_exclude_keeps_a_folder_and_all_in_it(tmp_path):
    folder = tmp_path / "config"
    (folder / "secret" / "deep").mkdir(parents=True)
    (folder / "secret" / "deep" / "a").write_text("x")
    (folder / "a.tmp").write_text("x")
    found = tree_at(folder, "/secret/", "*.tmp").scan()
    assert set(found.manifest) == {"config"}


def test_keys_and_paths(tree, tmp_path):
    assert tree.path("config/a/b") == f"{tmp_path}/config/a/b"
    assert tree.key(f"{tmp_path}/config/a/b") == "config/a/b"
    assert tree.key(f"{tmp_path}/configuration") is None
    with pytest.raises(KeyError):
        tree.path("extra/etc/shadow")


def test_what_is_too_deep_is_unreadable_and_the_rest_is_read(tree, tmp_path):
    here = tmp_path / "config" / "d"
    for _ in range(DEEPEST + 1):
        here.mkdir()
        here /= "d"
    (tmp_path / "config" / "beside").write_text("x")
    found = tree.scan()
    (key,) = found.unreadable
    assert key.count("/") == DEEPEST + 1
    assert "too deep" in found.unreadable[key]
    assert {"config/beside", "config/d/d/d"} <= found.manifest.keys()
