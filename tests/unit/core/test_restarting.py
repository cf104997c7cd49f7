"""What a node that is started anew asks, and for how long its peer grants it: to the nanosecond."""

import pytest

from skd_cluster.core.actions import Send
from skd_cluster.core.model import Nanos, Role, nanos
from skd_cluster.core.restarting import RESTART_LEASE, RESTART_WAIT, Restarting
from skd_cluster.core.wire import Flag
from tests.unit.core.machines import NOW as BEGIN
from tests.unit.core.machines import advert, backup, master, started

NOW = nanos(100)
END = Nanos(NOW + RESTART_WAIT)
LEAVES = advert(flags=Flag.RESTARTING)


def waiting() -> Restarting:
    peer = Restarting()
    assert not peer.heard(LEAVES, NOW, current=True)
    return peer


def test_the_peer_waits_longer_than_the_addresses_stay():
    """By more than the quarter of a second that the kernel takes to drop one."""
    assert nanos(RESTART_LEASE + 0.25) < RESTART_WAIT


def test_it_is_waited_for_from_its_last_word_on():
    peer = waiting()
    assert peer.waits_until == END
    assert peer.waits(Nanos(END - 1))
    assert not peer.waits(END)
    assert not peer.heard(LEAVES, Nanos(NOW + 7), current=True)
    assert peer.waits_until == END + 7


def test_a_word_of_before_we_slept_asks_for_nothing():
    peer = Restarting()
    peer.heard(LEAVES, NOW, current=False)
    assert not peer.waits(NOW)


def test_nor_does_it_take_back_what_a_current_one_asked_for():
    peer = waiting()
    peer.heard(LEAVES, Nanos(NOW + 7), current=False)
    assert peer.waits_until == END


def test_a_master_that_is_back_is_not_waited_for_any_more():
    peer = waiting()
    assert not peer.heard(advert(), NOW, current=True)  # it resumes: its silence is judged from this word on anyway
    assert not peer.waits(NOW)


@pytest.mark.parametrize("role", [Role.INIT, Role.BACKUP, Role.FAULT, Role.STANDBY])
def test_one_that_is_back_as_something_else_is_told_apart(role):
    peer = waiting()
    assert peer.heard(advert(role, flags=Flag.RESTARTING), NOW, current=True)
    assert not peer.waits(NOW)
    assert not peer.heard(advert(role), NOW, current=True)  # it was not waited for by now


def test_agreed_is_what_echoes_a_word_said_since():
    node = Restarting()
    assert not node.agreed(NOW)
    node.ask(NOW)
    assert node.asking
    assert not node.agreed(Nanos(NOW - 1))
    assert node.agreed(NOW)
    node.forget()
    assert not node.asking
    assert not node.agreed(NOW)


def test_a_master_says_twice_at_once_that_it_is_started_anew():
    node = master()
    assert not node.word(BEGIN, paced=False).flags & Flag.RESTARTING
    assert node.restart(BEGIN) == [Send(copies=2)]
    assert node.word(BEGIN, paced=False).flags & Flag.RESTARTING


@pytest.mark.parametrize("node", [started(), backup()], ids=["init", "backup"])
def test_one_that_is_not_master_asks_nobody_to_wait(node):
    assert node.restart(BEGIN) == []
    assert not node.word(BEGIN, paced=False).flags & Flag.RESTARTING
    assert not node.may_leave(BEGIN)
