"""Seeded histories of random faults: a whole world, its configuration and its troubles from one number."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from skd_cluster.core.model import Nanos, Role, Transport, nanos, seconds
from skd_cluster.simulation.network import BEGIN
from skd_cluster.simulation.node import Setup
from skd_cluster.simulation.upgrade import respeak, upgrade
from skd_cluster.simulation.world import World

LENGTH = 600.0
"""Seconds of a history."""

INTERVALS = {0.2: 1, 0.5: 2, 1.0: 6, 2.0: 16, 5.0: 40, 10.0: 35}
"""How often each is drawn. All faults scale with it, so a slow history tells the same story with fewer packets."""

SIGNED_SHARE = 0.05
"""Histories with real bytes and signatures; in the others packets are sealed objects. The rest is the same."""

_QUIET = 6
"""Intervals for which the roles must stay at the end."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a seed chooses before anything happens."""

    a: Setup
    b: Setup
    paths: int
    signed: bool

    def world(self, seed: int) -> World:
        """Build it, and start both nodes."""
        world = World(self.a, self.b, seed=seed, pair=False, paths=self.paths, signed=self.signed)
        world.start("a", present=True)
        world.start("b")
        return world


def draw(chance: Random) -> Plan:
    """Choose two configurations, in half of all cases different ones."""
    interval = chance.choices(tuple(INTERVALS), tuple(INTERVALS.values()))[0]
    one = Setup(
        interval=interval,
        dead_ratio=chance.choice((2, 3, 3, 3, 4, 6)),
        probing=chance.random() < 0.3,
        lease=min(60.0, chance.choice((2.5, 10)) * interval),
    )
    other = one
    if chance.random() < 0.5:
        other = replace(
            one,
            interval=interval * chance.choice((0.25, 0.5, 1, 2)),
            dead_ratio=chance.choice((2, 3, 5)),
            probing=chance.random() < 0.5,
            release=chance.choice(((3, 0, 0), (3, 1, 0))),
        )
        one = replace(
            one,
            priority=chance.choice((100, 120)),
            preempt=chance.random() < 0.5,
            preempt_delay=chance.choice((0, 3)) * interval,
        )
    a, b = chance.choice(((one, other), (other, one)))
    return Plan(a, b, chance.choice((1, 1, 2)), chance.random() < SIGNED_SHARE)


def draw_standard(chance: Random) -> Plan:
    """Choose a pair that speaks CARP or VRRP: of two of ours, beside another program, or while it changes its transport."""
    plan = draw(chance)
    transport = chance.choice((Transport.CARP, Transport.VRRP))
    kind = chance.choice(("ours", "foreign", "changes"))
    a, b = (replace(one, transport=transport) for one in (plan.a, plan.b))
    if kind == "foreign":
        a, b = (replace(a, foreign=True), b) if chance.random() < 0.5 else (a, replace(b, foreign=True))
    if kind == "changes":
        a, b = (replace(one, changes_to=(Transport.UDP, transport)) for one in (a, plan.b))
    return replace(plan, a=a, b=b)


