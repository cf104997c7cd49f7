"""Debian's ucarp beside our `transport="carp"`, in both roles. What happens first decides, never how long it takes."""

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from itertools import count
from typing import Any

import pytest

from skd_cluster.core import carp
from skd_cluster.core.carp import CarpAdvert
from tests.lab.mixed_pair import Mixed, mixed
from tests.labkit import CLUSTER_IP, eventually
from tests.labkit.foreign import Ucarp

CONFIG = {"transport": "carp", "floating": "listed", "advert_interval": "1"}
LAST_WORD = "going to time out"
"""What ucarp says when it takes over because of what the master said, and not of its silence."""
COUNTERS = count(0x5EED_0000_0000_0000, 0x9E37_79B9)


def signed(advbase: int = 1, advskew: int = 0, counter: int = 0) -> bytes:
    """An advertisement that somebody with the password makes, with a counter of its own if none is given."""
    advert = CarpAdvert(1, advskew, advbase, counter or next(COUNTERS))
    return carp.encode(advert, b"secret", IPv4Address(CLUSTER_IP))


@pytest.fixture(scope="module")
def beside_ucarp() -> Iterator[Mixed]:
    with mixed(Ucarp, CONFIG) as pair:
        yield pair


@pytest.fixture
def pair(beside_ucarp: Mixed) -> Mixed:
    """Nothing is said of who runs."""
    return beside_ucarp


@pytest.fixture
def ours_master(pair: Mixed) -> Mixed:
    """ucarp has no last word that would make us master at once, so it is said in its name."""
    pair.settle()
    if pair.masters() == {pair.theirs.name}:
        pair.forge(signed(carp.RESIGNED, carp.RESIGNED))
        pair.reach(pair.ours)
    return pair


@pytest.fixture
def theirs_master(pair: Mixed) -> Mixed:
    pair.settle()
    if pair.masters() == {pair.ours.name}:
        pair.failover()
        pair.reach(pair.theirs)
    return pair


# ---- who starts first


def test_ours_first(pair: Mixed) -> None:
    """It says a base of 1 and no skew; five of its advertisements later ucarp is backup still, which waits for three."""
    heard = pair.stays_master("both are off, ours starts")
    for one in heard:
        said = {key: one[key] for key in ("dst", "ttl", "vhid", "advbase", "advskew", "checksum_ok", "digest_ok")}
        assert said == {
            "dst": "224.0.0.18",
            "ttl": 255,
            "vhid": 1,
            "advbase": 1,
            "advskew": 0,
            "checksum_ok": True,
            "digest_ok": True,
        }


def test_theirs_first(pair: Mixed) -> None:
    pair.stop()
    pair.change("both are off, ucarp starts", pair.other.start, pair.theirs)
    pair.ours.start_daemon()

    eventually(lambda: pair.reason() == "peer_master", what="ours hears the master")
    assert pair.masters() == {pair.theirs.name}


# ---- ucarp leaves


@pytest.mark.parametrize("ending", [Ucarp.kill, Ucarp.stop, Ucarp.step_down])
def test_ours_takes_over_when_ucarp_falls_silent(theirs_master: Mixed, ending: Callable[[Ucarp], None]) -> None:
    """It dies, is stopped (which says nothing either), or is told to be no master (SIGUSR2)."""
    pair, ucarp = theirs_master, theirs_master.other
    assert isinstance(ucarp, Ucarp)
    assert pair.change(f"ucarp: {ending.__name__}", lambda: ending(ucarp), pair.ours) == "peer_silent"
    if ending is Ucarp.step_down:
        pair.ear.wait_adverts(pair.ours.address, 1, pair.ear.mark())
        assert pair.masters() == {pair.ours.name}


# ---- ours leaves


@pytest.mark.parametrize("ending", ["stop", "failover", "kill -9 of the elector"])
def test_ucarp_takes_over_at_our_last_word(ours_master: Mixed, ending: str) -> None:
    pair = ours_master
    ends = {"stop": pair.ours.stop_daemon, "failover": pair.failover}.get(ending, pair.kill_elector)
    before, mark = pair.other.said().count(LAST_WORD), pair.ear.mark()

    pair.change(f"ours: {ending}", ends, pair.theirs)
    assert pair.other.said().count(LAST_WORD) > before
    last = pair.ear.adverts(pair.ours.address, mark)[-1]
    assert (last["advbase"], last["advskew"], last["digest_ok"]) == (255, 255, True)


