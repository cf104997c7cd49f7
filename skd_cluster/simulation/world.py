"""Two real nodes in virtual time, and everything that may happen to them. Time moves only in `run`."""

import heapq
from collections.abc import Callable
from ipaddress import ip_address

from skd_cluster.core.actions import Action
from skd_cluster.core.model import NEVER, SECOND, DataVersion, Fault, FaultNote, Nanos, Role, nanos, seconds
from skd_cluster.core.timers import FAR
from skd_cluster.simulation.invariants import Monitor
from skd_cluster.simulation.network import OTHER, TAPE, Network
from skd_cluster.simulation.node import QUEUE, REFUSED, Node, Packet, Setup

_LOOK = Nanos(60 * SECOND)
"""An address without a lease is looked at no later than that."""


class World(Network):
    """The verbs of the simulation. `a` has the lower address; with `pair` it is master and `b` its backup already.

    With `signed=False` packets are objects instead of signed bytes: for histories in which nobody looks at the bytes.
    """

    def __init__(
        self,
        a: Setup | None = None,
        b: Setup | None = None,
        *,
        seed: int = 0,
        pair: bool = True,
        paths: int = 1,
        signed: bool = True,
    ) -> None:
        """Build both nodes."""
        super().__init__(seed=seed, paths=paths, tape=TAPE)
        addresses = {"a": ip_address("10.0.0.1"), "b": ip_address("10.0.0.2")}
        setups = {"a": a or Setup(), "b": b or Setup()}
        self.nodes = {
            name: Node(name, setups[name], addresses[name], addresses[OTHER[name]], self.transmit, self.note, signed)
            for name in OTHER
        }
        self.a, self.b = self.nodes["a"], self.nodes["b"]
        self.monitor = Monitor(self)
        if pair:
            self.start("a", present=True)
            self.run_to(Nanos(self.now + self.monitor.bounds.standard))
            self.start("b")
            self.run(seconds(Nanos(5 * self.monitor.bounds.interval + self.monitor.bounds.pace)))
            self.monitor.require_roles(Role.MASTER, Role.BACKUP)

    # ---- time

    def run(self, span: float) -> "World":
        """Let `span` seconds pass."""
        return self.run_to(Nanos(self.now + nanos(span)))

    @property
    def next_at(self) -> Nanos:
        """When something happens next."""
        return min(self._events[0][0] if self._events else FAR, self.a.due, self.b.due)

    def run_to(self, end: Nanos) -> "World":
        """Let time pass up to and including `end`. What arrives at an instant comes before what is due at it."""
        events, monitor, a, b = self._events, self.monitor, self.a, self.b
        while (at := self.next_at) <= end:
            monitor.elapse(at)
            self.now = at
            if events and events[0][0] == at:
                _, _, event, details = heapq.heappop(events)
                event(*details)
            else:
                (a if a.due == at else b).step(at)
            monitor.check()
        monitor.elapse(end)
        self.now = end
        return self

    # ---- life of a node

    def start(self, name: str, *, present: bool = False, standby: bool = False, keep_epoch: bool = True) -> None:
        """Start a node that does not run."""
        node = self.nodes[name]
        if node.running:
            return
        self.note(name, "starts")
        if not keep_epoch:
            node.disk_epoch = node.highest_epoch = 0
        node.boot(self.now, self.random.randbytes(16), present=present, standby=standby)
        self.monitor.check()

    restart = start
    """It finds what is left in its kernel and on its disk."""

    def pause(self, name: str, span: float, *, lossy: bool = False) -> None:
        """Do not run a node for a while; packets wait in its queue or, with `lossy`, are gone."""
        node = self.nodes[name]
        if not node.active:
            return
        self.note(name, f"pauses for {span:g} s")
        node.sleep(self.now, 0 if lossy else QUEUE)
        self.monitor.check()
        self.at(Nanos(self.now + nanos(span)), self._wake_up, node, node.runs)
        self.watch_lease(node)

    def wake(self, name: str) -> None:
        """End a pause early."""
        self._wake_up(self.nodes[name], self.nodes[name].runs)

    def crash(self, name: str) -> None:
        """Cut the power."""
        self._halt(name, "crashes")
        self.nodes[name].address.drop()
        self.nodes[name].left_at = NEVER

    def kill(self, name: str) -> None:
        """Kill the process: its addresses stay until the kernel's lease is over."""
        self._halt(name, "is killed")
        self.watch_lease(self.nodes[name])

    def stop(self, name: str) -> None:
        """End it as systemd does."""
        if self.nodes[name].active:
            self.order(name, lambda node: node.machine.stop(self.now))
            self._halt(name, "stops")

    def order(self, name: str, what: Callable[[Node], list[Action]]) -> None:
        """Have a running node obey within a round of its loop."""
        node = self.nodes[name]
        if node.active:
            node.step(self.now, lambda _: what(node))
            self.monitor.check()

    # ---- its host

    def fault(self, name: str, fault: Fault = Fault.INTERFACE) -> None:
        """Break something that the node tracks."""
        self.note(name, f"has a fault: {fault}")
        self._host(name, lambda node: node.faults | {FaultNote(fault)})

    def clear(self, name: str) -> None:
        """Repair what was broken."""
        self._host(name, lambda _: frozenset())

    def flap(self, name: str, times: float = 3, up: float = 0.1, down: float = 0.1) -> None:
        """Plug a node's first cable out and in: no carrier, and nothing gets through."""
        self.note(name, f"flaps {times:g} times")
        for number in range(int(times)):
            out = Nanos(self.now + nanos(number * (up + down)))
            self.at(out, self._unplug, name, self._calmed)
            self.at(Nanos(out + nanos(down)), self._plug_in, name, self._calmed)

    def refuse(self, name: str) -> None:
        """Have the kernel refuse the floating address from now on."""
        self.note(name, "refuses addresses")
        self.nodes[name].refuses = True

    def accept(self, name: str) -> None:
        """Have the kernel take it again."""
        self.nodes[name].refuses = False
        self._host(name, lambda node: node.faults - {REFUSED})

    def blind(self, name: str) -> None:
        """No witness answers this node any more."""
        self.note(name, "sees no witness")
        self._witness(name, sees=False)

    def see(self, name: str) -> None:
        """Have a witness answer again."""
        self._witness(name, sees=True)

    # ---- its administrator

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

        def ask(node: Node) -> list[Action]:
            refusal, actions = node.machine.failover(self.now, force=force)
            refusals.append(refusal)
            return actions

        self.order(name, ask)
        return refusals[0] if refusals else "it does not run"

    def wrong_key(self, name: str, password: str = "other") -> None:  # noqa: S107 -- of nobody
        """Give a node another password, from its next packet on."""
        self.nodes[name].passwords = [password]

    def edit(self, name: str) -> None:
        """Change the configuration on a node."""
        node = self.nodes[name]
        epoch = max(node.data.epoch, node.machine.epoch)
        self._holds(node, DataVersion(epoch, node.data.generation + 1), unshared=True)

    def replicate(self) -> None:
        """Bring the older configuration up to date."""
        newest = max(self.a.data, self.b.data)
        for node in (self.a, self.b):
            self._holds(node, newest, unshared=False)

    # ---- how

    def deliver(self, name: str, packet: Packet, path: int) -> None:
        """Put a packet into a node's queue, and have it look if it runs."""
        node = self.nodes[name]
        if not node.running or len(node.queue) >= node.queue_limit:
            return
        self.record(name, packet)
        node.queue.append((packet, path))
        if not node.paused:
            node.step(self.now)

    def _host(self, name: str, faults: Callable[[Node], frozenset[FaultNote]]) -> None:
        node = self.nodes[name]
        node.faults = faults(node)
        self.order(name, lambda _: [])

    def _unplug(self, name: str, calmed: int) -> None:
        if calmed == self._calmed:
            self.fault(name)
            self.cut(path=0)

    def _plug_in(self, name: str, calmed: int) -> None:
        if calmed == self._calmed:
            self.heal(path=0)
            self._host(name, lambda node: node.faults - {FaultNote(Fault.INTERFACE)})

    def _witness(self, name: str, *, sees: bool) -> None:
        node = self.nodes[name]
        node.witnessed = sees
        if node.running:
            node.machine.witnessed = sees
        self.monitor.check()

    def _holds(self, node: Node, data: DataVersion, *, unshared: bool) -> None:
        node.data, node.unshared = data, unshared
        if node.running:
            node.machine.data, node.machine.unshared = data, unshared

    def _halt(self, name: str, how: str) -> None:
        node = self.nodes[name]
        if node.running:
            self.note(name, how)
            node.halt(self.now)
            self.monitor.check()

    def _wake_up(self, node: Node, run: int) -> None:
        if node.paused and node.runs == run:
            self.note(node.name, "wakes up")
            node.paused, node.queue_limit = False, QUEUE
            node.step(self.now)

    def watch_lease(self, node: Node) -> None:
        """Have the world look when the kernel drops the address."""
        ends = min(node.address.until, Nanos(self.now + _LOOK))
        if ends > NEVER:
            self.at(max(self.now, ends), lambda: None)
