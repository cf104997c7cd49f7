"""Runs the three hooks as the policy says and tells what became of them."""

from typing import Any

from skd_cluster.adapters.journal import Journal
from skd_cluster.config.schema import Config
from skd_cluster.core.hooks import Hook, HookAction, HookEnded, HookPolicy, Outcome, SignalHook, StartHook
from skd_cluster.core.model import Nanos, Reason, Role, seconds
from skd_cluster.core.status import Board
from skd_cluster.processes.loop import Loop
from skd_cluster.processes.tasks import Task

_LINES = 500
"""Lines of one run that reach the journal: a hook in a loop shall not fill it."""

_CANNOT_START = 126  # what a shell says


class HookRunner:
    """Give it roles; it does the rest. `idle` says whether something still runs."""

    def __init__(self, loop: Loop, journal: Journal, board: Board, config: Config) -> None:
        self._loop = loop
        self._journal = journal
        self._board = board
        self._config = config
        self._policy = HookPolicy(config.hook_timeout, config.adver_interval)
        self._tasks: dict[int, Task] = {}
        self._lines = 0
        self._missing: set[str] = set()
        self._about: dict[str, str] = {}

    @property
    def idle(self) -> bool:
        """Nothing runs and nothing waits for its turn."""
        return self._policy.idle

    @property
    def deadline(self) -> Nanos | None:
        """As the policy says."""
        return self._policy.deadline

    def on_timer(self, now: Nanos) -> None:
        """As the policy says."""
        self._perform(self._policy.on_timer(now), now)

    def on_role(self, role: Role, reason: str, epoch: int, now: Nanos) -> None:
        """Follow a change of role."""
        self._about = {"SKD_ROLE": role.word, "SKD_REASON": reason, "SKD_EPOCH": str(epoch)}
        if reason == Reason.RESTARTED:
            self._policy.resume(now)
        else:
            self._perform(self._policy.on_role(role, now), now)

    def on_stop(self, now: Nanos, *, resumes: bool) -> None:
        """Leave mastership because the service ends; not if the next run `resumes` it."""
        if not resumes:
            self._perform(self._policy.on_stop(now), now)

    def kill(self) -> None:
        """End what runs, at once: this service is about to be started anew."""
        for task in self._tasks.values():
            task.end(kill=True)

    def reconfigure(self, config: Config) -> None:
        """Use other scripts and times from the next run on."""
        self._config = config
        self._policy.timeout = config.hook_timeout
        self._policy.adver_interval = config.adver_interval
        self._missing.clear()

    def _perform(self, actions: list[HookAction], now: Nanos) -> None:
        for action in actions:
            match action:
                case StartHook():
                    self._start(action, now)
                case SignalHook():
                    self._tasks[action.run].end(kill=action.kill)
                case HookEnded():
                    self._ended(action)

    def _start(self, action: StartHook, now: Nanos) -> None:
        script = {
            Hook.UP: self._config.up_script,
            Hook.DOWN: self._config.down_script,
            Hook.ADVERTISEMENT: self._config.adver_script,
        }[action.hook]
        arguments = [self._config.interface, str(self._config.cluster_ip[0].address)]
        if not script.exists():
            if str(script) not in self._missing:
                self._missing.add(str(script))
                self._journal.log("hook_missing", f"no {action.hook} hook: {script} is not there")
            self._perform(self._policy.on_exit(action.run, 0, now, missing=True), now)
            return
        hook, run = action.hook, action.run
        task = Task(self._loop, lambda line: self._line(hook, line), lambda status, at: self._exited(run, status, at))
        self._lines = 0
        try:
            task.start([str(script), *arguments], self._about)
        except OSError as error:
            self._journal.log("hook_failed", f"the {hook} hook cannot be started: {error.strerror}", "warning")
            self._perform(self._policy.on_exit(run, _CANNOT_START, now), now)
            return
        self._tasks[run] = task
        self._journal.log("hook_started", f"{hook} hook: {script} {' '.join(arguments)}", hook=hook)

    def _exited(self, run: int, status: int, now: Nanos) -> None:
        del self._tasks[run]
        self._perform(self._policy.on_exit(run, status, now), now)

    def _line(self, hook: Hook, line: str) -> None:
        self._lines += 1
        if self._lines <= _LINES:
            self._journal.log("hook_output", f"{hook} hook: {line}", hook=hook)
        elif self._lines == _LINES + 1:
            self._journal.log("hook_output", f"{hook} hook: more than {_LINES} lines, the rest is left out", hook=hook)

    def _ended(self, ended: HookEnded) -> None:
        hook, took = ended.hook, seconds(ended.took)
        hooks = self._board.now.hooks
        self._board.update(hooks={**hooks, hook: hooks[hook].with_run(ended.outcome, ended.took)})
        fields: dict[str, Any] = {
            "hook": hook,
            "outcome": ended.outcome,
            "status": ended.status,
            "seconds": f"{took:.3f}",
        }
        match ended.outcome:
            case Outcome.OK:
                self._journal.log("hook_ended", f"{hook} hook done in {took:.1f} s", **fields)
            case Outcome.SUPERSEDED:
                self._journal.log(
                    "hook_ended", f"{hook} hook ended after {took:.1f} s: the role changed again", **fields
                )
            case Outcome.FAILED:
                how = f"exit status {ended.status}" if ended.status >= 0 else f"signal {-ended.status}"
                self._journal.log("hook_failed", f"{hook} hook failed with {how}", "warning", **fields)
            case Outcome.TIMEOUT:
                self._journal.log("hook_failed", f"{hook} hook ended after {took:.1f} s: too long", "warning", **fields)
            case Outcome.MISSING:
                return
