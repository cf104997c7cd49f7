"""A node's service is started anew, as an upgrade of its package does, or to speak something else."""

from dataclasses import replace

from skd_cluster.core.model import Nanos, Role, Transport, nanos
from skd_cluster.simulation.node import Node
from skd_cluster.simulation.world import World

_AGREEMENT = 3
"""Intervals for the peer to agree."""


def upgrade(world: World, name: str, span: float) -> None:
    """Stop a node that runs, and start it so many seconds later. A master keeps its address if its peer agrees to wait."""
    node = world.nodes[name]
    if not node.active:
        return
    world.note(name, f"is to be started anew, for {span:g} s")
    world.at(Nanos(world.now + nanos(span)), world.restart, name)
    if node.role is not Role.MASTER:
        world.stop(name)
        return
    node.leaving = True
    world.order(name, lambda node: node.machine.restart(world.now))
    patience = min(Nanos(_AGREEMENT * node.identity.interval), nanos(span))
    world.at(Nanos(world.now + patience), _give_up, world, node, node.runs)


def respeak(world: World, name: str, transport: Transport) -> None:
    """Configure another transport on a node and start it anew, as its administrator does."""
    node = world.nodes[name]
    world.note(name, f"is configured for {transport.word}")
    world.stop(name)
    if node.running:
        world.kill(name)
    node.setup = replace(node.setup, transport=transport)
    world.restart(name)


def _give_up(world: World, node: Node, run: int) -> None:
    """Leave for good if the peer did not agree."""
    if node.runs == run and node.leaving:
        world.stop(node.name)
    world.watch_lease(node)
