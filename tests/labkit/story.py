"""A story told on a pair: what is measured is printed as it happens, and kept for a table at the end."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.fixtures.skudonet_tree import TreeFacts

from .client import Prober
from .holders import HolderWatch
from .lab import Lab
from .node import Node
from .waiting import eventually


@dataclass
class Figure:
    """One line of the table: what was measured, against what it must be."""

    what: str
    measured: str
    limit: str
    held: bool


@dataclass
class Story:
    """The pair, the client's probe, and the figures collected so far."""

    lab: Lab
    lb1: Node
    lb2: Node
    probe: Prober
    watch: HolderWatch
    facts: dict[str, TreeFacts]
    figures: list[Figure] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """Print one line with the time since the beginning."""
        print(f"{time.monotonic() - self.began:6.1f} s  {text}", flush=True)

    def figure(self, what: str, milliseconds: float, limit: float | None, note: str = "") -> None:
        """Print and keep a measurement in milliseconds; `limit` None is for information only."""
        held = limit is None or milliseconds <= limit
        self.figures.append(Figure(what, f"{milliseconds:.1f} ms", "" if limit is None else f"{limit:.0f} ms", held))
        against = "" if limit is None else f" (limit {limit:.0f} ms)"
        self.say(f"{'  ok  ' if held else 'FAILED'} {what}: {milliseconds:.1f} ms{against}{note}")

    def fact(self, what: str, *, held: bool, found: str) -> None:
        """Print and keep a yes-or-no."""
        self.figures.append(Figure(what, found, "", held))
        self.say(f"{'  ok  ' if held else 'FAILED'} {what}: {found}")

    def wait(self, check: Callable[[], object], what: str, within: float = 10.0) -> float:
        """Wait for something to be observed; return the milliseconds it took. Raises AssertionError."""
        start = time.monotonic()
        eventually(check, within=within, what=what)
        return (time.monotonic() - start) * 1000

    @contextmanager
    def gap(self, what: str, limit: float | None) -> Iterator[None]:
        """Measure the client's longest gap around what happens inside, and the moments with two holders."""
        mark, watched = self.probe.mark(), self.watch.mark()
        yield
        self.probe.wait_answer(10.0)
        self.gap_figure(f"client's longest gap, {what}", mark, limit, watched)

    def gap_figure(self, what: str, mark: int, limit: float | None, watched: float) -> None:
        """Print and keep the longest gap since `mark`: the time between two answered probes with lost ones between."""
        gap = self.probe.gap_since(mark)
        overlap = self.watch.overlap_seconds(watched) * 1000
        note = f"; two holders for {overlap:.1f} ms" if overlap else ""
        self.figure(what, gap.ms if gap.lost else 0.0, limit, note or ("" if gap.lost else "; not one probe lost"))

    def roles(self, lb1: str, lb2: str) -> Callable[[], bool]:
        """Return a check that the nodes have these roles."""
        return lambda: (self.lb1.role(), self.lb2.role()) == (lb1, lb2)

    def know_each_other(self) -> None:
        """Wait until both nodes hear each other."""
        both = (self.lb1, self.lb2)
        self.wait(lambda: all(node.status()["peer"]["heard"] for node in both), "both hear each other")

    def in_sync(self, node: Node) -> Callable[[], bool]:
        """Return a check that the master says that its peer has everything."""
        return lambda: node.status()["replication"]["in_sync"] is True


def table(figures: list[Figure]) -> str:
    """Return the figures as a Markdown table."""
    rows = [f"| {one.what} | {one.measured} | {one.limit} | {'yes' if one.held else 'NO'} |" for one in figures]
    return "\n".join(["| measured | found | limit | held |", "|---|---|---|---|", *rows])
