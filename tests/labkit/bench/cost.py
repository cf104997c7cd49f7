"""What the service costs the master: processor and memory, of each of its processes and of all."""

import itertools
import os
import time
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

from tests.labkit import Node

from .effort import Effort
from .peers import PEERS, Setup
from .rows import OURS, YARDSTICK, Limit, Row, Table
from .stage import leave_alone, settled

CPU_LIMITS: Final = {0.1: 2.0, 0.01: 6.0}
MEMORY_LIMIT: Final = 80.0
ALL: Final = "all together"
NOT_ITS: Final = ("sshd",)
RECEIVER: Final = "skd-cluster receive"
TICKS: Final = os.sysconf("SC_CLK_TCK")

Shares: TypeAlias = dict[str, dict[str, float]]
"""By peer, then by process."""


def cost(effort: Effort) -> Table:
    """At both intervals; memory is taken at the shorter one."""
    table = Table(
        "Cost on the master",
        "Of the whole service, replication connected and idle, ssh included. PSS counts shared pages once.",
    )
    used = {interval: _used_by_both(interval, effort.seconds) for interval in CPU_LIMITS}
    for interval, (cpu, _) in used.items():
        _add(table, f"{Setup(interval).text}: processor, ", "% of a core", cpu, CPU_LIMITS[interval])
    _add(table, "memory, ", "MB PSS", used[min(used)][1], MEMORY_LIMIT)
    return table


def _add(table: Table, what: str, unit: str, shares: Shares, most: float) -> None:
    for process in dict.fromkeys(itertools.chain.from_iterable(shares.values())):
        found = {name: [share[process]] for name, share in shares.items() if process in share}
        limits = (Limit("max", most),) if process == ALL else ()
        table.rows.append(Row(what + process, unit, found, limits))


def _used_by_both(interval: float, seconds: float) -> tuple[Shares, Shares]:
    cpu: Shares = {}
    taken: Shares = {}
    for name in (OURS, YARDSTICK):
        with settled(PEERS[name], Setup(interval)) as stage:
            leave_alone(2.0)  # what starting costs is not the question
            before = processor(stage.lb1, NOT_ITS)
            began = time.monotonic()
            leave_alone(seconds)
            after, took = processor(stage.lb1, NOT_ITS), time.monotonic() - began
            spent = {process: 100 * (used - before.get(process, 0)) / took for process, used in after.items()}
            cpu[name] = _with_sum(spent)
            taken[name] = _with_sum(memory(stage.lb1, NOT_ITS))
    return cpu, taken


def _with_sum(shares: Mapping[str, float]) -> dict[str, float]:
    return {**shares, ALL: sum(shares.values())}


def _processes(node: Node, left_out: Container[str]) -> Iterator[tuple[str, Path]]:
    for pid, name in node.processes().items():
        folder = Path(f"/proc/{pid}")
        label = _label(name, folder)
        if label not in left_out:
            yield label, folder


def _label(name: str, folder: Path) -> str:
    """Tell the receiver of a session from the service: both are skd-cluster."""
    with suppress(OSError):
        if name == OURS and b"receive" in (folder / "cmdline").read_bytes().split(b"\0"):
            return RECEIVER
    return name


def processor(node: Node, left_out: Container[str]) -> dict[str, float]:
    """Return the seconds that processes of each name have run so far, with what their ended children took."""
    used: dict[str, float] = defaultdict(float)
    for name, folder in _processes(node, left_out):
        with suppress(OSError):
            threads = [task.read_text() for task in folder.glob("task/*/schedstat")]
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            ended = (int(fields[13]) + int(fields[14])) / TICKS
            used[name] += sum(int(text.split()[0]) for text in threads) / 1e9 + ended
    return used


def memory(node: Node, left_out: Container[str]) -> dict[str, float]:
    """Return the megabytes of processes of each name, pages that several share counted once."""
    used: dict[str, float] = defaultdict(float)
    for name, folder in _processes(node, left_out):
        with suppress(OSError):
            lines = (folder / "smaps_rollup").read_text().splitlines()
            used[name] += next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return used
