"""Whom to believe: the rules of core.peer, one by one."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from skd_cluster.core import peer
from skd_cluster.core.model import MILLISECOND, SECOND, DataVersion, DropReason, Nanos, Role
from skd_cluster.core.peer import Challenge, PeerLink
from skd_cluster.core.wire import NO_SESSION, Advert, Dropped, Flag

NOW = Nanos(1000 * SECOND)
INTERVAL = Nanos(200 * MILLISECOND)
OURS, THEIRS, THEIR_OLD = b"o" * 16, b"t" * 16, b"u" * 16
LOCAL, REMOTE = ip_address("10.0.0.1"), ip_address("10.0.0.2")

ADVERT = Advert(
    cluster_id=7,
    priority=100,
    role=Role.BACKUP,
    flags=Flag(0),
    interval=INTERVAL,
    dead_ratio=3,
    release=(3, 0, 0),
    sender=REMOTE,
    session=THEIRS,
    counter=1,
    echo_session=NO_SESSION,
    echo_counter=0,
    epoch=0,
    data=DataVersion(),
    digest=bytes(32),
)


def packet(counter: int, *, session: bytes = THEIRS, echo: int = 0, echo_session: bytes = OURS) -> Advert:
    """A packet of the peer; `echo` 0 is none."""
    heard = echo_session if echo else NO_SESSION
    return replace(ADVERT, session=session, counter=counter, echo_session=heard, echo_counter=echo)


@pytest.fixture
def link() -> PeerLink:
    link = PeerLink(LOCAL, REMOTE, OURS)
    for _ in range(10):
        link.next_counter(NOW)
    return link


def drop(reason: DropReason) -> Dropped:
    return Dropped(reason)


# ---- rule 2: another session is believed when it echoes something newer than any echo before


def test_first_session_is_believed_when_it_echoes_us(link: PeerLink) -> None:
    found = packet(3, echo=10)
    assert link.judge(found, NOW) is found
    assert (link.peer_session, link.peer_counter) == (THEIRS, 3)


@pytest.mark.parametrize("echo", [packet(3), packet(3, echo=10, echo_session=b"x" * 16), packet(3, echo=11)])
def test_session_is_not_believed_without_an_echo_of_ours(link: PeerLink, echo: Advert) -> None:
    """None, another session's, and one that we have not sent yet."""
    assert link.judge(echo, NOW) == Challenge(THEIRS, 3)
    assert (link.peer_session, link.peer_counter) == (NO_SESSION, 0)


def test_what_was_heard_before_the_session_proved_itself_is_not_believed_when_it_is_played_again(
    link: PeerLink,
) -> None:
    """Found by script/hunt: the packet behind the proving one had overtaken it."""
    overtaker = packet(5, echo=144, echo_session=b"x" * 16)
    assert link.judge(overtaker, NOW) == Challenge(THEIRS, 5)
    assert link.judge(packet(3, echo=144, echo_session=b"x" * 16), NOW) == drop(DropReason.UNPROVEN)
    proof = packet(4, echo=10)
    assert link.judge(proof, NOW) is proof

    assert link.peer_counter == 5
    assert link.judge(overtaker, NOW) == drop(DropReason.DUPLICATE)
    assert link.judge(overtaker, NOW) == drop(DropReason.REPLAYED)
    following = packet(6, echo=10)
    assert link.judge(following, NOW) is following


def test_restarted_peer_is_believed_with_a_newer_echo(link: PeerLink) -> None:
    link.judge(packet(900, session=THEIR_OLD, echo=10), NOW)
    link.next_counter(NOW)
    found = packet(2, echo=11)
    assert link.judge(found, NOW) is found
    assert (link.peer_session, link.peer_counter) == (THEIRS, 2)


@pytest.mark.parametrize("echo", [9, 10])
def test_session_with_an_older_echo_is_not_believed(link: PeerLink, echo: int) -> None:
    link.judge(packet(900, session=THEIR_OLD, echo=10), NOW)
    assert isinstance(link.judge(packet(1, echo=echo), NOW), Challenge)
    assert link.peer_session == THEIR_OLD


def test_every_believed_echo_counts_and_not_only_the_one_that_proved_the_session(link: PeerLink) -> None:
    # Our own recorded packets, replayed at the restarted peer, make it echo an old counter first.
    link.judge(packet(5, session=THEIR_OLD, echo=2), NOW)
    last = packet(6, session=THEIR_OLD, echo=9)
    link.judge(last, NOW)
    assert isinstance(link.judge(packet(1, echo=4), NOW), Challenge)
    assert link.judge(packet(2, echo=10), NOW) == packet(2, echo=10)
    assert isinstance(link.judge(last, NOW), Challenge)


def test_impossible_echo_in_the_session_does_not_lock_out_its_successor(link: PeerLink) -> None:
    link.judge(packet(1, echo=10), NOW)
    link.judge(packet(2, echo=10**9), NOW)
    link.next_counter(NOW)
    assert isinstance(link.judge(packet(1, session=THEIR_OLD, echo=11), NOW), Advert)


# ---- rule 1: within the session the counter rises


@pytest.mark.parametrize("counter", [1, 4, 5])
def test_counter_that_does_not_rise_is_a_replay(link: PeerLink, counter: int) -> None:
    link.judge(packet(5, echo=10), NOW)
    assert link.judge(packet(counter, echo=10), NOW) == drop(DropReason.REPLAYED)
    assert link.peer_counter == 5


