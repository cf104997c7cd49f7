"""The metrics: read from the last snapshot at each scrape."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from skd_cluster.core.conflict import ConflictKind
from skd_cluster.core.histogram import (
    JITTER_BOUNDS,
    LAG_BOUNDS,
    LATENESS_BOUNDS,
    TAKEOVER_BOUNDS,
    Histogram,
    histogram_from,
    reported,
)
from skd_cluster.core.model import SECOND, DropReason, Fault, Nanos, Reason, Role, Transport
from skd_cluster.core.status import Snapshot
from skd_cluster.core.totals import HOOK_BOUNDS

PREFIX = "skd_cluster_"
_WORDS = tuple(role.word for role in (Role.MASTER, Role.BACKUP, Role.FAULT, Role.STANDBY))
_RESULTS = ("failed", "ok", "refused")
Sample = tuple[Sequence[str], float]


def collect(snapshot: Snapshot, now: Nanos) -> Iterator[Metric]:
    """Yield every metric of a snapshot. All names are there from the start."""
    snapshot = snapshot.as_of(now)
    yield from _about_the_node(snapshot, now)
    yield from _about_the_election(snapshot)
    yield from _about_addresses(snapshot)
    yield from _about_replication(snapshot, now)
    yield from _about_the_service(snapshot)


def _gauge(name: str, text: str, samples: Iterable[Sample] | float, labels: Sequence[str] = ()) -> Metric:
    return _filled(GaugeMetricFamily(PREFIX + name, text, labels=labels), samples)


def _counter(name: str, text: str, samples: Iterable[Sample] | float, labels: Sequence[str] = ()) -> Metric:
    return _filled(CounterMetricFamily(PREFIX + name, text, labels=labels), samples)


def _filled(family: Any, samples: Iterable[Sample] | float) -> Metric:
    for labels, value in [((), samples)] if isinstance(samples, (int, float)) else samples:
        family.add_metric(labels, value)
    metric: Metric = family
    return metric


def _histogram(
    name: str, text: str, found: Iterable[tuple[Sequence[str], Histogram]], labels: Sequence[str] = ()
) -> Metric:
    family = HistogramMetricFamily(PREFIX + name, text, labels=labels)
    for values, histogram in found:
        family.add_metric(values, histogram.cumulative(), histogram.total)
    return family


def _about_the_node(snapshot: Snapshot, now: Nanos) -> Iterator[Metric]:
    yield _gauge("build_info", "Always 1; the version is the label.", [((snapshot.version,), 1)], ["version"])
    pair = ",".join(sorted((snapshot.local_ip, snapshot.remote_ip)))
    yield _gauge(
        "pair_info",
        "Always 1; both nodes of a pair have the same label `pair`.",
        [((pair, snapshot.node), 1)],
        ["pair", "node"],
    )
    yield _gauge("start_time_seconds", "When the service was started, in seconds since 1970.", snapshot.started)
    word = snapshot.role.word if snapshot.elector is not None else ""
    yield _gauge(
        "role", "1 for the role this node has, 0 for the others.", [((one,), word == one) for one in _WORDS], ["role"]
    )
    yield _counter(
        "crashes",
        "Times since the boot that the service ended without being stopped, as when it hung.",
        snapshot.crashes,
    )
    since = now if snapshot.elector is None else snapshot.elector.since
    yield _gauge("role_age_seconds", "How long this node has its role.", max(0.0, (now - since) / SECOND))
    # Every pair that can be, so that the first failover is seen as an increase and no series comes with a role.
    counts = {(to, str(reason)): 0 for to in _WORDS for reason in Reason} | dict(snapshot.failovers)
    yield _counter("failovers", "Changes of role after the first decision.", sorted(counts.items()), ["to", "reason"])
    yield _gauge("epoch", "The mastership this node knows of; each promotion raises it.", snapshot.epoch)
    faults = {str(one[0]) for one in snapshot.elector.faults} if snapshot.elector is not None else set()
    yield _gauge(
        "fault", "1 for what keeps this node from being master.", [((one,), one in faults) for one in Fault], ["fault"]
    )
    takeover = histogram_from(TAKEOVER_BOUNDS, snapshot.takeover_counts, snapshot.takeover_total)
    yield _histogram(
        "takeover_seconds", "From the last word of the lost master to all addresses held here.", [((), takeover)]
    )
    confirmed = 0.0 if snapshot.elector is None else snapshot.elector.confirmed / SECOND
    yield _gauge(
        "takeover_confirmed_seconds",
        "Until the gateway answered to this node after the last takeover; 0 before.",
        confirmed,
    )


def _about_the_election(snapshot: Snapshot) -> Iterator[Metric]:
    report = snapshot.elector
    counters = report.counters if report else {}
    yield _counter("advertisements_sent", "Advertisements and hellos sent.", counters.get("sent", 0))
    yield _counter("advertisements_received", "Verified packets of the peer.", counters.get("received", 0))
    yield _counter(
        "advertisements_lost",
        "Packets of the peer that did not come, by the numbers of those that did; those of CARP and VRRP have none.",
        counters.get("lost", 0),
    )
    speaks = report.speaks if report else ""
    yield _gauge(
        "transport",
        "1 for the transport that decides now who is master.",
        [((one.word,), one.word == speaks) for one in Transport],
        ["transport"],
    )
    reasons = sorted({*DropReason, *(name[8:] for name in counters if name.startswith("dropped."))})
    yield _counter(
        "advertisements_dropped",
        "Packets that were not believed, by the reason.",
        [((str(reason),), counters.get(f"dropped.{reason}", 0)) for reason in reasons],
        ["reason"],
    )
    jitter = reported(JITTER_BOUNDS, report.jitter if report else {})
    lateness = reported(LATENESS_BOUNDS, report.lateness if report else {})
    yield _histogram(
        "advertisement_jitter_seconds", "How far received packets were off the sender's interval.", [((), jitter)]
    )
    yield _histogram("elector_lateness_seconds", "How late the elector's loop woke up.", [((), lateness)])
    peer = snapshot.peer
    patience = int(snapshot.peer.get("patience", 0)) / SECOND
    yield _gauge(
        "dead_interval_seconds", "How long this node lets its peer be silent before it counts as lost.", patience
    )
    yield _gauge("peer_up", "Whether the peer is heard.", bool(peer.get("alive")))
    yield _gauge("peer_hears_us", "Whether the peer says that it hears this node.", bool(peer.get("hears_us")))
    yield _gauge(
        "realtime_scheduling", "Whether the elector runs under real-time scheduling.", bool(report and report.realtime)
    )


def _about_addresses(snapshot: Snapshot) -> Iterator[Metric]:
    report = snapshot.elector
    counters = report.counters if report else {}
    held = {str(one["address"]): bool(one.get("held")) for one in report.addresses} if report else {}
    yield _gauge(
        "address_held",
        "Whether this node holds the floating address.",
        [((address,), value) for address, value in held.items()],
        ["address"],
    )
    yield _counter(
        "address_lease_renewals", "Renewals of the lifetime of addresses.", counters.get("lease_renewals", 0)
    )
    yield _counter(
        "foreign_arp", "Times that somebody else claimed a floating address by ARP.", counters.get("foreign_arp", 0)
    )


def _about_replication(snapshot: Snapshot, now: Nanos) -> Iterator[Metric]:
    report = snapshot.replication
    totals = snapshot.replication_before.plus(report)
    lag = histogram_from(LAG_BOUNDS, totals.counts, totals.total)
    yield _histogram("replication_lag_seconds", "From a change here to the peer's confirmation.", [((), lag)])
    pending = report.pending_since if report else 0
    yield _gauge(
        "replication_oldest_pending_seconds",
        "Age of the oldest change that the peer has not confirmed; 0 when there is none.",
        max(0.0, (now - pending) / SECOND) if pending else 0.0,
    )
    yield _gauge(
        "replication_pending",
        "Paths with a change that the peer has not confirmed, as far as known.",
        report.pending if report else 0,
    )
    yield _gauge("replication_in_sync", "Whether both nodes are known to hold the same tree.", snapshot.in_sync)
    results = sorted({*_RESULTS, *totals.runs})
    yield _counter(
        "replication_runs",
        "Batches sent, by how they ended.",
        [((result,), totals.runs.get(result, 0)) for result in results],
        ["result"],
    )
    yield _counter("replication_bytes", "Bytes of files sent.", totals.sent_bytes)
    yield _counter("replication_files", "Files sent.", totals.sent_files)
    yield _counter(
        "gate_refusals",
        "Logins with the pair's key that were refused, as far as this service heard of them.",
        snapshot.refusals.count,
    )
    yield _gauge("history_generations", "Generations kept on this node.", snapshot.history)
    yield _gauge(
        "conflicts", "Conflicts that wait for somebody, on either node as far as known.", len(snapshot.waiting)
    )
    drifts = sum(name.startswith(f"{ConflictKind.DRIFT}-") for name in snapshot.waiting)
    yield _gauge("drift_conflicts", "Of these, changes that somebody made by hand on a backup.", drifts)


def _about_the_service(snapshot: Snapshot) -> Iterator[Metric]:
    hooks = sorted(snapshot.hooks.items())
    yield _histogram(
        "hook_duration_seconds",
        "How long hooks ran.",
        [((hook,), histogram_from(HOOK_BOUNDS, one.counts, one.total)) for hook, one in hooks],
        ["hook"],
    )
    yield _counter(
        "hook_failures",
        "Hooks that failed or took too long.",
        [((hook,), one.failures) for hook, one in hooks],
        ["hook"],
    )
    yield _gauge(
        "check_healthy",
        "The verdict of each health check.",
        [((one.name,), one.healthy) for one in snapshot.checks],
        ["check"],
    )
    yield _gauge(
        "config_last_reload_successful", "Whether the configuration file is the one in force.", snapshot.reload_ok
    )
    yield _counter(
        "log_lines_dropped", "Lines that were lost because the journal did not take them.", snapshot.log_dropped
    )


@dataclass(frozen=True, slots=True)
class SnapshotCollector(Collector):
    """What the registry asks at each scrape."""

    snapshot: Callable[[], Snapshot]
    clock: Callable[[], Nanos]

    def collect(self) -> Iterable[Metric]:
        """Return the metrics of this moment."""
        return collect(self.snapshot(), self.clock())


class Exposition:
    """The metrics as text, in the format that a client accepts best."""

    def __init__(self, snapshot: Callable[[], Snapshot], clock: Callable[[], Nanos]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(SnapshotCollector(snapshot, clock))

    def render(self, accept: str) -> tuple[str, bytes]:
        """Return the type of the content and the content, for an Accept header."""
        encode, kind = choose_encoder(accept)
        return kind, encode(self._registry)

    def text(self) -> bytes:
        """Return them in the plain format, as node_exporter's textfile collector reads it."""
        return generate_latest(self._registry)


