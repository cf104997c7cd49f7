"""A fresh pair for each measurement, so that none inherits anything from another."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.labkit import CLUSTER_IP, Client, HolderWatch, Lab, Node, Prober, eventually

from .peers import Peer, PeerType, Setup
from .tap import Tap


@dataclass
class Stage:
    """A pair that has settled, `lb1` master, with its watch."""

    lab: Lab
    peer: Peer
    setup: Setup
    lb1: Node
    lb2: Node
    client: Client
    watch: HolderWatch

    def probe(self) -> Prober:
        """Return a probe of the floating address, for a `with` block."""
        return self.client.probe(CLUSTER_IP)

    def alone(self, node: Node) -> bool:
        """Whether this node and no other one holds the address."""
        return self.watch.holders() == frozenset({node.name})

    def wait_alone(self, node: Node, within: float = 15.0) -> None:
        """Return when this node and no other one holds the address."""
        eventually(lambda: self.alone(node), within=within, what=f"{node.name} alone holds the address")

    def wait_held(self, node: Node, within: float = 15.0) -> None:
        """Return when this node holds the address, whoever else does."""
        eventually(lambda: node.name in self.watch.holders(), within=within, what=f"{node.name} holds the address")

    def wait_settled(self, master: Node, backup: Node) -> None:
        """Return when the service knows who is what."""
        settled = f"{master.name} is master and {backup.name} backup of {self.peer.name}"
        eventually(lambda: self.peer.settled(master, backup), within=20, what=settled)

    def signal(self, node: Node, part: str, number: signal.Signals) -> None:
        """Signal one process of the service."""
        os.kill(self.peer.parts(node)[part], number)

    def mac(self, node: Node) -> bytes:
        """Return the hardware address of a node."""
        return bytes.fromhex(node.run(["cat", "/sys/class/net/eth0/address"]).stdout.strip().replace(":", ""))

    def look(self, check: Callable[[], bool], seconds: float) -> bool:
        """Wait for something that may never happen."""
        try:
            return eventually(check, within=seconds)
        except AssertionError:
            return False

    def wait_phase(self, phase: float) -> None:
        """Return this share of an interval after one of the master's advertisements.

        A loss of the master lasts for as much less as it comes later after its last word. Each peer gets the same phases.
        """
        with Tap(self.lb2) as tap:
            tap.wait_advertisement(self.lb1.address)
        leave_alone(phase * self.setup.interval)


@contextmanager
def settled(peer_type: PeerType, setup: Setup) -> Iterator[Stage]:
    """Build a pair, start the service on both, and wait until they know each other."""
    with Lab() as lab:
        lb1, lb2 = lab.node("lb1", "10.77.0.1"), lab.node("lb2", "10.77.0.2")
        client = lab.client()
        peer = peer_type(lab, (lb1, lb2), setup)
        with lab.watch_holders() as watch:
            stage = Stage(lab, peer, setup, lb1, lb2, client, watch)
            peer.start(lb1)
            stage.wait_alone(lb1)
            peer.start(lb2)
            stage.wait_settled(lb1, lb2)
            yield stage


def blackout(probe: Prober, mark: int, within: float = 10.0) -> float:
    """Wait until the address answers; return the longest time in milliseconds that it did not, since the mark.

    0 if no probe was lost: then nobody noticed anything.
    """
    probe.wait_answer(within)
    gap = probe.gap_since(mark)
    return gap.ms if gap.lost else 0.0


@contextmanager
def hogs(node: Node, number: int) -> Iterator[None]:
    """Run busy loops."""
    busy = [node.popen(["/bin/sh", "-c", "while :; do :; done"]) for _ in range(number)]
    try:
        yield
    finally:
        for process in busy:
            process.send(signal.SIGKILL)


def leave_alone(seconds: float) -> None:
    """Let time pass: what is measured is that nothing happens meanwhile."""
    signal.sigtimedwait([], seconds)
