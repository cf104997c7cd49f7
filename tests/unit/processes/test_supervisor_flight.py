"""The real supervisor's flight recorder: a file for each change of role, for root only, and not too many."""

import pytest

from skd_cluster.adapters import flight
from skd_cluster.core.messages import Flight
from skd_cluster.core.model import Role
from tests.fakes.supervised import Node, change, eventually, report


@pytest.fixture
def node(tmp_path):
    with Node(tmp_path) as one:
        yield one


def records(node):
    return flight.read(node.folder / "state")


def test_a_change_is_on_disk_with_what_the_elector_hands_over_and_what_follows(node):
    node.start()
    elector = node.child()
    elector.say(report(Role.BACKUP))
    elector.say(change(Role.BACKUP, Role.MASTER, epoch=2, silent=600_000_000, took=9_000_000))
    elector.say(Flight([[5, 0, 2, 100], [6, 1, 1, 100]]))
    elector.say(report(Role.MASTER, epoch=2, confirmed=12_000_000))
    eventually(lambda: any(one.confirmed for one in records(node)))
    found = records(node)[-1]
    assert (found.old, found.new, found.reason, found.epoch) == ("backup", "master", "peer_silent", 2)
    assert (found.silent, found.took, found.confirmed) == (600_000_000, 9_000_000, 12_000_000)
    assert found.packets == ((5, 0, 2, 100), (6, 1, 1, 100))
    assert "started" in [event for _, event, _ in found.events]
    path = flight.path_of(node.folder / "state", found.number)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_the_oldest_records_go_and_numbers_go_on(node):
    folder = flight.folder(node.folder / "state")
    folder.mkdir(parents=True)
    for number in range(1, flight.KEPT + 1):
        (folder / f"{number}.json").write_text("{}")
    node.start()
    node.child().say(report(Role.BACKUP))
    eventually(lambda: flight.numbers(node.folder / "state") == list(range(2, flight.KEPT + 2)))


def test_an_elector_that_dies_is_recorded(node):
    node.start()
    elector = node.child()
    elector.say(report(Role.MASTER))
    node.await_word("master")
    elector.leave(3)
    node.ended()
    assert [(one.old, one.new, one.reason) for one in records(node)] == [
        ("init", "master", "start"), ("master", "gone", "elector_lost"),
    ]  # fmt: skip
    assert "elector_lost" in [event for _, event, _ in records(node)[-1].events]
