"""What was found: samples by peer, statistics of them, and whether limits hold."""

import json
import math
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

OURS: Final = "skd-cluster"
YARDSTICK: Final = "keepalived"
NEVER: Final = math.inf
"""What did not happen for as long as one looked."""


def percentile(values: Iterable[float], share: float) -> float:
    """Return the smallest value that this share of all does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


STATISTICS: Final[Mapping[str, Callable[[list[float]], float]]] = {
    "median": statistics.median,
    "p99": lambda values: percentile(values, 0.99),
    "max": max,
}


@dataclass(frozen=True, slots=True)
class Limit:
    """What one of our statistics may be at most; `relative` to the same of the yardstick."""

    statistic: str
    most: float
    relative: bool = False

    def text(self, yardstick: str) -> str:
        """As in the table."""
        return f"{self.statistic} ≤ {self.most:g}" + (f" of {yardstick}" if self.relative else "")

    def holds(self, found: Mapping[str, list[float]], yardstick: str) -> bool:
        """Whether we keep it."""
        ours, measure = found[OURS], STATISTICS[self.statistic]
        most = self.most * measure(found[yardstick]) if self.relative else self.most
        return measure(ours) <= most


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table."""

    what: str
    unit: str
    found: Mapping[str, list[float]]
    limits: tuple[Limit, ...] = ()
    yardstick: str = YARDSTICK

    @property
    def held(self) -> bool:
        """Whether every limit holds."""
        return all(limit.holds(self.found, self.yardstick) for limit in self.limits)

    def cells(self, peers: Iterable[str]) -> list[str]:
        """Return the line of the table."""
        kept = ("yes" if self.held else "**no**") if self.limits else ""
        found = [self._statistics(name) for name in peers]
        limits = "; ".join(limit.text(self.yardstick) for limit in self.limits)
        return [f"{self.what}, {self.unit}" if self.unit else self.what, *found, self._ratios(), limits, kept]

    def _statistics(self, name: str) -> str:
        values = self.found.get(name)
        if not values:
            return ""
        if len(values) == 1:
            return number(values[0])
        return " · ".join(number(measure(values)) for measure in STATISTICS.values())

    def _ratios(self) -> str:
        ours, theirs = self.found.get(OURS), self.found.get(self.yardstick)
        if not ours or not theirs:
            return ""
        measures = list(STATISTICS.values()) if len(ours) > 1 else [max]
        return " · ".join(_ratio(measure(ours), measure(theirs)) for measure in measures)


@dataclass
class Table:
    """One subject."""

    title: str
    note: str = ""
    rows: list[Row] = field(default_factory=list)
    yardstick: str = YARDSTICK

    def markdown(self) -> str:
        """Return it as in docs/performance.md."""
        peers = list(dict.fromkeys(name for row in self.rows for name in row.found))
        head = ["measured", *peers, f"ratio to {self.yardstick}", "limit", "held"]
        lines = [head, ["---"] * len(head), *(row.cells(peers) for row in self.rows)]
        body = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        return f"### {self.title}\n\n{self.note}\n\n{body}\n" if self.note else f"### {self.title}\n\n{body}\n"


def number(value: float) -> str:
    """Return three significant digits, and no more decimals than anybody could believe."""
    if math.isinf(value):
        return "never"
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}" if abs(value) < 10 else f"{value:.1f}"


def _ratio(ours: float, theirs: float) -> str:
    if math.isinf(theirs):
        return "0" if math.isfinite(ours) else "-"
    return f"{ours / theirs:.2f}" if theirs else "-"


def sampled(
    measure: Callable[[str, float], tuple[float, ...]], peers: Iterable[str], runs: int, figures: int = 1
) -> list[dict[str, list[float]]]:
    """Measure each peer in turn, so that a busy minute of the host hits all alike; return the samples of each figure.

    `measure` gets the peer's name and a phase between 0 and 1, evenly spread over the runs, and returns all figures of one
    run. A run that ends in an AssertionError counts as never.
    """
    found: list[dict[str, list[float]]] = [{name: [] for name in peers} for _ in range(figures)]
    for run in range(runs):
        for name in found[0]:
            try:
                values = measure(name, (run + 0.5) / runs)
            except AssertionError as error:
                print(f"{name}, run {run + 1}: {error}", file=sys.stderr)
                values = (NEVER,) * figures
            for figure, value in zip(found, values, strict=True):
                figure[name].append(value)
    return found


def to_json(tables: Iterable[Table], facts: Mapping[str, object]) -> str:
    """Return everything, each sample too; null is never."""
    content = [
        {
            "title": table.title,
            "rows": [
                {
                    "measured": row.what,
                    "unit": row.unit,
                    "samples": {name: [_finite(value) for value in values] for name, values in row.found.items()},
                    "statistics": {
                        name: {what: _finite(measure(values)) for what, measure in STATISTICS.items()}
                        for name, values in row.found.items()
                        if values
                    },
                    "limits": [limit.text(row.yardstick) for limit in row.limits],
                    "held": row.held,
                }
                for row in table.rows
            ],
        }
        for table in tables
    ]
    return json.dumps({"facts": dict(facts), "tables": content}, indent=1) + "\n"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