def reference() -> str:
    """Return docs/metrics.md, made from what a scrape of a fresh service has."""
    lines = [
        "# Metrics",
        "",
        "Made from the code; a test keeps it so. Served on `metrics_listen` as `/metrics`, by the rules of `metrics_web_config`; written into",
        "`metrics_textfile`. How they are put to use: [monitoring.md](monitoring.md).",
        "",
        "| name | type | labels | meaning |",
        "|---|---|---|---|",
    ]
    for metric in collect(Snapshot("", "", "", ""), Nanos(0)):
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        labels = ", ".join(f"`{one}`" for one in getattr(metric, "_labelnames", ()))
        lines.append(f"| `{name}` | {metric.type} | {labels} | {metric.documentation} |")
    lines += ["", "The histograms' bounds, in seconds:", "", "| name | bounds |", "|---|---|"]
    bounds = {
        "advertisement_jitter_seconds": JITTER_BOUNDS,
        "elector_lateness_seconds": LATENESS_BOUNDS,
        "takeover_seconds": TAKEOVER_BOUNDS,
        "replication_lag_seconds": LAG_BOUNDS,
        "hook_duration_seconds": HOOK_BOUNDS,
    }
    lines += [f"| `{PREFIX}{name}` | {' '.join(f'{one:g}' for one in each)} |" for name, each in bounds.items()]
    return "\n".join(lines) + "\n"
