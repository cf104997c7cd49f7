"""Two thousand seeded histories of ten minutes full of faults. Each ends mended, and must settle."""

from random import Random
from time import process_time

import pytest

from skd_cluster.core.model import Role
from skd_cluster.simulation.histories import LENGTH, draw, lived, play
from skd_cluster.simulation.invariants import InvariantError

HISTORIES = 2000
CHUNK = 50


@pytest.mark.parametrize("first", range(0, HISTORIES, CHUNK))
def test_random_histories_settle(first: int) -> None:
    """What breaks one is found again by `script/hunt --tell SEED`."""
    began, hours = process_time(), 0.0
    for seed in range(first, first + CHUNK):
        try:
            hours += lived(play(seed)) / 3600
        except InvariantError as error:
            pytest.fail(f"script/hunt --tell {seed}\n{error}")
    print(f"{hours:.1f} simulated hours, {hours / (process_time() - began):.1f} a second of this core")
    assert hours >= CHUNK * LENGTH / 3600


def test_same_seed_same_history_to_the_letter() -> None:
    assert play(11).history == play(11).history
    assert play(11).history != play(12).history


def test_histories_are_full_of_what_may_happen() -> None:
    """Not a hunt for nothing: every kind of configuration, packet and reason turns up in a hundred of them."""
    plans = [draw(Random(seed)) for seed in range(100)]
    assert any(plan.signed for plan in plans)
    assert any(plan.paths == 2 for plan in plans)
    assert any(plan.a.probing != plan.b.probing for plan in plans)
    assert any(plan.a.release != plan.b.release for plan in plans)
    assert any(plan.a.interval != plan.b.interval for plan in plans)
    worlds = [play(seed) for seed in range(100)]
    reasons = {str(reason) for world in worlds for node in world.nodes.values() for reason in node.reasons}
    assert reasons >= {
        "start",
        "address_present",
        "elected",
        "peer_silent",
        "peer_resigned",
        "peer_master",
        "rival_won",
        "not_heard",
        "paused",
        "command",
        "standby",
        "fault",
        "recovered",
        "no_witness",
    }
    assert {str(drop) for world in worlds for node in world.nodes.values() for drop in node.drops} >= {
        "bad_key",
        "replayed",
        "unproven",
        "duplicate",
    }
    masters = [len(node.reigned) for world in worlds for node in world.nodes.values()]
    assert sum(masters) > 5 * len(worlds)
    assert all(Role.MASTER in (world.a.role, world.b.role) for world in worlds)
