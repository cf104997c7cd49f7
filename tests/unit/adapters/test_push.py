"""What goes over the session for a batch, and what does when the tree changes meanwhile."""

import pytest

from skd_cluster.adapters.push import MovedError, Push
from skd_cluster.adapters.tree import Tree
from skd_cluster.core.manifest import compare, unpack_manifest
from skd_cluster.core.model import DataVersion
from skd_cluster.core.replication_actions import Batch
from skd_cluster.core.scope import Scope
from skd_cluster.core.session import SMALL_FILES, Begin, Commit, Pack

HANDFUL = 64


class Heard:
    """The session: remembers what it was given."""

    def __init__(self):
        self.messages = []

    def send(self, messages):
        self.messages += messages


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "config").mkdir()
    return Tree({"config": str(tmp_path / "config")}, Scope.of(()))


def push(tree, count):
    for number in range(count):
        with open(tree.path(f"config/f{number}"), "w") as file:
            file.write(f"content {number}")
    plan = compare(tree.scan().manifest, {})
    return Push(Batch(plan, 1, DataVersion(1, 1), "digest", 0), tree, Heard(), None, None)


def test_a_small_batch_goes_at_once(tree):
    one = push(tree, 3)
    one.start()
    begin, pack, commit = one.session.messages
    assert begin == Begin(1)
    found = {key: body for key, _, body in pack.contents()}
    assert found == {f"config/f{number}": b"content %d" % number for number in range(3)}
    said = unpack_manifest(pack.entries)
    assert isinstance(commit, Commit)
    assert said | unpack_manifest(commit.entries) == one.batch.plan.entries
    assert (set(commit.entries), commit.fetch) == ({"config"}, [])  # what came with a content is not said again


@pytest.mark.parametrize("change", ["other", None])
def test_a_handful_of_which_one_changed_is_not_sent_at_all(tree, tmp_path, change):
    one = push(tree, HANDFUL)
    path = tmp_path / "config" / "f7"
    path.unlink() if change is None else path.write_text(change)
    with pytest.raises(MovedError, match="config/f7"):
        one.start()
    assert one.session.messages == []


@pytest.mark.parametrize("change", ["other", None])
def test_of_many_the_one_that_changed_is_left_for_the_peer_to_refuse(tree, tmp_path, change):
    one = push(tree, HANDFUL + 1)
    path = tmp_path / "config" / "f7"
    path.unlink() if change is None else path.write_text(change)
    one.start()
    packs = [message for message in one.session.messages if isinstance(message, Pack)]
    found = {key: body for pack in packs for key, _, body in pack.contents()}
    assert len(found) == HANDFUL + 1
    assert found["config/f7"] == (b"" if change is None else b"other")


def test_very_many_go_by_rsync_when_the_peer_is_ready(tree):
    one = push(tree, SMALL_FILES + 1)
    one.start()
    assert one.session.messages == [Begin(1)]
