from skd_cluster.core.model import nanos
from skd_cluster.core.reading import Reading
from skd_cluster.core.replication_actions import Look, Scan

NOW = nanos(100)


def settled():
    """A reading after the first, complete one."""
    one = Reading(nanos(300))
    assert one.due(NOW, ()) == (Scan(frozenset()), None)
    one.read(NOW, frozenset(), unreadable=False)
    return one


def test_the_first_reading_is_of_everything_and_then_there_is_nothing_to_do():
    one = settled()
    assert one.due(NOW + nanos(1000), ()) == (None, None)
    assert one.deadline is None


def test_what_was_touched_is_looked_at_when_it_rests():
    one = settled()
    one.settling.touch("config/a", NOW)
    one.settling.touch("config/d/", NOW)
    one.settling.touch("config/b", NOW, writing=True)
    assert one.due(NOW + nanos(0.009), ()) == (None, None)
    at = NOW + nanos(0.01)
    assert one.deadline == at
    assert one.due(at, ()) == (Look(frozenset({"config/a", "config/d/"}), frozenset({"config/b"})), NOW)


def test_a_folder_is_never_held():
    one = settled()
    one.settling.touch("config/d/", NOW)
    one.settling.touch("config/a", NOW - nanos(1))
    assert one.due(NOW, ()) == (Look(frozenset({"config/a"}), frozenset()), NOW - nanos(1))


def test_everything_takes_in_what_was_touched():
    one = settled()
    one.settling.touch("config/a", NOW)
    one.everything()
    assert one.due(NOW + nanos(1), ()) == (Scan(frozenset()), NOW)
    assert one.due(NOW + nanos(1), ()) == (None, None)


def test_everything_is_read_again_only_when_that_is_long_ago():
    one = settled()
    one.refresh(NOW + nanos(299))
    assert one.due(NOW + nanos(299), ()) == (None, None)
    one.refresh(NOW + nanos(300))
    assert one.due(NOW + nanos(300), ()) == (Scan(frozenset()), None)


def test_what_cannot_be_read_is_looked_at_again_by_itself():
    one = settled()
    one.read(NOW, frozenset(), unreadable=True)
    assert one.deadline == NOW + nanos(5)
    assert one.due(NOW + nanos(5), {"config/a": "locked"}) == (Look(frozenset({"config/a"}), frozenset()), None)


def test_while_something_is_not_watched_everything_is_read_now_and_then_however_much_happens():
    one = settled()
    for number in range(5):
        one.blind(NOW + nanos(number))
    assert one.due(NOW + nanos(5), ()) == (Scan(frozenset()), None)
    assert one.due(NOW + nanos(50), ()) == (None, None)


def test_what_changed_while_it_was_read_is_looked_at_again():
    one = settled()
    one.read(NOW, frozenset({"config/a"}), unreadable=False)
    assert one.settling.held(NOW) == {"config/a"}
    assert one.due(NOW + nanos(0.2), ()) == (Look(frozenset({"config/a"}), frozenset()), NOW)
