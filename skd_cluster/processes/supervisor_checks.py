"""Runs the health checks of `checks_dir` and says which of them keep this node from being master."""

import os
from collections.abc import Callable
from pathlib import Path

from skd_cluster.adapters.journal import Journal
from skd_cluster.config.schema import Config
from skd_cluster.core.checks import CheckAction, CheckPolicy, CheckSettings, KillCheck, StartCheck, Verdict
from skd_cluster.core.model import Nanos
from skd_cluster.core.status import Board
from skd_cluster.processes.loop import Loop
from skd_cluster.processes.tasks import Task

_CANNOT_START = 126


class CheckRunner:
    """Calls `on_health` with what is unhealthy, as `Health` wants it, whenever that has changed."""

    def __init__(
        self, loop: Loop, journal: Journal, board: Board, config: Config, on_health: Callable[[list[list[str]]], object]
    ) -> None:
        self._loop = loop
        self._journal = journal
        self._board = board
        self._on_health = on_health
        self._folder = config.checks_dir
        self._policy = CheckPolicy(_settings(config))
        self._tasks: dict[int, Task] = {}
        self._said: dict[int, str] = {}
        self._scan_at = Nanos(0)

    @property
    def deadline(self) -> Nanos:
        """When a check is due, or the folder is to be looked at again."""
        due = self._policy.deadline
        return self._scan_at if due is None else min(due, self._scan_at)

    def on_timer(self, now: Nanos) -> None:
        """Look at the folder, start and end checks."""
        if now >= self._scan_at:
            self._scan_at = Nanos(now + self._policy.settings.interval)
            self._perform(self._policy.on_found(executables(self._folder), now), now)
        self._perform(self._policy.on_timer(now), now)

    def reconfigure(self, config: Config) -> None:
        """Use other settings from now on."""
        self._folder = config.checks_dir
        self._policy.settings = _settings(config)
        self._scan_at = Nanos(0)

    def kill(self) -> None:
        """End what runs: the service ends."""
        for task in self._tasks.values():
            task.end(kill=True)

    def _perform(self, actions: list[CheckAction], now: Nanos) -> None:
        for action in actions:
            match action:
                case StartCheck():
                    self._start(action, now)
                case KillCheck():
                    self._tasks[action.run].end(kill=True)
                case Verdict():
                    self._tell(action)
        self._board.update(checks=self._policy.states())

    def _start(self, action: StartCheck, now: Nanos) -> None:
        run = action.run
        task = Task(self._loop, lambda line: self._said.update({run: line}), lambda *end: self._exited(run, *end))
        try:
            task.start([str(self._folder / action.name)], {})
        except OSError as error:
            self._perform(self._policy.on_exit(run, _CANNOT_START, f"cannot start: {error.strerror}", now), now)
            return
        self._tasks[run] = task

    def _exited(self, run: int, status: int, now: Nanos) -> None:
        del self._tasks[run]
        self._perform(self._policy.on_exit(run, status, self._said.pop(run, ""), now), now)

    def _tell(self, verdict: Verdict) -> None:
        if verdict.healthy:
            self._journal.log("check_recovered", f"check {verdict.name} is healthy", check=verdict.name)
        else:
            self._journal.log("check_failed", f"check {verdict.name}: {verdict.detail}", "warning", check=verdict.name)
        self._on_health(self._policy.failing())


def executables(folder: Path) -> list[str]:
    """Return the names of the checks in a folder. What an editor or dpkg leaves there is none."""
    try:
        names = sorted(one.name for one in folder.iterdir())
    except OSError:
        return []
    plain = (name for name in names if not name.startswith(".") and not name.endswith("~") and ".dpkg-" not in name)
    return [name for name in plain if (folder / name).is_file() and os.access(folder / name, os.X_OK)]


def _settings(config: Config) -> CheckSettings:
    return CheckSettings(config.check_interval, config.check_timeout, config.check_fall, config.check_rise)
