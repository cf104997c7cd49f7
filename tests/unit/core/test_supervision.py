from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core.model import Nanos, nanos
from skd_cluster.core.supervision import ChildMachine, Liveness, SignalChild, StartChild


def test_restarts_are_spaced_from_50_ms_doubling_to_half_a_minute():
    machine, now, pauses = ChildMachine(), Nanos(0), []
    assert machine.want(True, now) == [StartChild()]
    for _ in range(10):
        assert machine.on_exit(now) == []
        pauses.append(machine.deadline - now)
        now = machine.deadline
        assert machine.on_timer(Nanos(now - 1)) == []
        assert machine.on_timer(now) == [StartChild()]
    assert pauses == [nanos(one) for one in (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6)]
    machine.on_exit(Nanos(now + nanos(30)))
    assert machine.deadline == now + nanos(30.05)


def test_it_is_asked_to_go_and_then_made_to():
    machine = ChildMachine()
    machine.want(True, Nanos(0))
    assert machine.want(False, Nanos(5)) == [SignalChild(kill=False)]
    assert machine.deadline == 5 + nanos(2)
    assert machine.on_timer(machine.deadline) == [SignalChild(kill=True)]
    assert machine.deadline is None
    assert machine.on_exit(nanos(3)) == []
    assert machine.deadline is None


def test_wanted_again_while_it_goes_and_a_restart_come_back_at_once():
    machine = ChildMachine()
    machine.want(True, Nanos(0))
    machine.want(False, Nanos(1))
    assert machine.want(True, Nanos(2)) == []
    assert machine.on_exit(Nanos(3)) == [StartChild()]
    assert machine.restart(Nanos(4)) == [SignalChild(kill=False)]
    assert machine.restart(Nanos(4)) == []
    assert machine.on_exit(Nanos(5)) == [StartChild()]
    assert machine.restarts == 0


def test_the_watchdog_is_fed_each_period_while_reports_are_fresh():
    one = Liveness(nanos(1))
    assert not one.on_timer(nanos(1))
    assert one.deadline is None
    one.on_report(nanos(10))
    assert one.on_timer(nanos(10))
    assert one.deadline == nanos(11)
    assert not one.on_timer(nanos(10.5))
    assert one.on_timer(nanos(12))
    assert not one.on_timer(nanos(13))
    assert one.deadline == nanos(14)
    one.stopping = True
    assert one.on_timer(nanos(14))


def test_fresh_is_less_than_two_and_a_half_seconds():
    one = Liveness(None)
    assert not one.fresh(Nanos(0))
    one.on_report(nanos(1))
    assert one.fresh(Nanos(nanos(3.5) - 1))
    assert not one.fresh(nanos(3.5))
    assert one.deadline is None


@given(
    st.lists(st.tuples(st.sampled_from(["want", "leave", "exit", "restart", "wait"]), st.integers(1, 40)), max_size=50)
)
def test_it_runs_once_at_most_and_always_ends_up_as_wanted(events):
    machine, now, alive = ChildMachine(), Nanos(0), False

    def perform(actions):
        nonlocal alive
        for action in actions:
            assert alive is not isinstance(action, StartChild)
            alive = True

    for verb, wait in events:
        now = Nanos(now + nanos(wait))
        match verb:
            case "want" | "leave":
                perform(machine.want(verb == "want", now))
            case "restart":
                perform(machine.restart(now))
            case "exit" if alive:
                alive = False
                perform(machine.on_exit(now))
            case _:
                perform(machine.on_timer(now))
        assert machine.running is alive
    for _ in range(3):
        if alive and (machine.ending or not machine.wanted):
            alive = False
            perform(machine.on_exit(now))
        if machine.deadline is not None:
            now = max(now, machine.deadline)
            perform(machine.on_timer(now))
    assert alive is machine.wanted


def test_a_later_report_is_no_reason_to_feed_anew_and_silence_is_told_in_seconds():
    one = Liveness(nanos(1))
    assert one.silent(nanos(5)) == 0
    one.on_report(nanos(10))
    one.on_timer(nanos(10))
    one.on_report(nanos(10.5))
    assert one.deadline == nanos(11)
    assert one.silent(nanos(12)) == 1.5
