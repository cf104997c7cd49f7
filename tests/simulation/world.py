"""Two real nodes in virtual time: a heap of (time, tie-break, event), a wire with faults, and one seed for all chance."""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from random import Random

from skd_cluster.core.actions import Identity
from skd_cluster.core.model import (
    MILLISECOND,
    NEVER,
    SECOND,
    DataVersion,
    Fault,
    FaultNote,
    Nanos,
    nanos,
    seconds,
)
from tests.simulation.invariants import Monitor
from tests.simulation.node import QUEUE, Node, Packet

FLIGHT = MILLISECOND
BEGIN = Nanos(1000 * SECOND)
OTHER = {"a": "b", "b": "a"}
TAPE = 4000
"""Packets the eavesdropper keeps of each direction."""


@dataclass(frozen=True, slots=True)
class Setup:
    """A node's part of the configuration; `a` has the lower address."""

    interval: float = 0.2
    dead_ratio: int = 3
    priority: int = 100
    preempt: bool = False
    preempt_delay: float = 0
    probing: bool = False

    def identity(self, *, lower: bool) -> Identity:
        """Return it as the machine wants it."""
        delay = nanos(self.preempt_delay)
        return Identity(nanos(self.interval), self.dead_ratio, self.priority, lower, self.preempt, delay, self.probing)


class Wire:
    """What happens to packets between the nodes. Everything here is symmetric but `severed`."""

    def __init__(self) -> None:
        self.delay = (FLIGHT, FLIGHT)
        self.heal(BEGIN)

    def heal(self, now: Nanos) -> None:
        """Undo every fault but the delay, which is the wire's nature."""
        self.severed: set[str] = set()
        self.lost = self.doubled = self.damaged = 0.0
        self.clean_since = now

    @property
    def clean(self) -> bool:
        """Whether every packet arrives, once and unharmed."""
        return not (self.severed or self.lost or self.damaged)


