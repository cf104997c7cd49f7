"""Which addresses are held, for how long, and when they are announced."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core.addresses import (
    ANNOUNCE_AT,
    LONE_FACTOR,
    AddressKeeper,
    Announce,
    Foreign,
    Fought,
    Hold,
    Put,
    Remove,
)
from skd_cluster.core.model import SECOND, Nanos, Vip, nanos

VIP = Vip(ip_address("192.0.2.10"), 24, "eth0")
OTHER = Vip(ip_address("2001:db8::10"), 64, "eth0")
AS_THE_PRODUCT_ADDED_IT = Vip(VIP.address, 25, "eth0", "eth0:vip")


@pytest.fixture
def keeper() -> AddressKeeper:
    return AddressKeeper((VIP, OTHER), lease=2, garp_count=5, garp_refresh=nanos(60))


def at(seconds: float) -> Nanos:
    return nanos(1000 + seconds)


def holding(keeper: AddressKeeper) -> AddressKeeper:
    keeper.claim(at(0))
    for vip in keeper.vips:
        keeper.seen(vip, at(0), removed=False, by_us=True)
    return keeper


def test_claim_puts_every_address_with_the_lease_and_announces_it(keeper: AddressKeeper) -> None:
    assert keeper.claim(at(0)) == [Put(VIP, 2), Put(OTHER, 2), Announce(VIP), Announce(OTHER)]


def test_an_address_is_renewed_each_quarter_of_its_lease(keeper: AddressKeeper) -> None:
    keeper.claim(at(0))
    keeper.on_timer(at(0.1))

    assert keeper.deadline == at(0.5)
    assert keeper.on_timer(at(0.5))[:2] == [Put(VIP, 2), Put(OTHER, 2)]


def test_announcements_follow_the_schedule_and_then_the_refresh(keeper: AddressKeeper) -> None:
    keeper.claim(at(0))
    announced = [0.0]
    while announced[-1] < 100:
        now = keeper.deadline
        if Announce(VIP) in keeper.on_timer(now):
            announced.append((now - at(0)) / SECOND)

    assert announced[:6] == [after / SECOND for after in ANNOUNCE_AT]
    assert announced[6:] == [65.0, 125.0]


def test_garp_count_is_how_often_the_first_announcement_is_repeated(keeper: AddressKeeper) -> None:
    keeper.garp_count = 0
    keeper.claim(at(0))

    assert keeper._announce_at == at(60)


def test_a_renewal_keeps_the_shape_the_product_gave_the_address(keeper: AddressKeeper) -> None:
    keeper.seen(AS_THE_PRODUCT_ADDED_IT, at(0), removed=False, by_us=False)

    assert keeper.claim(at(1))[0] == Put(AS_THE_PRODUCT_ADDED_IT, 2)


def test_an_address_that_is_up_before_the_decision_is_left_alone(keeper: AddressKeeper) -> None:
    assert keeper.hold is Hold.KEEP
    assert keeper.seen(VIP, at(0), removed=False, by_us=False) == []
    assert keeper.on_timer(at(100)) == []


def test_release_removes_what_is_there_and_only_that(keeper: AddressKeeper) -> None:
    stranger = Vip(ip_address("192.0.2.99"), 24, "eth0")
    keeper.seen(VIP, at(0), removed=False, by_us=False)
    keeper.seen(stranger, at(0), removed=False, by_us=False)

    assert keeper.release() == [Remove(VIP)]
    assert keeper.deadline > at(1e6)


def test_a_node_that_is_started_anew_leaves_each_address_for_a_last_lease_in_the_shape_it_has(
    keeper: AddressKeeper,
) -> None:
    holding(keeper).set_lone(True, at(1))
    keeper.seen(AS_THE_PRODUCT_ADDED_IT, at(1), removed=False, by_us=False)

    assert keeper.leave(4) == [Put(AS_THE_PRODUCT_ADDED_IT, 4), Put(OTHER, 4)]


def test_what_a_node_that_is_started_anew_has_left_it_neither_renews_nor_restores(keeper: AddressKeeper) -> None:
    holding(keeper).leave(4)

    assert keeper.deadline > at(1e6)
    assert keeper.on_timer(at(60)) == []
    assert keeper.seen(VIP, at(60), removed=True, by_us=False) == []
    assert keeper.contested(OTHER.address, at(60)) == []


def test_a_floating_address_that_appears_on_a_backup_is_removed_and_reported(keeper: AddressKeeper) -> None:
    keeper.release()

    assert keeper.seen(VIP, at(0), removed=False, by_us=False) == [Remove(VIP), Foreign(VIP, removed=False)]


def test_the_last_event_of_our_own_renewal_does_not_alarm_the_guard(keeper: AddressKeeper) -> None:
    holding(keeper).release()

    assert keeper.seen(VIP, at(1), removed=False, by_us=True) == []


def test_an_address_removed_by_somebody_else_comes_back_and_is_announced(keeper: AddressKeeper) -> None:
    found = holding(keeper).seen(VIP, at(1), removed=True, by_us=False)

    assert found == [Foreign(VIP, removed=True), Put(VIP, 2), Announce(VIP)]


def test_an_address_that_went_with_another_of_its_subnet_comes_back_silently(keeper: AddressKeeper) -> None:
    assert holding(keeper).seen(VIP, at(1), removed=True, by_us=True) == [Put(VIP, 2)]


def test_the_sixth_removal_within_a_minute_ends_the_fight(keeper: AddressKeeper) -> None:
    holding(keeper)
    for number in range(5):
        assert Fought(VIP) not in keeper.seen(VIP, at(number), removed=True, by_us=False)

    assert keeper.seen(VIP, at(59), removed=True, by_us=False) == [Fought(VIP)]


def test_removals_far_apart_are_no_fight(keeper: AddressKeeper) -> None:
    holding(keeper)
    for number in range(50):
        assert Fought(VIP) not in keeper.seen(VIP, at(number * 15), removed=True, by_us=False)


def test_a_lone_master_has_a_longer_lease_and_the_old_one_back_at_once(keeper: AddressKeeper) -> None:
    holding(keeper)

    assert keeper.set_lone(True, at(1)) == [Put(VIP, 2 * LONE_FACTOR), Put(OTHER, 2 * LONE_FACTOR)]
    assert keeper.set_lone(True, at(2)) == []
    assert keeper.set_lone(False, at(3)) == [Put(VIP, 2), Put(OTHER, 2)]


def test_the_files_of_the_product_are_followed_on_the_master(keeper: AddressKeeper) -> None:
    new = Vip(ip_address("192.0.2.11"), 32, "eth0")

    assert holding(keeper).set_vips((VIP, new)) == [Remove(OTHER), Put(new, 2), Announce(new)]


def test_an_address_that_becomes_floating_is_removed_from_the_backup(keeper: AddressKeeper) -> None:
    new = Vip(ip_address("192.0.2.11"), 32, "eth0")
    keeper.release()
    keeper.seen(new, at(0), removed=False, by_us=False)

    assert keeper.set_vips((VIP, new)) == [Remove(new)]


EVENTS = st.tuples(
    st.sampled_from(["claim", "release", "timer", "appears", "goes", "lone", "alone no more"]),
    st.floats(0, 3),
    st.booleans(),
)


@given(st.lists(EVENTS, max_size=60))
def test_property_addresses_are_put_only_while_they_are_to_be_held(events: list[tuple[str, float, bool]]) -> None:
    keeper = AddressKeeper((VIP, OTHER), lease=2, garp_count=5, garp_refresh=nanos(60))
    now = at(0)
    for what, after, by_us in events:
        now = Nanos(now + nanos(after))
        match what:
            case "claim":
                actions = keeper.claim(now)
            case "release":
                actions = keeper.release()
            case "timer":
                actions = keeper.on_timer(now)
            case "appears" | "goes":
                actions = keeper.seen(VIP, now, removed=what == "goes", by_us=by_us)
            case _:
                actions = keeper.set_lone(what == "lone", now)
        if keeper.hold is not Hold.HOLD:
            assert not [one for one in actions if isinstance(one, Put | Announce)]
        if keeper.hold is Hold.KEEP:
            assert not actions
        if keeper.hold is Hold.HOLD:
            assert keeper.deadline <= now + SECOND // 2 or what != "timer"


@pytest.mark.parametrize("hold", [Hold.KEEP, Hold.DROP])
def test_new_floating_addresses_of_a_node_that_holds_none_put_nothing(keeper: AddressKeeper, hold: Hold) -> None:
    keeper.hold = hold
    assert keeper.set_vips((VIP,)) == []
    assert keeper.vips == (VIP,)


def test_foreign_claim_is_answered_once_a_second_and_only_by_the_holder(keeper: AddressKeeper) -> None:
    assert keeper.contested(VIP.address, at(0)) == []
    holding(keeper)
    assert keeper.contested(VIP.address, at(1)) == [Announce(VIP)]
    assert keeper.contested(VIP.address, at(1.999)) == []
    assert keeper.contested(VIP.address, at(2)) == [Announce(VIP)]


def test_addresses_are_named_as_in_the_configuration() -> None:
    assert [str(VIP), str(OTHER)] == ["192.0.2.10/24@eth0", "2001:db8::10/64@eth0"]
