"""One user's configuration through the faults he asks about: how long he is without a master, and with two."""

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from skd_cluster.core.model import MILLISECOND, NEVER, Nanos, Role, nanos, seconds
from skd_cluster.simulation.network import BEGIN, OTHER
from skd_cluster.simulation.node import Setup
from skd_cluster.simulation.world import World

_QUIET = 100
"""Intervals in which nothing happens but loss: what turns up there is needless."""

_RECOVERY = 30
"""Intervals for two nodes to find each other again after each fault."""

_PATIENT = 200
"""Intervals to wait for what may never come on a bad wire."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the wire is like, and what happens beside a planned failover and a power loss. NEVER: it does not happen."""

    loss: float = 0.0
    delay: Nanos = MILLISECOND
    pause: Nanos = NEVER
    partition: Nanos = NEVER


@dataclass(slots=True)
class Outcome:
    """What came of it, in seconds; added up over all runs."""

    power_loss: list[float] = field(default_factory=list)
    planned: list[float] = field(default_factory=list)
    no_master: float = 0.0
    two_masters: float = 0.0
    two_holders: float = 0.0
    needless: int = 0
    refused: int = 0
    """Planned failovers that no node was fit for in all the time."""
    simulated: float = 0.0

    def facts(self) -> dict[str, object]:
        """Return it for programs."""
        return {
            "takeover_after_power_loss": _spread(self.power_loss),
            "planned_failover": _spread(self.planned) | {"refused": self.refused},
            "longest_two_masters": self.two_masters,
            "longest_two_holders": self.two_holders,
            "longest_no_master": self.no_master,
            "needless_failovers": self.needless,
            "simulated_seconds": self.simulated,
        }


def _spread(found: list[float]) -> dict[str, float | int | None]:
    return {
        "count": len(found),
        "median": median(found) if found else None,
        "worst": max(found, default=None),
    }


@dataclass(slots=True)
class Trial:
    """Two nodes with one configuration. Raises InvariantError if the election breaks its word."""

    setup: Setup
    asked: Asked
    paths: int = 1
    outcome: Outcome = field(default_factory=Outcome)

    def run(self, seed: int) -> None:
        """Live through every fault once; chance also shifts the instant at which each strikes."""
        world = World(self.setup, self.setup, seed=seed, paths=self.paths, signed=False)
        world.delay(seconds(Nanos(self.asked.delay // 2)), seconds(self.asked.delay))
        self._spoil(world)
        self._pass(world, _QUIET)
        self._hand_over(world)
        self._lose_power(world)
        if self.asked.pause:
            self._pause(world)
        if self.asked.partition:
            self._divide(world)
        self._note(world)

    def _note(self, world: World) -> None:
        outcome, monitor = self.outcome, world.monitor
        outcome.no_master = max(outcome.no_master, seconds(monitor.longest_no_master))
        outcome.two_masters = max(outcome.two_masters, seconds(monitor.longest_two_masters))
        outcome.two_holders = max(outcome.two_holders, seconds(monitor.longest_two_holders))
        outcome.needless += monitor.needless
        outcome.simulated += seconds(Nanos(world.now - BEGIN))

    def _hand_over(self, world: World) -> None:
        master = self._master(world)
        if master is None:
            return
        for _ in range(_PATIENT):
            asked_at = world.now
            if world.failover(master) == "":
                self._await_master(world, OTHER[master], asked_at, self.outcome.planned)
                break
            self._pass(world, 1)
        else:
            self.outcome.refused += 1
        self._pass(world, _RECOVERY)

    def _lose_power(self, world: World) -> None:
        master = self._master(world)
        if master is None:
            return
        lost_at = world.now
        world.crash(master)
        self._await_master(world, OTHER[master], lost_at, self.outcome.power_loss)
        self._pass(world, self.setup.dead_ratio)
        world.restart(master)
        self._pass(world, _RECOVERY)

    def _pause(self, world: World) -> None:
        master = self._master(world)
        if master is not None:
            world.pause(master, seconds(self.asked.pause))
            world.run_to(Nanos(world.now + self.asked.pause))
            self._pass(world, _RECOVERY)

    def _divide(self, world: World) -> None:
        world.cut()
        world.run_to(Nanos(world.now + self.asked.partition))
        world.heal()
        self._spoil(world)
        self._pass(world, _RECOVERY)

    def _spoil(self, world: World) -> None:
        if self.asked.loss:
            world.lose(self.asked.loss)

    def _pass(self, world: World, intervals: float) -> None:
        """Let time pass, and a random part of an interval: faults keep no pace."""
        world.run((intervals + world.random.random()) * self.setup.interval)

    def _await_master(self, world: World, name: str, since: Nanos, into: list[float]) -> None:
        node = world.nodes[name]
        if self._reached(world, lambda: node.role is Role.MASTER):
            into.append(seconds(Nanos(max(NEVER, node.machine.since - since))))

    def _master(self, world: World) -> str | None:
        """Return the only master, as soon as there is just one."""

        def masters() -> list[str]:
            return [name for name, node in world.nodes.items() if node.role is Role.MASTER]

        return masters()[0] if self._reached(world, lambda: len(masters()) == 1) else None

    def _reached(self, world: World, so: Callable[[], bool]) -> bool:
        end = world.now + _PATIENT * nanos(self.setup.interval)
        while not so() and world.next_at <= end:
            world.run_to(world.next_at)
        return so()
