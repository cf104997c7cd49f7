"""A pair left alone under load or loss: who changes his role without need."""

import itertools
from dataclasses import dataclass
from typing import Any, Final

from tests.labkit import Node

from .effort import Effort
from .peers import PEERS, Ours, Setup
from .rows import OURS, YARDSTICK, Limit, Row, Table
from .stage import Stage, hogs, leave_alone, settled

NO_CHANGE: Final = (Limit("max", 0),)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a pair has to live with."""

    setup: Setup
    hogs: int = 0
    loss: float = 0.0

    @property
    def text(self) -> str:
        """In words."""
        setup = self.setup
        parts = [setup.text, f"dead ratio {setup.dead_ratio}"]
        parts += ['`detection="probing"`'] if setup.detection == "probing" else []
        parts += [f"{self.hogs} hogs"] if self.hogs else []
        parts += [f"{self.loss:g} % loss"] if self.loss else []
        return ", ".join(parts)


TROUBLES: Final = (
    Trouble(Setup(0.01), hogs=8),
    Trouble(Setup(0.1, dead_ratio=6), loss=10),
    Trouble(Setup(0.1, detection="probing"), hogs=8, loss=5),
)


def steadiness(effort: Effort) -> Table:
    """Count what should not be."""
    table = Table(
        "Steadiness",
        f"Needless role changes in {effort.minutes:g} minutes: how often a node that did not hold the address came to hold "
        "it. Hogs are busy loops on the master; loss hits every frame in every direction. keepalived knows no probing and "
        "is measured at the same interval and dead ratio.",
    )
    for trouble in TROUBLES:
        found = {name: [endured(name, trouble, effort.minutes)] for name in (OURS, YARDSTICK)}
        table.rows.append(Row(trouble.text, "role changes", found, NO_CHANGE))
    return table


def endured(name: str, trouble: Trouble, minutes: float) -> float:
    """Return how many takeovers there were."""
    with settled(PEERS[name], trouble.setup) as stage:
        return _endure(stage, trouble, minutes)


def _endure(stage: Stage, trouble: Trouble, minutes: float) -> int:
    with hogs(stage.lb1, trouble.hogs):
        stage.lab.lose(trouble.loss)
        since = stage.watch.mark()
        leave_alone(minutes * 60)
        spans = stage.watch.spans(since)
    return sum(len(after.holders - before.holders) for before, after in itertools.pairwise(spans))


def report(trouble: Trouble, minutes: float) -> int:
    """Print what our pair did under trouble; return the number of things that must not be."""
    with settled(Ours, trouble.setup) as stage, stage.probe() as probe:
        probe.wait_answer()
        before = {node.name: node.status() for node in (stage.lb1, stage.lb2)}
        mark = probe.mark()
        changes = _endure(stage, trouble, minutes)
        gap = probe.gap_since(mark)
        stage.lab.heal()
        print(f"{minutes:g} minutes, {trouble.text}")
        print(f"  role changes: {changes}; client's longest gap: {gap.ms:.1f} ms, {gap.lost} probes lost in it")
        wrong = changes
        for node in (stage.lb1, stage.lb2):
            after = node.status()
            epochs = after["epoch"] - before[node.name]["epoch"]
            late = _late(node, after, trouble.setup.interval)
            wrong += late + epochs
            print(f"       epoch +{epochs}")
        return wrong


def _late(node: Node, status: dict[str, Any], interval: float) -> int:
    """Print how well a node kept the pace; return how often its loop was two intervals late."""
    metrics = scrape(node)
    late = above(metrics, "elector_lateness_seconds", 2 * interval)
    sent, errors = metrics["advertisements_sent_total"], status["counters"].get("send_errors", 0)
    jitter = quantile(metrics, "advertisement_jitter_seconds", 0.99)
    print(f"  {node.name}: sent {sent:.0f}, not sent {errors}, due two intervals ago or more: {late}")
    print(f"       jitter of the peer's advertisements by its own metric: p99 at most {jitter * 1000:g} ms")
    return late


def scrape(node: Node) -> dict[str, float]:
    """Return the node's metrics by name and labels, without the prefix."""
    text = node.run(["curl", "-fsS", f"http://{node.address}:9869/metrics"]).stdout
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("skd_cluster_"))
    return {name.removeprefix("skd_cluster_"): float(value) for name, value in pairs}


def buckets(metrics: dict[str, float], name: str) -> list[tuple[float, float]]:
    """Return a histogram's cumulative buckets, rising."""
    start = f'{name}_bucket{{le="'
    return sorted((float(key[len(start) : -2]), count) for key, count in metrics.items() if key.startswith(start))


def above(metrics: dict[str, float], name: str, limit: float) -> int:
    """Return how many observations were surely above a limit in seconds."""
    found = buckets(metrics, name)
    return round(found[-1][1] - next(count for bound, count in found if bound >= limit))


def quantile(metrics: dict[str, float], name: str, share: float) -> float:
    """Return the upper bound of the bucket in which a quantile lies, in seconds."""
    found = buckets(metrics, name)
    return next(bound for bound, count in found if count >= share * found[-1][1])
