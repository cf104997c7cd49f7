"""Health checks: when each runs, when enough of them failed to call it unhealthy. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from skd_cluster.core.model import Nanos


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """How often, how long, and how many in a row change the verdict."""

    interval: Nanos
    timeout: Nanos
    fall: int
    rise: int


@dataclass(frozen=True, slots=True)
class StartCheck:
    """Run this check; report its end as `run`."""

    name: str
    run: int


@dataclass(frozen=True, slots=True)
class KillCheck:
    """Its time is over: SIGKILL to its process group."""

    run: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """A check turned healthy or unhealthy."""

    name: str
    healthy: bool
    detail: str


CheckAction: TypeAlias = StartCheck | KillCheck | Verdict


@dataclass(frozen=True, slots=True)
class CheckState:
    """What is known of one check, for status and metrics."""

    name: str
    healthy: bool
    detail: str


@dataclass(slots=True)
class _Check:
    due: Nanos
    healthy: bool = True  # innocent until `fall` results in a row say otherwise
    streak: int = 0  # results in a row against the verdict
    detail: str = ""
    run: int | None = None
    killed: bool = False


class CheckPolicy:
    """All checks of a node. `settings` may be assigned at any time."""

    def __init__(self, settings: CheckSettings) -> None:
        self.settings = settings
        self._checks: dict[str, _Check] = {}
        self._count = 0

    def on_found(self, names: Iterable[str], now: Nanos) -> list[CheckAction]:
        """Follow the folder: a new check runs at once, a removed one no longer counts."""
        found = set(names)
        actions: list[CheckAction] = []
        for name in sorted(set(self._checks) - found):
            gone = self._checks.pop(name)
            if gone.run is not None:
                actions.append(KillCheck(gone.run))
            if not gone.healthy:
                actions.append(Verdict(name, healthy=True, detail="removed"))
        for name in sorted(found - set(self._checks)):
            self._checks[name] = _Check(due=now)
        return actions

    @property
    def deadline(self) -> Nanos | None:
        """The next instant at which `on_timer` has something to do."""
        return min((one.due for one in self._checks.values() if not one.killed), default=None)

    def on_timer(self, now: Nanos) -> list[CheckAction]:
        """Start what is due, end what takes too long."""
        actions: list[CheckAction] = []
        for name, check in self._checks.items():
            if check.killed or now < check.due:
                continue
            if check.run is not None:
                check.killed = True
                actions.append(KillCheck(check.run))
                continue
            self._count += 1
            check.run = self._count
            check.due = Nanos(now + self.settings.timeout)
            actions.append(StartCheck(name, self._count))
        return actions

    def on_exit(self, run: int, status: int, output: str, now: Nanos) -> list[CheckAction]:
        """Count a result. `output` is the last line the check printed: what it says is wrong."""
        for name, check in self._checks.items():
            if check.run == run:
                return self._judge(name, check, status, output, now)
        return []

    def _judge(self, name: str, check: _Check, status: int, output: str, now: Nanos) -> list[CheckAction]:
        passed = status == 0 and not check.killed
        late = "no answer within its time"
        detail = "" if passed else (late if check.killed else output or f"exit status {status}")
        check.run, check.killed = None, False
        check.due = Nanos(now + self.settings.interval)
        if passed == check.healthy:
            check.streak = 0
            check.detail = detail
            return []
        check.streak += 1
        if check.streak < (self.settings.rise if passed else self.settings.fall):
            return []
        check.healthy, check.streak, check.detail = passed, 0, detail
        return [Verdict(name, passed, detail)]

    def states(self) -> tuple[CheckState, ...]:
        """Return every check in the order of names."""
        return tuple(CheckState(name, one.healthy, one.detail) for name, one in sorted(self._checks.items()))

    def failing(self) -> list[list[str]]:
        """Return the unhealthy ones as `Health.failing` wants them."""
        return [[one.name, one.detail] for one in self.states() if not one.healthy]
