"""The end of a partition: two masters become one, and the client has to find it."""

from functools import partial
from typing import Final

from tests.labkit import eventually

from .effort import Effort
from .peers import PEERS, Setup
from .rows import OURS, YARDSTICK, Limit, Row, Table, sampled
from .stage import blackout, leave_alone, settled

PATIENCE: Final = 60.0
"""Seconds that a client is given to find the address again."""


def healing(effort: Effort) -> Table:
    """After five seconds and, when there is time, after twenty."""
    table = Table("Healing of a partition", "At 100 ms. The client reaches both nodes all the time.")
    for seconds in (5, 20) if effort.long else (5,):
        settling, blind = sampled(partial(_healed, seconds), (OURS, YARDSTICK), effort.slow_runs, 2)
        what = f"after {seconds} s"
        table.rows.append(Row(f"{what}: until one node holds the address", "intervals", settling, (Limit("max", 2),)))
        table.rows.append(Row(f"{what}: client's blackout", "ms", blind, (Limit("p99", 50),)))
    return table


def _healed(seconds: float, name: str, phase: float) -> tuple[float, float]:
    setup = Setup()
    with settled(PEERS[name], setup) as stage, stage.probe() as probe:
        probe.wait_answer()
        stage.lab.partition(stage.lb1, stage.lb2)
        eventually(lambda: len(stage.watch.holders()) == 2, within=seconds, what="both are master")
        leave_alone(seconds + phase * setup.interval)
        mark, since = probe.mark(), stage.watch.mark()
        stage.lab.heal()
        eventually(lambda: len(stage.watch.holders()) == 1, within=PATIENCE, what="one holder is left")
        blind = blackout(probe, mark, PATIENCE)
        one = next(span.start for span in stage.watch.spans(since) if len(span.holders) == 1)
        return (one - since) / setup.interval, blind
