"""What must hold after every step of the simulated world. Each bound and its reason: docs/election.md."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from skd_cluster.core.model import NEVER, Nanos, Role, nanos, seconds
from skd_cluster.core.timers import FAR, SKEW_SHARE
from skd_cluster.core.wire import Flag
from tests.simulation.node import VIP_LEASE, Node

if TYPE_CHECKING:
    from tests.simulation.world import World


@dataclass(slots=True)
class Spell:
    """How long something has been so without a break."""

    since: Nanos = FAR

    def be(self, so: bool, now: Nanos) -> None:  # noqa: FBT001 -- it is the subject
        """Take note whether it is so now."""
        if not so:
            self.since = FAR
        elif self.since == FAR:
            self.since = now

    def lasted(self, now: Nanos, *, after: Nanos = NEVER) -> Nanos:
        """How long it has been so, counted from `after` at the earliest."""
        return Nanos(max(0, now - max(self.since, after)))


@dataclass(slots=True)
class Bounds:
    """The bounds of docs/election.md for one configuration and the slowest packet."""

    interval: Nanos
    ratio: int
    flight: Nanos

    @property
    def patience(self) -> Nanos:
        """The longest dead interval of the two."""
        return Nanos(self.interval * self.ratio + 2 * (self.interval // SKEW_SHARE))

    @property
    def no_master(self) -> Nanos:
        """A healthy node that runs is master, or follows one that was heard, within its patience."""
        return Nanos(self.patience + self.flight)

    @property
    def two_masters(self) -> Nanos:
        """On a wire that loses nothing: a session is proven in three flights, and a rival yields to the next packet."""
        return Nanos(4 * self.flight)

    @property
    def acquainted(self) -> Nanos:
        """After a heal: the next packet, behind the longest pause between challenges."""
        return Nanos(6 * self.interval + self.two_masters)

    @property
    def settled(self) -> Nanos:
        """After heal and repair: acquainted, then each door once (both yielded, then silence)."""
        return Nanos(self.acquainted + 2 * self.no_master)


@dataclass(slots=True)
class Monitor:
    """Looks at the world after each step; raises AssertionError with the history."""

    world: "World"
    slowest: Nanos = NEVER
    masters: Spell = field(default_factory=Spell)
    holders: Spell = field(default_factory=Spell)
    nobody: Spell = field(default_factory=Spell)
    decided: dict[str, Spell] = field(default_factory=lambda: {"a": Spell(), "b": Spell()})
    starting: dict[str, Spell] = field(default_factory=lambda: {"a": Spell(), "b": Spell()})
    longest_no_master: Nanos = NEVER
    longest_two_masters: Nanos = NEVER
    longest_two_holders: Nanos = NEVER

    @property
    def bounds(self) -> Bounds:
        """The bounds of this world."""
        asked = [node.identity for node in self.nodes]
        return Bounds(max(one.interval for one in asked), max(one.dead_ratio for one in asked), self.slowest)

    @property
    def nodes(self) -> tuple[Node, Node]:
        """Both of them."""
        return self.world.a, self.world.b

    def require(self, truth: bool, invariant: str) -> None:  # noqa: FBT001 -- an assertion
        """Fail with the history that led here."""
        if not truth:
            history = "\n".join(self.world.history[-60:])
            now = seconds(Nanos(self.world.now - 1000 * 1_000_000_000))
            raise AssertionError(f"{invariant} at {now:.6f}\n{history}")

    def elapse(self, now: Nanos) -> None:
        """Judge the span that ends at `now`: nothing changed in it, but leases may have run out."""
        if self.masters.since != FAR:
            self._judge_masters(now)
        if self.holders.since != FAR:
            self._judge_holders(now)
        if self.nobody.since != FAR:
            self._judge_nobody(now)
        for name, spell in self.starting.items():
            if spell.since != FAR:
                lasted = spell.lasted(now)
                self.require(lasted <= self.bounds.patience, f"undecided: {name} for {lasted} ns")

    def _judge_masters(self, now: Nanos) -> None:
        self.longest_two_masters = max(self.longest_two_masters, self.masters.lasted(now))
        lasted = self.masters.lasted(now, after=self.world.wire.clean_since or now)
        bound = self._meeting(self.masters.since)
        self.require(lasted <= bound, f"two-masters: for {lasted} ns, bound {bound}")

    def _judge_holders(self, now: Nanos) -> None:
        ended = Nanos(min(now, *(node.address.until for node in self.nodes)))
        self.longest_two_holders = max(self.longest_two_holders, self.holders.lasted(ended))
        lasted = self.holders.lasted(ended, after=self.world.wire.clean_since or now)
        bound = Nanos(VIP_LEASE + self._meeting(self.holders.since))
        self.require(lasted <= bound, f"two-holders: for {lasted} ns, bound {bound}")

    def _meeting(self, since: Nanos) -> Nanos:
        """How long two that are up since then may take to hear each other."""
        bounds = self.bounds
        acquainted = since - self.world.wire.clean_since > bounds.acquainted
        return bounds.two_masters if acquainted else bounds.acquainted

    def _judge_nobody(self, now: Nanos) -> None:
        bound = self.bounds.no_master
        for name, spell in self.decided.items():
            lasted = self.nobody.lasted(now, after=spell.since)
            self.longest_no_master = max(self.longest_no_master, lasted)
            self.require(lasted <= bound, f"no-master: {name} healthy, none for {lasted} ns, bound {bound}")

    def check(self) -> None:
        """Judge the state after a step."""
        world, now, (a, b) = self.world, self.world.now, self.nodes
        self.slowest = max(self.slowest, world.wire.delay[1])
        for node in self.nodes:
            self._check_node(node, now)
            self.decided[node.name].be(node.role in (Role.BACKUP, Role.MASTER) and node.machine.witnessed, now)
            self.starting[node.name].be(node.role is Role.INIT, now)
        masters = (a.role is Role.MASTER) + (b.role is Role.MASTER)
        self.masters.be(masters == 2, now)
        self.nobody.be(masters == 0, now)
        self.holders.be(a.address.here(now) and b.address.here(now), now)

    def _check_node(self, node: Node, now: Nanos) -> None:
        self.require(not node.believed_forgery, f"forgery: {node.believed_forgery}")
        if not node.active:
            return
        machine = node.machine
        if machine.role is Role.MASTER:
            self.require(node.address.here(now), f"address: {node.name} is MASTER and holds none")
            other = self.nodes[node is self.nodes[0]]
            self.require(machine.epoch not in other.reigned, f"epoch: {machine.epoch} is shared")
        elif node.address.here(now):
            found = machine.role is Role.INIT and Flag.PRESENT in machine.word(now, paced=False).flags
            self.require(found, f"no-address: {node.name} is {machine.role.name} and holds one")
        self.require(not node.overdue, f"deadline: {node.name}'s is in the past")
        self.require(machine.epoch >= node.highest_epoch, f"epoch: {node.name}'s fell to {machine.epoch}")
        node.highest_epoch = machine.epoch

    def settle(self, within: Nanos | None = None, quiet: float = 5) -> None:
        """Wait for one master that stays; fail if there is none within the bound."""
        world = self.world
        world.run_to(Nanos(world.now + (within or self.bounds.settled)))
        nodes = self.nodes
        masters = [node for node in nodes if node.role is Role.MASTER]
        self.require(len(masters) == 1, f"settled: {len(masters)} masters")
        roles = [node.role for node in nodes]
        world.run_to(Nanos(world.now + nanos(quiet)))
        self.require([node.role for node in nodes] == roles, "settled: the roles did not stay")
        self._check_epochs(masters[0], nodes)

    def _check_epochs(self, master: Node, nodes: tuple[Node, Node]) -> None:
        other = next(node for node in nodes if node is not master)
        epoch = master.machine.epoch
        self.require(epoch >= max(other.reigned, default=0), "epoch: the master's is not the highest")
        if other.running:
            self.require(other.machine.epoch == epoch, "epoch: the backup follows another")
