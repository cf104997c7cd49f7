"""When a master counts as lost, with and without asking it."""

from skd_cluster.core.model import Nanos, nanos
from skd_cluster.core.silence import POLLS, Silence
from skd_cluster.core.timers import FAR

INTERVAL, PATIENCE = nanos(0.2), nanos(0.6)


def at(seconds: float) -> Nanos:
    return nanos(1000 + seconds)


def test_patience_waits_and_never_asks() -> None:
    silence = Silence()
    silence.heard(at(0), INTERVAL, PATIENCE)

    assert silence.deadline == at(0.6)
    assert not silence.poll(at(0.59), INTERVAL)


def test_probing_asks_a_quarter_late_eight_times_and_gives_up_after_half_an_interval() -> None:
    silence = Silence(probing=True)
    silence.heard(at(0), INTERVAL, PATIENCE)
    asked = []
    while silence.deadline < silence.judge_at:
        now = silence.deadline
        assert silence.poll(now, INTERVAL)
        asked.append(now)

    assert asked[0] == at(0.25)
    assert asked[1] - asked[0] == nanos(0.0125)
    assert len(asked) == POLLS
    assert silence.judge_at == at(0.35)


def test_an_answer_ends_the_asking() -> None:
    silence = Silence(probing=True)
    silence.heard(at(0), INTERVAL, PATIENCE)
    silence.poll(at(0.25), INTERVAL)
    assert silence.polling
    silence.heard(at(0.26), INTERVAL, PATIENCE)

    assert not silence.polling
    assert silence.deadline == at(0.51)
    assert silence.judge_at == at(0.86)


def test_patience_stays_the_upper_bound() -> None:
    silence = Silence(probing=True)
    silence.heard(at(0), INTERVAL, nanos(0.3))
    silence.poll(at(0.25), INTERVAL)

    assert silence.judge_at == at(0.3)


def test_a_node_that_has_no_master_yet_asks_nobody() -> None:
    silence = Silence(probing=True)
    silence.wait(at(0.6))

    assert not silence.poll(at(0.5), INTERVAL)
    silence.wait(FAR)
    assert silence.deadline == FAR


def test_a_judgement_is_only_ever_put_off() -> None:
    silence = Silence()
    silence.wait(at(1))
    silence.postpone(at(0.5))
    assert silence.judge_at == at(1)
    silence.postpone(at(2))
    assert silence.judge_at == at(2)
