"""New folders: in place whole or not at all, whatever else is in the staging folder or in the way."""

import errno
import os
import stat

import pytest

from skd_cluster.adapters.apply import RefusedError
from skd_cluster.core.session import Refusal
from tests.unit.adapters.test_apply import Pair


@pytest.fixture(params=["packed", "by rsync"])
def pair(tmp_path, request):
    pair = Pair(tmp_path, packed=request.param == "packed")
    for one in (pair.here, pair.there):
        (one / "config").mkdir()
    new = pair.here / "config" / "new"
    (new / "deep").mkdir(parents=True)
    (new / "empty").mkdir(mode=0o711)
    (new / "a").write_text("a")
    (new / "deep" / "b").write_text("b")
    (new / "deep" / "link").symlink_to("../a")
    (new / "deep").chmod(0o500)
    os.chown(new / "deep", 5, 6)
    return pair


@pytest.fixture
def renames(monkeypatch):
    """What was renamed into the tree, and what was in it at that moment."""
    found = []
    rename = os.rename

    def noted(source, target):
        found.append((target.partition("/there/")[2], sorted(os.listdir(source)) if os.path.isdir(source) else None))
        rename(source, target)

    monkeypatch.setattr(os, "rename", noted)
    return found


def test_a_new_folder_appears_with_all_in_it_at_once(pair, renames):
    pair.push()
    assert renames == [("config/new", ["a", "deep", "empty"])]
    assert pair.equal
    state = (pair.there / "config" / "new" / "deep").stat()
    assert (stat.S_IMODE(state.st_mode), state.st_uid, state.st_gid) == (0o500, 5, 6)
    assert os.readlink(pair.there / "config" / "new" / "deep" / "link") == "../a"


def test_only_the_topmost_new_folder_is_put_in_place_and_what_is_beside_it_too(pair, renames):
    (pair.there / "config" / "new").mkdir()
    (pair.there / "config" / "new" / "a").write_text("old")
    pair.push()
    assert sorted(renames) == [
        ("config/new/a", None), ("config/new/deep", ["b", "link"]), ("config/new/empty", []),
    ]  # fmt: skip
    assert pair.kept("config/new/a").read_text() == "old"
    assert pair.equal


def test_what_does_not_belong_there_stays_behind(pair):
    def stray(staging):
        os.makedirs(staging.path("config/new/deep"), exist_ok=True)
        with open(staging.path("config/new/deep/stray"), "w") as file:
            file.write("nobody asked for it")

    pair.push(spoil=stray)
    assert pair.equal
    assert sorted(os.listdir(pair.there / "config" / "new" / "deep")) == ["b", "link"]


def test_from_another_file_system_it_is_made_path_by_path(pair, monkeypatch):
    rename = os.rename

    def refuse(source, target):
        if os.path.isdir(source):
            raise OSError(errno.EXDEV, "cross-device", source, None, target)
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuse)
    pair.push()
    assert pair.equal


def test_where_a_file_was_it_is_made_path_by_path_and_the_file_is_kept(pair):
    (pair.there / "config" / "new").write_text("a file")
    pair.push()
    assert pair.equal
    assert pair.kept("config/new").read_text() == "a file"


def test_what_appears_there_meanwhile_is_not_overwritten(pair, monkeypatch):
    rename = os.rename
    mine = pair.there / "config" / "new" / "mine"

    def late(source, target):
        mine.parent.mkdir()
        mine.write_text("somebody's")
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", late)
        with pytest.raises(RefusedError) as caught:
            pair.push()
    assert caught.value.reason is Refusal.FAILED
    assert mine.read_text() == "somebody's"
    pair.push()
    assert pair.equal
