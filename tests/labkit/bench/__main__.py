"""The command line of `script/bench`."""

import argparse
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

from skd_cluster import __version__

from . import chart
from .arrivals import arrives
from .cost import cost
from .death import all_processes, one_process
from .effort import FULL, Effort
from .healing import healing
from .pace import jitter
from .peers import Setup
from .replication import burst, edit, first
from .rows import Table, to_json
from .scraping import scraping
from .steadiness import Trouble, report, steadiness
from .takeover import planned, power_loss, sigterm
from .upkeep import huge, upkeep

Tables: TypeAlias = Mapping[str, Callable[[Effort], Table]]

FAILOVER: Final[Tables] = {
    "power": power_loss,
    "planned": planned,
    "sigterm": sigterm,
    "one": one_process,
    "all": all_processes,
    "healing": healing,
    "jitter": jitter,
    "steadiness": steadiness,
    "cost": cost,
    "scraping": scraping,
}
REPLICATION: Final[Tables] = {
    "edit": edit,
    "burst": burst,
    "first": first,
    "cost": upkeep,
    "arrives": arrives,
    "huge": huge,
}
TABLES: Final[Mapping[str, Tables]] = {"failover": FAILOVER, "replication": REPLICATION}
LONG: Final = ("huge",)
"""Only when named, or with `--full`."""


def host() -> dict[str, object]:
    """Say where and with what."""
    return {
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "skd-cluster": __version__,
        "keepalived": _first_number(["keepalived", "--version"]),
        "ucarp": _first_number(["ucarp", "--help"]),
        "lsyncd": _first_number(["lsyncd", "--version"]),
        "rsync": _first_number(["rsync", "--version"]),
    }


def _first_number(command: list[str]) -> str:
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+", said.stdout + said.stderr)
    return found.group() if found else "unknown"


def processor_times() -> list[int]:
    """Return what the host's processors did so far, in ticks: user, nice, system, idle, iowait, irq, softirq, steal."""
    return [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]


def compare(chosen: Tables, effort: Effort, json: Path | None, svg: Path | None) -> int:
    """Print each table as soon as it is there; return 1 if a limit does not hold."""
    facts = host()
    print(
        f"## {', '.join(f'{value} {name}' if name == 'cores' else f'{name} {value}' for name, value in facts.items())}\n"
    )
    before, began = processor_times(), time.monotonic()
    tables = []
    for measure in chosen.values():
        table = measure(effort)
        tables.append(table)
        print(table.markdown(), flush=True)
    spent = [after - earlier for earlier, after in zip(before, processor_times(), strict=True)]
    facts["stolen"] = f"{100 * spent[7] / sum(spent):.1f} %"
    facts["seconds"] = round(time.monotonic() - began)
    limited = [row for table in tables for row in table.rows if row.limits]
    held = sum(row.held for row in limited)
    print(
        f"{held} of {len(limited)} limits held; {facts['seconds']} s; {facts['stolen']} of the processors' time was "
        "taken by other machines of the host (steal)"
    )
    if json:
        json.write_text(to_json(tables, facts))
    if svg:
        svg.write_text(chart.draw(tables))
    return 0 if held == len(limited) else 1


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    parser.add_argument("what", nargs="?", choices=(*TABLES, "steady"), default="failover")
    parser.add_argument("--minutes", type=float, help="of steadiness; for steady 10 without it")
    tables = parser.add_argument_group(
        " and ".join(TABLES), "tables that compare with keepalived and ucarp, and with lsyncd and version 2"
    )
    tables.add_argument("--full", action="store_true", help="many runs: hours; of replication also 100,000 files")
    tables.add_argument("--runs", type=int, help="of what needs a fresh pair")
    tables.add_argument(
        "--slow-runs", type=int, help="of what takes seconds each time: 1 s intervals, SIGSTOP, healing"
    )
    tables.add_argument("--handovers", type=int, help="planned ones")
    tables.add_argument("--edits", type=int, help="of one file")
    tables.add_argument("--seconds", type=float, help="of listening for jitter and cost")
    names = "; ".join(f"{what}: {', '.join(each)}" for what, each in TABLES.items())
    tables.add_argument("--only", default="", metavar="NAME,...", help=names)
    tables.add_argument("--json", type=Path, metavar="FILE", help="write everything, each sample too")
    tables.add_argument("--svg", type=Path, metavar="FILE", help="draw the blackouts")
    steady = parser.add_argument_group("steady", "our pair left alone")
    steady.add_argument("--interval", type=float, default=0.1)
    steady.add_argument("--dead-ratio", type=int, default=3)
    steady.add_argument("--detection", choices=("patient", "probing"), default="patient")
    steady.add_argument("--hogs", type=int, default=4, help="busy loops on the master")
    steady.add_argument("--loss", type=float, default=0.0, help="percent")
    options = parser.parse_args()
    known = TABLES.get(options.what, {})
    if options.only and (unknown := set(options.only.split(",")) - known.keys()):
        parser.error(f"no such table of {options.what}: {', '.join(sorted(unknown))}")
    return options


def main() -> int:
    """Run what was asked for."""
    options = arguments()
    if options.what == "steady":
        setup = Setup(options.interval, dead_ratio=options.dead_ratio, detection=options.detection)
        return 1 if report(Trouble(setup, options.hogs, options.loss), options.minutes or 10) else 0
    wanted = {
        name: getattr(options, name) for name in ("runs", "slow_runs", "handovers", "edits", "seconds", "minutes")
    }
    effort = replace(FULL if options.full else Effort(), **{name: value for name, value in wanted.items() if value})
    known = TABLES[options.what]
    names = options.only.split(",") if options.only else [one for one in known if options.full or one not in LONG]
    return compare({name: known[name] for name in names}, effort, options.json, options.svg)


if __name__ == "__main__":
    sys.exit(main())
