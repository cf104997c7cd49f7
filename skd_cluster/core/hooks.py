"""Which hook runs when: one at a time, the newest role wins, none for longer than its time.

Roles and exits come in, starts and signals go out; nothing here runs a process or reads a clock.
"""

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import TypeAlias

from skd_cluster.core.model import Nanos, Role, nanos

KILL_DELAY = nanos(2.0)
"""Between SIGTERM and SIGKILL: enough for a script's trap, short enough for an operator who waits."""


@unique
class Hook(StrEnum):
    """The three hooks. A label of metrics."""

    UP = "up"
    DOWN = "down"
    ADVERTISEMENT = "advertisement"


@unique
class Outcome(StrEnum):
    """How a run of a hook ended."""

    OK = "ok"
    FAILED = "failed"
    TIMEOUT = "timeout"
    SUPERSEDED = "superseded"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class StartHook:
    """Run the script of `hook`; report its end as `run`."""

    hook: Hook
    run: int


@dataclass(frozen=True, slots=True)
class SignalHook:
    """Signal the process group of `run`: SIGTERM, or SIGKILL with `kill`."""

    run: int
    kill: bool


@dataclass(frozen=True, slots=True)
class HookEnded:
    """A run is over: for the journal and the metrics."""

    hook: Hook
    outcome: Outcome
    took: Nanos
    status: int


HookAction: TypeAlias = StartHook | SignalHook | HookEnded


@dataclass(slots=True)
class _Run:
    hook: Hook
    number: int
    started: Nanos
    deadline: Nanos
    ending: Outcome | None = None  # why it was signalled
    killed: bool = False


class HookPolicy:
    """Decides about hooks. `timeout` and `adver_interval` may be assigned at any time; a running hook keeps its own."""

    def __init__(self, timeout: Nanos, adver_interval: Nanos) -> None:
        self.timeout = timeout
        self.adver_interval = adver_interval
        self._role = Role.INIT
        self._run: _Run | None = None
        self._next: Hook | None = None
        self._next_advert: Nanos | None = None
        self._count = 0

    @property
    def idle(self) -> bool:
        """Nothing runs and nothing waits for its turn."""
        return self._run is None and self._next is None

    @property
    def deadline(self) -> Nanos | None:
        """The next instant at which `on_timer` has something to do."""
        if self._run is not None:
            return None if self._run.killed else self._run.deadline
        return self._next_advert

    def on_role(self, role: Role, now: Nanos) -> list[HookAction]:
        """Follow a role. Only entering and leaving mastership, and the first decision, have a hook."""
        before, self._role = self._role, role
        if role is Role.MASTER:
            if before is Role.MASTER:
                return []
            self._next_advert = Nanos(now + self.adver_interval)
            return self._want(Hook.UP, now)
        self._next_advert = None
        if before is Role.MASTER or (before is Role.INIT and role is not Role.INIT):
            return self._want(Hook.DOWN, now)
        return []

    def resume(self, now: Nanos) -> None:
        """Be master as before a restart: what its hook has done is still done."""
        self._role = Role.MASTER
        self._next_advert = Nanos(now + self.adver_interval)

    def on_stop(self, now: Nanos) -> list[HookAction]:
        """Leave mastership because the service ends; wait for `idle` afterwards. A down hook that runs may finish."""
        return self.on_role(Role.INIT, now)

    def on_exit(self, run: int, status: int, now: Nanos, *, missing: bool = False) -> list[HookAction]:
        """Take note that the leader of a run's process group ended, or that its script is `missing`."""
        ended = self._run
        if ended is None or ended.number != run:
            return []
        self._run = None
        outcome = ended.ending or (Outcome.OK if status == 0 else Outcome.FAILED)
        actions: list[HookAction] = [
            HookEnded(ended.hook, Outcome.MISSING if missing else outcome, Nanos(now - ended.started), status)
        ]
        if self._next is not None:
            following, self._next = self._next, None
            actions.append(self._start(following, now))
        return actions

    def on_timer(self, now: Nanos) -> list[HookAction]:
        """Call at or after the deadline; early calls do nothing."""
        run = self._run
        if run is not None:
            if run.killed or now < run.deadline:
                return []
            if run.ending is None:
                return [self._end(run, Outcome.TIMEOUT, now)]
            run.killed = True
            return [SignalHook(run.number, kill=True)]
        if self._next_advert is None or now < self._next_advert:
            return []
        self._next_advert = Nanos(now + self.adver_interval)
        return [self._start(Hook.ADVERTISEMENT, now)]

    def _want(self, hook: Hook, now: Nanos) -> list[HookAction]:
        """Run `hook` as soon as possible; whatever runs is of an older role."""
        if self._run is None:
            return [self._start(hook, now)]
        self._next = hook
        if self._run.ending is None:
            return [self._end(self._run, Outcome.SUPERSEDED, now)]
        return []

    def _start(self, hook: Hook, now: Nanos) -> StartHook:
        self._count += 1
        self._run = _Run(hook, self._count, now, Nanos(now + self.timeout))
        return StartHook(hook, self._count)

    def _end(self, run: _Run, why: Outcome, now: Nanos) -> SignalHook:
        run.ending = why
        run.deadline = Nanos(now + KILL_DELAY)
        return SignalHook(run.number, kill=False)
