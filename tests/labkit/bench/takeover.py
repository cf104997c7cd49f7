"""The client's blackout when the master loses power, hands over as asked, or is stopped by SIGTERM."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from .effort import Effort
from .peers import PEERS, Setup, Ucarp
from .rows import OURS, YARDSTICK, Limit, Row, Table, sampled
from .stage import Stage, blackout, settled

INTERVALS: Final = (0.1, 0.01)
PAIR: Final = (OURS, YARDSTICK)
ALL: Final = (OURS, YARDSTICK, Ucarp.name)
PATIENT: Final = (Limit("median", 1.0, relative=True), Limit("max", 1.2, relative=True))
PROBING: Final = (Limit("median", 0.6, relative=True),)
GENTLE: Final = (Limit("median", 3), Limit("p99", 10))


def once(setup: Setup, act: Callable[[Stage], None], name: str, phase: float) -> tuple[float]:
    """Return the client's blackout in milliseconds when this happens to the master of a fresh pair."""
    with settled(PEERS[name], setup) as stage, stage.probe() as probe:
        probe.wait_answer()
        stage.wait_phase(phase)
        mark = probe.mark()
        act(stage)
        stage.wait_held(stage.lb2)
        return (blackout(probe, mark),)


def lose_power(stage: Stage) -> None:
    """Cable and processes gone, in this order and within milliseconds."""
    stage.lab.power_off(stage.lb1)


def terminate(stage: Stage) -> None:
    """SIGTERM to the master."""
    stage.peer.terminate(stage.lb1)


def hand_over(stage: Stage) -> None:
    """By the gentlest means there is."""
    stage.peer.planned(stage.lb1)


def power_loss(effort: Effort) -> Table:
    """Both ways of noticing, at both intervals; at whole seconds with ucarp."""
    table = Table("Power loss", "Client's blackout. The cable is cut and every process killed. Dead ratio 3.")
    for interval in INTERVALS:
        setup = Setup(interval)
        (found,) = sampled(partial(once, setup, lose_power), PAIR, effort.runs)
        (probing,) = sampled(partial(once, replace(setup, detection="probing"), lose_power), (OURS,), effort.runs)
        table.rows.append(Row(setup.text, "ms", found, PATIENT))
        limits = PROBING if interval == INTERVALS[0] else ()
        table.rows.append(Row(f'{setup.text}, `detection="probing"`', "ms", found | probing, limits))
    (found,) = sampled(partial(once, Setup(1), lose_power), ALL, effort.slow_runs)
    table.rows.append(Row("1 s", "ms", found, PATIENT))
    return table


def sigterm(effort: Effort) -> Table:
    """The service is stopped."""
    table = Table("SIGTERM", "Client's blackout when the master's service is stopped.")
    for interval in INTERVALS:
        (found,) = sampled(partial(once, Setup(interval), terminate), PAIR, effort.runs)
        table.rows.append(Row(Setup(interval).text, "ms", found, GENTLE))
    (found,) = sampled(partial(once, Setup(1), terminate), ALL, effort.slow_runs)
    table.rows.append(Row("1 s", "ms", found, GENTLE))
    return table


def planned(effort: Effort) -> Table:
    """Handing over and back, many times within one pair."""
    table = Table(
        "Planned failover",
        "Client's blackout. `skd-cluster failover`; for keepalived the fall of the master's priority below the backup's, "
        "through a tracked file, and its rise again; for ucarp SIGUSR2.",
    )
    for interval in INTERVALS:
        setup = Setup(interval)
        found = {name: list(there_and_back(name, setup, effort.handovers)) for name in PAIR}
        table.rows.append(Row(setup.text, "ms", found, GENTLE))
    if effort.long:
        (found,) = sampled(partial(once, Setup(1), hand_over), ALL, effort.slow_runs)
        table.rows.append(Row("1 s", "ms", found, GENTLE))
    return table


def there_and_back(name: str, setup: Setup, handovers: int) -> Iterator[float]:
    """Yield the blackout of each handover, the master of one being the backup of the next."""
    with settled(PEERS[name], setup) as stage, stage.probe() as probe:
        probe.wait_answer()
        master, backup = stage.lb1, stage.lb2
        for _ in range(handovers):
            mark = probe.mark()
            stage.peer.planned(master)
            stage.wait_alone(backup)
            yield blackout(probe, mark)
            master, backup = backup, master
            stage.wait_settled(master, backup)
