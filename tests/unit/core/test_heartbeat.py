"""The strip of the peer's last advertisements."""

from skd_cluster.core.heartbeat import KEPT, MISSED, Heartbeat
from skd_cluster.core.model import MILLISECOND, Nanos

INTERVAL = Nanos(200 * MILLISECOND)
FIRST = Nanos(10**12)


def after(*words: float | tuple[float, bool]) -> Heartbeat:
    """Return one that heard something so many intervals after the first word; a pair says whether it was paced."""
    found = Heartbeat()
    found.heard(FIRST, INTERVAL, paced=True)
    for word in words:
        at, paced = word if isinstance(word, tuple) else (word, True)
        found.heard(Nanos(FIRST + round(at * INTERVAL)), INTERVAL, paced=paced)
    return found


def beats(heartbeat: Heartbeat, at: float) -> list[int | None]:
    return heartbeat.beats(Nanos(FIRST + round(at * INTERVAL)))


def test_nothing_is_known_of_a_peer_that_was_never_heard() -> None:
    assert Heartbeat().beats(FIRST) == []
    assert beats(after(), 0.5) == []


def test_each_advertisement_is_so_much_early_or_late() -> None:
    assert beats(after(1, 2.1, 3, 4), 4) == [0, 20_000, -20_000, 0]


def test_what_did_not_come_is_missed() -> None:
    assert beats(after(1, 4, 5.7), 5.7) == [0, MISSED, MISSED, 0, 140_000]


def test_up_to_three_quarters_of_an_interval_it_is_late_and_then_missed() -> None:
    assert beats(after(1.74), 1.74) == [148_000]
    assert beats(after(1.76), 1.76) == [MISSED, -48_000]


def test_silence_counts_before_it_ends() -> None:
    heartbeat = after(1)
    assert beats(heartbeat, 2.7) == [0]
    assert beats(heartbeat, 4) == [0, MISSED, MISSED]
    assert beats(heartbeat, 1e9) == [MISSED] * KEPT
    assert beats(heartbeat, 1.1) == [0], "looking changes nothing"


def test_an_answer_between_two_paces_is_no_beat() -> None:
    assert beats(after(1, (1.3, False), 2, 3), 3) == [0, 0, 0]
    assert beats(after(1, (2.5, False)), 2.5) == [0, 100_000], "but it came where one was due"


def test_it_is_bounded() -> None:
    heartbeat = after(*range(1, 500))
    assert beats(heartbeat, 499) == [0] * KEPT
    heartbeat.heard(Nanos(FIRST + 10**9 * INTERVAL), INTERVAL, paced=True)
    assert beats(heartbeat, 10**9) == [*[MISSED] * (KEPT - 1), 0]