def test_ucarp_takes_over_when_ours_dies(ours_master: Mixed) -> None:
    pair = ours_master
    before = pair.other.said().count(LAST_WORD)

    pair.change("ours: power loss", pair.lose_power, pair.theirs)
    assert pair.other.said().count(LAST_WORD) == before


# ---- what is configured


def test_base_and_skew_are_made_of_interval_and_priority(ours_master: Mixed) -> None:
    pair = ours_master
    for interval, priority, said in (("1.5", "40", (2, 60)), ("0.2", "100", (1, 0)), ("1", "200", (1, 0))):
        pair.reload(advert_interval=interval, priority=priority)
        eventually(lambda: rank(pair.ear.adverts(pair.ours.address)[-1]) == said, within=8, what=f"it says {said}")  # noqa: B023
    pair.reload()


def rank(heard: dict[str, Any]) -> tuple[int, int]:
    return heard["advbase"], heard["advskew"]


def test_ours_preempts_a_weaker_master_at_once(pair: Mixed) -> None:
    with pair.beside(Ucarp(pair.theirs, advskew=100, deadratio=1)):
        pair.change("ucarp alone, skew 100", pair.other.start, pair.theirs)

        preempting = lambda: pair.start_ours(preempt="true")  # noqa: E731
        assert pair.change("ours preempts ucarp", preempting, pair.ours) == "elected"
        assert pair.other.state() == "BACKUP"


def test_ucarp_preempts_ours(pair: Mixed) -> None:
    """Ours says so and yields when it hears the stronger one."""
    with pair.beside(Ucarp(pair.theirs, preempt=True)):
        pair.start_ours(priority="50", dead_ratio="1")
        pair.reach(pair.ours)
        mark = pair.ear.mark()

        pair.change("ucarp preempts ours", pair.other.start, pair.theirs)
        assert pair.reason() == "rival_won"
        assert pair.ear.adverts(pair.ours.address, mark)[-1]["advskew"] == 50


# ---- two masters


def both_masters(pair: Mixed) -> None:
    """Part them until both are."""
    pair.lab.partition(pair.ours, pair.theirs)
    two = lambda: pair.ours.role() == "master" and pair.other.state() == "MASTER"  # noqa: E731
    eventually(two, within=10, what="two masters")


def test_of_equals_the_lower_address_stays(ours_master: Mixed) -> None:
    pair = ours_master
    both_masters(pair)
    since = pair.ours.status()["since"]

    pair.change("healed, ours has the lower address", pair.lab.heal, pair.ours)
    assert abs(pair.ours.status()["since"] - since) < 0.5


def test_of_equals_the_higher_address_yields() -> None:
    with mixed(lambda node: Ucarp(node, deadratio=1), CONFIG, ("10.77.0.3", "10.77.0.2")) as pair:
        pair.change("ucarp alone, lower address", pair.other.start, pair.theirs)
        pair.start_ours(dead_ratio="2")
        eventually(lambda: pair.reason() == "peer_master", what="ours is backup")
        both_masters(pair)

        pair.change("healed, ours has the higher address", pair.lab.heal, pair.theirs)
        assert pair.reason() == "rival_won"


def test_who_has_heard_a_weaker_master_announces_now_and_two_advertisements_later(ours_master: Mixed) -> None:
    """As ucarp does: caches may have learnt the other one. Each time is one announcement here, to be counted."""
    pair = ours_master
    pair.other.stop()
    pair.reload(garp_count="1", garp_refresh="3600")
    pair.ear.wait_adverts(pair.ours.address, 1, pair.ear.mark())
    mark = pair.ear.mark()
    pair.forge(signed(advskew=200))

    ours = pair.mac(pair.ours)
    pair.ear.wait_adverts(pair.ours.address, 3, mark)
    assert in_order(pair, ours, mark) == ["announcement", "advert", "advert", "announcement", "advert"]
    pair.reload()


