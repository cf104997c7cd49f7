from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core.hooks import Hook, HookEnded, HookPolicy, Outcome, SignalHook, StartHook
from skd_cluster.core.model import SECOND, Nanos, Role, nanos


def policy(timeout=60.0, interval=60.0):
    return HookPolicy(nanos(timeout), nanos(interval))


def at(seconds):
    return nanos(seconds)


def test_the_numbers():
    one = policy(timeout=3, interval=7)
    assert one.on_role(Role.MASTER, at(10)) == [StartHook(Hook.UP, 1)]
    assert one.deadline == at(13)
    assert one.on_timer(at(12.999)) == []
    assert one.on_timer(at(13)) == [SignalHook(1, kill=False)]
    assert one.deadline == at(15)
    assert one.on_timer(at(15)) == [SignalHook(1, kill=True)]
    assert one.deadline is None
    assert one.on_exit(1, -9, at(15.1)) == [HookEnded(Hook.UP, Outcome.TIMEOUT, at(5.1), -9)]
    assert one.deadline == at(17)
    assert one.on_timer(at(17)) == [StartHook(Hook.ADVERTISEMENT, 2)]
    one.on_exit(2, 0, at(17.5))
    assert one.deadline == at(24)


def test_the_first_decision_has_a_hook_and_further_words_of_the_same_have_none():
    for first, hook in ((Role.BACKUP, Hook.DOWN), (Role.FAULT, Hook.DOWN), (Role.MASTER, Hook.UP)):
        one = policy()
        assert one.on_role(Role.INIT, at(0)) == []
        assert one.on_role(first, at(1)) == [StartHook(hook, 1)]
        assert one.on_role(first, at(2)) == []


def test_roles_that_are_not_master_are_one_and_the_same_to_hooks():
    one = policy()
    one.on_role(Role.BACKUP, at(0))
    for role in (Role.FAULT, Role.STANDBY, Role.BACKUP):
        assert one.on_role(role, at(1)) == []


def test_a_newer_role_ends_what_runs_and_comes_next():
    one = policy()
    one.on_role(Role.MASTER, at(0))
    assert one.on_role(Role.BACKUP, at(1)) == [SignalHook(1, kill=False)]
    assert one.on_timer(at(3)) == [SignalHook(1, kill=True)]
    assert one.on_exit(1, -9, at(4)) == [HookEnded(Hook.UP, Outcome.SUPERSEDED, at(4), -9), StartHook(Hook.DOWN, 2)]


def test_roles_in_between_are_never_run():
    one = policy()
    one.on_role(Role.MASTER, at(0))
    one.on_role(Role.BACKUP, at(1))
    assert one.on_role(Role.MASTER, at(1.5)) == []
    assert one.on_exit(1, -15, at(2))[1:] == [StartHook(Hook.UP, 2)]


def test_stopping_runs_the_down_hook_of_a_master_and_lets_a_running_one_finish():
    one = policy()
    assert one.on_stop(at(0)) == []
    assert one.idle
    one.on_role(Role.MASTER, at(1))
    one.on_exit(1, 0, at(2))
    assert one.on_stop(at(3)) == [StartHook(Hook.DOWN, 2)]
    assert not one.idle
    assert one.on_stop(at(3)) == []
    one.on_exit(2, 0, at(4))
    assert one.idle
    assert one.deadline is None


def test_a_master_that_resumes_ran_its_hook_before_and_goes_on_with_the_others():
    one = policy(interval=7)
    one.resume(at(10))
    assert one.idle
    assert one.on_role(Role.MASTER, at(11)) == []
    assert one.deadline == at(17)
    assert one.on_timer(at(17)) == [StartHook(Hook.ADVERTISEMENT, 1)]
    one.on_exit(1, 0, at(18))
    assert one.on_role(Role.BACKUP, at(19)) == [StartHook(Hook.DOWN, 2)]


def test_a_master_that_resumed_and_is_none_after_all_runs_its_down_hook():
    one = policy()
    one.resume(at(10))
    assert one.on_role(Role.FAULT, at(11)) == [StartHook(Hook.DOWN, 1)]
    assert one.deadline == at(71)


def test_a_missing_hook_and_a_stale_exit():
    one = policy()
    one.on_role(Role.MASTER, at(0))
    assert one.on_exit(1, 0, at(0), missing=True) == [HookEnded(Hook.UP, Outcome.MISSING, Nanos(0), 0)]
    assert one.on_exit(1, 0, at(1)) == []


class Scene:
    """A policy whose every action is checked."""

    def __init__(self):
        self.policy, self.now, self.running, self.last = policy(), Nanos(0), None, None

    def perform(self, actions):
        for action in actions:
            match action:
                case StartHook(hook, run):
                    assert self.running is None
                    self.running = run
                    self.last = self.last if hook is Hook.ADVERTISEMENT else hook
                case SignalHook(run, _):
                    assert run == self.running
                case HookEnded():
                    assert self.running is None

    def end(self):
        run, self.running = self.running, None
        if run is not None:
            self.perform(self.policy.on_exit(run, 0, self.now))

    def wait(self, seconds):
        self.now = Nanos(self.now + seconds * SECOND)
        self.perform(self.policy.on_timer(self.now))
        assert self.policy.deadline is None or self.policy.deadline > self.now


@given(st.lists(st.one_of(st.sampled_from([*Role]), st.just("exit"), st.integers(1, 90)), max_size=60))
def test_one_at_a_time_and_the_last_hook_fits_the_last_role(events):
    scene = Scene()
    for event in events:
        if event == "exit":
            scene.end()
        elif isinstance(event, Role):
            scene.perform(scene.policy.on_role(event, scene.now))
        else:
            scene.wait(event)
    while not scene.policy.idle:
        scene.end()
    roles = [event for event in events if isinstance(event, Role)]
    if any(role is not Role.INIT for role in roles):
        assert scene.last is (Hook.UP if roles[-1] is Role.MASTER else Hook.DOWN)
    else:
        assert scene.last is None
