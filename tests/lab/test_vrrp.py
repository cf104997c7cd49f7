"""Debian's keepalived beside our `transport="vrrp"`, in both roles. What happens first decides, never how long it takes."""

from collections.abc import Callable, Iterator
from ipaddress import ip_address

import pytest

from skd_cluster.core import vrrp
from skd_cluster.core.model import SECOND, IPAddress
from skd_cluster.core.vrrp import VrrpAdvert
from tests.lab.mixed_pair import Mixed, mixed
from tests.labkit import CLUSTER_IP, Client, Node, eventually
from tests.labkit.foreign import Keepalived

CONFIG = {"transport": "vrrp", "floating": "listed", "advert_interval": "0.1"}
PACES = {"1": "3", "0.1": "3", "0.01": "10"}
"""Each with its dead ratio. keepalived's is always three, so at 10 ms only a busy host decides how long it is backup."""
ENDS = ("10.77.0.3", "10.77.0.2")
"""Ours and theirs: of equals ours stays."""
GROUP = ip_address("224.0.0.18")
FLOATING6 = "fe80::77:100"
NO_PREEMPT = "nopreempt"
RESIGNATION = "Backup received priority 0 advertisement"


def of_pace(pace: str) -> dict[str, str]:
    return {**CONFIG, "advert_interval": pace, "dead_ratio": PACES[pace]}


@pytest.fixture(scope="module", params=PACES)
def beside_keepalived(request: pytest.FixtureRequest) -> Iterator[Mixed]:
    pace: str = request.param
    with mixed(lambda node: Keepalived(node, interval=pace, more=NO_PREEMPT), of_pace(pace), ENDS) as pair:
        yield pair


@pytest.fixture
def at_pace(beside_keepalived: Mixed) -> Mixed:
    """Nothing is said of who runs."""
    print(f"every {beside_keepalived.config['advert_interval']} s:")
    return beside_keepalived


@pytest.fixture(scope="module")
def at_a_tenth() -> Iterator[Mixed]:
    with mixed(lambda node: Keepalived(node, interval="0.1", more=NO_PREEMPT), CONFIG, ENDS) as pair:
        yield pair


@pytest.fixture
def pair(at_a_tenth: Mixed) -> Mixed:
    """At 0.1 s; nothing is said of who runs."""
    return at_a_tenth


def make_ours_master(pair: Mixed) -> None:
    pair.settle()
    if pair.masters() == {pair.theirs.name}:
        pair.other.stop()
        pair.reach(pair.ours)
        pair.other.start()


def make_theirs_master(pair: Mixed) -> None:
    pair.settle()
    if pair.masters() == {pair.ours.name}:
        pair.failover()
        pair.reach(pair.theirs)
        pair.heard()


# ---- who starts first, at each pace


def test_ours_first(at_pace: Mixed) -> None:
    """Five of its advertisements later keepalived is backup still, which waits for three."""
    pair = at_pace
    heard = pair.stays_master("both are off, ours starts")
    keys = ("dst", "ttl", "version", "vrid", "priority", "addresses", "max_advert_centiseconds")
    centiseconds = round(float(pair.config["advert_interval"]) * 100)
    for one in heard:
        assert [one[key] for key in keys] == [str(GROUP), 255, 3, 1, 100, [CLUSTER_IP], centiseconds]


def test_theirs_first(at_pace: Mixed) -> None:
    pair = at_pace
    pair.stop()
    pair.change("both are off, keepalived starts", pair.other.start, pair.theirs)
    pair.ours.start_daemon()

    eventually(lambda: pair.reason() == "peer_master", within=5, what="ours hears the master")
    assert pair.masters() == {pair.theirs.name}


# ---- one leaves, at each pace


@pytest.mark.parametrize(("ending", "reason"), [(Keepalived.kill, "peer_silent"), (Keepalived.stop, "peer_resigned")])
def test_ours_takes_over_from_keepalived(at_pace: Mixed, ending: Callable[[Keepalived], None], reason: str) -> None:
    """Which dies, or is stopped and says so with priority 0."""
    pair, other = at_pace, at_pace.other
    make_theirs_master(pair)
    assert isinstance(other, Keepalived)
    assert pair.change(f"keepalived: {ending.__name__}", lambda: ending(other), pair.ours) == reason


@pytest.mark.parametrize("ending", ["stop", "failover", "kill -9 of the elector"])
def test_keepalived_takes_over_at_our_last_word(at_pace: Mixed, ending: str) -> None:
    pair = at_pace
    make_ours_master(pair)
    ends = {"stop": pair.ours.stop_daemon, "failover": pair.failover}.get(ending, pair.kill_elector)
    mark = pair.ear.mark()

    pair.change(f"ours: {ending}", ends, pair.theirs)
    assert pair.ear.adverts(pair.ours.address, mark)[-1]["priority"] == 0


def test_keepalived_takes_over_when_ours_dies(at_pace: Mixed) -> None:
    pair = at_pace
    make_ours_master(pair)
    mark = pair.ear.mark()

    pair.change("ours: power loss", pair.lose_power, pair.theirs)
    assert {one["priority"] for one in pair.ear.adverts(pair.ours.address, mark)} <= {100}


