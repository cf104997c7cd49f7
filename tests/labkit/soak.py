"""`script/soak`: mixed pairs for hours, under load. Nobody's role may change."""

import argparse
import os
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass

from .bench.stage import hogs, leave_alone
from .client import Prober
from .foreign import Keepalived, Ucarp
from .holders import HolderWatch
from .lab import Lab
from .node import CLUSTER_IP, Node
from .waiting import eventually

_PROBE_EVERY = 0.01


@dataclass
class MixedPair:
    """Ours and another's, with a client that asks for the address."""

    name: str
    lab: Lab
    ours: Node
    master: Node
    watch: HolderWatch
    probe: Prober
    mark: int = 0
    since: float = 0.0

    def begin(self) -> None:
        """Count from here."""
        self.mark, self.since = self.probe.mark(), self.watch.mark()

    def changes(self) -> int:
        """Return how often the address moved, or was on two nodes or on none."""
        return len(self.watch.spans(self.since)) - 1

    def row(self) -> str:
        """Return how it went."""
        counters = self.ours.status()["counters"]
        dropped = sum(number for name, number in counters.items() if name.startswith("dropped"))
        gap = self.probe.gap_since(self.mark).ms
        heard = f"{counters['sent']} said, {counters.get('received', 0)} heard, {dropped} dropped"
        return f"{self.name:<44} {self.changes()} changes, client's longest gap {gap:.0f} ms, {heard}"


def _pair(stack: ExitStack, index: int, *, standard: str, interval: str, first: bool, hours: float) -> MixedPair:
    """Start one. `first`: ours is master, because it starts first."""
    lab = stack.enter_context(Lab())
    ours, theirs = lab.node("lb1", "10.77.0.1"), lab.node("lb2", "10.77.0.2")
    client = lab.client()
    ours.write_config(floating="listed", transport=standard, advert_interval=interval)
    other = Ucarp(theirs) if standard == "carp" else Keepalived(theirs, interval=interval, more="nopreempt")
    master = ours if first else theirs
    for start in (ours.start_daemon, other.start) if first else (other.start, ours.start_daemon):
        start()
        eventually(master.holds, within=15, what=f"pair {index}: {master.name} is master")
    watch = stack.enter_context(lab.watch_holders())
    probe = stack.enter_context(Prober(client, CLUSTER_IP, interval=_PROBE_EVERY, seconds=hours * 3600 + 600))
    probe.wait_answer()
    who = f"ours, {other.name} backup" if first else f"{other.name}, ours backup"
    return MixedPair(f"{interval} s, master is {who}", lab, ours, master, watch, probe)


def main() -> int:
    """Run them beside each other, and say each ten minutes how it goes."""
    parser = argparse.ArgumentParser(prog="script/soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--hogs", type=int, default=2, help="busy loops, all the time")
    options = parser.parse_args()
    with ExitStack() as stack:
        kinds = [("carp", "1"), ("vrrp", "1"), ("vrrp", "0.1")]
        wanted = [(standard, interval, first) for standard, interval in kinds for first in (True, False)]
        pairs = [
            _pair(stack, index, standard=standard, interval=interval, first=first, hours=options.hours)
            for index, (standard, interval, first) in enumerate(wanted)
        ]
        stack.enter_context(hogs(pairs[0].ours, options.hogs))
        for pair in pairs:
            pair.begin()
        began = time.monotonic()
        while (passed := time.monotonic() - began) < options.hours * 3600 and not any(one.changes() for one in pairs):
            leave_alone(min(600.0, options.hours * 3600 - passed))
            minutes, load = (time.monotonic() - began) / 60, os.getloadavg()[1]
            print(f"after {minutes:.0f} min, load {load:.1f}", *(one.row() for one in pairs), sep="\n", flush=True)
        return 1 if any(one.changes() for one in pairs) else 0


if __name__ == "__main__":
    sys.exit(main())