def test_counter_may_skip_what_was_lost(link: PeerLink) -> None:
    link.judge(packet(5, echo=10), NOW)
    assert isinstance(link.judge(packet(1005), NOW), Advert)
    assert link.peer_counter == 1005


def test_what_was_lost_is_known_by_the_numbers_within_a_session(link: PeerLink) -> None:
    link.judge(packet(5, session=THEIR_OLD, echo=9), NOW)
    assert link.lost == 0, "nothing is known of what was sent before this node listened"
    for counter in (6, 9, 8, 10):
        link.judge(packet(counter, session=THEIR_OLD), NOW)
    assert link.lost == 2
    link.judge(packet(50, echo=10), NOW)
    assert link.lost == 2, "another session counts anew"
    link.judge(packet(52), NOW, 1)
    link.judge(packet(52), NOW, 0)
    link.judge(packet(53), NOW, 0)
    assert link.lost == 3, "only what came on no path"
    link.judge(packet(100, session=b"x" * 16), NOW)
    assert link.lost == 3, "a session that has proved nothing loses nothing"


def test_same_packet_on_another_path_is_a_duplicate_and_twice_on_one_path_a_replay(link: PeerLink) -> None:
    link.judge(packet(5, echo=10), NOW, 0)
    assert link.judge(packet(5, echo=10), NOW, 1) == drop(DropReason.DUPLICATE)
    assert link.judge(packet(5, echo=10), NOW, 1) == drop(DropReason.REPLAYED)
    assert link.judge(packet(4, echo=10), NOW, 0) == drop(DropReason.REPLAYED)
    assert isinstance(link.judge(packet(6, echo=10), NOW, 1), Advert)


# ---- who it is


def test_a_new_session_begins_anew_on_every_path(link: PeerLink) -> None:
    for path in (0, 1):
        link.judge(packet(900, session=THEIR_OLD, echo=9), NOW, path)
    link.judge(packet(1, echo=10), NOW)
    assert link.judge(packet(1, echo=10), NOW, 1) == drop(DropReason.DUPLICATE)
    assert link.judge(packet(1, echo=10), NOW, 1) == drop(DropReason.REPLAYED)


def test_own_session_or_own_address_is_a_reflection(link: PeerLink) -> None:
    assert link.judge(packet(1, session=OURS, echo=10), NOW) == drop(DropReason.REFLECTED)
    assert link.judge(replace(packet(1, echo=10), sender=LOCAL), NOW) == drop(DropReason.REFLECTED)


def test_third_node_is_foreign(link: PeerLink) -> None:
    found = replace(packet(1, echo=10), sender=ip_address("10.0.0.3"))
    assert link.judge(found, NOW) == drop(DropReason.FOREIGN_SENDER)


def test_scope_of_a_link_local_address_is_local() -> None:
    link = PeerLink(ip_address("fe80::1%eth0"), ip_address("fe80::2%eth0"), OURS)
    link.next_counter(NOW)
    assert isinstance(link.judge(replace(packet(1, echo=1), sender=ip_address("fe80::2")), NOW), Advert)
    assert link.judge(replace(packet(2, echo=1), sender=ip_address("fe80::1")), NOW) == drop(DropReason.REFLECTED)


# ---- challenges


def test_challenges_back_off_to_four_intervals(link: PeerLink) -> None:
    now, half = NOW, INTERVAL // 2
    for wait in (half, 2 * half, 4 * half, 8 * half, 8 * half):
        assert link.judge(packet(1), now) == Challenge(THEIRS, 1)
        assert link.judge(packet(2), Nanos(now + wait - 1)) == drop(DropReason.UNPROVEN)
        now = Nanos(now + wait)
    assert link.judge(packet(1), now) == Challenge(THEIRS, 1)


def test_each_session_has_its_own_allowance(link: PeerLink) -> None:
    for number in range(100):
        session = bytes([number + 1]) * 16
        assert link.judge(packet(1, session=session), NOW) == Challenge(session, 1)
    assert link.judge(packet(1), NOW) == Challenge(THEIRS, 1)


def test_only_so_many_unproven_sessions_are_remembered(link: PeerLink) -> None:
    for number in range(peer._CANDIDATES + 10):
        link.judge(packet(1, session=(number + 1).to_bytes(16)), NOW)
    assert len(link._candidates) == peer._CANDIDATES
    assert isinstance(link.judge(packet(1), NOW), Challenge)
    assert isinstance(link.judge(packet(2, echo=10), NOW), Advert)
    assert THEIRS not in link._candidates


# ---- what the echo tells


def test_echo_tells_when_we_were_heard(link: PeerLink) -> None:
    link.next_counter(Nanos(NOW + 5))
    link.next_counter(Nanos(NOW + 9))
    link.judge(packet(1, echo=11), NOW)
    assert link.heard_us_at == NOW + 5


def test_echo_that_is_unknown_or_of_another_session_tells_nothing(link: PeerLink) -> None:
    link.judge(packet(1, echo=10), NOW)
    link.judge(packet(2, echo=99), NOW)
    link.judge(packet(3, echo=9, echo_session=THEIR_OLD), NOW)
    link.judge(packet(4), NOW)
    assert link.heard_us_at == NOW


def test_counters_rise_from_one_and_are_remembered_for_a_while() -> None:
    link = PeerLink(LOCAL, REMOTE, OURS)
    assert [link.next_counter(NOW) for _ in range(3)] == [1, 2, 3]
    for _ in range(3000):
        link.next_counter(NOW)
    assert len(link._sent_at) == peer._REMEMBERED_SENDS