# ---- priorities


def test_ours_preempts_only_if_asked(pair: Mixed) -> None:
    with pair.beside(Keepalived(pair.theirs, interval="0.1")):
        pair.change("keepalived alone, priority 100", pair.other.start, pair.theirs)
        pair.start_ours(priority="150")
        eventually(lambda: pair.reason() == "peer_master", what="ours hears the weaker master")
        pair.ear.wait_adverts(pair.theirs.address, 6, pair.ear.mark())
        assert pair.masters() == {pair.theirs.name}

        asked = lambda: pair.reload(priority="150", preempt="true")  # noqa: E731
        assert pair.change("ours preempts, priority 150", asked, pair.ours) == "elected"
        assert pair.other.state() == "BACKUP"


@pytest.mark.parametrize(("more", "preempts"), [("", True), (NO_PREEMPT, False)])
def test_keepalived_preempts_ours_only_if_asked(pair: Mixed, more: str, preempts: bool) -> None:  # noqa: FBT001 -- a case
    with pair.beside(Keepalived(pair.theirs, priority=150, interval="0.1", more=more)):
        pair.start_ours()
        pair.reach(pair.ours)
        if preempts:
            pair.change("keepalived preempts, priority 150", pair.other.start, pair.theirs)
            assert pair.reason() == "rival_won"
        else:
            pair.other.start()
            pair.ear.wait_adverts(pair.ours.address, 6, pair.ear.mark())
            assert pair.masters() == {pair.ours.name}


@pytest.mark.parametrize(("address", "stays"), [("10.77.0.1", "theirs"), ("10.77.0.3", "ours")])
def test_of_equals_the_higher_address_stays(address: str, stays: str) -> None:
    with mixed(lambda node: Keepalived(node, interval="0.1"), CONFIG, (address, "10.77.0.2")) as pair:
        pair.start_ours()
        pair.reach(pair.ours)
        pair.lab.partition(pair.ours, pair.theirs)
        pair.other.start()
        eventually(lambda: pair.other.state() == "MASTER", what="two masters")
        since = pair.ours.status()["since"]

        winner = pair.ours if stays == "ours" else pair.theirs
        pair.change(f"healed, ours has {address}", pair.lab.heal, winner)
        if winner is pair.ours:
            assert abs(pair.ours.status()["since"] - since) < 0.5
        else:
            assert pair.reason() == "rival_won"


def test_a_backup_waits_by_the_master_s_interval(pair: Mixed) -> None:
    """And not by its own, after three of which it would be master between two advertisements."""
    with pair.beside(Keepalived(pair.theirs, interval="0.5", more=NO_PREEMPT)):
        pair.change("keepalived alone, every half second", pair.other.start, pair.theirs)
        pair.start_ours(priority="50")
        eventually(lambda: pair.reason() in {"peer_master", "rival_won"}, what="ours has heard the master")
        since = pair.ours.status()["since"]

        pair.ear.wait_adverts(pair.theirs.address, 2, pair.ear.mark())
        assert pair.masters() == {pair.theirs.name}
        assert abs(pair.ours.status()["since"] - since) < 0.5


# ---- how it is carried


def both_ways(pair: Mixed) -> None:
    """Each takes over from the other, at its last word and at its silence."""
    pair.other.start()
    pair.reach(pair.theirs)
    pair.start_ours()
    eventually(lambda: pair.reason() == "peer_master", what="ours hears the master")
    assert pair.change("keepalived is stopped", pair.other.stop, pair.ours) == "peer_resigned"
    pair.other.start()
    before = pair.other.said().count(RESIGNATION)
    pair.change("ours: failover", pair.failover, pair.theirs)
    assert pair.other.said().count(RESIGNATION) == before + 1
    pair.heard()
    assert pair.change("keepalived dies", pair.other.kill, pair.ours) == "peer_silent"


def test_unicast(pair: Mixed) -> None:
    ends = f"unicast_src_ip {pair.theirs.address}\n  unicast_peer {{\n    {pair.ours.address}\n  }}"
    theirs = Keepalived(pair.theirs, interval="0.1", more=f"{NO_PREEMPT}\n  {ends}")
    with pair.beside(theirs, udp_mode="unicast"):
        mark = pair.ear.mark()
        both_ways(pair)
        assert not pair.ear.adverts(pair.ours.address, mark)  # the client is none of the two


def test_three_addresses(pair: Mixed) -> None:
    three = tuple(f"10.77.0.{last}/24" for last in (100, 101, 102))
    theirs = Keepalived(pair.theirs, interval="0.1", more=NO_PREEMPT, addresses=three)
    with pair.beside(theirs, cluster_ip=" ".join(three)):
        mark = pair.ear.mark()
        both_ways(pair)
        heard = pair.ear.wait_adverts(pair.ours.address, 1, mark)[-1]
        assert heard["addresses"] == ["10.77.0.100", "10.77.0.101", "10.77.0.102"]
        assert all(pair.ours.holds(one.partition("/")[0]) for one in three)


