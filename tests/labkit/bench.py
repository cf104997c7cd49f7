"""Measure a pair of ours and a pair of keepalived in one run, on one host, with one probe; print medians and ratios.

`failover`   power loss, planned change and SIGTERM of the master: the client's longest gap
`steady`     a pair left alone with four busy loops: role changes, late advertisements, needless work
"""

import argparse
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.labkit import CLUSTER_IP, Lab, Node, Prober, Process, eventually

KEEPALIVED = """\
global_defs {{ vrrp_garp_master_repeat 5 }}
vrrp_instance pair {{
  state BACKUP
  interface eth0
  virtual_router_id 51
  priority {priority}
  advert_int {interval}
  nopreempt
  unicast_src_ip {local}
  unicast_peer {{ {remote} }}
  virtual_ipaddress {{ {address}/24 dev eth0 }}
}}
"""


class Ours:
    """A pair of skd-cluster."""

    name = "skd-cluster"

    def __init__(self, nodes: tuple[Node, Node], interval: float) -> None:
        self.nodes = nodes
        for node in nodes:
            node.write_config(floating="listed", advert_interval=str(interval))

    def start(self, node: Node) -> None:
        """Start the service on a node."""
        node.start_daemon()

    def settled(self, master: Node, backup: Node) -> bool:
        """Whether the two know each other in these roles."""
        if (master.role(), backup.role()) != ("master", "backup"):
            return False
        return all(node.status()["peer"]["heard"] for node in (master, backup))

    def planned(self, master: Node) -> None:
        """Hand over by command."""
        master.run(["skd-cluster", "failover"])

    def terminate(self, master: Node) -> None:
        """Stop the service."""
        master.stop_daemon()

    def power_off(self, lab: Lab, master: Node) -> None:
        """Cable and processes gone."""
        lab.power_off(master)


@dataclass
class Keepalived:
    """A pair of Debian's keepalived, VRRPv3 over unicast, with real-time scheduling as its manual advises."""

    nodes: tuple[Node, Node]
    interval: float
    name: str = "keepalived"
    processes: dict[str, Process] = field(default_factory=dict)

    def start(self, node: Node) -> None:
        """Start it on a node."""
        other = next(one for one in self.nodes if one is not node)
        conf = KEEPALIVED.format(
            priority=100, interval=self.interval, local=node.address, remote=other.address, address=CLUSTER_IP
        )
        node.write("/etc/keepalived/keepalived.conf", conf.replace("global_defs {", "global_defs { vrrp_version 3\n"))
        command = ["keepalived", "--dont-fork", "--log-console", "--vrrp", "-f", "/etc/keepalived/keepalived.conf"]
        self.processes[node.name] = node.popen(command, output="/var/log/keepalived.out")

    def settled(self, master: Node, backup: Node) -> bool:
        """Whether the first one alone holds the address."""
        return master.holds() and not backup.holds()

    def planned(self, master: Node) -> None:
        """Hand over: what keepalived offers is to be stopped."""
        self.terminate(master)

    def terminate(self, master: Node) -> None:
        """Stop the service."""
        self.processes[master.name].send(signal.SIGTERM)

    def power_off(self, lab: Lab, master: Node) -> None:
        """Cable and processes gone."""
        lab.power_off(master)


@contextmanager
def pair(kind: str, interval: float) -> Iterator[tuple[Lab, "Ours | Keepalived", Node, Node, Prober]]:
    """Build a fresh pair whose first node is master, with a probe on the address."""
    with Lab() as lab:
        one, two = lab.node("lb1", "10.77.0.1"), lab.node("lb2", "10.77.0.2")
        client = lab.client()
        service: Ours | Keepalived = (
            Ours((one, two), interval) if kind == Ours.name else Keepalived((one, two), interval)
        )
        service.start(one)
        eventually(one.holds, within=10, what="lb1 holds the address")
        service.start(two)
        with client.probe(CLUSTER_IP) as probe:
            eventually(lambda: service.settled(one, two), within=15, what="settled")
            probe.wait_answer()
            yield lab, service, one, two, probe


