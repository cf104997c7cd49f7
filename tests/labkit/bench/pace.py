"""How evenly advertisements arrive at the peer."""

import itertools
from typing import Final

from .effort import Effort
from .peers import PEERS, Setup
from .rows import OURS, YARDSTICK, Limit, Row, Table
from .stage import Stage, hogs, leave_alone, settled
from .tap import Tap

HOGS: Final = 8
LIMITS: Final = {
    (True, 0): (Limit("p99", 0.3),),
    (True, HOGS): (Limit("p99", 0.5),),
    (False, 0): (Limit("p99", 1.0, relative=True),),
    (False, HOGS): (Limit("p99", 1.0, relative=True),),
}


def jitter(effort: Effort) -> Table:
    """Idle and under load, with real-time scheduling and without it."""
    table = Table(
        "Jitter of advertisements",
        "How far the time between two of them, as they arrive at the backup, is off the interval. "
        f"The load is {HOGS} busy loops on the master.",
    )
    for interval in (0.1, 0.01) if effort.long else (0.1,):
        for realtime in (True, False):
            setup = Setup(interval, realtime=realtime)
            found = {name: _heard(name, setup, effort.seconds) for name in (OURS, YARDSTICK)}
            for load in (0, HOGS):
                how = "real-time" if realtime else "ordinary scheduling"
                what = f"{setup.text}, {how}, {'eight hogs' if load else 'idle'}"
                limits = LIMITS[realtime, load] if interval == 0.1 else ()
                table.rows.append(Row(what, "ms", {name: by_load[load] for name, by_load in found.items()}, limits))
    return table


def _heard(name: str, setup: Setup, seconds: float) -> dict[int, list[float]]:
    with settled(PEERS[name], setup) as stage:
        idle = _listen(stage, seconds)
        with hogs(stage.lb1, HOGS):
            return {0: idle, HOGS: _listen(stage, seconds)}


def _listen(stage: Stage, seconds: float) -> list[float]:
    """Return by how many milliseconds each advertisement of the master came too early or too late after the one before."""
    with Tap(stage.lb2) as tap:
        leave_alone(1.0)
        tap.advertisements(stage.lb1.address)  # what the change of load, or of the measuring, did to them
        leave_alone(seconds)
        times = tap.advertisements(stage.lb1.address)
    return [abs(after - before - stage.setup.interval) * 1000 for before, after in itertools.pairwise(times)]