def own_link_local(node: Node) -> str:
    found = lambda: node.run("ip -6 -o address show dev eth0 scope link -tentative").stdout  # noqa: E731
    return eventually(found, within=5, what="it has a link-local address").split()[3].partition("/")[0]


def with_ipv6(machine: Node | Client) -> None:
    last = machine.address.rpartition(".")[2]
    machine.run(f"ip address add 2001:db8::{last}/64 dev eth0 nodad")
    machine.run("sysctl -qw net.ipv6.conf.eth0.accept_dad=0", check=False)


def test_ipv6() -> None:
    """A link-local floating address first, as RFC 9568 asks; both speak from the link-local one of their interface."""
    floating = (f"{FLOATING6}/64", "2001:db8::100/64")
    ends = {"local_ip": "2001:db8::1", "remote_ip": "2001:db8::2"}
    config = {**CONFIG, **ends, "cluster_ip": f"{FLOATING6}/64@eth0 2001:db8::100/64"}
    make = lambda node: Keepalived(node, interval="0.1", more=NO_PREEMPT, addresses=floating)  # noqa: E731
    with mixed(make, config, floating="2001:db8::100", prepare=with_ipv6) as pair:
        ours = own_link_local(pair.ours)
        both_ways(pair)

        heard = pair.ear.wait_adverts(ours, 1)[-1]
        assert [heard[key] for key in ("dst", "hop_limit")] == ["ff02::12", 255]
        assert heard["checksum_ok_with_pseudo_header"]
        assert heard["addresses"] == [FLOATING6, "2001:db8::100"]


# ---- what is not believed


def advert(priority: int = 0, vrid: int = 1, **changes: bool) -> bytes:
    """What their node may have said, and may not."""
    said = VrrpAdvert(vrid, priority, SECOND, (ip_address(CLUSTER_IP),))
    theirs: IPAddress = ip_address("10.77.0.2")
    return vrrp.encode(said, theirs, GROUP, pseudo_header=changes.get("pseudo_header", True))


@pytest.mark.parametrize(
    ("reason", "message", "forged"),
    [
        ("hops", advert(), {"hops": 254}),
        ("foreign_cluster", advert(vrid=2), {}),
        ("foreign_sender", advert(pseudo_header=False), {"source": "10.77.0.99"}),
        ("checksum", advert()[:2] + b"\1" + advert()[3:], {}),
        ("malformed", advert()[:4] + bytes(2) + (0xD96E).to_bytes(2) + advert()[8:], {}),
        ("truncated", advert()[:7], {}),
        ("version", b"\x41" + advert()[1:], {}),
    ],
    ids=("hops", "vrid", "sender", "checksum", "interval 0", "truncated", "version 4"),
)
def test_what_is_wrong_is_counted_and_changes_nothing(
    pair: Mixed, reason: str, message: bytes, forged: dict[str, int | str]
) -> None:
    """Each says that their node resigns."""
    make_theirs_master(pair)
    with pair.nothing_but(reason, 1):
        pair.forge(message, **forged)  # type: ignore[arg-type] -- hops is a number, source a text


def test_both_readings_of_the_checksum_are_believed(pair: Mixed) -> None:
    """keepalived's and RFC 9568's. What comes after them tells that they were judged."""
    make_theirs_master(pair)
    before = pair.dropped("checksum")
    with pair.nothing_but("hops", 1):
        pair.forge(advert(100), advert(100, pseudo_header=False))
        pair.forge(advert(), hops=254)
    assert pair.dropped("checksum") == before


def test_version_2_is_named(pair: Mixed) -> None:
    """Neither hears the other, so both are master; ours says why."""
    with pair.beside(Keepalived(pair.theirs, version=2)):
        pair.start_ours()
        pair.other.start()
        two = lambda: pair.ours.role() == "master" and pair.other.state() == "MASTER"  # noqa: E731
        eventually(two, within=10, what="two masters")

        eventually(lambda: pair.dropped("version") > 0, what="it is counted")
        eventually(lambda: "peer_version" in pair.ours.output(), what="the journal names it")
        assert "the peer speaks VRRP version 2, this node version 3" in pair.ours.output()


def test_another_list_of_addresses(pair: Mixed) -> None:
    """Ours follows such a master. keepalived drops what names others than its own, so beside ours both are master."""
    more = (f"{CLUSTER_IP}/24", "10.77.0.101/24")
    with pair.beside(Keepalived(pair.theirs, interval="0.1", more=NO_PREEMPT, addresses=more)):
        pair.change("keepalived alone, one address more", pair.other.start, pair.theirs)
        pair.start_ours()
        eventually(lambda: pair.reason() == "peer_master", what="ours follows it")
        eventually(lambda: "peer_addresses" in pair.ours.output(), what="and says so")
        assert pair.change("keepalived is stopped", pair.other.stop, pair.ours) == "peer_resigned"
        pair.other.start()
        eventually(lambda: pair.other.state() == "MASTER", what="keepalived hears nobody")
        pair.ear.wait_adverts(pair.ours.address, 6, pair.ear.mark())
        assert (pair.ours.role(), pair.other.state()) == ("master", "MASTER")
