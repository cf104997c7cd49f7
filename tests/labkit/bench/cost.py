"""What the service costs the master: processor and memory, of each of its processes and of all."""

import os
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.labkit import Node

from .effort import Effort
from .peers import PEERS, Setup
from .rows import OURS, YARDSTICK, Limit, Row, Table
from .stage import leave_alone, settled

CPU_LIMITS: Final = {0.1: 2.0, 0.01: 6.0}
MEMORY_LIMIT: Final = 80.0
ALL: Final = "all together"
NOT_ITS: Final = ("sshd",)


def cost(effort: Effort) -> Table:
    """At both intervals; memory is the same at both."""
    table = Table(
        "Cost on the master",
        "Of the whole service, replication connected and idle, ssh included. PSS counts shared pages once.",
    )
    for interval, most in CPU_LIMITS.items():
        setup = Setup(interval, replicate=True)
        found = {name: _used(name, setup, effort.seconds) for name in (OURS, YARDSTICK)}
        for process in dict.fromkeys(process for _, cpu, _ in found.values() for process in cpu):
            cpus = {name: [cpu[process]] for name, (_, cpu, _) in found.items() if process in cpu}
            limits = (Limit("max", most),) if process == ALL else ()
            table.rows.append(Row(f"{setup.text}: {process}", "% of a core", cpus, limits))
    for process in dict.fromkeys(process for _, _, memory in found.values() for process in memory):
        sizes = {name: [memory[process]] for name, (_, _, memory) in found.items() if process in memory}
        limits = (Limit("max", MEMORY_LIMIT),) if process == ALL else ()
        table.rows.append(Row(process, "MB PSS", sizes, limits))
    return table
