"""What must hold after every step of the simulated world. Each bound and its reason: docs/election.md."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from skd_cluster.core.model import NEVER, SECOND, Nanos, Role, nanos, seconds
from skd_cluster.core.restarting import RESTART_LEASE
from skd_cluster.core.timers import FAR, SKEW_SHARE
from skd_cluster.core.wire import Flag
from skd_cluster.simulation.network import BEGIN
from skd_cluster.simulation.node import Node
from skd_cluster.simulation.standards import longest

if TYPE_CHECKING:
    from skd_cluster.simulation.world import World

_TOLD = 60
"""Lines of history in a violation."""


class InvariantError(AssertionError):
    """Something happened that never may; the text is the history that led there."""


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


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds of docs/election.md for one configuration and the slowest packet."""

    interval: Nanos
    ratio: int
    flight: Nanos
    lease: Nanos
    standard: Nanos = NEVER
    """The longest patience in a standard. NEVER: none is spoken."""
    pace: Nanos = NEVER
    """The longest interval of its advertisements."""
    mixed: bool = False
    """Whether the native rule may be in force as well, because the transports differ or change."""

    @property
    def patience(self) -> Nanos:
        """The longest dead interval of the two."""
        native = self.interval * self.ratio + 2 * (self.interval // SKEW_SHARE)
        return Nanos(max(native, self.standard) if self.mixed or not self.standard else self.standard)

    @property
    def no_master(self) -> Nanos:
        """A healthy node that runs is master, or follows one that was heard, within its patience."""
        return Nanos(self.patience + self.flight)

    @property
    def two_masters(self) -> Nanos:
        """On a wire that loses nothing: a session is proven in three flights, and a rival yields to the next packet."""
        return Nanos(4 * self.flight)

    @property
    def met(self) -> Nanos:
        """In a standard, of those who need no introduction: the next advertisement of the one that stays."""
        return Nanos(self.pace + self.flight)

    @property
    def acquainted(self) -> Nanos:
        """After a heal: the next packet, behind the longest pause between challenges."""
        return Nanos(6 * self.interval + self.two_masters)

    @property
    def settled(self) -> Nanos:
        """After heal and repair: acquainted, then each door once (both yielded, then silence)."""
        return Nanos(self.acquainted + 2 * self.no_master + self.pace)


@dataclass(slots=True)
class Monitor:
    """Looks at the world after each step; raises InvariantError with the history."""

    world: "World"
    masters: Spell = field(default_factory=Spell)
    holders: Spell = field(default_factory=Spell)
    nobody: Spell = field(default_factory=Spell)
    decided: dict[str, Spell] = field(default_factory=lambda: {"a": Spell(), "b": Spell()})
    starting: dict[str, Spell] = field(default_factory=lambda: {"a": Spell(), "b": Spell()})
    longest_no_master: Nanos = NEVER
    longest_two_masters: Nanos = NEVER
    longest_two_holders: Nanos = NEVER
    needless: int = 0
    """How often a second master began although both nodes ran and a packet could have come through."""
    _bounds: Bounds = field(init=False)
    _seen: tuple[object, ...] = ()
    _undecided: bool = False
    _strangers: bool = False
    """Whether two became masters of whom one has not heard the other in this run."""

    def __post_init__(self) -> None:
        """Derive the bounds of this world."""
        asked = [node.identity for node in self.nodes]
        slowest = max(one.interval for one in asked)
        setups = [node.setup for node in self.nodes]
        spoken = {transport for one in setups for transport in (one.transport, *one.changes_to)}
        standards = [longest(one, slowest, transport) for one in asked for transport in spoken]
        self._bounds = Bounds(
            slowest,
            max(one.dead_ratio for one in asked),
            self.world.slowest,
            max(node.address.lease for node in self.nodes),
            max(patience for patience, _pace in standards),
            max(pace for _patience, pace in standards),
            len(spoken) > 1,
        )

    @property
    def bounds(self) -> Bounds:
        """The bounds of this world, with its slowest packet so far."""
        known = self._bounds
        if known.flight != self.world.slowest:
            known = self._bounds = replace(known, flight=self.world.slowest)
        return known

    @property
    def nodes(self) -> tuple[Node, Node]:
        """Both of them."""
        return self.world.a, self.world.b

    @property
    def _foreign(self) -> bool:
        return any(node.setup.foreign for node in self.nodes)

    @property
    def _clean_since(self) -> Nanos:
        """Since when all that matters arrives; a standard is spoken on the first path only."""
        return self.world.wire.clean_since if self._foreign else self.world.clean_since

    def fail(self, invariant: str) -> None:
        """Raise with the history that led here."""
        now = seconds(Nanos(self.world.now - BEGIN))
        history = "\n".join(self.world.history[-_TOLD:])
        raise InvariantError(f"{invariant} at {now:.6f}\n{history}")

    def require_roles(self, a: Role, b: Role) -> None:
        """Fail unless the nodes are just that."""
        if (self.world.a.role, self.world.b.role) != (a, b):
            self.fail(f"roles: {self.world.a.role} and {self.world.b.role}")

    # ---- the span between two steps

    def elapse(self, now: Nanos) -> None:
        """Judge the span that ends at `now`: nothing changed in it, but leases may have run out."""
        if self.masters.since != FAR:
            self._judge_masters(now)
        if self.holders.since != FAR:
            self._judge_holders(now)
        if self.nobody.since != FAR:
            self._judge_nobody(now)
        if self._undecided:
            self._judge_starting(now)

    def _judge_masters(self, now: Nanos) -> None:
        self.longest_two_masters = max(self.longest_two_masters, self.masters.lasted(now))
        lasted = self.masters.lasted(now, after=self._clean_since or now)
        bound = self._meeting(self.masters.since)
        if lasted > bound:
            self.fail(f"two-masters: for {lasted} ns, bound {bound}")

    def _judge_holders(self, now: Nanos) -> None:
        ended = Nanos(min(now, *(node.address.until for node in self.nodes)))
        self.longest_two_holders = max(self.longest_two_holders, self.holders.lasted(ended))
        # Anew with each holder that stops: the kernel keeps the address for it, whatever went before.
        stopped_at = max(node.stopped_at for node in self.nodes)
        lasted = self.holders.lasted(ended, after=max(self._clean_since or now, stopped_at))
        # Who went away to be started anew has another one.
        lingered = any(node.lingers_until > self.holders.since for node in self.nodes)
        left = RESTART_LEASE * SECOND if lingered else 0
        bound = Nanos(max(self.bounds.lease, left) + self._meeting(self.holders.since))
        if lasted > bound:
            self.fail(f"two-holders: for {lasted} ns, bound {bound}")

    def _meeting(self, since: Nanos) -> Nanos:
        """How long two that are up since then may take to hear each other."""
        bounds = self.bounds
        if self._foreign:
            return bounds.met
        if since - self._clean_since > bounds.acquainted:
            return bounds.two_masters
        return bounds.met if bounds.pace and not bounds.mixed and not self._strangers else bounds.acquainted

    def _judge_nobody(self, now: Nanos) -> None:
        bound = self.bounds.no_master
        # Also a word that was followed by a resignation in the same round, since the kernel refused the address.
        last_word = max(node.ruled_at for node in self.nodes)
        for name, spell in self.decided.items():
            lasted = self.nobody.lasted(now, after=max(spell.since, last_word))
            if lasted > self.longest_no_master:
                self.longest_no_master = lasted
                if lasted > bound:
                    self.fail(f"no-master: {name} healthy, none for {lasted} ns, bound {bound}")

    def _judge_starting(self, now: Nanos) -> None:
        for name, spell in self.starting.items():
            if spell.lasted(now) > self.bounds.patience:
                self.fail(f"undecided: {name} for {spell.lasted(now)} ns")

    # ---- the step

    def check(self) -> None:
        """Judge the state after a step. What can only change when a loop went round is looked at only then."""
        now, a, b = self.world.now, self.world.a, self.world.b
        if a.ran:
            self._check_node(a, b, now)
        if b.ran:
            self._check_node(b, a, now)
        seen = (a.role, b.role, a.witnessed, b.witnessed)
        if seen != self._seen:
            self._seen = seen
            self._turn(now)
        two = a.address.until > now and b.address.until > now
        self.holders.be(two and not self._unleased(a) and not self._unleased(b), now)

    def _turn(self, now: Nanos) -> None:
        masters = 0
        self._undecided = False
        for node in self.nodes:
            role = node.role
            masters += role is Role.MASTER
            self.decided[node.name].be(role in (Role.BACKUP, Role.MASTER) and node.witnessed, now)
            undecided = role is Role.INIT and node.witnessed
            self.starting[node.name].be(undecided, now)
            self._undecided |= undecided
        if masters == 2 and self.masters.since == FAR and any(not cable.severed for cable in self.world.cables):
            self.needless += 1
        if masters == 2 and self.masters.since == FAR:
            one, other = (node.link for node in self.nodes)
            self._strangers = one.peer_session != other.session or other.peer_session != one.session
        self.masters.be(masters == 2, now)
        self.nobody.be(masters == 0, now)

    def _check_node(self, node: Node, other: Node, now: Nanos) -> None:
        node.ran = False
        if node.believed_forgery:
            self.fail(f"forgery: {node.believed_forgery}")
        if not node.active:
            return
        machine = node.machine
        if machine.role is Role.MASTER:
            if not node.address.here(now):
                self.fail(f"address: {node.name} is MASTER and holds none")
            if machine.epoch in other.reigned:
                self.fail(f"epoch: {machine.epoch} is shared")
        elif node.address.here(now):
            found = machine.role is Role.INIT and Flag.PRESENT in machine.word(now, paced=False).flags
            if not found:
                self.fail(f"no-address: {node.name} is {machine.role.name} and holds one")
        if node.due <= now:
            self.fail(f"deadline: {node.name}'s is in the past")
        if machine.epoch < node.highest_epoch:
            self.fail(f"epoch: {node.name}'s fell to {machine.epoch}")
        node.highest_epoch = machine.epoch

    def _unleased(self, node: Node) -> bool:
        """Whether it was frozen or killed before it decided: nobody has leased what it found."""
        return node.address.until == FAR and not node.active

    # ---- the end

    def settle(self, within: Nanos | None = None, quiet: float = 5) -> None:
        """Wait for one master that stays; fail if there is none within the bound."""
        world = self.world
        world.run_to(Nanos(world.now + (within or self.bounds.settled)))
        nodes = self.nodes
        masters = [node for node in nodes if node.role is Role.MASTER]
        if len(masters) != 1:
            self.fail(f"settled: {len(masters)} masters")
        roles = [node.role for node in nodes]
        world.run_to(Nanos(world.now + nanos(quiet)))
        if [node.role for node in nodes] != roles:
            self.fail("settled: the roles did not stay")
        if not self._foreign:  # who neither says nor hears any
            self._check_epochs(masters[0], nodes)

    def _check_epochs(self, master: Node, nodes: tuple[Node, Node]) -> None:
        other = next(node for node in nodes if node is not master)
        epoch = master.machine.epoch
        if epoch < max(other.reigned, default=0):
            self.fail("epoch: the master's is not the highest")
        if other.running and other.machine.epoch != epoch:
            self.fail("epoch: the backup follows another")
