"""Other settings while it runs: nobody's role changes by that, and no packet comes later than the peer was told."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from skd_cluster.core.actions import Send
from skd_cluster.core.addresses import AddressKeeper, Announce, Put
from skd_cluster.core.model import DropReason, Nanos, Role, Vip, nanos
from skd_cluster.core.neighbours import Neighbourhood
from skd_cluster.core.peer import PeerLink
from skd_cluster.core.wire import Dropped, Flag
from tests.unit.core.machines import HIGHER, LOWER, NOW, advert, backup, master
from tests.unit.core.test_neighbours import GATEWAY, OTHER, at


def said(now: Nanos, machine: object) -> tuple[Nanos, Nanos]:
    """The interval that a packet of now says, and how long until the next one."""
    return machine.word(now, paced=False).interval, Nanos(machine._send_at - now)


def test_what_is_said_is_new_at_once() -> None:
    machine = master()
    assert machine.retune(replace(LOWER, priority=150, dead_ratio=5, probing=True), NOW) == [Send()]
    word = machine.word(NOW, paced=False)
    assert (word.priority, word.dead_ratio, machine.role) == (150, 5, Role.MASTER)
    assert (machine.peer.me, machine._silence.probing) == (machine.me, True)


def test_shorter_interval_is_kept_at_once() -> None:
    machine = master()
    machine.retune(replace(LOWER, interval=nanos(0.05)), NOW)
    assert said(NOW, machine) == (nanos(0.05), nanos(0.05))


def test_longer_interval_is_said_for_the_peers_patience_before_it_is_kept() -> None:
    machine = master()
    machine.retune(replace(LOWER, interval=nanos(2)), NOW)
    sent = [NOW]
    while said(sent[-1], machine)[1] < nanos(2):
        assert said(sent[-1], machine) == (nanos(2), nanos(0.2))
        sent.append(machine._send_at)
        actions = machine.on_timer(sent[-1])
        assert actions == [Send(paced=sent[-1] - NOW >= nanos(0.6))]  # one that comes too early is no measure of jitter
    assert [one - NOW for one in sent] == [nanos(0), nanos(0.2), nanos(0.4), nanos(0.6)]
    assert machine.me.interval == machine.peer.me.interval == nanos(2)


def test_another_change_on_the_way_keeps_the_shortest_pace() -> None:
    machine = master()
    machine.retune(replace(LOWER, interval=nanos(2)), NOW)
    machine.retune(replace(LOWER, interval=nanos(1)), NOW)
    assert said(NOW, machine) == (nanos(1), nanos(0.2))


def test_backup_does_not_answer_in_a_pace_that_is_not_its_own() -> None:
    machine = backup()
    machine.retune(replace(HIGHER, interval=nanos(0.4)), NOW)
    assert machine.on_advert(advert(flags=Flag.PACED, interval=nanos(0.4)), Nanos(NOW + nanos(0.19)), NOW) == []
    later = Nanos(NOW + nanos(0.19))
    assert machine.on_advert(advert(flags=Flag.PACED), later, NOW) == [Send(paced=False)]


@pytest.mark.parametrize("role", [Role.MASTER, Role.BACKUP])
def test_no_role_changes(role: Role) -> None:
    machine = master() if role is Role.MASTER else backup()
    before = machine.role, machine.epoch, machine.since
    for me in (replace(machine.me, priority=1), replace(machine.me, preempt=True, priority=254)):
        machine.retune(me, NOW)
        machine.on_timer(NOW)
        assert (machine.role, machine.epoch, machine.since) == before


# ---- addresses and witnesses

VIP_ = Vip(OTHER, 24, "eth0")


def test_other_lease_is_in_force_at_once_and_only_where_addresses_are_held() -> None:
    keeper = AddressKeeper((VIP_,), 2, 5, nanos(60))
    assert keeper.retune(4, 5, nanos(60), at(0)) == []
    keeper.claim(at(0))
    assert keeper.retune(4, 5, nanos(60), at(0)) == []
    assert keeper.retune(3, 5, nanos(60), at(0)) == [Put(VIP_, 3)]


def test_shorter_refresh_does_not_wait_for_the_old_one() -> None:
    keeper = AddressKeeper((VIP_,), 60, 1, nanos(60))
    keeper.claim(at(0))
    assert Announce(VIP_) in keeper.on_timer(at(0.1))
    keeper.retune(60, 1, nanos(5), at(1))
    assert keeper.deadline == at(6)


@pytest.mark.parametrize("answered", [True, False])
def test_what_other_witnesses_say_is_waited_for(answered: bool) -> None:  # noqa: FBT001
    around = Neighbourhood((), (GATEWAY,))
    around.start(at(0))
    around.retune((OTHER,), (), at(1))
    assert around.gateways == ()
    assert around.witnessed(at(1))
    if answered:
        around.echoed(OTHER, at(1.5))
    assert around.witnessed(at(1.8))
    assert around.witnessed(at(1.9)) is answered


def test_same_witnesses_are_asked_on_in_their_pace() -> None:
    around = Neighbourhood((OTHER,), ())
    around.start(at(0))
    around.on_timer(at(0))
    around.retune((OTHER,), (GATEWAY,), at(0.1))
    assert (around.deadline, around.gateways) == (at(0.2), (GATEWAY,))


def test_packet_of_before_is_dropped_whatever_paths_there_are_now() -> None:
    link = PeerLink(ip_address("10.0.0.1"), ip_address("10.0.0.2"), b"o" * 16)
    link.next_counter(NOW)
    said = advert(echo_session=b"o" * 16, echo_counter=1)
    assert link.judge(said, NOW, 1) is said
    link.forget_paths()
    assert link.judge(said, NOW, 1) == Dropped(DropReason.DUPLICATE)
    assert link.judge(said, NOW, 1) == Dropped(DropReason.REPLAYED)


def test_no_witness_before_is_none_with_another_one() -> None:
    around = Neighbourhood((GATEWAY,), ())
    around.start(at(0))
    around.retune((OTHER,), (), at(1))
    assert not around.witnessed(at(1))
    around.retune((), (), at(1))
    assert around.witnessed(at(1))