def in_order(pair: Mixed, mac: str, mark: int) -> list[str]:
    """What one node has said; the two forms of an announcement are one."""
    told: list[str] = []
    for one in pair.ear.heard(mark):
        if one["ether_src"] == mac and one["kind"] == "carp":
            told.append("advert")
        elif one.get("sender_mac") == mac and one["sender_ip"] == CLUSTER_IP and one["gratuitous"]:
            told += [] if told[-1:] == ["announcement"] else ["announcement"]
    return told


def test_ours_announces_when_it_becomes_master(theirs_master: Mixed) -> None:
    """Before its first word, as ucarp."""
    pair = theirs_master
    mark = pair.ear.mark()
    pair.forge(signed(carp.RESIGNED, carp.RESIGNED))
    pair.reach(pair.ours)

    ours = pair.mac(pair.ours)
    eventually(lambda: "advert" in in_order(pair, ours, mark), what="it advertises")
    assert in_order(pair, ours, mark)[:2] == ["announcement", "advert"]


# ---- what is not believed


@pytest.mark.parametrize("role", ["ours_master", "theirs_master"])
def test_a_recorded_advertisement_changes_nothing(request: pytest.FixtureRequest, role: str) -> None:
    """The master's own, whichever it is, as if ucarp had said it just now: each counter counts once.

    Also with another rank, which the digest does not cover: nobody needs the password for that.
    """
    pair: Mixed = request.getfixturevalue(role)
    master = pair.ours if role == "ours_master" else pair.theirs
    recorded = pair.ear.wait_adverts(master.address, 2, pair.ear.mark())
    ranked = [signed(*rank, counter=one["counter"]) for one in recorded for rank in ((255, 255), (1, 0))]
    assert {one[16:] for one in ranked} == {one["body"][16:] for one in recorded}

    with pair.nothing_but("replayed", len(recorded) + len(ranked)):
        pair.forge(*(one["body"] for one in recorded), *ranked)


def test_what_has_passed_a_router_is_dropped(theirs_master: Mixed) -> None:
    with theirs_master.nothing_but("hops", 1):
        theirs_master.forge(signed(carp.RESIGNED, carp.RESIGNED), hops=254)


def test_a_stranger_with_the_password_is_dropped(theirs_master: Mixed) -> None:
    with theirs_master.nothing_but("foreign_sender", 1):
        theirs_master.forge(signed(carp.RESIGNED, carp.RESIGNED), source="10.77.0.99")


def test_ours_becomes_no_second_master_beside_another_password(pair: Mixed) -> None:
    """It has verified nothing since its start. Told that it does not matter, it is one: CARP cannot do better."""
    with pair.beside(Ucarp(pair.theirs, password="another", deadratio=1)):
        pair.change("ucarp alone, another password", pair.other.start, pair.theirs)
        pair.start_ours(dead_ratio="1")

        eventually(lambda: pair.ours.role() == "fault", within=5, what="ours is in fault")
        assert "the peer uses another key" in str(pair.ours.status())
        heard = pair.dropped("bad_key")
        eventually(lambda: pair.dropped("bad_key") > heard + 1, within=5, what="they are counted")
        assert pair.masters() == {pair.theirs.name}
        pair.ours.run(["skd-cluster", "online", "--force"])
        eventually(lambda: pair.ours.role() == "master", within=10, what="forced, it is a second master")
        eventually(lambda: "Bad digest" in pair.other.said(), within=5, what="ucarp does not believe it either")
        assert pair.other.state() == "MASTER"


def test_another_vhid_is_another_cluster(pair: Mixed) -> None:
    with pair.beside(Ucarp(pair.theirs, vhid=2, deadratio=1)):
        pair.change("ucarp alone, another vhid", pair.other.start, pair.theirs)
        pair.start_ours(dead_ratio="2")

        eventually(lambda: pair.ours.role() == "master", within=10, what="ours knows nothing of it")
        assert pair.reason() == "start"
        assert pair.dropped("foreign_cluster") > 0
        assert pair.dropped("bad_key") == 0