class World:
    """The verbs of the simulation. Time moves only in `run`."""

    def __init__(self, a: Setup | None = None, b: Setup | None = None, *, seed: int = 0, pair: bool = True) -> None:
        self.now = BEGIN
        self.random = Random(seed)
        self.wire = Wire()
        self.history: list[str] = []
        self.tape: dict[str, deque[bytes]] = {"a": deque(maxlen=TAPE), "b": deque(maxlen=TAPE)}
        """What each node has heard, for replays."""
        self._events: list[tuple[Nanos, int, Callable[[], None]]] = []
        self._ties = 0
        self._wakes: dict[str, Nanos] = {}
        addresses = {"a": ip_address("10.0.0.1"), "b": ip_address("10.0.0.2")}
        setups = {"a": a or Setup(), "b": b or Setup()}
        self.nodes = {
            name: Node(
                name,
                setups[name].identity(lower=name == "a"),
                addresses[name],
                addresses[OTHER[name]],
                self._transmit,
                self.note,
            )
            for name in "ab"
        }
        self.a, self.b = self.nodes["a"], self.nodes["b"]
        self.monitor = Monitor(self)
        if pair:
            self.start("a", present=True)
            self.start("b")
            self.run(1)
            assert (self.a.role, self.b.role) == (2, 1), self.history

    # ---- time

    def run(self, span: float) -> "World":
        """Let `span` seconds pass."""
        return self.run_to(Nanos(self.now + nanos(span)))

    def run_to(self, end: Nanos) -> "World":
        """Let time pass up to and including `end`."""
        while self._events and self._events[0][0] <= end:
            at, _, event = heapq.heappop(self._events)
            self.monitor.elapse(at)
            self.now = at
            event()
            self.monitor.check()
        self.monitor.elapse(end)
        self.now = end
        return self

    def at(self, moment: Nanos, event: Callable[[], None]) -> None:
        """Have something happen later."""
        self._ties += 1
        heapq.heappush(self._events, (moment, self._ties, event))

    def note(self, who: str, what: str) -> None:
        """Write a line of history."""
        self.history.append(f"{seconds(Nanos(self.now - BEGIN)):.6f} {who} {what}")

    # ---- nodes

    def start(self, name: str, *, present: bool = False, standby: bool = False, keep_epoch: bool = True) -> None:
        """Start a node that does not run."""
        node = self.nodes[name]
        if node.running:
            return
        self.note(name, "starts")
        if not keep_epoch:
            node.disk_epoch = node.highest_epoch = 0
        node.boot(self.now, self.random.randbytes(16), present=present, standby=standby)
        self._schedule(node)
        self.monitor.check()

    def restart(self, name: str, *, keep_epoch: bool = True) -> None:
        """Start it again with what is left in its kernel."""
        self.start(name, keep_epoch=keep_epoch)

    def pause(self, name: str, span: float, *, lossy: bool = False) -> None:
        """Do not run a node for a while; packets wait in its queue or, with `lossy`, are gone."""
        node = self.nodes[name]
        if not node.active:
            return
        self.note(name, f"pauses for {span:g} s")
        node.paused, node.queue_limit = True, 0 if lossy else QUEUE
        run = node.runs
        self.at(Nanos(self.now + nanos(span)), lambda: self._wake_up(node, run))
        self._watch_lease(node)

    def crash(self, name: str) -> None:
        """Cut the power."""
        self._halt(name, "crashes")
        self.nodes[name].address.drop()

    def kill(self, name: str) -> None:
        """Kill the process: its addresses stay until the kernel's lease is over."""
        self._halt(name, "is killed")
        self._watch_lease(self.nodes[name])

    def stop(self, name: str) -> None:
        """End it as systemd does."""
        if self.nodes[name].active:
            self.order(name, lambda node: node.machine.stop(self.now))
            self._halt(name, "stops")

    def order(self, name: str, what: Callable[[Node], list]) -> None:
        """Have a running node obey within a round of its loop."""
        node = self.nodes[name]
        if node.active:
            node.step(self.now, lambda _: what(node))
            self._schedule(node)
            self.monitor.check()

    def fault(self, name: str, fault: Fault = Fault.INTERFACE) -> None:
        """Break something that the node tracks."""
        self.note(name, f"has a fault: {fault}")
        self.order(name, lambda node: node.machine.set_faults(frozenset({FaultNote(fault)}), self.now))

    def clear(self, name: str) -> None:
        """Repair what was broken."""
        self.order(name, lambda node: node.machine.set_faults(frozenset(), self.now))

    def standby(self, name: str) -> None:
        """Take it out."""
        self.note(name, "is taken out")
        self.order(name, lambda node: node.machine.standby(self.now))

    def online(self, name: str, *, force: bool = False) -> None:
        """Let it take part again."""
        self.note(name, "is let in")
        self.order(name, lambda node: node.machine.online(self.now, force=force))

    def failover(self, name: str, *, force: bool = False) -> str:
        """Ask it to hand over; returns why not."""
        refusals: list[str] = []

        def ask(node: Node) -> list:
            refusal, actions = node.machine.failover(self.now, force=force)
            refusals.append(refusal)
            return actions

        self.order(name, ask)
        return refusals[0] if refusals else "it does not run"

    def wrong_key(self, name: str, password: str = "other") -> None:
        """Give a node another password, from its next packet on."""
        self.nodes[name].passwords = [password]

    def edit(self, name: str) -> None:
        """Change the configuration on a node."""
        node = self.nodes[name]
        epoch = max(node.data.epoch, node.machine.epoch)
        self._holds(node, DataVersion(epoch, node.data.generation + 1))

    def replicate(self) -> None:
        """Bring the older configuration up to date."""
        newest = max(self.a.data, self.b.data)
        for node in (self.a, self.b):
            self._holds(node, newest)

    def _holds(self, node: Node, data: DataVersion) -> None:
        node.data = data
        if node.running:
            node.machine.data = data

    def _halt(self, name: str, how: str) -> None:
        node = self.nodes[name]
        if node.running:
            self.note(name, how)
            node.running = node.paused = False
            node.queue = []
            self.monitor.check()

    def _wake_up(self, node: Node, run: int) -> None:
        if node.paused and node.runs == run:
            self.note(node.name, "wakes up")
            node.paused, node.queue_limit = False, QUEUE
            node.step(self.now)
            self._schedule(node)

    def _watch_lease(self, node: Node) -> None:
        """Have the world look when the kernel drops the address."""
        self.at(max(self.now, min(node.address.until, Nanos(self.now + 60 * SECOND))), lambda: None)

    def _schedule(self, node: Node) -> None:
        """Wake the loop at its deadline."""
        due = node.wake_at
        if self._wakes.get(node.name, NEVER) == due:
            return
        self._wakes[node.name] = due

        def wake() -> None:
            if self._wakes.get(node.name) == due:
                self._wakes.pop(node.name)
                if node.active:
                    node.step(self.now)
                    self._schedule(node)

        self.at(due, wake)

    # ---- wire

    def lose(self, share: float) -> None:
        """Lose a share of the packets."""
        self._disturb(f"loses {share:g}")
        self.wire.lost = share

    def delay(self, least: float, most: float) -> None:
        """Hold each packet for some time of its own, so that they overtake each other."""
        self.note("wire", f"delays {least:g} to {most:g} s")
        self.wire.delay = (nanos(least), nanos(most))

    def duplicate(self, share: float) -> None:
        """Deliver a share of the packets twice."""
        self.note("wire", f"doubles {share:g}")
        self.wire.doubled = share

    def corrupt(self, share: float) -> None:
        """Flip a bit in a share of the packets."""
        self._disturb(f"damages {share:g}")
        self.wire.damaged = share

    def cut(self, one_way: str = "") -> None:
        """Cut the wire, or with `one_way="a->b"` only the packets from a to b."""
        self._disturb(f"is cut {one_way}".strip())
        self.wire.severed |= {one_way} if one_way else {"a->b", "b->a"}

    def heal(self) -> None:
        """Repair the wire."""
        self.note("wire", "heals")
        self.wire.heal(self.now)

    def replay(self, name: str, datagrams: list[bytes] | None = None, *, count: int = 50, rate: float = 2000) -> None:
        """Play recorded packets to a node: what it has heard before, or a given recording."""
        taped = self.tape[name]
        chosen = (
            datagrams if datagrams is not None else [self.random.choice(taped) for _ in range(count if taped else 0)]
        )
        for number, datagram in enumerate(chosen):
            packet = Packet(datagram, forged=True)
            self.at(Nanos(self.now + nanos(number / rate)), lambda packet=packet: self._deliver(name, packet))

    def _disturb(self, what: str) -> None:
        self.note("wire", what)
        self.wire.clean_since = NEVER

    def _transmit(self, source: str, datagram: bytes) -> None:
        target, wire = OTHER[source], self.wire
        if f"{source}->{target}" in wire.severed:
            return
        for _ in range(1 + (self.random.random() < wire.doubled if wire.doubled else 0)):
            if wire.lost and self.random.random() < wire.lost:
                continue
            packet = Packet(datagram)
            if wire.damaged and self.random.random() < wire.damaged:
                bit = self.random.randrange(8 * len(datagram))
                flipped = int.from_bytes(datagram) ^ (1 << bit)
                packet = Packet(flipped.to_bytes(len(datagram)), forged=True)
            least, most = wire.delay
            flight = least if least == most else self.random.randint(least, most)
            self.at(Nanos(self.now + flight), lambda packet=packet: self._deliver(target, packet))

    def _deliver(self, name: str, packet: Packet) -> None:
        node = self.nodes[name]
        if not node.running or len(node.queue) >= node.queue_limit:
            return
        if not packet.forged:
            self.tape[name].append(packet.datagram)
        node.queue.append(packet)
        if not node.paused:
            node.step(self.now)
            self._schedule(node)