class Troublemaker:
    """Does one random thing after the other to a world; spans are in intervals of the slower pace."""

    def __init__(self, world: World, chance: Random) -> None:
        """Know every verb."""
        self.world, self.chance = world, chance
        self.unit = seconds(max(world.monitor.bounds.interval, world.monitor.bounds.pace))
        self._drawn = (world.a.setup, world.b.setup)
        self._verbs: tuple[Callable[[str], object], ...] = (
            self._lose,
            self._delay,
            self._cut,
            self._cut_one_way,
            self._pause,
            self._flap,
            self._failover,
            self._edit,
            self._retune,
            *self._nodes_verbs(),
            *self._wires_verbs(),
            *((self._respeak,) * 4 if world.a.setup.changes_to else ()),
        )

    def _nodes_verbs(self) -> tuple[Callable[[str], object], ...]:
        world = self.world
        return (
            world.crash,
            world.kill,
            world.stop,
            self._upgrade,
            world.restart,
            self._start_both,
            self._start_both,  # or a history would soon have nobody left in it
            world.fault,
            world.clear,
            world.standby,
            world.online,
            world.refuse,
            world.accept,
            world.blind,
            world.see,
        )

    def _wires_verbs(self) -> tuple[Callable[[str], object], ...]:
        world = self.world
        return (
            lambda _: world.duplicate(0.3, self._path()),
            lambda _: world.corrupt(0.2, self._path()),
            lambda _: world.heal(),
            lambda _: world.heal(self._path()),
            lambda _: world.replicate(),
            world.replay,
            world.spoof,
        )

    def disturb(self, until: Nanos) -> None:
        """Make trouble until then."""
        chance, world = self.chance, self.world
        while world.now < until:
            chance.choice(self._verbs)(chance.choice("ab"))
            pause = chance.expovariate(1 / (self.unit * chance.choice((0.25, 1.5, 6))))
            world.run_to(Nanos(min(until, world.now + nanos(pause))))

    def _path(self) -> int | None:
        number = self.chance.randint(-1, len(self.world.cables) - 1)
        return None if number < 0 else number

    def _lose(self, _: str) -> None:
        self.world.lose(self.chance.choice((0.1, 0.3, 0.7)), self._path())

    def _delay(self, _: str) -> None:
        most = self.chance.choice((0.005, 0.05, 0.15))
        native = seconds(self.world.monitor.bounds.interval)  # whatever else is spoken, its packets must come in time
        self.world.delay(0.0025 * native, most * native, self._path())

    def _cut(self, _: str) -> None:
        self.world.cut(path=self._path())

    def _cut_one_way(self, _: str) -> None:
        self.world.cut(self.chance.choice(("a->b", "b->a")), self._path())

    def _pause(self, name: str) -> None:
        self.world.pause(name, self.chance.uniform(0.25, 25) * self.unit, lossy=self.chance.random() < 0.5)

    def _flap(self, name: str) -> None:
        up, down = (self.chance.uniform(0.1, 4) * self.unit for _ in "ud")
        self.world.flap(name, self.chance.randint(1, 5), up, down)

    def _failover(self, name: str) -> None:
        self.world.failover(name, force=self.chance.random() < 0.3)

    def _edit(self, name: str) -> None:
        if self.world.nodes[name].role is Role.MASTER:
            self.world.edit(name)

    def _retune(self, name: str) -> None:
        """Reload settings within those that the two nodes were drawn with: the bounds are made from them."""
        chance, world = self.chance, self.world
        world.nodes[name].retune(
            world.now,
            interval=chance.choice(self._drawn).interval,
            dead_ratio=chance.choice(self._drawn).dead_ratio,
            probing=chance.random() < 0.3,
            priority=chance.choice((100, 120)),
            preempt=chance.random() < 0.3,
        )
        world.monitor.check()

    def _respeak(self, name: str) -> None:
        respeak(self.world, name, self.chance.choice(self.world.nodes[name].setup.changes_to))

    def _upgrade(self, name: str) -> None:
        upgrade(self.world, name, self.chance.choice((0.3, 1, 3.9, 4.1, 7)))

    def _start_both(self, _: str) -> None:
        self.world.restart("a")
        self.world.restart("b")


def mend(world: World) -> None:
    """Let both nodes run and take part, on a clean wire, with nothing wrong."""
    world.calm()
    world.heal()
    world.replicate()
    for name, node in world.nodes.items():
        if node.leaving:
            world.stop(name)
        world.restart(name)
        world.run(0.0001)
        world.wake(name)
        world.see(name)
        world.accept(name)
        world.clear(name)
        world.online(name, force=bool(node.machine.all_faults()))


def play(seed: int, length: float = LENGTH, drawn: Callable[[Random], Plan] = draw) -> World:
    """Live through one history; raises InvariantError. Trouble comes in spells, and each must end settled."""
    chance = Random(seed)  # noqa: S311 -- chance that can be repeated, not a secret
    world = drawn(chance).world(seed)
    maker = Troublemaker(world, chance)
    end = Nanos(BEGIN + nanos(length))
    while world.now < end:
        bounds = world.monitor.bounds
        spell = nanos(chance.uniform(20, 100) * maker.unit)
        maker.disturb(Nanos(min(world.now + spell, max(world.now, end - bounds.settled))))
        mend(world)
        world.monitor.settle(quiet=_QUIET * maker.unit)
    return world


def lived(world: World) -> float:
    """Return how many seconds passed in it."""
    return seconds(Nanos(world.now - BEGIN))
