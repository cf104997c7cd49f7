from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core.model import Nanos, nanos
from skd_cluster.core.settling import Settling


def ms(number):
    return nanos(number / 1000)


def test_a_closed_file_rests_after_10_ms_without_an_event():
    one = Settling()
    one.touch("a", ms(0))
    one.touch("a", ms(9))
    assert one.deadline == ms(19)
    assert one.held(ms(18.9)) == {"a"}
    assert one.take(ms(18.9)) == {}
    assert one.held(ms(19)) == frozenset()
    assert one.take(ms(19)) == {"a": ms(0)}
    assert len(one) == 0
    assert one.deadline is None


def test_a_file_that_is_closed_again_and_again_is_taken_after_200_ms():
    one = Settling()
    for at in range(0, 200, 5):
        one.touch("a", ms(at))
    assert one.deadline == ms(200)


def test_a_file_being_written_is_left_alone_until_it_is_closed():
    one = Settling()
    one.touch("a", ms(0), writing=True)
    assert one.deadline == ms(200)
    one.touch("a", ms(100), writing=True)
    assert one.deadline == ms(300)
    one.touch("a", ms(110))
    assert one.deadline == ms(120)


def test_a_file_that_is_never_closed_is_taken_after_2_s():
    one = Settling()
    for at in range(0, 2000, 100):
        one.touch("log", ms(at), writing=True)
    assert one.deadline == ms(2000)


def test_one_path_does_not_wait_for_another():
    one = Settling()
    one.touch("busy", ms(0), writing=True)
    one.touch("done", ms(5))
    assert one.held(ms(15)) == {"busy"}
    assert one.take(ms(15)) == {"done": ms(5)}
    assert one.oldest == ms(0)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 50), st.booleans()), max_size=30))
def test_everything_comes_to_rest(events):
    one, now = Settling(), 0
    for key, gap, writing in events:
        now += gap * 1_000_000
        one.touch(key, Nanos(now), writing=writing)
        assert one.deadline is not None
    later = Nanos(now + ms(2000))
    assert one.held(later) == frozenset()
    one.take(later)
    assert len(one) == 0
