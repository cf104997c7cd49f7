"""What replication costs both nodes, idle and at work, and what a tree of 100,000 files does to it."""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.labkit import Node

from .copiers import LSYNCD, SIDE_BY_SIDE, Pair, replicating
from .cost import memory, processor
from .effort import Effort
from .replication import SMALL, edited, grown, one_edit
from .rows import OURS, Limit, Row, Table
from .stage import leave_alone

HUGE: Final = 100_000
PREPARED: Final = 600.0
IDLE: Final = 10.0
"""Seconds."""

AT_WORK: Final = 20
"""Edits."""

PAUSE: Final = 0.3
"""Seconds after each of them."""

NOT_REPLICATION: Final = ("skd-cluster", "skd-elector")
"""The service and its election. `skd-cluster receive`, the other end of a session, has a name of its own here."""


@dataclass
class Used:
    """Of one copier, by figure."""

    found: dict[str, float] = field(default_factory=dict)

    def idle(self, pair: Pair) -> None:
        """Look on."""
        leave_alone(2.0)
        before, began = _processor(pair), time.monotonic()
        leave_alone(IDLE)
        after, took = _processor(pair), time.monotonic() - began
        for side, node in _sides(pair):
            self.found[f"{side}: idle, % of a core"] = 100 * (after[side] - before[side]) / took
            self.found[f"{side}: memory, MB PSS"] = sum(memory(node, NOT_REPLICATION).values())

    def at_work(self, pair: Pair) -> None:
        """Edit."""
        before = _processor(pair)
        for number in range(AT_WORK):
            one_edit(pair, "zlb-start", "#!/bin/sh\n" + "#\n" * (number + 1))
            leave_alone(PAUSE)
        after = _processor(pair)
        for side, _ in _sides(pair):
            self.found[f"{side}: an edit, ms of a core"] = 1000 * (after[side] - before[side]) / AT_WORK


def _sides(pair: Pair) -> Iterator[tuple[str, Node]]:
    yield "master", pair.master
    yield "backup", pair.backup


def _processor(pair: Pair) -> dict[str, float]:
    return {side: sum(processor(node, NOT_REPLICATION).values()) for side, node in _sides(pair)}


def upkeep(effort: Effort) -> Table:
    """With the product's tree."""
    table = Table(
        "Cost of replication",
        f"Of all processes that replicate, sshd and what they start included, in a tree of {SMALL} files. Idle is a look of "
        f"{IDLE:g} s, an edit the mean of {AT_WORK}. PSS counts shared pages once.",
        yardstick=LSYNCD,
    )
    found = {}
    for name in SIDE_BY_SIDE:
        with replicating(name) as (pair, _):
            found[name] = Used()
            found[name].idle(pair)
            found[name].at_work(pair)
    for figure in next(iter(found.values())).found:
        what, _, unit = figure.rpartition(", ")
        samples = {name: [used.found[figure]] for name, used in found.items()}
        limits = (Limit("max", 1.0),) if "idle" in figure else ()
        table.rows.append(Row(what, unit, samples, limits, LSYNCD))
    return table


def huge(effort: Effort) -> Table:
    """With very many files: what one edit, and doing nothing, must not cost more for."""
    table = Table(
        f"{HUGE:,} files",
        f"Half a kilobyte to two each, a hundred in a folder. Edits are of one file, as in the first table: {SMALL} files "
        "beside them in the same run.",
        yardstick=LSYNCD,
    )
    medians: dict[str, dict[int, float]] = {}
    cost: dict[str, Used] = {}
    for total in (SMALL, HUGE):
        samples: dict[str, list[float]] = {}
        for name in (OURS, LSYNCD):
            samples[name], cost[name] = _loaded(name, grown(total), effort.edits)
            medians.setdefault(name, {})[total] = statistics.median(samples[name])
        table.rows.append(Row(f"edits in {total:,} files", "ms", samples, (), LSYNCD))
    ratios = {name: [found[HUGE] / found[SMALL]] for name, found in medians.items()}
    table.rows.append(Row("how much longer, medians", "", ratios, (Limit("max", 2.0),), LSYNCD))
    for figure in cost[OURS].found:
        what, _, unit = figure.rpartition(", ")
        found = {name: [used.found[figure]] for name, used in cost.items()}
        limits = (Limit("max", 1.0),) if "idle" in figure else ()
        table.rows.append(Row(f"{HUGE:,} files, {what}", unit, found, limits, LSYNCD))
    return table


def _loaded(name: str, grow: Callable[[Path], None], edits: int) -> tuple[list[float], Used]:
    used = Used()
    with replicating(name, grow, PREPARED) as (pair, copier):
        found = list(edited(pair, copier, edits))
        used.idle(pair)
        used.at_work(pair)
    return found, used
