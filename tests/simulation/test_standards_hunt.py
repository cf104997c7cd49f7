"""Four hundred seeded histories of pairs that speak CARP or VRRP, of which one is another program, or that change to it."""

from random import Random

import pytest

from skd_cluster.core.model import Role, Transport
from skd_cluster.simulation.histories import LENGTH, draw_standard, lived, play
from skd_cluster.simulation.invariants import InvariantError

HISTORIES = 400
CHUNK = 50


@pytest.mark.parametrize("first", range(0, HISTORIES, CHUNK))
def test_random_histories_of_a_standard_settle(first: int) -> None:
    """What breaks one is found again by `script/hunt --standards --tell SEED`."""
    hours = 0.0
    for seed in range(first, first + CHUNK):
        try:
            hours += lived(play(seed, drawn=draw_standard)) / 3600
        except InvariantError as error:
            pytest.fail(f"script/hunt --standards --tell {seed}\n{error}")
    assert hours >= CHUNK * LENGTH / 3600


def test_same_seed_same_history_of_a_standard() -> None:
    one, same, other = (play(seed, drawn=draw_standard).history for seed in (11, 11, 12))
    assert one == same != other


def test_histories_of_a_standard_are_full_of_what_may_happen() -> None:
    plans = [draw_standard(Random(seed)) for seed in range(100)]
    for transport in (Transport.CARP, Transport.VRRP):
        chosen = [plan for plan in plans if transport in (plan.a.transport, plan.b.transport)]
        assert any(plan.a.foreign for plan in chosen)
        assert any(plan.b.foreign for plan in chosen)
        assert any(plan.a.changes_to for plan in chosen)
        assert any(plan.a.transport is plan.b.transport and not plan.a.foreign | plan.b.foreign for plan in chosen)
    worlds = [play(seed, drawn=draw_standard) for seed in range(150)]
    reasons = {str(reason) for one in worlds for node in (one.a, one.b) for reason in node.reasons}
    assert reasons >= {"elected", "peer_silent", "peer_resigned", "rival_won", "not_heard", "no_witness", "restarted"}
    assert {str(drop) for one in worlds for node in (one.a, one.b) for drop in node.drops} >= {"replayed", "checksum"}
    assert all(Role.MASTER in (one.a.role, one.b.role) for one in worlds)
