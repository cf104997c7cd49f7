"""What adds up: the runs of hooks, and what replicators did that ran earlier."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from skd_cluster.core.histogram import LAG_BOUNDS, Histogram
from skd_cluster.core.hooks import Outcome
from skd_cluster.core.messages import ReplicationReport
from skd_cluster.core.model import Nanos, seconds

HOOK_BOUNDS = (1e-2, 5e-2, 1e-1, 2.5e-1, 5e-1, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


@dataclass(frozen=True, slots=True)
class HookTotals:
    """What became of one hook's runs."""

    counts: tuple[int, ...] = (0,) * (len(HOOK_BOUNDS) + 1)
    total: float = 0.0
    failures: int = 0
    last: str = ""
    last_seconds: float = 0.0

    def with_run(self, outcome: Outcome, took: Nanos) -> "HookTotals":
        """Return the totals after one more run. One that a newer role ended is no failure; a missing one no run."""
        if outcome is Outcome.MISSING:
            return self
        counted = Histogram(HOOK_BOUNDS, list(self.counts), self.total)
        counted.observe(seconds(took))
        failed = outcome in (Outcome.FAILED, Outcome.TIMEOUT)
        lasted = round(seconds(took), 3)
        return HookTotals(tuple(counted.counts), counted.total, self.failures + failed, outcome.value, lasted)


@dataclass(frozen=True, slots=True)
class ReplicationTotals:
    """Numbers of replicators that ran earlier; each counts from its own start."""

    runs: Mapping[str, int] = field(default_factory=dict)
    sent_bytes: int = 0
    sent_files: int = 0
    counts: tuple[int, ...] = (0,) * (len(LAG_BOUNDS) + 1)
    total: float = 0.0

    def plus(self, report: ReplicationReport | None) -> "ReplicationTotals":
        """Return the sum of these and what a replicator counted itself."""
        if report is None:
            return self
        names = {"ok", "refused", "failed", *self.runs, *report.runs}
        lag = [*report.lag.get("counts", ()), *([0] * len(self.counts))][: len(self.counts)]
        return ReplicationTotals(
            {name: self.runs.get(name, 0) + report.runs.get(name, 0) for name in sorted(names)},
            self.sent_bytes + report.sent_bytes,
            self.sent_files + report.sent_files,
            tuple(ours + theirs for ours, theirs in zip(self.counts, lag, strict=True)),
            self.total + report.lag.get("total", 0.0),
        )
