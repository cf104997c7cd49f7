"""How soon the backup has what was changed on the master: one edit, many files at once, everything."""

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from tests.labkit import CONFIG_TREE, eventually
from tests.labkit.trees import differences

from .alike import Alike
from .copiers import COPIERS, LSYNCD, SIDE_BY_SIDE, Copier, Pair, Predecessor, began, nodes, replicating, wait_quiet
from .effort import Effort
from .rows import NEVER, OURS, Limit, Row, Table, sampled
from .stage import leave_alone

LOOK: Final = 10.0
"""Seconds after which what has not arrived is said never to."""

POLL: Final = 0.0002
SELDOM: Final = 0.02
"""Seconds between two looks at thousands of files, so that looking costs none of the two cores."""

SMALL, LARGE, BURST = 300, 10_000, 1000
A_FOLDER: Final = 100
"""Files in each of the folders that make a tree large."""

RSYNC: Final = "rsync -a"
PREPARED: Final = 60.0


def edit(effort: Effort) -> Table:
    """One file again and again."""
    table = Table(
        "One edit",
        f"From the return of the write to the backup's file having the content, at the top of a tree of {SMALL} files; "
        "each edit is over before the next. lsyncd is at `delay` 0 where nothing else is said.",
        yardstick=LSYNCD,
    )
    found = {name: list(edits(name, effort.edits)) for name in COPIERS}
    limits = (Limit("median", 60), Limit("p99", 150), Limit("median", 0.125, relative=True))
    table.rows.append(Row(f"{effort.edits} edits", "ms", found, limits, LSYNCD))
    return table


def edits(name: str, count: int, grow: Callable[[Path], None] | None = None) -> Iterator[float]:
    """Yield the milliseconds of each."""
    with replicating(name, grow) as (pair, copier):
        yield from edited(pair, copier, count)


def edited(pair: Pair, copier: Copier, count: int) -> Iterator[float]:
    """Yield the milliseconds each edit of a settled pair takes."""
    for number in range(count):
        # Longer each time: a rewrite of the same size is a question of its own, for the table of what arrives.
        yield 1000 * one_edit(pair, "zlb-start", "#!/bin/sh\n" + "#\n" * (number + 1))
        wait_quiet(pair, copier)


def one_edit(pair: Pair, name: str, text: str) -> float:
    """Rewrite a file in place as an editor does; return the seconds until it has arrived."""
    pair.ours(name).write_text(text)
    return arrival(partial(has, pair.theirs(name), text.encode()))


def has(path: Path, content: bytes) -> bool:
    """Whether a file has this content."""
    return path.read_bytes() == content


def arrival(check: Callable[[], bool], within: float = LOOK, poll: float = POLL) -> float:
    """Return the seconds from now until something is so, looking five thousand times a second or as often as is said."""
    start = time.monotonic()
    while (took := time.monotonic() - start) < within:
        try:
            if check():
                return time.monotonic() - start
        except OSError:
            pass
        leave_alone(poll + took / 1000)
    return NEVER


def burst(effort: Effort) -> Table:
    """A folder full of new files."""
    table = Table(
        "Many files at once",
        f"{BURST} files are written into a new folder one after the other; from the last one's write to all of them being "
        f"there, with mode, owner and size. *never*: not within {LOOK:g} s.",
        yardstick=LSYNCD,
    )
    (found,) = sampled(_burst, SIDE_BY_SIDE, effort.runs)
    table.rows.append(Row(f"{BURST} files", "s", found, (Limit("max", 1.5),), LSYNCD))
    return table


def _burst(name: str, _phase: float) -> tuple[float]:
    with replicating(name) as (pair, _):
        fill(pair.ours("burst"), BURST)
        alike = Alike(pair.ours("burst"), pair.theirs("burst"), pair.facts)
        return (arrival(alike.reached),)


def fill(folder: Path, count: int) -> None:
    """Write so many small files into a new folder."""
    folder.mkdir()
    for number in range(count):
        (folder / f"farm-{number:05d}_proxy.cfg").write_text(farm(number))


def farm(number: int) -> str:
    """Return the configuration of a farm, half a kilobyte to two as they have."""
    backends = "".join(f"    BackEnd\n      Address 10.9.{number % 250}.{one}\n    End\n" for one in range(number % 30))
    return f'Name "farm-{number}"\nAddress 10.8.{number // 250 % 250}.{number % 250}\n' + backends + "# end\n" * 70


def grown(total: int) -> Callable[[Path], None]:
    """Return what makes a tree of the product hold so many files more or less: folders with a hundred each."""

    def grow(tree: Path) -> None:
        for number in range((total - SMALL) // A_FOLDER):
            parent = tree / "tenants" / f"{number // A_FOLDER}"
            parent.mkdir(parents=True, exist_ok=True)
            fill(parent / f"{number:04d}", A_FOLDER)

    return grow


def first(effort: Effort) -> Table:
    """An empty backup gets everything."""
    table = Table(
        "First synchronisation",
        "Of an empty folder, from the start of the process that replicates to both being alike, by the time of the last "
        "change that the kernel noted there; the start of the rest of a service is not counted. "
        f"`{RSYNC}` is one such command over the same ssh, from its start to its end.",
        yardstick=LSYNCD,
    )
    for total in (SMALL, LARGE):
        (found,) = sampled(partial(_first, total), (*SIDE_BY_SIDE, RSYNC), effort.runs)
        table.rows.append(Row(f"{total:,} files", "s", found, (), LSYNCD))
        ratio = statistics.median(found[OURS]) / statistics.median(found[RSYNC])
        limits = (Limit("max", 1.5),) if total == LARGE else ()
        table.rows.append(Row(f"{total:,} files: ours by `{RSYNC}`, medians", "", {OURS: [ratio]}, limits, LSYNCD))
    return table


def _first(total: int, name: str, _phase: float) -> tuple[float]:
    with nodes(grown(total)) as pair:
        if name == RSYNC:
            return (_bare_rsync(pair),)
        alike = Alike(pair.ours(), pair.theirs(), pair.facts)
        copier = COPIERS[name]()
        copier.start(pair)
        eventually(lambda: copier.process in pair.master.processes().values(), within=10, what=f"{copier.process} runs")
        assert arrival(alike.reached, PREPARED, SELDOM) < PREPARED, f"{name} does not make {total} files alike"
        took = alike.last_change() - began(pair.master, copier.process)
        wait_quiet(pair, copier)
        wrong = differences(pair.ours(), pair.theirs(), pair.facts)
        assert not wrong or name == Predecessor.name, f"{name} ended with {wrong[:3]}"
        return (took,)


def _bare_rsync(pair: Pair) -> float:
    start = time.monotonic()
    target = f"root@{pair.backup.address}:{CONFIG_TREE}/"
    pair.master.run(["rsync", "-a", f"{CONFIG_TREE}/", target], timeout=PREPARED)
    return time.monotonic() - start