def gap(kind: str, interval: float, act: Callable[[Lab, "Ours | Keepalived", Node], None]) -> float:
    """Return the client's longest gap, in milliseconds, when this happens to the master."""
    with pair(kind, interval) as (lab, service, one, two, probe):
        mark = probe.mark()
        act(lab, service, one)
        eventually(two.holds, within=10, what="lb2 holds the address")
        probe.wait_answer(10)
        return probe.gap_since(mark).ms


EVENTS: dict[str, Callable[[Lab, Ours | Keepalived, Node], None]] = {
    "power loss": lambda lab, service, master: service.power_off(lab, master),
    "planned": lambda _, service, master: service.planned(master),
    "SIGTERM": lambda _, service, master: service.terminate(master),
}


def failover(runs: int, interval: float) -> None:
    """Print the table of gaps."""
    print(f"\nclient's longest gap, interval {interval} s, dead ratio 3, {runs} runs each, probes each millisecond\n")
    print("| event | skd-cluster median | max | keepalived median | max | ratio of medians |")
    print("|---|---|---|---|---|---|")
    for event, act in EVENTS.items():
        found = {kind: [gap(kind, interval, act) for _ in range(runs)] for kind in (Ours.name, "keepalived")}
        ours, theirs = found[Ours.name], found["keepalived"]
        middle = statistics.median(ours), statistics.median(theirs)
        print(
            f"| {event} | {middle[0]:.1f} ms | {max(ours):.1f} ms | {middle[1]:.1f} ms | {max(theirs):.1f} ms "
            f"| {middle[0] / middle[1]:.2f} |",
            flush=True,
        )


def steady(minutes: float, hogs: int, interval: float) -> int:
    """Leave a pair alone under load; return the number of things that must not be."""
    with pair(Ours.name, interval) as (_, _, one, two, probe):
        before = {node.name: node.status() for node in (one, two)}
        busy = [one.popen(["/bin/sh", "-c", "while :; do :; done"]) for _ in range(hogs)]
        mark, began = probe.mark(), time.monotonic()
        while (left := minutes * 60 - (time.monotonic() - began)) > 0:
            watched = {node.name: node.role() for node in (one, two)}
            if watched != {"lb1": "master", "lb2": "backup"}:
                break
            signal.sigtimedwait([], min(left, 5))
        after = {node.name: node.status() for node in (one, two)}
        for process in busy:
            process.send(signal.SIGKILL)
        changes = sum(before[name]["epoch"] != after[name]["epoch"] for name in before)
        wrong = changes
        print(f"\n{minutes:g} minutes, interval {interval} s, {hogs} busy loops on two cores")
        print(f"  role changes: {changes}; client's longest gap: {probe.gap_since(mark).ms:.1f} ms")
        for node in (one, two):
            metrics = scrape(node)
            late = above(metrics, "elector_lateness_seconds", 2 * interval)
            wrong += late
            sent, errors = metrics["advertisements_sent_total"], after[node.name]["counters"].get("send_errors", 0)
            jitter = quantile(metrics, "advertisement_jitter_seconds", 0.99)
            print(f"  {node.name}: sent {sent:.0f}, not sent {errors}, due two intervals ago or more: {late}")
            print(f"       jitter of the peer's advertisements: p99 at most {jitter * 1000:g} ms")
        return wrong


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


def main() -> int:
    """Run one benchmark or, without arguments, a short round of all."""
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("failover", "steady"), help="default: both, shorter")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--interval", type=float, default=0.1)
    parser.add_argument("--minutes", type=float, default=None, help="of steady; default 10, in the short round 1")
    parser.add_argument("--hogs", type=int, default=4)
    options = parser.parse_args()
    wrong = 0
    if options.what in (None, "failover"):
        failover(options.runs, options.interval)
    if options.what in (None, "steady"):
        minutes = options.minutes or (10 if options.what else 1)
        wrong = steady(minutes, options.hogs, options.interval)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
