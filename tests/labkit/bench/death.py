"""Processes that die or hang: how long an address stays where it should not, and whether the client notices."""

import signal
from functools import partial
from typing import Final

from tests.labkit import CONFIG_TREE, Prober, eventually

from .effort import Effort
from .peers import PEERS, Setup, Ucarp, signal_all
from .rows import NEVER, OURS, YARDSTICK, Limit, Row, Table, sampled
from .stage import Stage, leave_alone, settled
from .tap import Tap

LOOK: Final = 5.0
"""Seconds that one looks at a pair that does not mend itself."""

SETTLING: Final = 0.1
"""Seconds at the end of a look whose probes may still be answered."""

PAIR: Final = (OURS, YARDSTICK)
VIP_LEASE: Final = 2.0


def one_process(effort: Effort) -> Table:
    """The one that advertises, its parent, the replicator."""
    table = Table(
        "kill -9 of one process",
        f"At 100 ms. From the signal; *never*: not within {LOOK:g} s. The worker is `skd-elector` and keepalived's VRRP "
        "process, the parent `skd-cluster` and keepalived's main process. No systemd restarts anything here.",
    )
    at_most = (Limit("max", 50),)
    for part in ("worker", "parent"):
        taken, left = sampled(partial(_killed, part), PAIR, effort.runs, 2)
        table.rows.append(Row(f"{part}: until the peer holds the address", "ms", taken, at_most))
        table.rows.append(Row(f"{part}: until this node does not", "ms", left, at_most))
    changes, resumed = sampled(_replicator_killed, (OURS,), effort.runs, 2)
    table.rows.append(Row("`skdinotify`: role changes", "", changes, (Limit("max", 0),)))
    table.rows.append(Row("`skdinotify`: until a change made at once has arrived", "s", resumed, (Limit("max", 1),)))
    return table


def _killed(part: str, name: str, phase: float) -> tuple[float, float]:
    with settled(PEERS[name], Setup()) as stage:
        stage.wait_phase(phase)
        since = stage.watch.mark()
        stage.signal(stage.lb1, part, signal.SIGKILL)
        stage.look(lambda: stage.alone(stage.lb2), LOOK)
        spans = stage.watch.spans(since)
        taken = next((span.start - since for span in spans if stage.lb2.name in span.holders), NEVER)
        left = next((span.start - since for span in spans if stage.lb1.name not in span.holders), NEVER)
        return taken * 1000, left * 1000


def _replicator_killed(name: str, phase: float) -> tuple[float, float]:
    with settled(PEERS[name], Setup()) as stage:
        since = stage.watch.mark()
        stage.signal(stage.lb1, "replicator", signal.SIGKILL)
        text = f"# {phase}\n"
        here, there = (node.path(f"{CONFIG_TREE}/bench.conf") for node in (stage.lb1, stage.lb2))
        here.write_text(text)
        eventually(lambda: there.read_text() == text, within=30, what="the change has arrived")
        resumed = stage.watch.mark() - since
        return len(stage.watch.spans(since)) - 1, resumed


def all_processes(effort: Effort) -> Table:
    """Nobody is left to drop the address."""
    table = Table(
        "kill -9 and SIGSTOP of all processes",
        f"At 100 ms, ucarp at 1 s; one looks for {LOOK:g} s. *Astray* are probes after the new master's first answer "
        "that it did not answer: lost, or answered by the old one.",
    )
    for number in (signal.SIGKILL, signal.SIGSTOP):
        what = "kill -9" if number is signal.SIGKILL else "SIGSTOP"
        overlap, astray = sampled(partial(_everything, number), (*PAIR, Ucarp.name), effort.slow_runs, 2)
        table.rows.append(Row(f"{what}: two holders", "s", overlap, (Limit("max", VIP_LEASE + 0.5),)))
        table.rows.append(Row(f"{what}: probes astray", "%", astray, (Limit("max", 0),)))
    return table


def _everything(number: signal.Signals, name: str, phase: float) -> tuple[float, float]:
    setup = Setup(1) if name == Ucarp.name else Setup()
    with settled(PEERS[name], setup) as stage, stage.probe() as probe, Tap(stage.client) as tap:
        probe.wait_answer()
        stage.wait_phase(phase)
        since = stage.watch.mark()
        signal_all(stage.peer, stage.lb1, number)
        stage.wait_held(stage.lb2, within=10)
        taken = stage.watch.mark()
        leave_alone(LOOK)
        overlap = stage.watch.overlap_seconds(since)
        assert taken > since
        return overlap, _astray(stage, tap, probe)


def _astray(stage: Stage, tap: Tap, probe: Prober) -> float:
    """Return the share of probes, in percent, that the new master should have answered alone and did not."""
    new = stage.mac(stage.lb2)
    last = probe.sent - round(SETTLING * 1000)
    answers = [(one.probe, one.mac) for one in tap.arrivals() if one.probe is not None]
    ours = {probe for probe, mac in answers if mac == new}
    others = {probe for probe, mac in answers if mac != new}
    expected = range(min(ours, default=last), last)
    return 100 * sum(index not in ours or index in others for index in expected) / max(1, len(expected))
