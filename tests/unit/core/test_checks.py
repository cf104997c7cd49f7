from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core.checks import CheckPolicy, CheckSettings, CheckState, KillCheck, StartCheck, Verdict
from skd_cluster.core.model import Nanos, nanos

SETTINGS = CheckSettings(nanos(2), nanos(5), fall=3, rise=2)


def results(policy, statuses, output=""):
    """Run one check through exit statuses, a result every two seconds; return the verdicts with their index."""
    found, now = [], Nanos(0)
    policy.on_found(["web"], now)
    for index, status in enumerate(statuses):
        (start,) = policy.on_timer(now)
        found += [(index, one) for one in policy.on_exit(start.run, status, output, now)]
        now = Nanos(now + nanos(2))
    return found


def test_the_numbers():
    policy = CheckPolicy(SETTINGS)
    policy.on_found(["web"], nanos(1))
    assert policy.on_timer(nanos(1)) == [StartCheck("web", 1)]
    assert policy.deadline == nanos(6)
    policy.on_exit(1, 0, "", nanos(1.5))
    assert policy.deadline == nanos(3.5)


def test_three_failures_in_a_row_make_it_unhealthy_and_two_successes_healthy():
    found = results(CheckPolicy(SETTINGS), [1, 1, 0, 1, 1, 1, 1, 0, 1, 0, 0], "no answer")
    assert found == [(5, Verdict("web", healthy=False, detail="no answer")), (10, Verdict("web", True, ""))]


def test_one_that_hangs_is_killed_and_has_failed():
    policy = CheckPolicy(CheckSettings(nanos(2), nanos(5), fall=1, rise=1))
    policy.on_found(["web"], Nanos(0))
    policy.on_timer(Nanos(0))
    assert policy.on_timer(nanos(5)) == [KillCheck(1)]
    assert policy.on_timer(nanos(6)) == []
    assert policy.on_exit(1, 0, "", nanos(6)) == [Verdict("web", False, "no answer within its time")]
    assert policy.failing() == [["web", "no answer within its time"]]


def test_one_that_is_removed_no_longer_counts():
    policy = CheckPolicy(CheckSettings(nanos(2), nanos(5), fall=1, rise=1))
    results(policy, [4])
    assert policy.states() == (CheckState("web", False, "exit status 4"),)
    policy.on_timer(nanos(9))
    assert policy.on_found([], nanos(9)) == [KillCheck(2), Verdict("web", True, "removed")]
    assert policy.on_exit(2, 0, "", nanos(9)) == []
    assert policy.deadline is None


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 5), st.integers(1, 5))
def test_a_verdict_needs_its_streak_and_nothing_less(outcomes, fall, rise):
    policy = CheckPolicy(CheckSettings(nanos(2), nanos(5), fall, rise))
    found = dict(results(policy, [0 if one else 1 for one in outcomes]))
    healthy, streak = True, 0
    for index, passed in enumerate(outcomes):
        streak = 0 if passed == healthy else streak + 1
        if streak == (rise if passed else fall):
            healthy, streak = passed, 0
            assert found.pop(index).healthy is healthy
    assert not found


def test_a_healthy_one_that_rests_is_removed_without_a_word():
    policy = CheckPolicy(SETTINGS)
    results(policy, [0])
    assert policy.on_found([], nanos(3)) == []


def test_a_result_of_a_run_that_is_not_known_any_more_counts_for_nobody():
    policy = CheckPolicy(SETTINGS)
    policy.on_found(["mail", "web"], Nanos(0))
    _, web = policy.on_timer(Nanos(0))
    assert policy.on_exit(web.run + 1, 1, "", nanos(1)) == []
    assert policy.states() == (CheckState("mail", True, ""), CheckState("web", True, ""))
